"""Notes and tags of staff about a dossier: for colleagues only, never part of what respondents or EuroHPC get."""

import re
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, joinedload, selectinload

from app.domain import access, audit, memos
from app.domain.access import Actor
from app.domain.errors import Invalid, NotFound, WordsMissing
from app.models import Call, Conflict, Mention, Note, Person, Submission, Tag

TEXT_LENGTH = 10_000
TAG_LENGTH = 40
SHOWN = 100
NAMED = re.compile(r"@([\w.+-]+)")


def listed(db: Session, submission: Submission) -> list[Note]:
    """The notes of a dossier, the latest first."""
    rows = select(Note).where(Note.submission_id == submission.id)
    rows = rows.options(joinedload(Note.person), selectinload(Note.mentions).joinedload(Mention.person))
    return list(db.scalars(rows.order_by(Note.written_at.desc(), Note.id).limit(SHOWN)))


def colleagues(db: Session, actor: Actor, submission: Submission) -> list[Person]:
    """Whom a note can be meant for: staff without a conflict about the dossier, but for the actor."""
    barred = select(Conflict.person_id).where(
        Conflict.submission_id == submission.id, Conflict.level == "conflict", Conflict.replaced_at.is_(None)
    )
    return list(
        db.scalars(
            select(Person)
            .where(Person.staff_role.is_not(None), Person.id.not_in(barred), Person.id != actor.person_id)
            .order_by(func.lower(Person.email))
        )
    )


def named_in(text: str, people: list[Person]) -> list[Person]:
    """Whom a text names as `@jo` or `@Jo.Jansen`: by the first part of their address, or their name with dots."""
    words = {word.rstrip(".").casefold() for word in NAMED.findall(text)}
    return [p for p in people if {p.email.split("@")[0].casefold(), ".".join(p.name.split()).casefold()} & words]


def write(
    db: Session, actor: Actor, submission: Submission, text: str, picked: list[str], base_url: str
) -> tuple[Note, list[Person]]:
    """Write a note and tell whom it names or who was picked (ids); the note, and who was told."""
    text = text.strip()[:TEXT_LENGTH]
    if not text:
        raise WordsMissing
    people = colleagues(db, actor, submission)
    told = {p.id: p for p in [*named_in(text, people), *(p for p in people if str(p.id) in picked)]}
    note = Note(submission_id=submission.id, person_id=actor.person_id, text=text)
    db.add(note)
    db.flush()
    for person in told.values():
        db.add(Mention(note_id=note.id, person_id=person.id))
        memos.mentioned(db, person, actor.name or actor.email, submission, base_url)
    audit.record(db, actor, "note.written", submission, mentions=len(told))
    return note, list(told.values())


def mentions(db: Session, actor: Actor) -> list[Mention]:
    """The notes meant for the actor, the latest first; none of a dossier that is closed to them."""
    rows = (
        select(Mention)
        .join(Note, Note.id == Mention.note_id)
        .join(Submission, Submission.id == Note.submission_id)
        .where(Mention.person_id == actor.person_id, ~access.has_conflict(actor))
        .options(joinedload(Mention.note).options(joinedload(Note.person), joinedload(Note.submission)))
        .order_by(Note.written_at.desc(), Note.id)
        .limit(SHOWN)
    )
    return list(db.scalars(rows))


def see(db: Session, actor: Actor, submission: Submission) -> None:
    """The actor reads the notes of a dossier: what was meant for them there is seen."""
    here = select(Note.id).where(Note.submission_id == submission.id)
    db.execute(
        update(Mention)
        .where(Mention.person_id == actor.person_id, Mention.seen_at.is_(None), Mention.note_id.in_(here))
        .values(seen_at=func.clock_timestamp())
        .execution_options(synchronize_session=False)
    )


def tags(db: Session, submission: Submission) -> list[str]:
    """The tags that hang on a dossier, by name."""
    rows = select(Tag.name).where(Tag.submission_id == submission.id, Tag.removed_at.is_(None))
    return list(db.scalars(rows.order_by(func.lower(Tag.name))))


def tags_of(db: Session, actor: Actor, call: Call) -> dict[str, int]:
    """The tags of a call, with how many dossiers each hangs on; of the dossiers that the actor may know."""
    rows = (
        select(func.min(Tag.name), func.count())
        .join(Submission, Submission.id == Tag.submission_id)
        .where(Submission.call_id == call.id, Tag.removed_at.is_(None), ~access.has_conflict(actor))
        .group_by(func.lower(Tag.name))
        .order_by(func.lower(func.min(Tag.name)))
    )
    return dict(db.execute(rows).all())


def tag(db: Session, actor: Actor, submission: Submission, name: str) -> str:
    """Hang a tag on a dossier, written as it is written elsewhere in the call; a second time is no matter."""
    name = " ".join(name.split())
    if not 0 < len(name) <= TAG_LENGTH or "," in name:
        raise Invalid
    known = {word.lower(): word for word in tags_of(db, actor, submission.call)}
    name = known.get(name.lower(), name)
    values: dict[str, Any] = {"submission_id": submission.id, "name": name, "added_by": actor.person_id}
    if db.scalar(insert(Tag).values(**values).on_conflict_do_nothing().returning(Tag.id)):
        audit.record(db, actor, "tag.added", submission, tag=name)
    return name


def untag(db: Session, actor: Actor, submission: Submission, name: str) -> None:
    """Take a tag off a dossier; that it hung there is kept."""
    found = db.scalar(
        select(Tag).where(
            Tag.submission_id == submission.id, func.lower(Tag.name) == name.lower(), Tag.removed_at.is_(None)
        )
    )
    if found is None:
        raise NotFound
    found.removed_by, found.removed_at = actor.person_id, func.clock_timestamp()
    audit.record(db, actor, "tag.removed", submission, tag=found.name)
