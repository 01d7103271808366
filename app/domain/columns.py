"""What a register shows and counts: its columns and its facets, those that every call has and those that its file names."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial, wraps
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Numeric, cast, func
from sqlalchemy.dialects.postgresql import JSONPATH
from sqlalchemy.orm import InstrumentedAttribute

from app.domain import amounts, current, glossary, identifiers, kinds, questionnaire, wordbook
from app.domain.current import Current
from app.domain.questionnaire import Question, Questionnaire, RegisterColumn
from app.infra import times
from app.infra.i18n import N_, Message, translate
from app.models import Entry, Version

T = TypeVar("T")
FACT = "fact."
ANSWER = "answer."
MARK = "mark."
NUMBERS = frozenset({"integer", "decimal", "percent", "money"})
WORDS = frozenset({"text", "country", "choice", "kind"})
SITE = "site"  # the facet of the countries in which a dossier has sites
NONE, ANY, YES, NO = "-", "*", "yes", "no"  # values of facets: not given, whichever, and what a yes or no comes to
CUT = 200  # characters of an answer in a list


@dataclass(frozen=True)
class Column:
    """One column: `kind` says how a value is shown and ordered; `label` is a message, or a text of the call file.

    What a question was answered, and what may change after the seal, is not sorted by.
    """

    name: str
    kind: str
    label: Message | dict[str, str]
    value: ColumnElement[Any] | InstrumentedAttribute[Any]
    is_summed: bool = False
    is_sorted: bool = True

    def heading(self, language: str) -> str:
        """The heading in the reader's language."""
        return self.label.text(language) if isinstance(self.label, Message) else self.label[language]

    @property
    def order(self) -> Any:
        """What rows are ordered by: numbers as numbers, words without regard to capitals."""
        if self.kind in NUMBERS and self.name.startswith(FACT):
            return cast(self.value, Numeric)
        return func.lower(self.value) if self.kind in WORDS else self.value


def _kept(make: Callable[[Questionnaire], T]) -> Callable[[Questionnaire], T]:
    """Made once for each definition, as that never changes."""
    made: dict[str, T] = {}

    @wraps(make)
    def kept(questions: Questionnaire) -> T:
        if questions.digest not in made:
            made[questions.digest] = make(questions)
        return made[questions.digest]

    return kept


@_kept
def columns(questions: Questionnaire) -> tuple[Column, ...]:
    """The columns of a call's register without those of its questions."""
    facts = (
        Column(FACT + c.name, c.kind, c.label, Entry.facts[c.name].astext, is_summed=c.sum) for c in questions.register
    )
    return (
        Column("reference", "reference", Message(N_("Reference")), Entry.reference),
        Column("title", "text", Message(N_("Title")), Entry.title),
        Column("organisation", "text", Message(N_("Organisation")), Entry.organisation),
        Column("kind", "kind", Message(N_("Kind")), Entry.kind),
        Column("country", "country", Message(N_("Country")), Entry.country),
        *facts,
        Column("received_at", "instant", Message(N_("Received")), Entry.received_at),
        Column("version", "integer", Message(N_("Version")), Entry.number),
        Column("warnings", "integer", Message(N_("Remarks")), func.cardinality(Entry.warnings)),
        Column("flags", "flags", Message(N_("Pointed out")), Entry.flags),
        Column("is_consented", "yes_no", Message(N_("To EuroHPC")), Entry.is_consented),
        Column("is_withdrawn", "yes_no", Message(N_("Withdrawn")), Entry.is_withdrawn),
        Column("is_released", "yes_no", Message(N_("Released")), current.is_released, is_sorted=False),
        Column("progress", "progress", Message(N_("Progress")), current.progress, is_sorted=False),
        Column("readers", "names", Message(N_("Readers")), current.readers, is_sorted=False),
        Column("tags", "names", Message(N_("Tags")), current.tags, is_sorted=False),
    )


