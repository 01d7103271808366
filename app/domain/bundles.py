"""Bundles: all files of dossiers as one ZIP, streamed, with a manifest; the same bytes for the same content."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from sqlalchemy.orm import Session

from app.domain import audit, calls, clarifications, conflicts, dossiers, exports, references, streams, support, zips
from app.domain.access import Actor
from app.domain.errors import ConflictNotStated, Refused
from app.infra.files import FileStore
from app.models import Submission, Version


@dataclass(frozen=True)
class Bundle:
    """What goes into a ZIP: the manifest's lines, in order of name."""

    files: list[dict[str, Any]]

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file["size"] for file in self.files)

    def manifest(self) -> bytes:
        """What the ZIP holds: names, digests, counts. Nothing in it depends on when it is made."""
        body = {"format": exports.FILES, "count": len(self.files), "size": self.size, "files": self.files}
        return json.dumps(body, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"


def of_dossier(db: Session, submission: Submission, version: Version) -> Bundle:
    """The files of a version, of letters that stand, and those given with answers after closing, in folders of their own."""
    found = [
        _line(name, file) for name, file in streams.file_names(submission.reference, version.number, version.files)
    ]
    for clarification in clarifications.of_submission(db, submission):
        taken = {line["name"] for line in found}
        for file in clarification.answer.files if clarification.answer else ():
            folder = f"{submission.reference}/after-closing/question-{clarification.number}__"
            name = f"{folder}{file['name']}"
            if name in taken:
                name = f"{folder}{file['sha256'][:8]}-{file['name']}"
            taken.add(name)
            found.append(_line(name, file))
    pledges, given = calls.questions(submission.call).support, support.to_consortium(db, submission)
    letters = streams.letter_files(submission.reference, support.exported(pledges, submission.reference, given))
    found += [_line(name, file) for name, file in letters]
    return Bundle(sorted(found, key=lambda line: str(line["name"])))


def _line(name: str, file: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "sha256": file["sha256"], "size": file["size"], "media_type": file["media_type"]}


def together(bundles: Iterable[Bundle]) -> Bundle:
    """One bundle of several: each dossier has a folder of its own name already."""
    return Bundle(sorted((line for bundle in bundles for line in bundle.files), key=lambda line: str(line["name"])))


def open_some(db: Session, actor: Actor, given: Iterable[str]) -> tuple[list[tuple[Submission, Version]], list[str]]:
    """The dossiers that references name and that are open to the actor, each read on record; and those that stay out."""
    opened, shut = [], []
    for reference in given:
        try:
            pair = dossiers.load(db, actor, reference)
        except Refused:
            shut.append(references.normalised(reference) or reference)
        else:
            opened.append(pair)
    return opened, shut


def needs_statement(db: Session, actor: Actor, reference: str) -> bool:
    """Whether a dossier stays out only because the actor has not said yet whether they have an interest in it."""
    try:
        submission, _ = conflicts.load(db, reference)
        conflicts.require_stated(db, actor, submission)
    except ConflictNotStated:
        return True
    except Refused:
        return False
    return False


def record(db: Session, actor: Actor, submission: Submission, bundle: Bundle) -> None:
    """Put on record that the files of a dossier were taken away."""
    audit.record(db, actor, "attachments.taken", submission, files=len(bundle.files))


def stream(files: FileStore, bundle: Bundle) -> Iterator[bytes]:
    """The ZIP, a chunk at a time: the files in order of name, then the manifest."""
    entries = ((line["name"], zips.content(files, line["sha256"])) for line in bundle.files)
    yield from zips.stream(chain(entries, [(exports.MANIFEST, [bundle.manifest()])]))
