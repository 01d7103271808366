"""Exports: what EuroHPC and the ministry take away, as JSON, NDJSON, CSV, XLSX or ZIP, each with its manifest."""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from sqlalchemy.orm import Session

from app.domain import audit, calls, dossiers, proofs, register, spreadsheets, support
from app.domain.access import SYSTEM, Actor
from app.infra import times
from app.infra.files import FileStore
from app.models import Call, Submission, Version

FORMATS = ("json", "ndjson", "csv", "xlsx", "zip")
SINCE = ("flags", "is_released", "progress", "readers", "tags")  # columns of the desk, not of what was received


def rows(db: Session, actor: Actor, call: Call) -> Iterator[tuple[Submission, Version, dict[str, Any]]]:
    """Every dossier of a closed call that the actor may read, in order of reference, as a document."""
    dossiers.require_closed(db, call)
    questions = calls.questions(call)
    for batch in dossiers.batches(db, actor, call):
        letters = support.among(db, [submission for submission, _ in batch]) if questions.support.letters else {}
        for submission, version in batch:
            given = letters.get(submission.id, [])
            yield submission, version, dossiers.document(questions, submission, version, version.number, given)


def ndjson(db: Session, actor: Actor, call: Call) -> Iterator[bytes]:
    """A line a submission; the last line is the manifest, with count and SHA-256 over all lines before it."""
    code, definition = call.code, call.definition_digest
    digest, count = hashlib.sha256(), 0
    for _, _, document in rows(db, actor, call):
        line = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        digest.update(line)
        count += 1
        yield line
    manifest = {
        "format": proofs.MANIFEST,
        "call": code,
        "definition": definition,
        "count": count,
        "sha256": digest.hexdigest(),
        "generated_at": times.iso(calls.clock(db)),
    }
    yield json.dumps(manifest, separators=(",", ":")).encode() + b"\n"


def as_json(db: Session, actor: Actor, call: Call) -> Iterator[bytes]:
    """The same as one JSON document: `submissions`, then `manifest`."""
    yield b'{"submissions":['
    before: bytes | None = None
    first = True
    for line in ndjson(db, actor, call):
        if before is not None:
            yield (b"" if first else b",") + before.rstrip()
            first = False
        before = line
    yield b'],"manifest":' + (before or b"{}").rstrip() + b"}\n"


def file_names(submission: Submission, version: Version) -> Iterator[tuple[str, dict[str, Any]]]:
    """A name for each file of a version, the same each time: REF/vN/question__name, numbered where names repeat."""
    seen: set[str] = set()
    for file in version.files:
        stem, suffix = PurePosixPath(file["name"]).stem, PurePosixPath(file["name"]).suffix
        folder = f"{submission.reference}/v{version.number}/{file['question']}__"
        name, number = f"{folder}{stem}{suffix}", 1
        while name in seen:
            number += 1
            name = f"{folder}{stem}-{number}{suffix}"
        seen.add(name)
        yield name, file


def letter_files(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """A name for each file of the letters in a document: REF/letters/STATE-number/digest__name."""
    for letter in document["support_letters"]:
        folder = f"{document['reference']}/letters/{letter['state']}-{letter['number']}"
        for file in letter["files"]:
            yield f"{folder}/{file['sha256'][:8]}__{file['name']}", file


WITHHELD = "A virus was found in this file, so it is given to nobody. Ask RVO.\n"


def write_zip(db: Session, files: FileStore, actor: Actor, call: Call, out: Any) -> None:
    """Every submission and every file, with a manifest of names and digests."""
    manifest: list[dict[str, Any]] = []
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for submission, version, document in rows(db, actor, call):
            for name, file in (*file_names(submission, version), *letter_files(document)):
                if files.is_shut_away(file["sha256"]):
                    package.writestr(f"{name}.withheld.txt", WITHHELD)
                    continue
                with files.open(file["sha256"]) as source, package.open(name, "w", force_zip64=True) as target:
                    shutil.copyfileobj(source, target)
                manifest.append({"name": name, "sha256": file["sha256"], "size": file["size"]})
        with package.open("submissions.ndjson", "w", force_zip64=True) as target:
            for line in ndjson(db, actor, call):
                target.write(line)
        package.writestr("manifest.json", json.dumps({"call": call.code, "files": manifest}, indent=1))


def write(db: Session, files: FileStore, call: Call, format: str, path: Path, actor: Actor = SYSTEM) -> None:
    """Write an export to a file, whole or not at all, and put it on record."""
    draft = path.with_name(f".{path.name}.part")
    query = register.Query(sort="reference", descending=False)
    questions = calls.questions(call)
    shown = tuple(c for c in spreadsheets.every_column(questions) if c.name not in SINCE)
    made: Iterable[bytes] = ()
    dossiers.require_closed(db, call)
    if format == "xlsx":
        spreadsheets.xlsx(db, actor, call, query, "en", str(draft), shown)
    elif format == "zip":
        write_zip(db, files, actor, call, draft)
    else:
        streams = {"json": as_json, "ndjson": ndjson}
        lines = spreadsheets.csv_lines(db, actor, call, query, "en", shown)
        made = lines if format == "csv" else streams[format](db, actor, call)
        with draft.open("wb") as file:
            file.writelines(made)
    draft.replace(path)
    record(db, actor, call, format)


def record(db: Session, actor: Actor, call: Call, format: str, **detail: Any) -> None:
    """Put on record that the content of a call was taken away."""
    audit.record_call(db, actor, "export.made", call.id, format=format, **detail)
