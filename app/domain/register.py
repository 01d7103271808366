"""The reviewers' list of a closed call: its columns, what is filtered and searched, one page at a time, and totals."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from sqlalchemy import Boolean, ColumnElement, Numeric, Select, and_, cast, func, or_
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.domain import access, calls
from app.domain.access import Actor
from app.domain.questionnaire import Questionnaire
from app.infra.i18n import N_, Message
from app.models import Call, Organisation, Submission, Version

FACT = "fact."
NUMBERS = frozenset({"integer", "decimal", "percent", "money"})
SEARCH_LENGTH = 200
BATCH = 500


@dataclass(frozen=True)
class Column:
    """One column: `kind` says how a value is shown and ordered; `label` is a message, or a text of the call file."""

    name: str
    kind: str
    label: Message | dict[str, str]
    value: ColumnElement[Any] | InstrumentedAttribute[Any]
    is_summed: bool = False

    def heading(self, language: str) -> str:
        """The heading in the reader's language."""
        return self.label.text(language) if isinstance(self.label, Message) else self.label[language]

    @property
    def order(self) -> Any:
        """What rows are ordered by: numbers as numbers, words without regard to capitals."""
        if self.kind in NUMBERS and self.name.startswith(FACT):
            return cast(self.value, Numeric)
        return func.lower(self.value) if self.kind in ("text", "country", "choice", "kind") else self.value


@dataclass(frozen=True)
class Query:
    """What a reader asked for; all of it stands in the address of the page."""

    search: str = ""
    kinds: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    has_warnings: bool | None = None
    is_withdrawn: bool | None = None
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
    """How many rows a query finds, and the sums of the columns that the call file asks to be summed."""

    count: int
    sums: dict[str, Decimal] = field(default_factory=dict)


def columns(questions: Questionnaire) -> tuple[Column, ...]:
    """The columns of a call's register: what every call has, and the facts that its file names."""
    facts = (
        Column(FACT + c.name, c.kind, c.label, Version.facts[c.name].astext, is_summed=c.sum)
        for c in questions.register
    )
    return (
        Column("reference", "reference", Message(N_("Reference"), {}), Submission.reference),
        Column("title", "text", Message(N_("Title"), {}), Version.title),
        Column("organisation", "text", Message(N_("Organisation"), {}), Organisation.name),
        Column("kind", "kind", Message(N_("Kind"), {}), Submission.kind),
        Column("country", "country", Message(N_("Country"), {}), Organisation.country),
        *facts,
        Column("received_at", "instant", Message(N_("Received"), {}), Version.received_at),
        Column("version", "integer", Message(N_("Version"), {}), Version.number),
        Column("warnings", "integer", Message(N_("Remarks"), {}), func.jsonb_array_length(Version.findings)),
        Column("is_consented", "yes_no", Message(N_("To EuroHPC"), {}), Version.is_consented),
        Column("is_withdrawn", "yes_no", Message(N_("Withdrawn"), {}), cast(access.is_withdrawn, Boolean)),
    )


def page(
    db: Session,
    actor: Actor,
    call: Call,
    query: Query,
    limit: int,
    after: str | None = None,
    before: str | None = None,
    also: tuple[Column, ...] = (),
) -> Page:
    """At most `limit` rows from the first, or from beyond the row with reference `after`, or up to the one `before`.

    A row is found by its value in the sorted column and its reference, so pages neither repeat nor skip rows that tie.
    """
    named = {column.name: column for column in columns(calls.questions(call))}
    by = named.get(query.sort, named["received_at"])
    backwards = before is not None
    statement = _found(actor, call, query, (*named.values(), *also))
    if anchor := before or after:
        place = db.execute(_place(call, by, anchor)).one_or_none()
        if place is None:
            return page(db, actor, call, query, limit, also=also)
        statement = statement.where(_beyond(by, place[0], anchor, query.descending != backwards, backwards))
    statement = statement.order_by(*_order(by, query.descending != backwards, backwards)).limit(limit + 1)
    rows = [dict(row) for row in db.execute(statement).mappings()]
    has_more = len(rows) > limit
    rows = rows[:limit][::-1] if backwards else rows[:limit]
    if not rows:
        return Page(rows)
    first, last = rows[0]["reference"], rows[-1]["reference"]
    return Page(rows, first if (has_more if backwards else after) else None, last if backwards or has_more else None)