@_kept
def answer_columns(questions: Questionnaire) -> tuple[Column, ...]:
    """A column for each question, so that what a call file asks can be listed; the title has its own already.

    Values come from the version, where the reader may open it.
    """
    asked = [q for step in questions.steps for q in step.questions if q.name != questions.uses["title"]]
    return tuple(
        Column(
            ANSWER + q.name,
            q.kind,
            q.label,
            _names_of(q.name) if q.kind == "file" else Version.answers[q.name],
            is_sorted=False,
        )
        for q in asked
    )


def _names_of(question: str) -> ColumnElement[Any]:
    path = "$[*] ? (@.question == $question).name"
    return func.jsonb_path_query_array(
        Version.files, cast(path, JSONPATH), func.jsonb_build_object("question", question)
    )


def show(questions: Questionnaire, column: Column, value: Any, language: str) -> str:
    """A value as a person reads it in a list: long answers cut off, of the items of a list what each begins with."""
    return shower(questions, column, language)(value)


def shower(questions: Questionnaire, column: Column, language: str) -> Callable[[Any], str]:
    """What shows the values of a column: looked up once for the many cells that it has."""
    make = _as_text if column.name.startswith(ANSWER) else _SHOWN.get(column.kind, _as_text)
    made = make(questions, column, language)
    return lambda value: "" if value is None or value == [] else made(value)


def _as_text(questions: Questionnaire, column: Column, language: str) -> Callable[[Any], str]:
    if column.name.startswith(ANSWER):
        question = questions.question(column.name.removeprefix(ANSWER))
        return lambda value: _cut(_answer(question, value, language))
    return str


_SHOWN: dict[str, Callable[[Questionnaire, Column, str], Callable[[Any], str]]] = {
    **{
        kind: lambda q, column, language: partial(questionnaire.show_value, column.kind, language=language)
        for kind in NUMBERS
    },
    "instant": lambda q, column, language: partial(times.brussels, language=language),
    "yes_no": lambda q, column, language: lambda value: _yes_no(YES if value else NO, language),
    "progress": lambda q, column, language: partial(_progress, language=language),
    "names": lambda q, column, language: ", ".join,
    "flags": lambda q, column, language: lambda value: ", ".join(glossary.words("flag", f, language) for f in value),
    "country": lambda q, column, language: lambda value: identifiers.country_names(language).get(value, value),
}


def _answer(question: Question, value: Any, language: str) -> str:
    if question.kind == "file":
        return ", ".join(value)
    if question.kind != kinds.LIST:
        return question.show(value, language)
    first = question.questions[0]
    firsts = (item.get(first.name) for item in value)
    return ", ".join(first.show(one, language) for one in firsts if one not in (None, "", []))


def _cut(text: str) -> str:
    return text if len(text) <= CUT else f"{text[:CUT].rstrip()}…"


@dataclass(frozen=True)
class Facet:
    """What a register is filtered and counted by. `words` names a value in a language; `values` orders known ones.

    One that may change after the seal is `live`.
    """

    name: str
    label: Message | dict[str, str]
    words: Callable[[str, str], str]
    values: tuple[str, ...] = ()
    live: Current | None = None

    def heading(self, language: str) -> str:
        """What it is called."""
        return self.label.text(language) if isinstance(self.label, Message) else self.label[language]


