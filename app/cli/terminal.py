"""What every command does: say its outcome as a line or as JSON, refuse with a sentence, open a transaction."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import typer
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from app import server
from app.domain import accounts
from app.domain.access import Actor
from app.domain.errors import Refused, refusal_of
from app.infra import database
from app.settings import Settings, SettingsRefused

BEHIND = ("42P01", "42703")  # there is no such table, or no such column: the code knows a newer revision
Json = Annotated[bool, typer.Option("--json", help="Print data as JSON.")]


def refuse(sentence: str, code: int = 1) -> NoReturn:
    """One sentence on standard error and an exit code: 1 refused, 2 usage or cannot tell."""
    typer.echo(sentence, err=True)
    raise typer.Exit(code)


def say(data: Any, as_json: bool, line: str) -> None:
    """`data` as JSON, or `line` for people."""
    typer.echo(json.dumps(data, ensure_ascii=False, indent=2, default=str) if as_json else line)


def read_settings() -> Settings:
    """The settings of a command, which need not be fit for serving."""
    try:
        return Settings.from_env(os.environ, demo=True)
    except SettingsRefused as failure:
        refuse(str(failure), 2)


@contextmanager
def told() -> Iterator[None]:
    """What the domain or the database refuses, as a sentence."""
    try:
        yield
    except Refused as failure:
        refuse(failure.message.text("en"))
    except OperationalError as failure:
        refuse(f"The database cannot be reached: {failure.orig}")
    except DBAPIError as failure:
        if getattr(failure.orig, "sqlstate", None) in BEHIND:
            refuse("The database is not at the newest revision. Run: python -m app migrate")
        known = refusal_of(failure)
        refuse(known.message.text("en") if known else f"The database refused: {failure.orig}")


@contextmanager
def opened(owner: bool = False) -> Iterator[Session]:
    """A transaction as the serving role, or as the owner; embedded PostgreSQL is started if it is not running."""
    with told(), server.databases(read_settings()) as urls:
        engine = database.engine(urls.owner if owner else urls.app)
        try:
            with database.sessions(engine).begin() as db:
                yield db
        finally:
            engine.dispose()


def coordinator(db: Session, email: str) -> Actor:
    """The coordinator with this address, who does what a command says; refused when there is none."""
    person = accounts.find_person(db, email)
    actor = accounts.actor_for(db, person) if person else None
    if actor is None or not actor.is_staff("coordinator"):
        refuse(f"{email} is no coordinator.")
    return actor
