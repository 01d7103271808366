"""How a child process is held: it ends with us whatever ends us, and Ctrl-C is for us alone to handle."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from app.infra.binaries import ENVIRONMENT, PATH


def held_by_kernel() -> str | None:
    """The program by which Linux's kernel ends a child with its parent; busybox's namesake cannot."""
    found = shutil.which("setpriv", path=PATH) if sys.platform == "linux" else None
    return found if found and Path(found).resolve().name == "setpriv" else None


def tied(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
    """A child in a session of its own; where the kernel can, it is interrupted when the thread that started it ends."""
    tie = held_by_kernel()
    whole = [tie, "--pdeathsig", "INT", "--", *command] if tie else command
    return subprocess.Popen(  # noqa: S603 (no shell; nothing from outside)
        whole, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True, **options
    )


def watch(number: int) -> subprocess.Popen[bytes]:
    """Elsewhere a shell reads a pipe that nobody writes to: it ends when we do, and then the shell ends the child."""
    return subprocess.Popen(  # noqa: S603 (no shell of ours; a number)
        ["/bin/sh", "-c", 'read -r nothing; kill -INT "$1"', "watchdog", str(number)],
        stdin=subprocess.PIPE,
        env=ENVIRONMENT,
        start_new_session=True,
    )


def works_in(number: int, folder: Path) -> bool:
    """Whether that process is a PostgreSQL alive in this folder; a zombie, or a number used anew, is not."""
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{number}/cwd").samefile(folder)
        except OSError:
            return False
    command = ["/bin/ps", "-o", "stat=,comm=", "-p", str(number)]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603 (no shell; a number)
    return "postgres" in said and not said.startswith("Z")
