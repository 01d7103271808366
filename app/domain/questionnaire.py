"""The form as data: what is asked of whom, and how answers are walked. Reading, checking and schemas build on it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from app.domain import amounts, kinds, rules
from app.domain.clauses import Disclosure
from app.domain.parts import Parts
from app.domain.pledges import Pledges
from app.domain.yardsticks import Yardsticks

Text = dict[str, str]


@dataclass(frozen=True)
class Option:
    """One answer to choose."""

    value: str
    label: Text


@dataclass(frozen=True)
class Question:
    """One question; of kind `list` it holds further ones, asked for each item."""

    name: str
    kind: str
    label: Text
    hint: Text | None
    for_: frozenset[str]
    required: frozenset[str]
    required_when: str | None
    max_length: int
    places: int
    min: str | None
    max: str | None
    unit: Text | None
    options: tuple[Option, ...]
    default: Any
    item: Text
    min_items: dict[str, int]
    max_items: int
    questions: tuple["Question", ...]

    def questions_for(self, kind: str) -> tuple["Question", ...]:
        """The questions of an item that a kind of respondent is asked."""
        return tuple(q for q in self.questions if kind in q.for_)

    def show(self, value: Any, language: str) -> str:
        """An answer as a person reads it, with its unit."""
        shown = kinds.KINDS[self.kind].show(value, self, language)
        return f"{shown} {self.unit.get(language, self.unit['en'])}" if self.unit else shown


@dataclass(frozen=True)
class _Nothing:
    """Stands for a question where a bare value is shown."""

    places: int = 4
    min: str | None = None
    max: str | None = None
    max_length: int = 200
    options: tuple[Option, ...] = ()


def show_value(kind: str, value: Any, language: str) -> str:
    """A value of a kind as a person reads it, where no question is at hand: a column of the register."""
    return kinds.KINDS[kind].show(value, _Nothing(), language)


@dataclass(frozen=True)
class Step:
    """One page of the form; its `heading` is one of Art. 12b(19), or the envelope."""

    name: str
    title: Text
    hint: Text | None
    heading: str
    for_: frozenset[str]
    confidential: bool
    anew: bool
    questions: tuple[Question, ...]

    def questions_for(self, kind: str) -> tuple[Question, ...]:
        """The questions of this page that a kind of respondent is asked."""
        return tuple(q for q in self.questions if kind in q.for_)


@dataclass(frozen=True)
class Respondent:
    """A kind of respondent; `open_to` is state, firm or other."""

    name: str
    title: Text
    hint: Text
    open_to: str


@dataclass(frozen=True)
class Rule:
    """A CEL expression that must be true, judged when all it needs is answered; with `each`, for every item."""

    name: str
    level: str
    for_: frozenset[str]
    each: tuple[str, ...]
    at: str
    needs: tuple[str, ...]
    check: str
    message: Text


@dataclass(frozen=True)
class RegisterColumn:
    """A column of the reviewers' list and of the spreadsheets, computed when a version is accepted.

    By a `facet` the list is filtered and counted; numbers by ranges that begin at each of `ranges`.
    """

    name: str
    label: Text
    kind: str
    value: str
    sum: bool
    facet: bool = False
    ranges: tuple[str, ...] = ()


@dataclass(frozen=True)
class Questionnaire:
    """A whole call file, ready for use."""

    definition: dict[str, Any]
    digest: str
    code: str
    title: Text
    summary: Text
    notice: Text | None
    help: Text | None
    privacy: Text | None
    respondents: dict[str, Respondent]
    headings: dict[str, Text]
    limits: dict[str, Any]
    limit_texts: dict[str, tuple[str, str]]
    uses: dict[str, str]
    steps: tuple[Step, ...]
    rules: tuple[Rule, ...]
    register: tuple[RegisterColumn, ...]
    parts: Parts
    review: Yardsticks
    topics: tuple[Option, ...]
    disclosure: Disclosure
    retention: dict[str, int]
    support: Pledges

    @property
    def assurance(self) -> str | None:
        """The level by which firms sign in before they submit; None where an e-mail link will do."""
        return self.definition.get("assurance")

    @property
    def mandates(self) -> str | None:
        """`required` where every organisation but the lead signs its mandate before a submit; else None."""
        return self.definition.get("mandates")

    @property
    def confirmation(self) -> str | None:
        """`lead` where an owner of the leading organisation confirms what others submit in its name; else None."""
        return self.definition.get("confirmation")

    def steps_for(self, kind: str) -> tuple[Step, ...]:
        """The pages of a kind of respondent, those without a question for it left out."""
        return tuple(s for s in self.steps if kind in s.for_ and s.questions_for(kind))

    def topic(self, value: str, language: str) -> str:
        """What a topic of clarifications is called; its value where the call does not know it."""
        label = next((t.label for t in self.topics if t.value == value), {})
        return label.get(language) or label.get("en", value)

    def step(self, name: str, kind: str | None = None) -> Step | None:
        """The page of this name, if a kind of respondent has it."""
        found = self.steps if kind is None else self.steps_for(kind)
        return next((s for s in found if s.name == name), None)

    @cached_property
    def _places(self) -> dict[str, tuple[Step, Question]]:
        return {q.name: (step, q) for step in self.steps for q in step.questions}

    def step_of(self, question: str) -> Step:
        """The page on which a top-level question stands."""
        return self._places[question][0]

    def has(self, name: str) -> bool:
        """Whether there is a top-level question of this name."""
        return name in self._places

    def reaches(self, path: str) -> bool:
        """Whether there is a question of this name, or one inside a list as `list.name`."""
        whole, _, part = path.partition(".")
        return self.has(whole) and (not part or any(q.name == part for q in self.question(whole).questions))

    def question(self, name: str) -> Question:
        """A top-level question."""
        return self._places[name][1]

    def asks(self, kind: str, question: str) -> bool:
        """Whether a kind of respondent is asked a top-level question."""
        step, found = self._places[question]
        return kind in step.for_ and kind in found.for_


def cel_values(questions: tuple[Question, ...], answers: dict[str, Any]) -> dict[str, Any]:
    """Answers as rules see them: null where not answered, lists of items in full, exact integers for numbers."""
    values: dict[str, Any] = {}
    for question in questions:
        value = answers.get(question.name)
        if question.kind == kinds.LIST:
            values[question.name] = [cel_values(question.questions, item) for item in value or []]
        elif value is None:
            values[question.name] = [] if question.kind in ("file", "choices") else None
        else:
            values[question.name] = kinds.KINDS[question.kind].to_cel(value)
    return values


def scope(
    questionnaire: Questionnaire, kind: str, answers: dict[str, Any], files: dict[str, list[dict[str, Any]]]
) -> tuple[rules.Scope, dict[str, Any]]:
    """Everything that a rule may name, for one kind of respondent; and the variables by themselves."""
    values: dict[str, Any] = {"kind": kind, "limits": questionnaire.limits}
    for step in questionnaire.steps:
        values |= cel_values(step.questions, answers | files)
    return rules.Scope(values), values


def walk(questionnaire: Questionnaire, kind: str, answers: dict[str, Any]) -> Iterator[tuple[Step, Question, str, Any]]:
    """Every question asked of a kind, in order of the form, with its path and answer (None: not answered).

    Of a list, the list itself comes first (its value is the items), then the questions of each item.
    """
    for step in questionnaire.steps_for(kind):
        for question in step.questions_for(kind):
            yield from ((step, *found) for found in _walk(question, question.name, kind, answers.get(question.name)))


def _walk(question: Question, path: str, kind: str, value: Any) -> Iterator[tuple[Question, str, Any]]:
    yield question, path, value
    if question.kind == kinds.LIST:
        for index, item in enumerate(value or []):
            for inner in question.questions_for(kind):
                yield from _walk(inner, f"{path}-{index}-{inner.name}", kind, item.get(inner.name))


def facts(questionnaire: Questionnaire, kind: str, answers: dict[str, Any]) -> dict[str, Any]:
    """The values of the register's columns, canonical: money and decimals as strings, absent ones as null."""
    from_rules, _ = scope(questionnaire, kind, answers, {})
    return {c.name: _canonical(c.kind, from_rules.value(c.value)) for c in questionnaire.register}


def _canonical(kind: str, value: Any) -> Any:
    if value is None or kind not in ("money", "decimal", "percent"):
        return value
    if kind == "money":
        sign, cents = ("-" if value < 0 else ""), abs(value)
        return f"{sign}{cents // 100}.{cents % 100:02d}"
    sign, parts = ("-" if value < 0 else ""), abs(value)
    fraction = f"{parts % amounts.TEN_THOUSAND:04d}".rstrip("0")
    return f"{sign}{parts // amounts.TEN_THOUSAND}" + (f".{fraction}" if fraction else "")
