"""Planned maintenance: announced beforehand, shown to everybody, made shorter or called off. The database holds the rules."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.domain import audit, calls
from app.domain.access import Actor
from app.domain.availability import MINUTE, Outage
from app.domain.denials import MaintenanceOver, MaintenanceRefused, MaintenanceTouchesCall
from app.domain.errors import Forbidden, NotFound
from app.infra import times
from app.infra.i18n import LANGUAGES, N_, Message
from app.models import Call, Maintenance

WORDS_LENGTH = 500
BEFORE = timedelta(days=1)  # from when on the pages of respondents tell of it
SHOWN = timedelta(days=30)  # how long it stays on the status page
LAST = timedelta(hours=24)  # of a call, see calls_touched
PAST = N_("It must begin after now: nobody can prepare for what has begun.")
BACKWARDS = N_("It must end after it begins, and within seven days.")
LONGER = N_("What was announced can only become shorter. For other or more time, announce another window.")
WORDLESS = N_("Say in both languages what is done. Everybody may read it.")


@dataclass(frozen=True)
class Window:
    """What is announced, `[starts_at, ends_at)`, and from when on it was off."""

    starts_at: datetime
    ends_at: datetime
    words: dict[str, str]
    called_off_at: datetime | None = None

    def holds(self, at: datetime) -> bool:
        """Whether maintenance was announced for this instant and not called off before it."""
        return self.starts_at <= at < self.ends_at and (self.called_off_at is None or at < self.called_off_at)

    def is_told(self, now: datetime) -> bool:
        """Whether the pages of respondents tell of it now."""
        return self.called_off_at is None and self.starts_at - BEFORE <= now < self.ends_at


def announce(db: Session, actor: Actor, starts_at: datetime, ends_at: datetime, words: dict[str, str]) -> Maintenance:
    """Announce maintenance in every language of the portal; the same window a second time is the one there is.

    MaintenanceTouchesCall, with the calls, for a window in the first hour of a call or its last 24; MaintenanceRefused
    for one that has begun, ends before it begins, takes more than a week, or says nothing.
    """
    if not actor.is_staff("coordinator"):
        raise Forbidden
    said = {language: words.get(language, "").strip()[:WORDS_LENGTH] for language in LANGUAGES}
    if not all(said.values()):
        raise MaintenanceRefused(Message(WORDLESS))
    if starts_at <= calls.clock(db):
        raise MaintenanceRefused(Message(PAST))
    if not starts_at < ends_at <= starts_at + timedelta(days=7):
        raise MaintenanceRefused(Message(BACKWARDS))
    if touched := calls_touched(db, starts_at, ends_at):
        raise MaintenanceTouchesCall(calls=touched)
    same = (Maintenance.starts_at == starts_at, Maintenance.ends_at == ends_at, Maintenance.called_off_at.is_(None))
    if there := db.scalar(select(Maintenance).where(*same)):
        return there
    made = Maintenance(starts_at=starts_at, ends_at=ends_at, words=said, announced_by=actor.person_id)
    db.add(made)
    db.flush()
    db.refresh(made)  # the database stamped it
    audit.record(db, actor, "maintenance.announced", window=_span(made))
    return made


def _span(of: Maintenance) -> str:
    return f"{times.iso(of.starts_at)}/{times.iso(of.ends_at)}"


def calls_touched(db: Session, starts_at: datetime, ends_at: datetime) -> list[Call]:
    """The calls whose first hour or last 24 such a window would touch, the next to close first."""
    touched = select(func.calls_touched(starts_at, ends_at))
    return list(db.scalars(select(Call).where(Call.id.in_(touched)).order_by(Call.closes_at)))


def shorten(db: Session, actor: Actor, window: Maintenance, starts_at: datetime, ends_at: datetime) -> None:
    """Let it begin later or end earlier. MaintenanceRefused for anything else, MaintenanceOver where it is past."""
    before, now = _span(window), calls.clock(db)
    if window.called_off_at is not None or window.ends_at <= now:
        raise MaintenanceOver
    if starts_at < window.starts_at or ends_at > window.ends_at or starts_at >= ends_at:
        raise MaintenanceRefused(Message(LONGER))
    if (starts_at, ends_at) == (window.starts_at, window.ends_at):
        return
    if ends_at <= now or (starts_at != window.starts_at and min(starts_at, window.starts_at) <= now):
        raise MaintenanceRefused(Message(PAST))
    _change(db, actor, window, starts_at=starts_at, ends_at=ends_at)
    audit.record(db, actor, "maintenance.shortened", window=_span(window), window_from=before)


def call_off(db: Session, actor: Actor, window: Maintenance) -> None:
    """Let it not take place, or be over now. MaintenanceOver where it is past or was called off."""
    _change(db, actor, window, called_off_by=actor.person_id)
    audit.record(db, actor, "maintenance.called_off", window=_span(window))


def _change(db: Session, actor: Actor, window: Maintenance, **values: object) -> None:
    if not actor.is_staff("coordinator"):
        raise Forbidden
    one = update(Maintenance).where(Maintenance.id == window.id).values(**values)
    db.execute(one.execution_options(synchronize_session=False))
    db.refresh(window)


def by_id(db: Session, wanted: uuid.UUID) -> Maintenance:
    """The window with this id; NotFound otherwise."""
    if (found := db.get(Maintenance, wanted)) is None:
        raise NotFound
    return found


def listed(db: Session, since: datetime) -> list[Maintenance]:
    """Every window that ends after `since`, called off or not, the latest first."""
    latest_first = (Maintenance.starts_at.desc(), Maintenance.announced_at.desc())
    return list(db.scalars(select(Maintenance).where(Maintenance.ends_at > since).order_by(*latest_first)))


def windows(db: Session, since: datetime) -> list[Window]:
    """The same, to be kept beyond the session."""
    return [Window(one.starts_at, one.ends_at, one.words, one.called_off_at) for one in listed(db, since)]


def before_closing(db: Session, closes_at: datetime) -> list[Maintenance]:
    """The windows that would touch the last 24 hours of a call that closes then: such as when its deadline is moved."""
    touching = (Maintenance.starts_at < closes_at, Maintenance.called_off_at.is_(None))
    return list(db.scalars(select(Maintenance).where(*touching, Maintenance.ends_at > closes_at - LAST)))


def minutes_announced(outage: Outage, among: list[Window]) -> int:
    """The minutes of an outage for which maintenance was announced."""
    minutes = (outage.starts_at + number * MINUTE for number in range(outage.minutes))
    return sum(any(window.holds(minute) for window in among) for minute in minutes)
