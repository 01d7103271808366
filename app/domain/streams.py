"""Streams: all submissions of a call as JSON or NDJSON, however many, read by a cursor of the database's in one snapshot.

Documents are made of rows of SQL, a batch at a time. A stream that broke off goes on behind the last line that came whole.
"""

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import orjson
from sqlalchemy import Select, Text, cast, select, text
from sqlalchemy.orm import Session

from app.domain import access, calls, dossiers, feed, merkle, proofs, references, shapes, statements, support
from app.domain.access import Actor
from app.domain.feed import CursorInvalid
from app.domain.questionnaire import Questionnaire
from app.domain.shapes import Content
from app.infra import times
from app.models import Call, Receipt, Submission, SupportLetter, Version

BATCH = 100  # submissions
PIECE = 1 << 20  # bytes of documents that are sent before the batch is done
STALLED = 60  # seconds that a reader may leave a stream waiting before the database ends it


@dataclass
class Tally:
    """What a stream has said so far, for its last line; `whole` also counts what stands before its beginning."""

    count: int = 0
    digest: Any = field(default_factory=hashlib.sha256)
    whole: merkle.Growing = field(default_factory=merkle.Growing)

    def add(self, reference: str, number: int, payload_sha256: str) -> None:
        """Take one submission in."""
        self.whole.add(leaf(reference, number, payload_sha256))


def leaf(reference: str, number: int, payload_sha256: str) -> str:
    """The leaf of one submission in the tree of an export: without salt, as its reader knows the content."""
    return merkle.leaf(
        statements.canonical({"payload_sha256": payload_sha256, "reference": reference, "version": number})
    )


def beginning(given: str) -> str:
    """The reference behind which to begin, "" for the first; CursorInvalid for what is no reference."""
    found = references.normalised(given) if given else ""
    if found is None:
        raise CursorInvalid
    return found


def end_when_stalled(db: Session) -> None:
    """Let the database end this transaction once its reader has left it waiting for a while, as one that went away may."""
    db.execute(text(f"set local idle_in_transaction_session_timeout = '{STALLED}s'"))


def ndjson(db: Session, actor: Actor, call: Call, after: str = "") -> Iterator[bytes]:
    """A line a submission, many at a time; the last line is the manifest, with count and SHA-256 over all before it."""
    tally = Tally()
    for batch in _documents(db, actor, call, after, tally):
        yield b"".join(batch)
    yield orjson.dumps(_manifest(db, call, after, tally)) + b"\n"


def as_json(db: Session, actor: Actor, call: Call, after: str = "") -> Iterator[bytes]:
    """The same as one JSON document: `submissions`, then `manifest`, which is that of the lines."""
    tally = Tally()
    opening = b'{"submissions":['
    for batch in _documents(db, actor, call, after, tally):
        yield opening + b",".join(batch)
        opening = b","
    yield (
        (b"" if tally.count else opening) + b'],"manifest":' + orjson.dumps(_manifest(db, call, after, tally)) + b"}\n"
    )


def _manifest(db: Session, call: Call, after: str, tally: Tally) -> dict[str, Any]:
    return {
        "format": proofs.MANIFEST,
        "call": call.code,
        "definition": call.definition_digest,
        "after": after or None,
        "count": tally.count,
        "sha256": tally.digest.hexdigest(),
        "whole": {"count": tally.whole.size, "root": tally.whole.root()},
        "cursor": str(feed.position(db, call)),
        "generated_at": times.iso(calls.clock(db)),
    }


def _documents(db: Session, actor: Actor, call: Call, after: str, tally: Tally) -> Iterator[list[bytes]]:
    """The lines, a batch at a time. What is there before `after` is counted, and not sent."""
    dossiers.require_closed(db, call)
    questions, has_letters = calls.questions(call), _has_letters(db, call)
    if after:
        _count_before(db, actor, call, after, tally)
    for rows in _batches(db, wanted(actor, call, after), BATCH):
        letters = _letters(db, questions, rows) if has_letters else {}
        lines: list[bytes] = []
        size = 0
        for case_id, *said in rows:
            if size >= PIECE:
                yield lines
                lines, size = [], 0
            content = _content(said)
            given = letters.get(case_id, [])
            made = shapes.document(questions, content, content.number, given, call.code, call.is_synthetic)
            lines.append(orjson.dumps(made, option=orjson.OPT_APPEND_NEWLINE))
            size += len(lines[-1])
            tally.digest.update(lines[-1])
            tally.add(content.reference, content.number, content.payload_sha256)
            tally.count += 1
        yield lines


