"""A real server process for tests: the demonstration, on a free port, in a folder of its own."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError

from sqlalchemy import text

from app.infra import database
from app.infra.postgres import Cluster

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Served:
    """The process, its address and its data."""

    url: str
    data: Path
    command: list[str]
    process: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        environ = {**os.environ, "DATA": str(self.data), "BASE_URL": self.url}
        environ.pop("DATABASE_URL", None)
        path = self.data.parent / "log"
        with path.open("ab") as log:
            self.process = subprocess.Popen(self.command, cwd=ROOT, env=environ, stdout=log, stderr=log)
        while not answers(self.url):
            assert self.process.poll() is None, re.sub(r"eoi_\w+", "eoi_…", path.read_text())

    def kill(self) -> None:
        """End it as a power cut does, whatever it is doing; its database ends with it."""
        for number in [*descendants(self.process.pid), self.process.pid]:
            os.kill(number, signal.SIGKILL)
        self.process.wait(timeout=30)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command beside the serving portal."""
        environ = {**os.environ, "DATA": str(self.data)}
        return subprocess.run(
            [sys.executable, "-m", "app", *words], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
        )

    def publish(self, code: str, closes: str) -> None:
        """A copy of the call, as the README tells."""
        done = self.run("call", "publish", "calls/aigf-eoi.yaml", "--code", code, "--closes", closes)
        assert done.returncode == 0, done.stderr

    def verify(self, receipt: Path) -> int:
        """The exit code of checking a receipt."""
        return self.run("verify", str(receipt)).returncode

    def invariants(self) -> int:
        """The exit code of checking the data."""
        return self.run("invariants").returncode

    def close(self, code: str) -> None:
        """Move a call's deadline to now, as the owner, and wait until the portal has sealed it by itself."""
        self.ask("update call set closes_at = clock_timestamp() where code = :code", code=code)
        while not self.ask(
            "select exists(select from seal s join call c on c.id = s.call_id where c.code = :code)", code=code
        ):
            assert self.process.poll() is None, "the portal has ended"
            self.ask("select pg_sleep(0.05)::text")

    def ask(self, statement: str, **values: object) -> Any:
        """Something done to or asked of its database, as the owner; the first field that comes back."""
        with Cluster(self.data / "postgres").shared() as cluster:
            engine = database.engine(cluster.owner_url("eoi"))
            with engine.begin() as connection:
                done = connection.execute(text(statement), values)
                found = done.scalar() if done.returns_rows else None
            engine.dispose()
        return found


@contextmanager
def serving(folder: Path, workers: int = 1, host: str = "127.0.0.1") -> Iterator[Served]:
    """Start it, wait until it answers, stop it as Ctrl-C does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "app", "serve", "--demo", "--port", str(port), "--workers", str(workers)]
    served = Served(f"http://{host}:{port}", folder / "data", command)
    try:
        served.start()
        yield served
    finally:
        served.process.send_signal(signal.SIGINT)
        served.process.wait(timeout=30)


def descendants(number: int) -> list[int]:
    """The processes below one, but for its database: that ends by itself, and leaves nothing behind."""
    listed = subprocess.run(["ps", "-ax", "-o", "pid=,ppid=,comm="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=2) for line in listed.splitlines()]
    below = [int(pid) for pid, parent, name in rows if int(parent) == number and "postgres" not in name]
    return [one for child in below for one in (*descendants(child), child)]


def answers(url: str) -> bool:
    """Whether the portal says that it is ready."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
