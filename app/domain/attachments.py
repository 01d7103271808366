"""Files given as answers: taken in as a stream, checked by structure, kept by digest, detached but never deleted."""

import uuid
from dataclasses import dataclass
from typing import Any, BinaryIO

from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by, insert
from sqlalchemy.orm import Session

from app.domain import audit, scans
from app.domain.access import Actor
from app.domain.errors import FileRefused, Forbidden, NotFound, TooLarge, TooManyFiles
from app.infra import documents
from app.infra.files import FileStore, FileTooLarge
from app.infra.i18n import N_, Message
from app.models import Attachment, Submission

MAX_FILE = 25 * 1024 * 1024
MAX_FILES = 20
MAX_TOTAL = 200 * 1024 * 1024
NAME_LENGTH = 200
VIRUS = N_("%(name)s was not added: a virus was found in it. Have your computer looked at, and add a clean file.")


@dataclass(frozen=True)
class Taken:
    """A file that was checked and is kept in the store, not yet bound to anything."""

    name: str
    sha256: str
    size: int
    media_type: str


def take_in(db: Session, files: FileStore, name: str, stream: BinaryIO) -> Taken:
    """Check and keep the file of `stream`: TooLarge beyond 25 MB, FileRefused (saying why) when it is no document allowed."""
    clean = documents.clean_name(name)[-NAME_LENGTH:]
    try:
        with files.staged(stream, MAX_FILE) as staged:
            media_type = documents.inspect(staged.path, clean)
            if files.is_shut_away(staged.sha256):
                raise FileRefused(Message(VIRUS, {"name": clean}), file=clean)
            hold(db, staged.sha256)
            files.keep(staged)
            scans.await_one(db, staged.sha256)
    except FileTooLarge as failure:
        raise TooLarge from failure
    except documents.Unacceptable as reason:
        raise FileRefused(reason.message, file=clean) from reason
    return Taken(clean, staged.sha256, staged.size, media_type)


def attach(
    db: Session, files: FileStore, actor: Actor, submission: Submission, question: str, name: str, stream: BinaryIO
) -> Attachment:
    """Keep the file of `stream` as an answer to `question`.

    TooLarge beyond 25 MB, TooManyFiles beyond 20 files or 200 MB, FileRefused (saying why) when it is not one of the
    documents allowed. The same bytes given twice for one question are one attachment. A file of the same name is
    replaced, not overwritten: it leaves the draft, and versions that hold it keep it.
    """
    if not actor.may_edit(submission):
        raise Forbidden
    taken = take_in(db, files, name, stream)
    attachment = db.scalars(
        insert(Attachment)
        .values(
            submission_id=submission.id,
            question=question,
            name=taken.name,
            sha256=taken.sha256,
            size=taken.size,
            media_type=taken.media_type,
            attached_by=actor.person_id,
        )
        .on_conflict_do_nothing()
        .returning(Attachment)
    ).one_or_none()
    live = of_submission(db, submission.id)  # counted after the insert, which locked the submission
    if attachment is None:
        return next(a for a in live if (a.question, a.sha256) == (question, taken.sha256))
    for older in [a for a in live if (a.question, a.name) == (question, taken.name) and a.id != attachment.id]:
        detach(db, actor, submission, older.id)
        live.remove(older)
    if len(live) > MAX_FILES or sum(a.size for a in live) > MAX_TOTAL:
        raise TooManyFiles
    audit.record(db, actor, "attachment.attached", submission, question=question, sha256=taken.sha256)
    return attachment


def hold(db: Session, sha256: str) -> None:
    """Until the commit nobody deletes the file of this digest; who keeps one holds it first. See sweeping."""
    db.execute(select(func.pg_advisory_xact_lock_shared(lock_of(sha256))))


def lock_of(sha256: str) -> int:
    """The number of the advisory lock of a file: shared while one is kept, whole while it is deleted."""
    return int.from_bytes(bytes.fromhex(sha256[:16]), signed=True)


def detach(db: Session, actor: Actor, submission: Submission, attachment_id: uuid.UUID) -> None:
    """Take a file out of the draft. Versions that hold it keep it."""
    if not actor.may_edit(submission):
        raise Forbidden
    attachment = db.scalar(
        select(Attachment).where(
            Attachment.id == attachment_id,
            Attachment.submission_id == submission.id,
            Attachment.detached_at.is_(None),
        )
    )
    if attachment is None:
        raise NotFound
    attachment.detached_at = func.clock_timestamp()
    db.flush()
    audit.record(db, actor, "attachment.detached", submission, question=attachment.question, sha256=attachment.sha256)


def one(db: Session, submission: Submission, attachment_id: uuid.UUID) -> Attachment:
    """An attachment of this submission, detached or not; NotFound for any other."""
    found = db.get(Attachment, attachment_id)
    if found is None or found.submission_id != submission.id:
        raise NotFound
    return found


def of_submission(db: Session, submission_id: uuid.UUID) -> list[Attachment]:
    """The live attachments of a draft, in order of arrival."""
    return list(
        db.scalars(
            select(Attachment)
            .where(Attachment.submission_id == submission_id, Attachment.detached_at.is_(None))
            .order_by(Attachment.attached_at, Attachment.id)
        )
    )


def live_files(submission_id: Any) -> Select[Any]:
    """One JSON array of a draft's live files, in order of arrival, as a version keeps them."""
    entry = func.jsonb_build_object(
        "question", Attachment.question, "id", Attachment.id, "name", Attachment.name, "sha256", Attachment.sha256,
        "size", Attachment.size, "media_type", Attachment.media_type,
    )  # fmt: skip
    ordered = aggregate_order_by(entry, Attachment.attached_at, Attachment.id)
    return select(func.jsonb_agg(ordered)).where(
        Attachment.submission_id == submission_id, Attachment.detached_at.is_(None)
    )


def by_question(files: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The files by the question that they answer."""
    found: dict[str, list[dict[str, Any]]] = {}
    for file in files:
        found.setdefault(file["question"], []).append({n: v for n, v in file.items() if n != "question"})
    return found
