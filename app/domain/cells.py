"""A cell of a workbook as what a person would have typed into the form."""

import re
from datetime import date, datetime, time
from decimal import Decimal

from app.domain import worksheets
from app.domain.worksheets import Field
from app.infra.xlsx import Cell

NUMBERS = frozenset({"integer", "decimal", "percent", "money"})
DAY_FIRST = re.compile(r"\s*([0-9]{1,2})[-./ ]([0-9]{1,2})[-./ ]([0-9]{4})\s*")


def typed(field: Field, cell: Cell, language: str) -> list[tuple[str, str]]:
    """Endings of the field's name, and texts; nothing for a cell of spaces."""
    text = text_of(cell, field.question.kind, language)
    if not text.strip():
        return []
    if worksheets.choices(field, language):
        return [("", worksheets.chosen(field, text.strip(), language) or text)]
    if field.question.kind == "date" and (parts := DAY_FIRST.fullmatch(text)):
        return [("-day", parts[1]), ("-month", parts[2]), ("-year", parts[3])]
    return [("", text)]


def text_of(cell: Cell, kind: str, language: str) -> str:
    """The value as text of a kind of question: numbers as the language writes them, dates from the year down."""
    value = cell.value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d}" if value.time() == time(0) else f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, time):
        return f"{value:%H:%M}"
    if isinstance(value, int | float):
        number = Decimal(repr(value))
        if kind == "percent" and cell.is_percent:
            number *= 100
        return worksheets.written(number.normalize(), language if kind in NUMBERS else "en")
    return "" if value is None else str(value)
