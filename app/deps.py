"""What a route may ask for: the database session of its request, the actor, and the outside world."""

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker
from starlette.concurrency import run_in_threadpool

from app.domain import rootkeys, sign_ins
from app.domain.access import Actor
from app.domain.attempts import Press
from app.domain.availability import Watch
from app.domain.maintenance import Window
from app.domain.usage import Meter
from app.infra import bucket, database, oidc
from app.infra.bell import Bell
from app.infra.files import FileStore
from app.infra.mailer import Mailer
from app.infra.oidc import Provider
from app.infra.registers import Registers
from app.infra.scanner import Scanner
from app.infra.signing import Signer
from app.settings import Settings

CLOCKS_AGREE = timedelta(seconds=30)


@dataclass
class Portal:
    """What one server process holds open. `clock_offset` is the database's clock minus this host's.

    `watch` and `presses` hold what the process saw and could not write down while the database was away; `meter` what
    keys asked for within the last second. `announced` is the planned maintenance that `app.watch` last read, so that no page
    asks for it and it is told even while the database is away. `waiting` is how many presses on submit wait at the turnstile. Sessions of
    `snapshots` see the database as it is at their first statement, for reads of many statements that must agree.
    """

    settings: Settings
    engine: Engine
    sessions: sessionmaker[Session]
    signer: Signer
    files: FileStore
    mailer: Mailer
    registers: Registers = field(default_factory=Registers)
    scanner: Scanner | None = None
    providers: dict[str, Provider] = field(default_factory=dict)
    clock_offset: timedelta = field(default=timedelta(0))
    watch: Watch = field(default_factory=Watch)
    announced: list[Window] = field(default_factory=list)
    waiting: int = 0
    meter: Meter = field(default_factory=Meter)
    presses: deque[Press] = field(default_factory=lambda: deque(maxlen=10_000))
    bell: Bell = field(init=False)
    snapshots: sessionmaker[Session] = field(init=False)

    def __post_init__(self) -> None:
        self.bell = Bell(self.engine.url)
        self.snapshots = database.sessions(self.engine.execution_options(isolation_level="REPEATABLE READ"))

    @classmethod
    def opened(cls, settings: Settings, url: str) -> "Portal":
        """Everything that the settings name, over the database at `url`."""
        engine = database.engine(url)
        return cls(
            settings=settings,
            engine=engine,
            sessions=database.sessions(engine),
            signer=Signer.load_or_create(settings.data / "keys"),
            files=bucket.store_of(settings.files_url, settings.data / "spool"),
            mailer=Mailer.from_url(settings.mail_url),
            scanner=Scanner(settings.clamd_url) if settings.clamd_url else None,
            providers=oidc.from_file(settings.providers, may_be_plain=settings.demo),
            registers=Registers(settings.vies_url, settings.gleif_url, settings.vies_requester),
        )

    @cached_property
    def root_key(self) -> bytes:
        """What secrets of apps and webhooks are derived from. The start looked whether SECRET_KEY opens it."""
        with self.sessions.begin() as db:
            return rootkeys.opened(db, self.settings.secret_key)

    def now(self) -> datetime:
        """The database's clock as last measured; for showing. What decides is read by the database at the write."""
        return datetime.now(UTC) + self.clock_offset

    def checks(self) -> dict[str, bool]:
        """Whether a submit would work now: database at the right revision, file store writable, clocks agreeing."""
        return {
            "database": database.probe(self.engine),
            "files": self.files.ready(),
            "clock": abs(self.clock_offset) < CLOCKS_AGREE,
        }


async def portal(request: Request) -> Portal:
    """The process-wide portal that the application was made with; a coroutine, as it never waits."""
    held: Portal = request.app.state.portal
    return held


PortalDep = Annotated[Portal, Depends(portal)]


async def session(portal: PortalDep) -> AsyncIterator[Session]:
    """One transaction a request: return commits, raise rolls back, and only then the response leaves.

    Nothing is asked of the database before the first statement, so only the end waits in a thread.
    """
    whole = portal.sessions.begin()
    db = whole.__enter__()
    try:
        yield db
    except BaseException as failure:
        await run_in_threadpool(whole.__exit__, type(failure), failure, failure.__traceback__)
        raise
    await run_in_threadpool(whole.__exit__, None, None, None)


Db = Annotated[Session, Depends(session, scope="function")]


def cookie_name(settings: Settings, name: str = "eoi") -> str:
    """A cookie of this host alone, by default the session's; `__Host-` needs TLS, which a demonstration has not."""
    return f"__Host-{name}" if settings.base_url.startswith("https://") else name


def current_actor(request: Request, db: Db, portal: PortalDep) -> Actor:
    """Whoever the session cookie says, looked up anew at each request."""
    actor = sign_ins.actor_of(db, request.cookies.get(cookie_name(portal.settings)))
    request.state.actor = actor
    return actor


ActorDep = Annotated[Actor, Depends(current_actor, scope="function")]
