"""The reviewers' list of a sealed call: what is filtered and searched, one page at a time, with totals and counts.

Counts come from the sets of `facets`, pages from the places of `entries`: both were prepared after the seal. What only
the database can tell, a search or what changed since, is asked of it for at most `LIMIT` entries; beyond them counts say
"more than".
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, cast, func, literal, select, text, type_coerce
from sqlalchemy.dialects.postgresql import ARRAY, TSQUERY
from sqlalchemy.orm import Session

from app.domain import access, calls, columns, entries, facets, references
from app.domain.access import Actor
from app.domain.columns import ANSWER, Column, Facet
from app.domain.facets import Sets
from app.models import Call, Entry, Exemption, Place, Submission, Version

SEARCH_LENGTH = 200
BATCH = 500
LIMIT = 1000
EXCERPT = "excerpt"
HIT, PAST = "\x02", "\x03"  # around what was found, in an excerpt


@dataclass(frozen=True)
class Query:
    """What a reader asked for; all of it stands in the address of the page. `chosen` holds values by facet."""

    search: str = ""
    chosen: dict[str, tuple[str, ...]] = field(default_factory=dict)
    sort: str = "received_at"
    descending: bool = True


@dataclass(frozen=True)
class Page:
    """Some rows in order. `before` and `after` are the places to go on from, where there is more that way."""

    rows: list[dict[str, Any]]
    before: int | None = None
    after: int | None = None


@dataclass(frozen=True)
class Totals:
    """How many rows a query finds, and the sums of the columns that the call file asks to be summed.

    With `is_more` there are more than `count`, and sums are not made.
    """

    count: int
    sums: dict[str, Decimal] = field(default_factory=dict)
    is_more: bool = False


@dataclass(frozen=True)
class Narrowed:
    """What a query leaves: a set without it and one for each facet that leaves out only that facet's own choice.

    `few` are the positions where they are few; else `conditions` say in SQL what the sets do not know or many share.
    """

    sets: Sets
    live: dict[str, dict[str, int]]
    within: dict[str, int]
    few: tuple[int, ...] | None
    conditions: tuple[ColumnElement[bool], ...]
    is_more: bool
    is_counted: bool


def narrow(db: Session, actor: Actor, call: Call, query: Query) -> Narrowed:
    """Everything that counting and paging need to know of a query; the register is prepared where it is not yet."""
    sets = facets.of(db, entries.prepared(db, call))
    known = columns.facets(calls.questions(call))
    visible = _visible(db, actor, call, sets)
    live = _live_sets(db, actor, call, known) if sets.size <= LIMIT else {}
    chosen = {f.name: query.chosen[f.name] for f in known if query.chosen.get(f.name)}
    held = {
        f.name: _any_of(live[f.name], chosen[f.name]) if f.live is not None else sets.any_of(f.name, chosen[f.name])
        for f in known
        if f.name in chosen and (f.live is None or f.name in live)
    }
    asked = [
        f.live.overlap(_texts(chosen[f.name]))
        for f in known
        if f.name in chosen and f.name not in held and f.live is not None
    ]
    if query.search.strip():
        asked.append(found_by(call, query.search))
    labelled = [Entry.labels.overlap(_texts([f"{n}={v}" for v in chosen[n]])) for n in held if n not in live]
    is_counted, is_more = True, False
    if asked:
        found = _few(db, actor, call, asked)
        if found is None:
            is_counted = False
            rest = visible & _all_of(held)
            some = [Entry.position.in_(facets.positions(rest))] if rest.bit_count() <= LIMIT else labelled
            found = _few(db, actor, call, [*asked, *some]) if held else None
        is_more = found is None
        visible = visible if found is None else visible & facets.of_positions(found, sets.size)
    within = {"": visible & _all_of(held)}
    within |= {name: visible & _all_of({n: s for n, s in held.items() if n != name}) for name in held}
    few = None if is_more or within[""].bit_count() > LIMIT else tuple(facets.positions(within[""]))
    return Narrowed(sets, live, within, few, (*labelled, *asked), is_more, is_counted)


def page(
    db: Session,
    actor: Actor,
    call: Call,
    query: Query,
    limit: int,
    after: int | None = None,
    before: int | None = None,
    shown: tuple[Column, ...] = (),
    narrowed: Narrowed | None = None,
) -> Page:
    """At most `limit` rows from the first, or from beyond the place `after`, or up to the one `before`.

    Places do not tie, so pages neither repeat nor skip rows. `shown` are the columns to read, all but answers by default.
    """
    left = narrowed or narrow(db, actor, call, query)
    shown = shown or columns.columns(calls.questions(call))
    rows = [dict(row) for row in db.execute(_walk(actor, call, query, left, shown, limit, after, before)).mappings()]
    backwards, has_more = before is not None, len(rows) > limit
    rows = rows[:limit][::-1] if backwards else rows[:limit]
    if not rows:
        return Page(rows)
    first, last = rows[0]["place"], rows[-1]["place"]
    return Page(rows, first if (has_more if backwards else after) else None, last if backwards or has_more else None)


def everything(
    db: Session, actor: Actor, call: Call, query: Query, shown: tuple[Column, ...] = ()
) -> Iterator[list[dict[str, Any]]]:
    """All rows that a query finds, in its order, a batch at a time."""
    left = narrow(db, actor, call, query)
    after: int | None = None
    while True:
        found = page(db, actor, call, query, BATCH, after, shown=shown, narrowed=left)
        yield found.rows
        if (after := found.after) is None:
            return


def totals(db: Session, actor: Actor, call: Call, query: Query, narrowed: Narrowed | None = None) -> Totals:
    """Count and sums over all that a query finds, not only the page shown."""
    left = narrowed or narrow(db, actor, call, query)
    if left.is_more:
        return Totals(LIMIT, is_more=True)
    return Totals(left.within[""].bit_count(), facets.sums(left.sets, calls.questions(call), left.within[""]))


def counts(left: Narrowed) -> dict[str, dict[str, int]]:
    """How many there are of each value of each facet, whatever is chosen of that facet itself; none where not known."""
    if not left.is_counted:
        return {}
    rest = left.within[""]
    return {
        name: {value: (held & left.within.get(name, rest)).bit_count() for value, held in values.items()}
        for name, values in (left.sets.by_facet | left.live).items()
    }


def exceptional(db: Session, actor: Actor, call: Call) -> list[tuple[Submission, Version]]:
    """What exemptions let in after the seal, in order of receipt: beside the register, never counted in it."""
    let_in = select(Exemption.submission_id).where(Exemption.call_id == call.id)
    rows = access.exceptional_versions(actor).where(Submission.id.in_(let_in)).order_by(Version.received_at)
    return [(submission, version) for submission, version in db.execute(rows)]


def _visible(db: Session, actor: Actor, call: Call, sets: Sets) -> int:
    """The entries that the actor may see: of staff all but those that they stated a conflict about."""
    here = select(Entry.position).where(Entry.call_id == call.id)
    if actor.is_staff():
        hidden = db.scalars(here.where(access.is_conflicted(actor)))
        return sets.everything & ~facets.of_positions(hidden, sets.size)
    return facets.of_positions(db.scalars(_positions(actor, call)), sets.size)


def _positions(actor: Actor, call: Call) -> Select[int]:
    return access.entries(actor).where(Entry.call_id == call.id).with_only_columns(Entry.position)


def _live_sets(db: Session, actor: Actor, call: Call, known: tuple[Facet, ...]) -> dict[str, dict[str, int]]:
    """The sets of what may have changed since the seal, of a call with few entries."""
    live = [f for f in known if f.live is not None]
    found: dict[str, dict[str, int]] = {f.name: {} for f in live}
    rows = _positions(actor, call).add_columns(*(f.live.label(f.name) for f in live if f.live is not None))
    for position, *values in db.execute(rows):
        for facet, held in zip(live, values, strict=True):
            for value in held:
                found[facet.name][value] = found[facet.name].get(value, 0) | 1 << position
    return found


def _few(db: Session, actor: Actor, call: Call, conditions: list[ColumnElement[bool]]) -> list[int] | None:
    """The positions that satisfy conditions, or None where they are more than `LIMIT`."""
    found = list(db.scalars(_positions(actor, call).where(*conditions).limit(LIMIT + 1)))
    return found if len(found) <= LIMIT else None


def _any_of(by_value: dict[str, int], values: tuple[str, ...]) -> int:
    found = 0
    for value in values:
        found |= by_value.get(value, 0)
    return found


def _all_of(held: dict[str, int]) -> int:
    """What all sets share; everything (all bits) where there is none."""
    rest = -1
    for one in held.values():
        rest &= one
    return rest


def _texts(values: Any) -> Any:
    return cast(list(values), ARRAY(Text))


def found_by(call: Call, search: str) -> ColumnElement[bool]:
    """Whether an entry holds the words: in either language, as they are written, by their beginnings, or its reference."""
    words = search.replace("\x00", "")[:SEARCH_LENGTH]
    if reference := references.normalised(words):
        return Entry.reference == reference
    query = _tsquery(words)
    whole = query.op("&&")(cast(literal(f"'{entries.word_of(call.id)}'"), TSQUERY))
    return Entry.words.op("@@")(whole)


def _tsquery(words: str) -> ColumnElement[Any]:
    query: Any = func.websearch_to_tsquery(text("'simple'"), words)
    for language in ("'dutch'", "'english'"):
        query = query.op("||")(func.websearch_to_tsquery(text(language), words))
    plain = re.findall(r"\w+", words.lower())
    if plain and not re.search(r'["-]|\bor\b', words.lower()):
        begun = " & ".join(f"'{word}':*" if len(word) > 2 else f"'{word}'" for word in plain)
        query = query.op("||")(func.to_tsquery(text("'simple'"), begun))
    return type_coerce(query, TSQUERY).self_group()


def excerpt_column(search: str) -> Column:
    """Where in the answers the words stand, for those dossiers that the reader may open."""
    said = select(func.string_agg(text("words.one #>> '{}'"), " ")).select_from(
        func.jsonb_path_query(Version.answers, text("""'strict $.** ? (@.type() == "string")'""")).table_valued("one").alias("words")
    ).scalar_subquery()  # fmt: skip
    options = f"MaxFragments=1, MaxWords=20, MinWords=8, StartSel={HIT}, StopSel={PAST}"
    config = text("case when version.language = 'nl' then 'dutch'::regconfig else 'english'::regconfig end")
    value = func.ts_headline(config, said, _tsquery(search.replace("\x00", "")[:SEARCH_LENGTH]), options)
    return Column(EXCERPT, "text", {}, value, is_sorted=False)


def _walk(
    actor: Actor,
    call: Call,
    query: Query,
    left: Narrowed,
    shown: tuple[Column, ...],
    limit: int,
    after: int | None,
    before: int | None,
) -> Select[Any]:
    """The rows from a place on, one more than asked for: a walk along the index of the sorted column."""
    sorted_by = {c.name for c in columns.columns(calls.questions(call)) if c.is_sorted}
    name = query.sort if query.sort in sorted_by else "received_at"
    spot = Place.down if query.descending else Place.up
    walk = select(Place.position, spot.label("place")).where(Place.call_id == call.id, Place.name == name)
    if before is not None:
        walk = walk.where(spot < before).order_by(spot.desc())
    else:
        walk = walk.where(spot > (after or 0)).order_by(spot)
    if left.few is not None:
        walk = walk.where(Place.position.in_(left.few)).limit(limit + 1)
    steps = walk.subquery() if left.few is not None else walk.order_by(None).subquery()
    order = steps.c.place.desc() if before is not None else steps.c.place
    found = (
        access.entries(actor)
        .join(steps, steps.c.position == Entry.position)
        .where(Entry.call_id == call.id)
        .with_only_columns(
            *(column.value.label(column.name) for column in shown),
            Entry.reference.label("ref"),
            steps.c.place,
        )
        .order_by(order)
    )
    if any(column.name.startswith((ANSWER, EXCERPT)) for column in shown):
        found = found.outerjoin(Version, (Version.id == Entry.version_id) & access.is_passed(actor))
    return found if left.few is not None else found.where(*left.conditions).limit(limit + 1)
