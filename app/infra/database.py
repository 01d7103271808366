"""The way to PostgreSQL: an engine with our habits, whether it is ready, and what the connected role could do."""

import select
import time
from functools import cache
from typing import Any

import psycopg
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg import Connection
from sqlalchemy import URL, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry

from app.infra.places import place

MIGRATIONS = place("migrations")
POOL = 20  # connections a process keeps; as many more in a rush
AWAY = ("", "08", "57")  # no answer at all, a broken connection, a server that shuts down or starts
PATIENCE = 10  # seconds to wait for a free connection, or for the server to answer
RESTED = 30  # seconds without use after which a connection is asked whether it still works
POWERS = {
    "is a superuser": "select rolsuper from pg_roles where rolname = current_user",
    "may make roles": "select rolcreaterole from pg_roles where rolname = current_user",
    "passes row security": "select rolbypassrls from pg_roles where rolname = current_user",
    "owns tables": (
        "select exists(select from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname = 'public' and c.relkind in ('r', 'p') and pg_has_role(c.relowner, 'usage'))"
    ),
    "owns the database": "select pg_has_role(datdba, 'usage') from pg_database where datname = current_database()",
    "may become eoi_owner": (
        "select coalesce(bool_or(pg_has_role(oid, 'member')), false) from pg_roles where rolname = 'eoi_owner'"
    ),
    "may truncate tables or move deadlines": (
        "select coalesce(bool_or(has_table_privilege(c.oid, 'truncate, trigger') or c.relname = 'call'"
        " and has_any_column_privilege(c.oid, 'update')), false) from pg_class c"
        " join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'public' and c.relkind in ('r', 'p')"
    ),
}


def sqlalchemy_url(address: str) -> URL:
    """A database address as anybody writes it, with our driver."""
    return make_url(address.replace("postgres://", "postgresql://", 1)).set(drivername="postgresql+psycopg")


def engine(address: str, size: int = POOL, name: str = "eoi") -> Engine:
    """An engine in UTC; connections that the server has dropped meanwhile are replaced unseen."""
    options: dict[str, Any] = {"application_name": name, "connect_timeout": PATIENCE, "options": "-c timezone=UTC"}
    made = create_engine(
        sqlalchemy_url(address),
        pool_size=size,
        max_overflow=size,
        pool_timeout=PATIENCE,
        pool_use_lifo=True,  # few of them are in use, and those know the statements
        connect_args=options,
        hide_parameters=True,  # a fault is logged, what somebody typed is not
    )
    event.listen(made, "checkout", _look)
    event.listen(made, "checkin", _note)
    return made


def _look(connection: Connection[Any], record: ConnectionPoolEntry, _: object) -> None:
    """Replace a connection whose server is gone: an idle one has something to read then. After a while, ask it.

    Asking each time, as the pool itself would, costs a round trip a request.
    """
    is_rested = time.monotonic() - record.info.get("idle_since", 0.0) < RESTED
    try:
        waiting = select.poll()
        waiting.register(connection.fileno(), select.POLLIN)
        if is_rested and not waiting.poll(0):
            return
        connection.execute("select 1")
        connection.rollback()
    except psycopg.Error as failure:
        raise DisconnectionError from failure


def _note(_: object, record: ConnectionPoolEntry) -> None:
    record.info["idle_since"] = time.monotonic()


def sessions(engine: Engine) -> sessionmaker[Session]:
    """Sessions whose objects stay readable after the commit, when the page is made of them."""
    return sessionmaker(engine, expire_on_commit=False)


@cache
def head() -> str | None:
    """The newest revision that this code knows."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return ScriptDirectory.from_config(config).get_current_head()


def revision(engine: Engine) -> str | None:
    """The revision that the database is at; None before the first migration."""
    with engine.connect() as db:
        if db.scalar(text("select to_regclass('public.alembic_version')")) is None:
            return None
        found: str | None = db.scalar(text("select version_num from public.alembic_version"))
        return found


def probe(engine: Engine) -> bool:
    """Whether it answers, can be written to, and is at the revision that this code was written for."""
    try:
        with engine.connect() as db:
            if db.scalar(text("select pg_is_in_recovery()")):
                return False
        return revision(engine) == head()
    except SQLAlchemyError:
        return False


def dangerous_powers(engine: Engine) -> list[str]:
    """What the connected role can do that a serving role must not: with any of these the cutoff is decoration.

    Each completes the sentence "a role that …".
    """
    with engine.connect() as db:
        return [power for power, question in POWERS.items() if db.scalar(text(question))]


def is_away(failure: Exception) -> bool:
    """Whether the database could not be reached or went away, rather than finding fault with what was asked of it."""
    if not isinstance(failure, DBAPIError):
        return False
    state = getattr(failure.orig, "sqlstate", None) or ""
    return failure.connection_invalidated or (isinstance(failure, OperationalError) and state[:2] in AWAY)