def everything(
    db: Session, actor: Actor, call: Call, query: Query, also: tuple[Column, ...] = ()
) -> Iterator[list[dict[str, Any]]]:
    """All rows that a query finds, in its order, a batch at a time, with the columns `also` beside the register's own."""
    after: str | None = None
    while True:
        found = page(db, actor, call, query, BATCH, after, also=also)
        yield found.rows
        if (after := found.after) is None:
            return


def totals(db: Session, actor: Actor, call: Call, query: Query) -> Totals:
    """Count and sums over all that a query finds, not only the page shown."""
    summed = [column for column in columns(calls.questions(call)) if column.is_summed]
    found = _found(actor, call, query, summed)
    row = db.execute(found.with_only_columns(func.count(), *(func.sum(column.order) for column in summed))).one()
    sums = {column.name: value for column, value in zip(summed, row[1:], strict=True) if value is not None}
    return Totals(row[0], sums)


def facets(db: Session, actor: Actor, call: Call) -> dict[str, dict[str, int]]:
    """How many there are in the whole call by `kind` and by `country`, for the filters."""
    grouped = (
        _found(actor, call, Query(), ())
        .with_only_columns(Submission.kind, Organisation.country, func.count())
        .group_by(Submission.kind, Organisation.country)
    )
    found: dict[str, dict[str, int]] = {"kind": {}, "country": {}}
    for kind, country, number in db.execute(grouped):
        found["kind"][kind] = found["kind"].get(kind, 0) + number
        found["country"][country] = found["country"].get(country, 0) + number
    return found


def exceptional(db: Session, actor: Actor, call: Call) -> list[tuple[Submission, Version]]:
    """What exemptions let in after the seal, in order of receipt: beside the register, never counted in it."""
    rows = access.exceptional_versions(actor).where(Submission.call_id == call.id).order_by(Version.received_at)
    return [(submission, version) for submission, version in db.execute(rows)]


def _found(actor: Actor, call: Call, query: Query, shown: Any) -> Select[Any]:
    statement = (
        access.dossiers(actor)
        .join(Organisation, Organisation.id == Submission.organisation_id)
        .where(Submission.call_id == call.id, Version.call_id == call.id)
        .with_only_columns(*(column.value.label(column.name) for column in shown))
    )
    if query.kinds:
        statement = statement.where(Submission.kind.in_(query.kinds))
    if query.countries:
        statement = statement.where(Organisation.country.in_(query.countries))
    if query.has_warnings is not None:
        statement = statement.where((func.jsonb_array_length(Version.findings) > 0) == query.has_warnings)
    if query.is_withdrawn is not None:
        statement = statement.where(access.is_withdrawn if query.is_withdrawn else ~access.is_withdrawn)
    for word in query.search[:SEARCH_LENGTH].split():
        statement = statement.where(_has(call, word))
    return statement


def _has(call: Call, word: str) -> ColumnElement[bool]:
    """Whether a word stands in the reference, the title, the name of the organisation or a fact that is text."""
    facts = [Version.facts[c.name].astext for c in calls.questions(call).register if c.kind == "text"]
    places = (Submission.reference, Version.title, Organisation.name, *facts)
    return or_(*(place.icontains(word, autoescape=True) for place in places))


def _place(call: Call, by: Column, reference: str) -> Select[Any]:
    return (
        access.standing_versions()
        .join(Organisation, Organisation.id == Submission.organisation_id)
        .where(Submission.call_id == call.id, Submission.reference == reference)
        .with_only_columns(by.order)
    )


def _order(by: Column, descending: bool, nulls_first: bool) -> tuple[ColumnElement[Any], ...]:
    reference = Submission.reference
    value: ColumnElement[Any] = by.order.desc() if descending else by.order.asc()
    value = value.nulls_first() if nulls_first else value.nulls_last()
    return value, reference.desc() if descending else reference.asc()


def _beyond(by: Column, value: Any, reference: str, descending: bool, nulls_first: bool) -> ColumnElement[bool]:
    """The rows that come after the given place in the order of `_order`."""
    further = Submission.reference < reference if descending else Submission.reference > reference
    if value is None:
        tied = and_(by.order.is_(None), further)
        return or_(tied, by.order.is_not(None)) if nulls_first else tied
    ahead = by.order < value if descending else by.order > value
    tied = and_(by.order == value, further)
    return or_(ahead, tied) if nulls_first else or_(ahead, tied, by.order.is_(None))


def without(query: Query, **changes: Any) -> Query:
    """The same query with some parts changed."""
    return replace(query, **changes)
