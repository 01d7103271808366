"""The form as worksheets: which sheet holds which questions. What is written and what comes back agree on it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from babel.numbers import get_decimal_symbol

from app.domain import identifiers, kinds
from app.domain.questionnaire import Option, Question, Questionnaire, Step, Text
from app.infra.i18n import LANGUAGES, N_, translate

FORMAT = "eoi-worksheet/1"
ABOUT = "_eoi"  # hidden: which call, definition, kind of respondent and language a workbook is of
LISTS = "_lists"  # hidden: what there is to choose, a column each
NAMES, FIRST_ANSWER, FIRST_ITEM = 0, 3, 3  # rows: the hidden names, and where answers begin
NAME, ANSWER = 0, 2  # columns of a page: the hidden names, the answers
MOST_ROWS = 2000
FORBIDDEN = re.compile(r"[\[\]:*?/\\']+")


@dataclass(frozen=True)
class Field:
    """One cell to fill in: a question, or one option of a question with several."""

    question: Question
    option: Option | None = None

    @property
    def name(self) -> str:
        """What its row or column is called in the hidden names."""
        return f"{self.question.name}={self.option.value}" if self.option else self.question.name

    def label(self, language: str) -> str:
        """What a person reads beside it."""
        label = _of(self.question.label, language)
        if self.question.unit:
            label += f" ({_of(self.question.unit, language)})"
        return f"{label}: {_of(self.option.label, language)}" if self.option else label


@dataclass(frozen=True)
class Sheet:
    """A page of the form, or the table of a list; `lists` are the list itself and those it lies in, outermost first."""

    step: Step
    number: str
    lists: tuple[Question, ...]
    fields: tuple[Field, ...]

    @property
    def key(self) -> str:
        """What it is, in its first cell."""
        return "-".join((self.step.name, *(one.name for one in self.lists)))

    @property
    def is_nested(self) -> bool:
        """Whether its rows belong to rows of another sheet."""
        return len(self.lists) > 1

    @property
    def first(self) -> int:
        """The column of its first question: the numbers stand before it."""
        return 1 + self.is_nested

    @property
    def limit(self) -> int:
        """The most rows that it can hold."""
        most = 1
        for one in self.lists:
            most *= one.max_items
        return min(most, MOST_ROWS)

    def list_end(self, wanted: int) -> int:
        """The last row of a table that is to hold so many items."""
        return FIRST_ITEM + min(wanted, self.limit) - 1

    def title(self, language: str) -> str:
        """A name as spreadsheets take it: 31 characters, none of them special, no two alike by their number."""
        title = _of(self.lists[-1].label if self.lists else self.step.title, language)
        return f"{self.number} {FORBIDDEN.sub(' ', title)}"[:31].strip()


def sheets(questions: Questionnaire, kind: str) -> list[Sheet]:
    """The sheets of one kind of respondent in order of the form, each list after what it lies in."""
    found = []
    for place, step in enumerate(questions.steps_for(kind), start=1):
        asked = step.questions_for(kind)
        found.append(Sheet(step, str(place), (), tuple(fields(asked))))
        found += _tables(step, str(place), (), asked, kind)
    return found


def _tables(
    step: Step, number: str, around: tuple[Question, ...], asked: tuple[Question, ...], kind: str
) -> Iterator[Sheet]:
    lists = [question for question in asked if question.kind == kinds.LIST]
    for place, question in enumerate(lists, start=1):
        inner, at = question.questions_for(kind), f"{number}.{place}"
        yield Sheet(step, at, (*around, question), tuple(fields(inner)))
        yield from _tables(step, at, (*around, question), inner, kind)


def fields(asked: tuple[Question, ...]) -> Iterator[Field]:
    """The cells of some questions. Lists have a sheet of their own; files are given in the portal."""
    for question in asked:
        if question.kind == "choices":
            yield from (Field(question, option) for option in question.options)
        elif question.kind not in (kinds.LIST, "file"):
            yield Field(question)


def choices(field: Field, language: str) -> dict[str, str]:
    """What can be chosen in a cell: readable words, each once, and the value they stand for. Empty: anything is typed."""
    if field.option or field.question.kind == "yes_no":
        return {translate(language, N_("Yes")): "yes", translate(language, N_("No")): "no"}
    if field.question.kind == "country":
        return {name: code for code, name in sorted(identifiers.country_names(language).items(), key=lambda e: e[1])}
    found: dict[str, str] = {}
    for option in field.question.options:
        label = _of(option.label, language)
        found[f"{label} ({option.value})" if label in found else label] = option.value
    return found


def chosen(field: Field, given: str, language: str) -> str | None:
    """The value that words in any of our languages, or the value itself, stand for; None where they are nothing to choose."""
    for one in (language, *LANGUAGES):
        known = choices(field, one)
        if given in known:
            return known[given]
        if given in known.values():
            return given
        if (folded := {words.casefold(): value for words, value in known.items()}.get(given.casefold())) is not None:
            return folded
    return None


def written(number: Decimal, language: str) -> str:
    """A number in full as people of a language type it, without a mark between thousands."""
    return f"{number:f}".replace(".", get_decimal_symbol(language))


def _of(texts: Text, language: str) -> str:
    return texts.get(language) or texts["en"]
