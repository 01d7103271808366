"""Retention: what is beyond its term and what is kept and why; destroyed on two coordinators' word, with a certificate.

The terms stand in the call file, in months after the deadline. The database counts them by its own clock, checks the two
people itself and destroys; here it is asked, told of and certified.
"""

import uuid
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session, joinedload

from app.domain import audit, calls, statements
from app.domain.access import Actor
from app.domain.clauses import SORTS
from app.domain.errors import Forbidden, Invalid, NotFound, ProposalPending
from app.infra import times
from app.infra.signing import Signer
from app.models import Call, Certificate, Destruction, Person

SUBJECTS = text("""
select r.kept, r.at + make_interval(months => r.months) <= clock_timestamp() and :due as is_due, count(*) as number,
  min(r.at) as oldest, (array_agg(s.reference order by s.reference) filter (where s.id is not null))[1:200] as "references"
from retention_subjects(:call, :sort) r left join submission s on s.id = r.id group by 1, 2 order by 1, 2""")


@dataclass(frozen=True)
class Part:
    """Some of a class, alike in whether it would go. `why`: term, disclosure, exemption, evidence, waiting; None: it goes."""

    why: str | None
    count: int
    oldest: datetime
    references: list[str]


@dataclass
class Class:
    """One class of a call's data: its term, from when on it may go, and what would go or stay."""

    sort: str
    months: int | None
    due_from: datetime | None
    goes: Part | None = None
    stays: list[Part] = field(default_factory=list)
    pending: Destruction | None = None


def report(db: Session, call: Call) -> list[Class]:
    """What would go now, class by class, and what stays and why. Changes nothing."""
    terms = calls.questions(call).retention
    waiting = {d.sort: d for d in history(db, call) if d.confirmed_at is None and d.dropped_at is None}
    return [_class(db, call, sort, terms.get(sort), waiting.get(sort)) for sort in SORTS]


def _class(db: Session, call: Call, sort: str, months: int | None, pending: Destruction | None) -> Class:
    due_from: datetime | None = db.execute(select(func.retention_from(call.id, sort))).scalar_one()
    found = Class(sort, months, due_from, pending=pending)
    due = due_from is not None and due_from <= calls.clock(db)
    for row in db.execute(SUBJECTS, {"call": call.id, "sort": sort, "due": due}):
        why = row.kept or (None if row.is_due else "term")
        part = Part(why, row.number, row.oldest, row.references or [])
        if why is None:
            found.goes = part
        else:
            found.stays.append(part)
    return found


def propose(db: Session, actor: Actor, call: Call, sort: str) -> Destruction:
    """Propose to destroy what is due of a class. Nothing goes yet. TermRuns where nothing is due."""
    if not actor.is_staff("coordinator"):
        raise Forbidden
    if sort not in SORTS:
        raise Invalid
    if any(d.sort == sort and d.confirmed_at is None and d.dropped_at is None for d in history(db, call)):
        raise ProposalPending
    made = Destruction(call_id=call.id, sort=sort, subjects=[], proposed_by=actor.person_id)
    db.add(made)
    db.flush()
    db.refresh(made)  # the database wrote down what is due
    audit.record_call(db, actor, "destruction.proposed", call.id, sort=sort, rows=len(made.subjects))
    return made


def confirm(
    db: Session, actor: Actor, call: Call, destruction_id: uuid.UUID, signer: Signer, issuer: str
) -> Certificate:
    """Destroy what was proposed and is still due, and certify it. NeedsSecondPerson from the one who proposed it.

    The bytes of files go after the commit; see sweeping.
    """
    found = _of(db, actor, call, destruction_id)
    db.execute(select(func.destroy(found.id, actor.person_id)))
    db.expire_all()
    destroyed = found.destroyed or {}
    body = {
        "format": statements.DESTRUCTION,
        "issuer": issuer,
        "call": call.code,
        "sort": found.sort,
        "months": calls.questions(call).retention[found.sort],
        "closes_at": times.iso(call.closes_at),
        "proposed_by": _who(found.proposer),
        "proposed_at": times.iso(found.proposed_at),
        "confirmed_by": _who(found.confirmer),
        "confirmed_at": times.iso(found.confirmed_at or found.proposed_at),
        "destroyed": destroyed,
    }
    made = Certificate(destruction_id=found.id, body=body, jws=statements.sign(signer, body))
    db.add(made)
    audit.record_call(db, actor, "destruction.confirmed", call.id, sort=found.sort, rows=destroyed["count"])
    return made


def _who(person: Person | None) -> str:
    return (person.name or person.email) if person else ""


def drop(db: Session, actor: Actor, call: Call, destruction_id: uuid.UUID) -> None:
    """Take a proposal off the table."""
    found = _of(db, actor, call, destruction_id)
    db.execute(
        update(Destruction)
        .where(Destruction.id == found.id)
        .values(dropped_by=actor.person_id)
        .execution_options(synchronize_session=False)
    )
    db.refresh(found)
    audit.record_call(db, actor, "destruction.dropped", call.id, sort=found.sort)


def _of(db: Session, actor: Actor, call: Call, destruction_id: uuid.UUID) -> Destruction:
    if not actor.is_staff("coordinator"):
        raise Forbidden
    found = db.get(Destruction, destruction_id)
    if found is None or found.call_id != call.id:
        raise NotFound
    return found


def history(db: Session, call: Call) -> list[Destruction]:
    """Every destruction of a call, proposed, carried out or dropped, the newest first."""
    people = (joinedload(Destruction.proposer), joinedload(Destruction.confirmer))
    wanted = select(Destruction).where(Destruction.call_id == call.id).options(*people)
    return list(db.scalars(wanted.order_by(Destruction.proposed_at.desc(), Destruction.id)))


def certificate(db: Session, call: Call, destruction_id: uuid.UUID) -> Certificate:
    """The certificate of a destruction that was carried out."""
    found = db.scalar(
        select(Certificate).join(Destruction).where(Destruction.id == destruction_id, Destruction.call_id == call.id)
    )
    if found is None:
        raise NotFound
    return found
