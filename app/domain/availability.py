"""The history of readiness: a row a minute and replica, and the windows in which no replica could have taken a submit.

A minute counts for a replica as ready when every check of it held. A process notes a minute when it is over; while the
database is away it remembers its minutes and notes them once it is back. A minute in which a process began or ended was not served
whole by it. A minute of which nobody says anything was an outage too: nobody was there to serve.
"""

import os
import socket
import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, sessionmaker

from app.models import Readiness

MINUTE = timedelta(minutes=1)
LATE = timedelta(seconds=30)  # between two looks; they are meant to be some seconds apart
KEPT = 7 * 24 * 60  # minutes that a process remembers while the database is away
STARTING, STOPPING = "starting", "stopping"  # in place of a check: a minute that a process did not serve whole
HUNG = "hung"  # in place of a check: nobody could look
SILENT = "silent"  # in place of a check: no replica said anything
WHOLE_HOUR = "*"  # the replica of a row that stands for an hour of long ago, see thin_readiness

# The first minute of the portal: what came before its first start is no outage, and nor is that start.
BEGUN = "select minute from readiness where not failed @> array['starting'] order by minute limit 1"

# Minutes up to the last that every replica has noted, less those in which one was ready; those next to each other are one window.
OUTAGES = f"""
with known as (
  select greatest(date_trunc('minute', cast(:since as timestamptz), 'UTC'), begun.minute) as first,
         date_trunc('minute', clock_timestamp(), 'UTC') - interval '1 minute' as after
  from ({BEGUN}) as begun),
missed as (
  select m.minute from known, generate_series(known.first, known.after - interval '1 minute', interval '1 minute') m(minute)
  where not exists (select from readiness r where r.minute = m.minute and r.is_ready)
    and not exists (select from readiness r where r.minute = date_trunc('hour', m.minute, 'UTC') and r.replica = :hour)),
windows as (
  select min(minute) as starts_at, max(minute) + interval '1 minute' as ends_at
  from (select minute, minute - row_number() over (order by minute) * interval '1 minute' as island from missed) i
  group by island)
select w.starts_at, w.ends_at,
  array(select distinct f from readiness r, unnest(r.failed) f
        where r.minute >= w.starts_at and r.minute < w.ends_at order by f) as failed,
  exists (select from generate_series(w.starts_at, w.ends_at - interval '1 minute', interval '1 minute') m(minute)
          where not exists (select from readiness r where r.minute = m.minute)) as is_silent
from windows w order by w.starts_at desc
"""


@dataclass(frozen=True)
class Outage:
    """A window `[starts_at, ends_at)`, whole minutes, in which no replica was ready; and what was seen to fail in it."""

    starts_at: datetime
    ends_at: datetime
    failed: tuple[str, ...]

    @property
    def minutes(self) -> int:
        """How long it lasted."""
        return (self.ends_at - self.starts_at) // MINUTE


@dataclass(frozen=True)
class Day:
    """How a day went, in the zone that it is counted in: minutes on record until now, and those of them without service."""

    starts_at: datetime
    minutes: int
    missed: int


def _replica() -> str:
    return f"{socket.gethostname()}/{os.getpid()}"


@dataclass
class Watch:
    """What one process has seen, minute by minute, and not yet noted."""

    replica: str = field(default_factory=_replica)
    minute: datetime | None = None
    seen_at: datetime | None = None
    failed: set[str] = field(default_factory=set)
    waiting: deque[tuple[datetime, list[str]]] = field(default_factory=lambda: deque(maxlen=KEPT))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def see(self, now: datetime, checks: dict[str, bool]) -> None:
        """Take in how things are now; minutes that are over wait to be noted.

        A look that comes late was held up, as by a database that takes a question and does not answer: every minute
        since the look before was not served whole.
        """
        with self.lock:
            minute = now.replace(second=0, microsecond=0)
            is_late = self.seen_at is not None and now - self.seen_at > LATE
            while self.minute is not None and self.minute < minute:
                self._close({HUNG} if is_late else set())
                self.minute += MINUTE
            self.minute, self.seen_at = self.minute or minute, now
            self.failed |= {name for name, holds in checks.items() if not holds} | ({HUNG} if is_late else set())

    def close(self) -> None:
        """End the minute at hand, whole or not."""
        with self.lock:
            self._close(set())
            self.minute = self.seen_at = None

    def _close(self, more: set[str]) -> None:
        if self.minute is not None:
            self.waiting.append((self.minute, sorted(self.failed | more)))
        self.failed = set()


def note(watch: Watch, sessions: sessionmaker[Session]) -> int:
    """Write down the minutes that wait; how many there were. They go on waiting where the database cannot take them."""
    seen = list(watch.waiting)
    if seen:
        rows = [
            {"minute": minute, "replica": watch.replica, "is_ready": not failed, "failed": failed}
            for minute, failed in seen
        ]
        with sessions.begin() as db:
            db.execute(insert(Readiness).values(rows).on_conflict_do_nothing())
        for _ in seen:
            watch.waiting.popleft()
    return len(seen)


def thin(db: Session) -> int:
    """Put whole hours of long ago into a row each; how many rows that spared."""
    gone: int = db.scalar(select(func.thin_readiness())) or 0
    return gone


def outages(db: Session, since: datetime) -> list[Outage]:
    """The windows since then in which no replica was ready, latest first; from the first minute after the first start on."""
    rows = db.execute(text(OUTAGES), {"since": since, "hour": WHOLE_HOUR})
    return [
        Outage(starts_at, ends_at, (*failed, *([SILENT] if is_silent else [])))
        for starts_at, ends_at, failed, is_silent in rows
    ]


def replicas(db: Session, since: datetime) -> list[tuple[str, datetime, int]]:
    """The replicas heard of since then: name, last minute noted, and minutes in which it was not ready."""
    not_ready = func.count().filter(~Readiness.is_ready)
    rows = db.execute(
        select(Readiness.replica, func.max(Readiness.minute), not_ready)
        .where(Readiness.minute >= since, Readiness.replica != WHOLE_HOUR)
        .group_by(Readiness.replica)
        .order_by(func.max(Readiness.minute).desc(), Readiness.replica)
    )
    return [(name, last, count) for name, last, count in rows]


def days(db: Session, since: datetime, found: list[Outage], zone: ZoneInfo) -> list[Day]:
    """Day by day in `zone`, latest first, from the first day on record on."""
    first = db.scalar(text(BEGUN))
    until = db.scalars(select(func.date_trunc("minute", func.clock_timestamp(), "UTC") - MINUTE)).one()
    made: list[Day] = []
    at = max(since, first).astimezone(zone) if first else None
    while at is not None and at < until:
        midnight = at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        end = min(midnight, until.astimezone(zone))
        missed = sum(max(0, _overlap(o, at, end)) for o in found)
        made.append(Day(at, _minutes(at, end), missed))
        at = midnight
    return made[::-1]


def _minutes(start: datetime, end: datetime) -> int:
    """Minutes that pass between two instants, whatever the wall clock does meanwhile."""
    return round((end.timestamp() - start.timestamp()) / 60)


def _overlap(outage: Outage, start: datetime, end: datetime) -> int:
    return _minutes(max(outage.starts_at, start), min(outage.ends_at, end))
