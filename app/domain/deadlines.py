"""Changes of a deadline: proposed by one coordinator with a reason, confirmed by another; the database holds the rules."""

import uuid
from datetime import datetime

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session, joinedload

from app.domain import audit, calls, mails
from app.domain.access import Actor
from app.domain.errors import CallSealed, DeadlineRefused, Forbidden, NotFound, ProposalPending, ReasonMissing
from app.infra import times
from app.infra.i18n import LANGUAGES, N_, Message
from app.models import Call, DeadlineChange, Version

REASON_LENGTH = 2000
SAME = N_("The call closes at that instant already. Choose another.")


def propose(db: Session, actor: Actor, call: Call, closes_to: datetime, reason: dict[str, str]) -> DeadlineChange:
    """Propose to close the call at `closes_to`, with a reason in every language of the portal. Nothing moves yet.

    DeadlineRefused for an instant that the database would not take: not after now, or not after every receipt given.
    """
    if not actor.is_staff("coordinator"):
        raise Forbidden
    given = {language: reason.get(language, "").strip()[:REASON_LENGTH] for language in LANGUAGES}
    if not all(given.values()):
        raise ReasonMissing
    if call.sealed_at is not None:
        raise CallSealed
    if closes_to == call.closes_at:
        raise DeadlineRefused(Message(SAME))
    last = db.scalar(select(func.max(Version.received_at)).where(Version.call_id == call.id))
    if closes_to <= max(filter(None, (calls.clock(db), call.opens_at, last))):
        raise DeadlineRefused
    if pending(db, call) is not None:
        raise ProposalPending
    change = DeadlineChange(
        call_id=call.id, closes_from=call.closes_at, closes_to=closes_to, reason=given, proposed_by=actor.person_id
    )
    db.add(change)
    db.flush()
    db.refresh(change)  # the database stamped it, and read the deadline that it starts from
    audit.record_call(db, actor, "deadline.proposed", call.id, **_moved(change))
    return change


def confirm(db: Session, actor: Actor, call: Call, change_id: uuid.UUID, base_url: str) -> DeadlineChange:
    """Move the deadline as proposed and queue a mail to everybody with a draft or a submission, in one transaction.

    Waits for the submits under way. NeedsSecondPerson from the one who proposed it, CallSealed after the seal,
    DeadlineRefused when the instant has passed or the deadline moved meanwhile.
    """
    change = _of(db, actor, call, change_id)
    db.execute(select(func.confirm_deadline(change.id, actor.person_id)))  # holds the call's row until the commit
    db.refresh(change)
    db.refresh(call)
    told = mails.deadline_moved(db, call, change, base_url)
    audit.record_call(db, actor, "deadline.confirmed", call.id, **_moved(change), mails=told)
    return change


def drop(db: Session, actor: Actor, call: Call, change_id: uuid.UUID) -> None:
    """Take a proposal off the table. Immutable once it is confirmed or dropped."""
    change = _of(db, actor, call, change_id)
    db.execute(
        update(DeadlineChange)
        .where(DeadlineChange.id == change.id)
        .values(dropped_by=actor.person_id)
        .execution_options(synchronize_session=False)
    )
    db.refresh(change)
    audit.record_call(db, actor, "deadline.dropped", call.id, **_moved(change))


def _of(db: Session, actor: Actor, call: Call, change_id: uuid.UUID) -> DeadlineChange:
    if not actor.is_staff("coordinator"):
        raise Forbidden
    change = db.get(DeadlineChange, change_id)
    if change is None or change.call_id != call.id:
        raise NotFound
    return change


def _moved(change: DeadlineChange) -> dict[str, str]:
    return {"closes_from": times.iso(change.closes_from), "closes_to": times.iso(change.closes_to)}


def pending(db: Session, call: Call) -> DeadlineChange | None:
    """The proposal that waits for a second person, if there is one."""
    waits = (DeadlineChange.confirmed_at.is_(None), DeadlineChange.dropped_at.is_(None))
    return db.scalar(_with_people().where(DeadlineChange.call_id == call.id, *waits))


def history(db: Session, call: Call) -> list[DeadlineChange]:
    """Every proposal with the people in it, the newest first. For staff: others read `confirmed`."""
    newest_first = (DeadlineChange.proposed_at.desc(), DeadlineChange.id)
    return list(db.scalars(_with_people().where(DeadlineChange.call_id == call.id).order_by(*newest_first)))


def _with_people() -> Select[DeadlineChange]:
    people = (DeadlineChange.proposer, DeadlineChange.confirmer, DeadlineChange.dropper)
    return select(DeadlineChange).options(*(joinedload(one) for one in people))


def confirmed(db: Session, call: Call) -> list[DeadlineChange]:
    """The changes that moved the deadline, the newest first; everybody may read them, without the people in them."""
    return list(
        db.scalars(
            select(DeadlineChange)
            .where(DeadlineChange.call_id == call.id, DeadlineChange.confirmed_at.is_not(None))
            .order_by(DeadlineChange.confirmed_at.desc())
        )
    )
