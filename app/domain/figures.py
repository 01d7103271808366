"""What a sealed call adds up to for one reader: counts and sums over every dossier that they may see, in one statement."""

import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from decimal import Decimal
from threading import Lock
from typing import Any

from sqlalchemy import (
    CTE,
    Column,
    ColumnElement,
    Numeric,
    Select,
    String,
    Text,
    and_,
    cast,
    func,
    literal,
    null,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, JSONPATH, array
from sqlalchemy.orm import Session

from app.domain import access
from app.domain.access import Actor
from app.domain.parts import Entities, Spread
from app.domain.questionnaire import Questionnaire
from app.models import Call, Destruction, Organisation, Submission, Version

KEPT = 64  # sealed calls of which a process remembers the figures
NOT_GIVEN = ""


@dataclass(frozen=True)
class Figures:
    """Counts by picture and key, and sums of money by source. Withdrawn dossiers are counted, and left out of the rest."""

    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    sums: dict[str, Decimal] = field(default_factory=dict)

    def of(self, picture: str) -> dict[str, int]:
        """The counts of one picture."""
        return self.counts.get(picture, {})

    @property
    def total(self) -> int:
        """How many dossiers are counted."""
        return sum(self.of("kind").values())


_kept: OrderedDict[Any, Figures] = OrderedDict()
_keeping = Lock()
UNBIASED = Actor(kind="person", staff_role="reviewer")  # a member of staff who stated nothing about any dossier


def of(db: Session, actor: Actor, call: Call, questions: Questionnaire) -> Figures:
    """The figures of a sealed call as the actor may see them.

    A sealed set changes by destruction alone, so until one what it adds up to is remembered; what the reader has a conflict with is counted anew
    and taken off. All figures are counts and sums, so the rest is what counting only what they may see would give.
    """
    if not actor.is_staff():
        return count(db, actor, call.id, questions)
    destroyed = select(func.max(Destruction.confirmed_at)).where(Destruction.call_id == call.id)
    key = (call.id, call.sealed_at, questions.digest, db.scalar(destroyed))
    with _keeping:
        whole = _kept.get(key)
    if whole is None:
        whole = count(db, UNBIASED, call.id, questions)
        with _keeping:
            _kept[key] = whole
            while len(_kept) > KEPT:
                _kept.popitem(last=False)
    hidden = select(Submission.id).where(Submission.call_id == call.id, access.has_conflict(actor))
    if db.scalar(hidden.limit(1)) is None:
        return whole
    return without(whole, count(db, UNBIASED, call.id, questions, Submission.id.in_(hidden)))


def count(
    db: Session, actor: Actor, call_id: uuid.UUID, questions: Questionnaire, only: ColumnElement[bool] | None = None
) -> Figures:
    """The figures of what the actor may see, or of some of it, counted anew."""
    made = Figures()
    for picture, key, number, amount in db.execute(statement(actor, call_id, questions, only)):
        if number:
            made.counts.setdefault(picture, {})[NOT_GIVEN if key is None else key] = number
        if amount:
            made.sums[picture] = amount
    return made


def without(whole: Figures, part: Figures) -> Figures:
    """The figures of all but a part."""
    counts = {
        picture: {key: left for key, number in of.items() if (left := number - part.of(picture).get(key, 0))}
        for picture, of in whole.counts.items()
    }
    sums = {name: whole.sums[name] - part.sums.get(name, 0) for name in whole.sums}
    return Figures({k: v for k, v in counts.items() if v}, {k: v for k, v in sums.items() if v})


def statement(
    actor: Actor, call_id: uuid.UUID, questions: Questionnaire, only: ColumnElement[bool] | None = None
) -> Any:
    """Every dossier is read once, its answers unpacked once; then it is grouped for each picture."""
    funding = questions.parts.funding
    names = (funding.total, *funding.sources) if funding else ()
    every = _dossiers(actor, call_id, questions, names, literal(True) if only is None else only)
    shown = every.c.is_withdrawn.is_(False)
    day = func.to_char(func.timezone("Europe/Brussels", every.c.received_at), "YYYY-MM-DD")
    hours = cast(func.floor(func.extract("epoch", Call.closes_at - every.c.received_at) / 3600), String)
    last_day = and_(Call.id == call_id, every.c.received_at > Call.closes_at - func.make_interval(0, 0, 0, 1))
    parts = [
        select(literal("withdrawn"), cast(null(), Text), func.count(), cast(null(), Numeric)).where(
            every.c.is_withdrawn
        ),
        _grouped("kind", every.c.kind).where(shown),
        _grouped("lead", every.c.lead).where(shown),
        _grouped("day", day).where(shown),
        _grouped("hour", hours).where(shown, last_day),
        _each("site", every, every.c.sites).where(shown),
        _each("warning", every, every.c.warnings).where(shown),
    ]
    for spread in questions.parts.spreads:
        parts.append(_grouped(spread.name, _bin(spread, every.c.facts)).where(shown))
    for name in names:
        money = every.c[name]
        given = func.count().filter(money > 0)
        parts.append(select(literal(f"money {name}"), literal("given"), given, func.sum(money)).where(shown))
    return union_all(*parts)


def _grouped(picture: str, by: ColumnElement[Any]) -> Select[Any]:
    made = select(literal(picture), by.label("key"), func.count(), cast(null(), Numeric))
    return made.group_by("key")


def _each(picture: str, every: CTE, values: ColumnElement[Any]) -> Select[Any]:
    one = func.unnest(values).table_valued("one").render_derived()
    return _grouped(picture, one.c.one).select_from(every).join(one, literal(True))


def _bin(spread: Spread, facts: ColumnElement[Any]) -> ColumnElement[Any]:
    """The number of the bin that a fact falls in, counted from 1; 0 below the first edge."""
    value: ColumnElement[Any] = cast(facts[spread.column].astext, Numeric)
    if spread.share_of:
        value = value * 100 / func.nullif(cast(facts[spread.share_of].astext, Numeric), 0)
    edges = array([cast(literal(edge), Numeric) for edge in spread.edges])
    return cast(func.width_bucket(value, edges), String)


def _dossiers(
    actor: Actor, call_id: uuid.UUID, questions: Questionnaire, names: tuple[str, ...], only: ColumnElement[bool]
) -> CTE:
    parts = questions.parts
    wholes = [part.list for part in (parts.entities, parts.sites) if part] + [n.partition(".")[0] for n in names]
    answers = (
        func.jsonb_to_record(Version.answers)
        .table_valued(*(Column(name, JSONB) for name in dict.fromkeys(wholes)), name="given")
        .render_derived(with_types=True)
    )
    sites: ColumnElement[Any] = cast(null(), ARRAY(Text))
    if parts.sites and parts.sites.country:
        sites = _distinct(answers.c[parts.sites.list], f'$[*]."{parts.sites.country}"')
    found = access.dossiers(actor).join(Organisation, Organisation.id == Submission.organisation_id)
    if wholes:
        found = found.join(answers, literal(True))
    return (
        found.where(Submission.call_id == call_id, Version.call_id == call_id, only)
        .with_only_columns(
            Version.kind,
            Version.received_at,
            Version.facts,
            access.is_withdrawn.label("is_withdrawn"),
            func.coalesce(*_lead(parts.entities, answers), Organisation.country).label("lead"),
            sites.label("sites"),
            _distinct(Version.findings, "$[*].code").label("warnings"),
            *(_amount(name, answers).label(name) for name in names),
        )
        .cte("shown")
    )


def _path(path: str) -> ColumnElement[Any]:
    """A path through JSON; what it names was checked when the call was published."""
    return cast(literal(path), JSONPATH)


def _distinct(value: Any, path: str) -> ColumnElement[Any]:
    """The different texts that a path finds."""
    one = func.jsonb_path_query(value, _path(path)).table_valued(Column("one", JSONB)).render_derived()
    return select(func.array_agg(_text(one.c.one).distinct())).select_from(one).scalar_subquery()


def _text(value: Any) -> Any:
    return value[()].astext


def _lead(entities: Entities | None, answers: Any) -> list[ColumnElement[Any]]:
    """The country of the lead, or of the first where none leads."""
    if entities is None or entities.country is None:
        return []
    given, first = answers.c[entities.list], f'$[0]."{entities.country}"'
    paths = [first]
    if entities.role:
        paths.insert(0, f'$[*] ? (@."{entities.role}" == "{entities.lead}")."{entities.country}"')
    return [_text(func.jsonb_path_query_first(given, _path(path), type_=JSONB)) for path in paths]


def _amount(name: str, answers: Any) -> ColumnElement[Any]:
    """An amount, or the sum of those in a list; null where none was given."""
    whole, _, part = name.partition(".")
    if not part:
        return cast(_text(answers.c[whole]), Numeric)
    path = _path(f'$[*]."{part}"')
    one = func.jsonb_path_query(answers.c[whole], path).table_valued(Column("one", JSONB)).render_derived()
    return select(func.sum(cast(_text(one.c.one), Numeric))).select_from(one).scalar_subquery()
