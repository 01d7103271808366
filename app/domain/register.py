"""The reviewers' list of a sealed call: what is filtered and searched, one page at a time, with totals and counts.

Counts come from the sets of `facets`, pages from the places of `entries`: both were prepared after the seal. What only
the database can tell, a search or what changed since, is asked of it for at most `LIMIT` entries, or one in `RARE` of a
large call; beyond them counts say "more than".
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Text,
    and_,
    any_,
    bindparam,
    cast,
    func,
    literal,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from app.domain import access, calls, columns, entries, facets, searches, walks
from app.domain.access import Actor
from app.domain.columns import ANSWER, MARK, Column, Facet
from app.domain.facets import Sets
from app.domain.walks import Way
from app.models import Call, Entry, Exemption, Listing, Submission, Version

BATCH = 500
LIMIT = 1000
KEPT = 1000  # statements of pages that a process keeps
SAMPLE = 50  # entries of a large call by which common words are told
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

    `few` are the positions where they are few; `conditions` say in SQL what the sets do not know.
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
        name: facets.any_of((live if name in states else sets.by_facet).get(name, {}), values)
        for name, values in chosen.items()
        if name not in states or name in live
    }
    labelled = [
        Entry.labels.overlap(cast([f"{n}={v}" for v in chosen[n]], ARRAY(Text))) for n in chosen if n not in states
    ]
    search = [searches.found_by(call, query.search)] if query.search.strip() else []
    asked = [*(states[name] for name in states if name not in held), *search]
    found = _few(db, actor, call, sets.size, asked) if asked else None
    is_counted = not asked or found is not None
    if asked and found is None and held:
        found = _few(db, actor, call, sets.size, [*asked, *_near(visible & facets.all_of(held), labelled)])
    if found is not None:
        visible &= facets.of_positions(found, sets.size)
    within = {"": visible & facets.all_of(held)}
    within |= {name: visible & facets.all_of({n: s for n, s in held.items() if n != name}) for name in held}
    number, is_more = within[""].bit_count(), bool(asked) and found is None
    is_few = number <= LIMIT and not is_more and number * RARE < sets.size
    few = tuple(facets.positions(within[""])) if is_few else None
    unknown = (*(states[name] for name in states if name not in held), *search) if is_more else ()
    return Narrowed(sets, live, within, few, unknown, is_more, is_counted)


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
    way, size = _way(call, query, left, after, before), left.sets.size
    given: dict[str, Any] = {"call": call.id, "start": before or after, "size": size, "few": list(left.few or ())}
    given["held"] = facets.as_bytes(left.within[""], size) if way.to == "set" else b""
    rows = [dict(row) for row in db.execute(_walk(actor, call, way, shown, limit, left), given).mappings()]
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


_LET_IN = select(Exemption.submission_id).where(Exemption.call_id == bindparam("call"))


def exceptional(db: Session, actor: Actor, call: Call) -> list[tuple[Submission, Version]]:
    """What exemptions let in after the seal, in order of receipt: beside the register, never counted in it."""
    if db.scalar(_LET_IN.limit(1), {"call": call.id}) is None:
        return []
    rows = access.exceptional_versions(actor).where(Submission.id.in_(_LET_IN)).order_by(Version.received_at)
    return [(submission, version) for submission, version in db.execute(rows, {"call": call.id})]


def _visible(db: Session, actor: Actor, call: Call, sets: Sets) -> int:
    """The entries that the actor may see: of staff all but those that they stated a conflict about."""
    if actor.is_staff():
        hidden = db.scalars(access.hidden_positions(actor), {"call": call.id})
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
        found[name][one.rest] = ~facets.any_of(found[name], tuple(found[name]))
    return found


def _few(db: Session, actor: Actor, call: Call, size: int, conditions: list[ColumnElement[bool]]) -> list[int] | None:
    """The positions that satisfy conditions, or None where so many do that they are met soon enough on the way."""
    most = max(LIMIT, size // RARE)
    if most > LIMIT and _are_common(db, actor, call, conditions):
        return None
    found = list(db.scalars(_positions(actor, call).where(*conditions).limit(most + 1)))
    return found if len(found) <= most else None


def _are_common(db: Session, actor: Actor, call: Call, conditions: list[ColumnElement[bool]]) -> bool:
    """Whether half of the first entries satisfy conditions: positions are by chance, so one in `RARE` never looks so."""
    first = _positions(actor, call).where(Entry.position < SAMPLE)
    number = first.with_only_columns(func.count().filter(and_(*conditions)))  # what is selected asks no index
    return 2 * db.execute(number).scalar_one() >= SAMPLE


_kept: dict[tuple[Any, ...], Select[Any]] = {}  # what is asked; never what was answered


def _walk(actor: Actor, call: Call, way: Way, shown: tuple[Column, ...], limit: int, left: Narrowed) -> Select[Any]:
    """The rows along a way, one more than asked for: a stretch of the sorted column's index, then its rows."""
    key = (actor, call.definition_digest, way, tuple(column.name for column in shown), limit)
    is_own = bool(left.conditions) or any(column.name == searches.EXCERPT for column in shown)
    if is_own or (made := _kept.get(key)) is None:
        made = _made(actor, way, shown, limit, left.conditions)
    if not is_own:
        if len(_kept) >= KEPT:
            _kept.clear()
        _kept[key] = made
    return made


def _made(
    actor: Actor, way: Way, shown: tuple[Column, ...], limit: int, conditions: tuple[ColumnElement[bool], ...]
) -> Select[Any]:
    steps = walks.stretch(way, *conditions).limit(limit + 1).subquery()
    found = (
        access.entries(actor)
        .join(steps, steps.c.position == Entry.position)
        .where(Entry.call_id == bindparam("call"))
        .with_only_columns(
            *(column.value.label(column.name) for column in shown),
            Entry.reference.label("ref"),
            steps.c.place,
        )
        .order_by(steps.c.place.desc() if way.is_backwards else steps.c.place)
    )
    if any(column.name.startswith((ANSWER, MARK, searches.EXCERPT)) for column in shown):
        found = found.outerjoin(Version, (Version.id == Entry.version_id) & access.is_passed(actor))
    return found


def _way(call: Call, query: Query, left: Narrowed, after: str | None, before: str | None) -> Way:
    sorted_by = {c.name for c in columns.columns(calls.questions(call)) if c.is_sorted}
    name = query.sort if query.sort in sorted_by else "received_at"
    is_all = left.few is None and left.within[""] == left.sets.everything
    to: Literal["all", "few", "set"] = "all" if is_all else "set" if left.few is None else "few"
    return Way(name, query.descending, before is not None, bool(after), to)
