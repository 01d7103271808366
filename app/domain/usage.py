"""How much each key, or network without one, asks for: counted in the process, written down and compared with the other processes once a second."""

import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, sessionmaker

from app.domain import throttle
from app.models import KeyUse

PUBLIC = 120  # without a key, from one network address, each minute
MINUTE = timedelta(minutes=1)
LAG = 1.0  # seconds between looks at what the other processes counted
KEPT = timedelta(days=400)
SHOWN = 14  # days


@dataclass
class Window:
    """A minute of one caller: how many requests all processes had written down, and how many this one has not."""

    start: datetime
    known: int = 0
    unwritten: int = 0
    looked_at: float = float("-inf")


@dataclass(frozen=True)
class Standing:
    """What is left by a policy: of `limit` requests in this minute, `remaining`, which starts anew in `resets_in` seconds."""

    policy: str
    limit: int
    remaining: int
    resets_in: int

    @property
    def is_over(self) -> bool:
        """Whether this request was one too many."""
        return self.remaining < 0


@dataclass
class Meter:
    """What this process counted. Requests are judged at once; the database hears of them once a second.

    So a limit may be passed by what the other processes took within that second, and no request waits for a write.
    """

    lock: threading.Lock = field(default_factory=threading.Lock)
    windows: dict[tuple[str, str], Window] = field(default_factory=dict)
    uses: Counter[tuple[uuid.UUID, date, str]] = field(default_factory=Counter)

    def take(self, db: Session, policy: str, caller: str, now: datetime, limit: int) -> Standing:
        """Count one request of a caller, by one policy, in the minute of `now`."""
        start = now.astimezone(UTC).replace(second=0, microsecond=0)
        with self.lock:
            window = self.windows.get((policy, caller))
            if window is None or window.start != start:
                window = self.windows[policy, caller] = Window(start)
            window.unwritten += 1
            is_due = time.monotonic() - window.looked_at >= LAG
            if is_due:
                window.looked_at, more = time.monotonic(), window.unwritten
                window.unwritten = 0
                window.known += more
        if is_due:  # outside the lock: other keys do not wait for the database
            total = throttle.add(db, f"api:{policy}:{caller}", start, more)
            with self.lock:
                window.known = max(window.known, total)
        resets_in = max(1, int((start + MINUTE - now).total_seconds()) + 1)
        return Standing(policy, limit, limit - window.known - window.unwritten, resets_in)

    def count(self, key_id: uuid.UUID, now: datetime, what: str) -> None:
        """Note that a key used a group of routes, or was refused with a code (`refused:key_expired`)."""
        with self.lock:
            self.uses[key_id, now.astimezone(UTC).date(), what] += 1

    def flush(self, sessions: sessionmaker[Session], now: datetime) -> None:
        """Write down what was counted, and forget the minutes that have passed. Nothing is lost when it fails."""
        with self.lock:
            uses, self.uses = self.uses, Counter()
            for caller, window in list(self.windows.items()):
                if now - window.start > 2 * MINUTE:
                    del self.windows[caller]
        if not uses:
            return
        try:
            with sessions.begin() as db:
                _write(db, uses)
        except BaseException:
            with self.lock:
                self.uses.update(uses)
            raise


def _write(db: Session, uses: Counter[tuple[uuid.UUID, date, str]]) -> None:
    rows = [
        {"api_key_id": key_id, "day": day, "what": what, "count": count}
        for (key_id, day, what), count in sorted(
            uses.items(), key=lambda entry: str(entry[0])
        )  # one order, no deadlock
    ]
    statement = insert(KeyUse).values(rows)
    db.execute(
        statement.on_conflict_do_update(
            index_elements=[KeyUse.api_key_id, KeyUse.day, KeyUse.what],
            set_={"count": KeyUse.count + statement.excluded.count},
        )
    )


@dataclass
class Use:
    """What one key did in the days shown: requests by day and by group of routes, and refusals by code."""

    days: Counter[date] = field(default_factory=Counter)
    groups: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)


def of_keys(db: Session, today: date) -> dict[uuid.UUID, Use]:
    """What every key did in the last days, by key."""
    found: dict[uuid.UUID, Use] = {}
    since = today - timedelta(days=SHOWN - 1)
    for key_id, day, what, count in db.execute(
        select(KeyUse.api_key_id, KeyUse.day, KeyUse.what, KeyUse.count)
        .where(KeyUse.day >= since)
        .order_by(KeyUse.day.desc(), KeyUse.what)
    ):
        use = found.setdefault(key_id, Use())
        if what.startswith("refused:"):
            use.refused[what.removeprefix("refused:")] += count
        else:
            use.days[day] += count
            use.groups[what] += count
    return found


def sweep(db: Session) -> None:
    """Forget the days that have been kept long enough."""
    db.execute(delete(KeyUse).where(KeyUse.day < func.current_date() - KEPT.days))
