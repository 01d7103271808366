"""The calls: publish a definition with a window, tell whether it is open, count what came in."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.domain import audit, definitions
from app.domain.access import SYSTEM, is_withdrawn
from app.domain.errors import NotFound
from app.domain.questionnaire import Questionnaire
from app.models import Call, Definition, Draft, Submission, Version

State = Literal["upcoming", "open", "closed"]


@dataclass(frozen=True)
class Counts:
    """How much there is in a call, by kind of respondent; never what."""

    started: dict[str, int]
    submitted: dict[str, int]
    withdrawn: int
    last_received_at: datetime | None
    per_day: list[tuple[datetime, int]]


def clock(db: Session) -> datetime:
    """The database's clock now, the only one that decides."""
    now: datetime = db.execute(select(func.clock_timestamp())).scalar_one()
    return now.astimezone(UTC)


def next_occurrence(closes: str, zone: str, after: datetime) -> datetime:
    """The first instant after `after` that a call file's `closes` ("06-20 17:00" in `zone`) names, in UTC."""
    day, time = closes.split()
    month, date = (int(part) for part in day.split("-"))
    hour, minute = (int(part) for part in time.split(":"))
    for year in range(after.astimezone(ZoneInfo(zone)).year, after.year + 2):
        instant = datetime(year, month, date, hour, minute, tzinfo=ZoneInfo(zone)).astimezone(UTC)
        if instant > after:
            return instant
    raise AssertionError("a day and time recur each year")


def publish(
    db: Session,
    definition: dict[str, Any],
    opens_at: datetime,
    closes_at: datetime,
    code: str | None = None,
    is_synthetic: bool = False,
    release: str | None = None,
) -> Call:
    """Publish a checked definition as a call with its window. Needs the owner role: the serving role may not do this.

    `release` stands for what the file says about how dossiers reach EuroHPC: `at_seal` or `by_coordinator`.
    """
    digest = definitions.digest(definition)
    db.execute(insert(Definition).values(digest=digest, body=definition).on_conflict_do_nothing())
    call = Call(
        code=code or definition["code"],
        definition_digest=digest,
        opens_at=opens_at,
        closes_at=closes_at,
        zone=definition["zone"],
        release=release or definition.get("release", "at_seal"),
        is_synthetic=is_synthetic,
    )
    db.add(call)
    db.flush()
    audit.record(db, SYSTEM, "call.published", code=call.code, digest=digest, closes_at=closes_at.isoformat())
    return call


def by_code(db: Session, code: str) -> Call:
    """The call with this code; NotFound otherwise."""
    call = None if "\x00" in code else db.scalar(select(Call).where(Call.code == code))
    if call is None:
        raise NotFound
    return call


_ALL = select(Call).order_by(Call.closes_at <= func.clock_timestamp(), Call.closes_at, Call.code)


def all_calls(db: Session) -> list[Call]:
    """Every published call, the next to close first, closed ones last."""
    return list(db.scalars(_ALL))


def state(call: Call, now: datetime) -> State:
    """What the window says at `now`; only the database's own reading at the write decides."""
    if now < call.opens_at:
        return "upcoming"
    return "open" if is_open(call, now) else "closed"


def is_open(call: Call, now: datetime) -> bool:
    """Foretells whether the database would accept a write at `now`."""
    return call.sealed_at is None and call.opens_at <= now < call.closes_at


_built: dict[str, Questionnaire] = {}  # a definition never changes, so what is built of it is kept


def questions(call: Call) -> Questionnaire:
    """The call's questionnaire, built once per definition and process."""
    if call.definition_digest not in _built:
        _built[call.definition_digest] = definitions.build(call.definition.body, call.definition_digest)
    return _built[call.definition_digest]


def questions_of(db: Session, definition_digest: str) -> Questionnaire:
    """The questionnaire that a version answered."""
    if definition_digest not in _built:
        body = db.get_one(Definition, definition_digest).body
        _built[definition_digest] = definitions.build(body, definition_digest)
    return _built[definition_digest]


def counts(db: Session, call: Call) -> Counts:
    """Counts by kind and day (in the call's zone), which staff may see before the cutoff."""
    touched = select(Draft.submission_id).distinct()
    started = db.execute(
        select(Submission.kind, func.count())
        .where(Submission.call_id == call.id, Submission.id.in_(touched))
        .group_by(Submission.kind)
    )
    in_time = (Version.call_id == call.id, Version.exemption_id.is_(None))
    sent = select(Version.submission_id).where(*in_time).distinct()
    submitted = db.execute(
        select(Submission.kind, func.count())
        .where(Submission.call_id == call.id, Submission.id.in_(sent), ~is_withdrawn)
        .group_by(Submission.kind)
    )
    day = func.date_trunc("day", Version.received_at, call.zone)
    return Counts(
        started=dict(started.all()),
        submitted=dict(submitted.all()),
        withdrawn=db.scalar(
            select(func.count()).select_from(Submission).where(Submission.call_id == call.id, is_withdrawn)
        )
        or 0,
        last_received_at=db.scalar(select(func.max(Version.received_at)).where(*in_time)),
        per_day=[
            (at, number)
            for at, number in db.execute(select(day, func.count()).where(*in_time).group_by(day).order_by(day))
        ],
    )


def by_id(db: Session, call_id: uuid.UUID) -> Call:
    """The call with this id."""
    return db.get_one(Call, call_id)


def next_to_close(db: Session) -> datetime | None:
    """The closing instant of the call that closes next, None when none is to close."""
    return db.scalar(select(func.min(Call.closes_at)).where(Call.sealed_at.is_(None)))
