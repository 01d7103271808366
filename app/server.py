"""How the portal comes up: databases, migrations, checks that refuse an unsafe start, workers, and the demonstration."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import uvicorn
from alembic import command
from alembic.config import Config
from uvicorn import _subprocess
from uvicorn.supervisors import Multiprocess

from app import demo as demonstration
from app import doorman, forge
from app.deps import Portal
from app.domain import rootkeys
from app.infra import bucket, database
from app.infra.files import FileStore
from app.infra.postgres import Cluster
from app.infra.signing import Signer
from app.infra.wrapping import WrongKey
from app.settings import Settings

NAME = "eoi"

log = logging.getLogger(__name__)


class StartRefused(Exception):
    """The portal will not start like this; the text says why and what to do."""


@dataclass(frozen=True)
class Urls:
    """Where the database is: as the serving role and as the owner."""

    app: str
    owner: str


@contextmanager
def databases(settings: Settings) -> Iterator[Urls]:
    """The databases of the settings, or the embedded one, started if no other process runs it."""
    if settings.database_url:
        yield Urls(settings.database_url, settings.database_owner_url or settings.database_url)
        return
    with Cluster(settings.data / "postgres").shared() as cluster:
        cluster.ensure_database(NAME)
        yield Urls(cluster.app_url(NAME), cluster.owner_url(NAME))


def migrate(owner_url: str) -> None:
    """Bring the database to head, as the owner."""
    engine = database.engine(owner_url)
    with engine.connect() as connection:
        config = Config()
        config.set_main_option("script_location", str(database.MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()


def is_at_head(url: str) -> bool:
    """Whether the database is at the newest revision of this code."""
    engine = database.engine(url)
    found = database.revision(engine) == database.head()
    engine.dispose()
    return found


def file_store(settings: Settings) -> FileStore:
    """Where attachments are kept."""
    return bucket.store_of(settings.files_url, settings.data / "spool")


def own_jwks(settings: Settings) -> dict[str, Any]:
    """This portal's public keys."""
    return Signer.load_or_create(settings.data / "keys").jwks()


def serve(host: str, port: int | None, workers: int | None, demo: bool) -> None:
    """Migrate when this process may, refuse to serve unsafely, then serve until told to stop."""
    forge.heat()
    logging.getLogger("alembic").setLevel(logging.WARNING)
    if demo:
        os.environ["DEMO"] = "1"
    if port:
        os.environ["PORT"] = str(port)
    settings = Settings.from_env(os.environ, demo=demo)
    doorman.keep_log(settings.log_format)
    for warning in settings.warnings():
        log.warning(warning)
    with databases(settings) as urls:
        if not settings.database_url or settings.database_owner_url:
            migrate(urls.owner)
        refuse_unsafe(settings, urls, demo)
        if demo:
            demonstration.prepare(Portal.opened(settings, urls.app), urls.owner)
            demonstration.announce(settings)
        environ = {name: value for name, value in os.environ.items() if name != "DATABASE_OWNER_URL"}
        config = uvicorn.Config(
            partial(forge.worker, environ | {"DATABASE_URL": urls.app}),
            factory=True,
            host=host,
            port=settings.port,
            workers=workers or settings.workers,
            log_config=None,  # its lines are of one form with ours
            log_level="warning",
            access_log=False,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=",".join(settings.trusted_proxies) or None,
            server_header=False,
            date_header=True,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=10,
        )
        _subprocess.spawn = forge.FORGE  # type: ignore[assignment]  # uvicorn would import everything once a worker
        Multiprocess(config, sockets=[config.bind_socket()]).run()


def refuse_unsafe(settings: Settings, urls: Urls, demo: bool) -> None:
    """Refuse to serve another revision than this code's, with a role that can do too much, or with another SECRET_KEY."""
    if not is_at_head(urls.app):
        raise StartRefused("The database is not at the newest revision. Run: python -m app migrate")
    refuse_powers(urls.app, demo)
    open_root_key(settings, urls)


def open_root_key(settings: Settings, urls: Urls) -> None:
    """Refuse to serve where SECRET_KEY does not open the root key. A demonstration, whose key is its folder's, makes another."""
    engine = database.engine(urls.app)
    try:
        with database.sessions(engine).begin() as db:
            rootkeys.opened(db, settings.secret_key)
    except WrongKey as failure:
        if not settings.demo:
            raise StartRefused(
                "SECRET_KEY is not the one that this database was served with. Set that one again; to go on with this one, "
                "run: python -m app rotate secret-key --before FILE; if that one is lost: python -m app rotate root-key"
            ) from failure
        owner = database.engine(urls.owner)
        with database.sessions(owner).begin() as db:
            rootkeys.replace(db, settings.secret_key)
        owner.dispose()
    finally:
        engine.dispose()


def refuse_powers(url: str, demo: bool) -> None:
    """Refuse to serve with a role that could move a deadline or switch off a trigger."""
    engine = database.engine(url)
    powers = database.dangerous_powers(engine)
    engine.dispose()
    if powers and not demo:
        raise StartRefused(
            f"DATABASE_URL connects with a role that {', '.join(powers)}. Serve as eoi_app, which can do none of that."
        )
