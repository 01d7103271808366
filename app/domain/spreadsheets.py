"""The register taken along: CSV and XLSX where no cell is ever run, and what a list on paper shows."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from itertools import chain
from typing import Any, NamedTuple

import xlsxwriter
from sqlalchemy import case, null, or_
from sqlalchemy.orm import Session

from app.domain import calls, columns, register
from app.domain.access import Actor
from app.domain.columns import ANSWER, MARK, NUMBERS, Column
from app.domain.identifiers import country_names
from app.domain.kinds import LIST
from app.domain.objections import ListTooLong
from app.domain.questionnaire import Questionnaire
from app.infra import times
from app.infra.i18n import N_, Message, translate
from app.models import Call, Version

BOM = "\ufeff"
RISKY = ("=", "+", "-", "@", "\t", "\r", "\n")
EXCEL_CELL = 32_767  # characters that fit in a cell
CONFIDENTIAL = N_("Confidential: %(section)s")
ROWS = N_("Dossiers: %(number)s")


class Sheet(NamedTuple):
    """One more sheet of a workbook: a heading and rows, read as they are written."""

    name: str
    head: tuple[str, ...]
    rows: Iterable[Iterable[Any]]


def every_column(questions: Questionnaire) -> tuple[Column, ...]:
    """All that a register has, so that a question added in a call file stands in every spreadsheet; and each section's mark."""
    return columns.columns(questions) + columns.answer_columns(questions) + mark_columns(questions)


def mark_columns(questions: Questionnaire) -> tuple[Column, ...]:
    """For each section whether it is confidential: marked by the submitter, or by default where they did not say."""
    said = Version.answers[questions.uses.get("confidentiality", "")]
    return tuple(
        Column(
            MARK + step.name,
            "yes_no",
            {language: translate(language, CONFIDENTIAL, section=title) for language, title in step.title.items()},
            case(
                (
                    or_(Version.id.is_(None), Version.kind.not_in(step.for_)),
                    null(),
                ),  # not open to the reader; not asked
                (said.is_not(None), said.has_key(step.name)),
                else_=step.confidential,
            ),
            is_sorted=False,
        )
        for step in questions.steps
    )


def neutral(value: Any) -> Any:
    """A cell that no spreadsheet runs: a text that begins like a formula gets an apostrophe in front."""
    return f"'{value}" if isinstance(value, str) and value.startswith(RISKY) else value


def cell(questions: Questionnaire, column: Column, value: Any, language: str) -> Any:
    """A value as a spreadsheet has it: instants with zone, numbers as numbers, items of a list as JSON, else as read."""
    if value is None or value == []:
        return ""
    if isinstance(value, datetime):
        return times.iso(value)
    if column.kind in NUMBERS:
        return value
    if column.kind == LIST:
        return json.dumps(value, ensure_ascii=False)
    if column.name.startswith(ANSWER):
        question = questions.question(column.name.removeprefix(ANSWER))
        return ", ".join(value) if column.kind == "file" else question.show(value, language)
    if isinstance(value, bool):
        return ("ja" if value else "nee") if language == "nl" else ("yes" if value else "no")
    if column.kind == "country":
        return country_names(language).get(value, value)
    return columns.show(questions, column, value, language) if column.kind == "flags" else value


def csv_lines(
    db: Session, actor: Actor, call: Call, query: register.Query, language: str, shown: tuple[Column, ...] = ()
) -> Iterator[bytes]:
    """Chosen columns (all by default) as CSV for spreadsheets: UTF-8 with BOM, semicolons, formulas made harmless."""
    questions = calls.questions(call)
    shown = shown or every_column(questions)
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=";")
    buffer.write(BOM)
    writer.writerow([neutral(column.heading(language)) for column in shown])
    for batch in register.everything(db, actor, call, query, shown):
        for row in batch:
            writer.writerow([neutral(cell(questions, c, row[c.name], language)) for c in shown])
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()


def xlsx(
    db: Session,
    actor: Actor,
    call: Call,
    query: register.Query,
    language: str,
    out: Any,
    shown: tuple[Column, ...] = (),
    beside: tuple[Sheet, ...] = (),
) -> None:
    """The same as a workbook: numbers are numbers, texts are texts and never formulas or links."""
    questions = calls.questions(call)
    shown = shown or every_column(questions)
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    with xlsxwriter.Workbook(out, options) as book:
        sheet = book.add_worksheet(call.code[:31])
        bold = book.add_format({"bold": True})
        for place, column in enumerate(shown):
            sheet.write_string(0, place, column.heading(language), bold)
        at = 0
        for batch in register.everything(db, actor, call, query, shown):
            for row in batch:
                at += 1
                for place, column in enumerate(shown):
                    _write(sheet, at, place, column.kind, cell(questions, column, row[column.name], language))
        sheet.freeze_panes(1, 1)
        sheet.autofilter(0, 0, max(at, 1), len(shown) - 1)
        for more in beside:
            sheet = book.add_worksheet(more.name)
            for at, values in enumerate(chain((more.head,), more.rows)):
                for place, value in enumerate(values):
                    _write(sheet, at, place, "integer" if isinstance(value, int | Decimal) else "text", value)
            sheet.freeze_panes(1, 1)


def on_paper(
    db: Session, actor: Actor, call: Call, query: register.Query, shown: tuple[Column, ...], language: str
) -> dict[str, Any]:
    """The data of templates/pdf/listing.typ. ListTooLong for more rows than paper takes."""
    questions = calls.questions(call)
    left = register.narrow(db, actor, call, query)
    totals = register.totals(db, actor, call, query, left)
    if totals.is_more or totals.count > register.LIMIT:
        raise ListTooLong(Message(ListTooLong.msgid, {"most": register.LIMIT}))
    found = register.page(db, actor, call, query, register.LIMIT, shown=shown, narrowed=left).rows
    chosen = [
        f"{facet.heading(language)}: {', '.join(facet.words(value, language) for value in query.chosen[facet.name])}"
        for facet in columns.facets(questions)
        if facet.name in query.chosen
    ]
    searched = [f"{translate(language, N_('Search'))}: {query.search}"] if query.search.strip() else []
    return {
        "title": questions.title.get(language) or questions.title["en"],
        "subtitle": " · ".join([call.code, translate(language, ROWS, number=totals.count), *searched, *chosen]),
        "footer": f"{call.code} · {times.brussels_and_utc(calls.clock(db), language)}",
        "lang": language,
        "headings": [column.heading(language) for column in shown],
        "numeric": [column.kind in NUMBERS for column in shown],
        "rows": [[columns.show(questions, c, row[c.name], language) for c in shown] for row in found],
    }


def _write(sheet: Any, at: int, place: int, kind: str, value: Any) -> None:
    if kind in NUMBERS and value != "":
        sheet.write_number(at, place, float(value))
    else:
        sheet.write_string(at, place, str(value)[:EXCEL_CELL])


def table(head: Iterable[Any], rows: Iterable[Iterable[Any]]) -> bytes:
    """A table of ours as CSV for spreadsheets, just as the register's."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=";")
    buffer.write(BOM)
    writer.writerows([neutral(value) for value in row] for row in (head, *rows))
    return buffer.getvalue().encode()
