"""Readers for many dossiers at once: a plan that is shown first, the same whoever asks, then applied, and undone for a day."""

import hashlib
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from sqlalchemy import and_, exists, func, or_, select
from sqlalchemy.orm import Session, joinedload

from app.domain import access, assignments, calls, memos
from app.domain.access import Actor
from app.domain.assignments import SEATS
from app.domain.errors import NotFound
from app.domain.objections import PlanChanged
from app.domain.progress import READS
from app.models import Assignment, Call, Conflict, Person, Score, SignOff, Submission, Version

UNDO_WITHIN = timedelta(days=1)
AT_ONCE = 250  # dossiers of one plan


@dataclass(frozen=True)
class Place:
    """One seat of a plan and who would take it; None where nobody can."""

    submission: Submission
    version: Version
    seat: str
    person: Person | None


@dataclass(frozen=True)
class Plan:
    """Who would read what. `digest` names it, so that what is applied is what was seen."""

    places: list[Place]
    loads: dict[uuid.UUID, int] = field(default_factory=dict)

    @property
    def filled(self) -> list[Place]:
        """The seats that somebody can take."""
        return [place for place in self.places if place.person]

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over who would sit where."""
        lines = [f"{p.submission.reference} {p.seat} {p.person.id if p.person else ''}" for p in self.places]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@dataclass(frozen=True)
class Batch:
    """Seats that were given at once; `begun` of them cannot be taken back, as something was written from there."""

    id: uuid.UUID
    at: datetime
    count: int
    begun: int


def vacant(db: Session, actor: Actor, call: Call) -> list[tuple[Submission, Version]]:
    """The first dossiers of a call that lack a reader, in order of reference: not withdrawn, not signed off."""
    seats = select(func.count()).where(Assignment.submission_id == Submission.id, Assignment.ended_at.is_(None))
    signed = exists().where(SignOff.submission_id == Submission.id, SignOff.reopened_at.is_(None))
    found = access.dossiers(actor).where(
        Submission.call_id == call.id, seats.scalar_subquery() < len(SEATS), ~access.is_withdrawn, ~signed
    )
    return [
        (submission, version) for submission, version in db.execute(found.order_by(Submission.reference).limit(AT_ONCE))
    ]


def plan(db: Session, actor: Actor, call: Call, people: list[Person]) -> Plan:
    """The free seats of a call divided over people: who has least to read first, nobody with a (possible) conflict.

    Dossiers that fewest people can read go first, then in order of reference; between people with as much to read it is
    who has that seat less often, then the order of addresses. The same state gives the same plan.
    """
    open_cases = vacant(db, actor, call)
    ids = [submission.id for submission, _ in open_cases]
    taken = seats(db, ids)
    able = _able(db, call, open_cases, people, taken)
    loads = Counter({p.id: assignments.loads(db, actor).get(p.id, 0) for p in people})
    in_seat: Counter[tuple[uuid.UUID, str]] = Counter()
    places = []
    for submission, version in sorted(open_cases, key=lambda case: (len(able[case[0].id]), case[0].reference)):
        free = list(able[submission.id])
        for seat in (s for s in SEATS if s not in taken.get(submission.id, {})):
            chosen = min(free, key=lambda p: (loads[p.id], in_seat[p.id, seat], p.email.lower()), default=None)
            if chosen:
                free.remove(chosen)
                loads[chosen.id] += 1
                in_seat[chosen.id, seat] += 1
            places.append(Place(submission, version, seat, chosen))
    return Plan(sorted(places, key=lambda p: (p.submission.reference, p.seat)), dict(loads))


def seats(db: Session, ids: list[uuid.UUID]) -> dict[uuid.UUID, dict[str, uuid.UUID]]:
    """Who sits where (ids of people by seat) at each of some dossiers."""
    found: dict[uuid.UUID, dict[str, uuid.UUID]] = {}
    rows = select(Assignment.submission_id, Assignment.seat, Assignment.person_id)
    for submission_id, seat, person_id in db.execute(
        rows.where(Assignment.submission_id.in_(ids), Assignment.ended_at.is_(None))
    ):
        found.setdefault(submission_id, {})[seat] = person_id
    return found


def _able(
    db: Session,
    call: Call,
    open_cases: list[tuple[Submission, Version]],
    people: list[Person],
    taken: dict[uuid.UUID, dict[str, uuid.UUID]],
) -> dict[uuid.UUID, list[Person]]:
    """Who can read each dossier."""
    ids = [submission.id for submission, _ in open_cases]
    speaks = select(Conflict.submission_id, Conflict.person_id).where(
        Conflict.submission_id.in_(ids), Conflict.replaced_at.is_(None), Conflict.level != "none"
    )
    barred = {(submission_id, person_id) for submission_id, person_id in db.execute(speaks)}
    questions, found = calls.questions(call), {}
    for submission, version in open_cases:
        language, seated = assignments.language_of(questions, version), taken.get(submission.id, {}).values()
        found[submission.id] = [
            p
            for p in people
            if (submission.id, p.id) not in barred and p.id not in seated and language in (p.reads or READS)
        ]
    return found


def apply(
    db: Session, actor: Actor, call: Call, people: list[Person], digest: str, due_on: date | None, base_url: str
) -> uuid.UUID:
    """Give the seats of the plan that was shown; PlanChanged when it would come out otherwise by now."""
    wanted = plan(db, actor, call, people)
    if wanted.digest != digest or not wanted.filled:
        raise PlanChanged
    batch = uuid.uuid4()
    told: dict[Person, list[str]] = {}
    for place in wanted.filled:
        if place.person:
            assignments.seat_person(db, actor, place.submission, place.seat, place.person, due_on, batch=batch)
            told.setdefault(place.person, []).append(place.submission.reference)
    for person, references in told.items():
        memos.given(db, person, actor.name or actor.email, references, due_on, base_url)
    return batch


def batches(db: Session, actor: Actor, call: Call) -> list[Batch]:
    """What was given at once in a call within the time for undoing, the latest first."""
    begun = exists().where(Score.assignment_id == Assignment.id)
    rows = (
        select(Assignment.batch, func.max(Assignment.assigned_at), func.count(), func.count().filter(begun))
        .join(Submission, Submission.id == Assignment.submission_id)
        .where(
            Submission.call_id == call.id,
            Assignment.batch.is_not(None),
            Assignment.ended_at.is_(None),
            Assignment.assigned_at > func.clock_timestamp() - UNDO_WITHIN,
            ~access.has_conflict(actor),
        )
        .group_by(Assignment.batch)
        .order_by(func.max(Assignment.assigned_at).desc())
    )
    return [Batch(given, at, count, begun) for given, at, count, begun in db.execute(rows) if given]


def undo(db: Session, actor: Actor, batch: uuid.UUID) -> Call:
    """Take back the seats that were given at once, but for those from which something was written; their call."""
    begun = or_(
        exists().where(Score.assignment_id == Assignment.id),
        exists().where(SignOff.submission_id == Assignment.submission_id, SignOff.reopened_at.is_(None)),
    )
    rows = (
        select(Assignment)
        .join(Submission, Submission.id == Assignment.submission_id)
        .options(joinedload(Assignment.submission))
        .where(
            Assignment.batch == batch,
            Assignment.ended_at.is_(None),
            Assignment.assigned_at > func.clock_timestamp() - UNDO_WITHIN,
            and_(~begun, ~access.has_conflict(actor)),
        )
        .order_by(Submission.reference, Assignment.seat)
    )
    found = list(db.scalars(rows))
    if not found:
        raise NotFound
    for given in found:
        assignments.undo(db, actor, given.submission, given)
    return found[0].submission.call
