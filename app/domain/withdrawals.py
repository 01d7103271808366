"""Taking a case back, with a reason, and undoing that; nothing is deleted either way."""

from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import Session

from app.domain import audit, mails
from app.domain.access import Actor
from app.domain.errors import Forbidden, NothingSubmitted, NotWithdrawn, ReasonMissing
from app.models import Submission, Version, Withdrawal

REASON_LENGTH = 2000


def live(db: Session, submission: Submission) -> Withdrawal | None:
    """The withdrawal that is in force, if any."""
    return db.scalar(
        select(Withdrawal).where(Withdrawal.submission_id == submission.id, Withdrawal.restored_at.is_(None))
    )


def withdraw(db: Session, actor: Actor, submission: Submission, reason: str, issuer: str) -> Withdrawal:
    """Withdraw the case, with a reason; nothing is deleted, and it can be restored until the cutoff."""
    if not actor.may_submit(submission):
        raise Forbidden
    if not (reason := reason.strip()[:REASON_LENGTH]):
        raise ReasonMissing
    if not db.scalar(select(exists().where(Version.submission_id == submission.id))):
        raise NothingSubmitted
    withdrawal = Withdrawal(submission_id=submission.id, reason=reason, withdrawn_by=actor.person_id)
    db.add(withdrawal)
    db.flush()
    audit.record(db, actor, "submission.withdrawn", submission)
    mails.withdrawn(db, actor.email, submission, withdrawal, issuer)
    return withdrawal


def restore(db: Session, actor: Actor, submission: Submission, issuer: str) -> None:
    """Undo a withdrawal: the last version counts again."""
    if not actor.may_submit(submission):
        raise Forbidden
    withdrawal = live(db, submission)
    if withdrawal is None:
        raise NotWithdrawn
    undo(db, actor, submission, withdrawal)
    mails.restored(db, actor.email, submission, issuer)


def undo(db: Session, actor: Actor, submission: Submission, withdrawal: Withdrawal) -> None:
    """Let the last version count again, without a word to anybody."""
    db.execute(
        update(Withdrawal)
        .where(Withdrawal.id == withdrawal.id)
        .values(restored_at=func.clock_timestamp(), restored_by=actor.person_id)
        .execution_options(synchronize_session=False)
    )
    audit.record(db, actor, "submission.restored", submission)
