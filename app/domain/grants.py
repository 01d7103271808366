"""Access tokens of OAuth 2.0 clients: who asks, what they may have, the token for ten minutes, and no assertion twice."""

import hmac
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.domain import audit, bearers, keys, tokens
from app.domain.access import Actor
from app.models import AccessToken, ApiKey, Assertion

PATH = "/api/v1/oauth/token"
LIVES = timedelta(minutes=10)
SKEW = timedelta(seconds=60)  # by which the clocks of two machines may differ
LONGEST_ASSERTION = timedelta(minutes=10)
METHODS = {"client_secret": "client_secret_basic", "client_key": "private_key_jwt"}
ALGORITHMS = ("ES256", "EdDSA", "Ed25519")


def client(db: Session, client_id: str) -> ApiKey | None:
    """The live client of that id; None for any other, and for keys that are no clients."""
    if not client_id.isascii() or not client_id.isprintable():
        return None
    statement = select(ApiKey).where(
        ApiKey.prefix == client_id, ApiKey.kind.in_(METHODS), keys.is_live(func.clock_timestamp())
    )
    return db.scalar(statement)


def has_secret(key: ApiKey, text: str) -> bool:
    """Whether this is the secret of the client, as it was shown."""
    parsed = tokens.parsed(text)
    return (
        parsed is not None
        and key.secret_hash is not None
        and parsed[0] == key.prefix
        and hmac.compare_digest(key.secret_hash, parsed[1])
    )


def allowed(key: ApiKey, scope: str | None) -> list[str] | None:
    """The scopes that a client gets who asks for these: all of its own if it names none; None if one is not its own."""
    wanted = (scope or "").split()
    if any(one not in key.scopes for one in wanted):
        return None
    return [one for one in key.scopes if one in wanted] if wanted else list(key.scopes)


def is_first(db: Session, key: ApiKey, jti: Any, exp: Any, now: datetime) -> bool:
    """Note that an assertion was shown; False where it was shown before, or would live too long to be remembered."""
    if not isinstance(jti, str) or not 8 <= len(jti) <= 200 or not isinstance(exp, int | float):
        return False
    if exp > (now + LONGEST_ASSERTION + SKEW).timestamp():
        return False
    expires_at = datetime.fromtimestamp(exp, UTC) + SKEW
    row = {"api_key_id": key.id, "jti_hash": tokens.hashed(jti), "expires_at": expires_at}
    noted = db.scalar(insert(Assertion).values(row).on_conflict_do_nothing().returning(Assertion.api_key_id))
    return noted is not None


def issue(db: Session, key: ApiKey, text: str, secret_hash: str, scopes: list[str], address: str | None) -> None:
    """Keep the hash of a fresh token, and note that the client was used."""
    db.add(
        AccessToken(
            prefix=text.rsplit("_", 2)[0],
            secret_hash=secret_hash,
            api_key_id=key.id,
            scopes=scopes,
            expires_at=func.clock_timestamp() + LIVES,
        )
    )
    now: datetime = db.execute(select(func.clock_timestamp())).scalar_one()
    bearers.note_use(key, now, address)
    audit.record(db, _machine(key.id), "token.issued", scopes=scopes)


def _machine(key_id: uuid.UUID) -> Actor:
    return Actor(kind="api_key", api_key_id=key_id)


def sweep(db: Session) -> None:
    """Forget the tokens and assertions that ended an hour ago."""
    before = func.clock_timestamp() - timedelta(hours=1)
    db.execute(delete(AccessToken).where(AccessToken.expires_at < before))
    db.execute(delete(Assertion).where(Assertion.expires_at < before))


def metadata(base_url: str) -> dict[str, Any]:
    """What clients read to find their way (RFC 8414)."""
    return {
        "issuer": base_url,
        "token_endpoint": base_url + PATH,
        "token_endpoint_auth_methods_supported": list(METHODS.values()),
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "scopes_supported": list(keys.SCOPES),
        "service_documentation": f"{base_url}/api/v1/docs",
    }
