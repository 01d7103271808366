"""The keys of machines: issued once, kept as a hash, scoped to calls and verbs, with expiry and last use."""

import hmac
import secrets
import uuid
import zlib
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.domain import audit
from app.domain.access import ANONYMOUS, Actor
from app.domain.errors import NotFound
from app.domain.tokens import hashed
from app.models import ApiKey

SCOPES = ("submissions:read", "attachments:read", "deliveries:write")
PREFIX = "eoi_"
LIVES = timedelta(days=365)


def issue(
    db: Session, actor: Actor, name: str, call_codes: list[str], scopes: list[str], lives: timedelta = LIVES
) -> tuple[ApiKey, str]:
    """Make a key and return it with its secret text, which is shown this once.

    The text is `eoi_<id>_<secret>_<crc32>`: the prefix lets a leak be recognised, the checksum lets a typing error be
    told from a wrong key without asking the database.
    """
    visible, secret = secrets.token_hex(6), secrets.token_hex(24)
    key = ApiKey(
        name=name,
        prefix=PREFIX + visible,
        secret_hash=hashed(secret),
        call_codes=call_codes,
        scopes=scopes,
        created_by=actor.person_id,
        expires_at=func.clock_timestamp() + lives,
    )
    db.add(key)
    db.flush()
    audit.record(db, actor, "key.issued", key=str(key.id), key_name=name, calls=call_codes, scopes=scopes)
    body = f"{PREFIX}{visible}_{secret}"
    return key, f"{body}_{zlib.crc32(body.encode()):08x}"


def actor_of(db: Session, text: str) -> Actor:
    """Whoever holds this key text now; ANONYMOUS when it is malformed, unknown, expired or revoked."""
    body, _, checksum = text.rpartition("_")
    prefix, _, secret = body.rpartition("_")
    if not prefix or checksum != f"{zlib.crc32(body.encode()):08x}":
        return ANONYMOUS
    found = db.execute(
        select(ApiKey, func.clock_timestamp()).where(
            ApiKey.prefix == prefix, ApiKey.revoked_at.is_(None), ApiKey.expires_at > func.clock_timestamp()
        )
    ).one_or_none()
    if found is None or not hmac.compare_digest(found[0].secret_hash, hashed(secret)):
        return ANONYMOUS
    key, now = found
    if key.last_used_at is None or now - key.last_used_at > timedelta(minutes=1):
        key.last_used_at = now
    return Actor(
        kind="api_key",
        api_key_id=key.id,
        name=key.name,
        call_codes=tuple(key.call_codes),
        scopes=frozenset(key.scopes),
    )


def all_keys(db: Session) -> list[ApiKey]:
    """Every key, newest first; secrets are not among what is kept."""
    return list(db.scalars(select(ApiKey).order_by(ApiKey.created_at.desc())))


def revoke(db: Session, actor: Actor, key_id: uuid.UUID) -> None:
    """Make a key useless from now on; NotFound when it is none or was revoked before."""
    revoked: datetime | None = db.scalar(
        update(ApiKey)
        .where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None))
        .values(revoked_at=func.clock_timestamp())
        .returning(ApiKey.revoked_at)
    )
    if revoked is None:
        raise NotFound
    audit.record(db, actor, "key.revoked", key=str(key_id))
