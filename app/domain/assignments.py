"""Who reads which dossier: two different people, first and second reader, given by a coordinator, with a day to be ready."""

import uuid
from dataclasses import dataclass
from datetime import date

from sqlalchemy import and_, func, select, update
from sqlalchemy.orm import Session, joinedload

from app.domain import access, audit, memos, references
from app.domain.access import Actor
from app.domain.errors import CallNotClosed, Invalid, NotFound, ReasonMissing
from app.domain.objections import ReaderHasConflict, SeatTaken, SignedOff
from app.domain.progress import READS
from app.domain.questionnaire import Questionnaire
from app.models import Assignment, Conflict, HandIn, Person, SignOff, Submission, Version

SEATS = ("first", "second")
LANGUAGES = ("nl", "en", "other")
REASON_LENGTH = 2000
REASSIGNED, UNDONE = "reassigned", "undone"


@dataclass(frozen=True)
class Candidate:
    """Somebody of the staff, as far as it matters for a seat at one dossier. `load` is what they have yet to hand in."""

    person: Person
    level: str | None
    seat: str | None
    load: int
    reads_it: bool

    @property
    def is_free(self) -> bool:
        """Whether nothing that is known speaks against them."""
        return self.level in (None, "none") and self.seat is None


def find(db: Session, actor: Actor, reference: str) -> tuple[Submission, Version]:
    """A dossier to divide the work on, by title and reference, without opening it. NotFound where the actor may not know it."""
    wanted = references.normalised(reference)
    by_reference = Submission.reference == wanted
    found = (
        db.execute(access.dossiers(actor).where(by_reference)).one_or_none()
        or db.execute(access.exceptional_versions(actor).where(by_reference)).one_or_none()
    )
    if found is None:
        early = db.scalar(select(Submission).where(by_reference))
        if early is not None and early.call.sealed_at is None and actor.is_staff():
            raise CallNotClosed(early.call.closes_at)
        raise NotFound
    submission, version = found
    return submission, version


def live(db: Session, submission: Submission) -> dict[str, Assignment]:
    """Who reads a dossier now, by seat."""
    rows = select(Assignment).where(Assignment.submission_id == submission.id, Assignment.ended_at.is_(None))
    return {a.seat: a for a in db.scalars(rows.options(joinedload(Assignment.person)).order_by(Assignment.seat))}


def own(db: Session, actor: Actor, submission: Submission) -> Assignment | None:
    """The actor's own seat at a dossier."""
    return next((a for a in live(db, submission).values() if a.person_id == actor.person_id), None)


def history(db: Session, submission: Submission) -> list[Assignment]:
    """Every reader that a dossier had, the latest first."""
    rows = select(Assignment).where(Assignment.submission_id == submission.id).order_by(Assignment.assigned_at.desc())
    return list(db.scalars(rows.options(joinedload(Assignment.person), joinedload(Assignment.author))))


def require_unsigned(db: Session, submission: Submission) -> None:
    """SignedOff once a dossier was signed off and not reopened; the database says it again."""
    if db.scalar(select(SignOff.id).where(SignOff.submission_id == submission.id, SignOff.reopened_at.is_(None))):
        raise SignedOff


def language_of(questions: Questionnaire, version: Version) -> str:
    """The language in which a dossier is written, as its call asks it, or as it was submitted."""
    name = questions.review.language
    return str(version.answers.get(name) or version.language) if name else version.language


def staff(db: Session) -> list[Person]:
    """Everybody who may be given a dossier, by address."""
    return list(db.scalars(select(Person).where(Person.staff_role.is_not(None)).order_by(func.lower(Person.email))))


def loads(db: Session, actor: Actor) -> dict[uuid.UUID, int]:
    """How many dossiers each person has yet to hand in, of those that the actor may know."""
    waiting = (
        select(Assignment.person_id, func.count())
        .join(Submission, Submission.id == Assignment.submission_id)
        .outerjoin(HandIn, and_(HandIn.assignment_id == Assignment.id, HandIn.returned_at.is_(None)))
        .where(Assignment.ended_at.is_(None), HandIn.id.is_(None), ~access.has_conflict(actor))
        .group_by(Assignment.person_id)
    )
    return dict(db.execute(waiting).all())


