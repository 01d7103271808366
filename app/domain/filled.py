"""A workbook that came back filled in: what it says as if typed into the form, what of it cannot be read, what it would change."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.orm import Session

from app.domain import audit, calls, cells, changes, drafts, judgements, reading, worksheets
from app.domain.access import Actor
from app.domain.changes import Change
from app.domain.errors import FileRefused
from app.domain.questionnaire import Question, Step, Text
from app.domain.worksheets import Field, Sheet
from app.infra import xlsx
from app.infra.documents import Unacceptable
from app.infra.i18n import LANGUAGES, N_, Message
from app.infra.xlsx import Cell, Row
from app.models import Submission

Pairs = list[tuple[str, str]]

NOT_OURS = N_("This workbook was not made by this portal. Take the one of this page, fill it in and add that.")
OTHER_CALL = N_(
    "This workbook is of the call “%(call)s”, and this submission of another. Take the workbook of this page."
)
OTHER_KIND = N_(
    "This workbook is of another kind of respondent, or of an earlier edition of the form. Take the one of this page."
)
FORMULA = N_("This cell holds a formula or an error. Type the value itself.")
TICK = N_("Choose yes or no.")
NO_SUCH_ROW = N_("This row belongs to a row that is not there. Give the number of a row that is filled in.")
NO_NUMBER = N_("Say to which row this belongs: give its number.")
SAME_NUMBER = N_("Another row has this number already. Give each row a number of its own.")
TOO_MANY = N_("This is more than the form takes: at most %(most)s.")
NO_COLUMN = N_("A column is missing from this sheet, or its hidden name was changed. Take the workbook of this page.")
NO_SHEET = N_("This sheet is missing. Take the workbook of this page.")


@dataclass(frozen=True)
class Problem:
    """Something in a cell that cannot be taken as it stands."""

    sheet: str
    at: str
    label: Text
    message: Message
    typed: str = ""


@dataclass
class Filled:
    """What a workbook says: by top-level question what would have been typed, and the problems.

    Questions that are `blocked` by a problem are not taken over at all; other problems are kept with their text, as in
    the form.
    """

    language: str
    pairs: dict[str, Pairs] = field(default_factory=dict)
    cells: dict[str, tuple[str, Field, Cell]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    blocked: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Offer:
    """One question that the workbook answers otherwise than the draft. `is_loss`: it leaves empty what is answered."""

    step: Step
    question: Question
    changes: list[Change]
    unread: list[str]
    is_loss: bool
    pairs: Pairs


@dataclass
class _Line:
    """One row of a table: its number, the number that it belongs to, its cells by question."""

    number: str
    belongs: str
    cells: dict[str, Cell]
    is_taken: bool = False


def read(submission: Submission, path: Path, name: str) -> Filled:
    """What the workbook at `path` says for a submission. FileRefused, saying why, when it is not one for it."""
    try:
        found = xlsx.read(path, name, worksheets.FIRST_ITEM + worksheets.MOST_ROWS + 1)
    except Unacceptable as reason:
        raise FileRefused(reason.message, file=name) from reason
    about = next((_about(sheet.rows) for sheet in found if sheet.title == worksheets.ABOUT), {})
    questions = calls.questions(submission.call)
    if about.get("format") != worksheets.FORMAT:
        raise FileRefused(Message(NOT_OURS, {}))
    if about.get("call") != submission.call.code:
        raise FileRefused(Message(OTHER_CALL, {"call": about.get("call", "")[:60]}))
    if (about.get("definition"), about.get("kind")) != (questions.digest, submission.kind):
        raise FileRefused(Message(OTHER_KIND, {}))
    language = about.get("language", "")
    back = _Reader(
        {_key(sheet): sheet for sheet in found}, submission.kind, language if language in LANGUAGES else LANGUAGES[0]
    )
    back.all(worksheets.sheets(questions, submission.kind))
    return back.filled


def _about(rows: list[Row]) -> dict[str, str]:
    pairs = [(row[0], row[1]) for row in rows if len(row) > 1]
    return {str(name.value): str(value.value) for name, value in pairs if name and value}


def _key(sheet: xlsx.Sheet) -> str:
    first = sheet.rows[0][0] if sheet.rows and sheet.rows[0] else None
    return str(first.value) if first else ""


class _Reader:
    """Goes over the sheets of one workbook, in order of the form."""

    def __init__(self, given: dict[str, xlsx.Sheet], kind: str, language: str) -> None:
        self.given, self.kind = given, kind
        self.filled = Filled(language)
        self.tables: dict[str, list[_Line]] = {}

    def all(self, layout: list[Sheet]) -> None:
        """Pages as they come; lists from the outside in, when all their sheets are read."""
        for sheet in layout:
            if sheet.lists:
                self.tables[sheet.key] = self._table(sheet)
            elif (found := self.given.get(sheet.key)) is not None:
                self._page(sheet, found)
            else:
                title = sheet.title(self.filled.language)
                self.filled.problems.append(Problem(title, "", sheet.step.title, Message(NO_SHEET, {})))
        for sheet in layout:
            if len(sheet.lists) == 1:
                name = sheet.lists[0].name
                self.filled.pairs.setdefault(name, [])
                self._items(sheet, layout, "", name)
        for sheet in layout:
            self._strays(sheet)

    def _page(self, sheet: Sheet, found: xlsx.Sheet) -> None:
        known = {field.name: field for field in sheet.fields}
        for row in found.rows[worksheets.FIRST_ANSWER :]:
            named = row[worksheets.NAME] if len(row) > worksheets.ANSWER else None
            if named is None or (field := known.get(str(named.value))) is None:
                continue
            self.filled.pairs.setdefault(field.question.name, [])
            if (cell := row[worksheets.ANSWER]) is not None:
                self._take(sheet, found.title, field, field.question.name, cell)

    def _table(self, sheet: Sheet) -> list[_Line]:
        found = self.given.get(sheet.key)
        if found is None:
            self._refuse(sheet, sheet.title(self.filled.language), None, Message(NO_SHEET, {}))
            return []
        columns = {str(cell.value): at for at, cell in enumerate(found.rows[worksheets.NAMES]) if cell}
        if any(field.name not in columns for field in sheet.fields):
            self._refuse(sheet, found.title, None, Message(NO_COLUMN, {}))
            return []
        lines: list[_Line] = []
        seen: set[str] = set()
        for row in found.rows[worksheets.FIRST_ITEM :]:
            padded = [*row, *[None] * (max(columns.values(), default=0) + 2 - len(row))]
            given = {f.name: cell for f in sheet.fields if (cell := padded[columns[f.name]]) is not None}
            given = {name: cell for name, cell in given.items() if cell.is_formula or str(cell.value).strip()}
            numbers = [cells.text_of(c, "integer", "en").strip() if c else "" for c in padded[:2]]
            line = _Line(numbers[0], numbers[1] if sheet.is_nested else "", given)
            if line.number and line.number in seen and given:
                self._refuse(sheet, found.title, padded[0], Message(SAME_NUMBER, {}))
            if given:
                seen.add(line.number)
            lines.append(line)
            if given and sheet.is_nested and not line.belongs:
                self._refuse(sheet, found.title, next(iter(given.values())), Message(NO_NUMBER, {}))
        return lines

    def _items(self, sheet: Sheet, layout: list[Sheet], belongs: str, path: str) -> None:
        """The used rows of a table that belong to one row around it, each with what lies inside it."""
        inside = [one for one in layout if one.lists[:-1] == sheet.lists and one.step is sheet.step and one.lists]
        mine = [
            line
            for line in self.tables[sheet.key]
            if line.belongs == belongs and (line.cells or self._holds(inside, line.number))
        ]
        title = self.given[sheet.key].title if sheet.key in self.given else ""
        if len(mine) > sheet.lists[-1].max_items:
            first = next(iter(mine[sheet.lists[-1].max_items].cells.values()), None)
            self._refuse(sheet, title, first, Message(TOO_MANY, {"most": sheet.lists[-1].max_items}))
            mine = mine[: sheet.lists[-1].max_items]
        for index, line in enumerate(mine):
            line.is_taken = True
            for asked in sheet.fields:
                if (cell := line.cells.get(asked.name)) is not None:
                    self._take(sheet, title, asked, f"{path}-{index}-{asked.question.name}", cell)
            for one in inside:
                self._items(one, layout, line.number, f"{path}-{index}-{one.lists[-1].name}")

    def _holds(self, inside: list[Sheet], number: str) -> bool:
        return bool(number) and any(
            line.belongs == number and line.cells for one in inside for line in self.tables[one.key]
        )

    def _strays(self, sheet: Sheet) -> None:
        """Rows that nothing took up belong to a row that is not there."""
        for line in self.tables.get(sheet.key, []):
            if line.cells and line.belongs and not line.is_taken:
                first = next(iter(line.cells.values()))
                self._refuse(sheet, self.given[sheet.key].title, first, Message(NO_SUCH_ROW, {}))

    def _take(self, sheet: Sheet, title: str, field: Field, path: str, cell: Cell) -> None:
        name = sheet.lists[0].name if sheet.lists else field.question.name
        if cell.is_formula:
            self._refuse(sheet, title, cell, Message(FORMULA, {}), field)
            return
        pairs = [(path + ending, text) for ending, text in cells.typed(field, cell, self.filled.language)]
        if field.option:
            if pairs and pairs[0][1] not in ("yes", "no"):
                self._refuse(sheet, title, cell, Message(TICK, {}), field)
                return
            pairs = [(path, field.option.value)] if pairs and pairs[0][1] == "yes" else []
        self.filled.pairs.setdefault(name, []).extend(pairs)
        self.filled.cells[path] = (title, field, cell)

    def _refuse(
        self, sheet: Sheet, title: str, cell: Cell | None, message: Message, field: Field | None = None
    ) -> None:
        label = _label(field) if field else sheet.lists[-1].label
        value = "" if cell is None or cell.value is None else str(cell.value)[:200]
        self.filled.blocked.add(sheet.lists[0].name if field is None or sheet.lists else field.question.name)
        self.filled.problems.append(Problem(title, cell.at if cell else "", label, message, value))


def offers(db: Session, submission: Submission, filled: Filled) -> list[Offer]:
    """What would change, question by question; what cannot be read is added to the problems, with its cell."""
    questions, kind = calls.questions(submission.call), submission.kind
    now = drafts.content(db, submission)
    found = []
    for step in questions.steps_for(kind):
        for question in step.questions_for(kind):
            if question.name not in filled.pairs or question.kind == "file":
                continue
            pairs = filled.pairs[question.name]
            back = reading.read(step, kind, pairs, filled.language)
            unread = list(_unread(filled, back))
            if question.name in filled.blocked:
                continue
            before = {question.name: now.answers[question.name]} if question.name in now.answers else {}
            after = {n: v for n, v in back.answers.items() if n == question.name}
            differing = changes.between(questions, kind, before, after)
            if differing or unread:
                is_loss = not pairs and bool(differing)
                found.append(Offer(step, question, differing, unread, is_loss, pairs))
    return found


def _unread(filled: Filled, back: reading.Reading) -> Iterator[str]:
    for path, entry in back.unread.items():
        title, field, cell = filled.cells[path]
        message = Message(entry["problem"], entry["params"])
        filled.problems.append(Problem(title, cell.at, _label(field), message, entry["text"][:200]))
        yield entry["text"]


def _label(field: Field) -> Text:
    return {language: field.label(language) for language in LANGUAGES}


def take(
    db: Session,
    actor: Actor,
    submission: Submission,
    chosen: set[str],
    pairs: Pairs,
    revisions: dict[str, int],
    language: str,
) -> int:
    """Take the chosen questions over into the draft, read anew as if typed; how many. StaleStep when a page moved on."""
    taken = 0
    for step in calls.questions(submission.call).steps_for(submission.kind):
        names = {q.name for q in step.questions_for(submission.kind) if q.name in chosen and q.kind != "file"}
        if not names:
            continue
        mine = [(path, text) for path, text in pairs if path.split("-", 1)[0] in names]
        back = reading.read(step, submission.kind, mine, language)
        at = revisions.get(step.name, 0)
        drafts.overlay(db, actor, submission, step.name, at, names, back.answers, back.unread)
        taken += len(names)
    if taken:
        audit.record(db, actor, "draft.filled_in", submission, rows=taken)
        judgements.keep(db, submission)
    return taken
