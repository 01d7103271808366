"""The lines of a register and the boxes to filter it by, written out: thousands of pieces are not a template's work."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from markupsafe import Markup, escape

from app.domain import columns, searches
from app.domain.columns import ANSWER, NUMBERS, Column
from app.domain.questionnaire import Questionnaire
from app.domain.register import Query
from app.domain.searches import EXCERPT
from app.infra import i18n

KEPT = 4096  # cells of a column, and boxes
NUMERIC = ' class="govuk-table__cell numbers"'
PLAIN = ' class="govuk-table__cell"'
REPEATED = ("instant", "country", "yes_no", "kind", "progress")  # kinds of column whose values come again and again
CHOOSE = i18n.N_("Choose")


def rows(
    questions: Questionnaire, shown: tuple[Column, ...], found: list[dict[str, Any]], language: str
) -> list[tuple[Markup, list[Markup]]]:
    """Each row from its box to its last cell, and where in it the words stand that were searched for."""
    cells = [(column.name, _cell(questions, column, language)) for column in shown if column.name != "reference"]
    choose = escape(i18n.translate(language, CHOOSE))
    return [
        (Markup(_head(row["ref"], choose) + "".join([show(row[name]) for name, show in cells])), _excerpt(row))  # noqa: S704
        for row in found
    ]


def _head(reference: str, choose: str) -> str:
    """A reference is of our own letters and digits."""
    return (
        '<th scope="row" class="govuk-table__header">'
        f'<input type="checkbox" name="ref" value="{reference}" aria-label="{choose} {reference}"> '
        f'<a class="govuk-link" href="/review/{reference}">{reference}</a></th>'
    )


_cells: dict[tuple[str, str, str], Callable[[Any], str]] = {}


def _cell(questions: Questionnaire, column: Column, language: str) -> Callable[[Any], str]:
    """What writes the cells of a column; numbers and instants are the same each time, and dear to write."""
    key = (questions.digest, column.name, language)
    if key not in _cells:
        show, side = columns.shower(questions, column, language), NUMERIC if column.kind in NUMBERS else PLAIN

        def write(value: Any) -> str:
            return f"<td{side}>{escape(show(value) or '–')}</td>"

        is_dear = column.kind in (*NUMBERS, *REPEATED) and not column.name.startswith(ANSWER)
        _cells[key] = lru_cache(KEPT)(write) if is_dear else write
    return _cells[key]


def _excerpt(row: dict[str, Any]) -> list[Markup]:
    """What was found within its words, marked; nothing where the words stand elsewhere."""
    text: str | None = row.get(EXCERPT)
    if not text or searches.HIT not in text:
        return []
    start, *parts = text.split(searches.HIT)
    marked = [escape(start)]
    for part in parts:
        hit, _, rest = part.partition(searches.PAST)
        marked += [Markup("<mark>{}</mark>").format(hit), escape(rest)]
    return marked


def panel(
    questions: Questionnaire, query: Query, counted: dict[str, dict[str, int]], language: str
) -> list[dict[str, Any]]:
    """Each facet with its values: those that some entry has or that are chosen, and how many there are."""
    found = []
    for facet in columns.facets(questions):
        counts, chosen = counted.get(facet.name, {}), query.chosen.get(facet.name, ())
        unknown = not counts and (not counted or facet.live is not None)
        values = [v for v in facet.values if v in chosen or unknown or counts.get(v)]
        others = {v for v in (*counts, *chosen) if v not in facet.values and (v in chosen or counts.get(v))}
        named = [(v, facet.words(v, language)) for v in values]
        named += sorted(((v, facet.words(v, language)) for v in others), key=lambda one: i18n.sort_key(one[1]))
        if named:
            boxes = [
                _box(facet.name, place, value, words, value in chosen)
                + ("" if unknown else f' <span class="quiet">{counts.get(value, 0)}</span>')
                for place, (value, words) in enumerate(named, 1)
            ]
            written = Markup("</label></div>\n".join([*boxes, ""]))  # noqa: S704  (escaped where it is made)
            found.append({"name": facet.name, "heading": facet.heading(language), "boxes": written, "n": len(chosen)})
    return found


@lru_cache(KEPT)
def _box(facet: str, place: int, value: str, words: str, is_chosen: bool) -> str:
    """A box of a facet up to its count."""
    name = escape(f"{facet}-{place}")
    return (
        f'<div class="govuk-checkboxes__item"><input class="govuk-checkboxes__input" type="checkbox" id="{name}"'
        f' name="{escape(facet)}" value="{escape(value)}"{" checked" if is_chosen else ""}>'
        f'<label class="govuk-label govuk-checkboxes__label" for="{name}">{escape(words)}'
    )
