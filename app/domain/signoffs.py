"""What RVO recommends about a dossier, in the call's own words, and the second reader's signature under it."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from app.domain import assignments, audit, memos, reconciliations, scores
from app.domain.access import Actor
from app.domain.errors import Invalid, NotFound, ReasonMissing, WordsMissing
from app.domain.objections import NotAssigned, SamePerson, TooEarly
from app.domain.questionnaire import Questionnaire
from app.models import Recommendation, SignOff, Submission

TEXT_LENGTH = 10_000


def last(db: Session, submission: Submission) -> Recommendation | None:
    """The recommendation that counts."""
    return next(iter(recommendations(db, submission)), None)


def recommendations(db: Session, submission: Submission) -> list[Recommendation]:
    """Every recommendation written about a dossier, the latest first."""
    rows = select(Recommendation).where(Recommendation.submission_id == submission.id)
    rows = rows.options(joinedload(Recommendation.author))
    return list(db.scalars(rows.order_by(Recommendation.written_at.desc(), Recommendation.id)))


def history(db: Session, submission: Submission) -> list[SignOff]:
    """Every sign-off of a dossier with what reopened it, the latest first."""
    rows = select(SignOff).where(SignOff.submission_id == submission.id)
    rows = rows.options(joinedload(SignOff.signer), joinedload(SignOff.opener))
    return list(db.scalars(rows.order_by(SignOff.signed_at.desc())))


def live(db: Session, submission: Submission) -> SignOff | None:
    """The sign-off that holds the dossier still."""
    rows = select(SignOff).where(SignOff.submission_id == submission.id, SignOff.reopened_at.is_(None))
    return db.scalar(rows.options(joinedload(SignOff.signer)))


def is_ready(db: Session, submission: Submission, questions: Questionnaire) -> bool:
    """Whether a recommendation may follow: both readers are in and, where they scored, agreed."""
    if not questions.review.criteria_for(submission.kind):
        return set(scores.handed_in(db, submission)) == set(assignments.SEATS)
    found = reconciliations.last(db, submission)
    return found is not None and found.agreed_at is not None


def may_write(db: Session, actor: Actor, submission: Submission) -> bool:
    """Whether the actor is the first reader, or a coordinator who is not the second: who signs does not write."""
    seated = assignments.own(db, actor, submission)
    return seated.seat == "first" if seated else actor.is_staff("coordinator")


def recommend(
    db: Session, actor: Actor, submission: Submission, questions: Questionnaire, value: str, text: str
) -> Recommendation:
    """Write a recommendation; one written before is kept, and no longer counts."""
    assignments.require_unsigned(db, submission)
    if not may_write(db, actor, submission):
        raise NotAssigned
    if value not in {word.value for word in questions.review.recommendations}:
        raise Invalid
    text = text.strip()[:TEXT_LENGTH]
    if not text:
        raise WordsMissing
    if not is_ready(db, submission, questions):
        raise TooEarly
    made = Recommendation(submission_id=submission.id, value=value, text=text, written_by=actor.person_id)
    db.add(made)
    audit.record(db, actor, "recommendation.written", submission)
    return made


def may_sign(db: Session, actor: Actor, submission: Submission) -> bool:
    """Whether the actor is the second reader."""
    seated = assignments.own(db, actor, submission)
    return seated is not None and seated.seat == "second"


def sign(db: Session, actor: Actor, submission: Submission, questions: Questionnaire, seen: str) -> SignOff:
    """Sign a dossier off under the recommendation that was `seen` (its id). Nothing changes from then on."""
    assignments.require_unsigned(db, submission)
    if not may_sign(db, actor, submission):
        raise NotAssigned
    written = last(db, submission)
    if written is None or str(written.id) != seen or not is_ready(db, submission, questions):
        raise TooEarly
    if written.written_by == actor.person_id:
        raise SamePerson
    made = SignOff(submission_id=submission.id, recommendation_id=written.id, signed_by=actor.person_id)
    db.add(made)
    audit.record(db, actor, "dossier.signed_off", submission)
    return made


def reopen(db: Session, actor: Actor, submission: Submission, reason: str, base_url: str) -> None:
    """Open a dossier that was signed off, with a reason; the sign-off is kept, and both readers are told."""
    found = live(db, submission)
    if found is None:
        raise NotFound
    reason = reason.strip()[: assignments.REASON_LENGTH]
    if not reason:
        raise ReasonMissing
    found.reopened_by, found.reason, found.reopened_at = actor.person_id, reason, func.clock_timestamp()
    audit.record(db, actor, "dossier.reopened", submission)
    for seated in assignments.live(db, submission).values():
        memos.reopened(db, seated.person, actor.name or actor.email, submission, base_url)
