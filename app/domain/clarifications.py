"""Clarifications: RVO asks a respondent about a fact after the seal, and gets one answer, in time; beside what was sealed."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, joinedload, selectinload

from app.domain import attachments, audit, calls, conflicts, letters, statements
from app.domain.access import Actor
from app.domain.attachments import Taken
from app.domain.errors import (
    AlreadyWithdrawn,
    CallStillOpen,
    ConflictNotStated,
    Forbidden,
    Invalid,
    NotFound,
    ReasonMissing,
    TooManyFiles,
    WordsMissing,
)
from app.domain.objections import ClarificationAnswered, DuePassed
from app.infra import times
from app.infra.i18n import N_, Message
from app.models import Answer, Clarification, Extension, Submission, Version, Withdrawal

FORMAT = "eoi-answer/1"
WORDS_LENGTH = 5000
REASON_LENGTH = 2000
LONGEST = timedelta(days=366)  # ahead of today: beyond it a typing error is certain
NO_TOPIC = N_("Choose what the question is about: only the facts that the call names may be asked.")
TOO_FAR = N_("That day is more than a year away. Choose an earlier one.")
FULL = N_("Nothing was sent: an answer may hold 20 files and 200 MB in all. Send fewer.")

State = Literal["open", "overdue", "answered", "withdrawn"]


def state(clarification: Clarification, now: datetime) -> State:
    """Where a question stands; only the database's own reading at the answer decides on `overdue`."""
    if clarification.answer is not None:
        return "answered"
    if clarification.withdrawn_at is not None:
        return "withdrawn"
    return "overdue" if now >= clarification.due_at else "open"


def ask(
    db: Session,
    actor: Actor,
    submission: Submission,
    version: Version,
    topic: str,
    words: str,
    due_on: date,
    base_url: str,
) -> Clarification:
    """Ask the respondent; the answer is due at the end of `due_on` in the call's zone. Sent in the portal and by mail."""
    _require_free(db, actor, submission)
    if submission.call.sealed_at is None:
        raise CallStillOpen
    if _is_withdrawn(db, submission):
        raise AlreadyWithdrawn
    if topic not in {known.value for known in calls.questions(submission.call).topics}:
        raise Invalid(Message(NO_TOPIC))
    if not (words := words.strip()[:WORDS_LENGTH]):
        raise WordsMissing
    made = Clarification(
        submission_id=submission.id,
        number=0,  # the database numbers
        topic=topic,
        words=words,
        language=version.language,
        asked_by=actor.person_id,
        due_at=_end_of(db, submission, due_on),
    )
    db.add(made)
    db.flush()
    db.refresh(made)
    audit.record(
        db, actor, "clarification.asked", submission, number=made.number, topic=topic, due_at=times.iso(made.due_at)
    )
    letters.asked(db, made, version, base_url)
    return made


def _require_free(db: Session, actor: Actor, submission: Submission) -> None:
    """Staff who stated no conflict; ConflictNotStated before a statement, NotFound for others."""
    stated = conflicts.live(db, actor, submission) if actor.is_staff() else None
    if actor.is_staff() and stated is None:
        raise ConflictNotStated
    if stated is None or stated.level == "conflict":
        raise NotFound


def _is_withdrawn(db: Session, submission: Submission) -> bool:
    live = select(Withdrawal.id).where(Withdrawal.submission_id == submission.id, Withdrawal.restored_at.is_(None))
    return db.scalar(live) is not None


def _end_of(db: Session, submission: Submission, day: date) -> datetime:
    """The instant at which a day ends in the call's zone. DuePassed where it has, or is too far away."""
    now = calls.clock(db)
    try:
        due_at = datetime.combine(day + timedelta(days=1), time(0), ZoneInfo(submission.call.zone))
    except OverflowError as failure:
        raise DuePassed(Message(TOO_FAR)) from failure
    if due_at <= now:
        raise DuePassed
    if due_at > now + LONGEST:
        raise DuePassed(Message(TOO_FAR))
    return due_at


def extend(db: Session, actor: Actor, submission: Submission, number: int, due_on: date, base_url: str) -> None:
    """Give more time, whether or not the old day has passed. Refused once there is an answer."""
    _require_free(db, actor, submission)
    found = one(db, submission, number)
    made = Extension(
        clarification_id=found.id,
        due_from=found.due_at,
        due_to=_end_of(db, submission, due_on),
        extended_by=actor.person_id,
    )
    db.add(made)
    db.flush()
    db.refresh(made)
    db.expire(found)
    audit.record(
        db,
        actor,
        "clarification.extended",
        submission,
        number=number,
        due_from=times.iso(made.due_from),
        due_at=times.iso(made.due_to),
    )
    letters.extended(db, found, _last_version(db, submission), base_url)


