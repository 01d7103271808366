"""Exports: what EuroHPC and the ministry take away, as JSON, NDJSON, CSV, XLSX or ZIP, each with its manifest."""

import csv
import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

import xlsxwriter
from sqlalchemy import ColumnElement, cast, func
from sqlalchemy.dialects.postgresql import JSONPATH
from sqlalchemy.orm import Session

from app.domain import audit, calls, dossiers, proofs, register
from app.domain.access import SYSTEM, Actor
from app.domain.identifiers import country_names
from app.domain.kinds import LIST
from app.domain.questionnaire import Questionnaire
from app.infra import times
from app.infra.files import FileStore
from app.models import Call, Submission, Version

FORMATS = ("json", "ndjson", "csv", "xlsx", "zip")
ANSWER = "answer."
BOM = "\ufeff"
RISKY = ("=", "+", "-", "@", "\t", "\r", "\n")
EXCEL_CELL = 32_767  # characters that fit in a cell


def rows(db: Session, actor: Actor, call: Call) -> Iterator[tuple[Submission, Version, dict[str, Any]]]:
    """Every dossier of a closed call that the actor may read, in order of reference, as a document."""
    dossiers.require_closed(db, call)
    questions = calls.questions(call)
    for batch in dossiers.batches(db, actor, call):
        for submission, version in batch:
            yield submission, version, dossiers.document(questions, submission, version, version.number)


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


def neutral(value: Any) -> Any:
    """A cell that no spreadsheet runs: a text that begins like a formula gets an apostrophe in front."""
    return f"'{value}" if isinstance(value, str) and value.startswith(RISKY) else value


def cell(kind: str, value: Any, language: str) -> Any:
    """A register value as a spreadsheet has it: instants with zone, yes or no, names of countries."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return times.iso(value)
    if isinstance(value, bool):
        return ("ja" if value else "nee") if language == "nl" else ("yes" if value else "no")
    if kind == "country":
        return country_names(language).get(value, value)
    return value


def answer_columns(questions: Questionnaire) -> tuple[register.Column, ...]:
    """A column for each question, so that what a call file asks stands in every spreadsheet; the title has its own already."""
    asked = [q for step in questions.steps for q in step.questions if q.name != questions.uses["title"]]
    return tuple(
        register.Column(
            ANSWER + q.name, q.kind, q.label, _names_of(q.name) if q.kind == "file" else Version.answers[q.name]
        )
        for q in asked
    )


def _names_of(question: str) -> ColumnElement[Any]:
    path = "$[*] ? (@.question == $question).name"
    return func.jsonb_path_query_array(
        Version.files, cast(path, JSONPATH), func.jsonb_build_object("question", question)
    )


def _shown(questions: Questionnaire, column: register.Column, value: Any, language: str) -> Any:
    """A value as a spreadsheet has it; an answer as people read it, numbers as numbers, items of a list as JSON."""
    if not column.name.startswith(ANSWER) or value is None or column.kind in register.NUMBERS:
        return cell(column.kind, value, language)
    if column.kind == "file":
        return ", ".join(value)
    if column.kind == LIST:
        return json.dumps(value, ensure_ascii=False) if value else ""
    return questions.question(column.name.removeprefix(ANSWER)).show(value, language)


def csv_lines(db: Session, actor: Actor, call: Call, query: register.Query, language: str) -> Iterator[bytes]:
    """The register and all answers as CSV for spreadsheets: UTF-8 with BOM, semicolons, formulas made harmless."""
    questions = calls.questions(call)
    also = answer_columns(questions)
    columns = register.columns(questions) + also
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=";")
    buffer.write(BOM)
    writer.writerow([neutral(column.heading(language)) for column in columns])
    for batch in register.everything(db, actor, call, query, also):
        for row in batch:
            writer.writerow([neutral(_shown(questions, c, row[c.name], language)) for c in columns])
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()


def table(head: Iterable[Any], rows: Iterable[Iterable[Any]]) -> bytes:
    """A table of ours as CSV for spreadsheets, just as the register's."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=";")
    buffer.write(BOM)
    writer.writerows([neutral(value) for value in row] for row in (head, *rows))
    return buffer.getvalue().encode()


def xlsx(db: Session, actor: Actor, call: Call, query: register.Query, language: str, out: Any) -> None:
    """The register and all answers as a workbook: numbers are numbers, texts are texts and never formulas or links."""
    questions = calls.questions(call)
    also = answer_columns(questions)
    columns = register.columns(questions) + also
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    with xlsxwriter.Workbook(out, options) as book:
        sheet = book.add_worksheet(call.code[:31])
        bold = book.add_format({"bold": True})
        for place, column in enumerate(columns):
            sheet.write_string(0, place, column.heading(language), bold)
        at = 0
        for batch in register.everything(db, actor, call, query, also):
            for row in batch:
                at += 1
                for place, column in enumerate(columns):
                    _write(sheet, at, place, column.kind, _shown(questions, column, row[column.name], language))
        sheet.freeze_panes(1, 1)
        sheet.autofilter(0, 0, max(at, 1), len(columns) - 1)


def _write(sheet: Any, at: int, place: int, kind: str, value: Any) -> None:
    if kind in register.NUMBERS and value != "":
        sheet.write_number(at, place, float(value))
    else:
        sheet.write_string(at, place, str(value)[:EXCEL_CELL])


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


def write_zip(db: Session, files: FileStore, actor: Actor, call: Call, out: Any) -> None:
    """Every submission and every file, with a manifest of names and digests."""
    manifest: list[dict[str, Any]] = []
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for submission, version, _ in rows(db, actor, call):
            for name, file in file_names(submission, version):
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
    made: Iterable[bytes] = ()
    dossiers.require_closed(db, call)
    if format == "xlsx":
        xlsx(db, actor, call, query, "en", str(draft))
    elif format == "zip":
        write_zip(db, files, actor, call, draft)
    else:
        streams = {"json": as_json, "ndjson": ndjson}
        made = csv_lines(db, actor, call, query, "en") if format == "csv" else streams[format](db, actor, call)
        with draft.open("wb") as file:
            file.writelines(made)
    draft.replace(path)
    record(db, actor, call, format)


def record(db: Session, actor: Actor, call: Call, format: str) -> None:
    """Put on record that the content of a call was taken away."""
    audit.record_call(db, actor, "export.made", call.id, format=format)
