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
from dataclasses import dataclass
from pathlib import Path
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
    process: subprocess.Popen[bytes]

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
        with Cluster(self.data / "postgres").shared() as cluster:
            engine = database.engine(cluster.owner_url("eoi"))
            with engine.begin() as connection:
                connection.execute(text("update call set closes_at = clock_timestamp() where code = :c"), {"c": code})
            sealed = text("select exists(select from seal s join call c on c.id = s.call_id where c.code = :c)")
            with engine.connect() as connection:
                while not connection.execute(sealed, {"c": code}).scalar_one():
                    assert self.process.poll() is None, "the portal has ended"
                    connection.rollback()
                    connection.execute(text("select pg_sleep(0.05)"))
            engine.dispose()


@contextmanager
def serving(folder: Path, workers: int = 1, host: str = "127.0.0.1") -> Iterator[Served]:
    """Start it, wait until it answers, stop it as Ctrl-C does."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environ = {**os.environ, "DATA": str(folder / "data"), "BASE_URL": f"http://{host}:{port}"}
    environ.pop("DATABASE_URL", None)
    command = [sys.executable, "-m", "app", "serve", "--demo", "--port", str(port), "--workers", str(workers)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=log, stderr=log)
    served = Served(f"http://{host}:{port}", folder / "data", process)
    try:
        while not answers(served.url):
            assert process.poll() is None, re.sub(r"eoi_\w+", "eoi_…", (folder / "log").read_text())
        yield served
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)


def answers(url: str) -> bool:
    """Whether the portal says that it is ready."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