@_kept
def facets(questions: Questionnaire) -> tuple[Facet, ...]:
    """The facets of a call's register: what every call has, and the columns whose file says `facet` or `ranges`."""
    respondents, rules = questions.respondents, {r.name: r.message for r in questions.rules}

    def kind(value: str, language: str) -> str:
        return f"{value}: {respondents[value].title[language]}" if value in respondents else value

    def warning(value: str, language: str) -> str:
        if value in (NONE, ANY):
            return translate(language, N_("without remarks") if value == NONE else N_("with a remark"))
        return rules[value][language] if value in rules else value

    return (
        Facet("kind", Message(N_("Kind")), kind, tuple(respondents)),
        Facet("country", Message(N_("Country")), _country),
        *(
            Facet(FACT + c.name, c.label, _words_of(c), tuple(map(str, range(len(c.ranges) + 1))) if c.ranges else ())
            for c in questions.register
            if c.facet
        ),
        *([Facet(SITE, Message(N_("Country of a site")), _country)] if _has_sites(questions) else []),
        Facet("warning", Message(N_("Remarks")), warning, (NONE, ANY)),
        Facet("flag", Message(N_("Pointed out")), lambda value, language: glossary.words("flag", value, language)),
        Facet("is_consented", Message(N_("To EuroHPC")), _yes_no, (YES, NO)),
        Facet("is_withdrawn", Message(N_("Withdrawn")), _yes_no, (YES, NO)),
        Facet("is_released", Message(N_("Released")), _yes_no, (YES, NO), current.released),
        Facet("progress", Message(N_("Progress")), _progress, tuple(wordbook.PROGRESS), current.state),
        Facet("reader", Message(N_("Reader")), _nobody, (NONE,), current.reader),
        Facet("tag", Message(N_("Tag")), _nobody, (NONE,), current.tag),
    )


def labels(questions: Questionnaire, entry: Any) -> Iterator[str]:
    """What an entry is counted under, as `facet=value`, but for what it shares with others and what is live."""
    yield f"kind={entry.kind}"
    yield f"country={entry.country}"
    for column in questions.register:
        if column.facet:
            yield f"{FACT}{column.name}={_value(column, entry.facts.get(column.name))}"
    if _has_sites(questions):
        yield from (f"{SITE}={country}" for country in sorted(entry.sites) or [NONE])
    yield f"warning={ANY if entry.warnings else NONE}"
    yield from (f"warning={name}" for name in sorted(set(entry.warnings)))
    yield f"is_consented={YES if entry.is_consented else NO}"
    yield f"is_withdrawn={YES if entry.is_withdrawn else NO}"


def _has_sites(questions: Questionnaire) -> bool:
    return questions.parts.sites is not None and questions.parts.sites.country is not None


def scaled(kind: str, value: Any) -> int:
    """A number of a column as the integer in which it is added up; see `unscaled`."""
    if kind == "integer":
        return int(value)
    return amounts.to_cents(value) if kind == "money" else amounts.to_scaled(value)


def unscaled(kind: str, total: int) -> Decimal:
    """A sum of `scaled` numbers."""
    if kind == "integer":
        return Decimal(total)
    return Decimal(total) / (100 if kind == "money" else amounts.TEN_THOUSAND)


def _value(column: RegisterColumn, value: Any) -> str:
    if value is None:
        return NONE
    if column.ranges:
        return str(sum(Decimal(edge) <= Decimal(str(value)) for edge in column.ranges))
    return (YES if value else NO) if isinstance(value, bool) else str(value)


def _words_of(column: RegisterColumn) -> Callable[[str, str], str]:
    def ranged(value: str, language: str) -> str:
        if not value.isdigit() or int(value) > len(column.ranges):
            return _none(value, language)
        place = int(value)
        least, most = (
            amounts.show_rounded(column.kind, column.ranges[i], language) if 0 <= i < len(column.ranges) else ""
            for i in (place - 1, place)
        )
        if not least:
            return translate(language, N_("less than %(most)s"), most=most)
        if not most:
            return translate(language, N_("%(least)s or more"), least=least)
        return translate(language, N_("%(least)s to %(most)s"), least=least, most=most)

    if column.ranges:
        return ranged
    return _country if column.kind == "country" else _yes_no


def _country(value: str, language: str) -> str:
    return identifiers.country_names(language).get(value) or _none(value, language)


def _yes_no(value: str, language: str) -> str:
    known = {YES: N_("Yes"), NO: N_("No")}
    return translate(language, known[value]) if value in known else _none(value, language)


def _progress(value: str, language: str) -> str:
    return glossary.words("progress", value, language)


def _nobody(value: str, language: str) -> str:
    return translate(language, N_("none")) if value == NONE else value


def _none(value: str, language: str) -> str:
    return translate(language, N_("not given")) if value == NONE else value
