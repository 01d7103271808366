"""The root key: what the secrets of authenticator apps and of webhooks are derived from, so that no row holds one.

The database keeps it wrapped under the portal's SECRET_KEY. Another SECRET_KEY wraps the same root key anew, and every
app and webhook goes on; a new root key is for the day on which somebody else may know the old one.
"""

import secrets

from sqlalchemy import delete, exists, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.domain import audit, factors, webhooks
from app.domain.access import SYSTEM
from app.infra import wrapping
from app.models import Factor, RootKey, Webhook

LENGTH = 32  # bytes


def opened(db: Session, secret_key: str) -> bytes:
    """The root key, made when it is first asked for. WrongKey where it was wrapped under another SECRET_KEY."""
    if (kept := db.get(RootKey, 1)) is None:
        _keep(db, secret_key, _first(db, secret_key))
        kept = db.get_one(RootKey, 1)  # whoever was faster made it
    return wrapping.unwrap(secret_key, kept.wrapped)


def _first(db: Session, secret_key: str) -> bytes:
    """Before there was a root key, secrets were derived from SECRET_KEY itself: those that were handed out stay."""
    is_given = or_(exists().where(Factor.sort == "app"), exists().where(Webhook.generation > 0))
    return secret_key.encode() if db.scalar(select(is_given)) else secrets.token_bytes(LENGTH)


def _keep(db: Session, secret_key: str, key: bytes) -> None:
    db.execute(insert(RootKey).values(wrapped=wrapping.wrap(secret_key, key)).on_conflict_do_nothing())


def move(db: Session, before: str, after: str) -> None:
    """Wrap the root key under another SECRET_KEY, as the owner of the database. WrongKey where `before` is not the one."""
    key = opened(db, before)
    db.execute(update(RootKey).values(wrapped=wrapping.wrap(after, key)))
    audit.record(db, SYSTEM, "root_key.moved")


def replace(db: Session, secret_key: str) -> None:
    """A new root key, as the owner of the database: apps and webhooks that were set up before fit it no more."""
    db.execute(delete(RootKey))
    _keep(db, secret_key, secrets.token_bytes(LENGTH))
    audit.record(db, SYSTEM, "root_key.replaced")


def end_derived(db: Session) -> tuple[int, int]:
    """End all apps, and take the secrets of all webhooks back until new ones are shown; how many of each."""
    return factors.end_apps(db), webhooks.take_secrets(db)
