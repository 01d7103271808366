"""The head of the audit trail's chain: links what was written since, and publishes count and digest, signed.

Each event has a commitment, SHA-256 over a salt and its content. In the chain, event `n` has the digest of
`"{n}:{digest of n-1}:{commitment of n}"`, the first one of 64 zeros. A head that somebody else holds shows a changed,
missing or cut-off line; an erased line keeps its commitment, so the chain still holds.
"""

from datetime import timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.domain import statements
from app.infra import times
from app.infra.signing import Signer
from app.models import Event, Head

EVERY = timedelta(days=1)
GENESIS = "0" * 64


def link(db: Session) -> tuple[int, str]:
    """Give every event written so far its place in the chain; the chain's length and its last digest."""
    count = db.execute(select(func.link_events())).scalar_one()
    last = db.scalar(select(Event.chain).where(Event.position == count))
    return count, last or GENESIS


def publish(db: Session, signer: Signer, issuer: str) -> Head:
    """Keep the signed head of this moment."""
    count, chain = link(db)
    now = db.execute(select(func.clock_timestamp())).scalar_one()
    body = {"format": statements.HEAD, "issuer": issuer, "at": times.iso(now), "count": count, "chain": chain}
    made = Head(count=count, chain=chain, body=body, jws=statements.sign(signer, body))
    db.add(made)
    db.flush()
    return made


def publish_daily(db: Session, signer: Signer, issuer: str) -> Head | None:
    """A head when the last one is a day old, by one process only; None otherwise."""
    if not db.execute(select(func.pg_try_advisory_xact_lock(0x656F6C))).scalar_one():
        return None
    last = db.scalar(select(func.max(Head.at)))
    now = db.execute(select(func.clock_timestamp())).scalar_one()
    return publish(db, signer, issuer) if last is None or now - last >= EVERY else None


def published(db: Session, limit: int = 100) -> list[dict[str, Any]]:
    """The newest published heads as signed documents, the newest first."""
    rows = db.scalars(select(Head).order_by(Head.id.desc()).limit(limit))
    return [statements.document(row.body, row.jws) for row in rows]
