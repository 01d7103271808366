"""The credentials of machines: proposed by one person, approved by another, shown once to the first; rotated and revoked."""

import ipaddress
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, update
from sqlalchemy.orm import Session, joinedload

from app.domain import audit, tokens
from app.domain.access import Actor
from app.domain.errors import Forbidden, Immutable, Invalid, NeedsSecondPerson, NotFound
from app.infra.i18n import N_, Message
from app.models import ApiKey

SCOPES = ("submissions:read", "attachments:read", "deliveries:write")
KINDS = ("key", "client_secret", "client_key")
LIVES = timedelta(days=365)
LONGEST = timedelta(days=730)
OVERLAP = timedelta(days=7)
NETWORKS = 20
WRONG_NETWORK = N_("'%(given)s' is no network. Write one a line, as 192.0.2.0/24 or 2001:db8::/32.")
EVERY_NETWORK = N_("'%(given)s' is every network there is. Leave the field empty if the key may come from anywhere.")
MANY_NETWORKS = N_("Name at most 20 networks.")


@dataclass(frozen=True)
class Wish:
    """What a credential shall be. `networks` are those it may come from, none meaning any; `replaces` is the one before it."""

    name: str
    call_codes: list[str]
    scopes: list[str]
    kind: str = "key"
    networks: list[str] = field(default_factory=list)
    lives: timedelta = LIVES
    public_key: dict[str, Any] | None = None
    replaces: uuid.UUID | None = None


def is_live(at: ColumnElement[datetime] | datetime) -> ColumnElement[bool]:
    """Whether a credential counts at an instant: agreed on, collected where it has a secret, not over."""
    return and_(
        or_(ApiKey.is_operators, ApiKey.approved_at.is_not(None)),
        or_(ApiKey.kind == "client_key", ApiKey.secret_hash.is_not(None)),
        ApiKey.revoked_at.is_(None),
        ApiKey.expires_at > at,
    )


def networks(text: str) -> list[str]:
    """The networks of a text, one a line or between commas, as they are kept. Invalid names the first that is none."""
    found = []
    for part in text.replace(",", " ").split():
        try:
            network = ipaddress.ip_network(part, strict=False)
        except ValueError:
            raise Invalid(Message(WRONG_NETWORK, {"given": part[:60]})) from None
        if network.prefixlen == 0:
            raise Invalid(Message(EVERY_NETWORK, {"given": part[:60]}))
        found.append(str(network))
    if len(found) > NETWORKS:
        raise Invalid(Message(MANY_NETWORKS))
    return list(dict.fromkeys(found))


def issue(
    db: Session,
    actor: Actor,
    name: str,
    call_codes: list[str],
    scopes: list[str],
    lives: timedelta = LIVES,
    **more: Any,
) -> tuple[ApiKey, str]:
    """Make a key at once, by the operator of the machine: only the owner of the database can. Its text is shown this once.

    The audit trail says that one person did it.
    """
    wish = Wish(name, call_codes, scopes, lives=lives, **more)
    key = _made(wish, None)
    text, key.secret_hash = tokens.new_text(key.prefix)
    key.is_operators = True
    db.add(key)
    db.flush()
    db.refresh(key)
    audit.record(db, actor, "key.issued", **_told(key), as_operator=True)
    return key, text


def propose(db: Session, actor: Actor, wish: Wish) -> ApiKey:
    """Propose a credential, as an administrator. It opens nothing until somebody else approves it."""
    if not actor.is_staff("admin"):
        raise Forbidden
    if wish.replaces is not None and db.get(ApiKey, wish.replaces) is None:
        raise NotFound
    key = _made(wish, actor.person_id)
    db.add(key)
    db.flush()
    db.refresh(key)
    audit.record(db, actor, "key.proposed", **_told(key))
    return key


def _made(wish: Wish, proposed_by: uuid.UUID | None) -> ApiKey:
    return ApiKey(
        kind=wish.kind,
        name=wish.name,
        prefix=tokens.new_name(tokens.KEY),
        call_codes=wish.call_codes,
        scopes=wish.scopes,
        networks=wish.networks,
        public_key=wish.public_key,
        replaces=wish.replaces,
        proposed_by=proposed_by,
        expires_at=func.clock_timestamp() + min(wish.lives, LONGEST),
    )


