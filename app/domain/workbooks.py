"""The form as a workbook to fill in: a sheet for each page and each list, drop-downs to choose from, answers where there are."""

import io
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any

import xlsxwriter

from app.domain import worksheets
from app.domain.questionnaire import Question, Questionnaire
from app.domain.receipts import NON_BINDING
from app.domain.worksheets import Field, Sheet
from app.infra import times
from app.infra.i18n import N_, translate
from app.models import Call

OPTIONS = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
NUMBERS = frozenset({"integer", "decimal", "percent", "money"})
EXACT = 15  # digits that spreadsheets keep of a number
LONG_AGO = date(1901, 1, 1)  # spreadsheets know no dates before
SPARE = 20  # empty rows below what a list holds
CELL = 32_767  # characters that fit in a cell

READ_ME = N_("Read me")
HOW = (
    N_("Fill in the white cells; where a cell offers a list, choose from it. Leave empty what you cannot answer yet."),
    N_("Each row of a table has a number. Where a sheet asks to which row something belongs, give that number."),
    N_("Write values, no formulas: a cell with a formula is not read."),
    N_("Files are not in this workbook. Add them in the portal."),
    N_(
        "Then open your submission in the portal, choose “Spreadsheet”, and add this workbook. You see what changes, and "
        "what cannot be read and where, before anything is taken over. Nothing is submitted by it."
    ),
)


