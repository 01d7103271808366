"""Notices to webhooks: written by the database with what they tell of, claimed here, signed, retried for three days."""

import json
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session, joinedload
from standardwebhooks.webhooks import Webhook as Signs

from app.domain import audit, feed, webhooks
from app.domain.access import Actor
from app.domain.errors import Forbidden, NotFound
from app.infra import times
from app.models import Notice, Webhook

PAUSES = tuple(timedelta(seconds=s) for s in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 72_000))
LEASE = timedelta(seconds=60)  # after which a notice whose sender died is due again
PAGE = 50
STATES = ("waiting", "sent", "failed")
GONE = 410
KEPT = timedelta(days=400)


@dataclass(frozen=True)
class Letter:
    """One notice, ready to be sent: the bytes and their headers."""

    notice_id: uuid.UUID
    webhook_id: uuid.UUID
    url: str
    body: bytes
    headers: dict[str, str]


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended: the status of the answer, or what went wrong before there was one."""

    status: int | None
    error: str | None = None

    @property
    def is_taken(self) -> bool:
        """Whether the other side took it: any 2xx."""
        return self.status is not None and 200 <= self.status < 300


def claim(db: Session, root_key: bytes, at_most: int, but: Collection[uuid.UUID] = ()) -> list[Letter]:
    """The oldest due notice of each webhook but those named, taken for a minute: whoever sends it holds no lock meanwhile.

    So one slow address holds up neither the others nor the transaction of what is told.
    """
    is_due = and_(
        Notice.sent_at.is_(None), Notice.failed_at.is_(None), Notice.next_attempt_at <= func.clock_timestamp()
    )
    is_live = and_(Webhook.paused_at.is_(None), Webhook.ended_at.is_(None), Webhook.generation > 0)
    oldest = (
        select(Notice.id)
        .join(Webhook, Webhook.id == Notice.webhook_id)
        .where(is_due, is_live, Webhook.id.not_in(list(but)))
        .ext(distinct_on(Notice.webhook_id))
        .order_by(Notice.webhook_id, Notice.created_at, Notice.id)
    )
    claimed = select(Notice).where(Notice.id.in_(oldest), is_due).order_by(Notice.next_attempt_at).limit(at_most)
    now = _now(db)
    letters = []
    for notice in db.scalars(claimed.with_for_update(skip_locked=True)).all():
        notice.attempts += 1
        notice.next_attempt_at = now + LEASE
        letters.append(_letter(db, notice, root_key, now))
    db.flush()
    return letters


def _now(db: Session) -> datetime:
    now: datetime = db.execute(select(func.clock_timestamp())).scalar_one()
    return now


def _letter(db: Session, notice: Notice, root_key: bytes, now: datetime) -> Letter:
    """The same id at each attempt, signed anew with its time, by each secret that counts. `entry` is where the feed ends now."""
    webhook = notice.webhook
    data = {"call": webhook.call.code, "entry": feed.position(db, webhook.call).number}
    told = {"type": notice.event, "timestamp": times.iso(notice.created_at), "data": data}
    body = json.dumps(told, separators=(",", ":"))
    at = now.astimezone(UTC).replace(microsecond=0)
    signatures = [
        Signs(secret).sign(str(notice.id), at, body) for secret in webhooks.secrets_of(webhook, root_key, now)
    ]
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "eoi-portal",
        "webhook-id": str(notice.id),
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
    return Letter(notice.id, webhook.id, webhook.url, body.encode(), headers)


def settle(db: Session, sent: Letter, outcome: Outcome) -> None:
    """Write down how an attempt ended, and when the next one is due. Given up after three days: the webhook is paused then."""
    webhook = db.get_one(Webhook, sent.webhook_id, with_for_update=True)
    notice = db.get_one(Notice, sent.notice_id, with_for_update=True)
    if notice.sent_at or notice.failed_at:
        return  # its minute had passed, and somebody else ended it
    now = _now(db)
    notice.last_status, notice.last_error = outcome.status, outcome.error
    if outcome.is_taken:
        notice.sent_at = webhook.last_sent_at = now
        webhook.failing_since = None
        return
    webhook.failing_since = webhook.failing_since or now
    if outcome.status == GONE or notice.attempts > len(PAUSES):
        notice.failed_at = now
        webhooks.pause(webhook)
    else:
        notice.next_attempt_at = now + PAUSES[max(1, notice.attempts) - 1]


def send_again(db: Session, actor: Actor, notice_id: uuid.UUID) -> None:
    """Queue a notice again that was sent or given up, under the same id; NotFound when it is none or waits already."""
    if not actor.is_staff("coordinator"):
        raise Forbidden
    notice = db.get(Notice, notice_id, with_for_update=True, populate_existing=True)
    if notice is None or not (notice.sent_at or notice.failed_at):
        raise NotFound
    notice.sent_at = notice.failed_at = None
    notice.attempts = 0
    notice.next_attempt_at = _now(db)
    audit.record_call(
        db, actor, "webhook.notice_sent_again", notice.webhook.call_id, notice=str(notice.id), url=notice.webhook.url
    )


def listed(db: Session, state: str = "", older: str = "") -> tuple[list[Notice], str | None]:
    """Notices with their webhooks, newest first, and the place to go on from; None at the end."""
    statement = select(Notice).options(joinedload(Notice.webhook).joinedload(Webhook.call))
    if state in STATES:
        statement = statement.where(_in_state(state))
    if place := _uuid(older):
        at = select(Notice.created_at).where(Notice.id == place).scalar_subquery()
        statement = statement.where(tuple_(Notice.created_at, Notice.id) < tuple_(at, place))
    rows = list(db.scalars(statement.order_by(Notice.created_at.desc(), Notice.id.desc()).limit(PAGE + 1)))
    return rows[:PAGE], str(rows[PAGE - 1].id) if len(rows) > PAGE else None


def _in_state(state: str) -> ColumnElement[bool]:
    sent, failed = Notice.sent_at.is_not(None), Notice.failed_at.is_not(None)
    return {"sent": sent, "failed": failed, "waiting": and_(~sent, ~failed)}[state]


def counts(db: Session) -> dict[str, int]:
    """How many notices wait, were sent, or were given up."""
    counted = select(*(func.count().filter(_in_state(state)) for state in STATES)).select_from(Notice)
    return dict(zip(STATES, db.execute(counted).one(), strict=True))


def _uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def sweep(db: Session) -> None:
    """Forget what was sent long ago."""
    db.execute(delete(Notice).where(Notice.sent_at < func.clock_timestamp() - KEPT))
