"""Exemptions: after the seal two coordinators let one submitter in for a while, outside the sealed set, which never changes."""

import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, joinedload

from app.domain import audit, calls, mails, references
from app.domain.access import Actor
from app.domain.calls import State
from app.domain.errors import (
    CallClosed,
    CallNotOpen,
    CallStillOpen,
    DeadlineRefused,
    Forbidden,
    NotFound,
    ProposalPending,
    ReasonMissing,
)
from app.infra import times
from app.infra.i18n import N_, Message
from app.models import Call, Exemption, Submission

REASON_LENGTH = 2000
PASSED = N_("That instant has passed. Choose a later one.")


class Window(NamedTuple):
    """Whether a case may be changed now, and the exemption that alone lets it."""

    state: State
    exemption: Exemption | None


def propose(db: Session, actor: Actor, submission: Submission, reason: str, until: datetime) -> Exemption:
    """Propose to let one submitter in until `until`. CallStillOpen before the seal: until then a deadline is moved."""
    if not actor.is_staff("coordinator"):
        raise Forbidden
    if not (reason := reason.strip()[:REASON_LENGTH]):
        raise ReasonMissing
    if submission.call.sealed_at is None:
        raise CallStillOpen
    if until <= calls.clock(db):
        raise DeadlineRefused(Message(PASSED))
    if any(e.submission_id == submission.id and _is_pending(e) for e in of_call(db, submission.call)):
        raise ProposalPending
    exemption = Exemption(
        submission_id=submission.id,
        call_id=submission.call_id,
        reason=reason,
        until=until,
        proposed_by=actor.person_id,
    )
    db.add(exemption)
    db.flush()
    db.refresh(exemption)
    audit.record(db, actor, "exemption.proposed", submission, until=times.iso(exemption.until))
    return exemption


def confirm(db: Session, actor: Actor, call: Call, exemption_id: uuid.UUID, base_url: str) -> Exemption:
    """Let the submitter in from now on, and tell everybody of the organisation. NeedsSecondPerson from the proposer."""
    exemption = _of(db, actor, call, exemption_id)
    db.execute(select(func.confirm_exemption(exemption.id, actor.person_id)))
    db.refresh(exemption)
    mails.exempted(db, exemption.submission, exemption, base_url)
    audit.record(db, actor, "exemption.confirmed", exemption.submission, until=times.iso(exemption.until))
    return exemption


def drop(db: Session, actor: Actor, call: Call, exemption_id: uuid.UUID) -> None:
    """Take a proposal off the table. Immutable once it is confirmed or dropped."""
    exemption = _of(db, actor, call, exemption_id)
    db.execute(
        update(Exemption)
        .where(Exemption.id == exemption.id)
        .values(dropped_by=actor.person_id)
        .execution_options(synchronize_session=False)
    )
    db.refresh(exemption)
    audit.record(db, actor, "exemption.dropped", exemption.submission, until=times.iso(exemption.until))


def _of(db: Session, actor: Actor, call: Call, exemption_id: uuid.UUID) -> Exemption:
    if not actor.is_staff("coordinator"):
        raise Forbidden
    exemption = db.get(Exemption, exemption_id)
    if exemption is None or exemption.call_id != call.id:
        raise NotFound
    return exemption


def _is_pending(exemption: Exemption) -> bool:
    return exemption.confirmed_at is None and exemption.dropped_at is None


def submission_in(db: Session, call: Call, reference: str) -> Submission:
    """The case in a call that a coordinator means by a reference; NotFound when there is none."""
    wanted = references.normalised(reference)
    found = db.scalar(select(Submission).where(Submission.call_id == call.id, Submission.reference == wanted))
    if found is None:
        raise NotFound
    return found


def of_call(db: Session, call: Call) -> list[Exemption]:
    """Every exemption of a call, proposed, confirmed or dropped, the newest first. For coordinators."""
    return list(
        db.scalars(
            select(Exemption)
            .where(Exemption.call_id == call.id)
            .options(
                joinedload(Exemption.submission),
                joinedload(Exemption.proposer),
                joinedload(Exemption.confirmer),
                joinedload(Exemption.dropper),
            )
            .order_by(Exemption.proposed_at.desc(), Exemption.id)
        )
    )


def foretell(db: Session, submission: Submission) -> None:
    """Refuse as the database would refuse a write to this case now, at an instant of its clock, where nothing is written."""
    call, now = submission.call, calls.clock(db)
    if calls.is_open(call, now) or (now >= call.opens_at and live(db, submission)):
        return
    raise (CallNotOpen if now < call.opens_at else CallClosed)(at=times.iso(now))


def live(db: Session, submission: Submission) -> Exemption | None:
    """The exemption by which the database would take a write to this case now, if any; it decides itself at the write."""
    return live_among(db, [submission]).get(submission.id)


def live_among(db: Session, cases: Iterable[Submission]) -> dict[uuid.UUID, Exemption]:
    """The exemptions in force, by submission."""
    found = db.scalars(
        select(Exemption)
        .where(
            Exemption.submission_id.in_([case.id for case in cases]),
            Exemption.confirmed_at.is_not(None),
            Exemption.until > func.clock_timestamp(),
        )
        .order_by(Exemption.until)
    )
    return {exemption.submission_id: exemption for exemption in found}


def window(db: Session, submission: Submission) -> Window:
    """The window of one case: its call's, or the one that an exemption opens for it alone."""
    exemption = live(db, submission)
    return Window("open" if exemption else calls.state(submission.call, calls.clock(db)), exemption)
