"""The work of one reader: the dossiers they were given, what each asks of them next, and by when."""

import uuid
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from app.domain import access, calls
from app.domain.access import Actor
from app.models import (
    Assignment,
    Conflict,
    HandIn,
    Progress,
    Recommendation,
    Reconciliation,
    Submission,
    Version,
)

SHOWN = 200
DONE, WAITS = ("done",), ("wait",)


@dataclass(frozen=True)
class Item:
    """One dossier of a reader; `step` is what they do next, `state` how far the dossier is."""

    submission: Submission
    version: Version
    given: Assignment
    state: str
    step: str
    is_overdue: bool


def mine(db: Session, actor: Actor, today: date) -> list[Item]:
    """The actor's dossiers: what waits for them first, by the day it is due, then what waits for others, then what is done."""
    seats = select(Assignment).where(Assignment.person_id == actor.person_id, Assignment.ended_at.is_(None))
    given = {a.submission_id: a for a in db.scalars(seats.order_by(Assignment.assigned_at.desc()).limit(SHOWN))}
    cases: dict[uuid.UUID, tuple[Submission, Version]] = {}
    for readable in (access.exceptional_versions(actor), access.dossiers(actor)):
        for submission, version in db.execute(readable.where(Submission.id.in_(given))):
            cases[submission.id] = (submission, version)
    steps, states = _steps(db, actor, {i: given[i] for i in cases}, cases), _states(db, list(cases))
    found = [
        Item(case, version, given[i], states.get(i, "assigned"), steps[i], _late(given[i], steps[i], today))
        for i, (case, version) in cases.items()
    ]
    return sorted(found, key=_urgency)


def next_step(db: Session, actor: Actor, submission: Submission, version: Version) -> str | None:
    """What one dossier asks of the actor next; None where they have no seat at it."""
    seat = (Assignment.person_id == actor.person_id, Assignment.submission_id == submission.id)
    given = db.scalar(select(Assignment).where(*seat, Assignment.ended_at.is_(None)))
    if given is None:
        return None
    return _steps(db, actor, {submission.id: given}, {submission.id: (submission, version)})[submission.id]


def _late(given: Assignment, step: str, today: date) -> bool:
    return given.due_on is not None and given.due_on < today and step in ("state", "score")


def _urgency(item: Item) -> tuple[int, date, str]:
    rank = 2 if item.step in DONE else 1 if item.step in WAITS else 0
    return rank, item.given.due_on or date.max, item.submission.reference


def _states(db: Session, ids: list[uuid.UUID]) -> dict[uuid.UUID, str]:
    rows = select(Progress.submission_id, Progress.state).where(Progress.submission_id.in_(ids))
    return dict(db.execute(rows).all())


@dataclass(frozen=True)
class _Work:
    """What there is of the work on one dossier; what counts no longer is left out."""

    state: str
    is_scored: bool
    ins: dict[uuid.UUID, uuid.UUID]
    written: Reconciliation | None
    recommended: Recommendation | None


def _steps(
    db: Session, actor: Actor, given: dict[uuid.UUID, Assignment], cases: dict[uuid.UUID, tuple[Submission, Version]]
) -> dict[uuid.UUID, str]:
    """What is next for each, found with the same few queries however many there are."""
    ids = list(given)
    mine = (Conflict.person_id == actor.person_id, Conflict.submission_id.in_(ids), Conflict.replaced_at.is_(None))
    stated = set(db.scalars(select(Conflict.submission_id).where(*mine)))
    live = select(HandIn).where(HandIn.submission_id.in_(ids), HandIn.returned_at.is_(None))
    ins: dict[uuid.UUID, dict[uuid.UUID, uuid.UUID]] = {i: {} for i in ids}
    for hand_in in db.scalars(live.join(Assignment).where(Assignment.ended_at.is_(None))):
        ins[hand_in.submission_id][hand_in.assignment_id] = hand_in.id
    last = {r.submission_id: r for r in db.scalars(_last(Reconciliation, ids))}
    written = {i: r for i, r in last.items() if {r.first_in, r.second_in} == set(ins[i].values())}
    recommended = {r.submission_id: r for r in db.scalars(_last(Recommendation, ids))}
    states = _states(db, ids)
    scored = {i: bool(calls.questions(case.call).review.criteria_for(case.kind)) for i, (case, _) in cases.items()}
    work = {i: _Work(states.get(i, "assigned"), scored[i], ins[i], written.get(i), recommended.get(i)) for i in ids}
    return {i: _step(actor, given[i], work[i]) if i in stated else "state" for i in ids}


def _last(table: type[Reconciliation] | type[Recommendation], ids: list[uuid.UUID]) -> Select[Any]:
    return (
        select(table)
        .ext(distinct_on(table.submission_id))
        .where(table.submission_id.in_(ids))
        .order_by(table.submission_id, table.written_at.desc(), table.id)
    )


def _step(actor: Actor, given: Assignment, work: _Work) -> str:
    is_first, written, recommended = given.seat == "first", work.written, work.recommended
    if work.state == "signed_off":
        return "done"
    if given.id not in work.ins:
        return "score"
    if len(work.ins) < 2:
        return "wait"
    if work.is_scored and written is None:
        return "reconcile" if is_first else "wait"
    if work.is_scored and written and written.agreed_at is None:
        return "wait" if written.written_by == actor.person_id else "agree"
    if recommended is None or recommended.reconciliation_id != (written.id if written else None):
        return "recommend" if is_first else "wait"
    return "wait" if is_first else "sign"
