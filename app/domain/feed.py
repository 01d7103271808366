"""The feed: what was released to EuroHPC, replaced or withdrawn, numbered by commit, read on from a cursor.

The database makes the entries (migrations/versions/0011_feed.py), whichever code releases: numbers have no gaps and never
come late, so whoever has read up to one has read all before it. An entry read twice does no harm.
"""

import re
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session, contains_eager

from app.domain import audit
from app.domain.access import Actor
from app.domain.errors import Refused
from app.infra.i18n import N_
from app.models import Call, Feed, FeedEntry, Submission, Version

CURSOR = re.compile("([0-9a-f]{16})-([0-9]{1,18})")
WITHDRAWN = "withdrawn"


class CursorInvalid(Refused):
    """A cursor that this list never handed out."""

    status = 400
    code = "cursor_invalid"
    msgid = N_("This is not a cursor of this list. Start again without one.")


class CursorExpired(Refused):
    """A cursor of the time before the database was restored."""

    status = 410
    code = "cursor_expired"
    msgid = N_(
        "The database was restored since this cursor was given, so it may not lead on. Read the feed from its beginning, "
        "without a cursor: entries that you have already do no harm."
    )


@dataclass(frozen=True)
class Cursor:
    """Up to where a feed was read: the number of an entry, in an epoch. A restored database has another epoch."""

    epoch: str
    number: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.number}"


@dataclass(frozen=True)
class Page:
    """Some entries in order, the cursor behind the last of them, and whether there are more already."""

    entries: list[FeedEntry]
    cursor: Cursor
    has_more: bool


def parsed(text: str) -> Cursor | None:
    """The cursor in a text, None for the beginning of a feed; CursorInvalid for anything else."""
    if not text:
        return None
    if (found := CURSOR.fullmatch(text)) is None:
        raise CursorInvalid
    return Cursor(found[1], int(found[2]))


def position(db: Session, call: Call) -> Cursor:
    """Where the feed of a call ends now."""
    last = select(Feed.last).where(Feed.call_id == call.id).scalar_subquery()
    epoch, number = db.execute(select(func.feed_epoch(), func.coalesce(last, 0))).one()
    return Cursor(epoch, number)


def read(db: Session, actor: Actor, call: Call, after: Cursor | None, limit: int) -> Page:
    """At most `limit` entries behind a cursor. CursorExpired for one of another epoch, or beyond what there is."""
    end = position(db, call)
    start = after or Cursor(end.epoch, 0)
    if start.epoch != end.epoch or start.number > end.number:
        raise CursorExpired
    found = list(
        db.scalars(
            select(FeedEntry)
            .join(FeedEntry.submission)
            .join(FeedEntry.version)
            .where(FeedEntry.call_id == call.id, FeedEntry.number > start.number, FeedEntry.number <= end.number)
            .options(
                contains_eager(FeedEntry.submission).load_only(Submission.reference).lazyload("*"),
                contains_eager(FeedEntry.version).load_only(Version.number, Version.payload_sha256),
            )
            .order_by(FeedEntry.number)
            .limit(limit)
        )
    )
    if not found:
        return Page([], start, has_more=False)
    audit.record_call(db, actor, "feed.read", call.id, rows=len(found))
    reached = Cursor(end.epoch, found[-1].number)
    return Page(found, reached, has_more=reached.number < end.number)
