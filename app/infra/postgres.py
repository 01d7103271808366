"""The embedded PostgreSQL: makes the cluster once and runs it as a child on a private socket, never left behind."""

import fcntl
import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

import psycopg

from app.infra import binaries, leash, roles
from app.infra.binaries import SHELF, Account, PostgresFailed, Programs
from app.infra.roles import APP, OWNER

SUPERUSER = "postgres"
PORT = 5432  # only part of the socket's file name: nothing listens on a network
LONGEST_SOCKET = 103  # bytes of a socket's path: 107 on Linux, 103 on macOS
OURS = {"data", "data.new", "sockets", "lock", "log", "log.1"}
LOG_SIZE = 10 * 1024 * 1024
PATIENCE = 60.0  # seconds to wait for a predecessor to end, and for a stop
STARTS = 600.0  # seconds to wait for readiness: recovery after a crash may have much to replay
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "port": str(PORT),
    "max_connections": "150",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_error_verbosity": "terse",  # details and statements would carry what applicants typed
    "log_min_error_statement": "panic",
}
PREDECESSOR = ("pre-existing shared memory block", 'lock file "postmaster.pid" already exists')


class AlreadyRunning(PostgresFailed):
    """Another process runs this cluster; its URLs are good for us too."""


class Cluster:
    """One cluster in one folder, for one process at a time. It dies with this process, whatever ends it.

    Start it from the main thread: Linux ends a child when the thread that started it ends.
    """

    def __init__(self, folder: Path, shelf: Path = SHELF) -> None:
        self.folder = folder.resolve()
        self.data = self.folder / "data"
        self.sockets = _sockets(self.folder)
        self._shelf = shelf
        self._lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Cluster":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @contextmanager
    def shared(self) -> Iterator["Cluster"]:
        """Start it, or use the one that another process runs: for commands beside a serving portal."""
        try:
            self.start()
        except AlreadyRunning:
            self._await(None)
        try:
            yield self
        finally:
            self.stop()

    @property
    def pid(self) -> int | None:
        """The postmaster's process number while this process runs it."""
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def programs(self) -> Programs:
        """The folder with psql, pg_dump, pgbench and the rest, of the cluster's own major version."""
        made = self.data / "PG_VERSION"
        major = int(made.read_text()) if made.exists() else None
        return binaries.find(binaries.account(self.data), major, self._shelf)

    def owner_url(self, database: str) -> str:
        """As eoi_owner: migrations."""
        return self._url(OWNER, database)

    def app_url(self, database: str) -> str:
        """As eoi_app: serving."""
        return self._url(APP, database)

    def superuser_url(self, database: str) -> str:
        """As the cluster's superuser: for making databases, never for serving."""
        return self._url(SUPERUSER, database)

    def _url(self, role: str, database: str) -> str:
        return f"postgresql://{role}@/{quote(database, safe='')}?host={quote(str(self.sockets), safe='')}&port={PORT}"

    def start(self) -> None:
        """Have it running and ready, made first where there is none yet. PostgresFailed says what stands in the way."""
        if self._process and self._await(self._process):
            return
        if threading.current_thread() is not threading.main_thread():
            raise PostgresFailed("The database must be started from the main thread.")
        self.stop()
        runner = binaries.account(self.data)
        self._occupy(runner)
        try:
            programs = self.programs
            if not self.data.exists():
                self._make(programs, runner)
            self._admit(runner)
            self._end_predecessor()
            self._launch(programs, runner)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End it and wait: open transactions are rolled back, everything acknowledged is on disk."""
        if self._process:
            for wish, patience in ((signal.SIGINT, PATIENCE), (signal.SIGQUIT, PATIENCE), (signal.SIGKILL, None)):
                with suppress(subprocess.TimeoutExpired):
                    self._process.send_signal(wish)
                    self._process.wait(patience)
                    break
            self._process = None
        if self._watchdog:
            self._watchdog.kill()
            self._watchdog.communicate()
            self._watchdog = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def ensure_database(self, name: str, template: str = "template1") -> None:
        """Have the two roles and this database, owned by eoi_owner, open to eoi_app and to nobody else."""
        roles.ensure_database(self.superuser_url("postgres"), name, template)

    def _occupy(self, runner: Account) -> None:
        """Take the folder for this process alone: private, ours, and locked until this process ends."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if strange := sorted({path.name for path in self.folder.iterdir()} - OURS):
            raise PostgresFailed(f"{self.folder} holds {strange[0]}, which is not a database's: choose another folder.")
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 20).decode() or "unknown"
            os.close(lock)
            raise AlreadyRunning(
                f"Another process (number {holder}) already runs the database in {self.folder}: stop it first, or "
                "choose another folder with DATA."
            ) from None
        self._lock = lock
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        runner.give(lock)
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        for folder in (self.folder, self.sockets):
            if folder.is_symlink() or folder.stat().st_uid not in (os.geteuid(), runner.uid):
                raise PostgresFailed(f"{folder} belongs to somebody else: remove it, or choose another folder.")
            folder.chmod(0o700)
            runner.give(folder)

    def _make(self, programs: Programs, runner: Account) -> None:
        """Make the cluster beside its place and move it there when whole, so that a half one is never started."""
        new = self.folder / "data.new"
        said = ""
        for locale in _locales(programs.major):
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir(mode=0o700)
            runner.give(new)
            with binaries.known(new, runner) as (name, how):
                command = [programs.path("initdb"), "-D", name, "-U", SUPERUSER, "--data-checksums", *locale]
                command += ["--encoding=UTF8", "--auth-local=peer", "--auth-host=reject"]
                how |= runner.popen
                made = subprocess.run(command, capture_output=True, text=True, check=False, **how)  # noqa: S603 (no shell; nothing from outside)
            if made.returncode == 0:
                new.rename(self.data)
                os.sync()
                return
            said = made.stderr.strip()
        raise PostgresFailed(f"The database could not be made in {self.folder}: {said}")

    def _admit(self, runner: Account) -> None:
        """Who may connect: this account alone, by the kernel's word for who it is; no password, no network."""
        own = {runner.name, pwd.getpwuid(os.geteuid()).pw_name}
        lines = [f'eoi "{name}" {role}\n' for name in sorted(own) for role in (SUPERUSER, OWNER, APP)]
        for name, text in (("pg_hba.conf", "local all all peer map=eoi\n"), ("pg_ident.conf", "".join(lines))):
            fresh = self.data / f"{name}.new"
            fresh.unlink(missing_ok=True)
            with open(fresh, "x", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                file.write(text)
                runner.give(file.fileno())
            fresh.replace(self.data / name)

    def _end_predecessor(self) -> None:
        """Deal with what a killed process left: end a live postmaster, and unmask a dead one's number used anew."""
        left = self.data / "postmaster.pid"
        try:
            first, *others = left.read_text().splitlines(keepends=True)
        except (FileNotFoundError, ValueError):
            return
        deadline = time.monotonic() + PATIENCE
        while leash.works_in(int(first), self.data):
            with suppress(ProcessLookupError):
                os.kill(int(first), signal.SIGINT)
            if time.monotonic() > deadline:
                raise PostgresFailed(f"An earlier PostgreSQL (process {first.strip()}) does not end: end it by hand.")
            time.sleep(0.02)
        if left.exists():  # our own number counts as dead, and the shared memory named below is still looked at
            left.write_text("".join([f"{os.getpid()}\n", *others]))

    def _launch(self, programs: Programs, runner: Account) -> None:
        """Start the postmaster and wait until it answers; again while the children of a killed one are dying."""
        sockets = "../sockets" if self.sockets.parent == self.folder else str(self.sockets)
        options = [f"--{name}={value}" for name, value in {**SETTINGS, "unix_socket_directories": sockets}.items()]
        deadline = time.monotonic() + PATIENCE
        while True:
            with self._open_log(runner) as log, binaries.known(self.data, runner) as (name, how):
                start = log.tell()
                command = [programs.path("postgres"), "-D", name, *options]
                self._process = leash.tied(command, stdout=log, **how, **runner.popen)
            if self._await(self._process):
                break
            with (self.folder / "log").open(errors="replace") as said:
                said.seek(start)
                words = said.read().strip() or "it said nothing"
            if not any(reason in words for reason in PREDECESSOR) or time.monotonic() > deadline:
                raise PostgresFailed(f"The database in {self.folder} did not start: {words}")
            time.sleep(0.05)
        if not leash.held_by_kernel():
            self._watchdog = leash.watch(self._process.pid)

    def _open_log(self, runner: Account) -> BinaryIO:
        path = self.folder / "log"
        if path.exists() and path.stat().st_size > LOG_SIZE:
            path.replace(self.folder / "log.1")
        log = open(path, "ab", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, 0o600))  # noqa: SIM115 (closed by the caller)
        runner.give(log.fileno())
        return log

    def _await(self, process: subprocess.Popen[bytes] | None) -> bool:
        """True once it answers a connection, False once `process` has ended. None: somebody else's."""
        deadline = time.monotonic() + (STARTS if process else PATIENCE)
        while True:
            try:
                psycopg.connect(self.superuser_url("postgres"), connect_timeout=5).close()
                return True
            except psycopg.OperationalError as failure:
                if process and process.poll() is not None:
                    return False
                if time.monotonic() > deadline:
                    raise PostgresFailed(f"The database in {self.folder} does not answer: {failure}") from None
            time.sleep(0.01)


def _sockets(folder: Path) -> Path:
    """Where the socket lies: in the cluster's folder, or where that path is too long for a socket, a short one."""
    usual = folder / "sockets"
    path = os.fsencode(usual / f".s.PGSQL.{PORT}")
    if len(path) <= LONGEST_SOCKET and b"," not in path:  # a comma separates hosts in a database URL
        return usual
    short = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    root = os.geteuid() == 0 and Path("/run").is_dir()
    return Path(f"/run/eoi-{short}" if root else f"/tmp/eoi-{os.geteuid()}-{short}")  # noqa: S108 (owner and mode are checked)


def _locales(major: int) -> list[list[str]]:
    """UTF-8 semantics that no update of the system's C library can change, where there are such."""
    plain = [["--locale=C.UTF-8"], ["--locale=C"]]
    if major < 17:
        return plain
    return [["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"], *plain]