def write(
    call: Call,
    questions: Questionnaire,
    kind: str,
    language: str,
    reference: str = "",
    given: dict[str, Any] | None = None,
) -> bytes:
    """The workbook of one kind of respondent; blank, or with the answers of the submission `reference`."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, OPTIONS) as book:
        book.set_properties({"title": questions.title.get(language, questions.title["en"])})
        paper = _Paper(book, kind, language)
        paper.cover(call, questions, reference)
        made = [(one, book.add_worksheet(one.title(language))) for one in worksheets.sheets(questions, kind)]
        about = {"format": worksheets.FORMAT, "call": call.code, "definition": questions.digest, "kind": kind}
        paper.hidden(about | {"language": language, "reference": reference})
        for one, sheet in made:
            if one.lists:
                paper.table(one, sheet, _rows(one, given or {}))
            else:
                paper.page(one, sheet, given or {})
            sheet.protect("", {"format_columns": True, "format_rows": True, "sort": True})
    return out.getvalue()


def _rows(sheet: Sheet, given: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """The items of a list with the number of the row that they belong to, of all items that it lies in."""
    found: list[tuple[int, dict[str, Any]]] = [(0, given)]
    for question in sheet.lists:
        found = [
            (number, item)
            for number, (_, around) in enumerate(found, start=1)
            for item in around.get(question.name) or []
        ]
    return found


def _value(field: Field, given: dict[str, Any]) -> Any:
    value = given.get(field.question.name)
    if field.option is None:
        return value
    return True if field.option.value in (value or []) else None


class _Paper:
    """The formats of one workbook, and how its sheets are written."""

    def __init__(self, book: Any, kind: str, language: str) -> None:
        self.book, self.kind, self.language = book, kind, language
        self.t = partial(translate, language)
        wrapped = {"text_wrap": True, "valign": "top"}
        self.bold = book.add_format({**wrapped, "bold": True})
        self.head = book.add_format({**wrapped, "bold": True, "bg_color": "#DCE6F5", "border": 1})
        self.title = book.add_format({"bold": True, "font_size": 14})
        self.said = book.add_format(wrapped)
        self.quiet = book.add_format({**wrapped, "font_color": "#444444", "italic": True})
        box = {**wrapped, "locked": False, "border": 1, "border_color": "#8A96A8"}
        self.typed = book.add_format({**box, "num_format": "@"})
        self.day = book.add_format({**box, "num_format": "yyyy-mm-dd"})
        self.money = book.add_format({**box, "num_format": "#,##0.00"})
        self.number = book.add_format(box)
        self.sources: dict[tuple[str, ...], str] = {}
        self.lists: Any = None

    def cover(self, call: Call, questions: Questionnaire, reference: str) -> None:
        """What it is, until when, and how to fill it in and bring it back."""
        sheet = self.book.add_worksheet(self.t(READ_ME))
        sheet.set_column(0, 0, 100)
        title, respondent = questions.title, questions.respondents[self.kind].title
        sheet.write_string(0, 0, title.get(self.language, title["en"]), self.title)
        lines = [
            respondent.get(self.language, respondent["en"]) + (f" · {reference}" if reference else ""),
            self.t(N_("Closes %(closes)s."), closes=times.brussels_and_utc(call.closes_at, self.language)),
            *map(self.t, HOW),
            *([questions.notice.get(self.language, questions.notice["en"])] if questions.notice else []),
            NON_BINDING.get(self.language, NON_BINDING["en"]),
        ]
        for at, line in enumerate(lines, start=2):
            sheet.write_string(at, 0, line, self.said)
        sheet.protect()

    def hidden(self, about: dict[str, str]) -> None:
        """What tells a returned workbook from any other; and the sheet of what there is to choose."""
        sheet = self.book.add_worksheet(worksheets.ABOUT)
        for at, (name, value) in enumerate(about.items()):
            sheet.write_string(at, 0, name)
            sheet.write_string(at, 1, value)
        sheet.protect()
        sheet.hide()
        self.lists = self.book.add_worksheet(worksheets.LISTS)
        self.lists.protect()
        self.lists.hide()

    def page(self, one: Sheet, sheet: Any, given: dict[str, Any]) -> None:
        """A page of the form: a question a row."""
        self._names(sheet, one, [])
        sheet.set_column(0, 0, None, None, {"hidden": True})
        sheet.set_column(1, 1, 48)
        sheet.set_column(2, 2, 56)
        sheet.set_column(3, 3, 64)
        self._heading(sheet, one.step.title, one.step.hint)
        for column, words in ((1, N_("Question")), (2, N_("Answer")), (3, N_("Explanation"))):
            sheet.write_string(2, column, self.t(words), self.head)
        sheet.freeze_panes(3, 0)
        at = worksheets.FIRST_ANSWER
        for field in one.fields:
            sheet.write_string(at, worksheets.NAME, field.name)
            sheet.write_string(at, 1, field.label(self.language), self.bold)
            self._write(sheet, at, worksheets.ANSWER, field, _value(field, given))
            sheet.write_string(at, 3, self._hint(field.question), self.quiet)
            self._offer(sheet, field, (at, worksheets.ANSWER, at, worksheets.ANSWER))
            at += 1
        elsewhere = [q for q in one.step.questions_for(self.kind) if q.kind in ("list", "file")]
        for question in elsewhere:
            words = N_("See the sheet of this name.") if question.kind == "list" else N_("Add files in the portal.")
            sheet.write_string(at, 1, question.label.get(self.language, question.label["en"]), self.bold)
            sheet.write_string(at, 3, self.t(words), self.quiet)
            at += 1

    def table(self, one: Sheet, sheet: Any, rows: list[tuple[int, dict[str, Any]]]) -> None:
        """A list: an item a row."""
        self._names(sheet, one, [field.name for field in one.fields])
        last = one.list_end(len(rows) + SPARE)
        sheet.set_column(0, one.first - 1, 12)
        sheet.write_string(1, 0, self.t(N_("Number")), self.head)
        sheet.write_string(2, 0, "", self.quiet)
        if one.is_nested:
            around = one.lists[-2].item
            word = around.get(self.language, around["en"])
            sheet.write_string(1, 1, self.t(N_("Belongs to %(item)s number"), item=word), self.head)
            sheet.set_column(1, 1, 14, self.number)
        for column, field in enumerate(one.fields, start=one.first):
            sheet.set_column(column, column, 28, self._format(field))
            sheet.write_string(1, column, field.label(self.language), self.head)
            sheet.write_string(2, column, self._hint(field.question), self.quiet)
            self._offer(sheet, field, (worksheets.FIRST_ITEM, column, last, column))
        for at in range(worksheets.FIRST_ITEM, last + 1):
            sheet.write_number(at, 0, at - worksheets.FIRST_ITEM + 1, self.quiet)
        for at, (number, item) in enumerate(rows, start=worksheets.FIRST_ITEM):
            if one.is_nested:
                sheet.write_number(at, 1, number, self.number)
            for column, field in enumerate(one.fields, start=one.first):
                self._write(sheet, at, column, field, _value(field, item))
        sheet.freeze_panes(worksheets.FIRST_ITEM, one.first)

    def _names(self, sheet: Any, one: Sheet, names: list[str]) -> None:
        sheet.write_string(worksheets.NAMES, 0, one.key)
        for column, name in enumerate(names, start=one.first):
            sheet.write_string(worksheets.NAMES, column, name)
        sheet.set_row(worksheets.NAMES, None, None, {"hidden": True})

    def _heading(self, sheet: Any, title: dict[str, str], hint: dict[str, str] | None) -> None:
        sheet.write_string(1, 1, title.get(self.language, title["en"]), self.title)
        if hint:
            sheet.write_string(1, 3, hint.get(self.language, hint["en"]), self.quiet)

    def _hint(self, question: Question) -> str:
        mark = self.t(N_("required to submit")) if self.kind in question.required else ""
        hint = question.hint.get(self.language, question.hint["en"]) if question.hint else ""
        return " · ".join(filter(None, (mark, hint)))

    def _format(self, field: Field) -> Any:
        if field.option:
            return self.typed
        known = {"date": self.day, "money": self.money}
        return known.get(field.question.kind, self.number if field.question.kind in NUMBERS else self.typed)

    def _write(self, sheet: Any, at: int, column: int, field: Field, value: Any) -> None:
        made, kind = self._format(field), field.question.kind
        if value is None:
            sheet.write_blank(at, column, None, made)
        elif choices := worksheets.choices(field, self.language):
            wanted = {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
            words = next((words for words, one in choices.items() if one == wanted), wanted)
            sheet.write_string(at, column, words, made)
        elif kind in NUMBERS and _is_exact(value):
            sheet.write_number(at, column, float(value), made)
        elif kind == "date" and date.fromisoformat(value) >= LONG_AGO:
            sheet.write_datetime(at, column, date.fromisoformat(value), made)
        elif kind in NUMBERS:
            sheet.write_string(at, column, worksheets.written(Decimal(str(value)), self.language), self.typed)
        else:
            sheet.write_string(at, column, str(value)[:CELL], made)

    def _offer(self, sheet: Any, field: Field, place: tuple[int, int, int, int]) -> None:
        """A drop-down, where there is something to choose."""
        words = tuple(worksheets.choices(field, self.language))
        if not words:
            return
        if words not in self.sources:
            column = len(self.sources)
            self.lists.write_column(0, column, words)
            name = xlsxwriter.utility.xl_col_to_name(column)
            self.sources[words] = f"={worksheets.LISTS}!${name}$1:${name}${len(words)}"
        sheet.data_validation(
            *place,
            {
                "validate": "list",
                "source": self.sources[words],
                "error_title": self.t(N_("Not in the list")),
                "error_message": self.t(N_("Choose one of the options.")),
            },
        )


def _is_exact(value: Any) -> bool:
    """Whether a spreadsheet keeps every digit."""
    number = Decimal(str(value))
    return len(number.as_tuple().digits) <= EXACT
