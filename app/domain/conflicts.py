"""The gate in front of a dossier: what each member of staff states about their own interest in it; changed, never erased."""

import uuid

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, joinedload

from app.domain import access, assignments, audit, calls, memos, ownership, references
from app.domain.access import Actor
from app.domain.errors import CallNotClosed, ConflictNotStated, Invalid, NotFound, ReasonMissing
from app.models import Assignment, Conflict, Person, Submission, Version

LEVELS = ("none", "possible", "conflict")
REASON_LENGTH = 2000
Names = tuple[list[str], list[str]]  # of those who take part, and of their owners


def load(db: Session, reference: str) -> tuple[Submission, Version]:
    """A submission whose gate a member of staff stands before, with its last version, for who takes part in it.

    CallNotClosed until its call is sealed; NotFound where nothing was submitted.
    """
    last = (
        select(Submission, Version)
        .join(Version, Version.submission_id == Submission.id)
        .where(Submission.reference == references.normalised(reference))
        .order_by(Version.number.desc())
        .limit(1)
    )
    found = db.execute(last).one_or_none()
    if found is None:
        raise NotFound
    submission, version = found
    if submission.call.sealed_at is None:
        raise CallNotClosed(submission.call.closes_at)
    return submission, version


def parties(db: Session, actor: Actor, cases: list[tuple[Submission, Version]]) -> dict[str, Names]:
    """Who takes part in each case, and their owners, by its reference: those whom one may have an interest in.

    That it was read is on record. Not for those with a conflict.
    """
    found = {
        submission.reference: ownership.names(
            calls.questions_of(db, version.definition_digest).parts.entities, version.answers
        )
        for submission, version in cases
    }
    audit.record_each(db, actor, "parties.read", [submission for submission, _ in cases])
    return found


def live(db: Session, actor: Actor, submission: Submission) -> Conflict | None:
    """What the actor states now."""
    return of_person(db, actor.person_id, submission)


def of_person(db: Session, person_id: uuid.UUID | None, submission: Submission) -> Conflict | None:
    """What a person states now about a dossier."""
    return db.scalar(
        select(Conflict).where(
            Conflict.person_id == person_id,
            Conflict.submission_id == submission.id,
            Conflict.replaced_at.is_(None),
        )
    )


def require_stated(db: Session, actor: Actor, submission: Submission) -> None:
    """ConflictNotStated to staff who have not said yet whether they have an interest in the dossier."""
    if actor.is_staff() and live(db, actor, submission) is None:
        raise ConflictNotStated(reference=submission.reference)


def state(db: Session, actor: Actor, submission: Submission, level: str, reason: str, base_url: str = "") -> Conflict:
    """State one's interest in a dossier. An earlier statement is kept, and no longer counts.

    With a conflict the actor's seat at the dossier ends, and the coordinators are told.
    """
    if level not in LEVELS:
        raise Invalid
    reason = reason.strip()[:REASON_LENGTH]
    if level != "none" and not reason:
        raise ReasonMissing
    db.execute(select(Person.id).where(Person.id == actor.person_id).with_for_update(key_share=True))  # one at a time
    db.execute(
        update(Conflict)
        .where(
            Conflict.person_id == actor.person_id,
            Conflict.submission_id == submission.id,
            Conflict.replaced_at.is_(None),
        )
        .values(replaced_at=func.clock_timestamp())
        .execution_options(synchronize_session=False)
    )
    seated = assignments.own(db, actor, submission)
    made = Conflict(submission_id=submission.id, person_id=actor.person_id, level=level, reason=reason)
    db.add(made)
    audit.record(db, actor, "conflict.stated", submission, level=level)
    if seated is not None and level == "conflict":  # the database has ended the seat
        db.expire(seated)
        audit.record(db, actor, "assignment.ended", submission, person=str(actor.person_id), seat=seated.seat)
        memos.left(db, actor.name or actor.email, submission, base_url)
    return made


def unstated(db: Session, actor: Actor) -> list[tuple[Submission, Version]]:
    """The dossiers assigned to the actor of which they have not said yet whether they have an interest."""
    stated = select(Conflict.submission_id).where(Conflict.person_id == actor.person_id, Conflict.replaced_at.is_(None))
    mine = select(Assignment.submission_id).where(
        Assignment.person_id == actor.person_id, Assignment.ended_at.is_(None)
    )
    found = access.dossiers(actor).where(Submission.id.in_(mine), Submission.id.not_in(stated))
    return [(submission, version) for submission, version in db.execute(found.order_by(Submission.reference))]


def deny_all(db: Session, actor: Actor, wanted: list[str]) -> list[Submission]:
    """State no conflict about several dossiers at once, of those assigned and not stated yet; those it was stated of."""
    chosen = [submission for submission, _ in unstated(db, actor) if submission.reference in wanted]
    for submission in chosen:
        state(db, actor, submission, "none", "")
    return chosen


def history(db: Session, actor: Actor, submission: Submission) -> list[Conflict]:
    """What the actor stated about a dossier, the latest first."""
    stated = select(Conflict).where(Conflict.person_id == actor.person_id, Conflict.submission_id == submission.id)
    return list(db.scalars(stated.order_by(Conflict.stated_at.desc())))


def mine(db: Session, actor: Actor) -> list[Conflict]:
    """What the actor states now about all dossiers, the latest first."""
    stated = select(Conflict).where(Conflict.person_id == actor.person_id, Conflict.replaced_at.is_(None))
    return list(db.scalars(stated.options(joinedload(Conflict.submission)).order_by(Conflict.stated_at.desc())))
