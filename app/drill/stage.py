"""The stage of a drill: a scratch database and a real server in a folder of their own, which can be killed and come back."""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any
from urllib.error import URLError

import pikepdf
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app import demo, server
from app.domain import accounts, attachments, callfile, calls, judgements, submissions, tokens
from app.infra import database, leash
from app.infra.files import FileStore
from app.infra.postgres import Cluster
from app.infra.signing import Signer
from app.models import Call, Person, SignIn
from app.settings import table

ROOT = Path(__file__).parents[2]
NAME = "drill"
PATIENCE = 120.0  # seconds to wait for a server to answer
BATCH = 25  # drafts made in one transaction


class StageFailed(Exception):
    """The scratch portal did not come up; the text ends with what it said."""


@dataclass(frozen=True)
class Applicant:
    """Somebody signed in, with a complete draft: what a browser would hold."""

    reference: str
    cookie: str
    token: str
    step: str
    answers: dict[str, str]


class Stage:
    """One scratch portal. No setting of the environment reaches it: a real portal is never touched."""

    def __init__(self, folder: Path, workers: int = 2) -> None:
        self.folder, self.workers = folder, workers
        self.cluster = Cluster(folder / "postgres")
        self.files = FileStore(folder / "data" / "files")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self.revived = 0

    @property
    def signer(self) -> Signer:
        """The scratch portal's own."""
        return Signer.load_or_create(self.folder / "data" / "keys")

    @contextmanager
    def opened(self, owner: bool = False) -> Iterator[Session]:
        """A transaction as the serving role, or as the owner."""
        engine = database.engine(self.cluster.owner_url(NAME) if owner else self.cluster.app_url(NAME))
        with database.sessions(engine).begin() as db:
            yield db
        engine.dispose()

    def serve(self) -> None:
        """Start the server and wait until it is ready."""
        environ = {name: value for name, value in os.environ.items() if name not in {knob for knob, _, _ in table()}}
        environ |= {
            "DEMO": "1",  # mails go to a folder; a demonstration it is not, for that --demo is left out
            "DATA": str(self.folder / "data"),
            "DATABASE_URL": self.cluster.app_url(NAME),
            "PORT": str(self.port),
            "API_REQUESTS": "1000000",  # what a driver measures is not the waiting
        }
        command = [sys.executable, "-m", "app", "serve", "--port", str(self.port), "--workers", str(self.workers)]
        with (self.folder / "log").open("ab") as log:
            self.process = leash.tied(command, stdout=log, cwd=ROOT, env=environ)
        deadline = time.monotonic() + PATIENCE
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise StageFailed(f"The scratch portal did not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def revive(self) -> None:
        """Start the server again where it ended by itself, as whoever watches over it would; and count that."""
        if self.process is None or self.process.poll() is not None:
            self.revived += 1
            self.serve()

    def is_ready(self) -> bool:
        """Whether the server says so."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:  # noqa: S310 (our own address)
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    def workers_now(self) -> list[int]:
        """The process numbers of the workers."""
        parents, forges = {}, set()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                number, parent = int(folder.name), int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                parents[number] = parent
                if self.process and parent == self.process.pid and b"forkserver" in (folder / "cmdline").read_bytes():
                    forges.add(number)
            except OSError:
                continue  # it ended meanwhile
        return [number for number, parent in parents.items() if parent in forges]

    def kill_worker(self, chance: Random) -> None:
        """End one worker as the kernel does when memory is short; the server starts another by itself."""
        if numbers := self.workers_now():
            os.kill(chance.choice(numbers), signal.SIGKILL)

    def kill_database(self) -> None:
        """End PostgreSQL without a word, and start it again as whoever watches over it would."""
        if self.cluster.pid:
            os.kill(self.cluster.pid, signal.SIGKILL)
        self.cluster.stop()
        self.cluster.start()

    def kill_server(self) -> None:
        """End the server with all its workers, and start it again."""
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.serve()

    def stop(self) -> None:
        """End all of it."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.cluster.stop()

    def clone(self, code: str) -> None:
        """Publish the gigafactory call once more, as a rehearsal that closes hours from now."""
        definition = callfile.load(demo.CALL)
        with self.opened(owner=True) as db:
            now = calls.clock(db)
            calls.publish(db, definition, now, now + timedelta(hours=12), code, is_synthetic=True)

    def move_cutoff(self, code: str, seconds: float) -> datetime:
        """Let the call close so many seconds from now, by the database's clock; the instant."""
        moved = func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)
        with self.opened(owner=True) as db:
            db.execute(update(Call).where(Call.code == code).values(closes_at=moved))
            return db.scalars(select(Call.closes_at).where(Call.code == code)).one()

    def prepare(self, code: str, number: int) -> list[Applicant]:
        """So many applicants, each with an organisation and a complete draft, made through the domain."""
        given, document, made = demo.samples(), _document(), []
        for start in range(0, number, BATCH):
            with self.opened() as db:
                made += [self._applicant(db, code, given, document) for _ in range(start, min(start + BATCH, number))]
        return made

    def _applicant(self, db: Session, code: str, given: dict[str, Any], document: bytes) -> Applicant:
        name = secrets.token_hex(6)
        person = Person(email=f"{name}@drill.example", name=name, email_verified_at=func.clock_timestamp())
        db.add(person)
        db.flush()
        accounts.describe_organisation(db, accounts.actor_for(db, person), f"Drill {name} BV", "NL", None)
        db.flush()
        actor = accounts.actor_for(db, person)
        case = submissions.start(db, actor, calls.by_code(db, code), actor.memberships[0].organisation_id, "FC")
        demo.fill(db, actor, case, given, {}, person.email)
        for question in given["files"]["FC"]:
            attachments.attach(db, self.files, actor, case, question, "file.pdf", BytesIO(document))
        judgements.keep(db, case)  # as saving a page does
        secret, token = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
        db.add(
            SignIn(
                token_hash=tokens.hashed(secret),
                person_id=person.id,
                csrf_token=token,
                user_agent="drill",
                last_seen_at=func.clock_timestamp(),
                expires_at=func.clock_timestamp() + timedelta(hours=12),
            )
        )
        step, answers = next(iter(given["FC"].items()))
        return Applicant(case.reference, secret, token, step, answers)


@contextmanager
def raised(folder: Path, workers: int = 2) -> Iterator[Stage]:
    """A stage that stands, and is taken down afterwards whatever happens."""
    stage = Stage(folder, workers)
    try:
        stage.cluster.start()
        stage.cluster.ensure_database(NAME)
        server.migrate(stage.cluster.owner_url(NAME))
        stage.serve()
        yield stage
    finally:
        stage.stop()


def _document() -> bytes:
    made = BytesIO()
    with pikepdf.new() as pdf:
        pdf.add_blank_page()
        pdf.save(made)
    return made.getvalue()
