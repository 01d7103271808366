"""All data on a person: every row of every table that refers to them or holds their address, with what each field means.

What refers to a person is read off the tables themselves, so that a new table cannot be forgotten: whatever is not left
out below, with its reason, is exported.
"""

import uuid
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Column, ColumnElement, String, Table, Text, cast, func, or_, select
from sqlalchemy.orm import Session

from app.domain import access, audit, calls
from app.domain.access import Actor
from app.domain.errors import NotFound
from app.infra import times
from app.models import Base, Organisation, Person, Submission

FORMAT = "eoi-person/1"
# E-mail addresses stand in these columns; by them rows are found that no key leads to.
ADDRESSES = {
    ("person", "email"),
    ("sign_in_link", "email"),
    ("message", "recipient"),
    ("judgement", "contact"),
    ("appointment", "email"),
}
# Rows that no key to a person leads to, and that are of whoever the row behind this key is of.
THROUGH = {("score", "assignment_id"): "person_id", ("hand_in", "assignment_id"): "person_id"}
# Columns that are never shown, whoever asks: they let somebody in, or keep the audit trail from being guessed.
SECRET = frozenset(
    {
        "token_hash",
        "browser_hash",
        "csrf_token",
        "secret_hash",
        "salt",
        "chain",
        "commitment",
        "jws",
        "code_hash",
        "challenge",
        "state_hash",
    }
)
# What stands beside a person and is not about them, with the reason.
LEFT_OUT = {
    (
        "version",
        "answers",
    ): "the content of the organisation's submission; see `mentions` for what of it names the person",
    ("version", "files"): "as above",
    ("version", "findings"): "as above",
    ("version", "facts"): "as above",
    ("draft", "answers"): "as above",
    ("draft", "unread"): "as above",
    ("judgement", "answers"): "as above",
    ("judgement", "files"): "as above",
    ("judgement", "warnings"): "as above",
    ("judgement", "found"): "as above",
    ("judgement", "facts"): "as above",
    ("judgement", "opening"): "as above",
    ("judgement", "ending"): "as above",
    ("destruction", "subjects"): "rows of others",
    ("destruction", "destroyed"): "rows of others",
    ("disclosure_proposal", "sections"): "about a dossier, not about the person",
    ("disclosure_decision", "sections"): "about a dossier, not about the person",
    ("disclosure_set", "body"): "about dossiers, not about the person",
    ("interest_link", "submission_id"): "whether a reference names anything is told to nobody but the consortium",
    ("interest_link", "is_accepted"): "as above",
    ("interest_link", "answered_by"): "as above",
    ("interest_link", "answered_at"): "as above",
    ("lookup", "evidence"): "about an organisation, not about the person",
}
# Documents in which a person's address may stand without a key: they are searched, and told of as mentions.
DOCUMENTS = (("version", "answers"), ("draft", "answers"), ("receipt", "body"))
README = {
    "rows": "by table and by the column that refers to the person: each row as it is kept",
    "mentions": "documents that hold the person's e-mail address: the submission or receipt, and the part that holds it",
    "left_out": "columns that are not shown, with the reason of each; columns that let somebody in are not shown either",
    "instants": "RFC 3339, in UTC",
}


def columns() -> Iterator[tuple[Table, Column[Any]]]:
    """Every column that refers to a person by key, itself or by a row of theirs, and every one that holds an e-mail address."""
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            by_key = any(key.column.table.name == "person" for key in column.foreign_keys)
            if by_key or (table.name, column.name) in {("person", "id"), *ADDRESSES, *THROUGH}:
                yield table, column


def export(db: Session, actor: Actor, person_id: uuid.UUID) -> dict[str, Any]:
    """All data on a person, as they may have it. Put on record; of dossiers they stated a conflict about nothing is in it."""
    person = db.get(Person, person_id)
    if person is None:
        raise NotFound
    hidden = _hidden(db, actor if actor.person_id == person_id else None)
    rows = {}
    for table, column in columns():
        if found := list(_rows(db, table, column, person, hidden)):
            rows[f"{table.name}.{column.name}"] = found
    audit.record(db, actor, "person.exported", person=str(person_id))
    return {
        "format": FORMAT,
        "at": times.iso(calls.clock(db)),
        "person": str(person_id),
        "readme": README,
        "left_out": {f"{table}.{column}": why for (table, column), why in LEFT_OUT.items()},
        "rows": rows,
        "organisations": _organisations(db, person_id),
        "mentions": list(_mentions(db, person.email, hidden)),
    }


def _hidden(db: Session, actor: Actor | None) -> frozenset[uuid.UUID]:
    """The dossiers that the person stated a conflict about."""
    if actor is None or not actor.is_staff():
        return frozenset()
    return frozenset(db.scalars(select(Submission.id).where(access.has_conflict(actor))))


def _rows(
    db: Session, table: Table, column: Column[Any], person: Person, hidden: frozenset[uuid.UUID]
) -> Iterator[dict[str, Any]]:
    is_theirs: ColumnElement[bool]
    if isinstance(column.type, String | Text):
        is_theirs = func.lower(column) == person.email.lower()
    elif owner := THROUGH.get((table.name, column.name)):
        held_by = next(iter(column.foreign_keys)).column.table
        is_theirs = column.in_(select(held_by.c.id).where(held_by.c[owner] == person.id))
    else:
        is_theirs = column == person.id
    shown = [c for c in table.columns if c.name not in SECRET and (table.name, c.name) not in LEFT_OUT]
    wanted = select(*shown).where(is_theirs).order_by(*table.primary_key.columns)
    if "submission_id" in table.c and table.name != "conflict":
        wanted = wanted.where(or_(table.c.submission_id.is_(None), table.c.submission_id.not_in(hidden)))
    for row in db.execute(wanted).mappings():
        yield {name: _plain(value) for name, value in row.items()}


def _organisations(db: Session, person_id: uuid.UUID) -> list[dict[str, Any]]:
    table = Base.metadata.tables["membership"]
    mine = select(table.c.organisation_id).where(table.c.person_id == person_id)
    found = db.scalars(select(Organisation).where(Organisation.id.in_(mine)).order_by(Organisation.name))
    return [{"id": str(o.id), "name": o.name, "country": o.country} for o in found]


def _mentions(db: Session, email: str, hidden: frozenset[uuid.UUID]) -> Iterator[dict[str, Any]]:
    """Where the address stands in documents; `parts` are the names of the answers or members that hold it."""
    for name, column_name in DOCUMENTS:
        table = Base.metadata.tables[name]
        column, version = table.c[column_name], Base.metadata.tables["version"]
        source = table.join(version, version.c.id == table.c.version_id) if name == "receipt" else table
        of = version if name == "receipt" else table
        wanted = (
            select(Submission.reference, column)
            .select_from(source.join(Submission.__table__, Submission.id == of.c.submission_id))
            .where(
                func.lower(cast(column, Text)).contains(email.lower(), autoescape=True),
                of.c.submission_id.not_in(hidden),
            )
            .order_by(Submission.reference)
        )
        for reference, held in db.execute(wanted):
            yield {
                "document": f"{name}.{column_name}",
                "submission": reference,
                "parts": sorted(_holders(held, email.lower())),
            }


def _holders(held: dict[str, Any], email: str) -> list[str]:
    return [name for name, value in held.items() if email in str(value).lower()]


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, datetime):
        return times.iso(value)
    if isinstance(value, uuid.UUID | date | Decimal):
        return str(value)
    return value
