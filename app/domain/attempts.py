"""The attempt ledger: every press on submit as a row with the database's instant, whatever came of it.

An accepted press is written in the transaction that accepts it; a refused one in a transaction of its own, after the
rollback. A press that the database could not take down is kept by the process and written once it is back. A press is
tied to the submission at its address, whoever pressed, and to the person signed in; one that is tied to neither (not
signed in, and no such submission) is nobody's, and is not written.
"""

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import exists, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.domain import calls, references, sign_ins
from app.domain.errors import NotFound, NotReady, Throttled
from app.models import Attempt, Membership, Participation, Person, Refusal, Submission

ACCEPTED = "accepted"
AGAIN = "accepted_before"  # the same key or the same content: the version of then is given back
KEY_LENGTH = 100
TRIED_LENGTH = 40
PRESSES = 60  # a minute, person and submission; beyond, a press is written down and goes no further
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Press:
    """A press that was refused, as it reached the portal. `reference` is the attempt's own; `tried` is as typed.

    `secret` is that of the session, where nobody had looked yet whose it is. `pressed_at` is the portal's clock,
    `judged_at` the instant (RFC 3339) by which the database refused, where it did.
    """

    reference: str
    tried: str
    code: str
    key: str
    pressed_at: datetime
    person_id: uuid.UUID | None = None
    judged_at: str | None = None
    secret: str | None = field(default=None, repr=False)


def outcome(code: str) -> str:
    """What a press came to, by its code: accepted, invalid (not ready), or refused."""
    if code in (ACCEPTED, AGAIN):
        return "accepted"
    return "invalid" if code == NotReady.code else "refused"


def record(db: Session, submission: Submission, person_id: uuid.UUID | None, code: str, key: str) -> None:
    """Write down a press in the transaction at hand."""
    db.execute(
        insert(Attempt).values(
            submission_id=submission.id,
            person_id=person_id,
            outcome=outcome(code),
            code=code,
            idempotency_key=key[:KEY_LENGTH],
            reference=references.new(calls.clock(db)),
        )
    )


def write(db: Session, press: Press, is_afterwards: bool = False) -> Attempt | None:
    """Write down a refused press; None when it is nobody's. `is_afterwards`: the database was away when it was made."""
    wanted = references.normalised(press.tried)
    submission_id = db.scalar(select(Submission.id).where(Submission.reference == wanted)) if wanted else None
    person_id = press.person_id or sign_ins.actor_of(db, press.secret).person_id
    if submission_id is None and person_id is None:
        return None
    statement = (
        insert(Attempt)
        .values(
            reference=press.reference,
            submission_id=submission_id,
            person_id=person_id,
            outcome=outcome(press.code),
            code=press.code,
            idempotency_key=press.key[:KEY_LENGTH],
            tried=None if submission_id else press.tried[:TRIED_LENGTH],
            pressed_at=press.pressed_at if is_afterwards else None,
        )
        .on_conflict_do_nothing(index_elements=[Attempt.reference])  # written already, and only the answer was lost
        .returning(Attempt)
    )
    return db.scalars(statement).one_or_none()


def hold_back(pressed: int) -> None:
    """Throttled when somebody submitted more often in a minute than anybody can press."""
    if pressed >= PRESSES:
        raise Throttled(retry_after=int(MINUTE.total_seconds()))


def refused(db: Session, submission: Submission) -> list[tuple[Attempt, str, bool]]:
    """The refused presses of a submission's own people, newest first: (attempt, who, whether it has a signed refusal)."""
    member = exists().where(
        Membership.organisation_id == submission.organisation_id, Membership.person_id == Attempt.person_id
    )
    invited = exists().where(
        Participation.submission_id == submission.id,
        Participation.person_id == Attempt.person_id,
        Participation.accepted_at.is_not(None),
    )
    signed = exists().where(Refusal.attempt_id == Attempt.id)
    rows = db.execute(
        select(Attempt, Person.email, signed)
        .join(Person, Person.id == Attempt.person_id)
        .where(Attempt.submission_id == submission.id, Attempt.outcome == "refused", or_(member, invited))
        .order_by(Attempt.at.desc())
        .limit(20)
    )
    return [(attempt, email, is_signed) for attempt, email, is_signed in rows]


def refusal(db: Session, submission: Submission, reference: str, person_id: uuid.UUID | None) -> Refusal:
    """The signed refusal of an attempt, for the one who tried; NotFound for anybody else."""
    found = db.scalar(
        select(Refusal)
        .join(Attempt, Attempt.id == Refusal.attempt_id)
        .where(
            Attempt.submission_id == submission.id,
            Attempt.person_id == person_id,
            Attempt.reference == references.normalised(reference),
        )
    )
    if found is None:
        raise NotFound
    return found