def _told(key: ApiKey) -> dict[str, Any]:
    told: dict[str, Any] = {"key": str(key.id), "key_name": key.name, "calls": key.call_codes, "scopes": key.scopes}
    return told | ({"networks": key.networks} if key.networks else {})


def approve(db: Session, actor: Actor, key_id: uuid.UUID) -> ApiKey:
    """Agree to a proposed credential, as a coordinator or administrator who did not propose it; the database checks that too.

    A client with a key pair counts from now on; a secret is made when the proposer collects it.
    """
    key = _of(db, actor, "coordinator", key_id)
    if key.approved_at or key.dropped_at or key.is_operators:
        raise Immutable
    if key.proposed_by == actor.person_id:
        raise NeedsSecondPerson
    key.approved_by = actor.person_id
    db.flush()
    db.refresh(key)
    audit.record(db, actor, "key.approved", **_told(key))
    if key.kind == "client_key":
        _end_the_one_before(db, actor, key)
    return key


def drop(db: Session, actor: Actor, key_id: uuid.UUID) -> None:
    """Take a proposal off the table; Immutable once it was approved or dropped."""
    key = _of(db, actor, "coordinator", key_id)
    if key.approved_at or key.dropped_at or key.is_operators:
        raise Immutable
    key.dropped_by = actor.person_id
    db.flush()
    db.refresh(key)
    audit.record(db, actor, "key.dropped", **_told(key))


def collect(db: Session, actor: Actor, key_id: uuid.UUID) -> tuple[ApiKey, str]:
    """Make the secret of an approved credential and return its text, which is shown this once, to the one who proposed it.

    Whoever approved it never sees it, and it lay nowhere before.
    """
    key = _of(db, actor, "admin", key_id)
    if key.proposed_by != actor.person_id:
        raise Forbidden
    if key.approved_at is None:
        raise NeedsSecondPerson
    if key.secret_hash is not None or key.kind == "client_key" or key.revoked_at:
        raise Immutable
    text, key.secret_hash = tokens.new_text(key.prefix)
    db.flush()
    db.refresh(key)
    audit.record(db, actor, "key.issued", **_told(key))
    _end_the_one_before(db, actor, key)
    return key, text


def _end_the_one_before(db: Session, actor: Actor, key: ApiKey) -> None:
    """The credential that this one replaces goes on for the overlap, then no more."""
    before = db.get(ApiKey, key.replaces, with_for_update=True) if key.replaces else None
    end = db.scalar(select(func.clock_timestamp() + OVERLAP))
    if before is not None and end is not None and before.revoked_at is None and before.expires_at > end:
        before.expires_at = end
        audit.record(db, actor, "key.rotated", **_told(before), until=end.isoformat())


def _of(db: Session, actor: Actor, role: str, key_id: uuid.UUID) -> ApiKey:
    if not actor.is_staff(role):
        raise Forbidden
    key = db.get(ApiKey, key_id, with_for_update=True, populate_existing=True)
    if key is None:
        raise NotFound
    return key


def all_keys(db: Session) -> list[ApiKey]:
    """Every credential with the people in it, newest first; secrets are not among what is kept."""
    people = (joinedload(ApiKey.proposer), joinedload(ApiKey.approver))
    return list(db.scalars(select(ApiKey).options(*people).order_by(ApiKey.created_at.desc(), ApiKey.id)))


def state(key: ApiKey, now: datetime) -> str:
    """How far a credential is: `proposed`, `dropped`, `approved` (to be collected), `live`, `expired` or `revoked`."""
    if key.revoked_at:
        return "revoked"
    if key.dropped_at:
        return "dropped"
    if key.expires_at <= now:
        return "expired"
    if not key.is_operators and key.approved_at is None:
        return "proposed"
    return "live" if key.secret_hash or key.kind == "client_key" else "approved"


def revoke(db: Session, actor: Actor, key_id: uuid.UUID) -> None:
    """Make a credential useless from now on, with every token made of it; NotFound when it is none or was revoked before."""
    revoked: datetime | None = db.scalar(
        update(ApiKey)
        .where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None), ApiKey.dropped_at.is_(None))
        .values(revoked_at=func.clock_timestamp())
        .returning(ApiKey.revoked_at)
    )
    if revoked is None:
        raise NotFound
    audit.record(db, actor, "key.revoked", key=str(key_id))
