"""The pictures of a sealed call, each as the table that stands under it: by country and kind, over time, spread, by source."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from babel.dates import format_date
from babel.numbers import format_decimal

from app.domain import funding
from app.domain.figures import NOT_GIVEN, Figures
from app.domain.identifiers import country_names
from app.domain.parts import Spread
from app.domain.questionnaire import Questionnaire
from app.infra.i18n import N_, translate

DAYS = 120  # columns that can still be told apart
COUNTRY, DOSSIERS = N_("Country"), N_("Dossiers")
LEAD_TITLE = N_("By country of the lead")
SITE_TITLE = N_("By country of the sites")
SITE_NOTE = N_("A dossier with sites in several countries counts in each of them.")
KIND_TITLE, KIND = N_("By kind of respondent"), N_("Kind")
DAY_TITLE, DAY = N_("Received by day (Brussels)"), N_("Day")
RECEIVED_NOTE = N_("When the version that counts was received.")
EARLIER = N_("before %(day)s")
HOUR_TITLE, HOUR = N_("Received in the last 24 hours before the cutoff"), N_("Hours before the cutoff")
SOURCE_TITLE, SOURCE, AMOUNT = N_("Money by source (EUR)"), N_("Source"), N_("Sum (EUR)")
PRIVATE, PUBLIC = N_("%(source)s (private)"), N_("%(source)s (public)")
WARNING_TITLE, WARNING = N_("Remarks most often given"), N_("Remark")
BELOW, FROM_TO, FROM, MISSING = (
    N_("less than %(to)s"),
    N_("%(from)s to less than %(to)s"),
    N_("%(from)s or more"),
    N_("not given"),
)


@dataclass(frozen=True)
class Row:
    """One line of a table: `key` for machines, the label in words, its number of dossiers, and a sum of money or None."""

    key: str
    label: str
    number: int
    amount: Decimal | None = None

    @property
    def size(self) -> Decimal:
        """What is drawn."""
        return Decimal(self.number) if self.amount is None else self.amount


@dataclass(frozen=True)
class Picture:
    """A picture and its table; `shape` is map, bars or columns; `headings` are those of the table and the CSV."""

    name: str
    shape: str
    title: str
    headings: tuple[str, ...]
    rows: tuple[Row, ...]
    note: str = ""

    def shown(self, language: str) -> list[tuple[str, ...]]:
        """The table as a person reads it."""
        return [
            tuple(
                value
                if isinstance(value, str)
                else format_decimal(value, format="#,##0.00" if isinstance(value, Decimal) else None, locale=language)
                for value in self.cells(row)
            )
            for row in self.rows
        ]

    def cells(self, row: Row) -> tuple[Any, ...]:
        """A line as the CSV has it."""
        return (row.label, row.number) if row.amount is None else (row.label, row.number, row.amount)


def pictures(questions: Questionnaire, found: Figures, language: str) -> list[Picture]:
    """Every picture that has something to show, in the order of the page."""
    t = partial(translate, language)
    dossiers = t(DOSSIERS)
    countries = country_names(language)
    made = [
        Picture("lead-country", "map", t(LEAD_TITLE), (t(COUNTRY), dossiers), _most(found.of("lead"), countries)),
        Picture(
            "site-country",
            "map",
            t(SITE_TITLE),
            (t(COUNTRY), dossiers),
            _most(found.of("site"), countries),
            t(SITE_NOTE),
        ),
        Picture("kind", "bars", t(KIND_TITLE), (t(KIND), dossiers), _kinds(questions, found, language)),
        Picture("day", "columns", t(DAY_TITLE), (t(DAY), dossiers), _days(found, language), t(RECEIVED_NOTE)),
        Picture("hour", "columns", t(HOUR_TITLE), (t(HOUR), dossiers), _hours(found), t(RECEIVED_NOTE)),
        *(_spread(spread, found, language) for spread in questions.parts.spreads),
        Picture(
            "source", "bars", t(SOURCE_TITLE), (t(SOURCE), dossiers, t(AMOUNT)), _sources(questions, found, language)
        ),
        Picture("warning", "bars", t(WARNING_TITLE), (t(WARNING), dossiers), _warnings(questions, found, language)),
    ]
    return [picture for picture in made if picture.rows]


def _most(counts: dict[str, int], names: dict[str, str]) -> tuple[Row, ...]:
    """The most frequent first, and by name where they tie."""
    rows = [Row(key, names.get(key, key), number) for key, number in counts.items() if key != NOT_GIVEN]
    return tuple(sorted(rows, key=lambda row: (-row.number, row.label)))


def _text(words: dict[str, str], language: str) -> str:
    return words.get(language) or words["en"]


def _kinds(questions: Questionnaire, found: Figures, language: str) -> tuple[Row, ...]:
    counts = found.of("kind")
    if not counts:
        return ()
    return tuple(Row(k, _text(r.title, language), counts.get(k, 0)) for k, r in questions.respondents.items())


def _days(found: Figures, language: str) -> tuple[Row, ...]:
    """Every day from the first to the last on which something was received; the earliest together where there are many."""
    counts = {date.fromisoformat(key): number for key, number in found.of("day").items()}
    if not counts:
        return ()
    last = max(counts)
    first = max(min(counts), last - timedelta(days=DAYS - 1))
    rows = []
    if early := sum(number for day, number in counts.items() if day < first):
        words = translate(language, EARLIER, day=_day(first, language))
        rows.append(Row(f"-{first.isoformat()}", words, early))
    for ahead in range((last - first).days + 1):
        day = first + timedelta(days=ahead)
        rows.append(Row(day.isoformat(), _day(day, language), counts.get(day, 0)))
    return tuple(rows)


def _day(day: date, language: str) -> str:
    return str(format_date(day, "d MMMM y", locale=language))


def _hours(found: Figures) -> tuple[Row, ...]:
    """The 24 hours that lead up to the cutoff, the last one at the end."""
    counts = found.of("hour")
    if not counts:
        return ()
    return tuple(Row(str(h), f"{h + 1}–{h}", counts.get(str(h), 0)) for h in reversed(range(24)))


def _spread(spread: Spread, found: Figures, language: str) -> Picture:
    counts, label = found.of(spread.name), _text(spread.label, language)
    headings = (label, translate(language, DOSSIERS))
    rows = tuple(
        Row(key, words, counts.get(key, 0))
        for key, words in _bins(spread.edges, language)
        if counts.get(key, 0) or key not in ("0", NOT_GIVEN)
    )
    return Picture(spread.name.replace("_", "-"), "bars", label, headings, rows if any(counts.values()) else ())


def _bins(edges: tuple[str, ...], language: str) -> Iterator[tuple[str, str]]:
    """The keys of the bins with their words: below the first edge, from each edge to the next, and what was not given."""
    t = partial(translate, language)
    shown = [format_decimal(Decimal(edge), locale=language) for edge in edges]
    yield "0", t(BELOW, to=shown[0])
    for place, edge in enumerate(shown, start=1):
        is_last = place == len(shown)
        yield str(place), t(FROM, **{"from": edge}) if is_last else t(FROM_TO, **{"from": edge, "to": shown[place]})
    yield NOT_GIVEN, t(MISSING)


def _sources(questions: Questionnaire, found: Figures, language: str) -> tuple[Row, ...]:
    asked = questions.parts.funding
    if asked is None:
        return ()
    rows = []
    for name in asked.sources:
        words = translate(
            language,
            PUBLIC if name in asked.public else PRIVATE,
            source=_text(funding.label(questions, name), language),
        )
        amount = found.sums.get(f"money {name}", Decimal(0))
        rows.append(Row(name, words, found.of(f"money {name}").get("given", 0), amount.quantize(funding.CENT)))
    return tuple(rows) if any(row.amount for row in rows) else ()


def _warnings(questions: Questionnaire, found: Figures, language: str) -> tuple[Row, ...]:
    words = {rule.name: _text(rule.message, language) for rule in questions.rules}
    return _most(found.of("warning"), words)


def named(listed: list[Picture], name: str) -> Picture | None:
    """The picture of that name, where it has something to show."""
    return next((picture for picture in listed if picture.name == name), None)
