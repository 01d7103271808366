"""What coordinators see of the people: who stated what about the dossiers of a call, and how far each reader is."""

import uuid
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import and_, exists, func, select
from sqlalchemy.orm import Session, joinedload

from app.domain import access, assignments, conflicts
from app.domain.access import Actor
from app.models import Assignment, Call, Conflict, HandIn, Person, Score, Submission

STATED_SHOWN = 200


@dataclass(frozen=True)
class Load:
    """One person in one call: what they stated, and what they were given, began and handed in."""

    person: Person
    stated: dict[str, int]
    unstated: int
    assigned: int = 0
    begun: int = 0
    done: int = 0
    overdue: int = 0


def of(db: Session, actor: Actor, call: Call, today: date) -> list[Load]:
    """Everybody of the staff, by address; of the dossiers that the actor may know."""
    known = access.dossiers(actor).where(Submission.call_id == call.id).with_only_columns(Submission.id)
    total = db.scalar(select(func.count()).select_from(known.subquery())) or 0
    stated: dict[uuid.UUID, dict[str, int]] = {}
    levels = (
        select(Conflict.person_id, Conflict.level, func.count())
        .where(Conflict.submission_id.in_(known), Conflict.replaced_at.is_(None))
        .group_by(Conflict.person_id, Conflict.level)
    )
    for person_id, level, number in db.execute(levels):
        stated.setdefault(person_id, {})[level] = number
    work = {row[0]: row[1:] for row in db.execute(_work(actor, call, today))}
    return [
        Load(
            p,
            {level: stated.get(p.id, {}).get(level, 0) for level in conflicts.LEVELS},
            total - sum(stated.get(p.id, {}).values()),
            *work.get(p.id, (0, 0, 0, 0)),
        )
        for p in assignments.staff(db)
    ]


def _work(actor: Actor, call: Call, today: date) -> Any:
    handed_in = HandIn.id.is_not(None)
    begun = and_(~handed_in, exists().where(Score.assignment_id == Assignment.id))
    return (
        select(
            Assignment.person_id,
            func.count(),
            func.count().filter(begun),
            func.count().filter(handed_in),
            func.count().filter(and_(~handed_in, Assignment.due_on < today)),
        )
        .join(Submission, Submission.id == Assignment.submission_id)
        .outerjoin(HandIn, and_(HandIn.assignment_id == Assignment.id, HandIn.returned_at.is_(None)))
        .where(Submission.call_id == call.id, Assignment.ended_at.is_(None), ~access.has_conflict(actor))
        .group_by(Assignment.person_id)
    )


def stated(db: Session, actor: Actor, call: Call) -> list[Conflict]:
    """The conflicts and possible conflicts that count in a call, by person; not about what is hidden from the actor."""
    rows = (
        select(Conflict)
        .join(Submission, Submission.id == Conflict.submission_id)
        .join(Person, Person.id == Conflict.person_id)
        .where(
            Submission.call_id == call.id,
            Conflict.replaced_at.is_(None),
            Conflict.level != "none",
            ~access.has_conflict(actor),
        )
        .options(joinedload(Conflict.person), joinedload(Conflict.submission))
        .order_by(func.lower(Person.email), Submission.reference)
        .limit(STATED_SHOWN)
    )
    return list(db.scalars(rows))
