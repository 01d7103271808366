"""A workbook of somebody else's, read as plain cells: checked before it is opened, bounded, nothing in it followed or computed."""

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openpyxl

from app.infra import documents
from app.infra.documents import Unacceptable
from app.infra.i18n import N_

MAX_UNPACKED = 30 * 1024 * 1024
MAX_PARTS = 400
MAX_SHEETS = 100
MAX_COLUMNS = 200
MAX_CELLS = 300_000
ENCODING = re.compile(rb"<\?xml[^>]*encoding=[\"']([^\"']*)[\"']")
FORMULA, ERROR = "f", "e"

NO_WORKBOOK = N_("%(name)s was not read: it is no workbook. Save it as .xlsx and add that.")
OUTSIDE = N_(
    "%(name)s was not read: it takes values from other files. Replace those by the values themselves, break the links, "
    "save it and add it again."
)
DECLARED = N_("%(name)s was not read: no spreadsheet program writes a workbook like this. Save it anew and add that.")
HUGE = N_("%(name)s was not read: it is far larger than the form. Use the workbook of this portal and add that.")


@dataclass(frozen=True)
class Cell:
    """A cell with something in it; `at` is where, such as `C7`. A formula, or the error that one came to, has no value."""

    at: str
    value: Any
    is_formula: bool = False
    is_percent: bool = False


Row = list[Cell | None]


@dataclass(frozen=True)
class Sheet:
    """A sheet by its name, with its rows from the first."""

    title: str
    rows: list[Row]


def read(path: Path, name: str, most_rows: int) -> list[Sheet]:
    """The sheets of a workbook; Unacceptable, saying why, for one with macros, links to outside, or made to do harm."""
    if not name.lower().endswith(".xlsx"):
        raise Unacceptable(documents.MACROS if name.lower().endswith((".xlsm", ".xlsb")) else NO_WORKBOOK, name)
    documents.inspect(path, name)
    _inspect_parts(path, name)
    try:
        with path.open("rb") as file:
            return list(_sheets(openpyxl.load_workbook(file, read_only=True, keep_links=False), name, most_rows))
    except Unacceptable:
        raise
    except Exception as failure:  # others' bytes in a library that says so little of how it fails
        raise Unacceptable(documents.DAMAGED, name) from failure


def _inspect_parts(path: Path, name: str) -> None:
    """No part may reach outside or declare anything; all of them together stay small."""
    with zipfile.ZipFile(path) as package:
        entries = package.infolist()
        if len(entries) > MAX_PARTS or sum(e.file_size for e in entries) > MAX_UNPACKED:
            raise Unacceptable(HUGE, name)
        for entry in entries:
            if "externallinks/" in entry.filename.lower() or "/connections.xml" in entry.filename.lower():
                raise Unacceptable(OUTSIDE, name)
            if entry.filename.lower().endswith((".xml", ".rels")):
                content = package.read(entry)
                said = ENCODING.match(content.removeprefix(b"\xef\xbb\xbf"))
                if b"\x00" in content or (said and said[1].lower() not in (b"utf-8", b"us-ascii")):
                    raise Unacceptable(DECLARED, name)
                if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
                    raise Unacceptable(DECLARED, name)


def _sheets(book: Any, name: str, most_rows: int) -> Iterator[Sheet]:
    seen = 0
    if len(book.worksheets) > MAX_SHEETS:
        raise Unacceptable(HUGE, name)
    for sheet in book.worksheets:
        rows: list[Row] = []
        for row in sheet.iter_rows(max_row=most_rows, max_col=MAX_COLUMNS):
            seen += len(row)
            if seen > MAX_CELLS:
                raise Unacceptable(HUGE, name)
            rows.append([_cell(cell) for cell in row])
        yield Sheet(sheet.title, rows)


def _cell(cell: Any) -> Cell | None:
    if cell.value is None:
        return None
    if cell.data_type in (FORMULA, ERROR):
        return Cell(cell.coordinate, None, is_formula=True)
    return Cell(cell.coordinate, cell.value, is_percent="%" in re.sub(r'"[^"]*"', "", cell.number_format or ""))
