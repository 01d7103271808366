"""Deleting the bytes of files of what was destroyed, after the commit: only what nothing in the database names any more."""

from typing import Any

from sqlalchemy import Column, Table, func, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session, sessionmaker

from app.domain import attachments
from app.infra.files import FileStore
from app.models import Base, Destruction


def sweep(sessions: sessionmaker[Session], files: FileStore) -> int:
    """Delete what waits to be deleted; how many files went. A kill in between leaves the rest for the next time.

    What was begun and not gone on with for a day goes too.
    """
    files.tidy()
    with sessions.begin() as db:
        waiting = db.execute(
            select(Destruction.id, Destruction.destroyed).where(
                Destruction.confirmed_at.is_not(None), Destruction.swept_at.is_(None)
            )
        ).all()
    gone = 0
    for destruction_id, destroyed in waiting:
        for sha256 in sorted(named(destroyed)):
            with sessions.begin() as db:
                gone += _remove(db, files, sha256)
        with sessions.begin() as db:
            db.execute(
                update(Destruction).where(Destruction.id == destruction_id).values(swept_at=func.clock_timestamp())
            )
    return gone


def named(destroyed: dict[str, Any]) -> set[str]:
    """The digests of the files that a destruction names."""
    return {sha256 for dossier in destroyed.get("dossiers", []) for sha256 in dossier["files"]}


def _remove(db: Session, files: FileStore, sha256: str) -> int:
    """Delete a file unless something names it. Waits for whoever is keeping the same bytes now."""
    db.execute(select(func.pg_advisory_xact_lock(attachments.lock_of(sha256))))
    if db.scalar(select(or_(*(is_named(table, column, sha256) for table, column in columns())))):
        return 0
    return int(files.remove(sha256))


def columns() -> list[tuple[Table, Column[Any]]]:
    """Every column of the database that names files: by digest, or as a list of them."""
    every = [(table, column) for table in Base.metadata.sorted_tables for column in table.columns]
    return [(t, c) for t, c in every if c.name == "sha256" or (c.name == "files" and isinstance(c.type, JSONB))]


def is_named(table: Table, column: Column[Any], sha256: str) -> Any:
    """Whether a column names the file of a digest."""
    holds = column == sha256 if column.name == "sha256" else column.contains([{"sha256": sha256}])
    return select(column).where(holds).select_from(table).exists()
