"""How often somebody may try: counters in the database, so that all workers count together."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.domain.errors import Throttled
from app.models import Throttle


def hit(db: Session, key: str, limit: int, per: timedelta) -> None:
    """Count one try under `key`; raise Throttled (with seconds to wait) beyond `limit` in the current window of `per`."""
    now: datetime = db.execute(func.clock_timestamp().select()).scalar_one()
    length = per.total_seconds()
    start = datetime.fromtimestamp(now.timestamp() // length * length, UTC)
    if add(db, key, start, 1) > limit:
        raise Throttled(retry_after=max(1, int((start + per - now).total_seconds()) + 1))


def add(db: Session, key: str, start: datetime, more: int) -> int:
    """Count `more` tries under `key` in the window that began at `start`; how many there are now."""
    statement = insert(Throttle).values(key=key, window_start=start, count=more)
    return db.execute(
        statement.on_conflict_do_update(
            index_elements=[Throttle.key, Throttle.window_start], set_={"count": Throttle.count + more}
        ).returning(Throttle.count)
    ).scalar_one()


def sweep(db: Session) -> None:
    """Forget the windows of past days."""
    db.execute(delete(Throttle).where(Throttle.window_start < func.now() - timedelta(days=1)))
