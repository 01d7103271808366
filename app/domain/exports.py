"""Exports: what EuroHPC and the ministry take away, as JSON, NDJSON, CSV, XLSX or ZIP, each with its manifest."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy.orm import Session

from app.domain import audit, calls, dossiers, register, scans, spreadsheets, streams, zips
from app.domain.access import SYSTEM, Actor
from app.domain.columns import Column
from app.infra.files import FileStore
from app.models import Call

FORMATS = ("json", "ndjson", "csv", "xlsx", "zip")
FILES = "eoi-files/1"
MANIFEST = "manifest.json"
WITHHELD = b"A virus was found in this file, so it is given to nobody. Ask RVO.\n"
SINCE = ("flags", "is_released", "progress", "readers", "tags")  # columns of the desk, not of what was received
LETTER = (  # the members of a letter that stand in a table
    "state", "authority", "number", "version", "sort", "is_commitment", "amount", "phase", "source", "status", "condition",
    "signatory", "signatory_role", "dated_on", "given_at", "sha256",
)  # fmt: skip
ORDER = register.Query(sort="reference", descending=False)


def as_zip(db: Session, files: FileStore, actor: Actor, call: Call) -> Iterator[bytes]:
    """All submissions as lines, every file of them, and a manifest of names and digests; streamed."""

    def entries() -> Iterator[tuple[str, Iterable[bytes]]]:
        yield "submissions.ndjson", streams.ndjson(db, actor, call)
        for name, file in streams.files(db, actor, call):
            if files.is_shut_away(file["sha256"]):
                yield f"{name}.withheld.txt", (WITHHELD,)
            else:
                yield name, zips.content(files, file["sha256"])
        yield MANIFEST, _manifest(db, files, actor, call)

    yield from zips.stream(entries())


def require_looked_at(db: Session, actor: Actor, call: Call, has_scanner: bool) -> None:
    """FileWaits while the scanner has yet to look at a file of the ZIP."""
    if has_scanner and scans.waiting(db, 1):
        scans.require_looked_at(db, (file["sha256"] for _, file in streams.files(db, actor, call)), True)


def _manifest(db: Session, files: FileStore, actor: Actor, call: Call) -> Iterator[bytes]:
    """A line a file, read anew: nothing is kept in the meantime, however many there are."""
    yield orjson.dumps({"format": FILES, "call": call.code})[:-1] + b',"files":['
    count, size = 0, 0
    for name, file in streams.files(db, actor, call):
        if files.is_shut_away(file["sha256"]):
            continue
        line = {"name": name, "sha256": file["sha256"], "size": file["size"], "media_type": file["media_type"]}
        yield (b",\n" if count else b"\n") + orjson.dumps(line)
        count, size = count + 1, size + file["size"]
    yield b"\n]," + orjson.dumps({"count": count, "size": size})[1:] + b"\n"


def as_csv(db: Session, actor: Actor, call: Call) -> Iterator[bytes]:
    """What was received as a table, in English."""
    dossiers.require_closed(db, call)
    yield from spreadsheets.csv_lines(db, actor, call, ORDER, "en", _received(call))


def to_xlsx(db: Session, actor: Actor, call: Call, out: Any) -> None:
    """The same as a workbook, with a second sheet of the letters of member states; written to a file or to its path."""
    dossiers.require_closed(db, call)
    head = ("Reference", *(name.replace("_", " ").capitalize() for name in LETTER), "Files")
    letters = spreadsheets.Sheet("Letters", head, _letters(db, actor, call))
    spreadsheets.xlsx(db, actor, call, ORDER, "en", out, _received(call), (letters,))


def _letters(db: Session, actor: Actor, call: Call) -> Iterator[list[Any]]:
    """A row a letter, its members as they are in JSON."""
    for reference, letter in streams.letters(db, actor, call):
        said = letter | {
            "is_commitment": "yes" if letter["is_commitment"] else "no",
            "amount": Decimal(letter["amount"]) if letter["amount"] else "",
        }
        files = ", ".join(file["name"] for file in letter["files"])
        yield [reference, *("" if said[name] is None else said[name] for name in LETTER), files]


def _received(call: Call) -> tuple[Column, ...]:
    return tuple(c for c in spreadsheets.every_column(calls.questions(call)) if c.name not in SINCE)


def write(db: Session, files: FileStore, call: Call, format: str, path: Path, actor: Actor = SYSTEM) -> None:
    """Write an export to a file, whole or not at all, and put it on record."""
    draft = path.with_name(f".{path.name}.part")
    dossiers.require_closed(db, call)
    if format == "xlsx":
        to_xlsx(db, actor, call, str(draft))
    else:
        made = {"json": streams.as_json, "ndjson": streams.ndjson, "csv": as_csv}
        lines = as_zip(db, files, actor, call) if format == "zip" else made[format](db, actor, call)
        with draft.open("wb") as file:
            file.writelines(lines)
    draft.replace(path)
    record(db, actor, call, format)


def record(db: Session, actor: Actor, call: Call, format: str, **detail: Any) -> None:
    """Put on record that the content of a call was taken away."""
    audit.record_call(db, actor, "export.made", call.id, format=format, **detail)
