"""What happened to a dossier, and what a person did, in words from the audit trail; never about what is closed to the reader."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import Session

from app.domain import access
from app.domain.access import Actor
from app.domain.progress import shown
from app.models import Call, Event, Person, Submission

PAGE = 100


@dataclass(frozen=True)
class Deed:
    """One thing that somebody did, so many times in a row; `at` is the last time."""

    id: int
    name: str
    at: datetime
    who: str | None
    reference: str | None
    detail: dict[str, Any]
    times: int = 1


@dataclass(frozen=True)
class Trail:
    """Some deeds, the latest first, and the place to go on from; None at the end."""

    deeds: list[Deed]
    older: int | None


def of_dossier(db: Session, submission: Submission, older: int | None = None) -> Trail:
    """What happened to a dossier, by its respondent, staff and the portal."""
    return _trail(db, _lines().where(Event.submission_id == submission.id), older)


def of_person(db: Session, actor: Actor, person_id: uuid.UUID, older: int | None = None) -> Trail:
    """What a member of staff did as far as the actor may know: nothing about a dossier that is closed to the actor.

    Before a call is sealed what was done in it is left out, but for what concerns the call itself.
    """
    return _trail(db, _lines().where(Event.person_id == person_id, _may_know(actor)), older)


def _may_know(actor: Actor) -> ColumnElement[bool]:
    known = ~access.has_conflict(actor) & access.is_sealed
    return or_(Event.submission_id.is_(None), known)


def _lines() -> Select[Any]:
    return (
        select(Event.id, Event.name, Event.at, shown(Person), Submission.reference, Event.detail)
        .outerjoin(Person, Person.id == Event.person_id)
        .outerjoin(Submission, Submission.id == Event.submission_id)
        .outerjoin(Call, Call.id == Submission.call_id)
        .order_by(Event.id.desc())
        .limit(PAGE + 1)
    )


def _trail(db: Session, lines: Select[Any], older: int | None) -> Trail:
    rows = [Deed(*row) for row in db.execute(lines.where(Event.id < older) if older else lines)]
    return Trail(_folded(rows[:PAGE]), rows[PAGE - 1].id if len(rows) > PAGE else None)


def _folded(deeds: list[Deed]) -> list[Deed]:
    """The same deed of the same person again and again, such as opening pages, is one line."""
    found: list[Deed] = []
    for deed in deeds:
        before = found[-1] if found else None
        if before and (before.name, before.who, before.reference) == (deed.name, deed.who, deed.reference):
            found[-1] = Deed(before.id, before.name, before.at, before.who, before.reference, {}, before.times + 1)
        else:
            found.append(deed)
    return found