def _count_before(db: Session, actor: Actor, call: Call, after: str, tally: Tally) -> None:
    before = _readable(actor, call, Submission.reference, Version.number, Version.payload_sha256)
    for rows in _batches(db, before.where(Submission.reference <= after), 5000):
        for row in rows:
            tally.add(*row)


def wanted(actor: Actor, call: Call, after: str = "") -> Select[Any]:
    """The rows of a stream: all that its documents are made of, but for letters."""
    return _readable(actor, call, *_COLUMNS).where(Submission.reference > after)


def _readable(actor: Actor, call: Call, *columns: Any) -> Select[Any]:
    """These columns of every submission of a call that the actor may read, in order of reference."""
    return (
        access.dossiers(actor)
        .with_only_columns(*columns, maintain_column_froms=True)
        .join(Receipt, Receipt.version_id == Version.id)
        .where(Submission.call_id == call.id)
        .order_by(Submission.reference)
    )


def _batches(db: Session, wanted: Select[Any], size: int) -> Iterator[Any]:
    """Rows by a cursor of the database's: what was read is gone before the next comes."""
    with db.execute(wanted.execution_options(yield_per=size)) as found:
        yield from found.partitions()


# In the order of `Content`. JSON comes as text: what is only handed on is never read.
_COLUMNS: tuple[Any, ...] = (
    Submission.id,
    Submission.reference,
    Version.number,
    Version.definition_digest,
    Version.kind,
    Version.language,
    Version.title,
    cast(Receipt.body["organisation"], Text),
    cast(Receipt.body["intermediary"], Text),
    Version.received_at,
    Version.payload_sha256,
    cast(Version.answers, Text),
    cast(Version.files, Text),
    cast(Version.findings, Text),
    cast(Version.facts, Text),
    Receipt.jws,
)


def _content(said: list[Any]) -> Content:
    row = Content(*said)
    return row._replace(
        organisation=orjson.Fragment(row.organisation),
        intermediary=orjson.Fragment(row.intermediary or "null"),
        answers=orjson.loads(row.answers),  # type: ignore[arg-type] # text until now
        files=orjson.loads(row.files),  # type: ignore[arg-type]
        findings=orjson.loads(row.findings),  # type: ignore[arg-type]
        facts=orjson.Fragment(row.facts),
    )


def letters(db: Session, actor: Actor, call: Call) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every letter that stands to a submission that the actor may read, with its reference, in that order."""
    dossiers.require_closed(db, call)
    if _has_letters(db, call):
        questions = calls.questions(call)
        for rows in _batches(db, _readable(actor, call, Submission.id, Submission.reference), BATCH):
            found = _letters(db, questions, rows)
            for case_id, reference in rows:
                yield from ((reference, letter) for letter in found.get(case_id, []))


def files(db: Session, actor: Actor, call: Call) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every file of the submissions that the actor may read and of the letters to them, each with its name, in order."""
    dossiers.require_closed(db, call)
    questions, has_letters = calls.questions(call), _has_letters(db, call)
    holding = _readable(actor, call, Submission.id, Submission.reference, Version.number, Version.files)
    for rows in _batches(db, holding, BATCH):
        letters = _letters(db, questions, rows) if has_letters else {}
        for case_id, reference, number, given in rows:
            yield from file_names(reference, number, given)
            yield from letter_files(reference, letters.get(case_id, []))


def file_names(reference: str, number: int, files: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A name for each file of a version, the same each time: REF/vN/question__name, numbered where names repeat."""
    seen: set[str] = set()
    for file in files:
        stem, suffix = PurePosixPath(file["name"]).stem, PurePosixPath(file["name"]).suffix
        folder = f"{reference}/v{number}/{file['question']}__"
        name, place = f"{folder}{stem}{suffix}", 1
        while name in seen:
            place += 1
            name = f"{folder}{stem}-{place}{suffix}"
        seen.add(name)
        yield name, file


def letter_files(reference: str, letters: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A name for each file of letters: REF/letters/STATE-number/digest__name."""
    for letter in letters:
        folder = f"{reference}/letters/{letter['state']}-{letter['number']}"
        for file in letter["files"]:
            yield f"{folder}/{file['sha256'][:8]}__{file['name']}", file


def _has_letters(db: Session, call: Call) -> bool:
    return db.scalar(select(SupportLetter.id).where(SupportLetter.call_id == call.id).limit(1)) is not None


def _letters(db: Session, questions: Questionnaire, rows: Any) -> dict[uuid.UUID, list[dict[str, Any]]]:
    """The letters that stand, by the id of their case, of the cases in a batch."""
    named = {row[0]: row[1] for row in rows}
    found = support.among(db, list(named))
    made = {case: support.exported(questions.support, named[case], letters) for case, letters in found.items()}
    db.expunge_all()
    return made