def candidates(
    db: Session, actor: Actor, submission: Submission, version: Version, questions: Questionnaire
) -> list[Candidate]:
    """All staff with what matters for a seat at this dossier, by address."""
    stated = select(Conflict.person_id, Conflict.level).where(
        Conflict.submission_id == submission.id, Conflict.replaced_at.is_(None)
    )
    levels = dict(db.execute(stated).all())
    seats = {a.person_id: seat for seat, a in live(db, submission).items()}
    waiting, language = loads(db, actor), language_of(questions, version)
    return [
        Candidate(p, levels.get(p.id), seats.get(p.id), waiting.get(p.id, 0), language in (p.reads or READS))
        for p in staff(db)
    ]


def assign(
    db: Session,
    actor: Actor,
    submission: Submission,
    seat: str,
    person_id: uuid.UUID,
    due_on: date | None,
    reason: str,
    base_url: str,
    before: str = "",
) -> Assignment:
    """Give a seat to a person; whoever sat there (`before`, as the coordinator saw it) leaves it, and both are told."""
    require_unsigned(db, submission)
    person, reason = db.get(Person, person_id), reason.strip()[:REASON_LENGTH]
    if seat not in SEATS or person is None or person.staff_role is None:
        raise Invalid
    _require_free(db, submission, person, reason)
    seated = live(db, submission)
    previous = seated.get(seat)
    if (str(previous.id) if previous else "") != before or any(a.person_id == person.id for a in seated.values()):
        raise SeatTaken
    if previous:
        _end(db, actor, submission, previous, reason or REASSIGNED)
        memos.taken(db, previous.person, actor.name or actor.email, submission, base_url)
    made = seat_person(db, actor, submission, seat, person, due_on, reason)
    memos.given(db, person, actor.name or actor.email, [submission.reference], due_on, base_url)
    return made


def seat_person(
    db: Session,
    actor: Actor,
    submission: Submission,
    seat: str,
    person: Person,
    due_on: date | None,
    reason: str = "",
    batch: uuid.UUID | None = None,
) -> Assignment:
    """Write a seat down; the database refuses what must not be."""
    made = Assignment(
        submission_id=submission.id,
        person_id=person.id,
        seat=seat,
        due_on=due_on,
        reason=reason,
        batch=batch,
        assigned_by=actor.person_id,
    )
    db.add(made)
    audit.record(db, actor, "assignment.given", submission, person=str(person.id), seat=seat)
    return made


def _require_free(db: Session, submission: Submission, person: Person, reason: str) -> None:
    level = db.scalar(
        select(Conflict.level).where(
            Conflict.submission_id == submission.id, Conflict.person_id == person.id, Conflict.replaced_at.is_(None)
        )
    )
    if level == "conflict":
        raise ReaderHasConflict
    if level == "possible" and not reason:
        raise ReasonMissing


def end(db: Session, actor: Actor, submission: Submission, seat: str, reason: str, base_url: str) -> None:
    """Take a seat away from whoever sits there, with a reason; what they wrote is kept, and no longer counts."""
    require_unsigned(db, submission)
    reason = reason.strip()[:REASON_LENGTH]
    leaving = live(db, submission).get(seat)
    if leaving is None:
        raise NotFound
    if not reason:
        raise ReasonMissing
    _end(db, actor, submission, leaving, reason)
    memos.taken(db, leaving.person, actor.name or actor.email, submission, base_url)


def _end(db: Session, actor: Actor, submission: Submission, leaving: Assignment, reason: str) -> None:
    leaving.ended_by, leaving.end_reason, leaving.ended_at = actor.person_id, reason, func.clock_timestamp()
    audit.record(db, actor, "assignment.ended", submission, person=str(leaving.person_id), seat=leaving.seat)


def set_day(db: Session, actor: Actor, submission: Submission, seat: str, due_on: date | None) -> None:
    """Set another day by which a reader is ready."""
    require_unsigned(db, submission)
    seated = live(db, submission).get(seat)
    if seated is None:
        raise NotFound
    seated.due_on = due_on
    audit.record(db, actor, "assignment.day_set", submission, person=str(seated.person_id), seat=seat)


def undo(db: Session, actor: Actor, submission: Submission, given: Assignment) -> None:
    """End a seat that was given by mistake, before anything was written from it."""
    _end(db, actor, submission, given, UNDONE)


def set_languages(db: Session, actor: Actor, languages: list[str]) -> None:
    """Say in which languages one reads dossiers; the balanced division goes by it."""
    chosen = [language for language in LANGUAGES if language in languages]
    db.execute(update(Person).where(Person.id == actor.person_id).values(reads=chosen or None))
    audit.record(db, actor, "reader.languages_set", languages=chosen)


def languages(db: Session, actor: Actor) -> tuple[str, ...]:
    """In which languages the actor reads dossiers."""
    return tuple(db.get_one(Person, actor.person_id).reads or READS)
