"""Find a Chromium for the tests, or have one installed; print its path, or stop with a sentence."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def found() -> str | None:
    """A browser that is there already."""
    given = os.environ.get("CHROMIUM")
    if given and Path(given).exists():
        return given
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def fetched() -> str | None:
    """The browser that playwright fetches for itself, where it can."""
    done = subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], stdout=sys.stderr, check=False)
    if done.returncode != 0:
        return None
    roots = [Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH", Path.home() / ".cache" / "ms-playwright"))]
    roots.append(Path.home() / "Library" / "Caches" / "ms-playwright")
    return next(
        (
            str(p)
            for root in roots
            for p in sorted(root.glob("chromium-*/chrome-*/*"))
            if p.name in ("chrome", "Chromium")
        ),
        None,
    )


def installed() -> str | None:
    """The distribution's package, where this may install it."""
    if not shutil.which("apt-get"):
        return None
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if sudo and (not shutil.which("sudo") or subprocess.run([*sudo, "true"], check=False).returncode != 0):
        return None
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "chromium"]):
        subprocess.run([*sudo, *command], stdout=sys.stderr, check=False)
    return found()


def main() -> None:
    """Print the path of a browser."""
    path = found() or fetched() or installed()
    if path is None:
        sys.exit(
            "The tests walk through the pages in Chromium, and none could be found or installed. Install one, or set CHROMIUM."
        )
    print(path)


if __name__ == "__main__":
    main()
