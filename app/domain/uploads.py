"""A file given a part at a time, so that a broken connection costs a part and not the file."""

import re
from dataclasses import dataclass
from typing import BinaryIO

from sqlalchemy.orm import Session

from app.domain import attachments
from app.domain.access import Actor
from app.domain.errors import Forbidden, Invalid, TooLarge, TooManyFiles
from app.infra.files import FileStore
from app.infra.parts import TooLong, TooMany
from app.models import Attachment, Submission

NAME = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True)
class Part:
    """One part of a file: `upload` is the beginning of the SHA-256 of the whole, `start` where it begins, in bytes of `whole`."""

    upload: str
    start: int
    whole: int


def held(files: FileStore, submission: Submission, upload: str) -> int:
    """How many bytes of a file have arrived: from there to go on."""
    return files.parts.held(submission.id.hex, upload) if NAME.fullmatch(upload) else 0


def take(
    db: Session,
    files: FileStore,
    actor: Actor,
    submission: Submission,
    question: str,
    name: str,
    part: Part,
    stream: BinaryIO,
) -> Attachment | int:
    """Add a part; the attachment once the file is whole, else how many bytes have arrived.

    Refusals are those of `attachments.attach`; Invalid where what arrived is not what was announced. After a refusal of the
    whole file nothing of it is left under way.
    """
    if not actor.may_edit(submission):
        raise Forbidden
    if not NAME.fullmatch(part.upload):
        raise Invalid
    if part.whole > attachments.MAX_FILE:
        raise TooLarge
    owner = submission.id.hex
    try:
        arrived = files.parts.append(owner, part.upload, part.start, stream, part.whole, attachments.MAX_FILES)
    except TooLong as failure:
        raise Invalid from failure
    except TooMany as failure:
        raise TooManyFiles from failure
    if arrived < part.whole:
        return arrived
    with files.parts.taken(owner, part.upload) as whole:
        kept = attachments.attach(db, files, actor, submission, question, name, whole)
    if not kept.sha256.startswith(part.upload):
        raise Invalid
    return kept