def withdraw(db: Session, actor: Actor, submission: Submission, number: int, reason: str, base_url: str) -> None:
    """Take a question back; it stays on record with the reason, which the respondent reads too."""
    _require_free(db, actor, submission)
    if not (reason := reason.strip()[:REASON_LENGTH]):
        raise ReasonMissing
    found = one(db, submission, number)
    db.execute(
        update(Clarification)
        .where(Clarification.id == found.id)
        .values(withdrawn_at=func.clock_timestamp(), withdrawn_by=actor.person_id, withdrawn_because=reason)
        .execution_options(synchronize_session=False)
    )
    db.expire(found)
    audit.record(db, actor, "clarification.withdrawn", submission, number=number)
    letters.withdrawn(db, found, _last_version(db, submission), base_url)


def answer(
    db: Session, actor: Actor, submission: Submission, number: int, words: str, files: Iterable[Taken], base_url: str
) -> Answer:
    """Answer a question of one's own case, once and before it is due, by the database's clock after its lock.

    Owners and editors only. Confirmed by mail with the SHA-256 of what was said.
    """
    found = one(db, submission, number)
    if not actor.may_edit(submission):
        raise Forbidden
    if found.answer is not None:
        raise ClarificationAnswered
    if not (words := words.strip()[:WORDS_LENGTH]):
        raise WordsMissing
    kept = [vars(taken) for taken in {taken.sha256: taken for taken in files}.values()]
    if len(kept) > attachments.MAX_FILES or sum(file["size"] for file in kept) > attachments.MAX_TOTAL:
        raise TooManyFiles(Message(FULL))
    said = {"format": FORMAT, "reference": submission.reference, "number": number, "question": found.words}
    digest = statements.digest(said | {"words": words, "files": kept})
    made = Answer(clarification_id=found.id, words=words, files=kept, digest=digest, answered_by=actor.person_id)
    db.add(made)
    db.flush()
    db.refresh(made)
    db.expire(found)
    audit.record(db, actor, "clarification.answered", submission, number=number, sha256=digest, files=len(kept))
    letters.answered(db, found, made, _last_version(db, submission), base_url)
    asker = found.asker
    stated = conflicts.of_person(db, asker.id, submission)
    if asker.staff_role and stated is not None and stated.level != "conflict":
        letters.came_in(db, found, made, asker, base_url)
    return made


def _last_version(db: Session, submission: Submission) -> Version:
    last = select(Version).where(Version.submission_id == submission.id).order_by(Version.number.desc()).limit(1)
    return db.scalars(last).one()


def of_submission(db: Session, submission: Submission) -> list[Clarification]:
    """Every question about a case with its answer and its history, the first first."""
    return list(
        db.scalars(
            select(Clarification)
            .where(Clarification.submission_id == submission.id)
            .options(
                joinedload(Clarification.answer).joinedload(Answer.answerer),
                joinedload(Clarification.asker),
                joinedload(Clarification.withdrawer),
                selectinload(Clarification.extensions).joinedload(Extension.extender),
            )
            .order_by(Clarification.number)
        )
    )


def with_states(db: Session, submission: Submission) -> list[tuple[Clarification, State]]:
    """Every question about a case, with where it stands now."""
    now = calls.clock(db)
    return [(found, state(found, now)) for found in of_submission(db, submission)]


def one(db: Session, submission: Submission, number: int) -> Clarification:
    """One question by its number; NotFound when there is none."""
    found = next((c for c in of_submission(db, submission) if c.number == number), None)
    if found is None:
        raise NotFound
    return found


def open_among(db: Session, cases: Iterable[Submission]) -> dict[UUID, list[Clarification]]:
    """The questions that can still be answered now, by case."""
    found: dict[UUID, list[Clarification]] = {}
    waiting = (
        select(Clarification)
        .outerjoin(Answer)
        .where(
            Clarification.submission_id.in_([case.id for case in cases]),
            Clarification.withdrawn_at.is_(None),
            Clarification.due_at > func.clock_timestamp(),
            Answer.clarification_id.is_(None),
        )
        .order_by(Clarification.number)
    )
    for clarification in db.scalars(waiting):
        found.setdefault(clarification.submission_id, []).append(clarification)
    return found


def file_of(db: Session, submission: Submission, sha256: str, number: int | None = None) -> dict[str, object] | None:
    """A file given with an answer (to one question, or to any) by its digest."""
    for clarification in of_submission(db, submission):
        if clarification.answer and number in (None, clarification.number):
            for file in clarification.answer.files:
                if file["sha256"] == sha256:
                    return dict(file)
    return None
