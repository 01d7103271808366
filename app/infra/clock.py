"""What the host knows of its own clock: chrony's measurement, where chrony runs."""

import shutil
import subprocess

PATIENCE = 3  # seconds for chrony to answer


def chrony() -> dict[str, str] | None:
    """The `tracking` report of the chrony on this host, as it gave it (seconds as decimal strings); None without one."""
    program = shutil.which("chronyc", path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    if program is None:
        return None
    try:
        said = subprocess.run(  # noqa: S603  (no shell; nothing from outside)
            [program, "-n", "-c", "tracking"], capture_output=True, text=True, check=False, timeout=PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parsed(said.stdout) if said.returncode == 0 else None


def parsed(line: str) -> dict[str, str] | None:
    """The report in chrony's comma-separated form; None when it is not one."""
    parts = line.strip().split(",")
    if len(parts) != 14:
        return None
    return {
        "source": "chrony",
        "stratum": parts[2],
        "system_offset_seconds": parts[4],
        "root_delay_seconds": parts[10],
        "root_dispersion_seconds": parts[11],
        "leap_status": parts[13],
    }
