"""The reviewers' list of a sealed call: what is filtered and searched, one page at a time, with totals and counts.

Counts come from the sets of `facets`, pages from the places of `entries`: both were prepared after the seal. What only
the database can tell, a search or what changed since, is asked of it for at most `LIMIT` entries; beyond them counts say
"more than".
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, Text, any_, cast, func, literal, or_, select, union_all
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session, aliased

from app.domain import access, calls, columns, entries, facets, searches
from app.domain.access import Actor
from app.domain.columns import ANSWER, MARK, Column, Facet
from app.domain.facets import Sets
from app.models import Call, Entry, Exemption, Listing, Place, Submission, Version

BATCH = 500
LIMIT = 1000
RARE = 10  # one in so many or fewer is found by position; more are met soon enough on the way


@dataclass(frozen=True)
class Query:
    """What a reader asked for; all of it stands in the address of the page. `chosen` holds values by facet."""

    search: str = ""
    chosen: dict[str, tuple[str, ...]] = field(default_factory=dict)
    sort: str = "received_at"
    descending: bool = True


@dataclass(frozen=True)
class Page:
    """Some rows in order. `before` and `after` are the references to go on from, where there is more that way."""

    rows: list[dict[str, Any]]
    before: str | None = None
    after: str | None = None


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


def narrow(db: Session, actor: Actor, call: Call, query: Query, listing: Listing | None = None) -> Narrowed:
    """Everything that counting and paging need to know of a query; the register is prepared where it is not yet."""
    sets = facets.of(db, listing or entries.prepared(db, call))
    known = columns.facets(calls.questions(call))
    visible = _visible(db, actor, call, sets)
    live = _live_sets(db, actor, call, known, sets.size) if sets.size <= LIMIT else {}
    chosen = {f.name: query.chosen[f.name] for f in known if query.chosen.get(f.name)}
    states = {f.name: f.live.is_one_of(chosen[f.name]) for f in known if f.name in chosen and f.live is not None}
    held = {
        name: _any_of((live if name in states else sets.by_facet).get(name, {}), values)
        for name, values in chosen.items()
        if name not in states or name in live
    }
    labelled = [Entry.labels.overlap(_texts([f"{n}={v}" for v in chosen[n]])) for n in chosen if n not in states]
    search = [searches.found_by(call, query.search)] if query.search.strip() else []
    asked = [*(states[name] for name in states if name not in held), *search]
    found = _few(db, actor, call, asked) if asked else None
    is_counted = not asked or found is not None
    if asked and found is None and held:
        found = _few(db, actor, call, [*asked, *_near(visible & _all_of(held), labelled)])
    if found is not None:
        visible &= facets.of_positions(found, sets.size)
    within = {"": visible & _all_of(held)}
    within |= {name: visible & _all_of({n: s for n, s in held.items() if n != name}) for name in held}
    number, is_more = within[""].bit_count(), bool(asked) and found is None
    is_few = number <= LIMIT and not is_more and (bool(asked) or number * RARE < sets.size)
    few = tuple(facets.positions(within[""])) if is_few else None
    return Narrowed(sets, live, within, few, (*labelled, *states.values(), *search), is_more, is_counted)


def _near(rest: int, labelled: list[ColumnElement[bool]]) -> list[ColumnElement[bool]]:
    """What leaves these entries in SQL: their positions where they are few, else what they are counted by."""
    if rest.bit_count() > LIMIT:
        return labelled
    return [Entry.position == any_(cast(facets.positions(rest), ARRAY(Integer)))]


def page(
    db: Session,
    actor: Actor,
    call: Call,
    query: Query,
    limit: int,
    after: str | None = None,
    before: str | None = None,
    shown: tuple[Column, ...] = (),
    narrowed: Narrowed | None = None,
) -> Page:
    """At most `limit` rows from the first, or from beyond the row with reference `after`, or up to the one `before`.

    Places do not tie, so pages neither repeat nor skip rows. `shown` are the columns to read, all but answers by default.
    """
    left = narrowed or narrow(db, actor, call, query)
    shown = shown or columns.columns(calls.questions(call))
    rows = [dict(row) for row in db.execute(_walk(actor, call, query, left, shown, limit, after, before)).mappings()]
    backwards, has_more = before is not None, len(rows) > limit
    rows = rows[:limit][::-1] if backwards else rows[:limit]
    if not rows:
        return Page(rows)
    first, last = rows[0]["ref"], rows[-1]["ref"]
    return Page(rows, first if (has_more if backwards else after) else None, last if backwards or has_more else None)


def everything(
    db: Session, actor: Actor, call: Call, query: Query, shown: tuple[Column, ...] = ()
) -> Iterator[list[dict[str, Any]]]:
    """All rows that a query finds, in its order, a batch at a time."""
    left = narrow(db, actor, call, query)
    after: str | None = None
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
    if db.scalar(let_in.limit(1)) is None:
        return []
    rows = access.exceptional_versions(actor).where(Submission.id.in_(let_in)).order_by(Version.received_at)
    return [(submission, version) for submission, version in db.execute(rows)]


def _visible(db: Session, actor: Actor, call: Call, sets: Sets) -> int:
    """The entries that the actor may see: of staff all but those that they stated a conflict about."""
    here = select(Entry.position).where(Entry.call_id == call.id)
    if actor.is_staff():
        hidden = db.scalars(here.where(or_(access.is_conflicted(actor), access.is_emptied)))
        return sets.everything & ~facets.of_positions(hidden, sets.size)
    return facets.of_positions(db.scalars(_positions(actor, call)), sets.size)


def _positions(actor: Actor, call: Call) -> Select[int]:
    return access.entries(actor).where(Entry.call_id == call.id).with_only_columns(Entry.position)


def _live_sets(db: Session, actor: Actor, call: Call, known: tuple[Facet, ...], size: int) -> dict[str, dict[str, int]]:
    """The sets of what may have changed since the seal, of a call with few entries."""
    seen = _positions(actor, call).add_columns(Entry.submission_id).subquery()
    live = {facet.name: facet.live for facet in known if facet.live is not None}
    rows = []
    for name, one in live.items():
        pairs = one.pairs.subquery()
        joined = seen.join(pairs, pairs.c.submission_id == seen.c.submission_id)
        held = select(literal(name), pairs.c.value, func.array_agg(seen.c.position)).select_from(joined)
        rows.append(held.group_by(pairs.c.value))
    found: dict[str, dict[str, int]] = {name: {} for name in live}
    for name, value, positions in db.execute(union_all(*rows)):
        found[name][value] = facets.of_positions(positions, size)
    for name, one in live.items():
        found[name][one.rest] = ~_any_of(found[name], tuple(found[name]))
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


def _walk(
    actor: Actor,
    call: Call,
    query: Query,
    left: Narrowed,
    shown: tuple[Column, ...],
    limit: int,
    after: str | None,
    before: str | None,
) -> Select[Any]:
    """The rows from a place on, one more than asked for: a walk along the index of the sorted column."""
    sorted_by = {c.name for c in columns.columns(calls.questions(call)) if c.is_sorted}
    name = query.sort if query.sort in sorted_by else "received_at"
    spot = Place.down if query.descending else Place.up
    walk = select(Place.position, spot.label("place")).where(Place.call_id == call.id, Place.name == name)
    if before is not None:
        walk = walk.where(spot < func.coalesce(_spot(call, name, spot, before), left.sets.size + 1)).order_by(
            spot.desc()
        )
    else:
        walk = walk.where(spot > (func.coalesce(_spot(call, name, spot, after), 0) if after else 0)).order_by(spot)
    if left.few is not None:
        walk = walk.where(Place.position == any_(cast(list(left.few), ARRAY(Integer)))).limit(limit + 1)
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
    if any(column.name.startswith((ANSWER, MARK, searches.EXCERPT)) for column in shown):
        found = found.outerjoin(Version, (Version.id == Entry.version_id) & access.is_passed(actor))
    return found if left.few is not None else found.where(*left.conditions).limit(limit + 1)


def _spot(call: Call, name: str, spot: Any, reference: str) -> Any:
    """Where the entry with a reference stands. Addresses hold references: a place would tell of what stands in between."""
    anchor = aliased(Place)
    return (
        select(anchor.down if spot is Place.down else anchor.up)
        .join(Entry, (Entry.call_id == anchor.call_id) & (Entry.position == anchor.position))
        .join(Submission, Submission.id == Entry.submission_id)
        .where(Submission.reference == reference, anchor.call_id == call.id, anchor.name == name)
        .scalar_subquery()
    )
