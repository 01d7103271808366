"""Webhooks: addresses that are told of events of a call. Proposed by one person, approved by another; secrets rotated."""

import base64
import hashlib
import hmac
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, joinedload

from app.domain import audit
from app.domain.access import Actor
from app.domain.errors import Forbidden, Immutable, Invalid, NeedsSecondPerson, NotFound
from app.infra.i18n import N_, Message
from app.models import Call, Webhook

EVENTS = ("call.sealed", "feed.advanced")
OVERLAP = timedelta(days=7)
URL_LENGTH = 500
NOT_HTTPS = N_("The address must begin with https:// and name a host, without a name or password in it.")


@dataclass(frozen=True)
class Wish:
    """What a webhook shall be."""

    name: str
    url: str
    events: list[str]


def propose(db: Session, actor: Actor, call: Call, wish: Wish, may_be_plain: bool = False) -> Webhook:
    """Propose an address, as an administrator. Nothing is sent there until somebody else approves it.

    Invalid for an address that is not https (http may do in the demonstration). Which network it leads to is judged at
    each connection: names may point elsewhere tomorrow.
    """
    if not actor.is_staff("admin"):
        raise Forbidden
    if not _is_address(wish.url, ("https", "http") if may_be_plain else ("https",)):
        raise Invalid(Message(NOT_HTTPS))
    webhook = Webhook(call_id=call.id, name=wish.name, url=wish.url, events=wish.events, proposed_by=actor.person_id)
    db.add(webhook)
    db.flush()
    db.refresh(webhook)
    audit.record_call(db, actor, "webhook.proposed", call.id, **_told(webhook))
    return webhook


def _is_address(url: str, schemes: tuple[str, ...]) -> bool:
    if len(url) > URL_LENGTH or not url.isascii() or any(c.isspace() or not c.isprintable() for c in url):
        return False
    try:
        parts = urlsplit(url)
        is_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    return parts.scheme in schemes and bool(parts.hostname) and "@" not in parts.netloc and is_port


def _told(webhook: Webhook) -> dict[str, str]:
    return {"webhook": str(webhook.id), "url": webhook.url}


def approve(db: Session, actor: Actor, webhook_id: uuid.UUID) -> None:
    """Agree to a proposed address, as a coordinator or administrator who did not propose it; the database checks that too."""
    webhook = _of(db, actor, "coordinator", webhook_id)
    if webhook.approved_at or webhook.dropped_at:
        raise Immutable
    if webhook.proposed_by == actor.person_id:
        raise NeedsSecondPerson
    webhook.approved_by = actor.person_id
    _settle(db, webhook)
    audit.record_call(db, actor, "webhook.approved", webhook.call_id, **_told(webhook))


def drop(db: Session, actor: Actor, webhook_id: uuid.UUID) -> None:
    """Take a proposal off the table; Immutable once it was approved or dropped."""
    webhook = _of(db, actor, "coordinator", webhook_id)
    if webhook.approved_at or webhook.dropped_at:
        raise Immutable
    webhook.dropped_by = actor.person_id
    _settle(db, webhook)
    audit.record_call(db, actor, "webhook.dropped", webhook.call_id, **_told(webhook))


def end(db: Session, actor: Actor, webhook_id: uuid.UUID) -> None:
    """Send nothing there any more, for good."""
    webhook = _live(db, actor, "coordinator", webhook_id)
    webhook.ended_by = actor.person_id
    _settle(db, webhook)
    audit.record_call(db, actor, "webhook.ended", webhook.call_id, **_told(webhook))


def resume(db: Session, actor: Actor, webhook_id: uuid.UUID) -> None:
    """Send there again after a pause."""
    webhook = _live(db, actor, "coordinator", webhook_id)
    webhook.paused_at = None
    webhook.failing_since = None
    _settle(db, webhook)
    audit.record_call(db, actor, "webhook.resumed", webhook.call_id, **_told(webhook))


def new_secret(db: Session, actor: Actor, webhook_id: uuid.UUID, root_key: bytes) -> str:
    """A fresh secret, shown this once, to an administrator. The one before goes on signing beside it for a week."""
    webhook = _live(db, actor, "admin", webhook_id)
    webhook.generation += 1
    _settle(db, webhook)
    audit.record_call(db, actor, "webhook.secret_shown", webhook.call_id, **_told(webhook))
    return _secret(webhook.id, webhook.generation, root_key)


def take_secrets(db: Session) -> int:
    """Let no webhook sign any more until its new secret is shown, as the owner of the database; how many that were."""
    had = update(Webhook).where(Webhook.generation > 0, Webhook.ended_at.is_(None))
    return len(db.scalars(had.values(generation=0, rotated_at=None).returning(Webhook.id)).all())


def secrets_of(webhook: Webhook, root_key: bytes, now: datetime) -> list[str]:
    """The secrets that sign at this instant, the newest first: for a week after a rotation the one before does too."""
    numbers = [webhook.generation]
    if webhook.generation > 1 and webhook.rotated_at is not None and now - webhook.rotated_at < OVERLAP:
        numbers.append(webhook.generation - 1)
    return [_secret(webhook.id, number, root_key) for number in numbers]


def _secret(webhook_id: uuid.UUID, generation: int, root_key: bytes) -> str:
    """Derived from the root key, so that no row holds it: a copy of the database signs nothing."""
    made = hmac.new(root_key, f"webhook:{webhook_id}:{generation}".encode(), hashlib.sha256).digest()
    return "whsec_" + base64.b64encode(made).decode()


def _live(db: Session, actor: Actor, role: str, webhook_id: uuid.UUID) -> Webhook:
    webhook = _of(db, actor, role, webhook_id)
    if webhook.approved_at is None:
        raise NeedsSecondPerson
    if webhook.ended_at is not None:
        raise Immutable
    return webhook


def _of(db: Session, actor: Actor, role: str, webhook_id: uuid.UUID) -> Webhook:
    if not actor.is_staff(role):
        raise Forbidden
    webhook = db.get(Webhook, webhook_id, with_for_update=True, populate_existing=True)
    if webhook is None:
        raise NotFound
    return webhook


def _settle(db: Session, webhook: Webhook) -> None:
    db.flush()
    db.refresh(webhook)  # the database stamped it


def listed(db: Session) -> list[Webhook]:
    """Every webhook with its call and people, newest first."""
    joined = (joinedload(Webhook.call), joinedload(Webhook.proposer), joinedload(Webhook.approver))
    return list(db.scalars(select(Webhook).options(*joined).order_by(Webhook.created_at.desc(), Webhook.id)))


def state(webhook: Webhook) -> str:
    """How far a webhook is: `proposed`, `dropped`, `live`, `paused` or `ended`."""
    for name, at in (("ended", webhook.ended_at), ("dropped", webhook.dropped_at), ("paused", webhook.paused_at)):
        if at is not None:
            return name
    return "live" if webhook.approved_at else "proposed"


def pause(webhook: Webhook) -> None:
    """Send nothing there until somebody resumes it: it failed for too long, or said that it is gone."""
    webhook.paused_at = func.clock_timestamp()
