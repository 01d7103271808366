"""Who holds what a machine sent as Bearer: the text of a key or of an access token, from which network, now."""

import hmac
import ipaddress
import uuid
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.domain import keys, tokens
from app.domain.access import Actor
from app.domain.errors import Refused, Unauthenticated
from app.infra.i18n import N_
from app.models import AccessToken, ApiKey

NOTED = timedelta(minutes=1)  # how often the last use is written down
V4, V6 = 24, 48  # bits of a network address that are kept with it


class KeyUnknown(Unauthenticated):
    """A text that is no key of ours, or never was one: which of both is not told."""

    msgid = N_("This key is not known here. Ask RVO for one.")

    def __init__(self, key_id: uuid.UUID | None = None) -> None:
        super().__init__()
        self.key_id = key_id


class KeyMistyped(KeyUnknown):
    code = "key_mistyped"
    msgid = N_("This is not the text of a key: part of it is missing or changed. Copy it again, whole.")


class KeyExpired(KeyUnknown):
    code = "key_expired"
    msgid = N_("This key or token has expired. Ask for a new token, or ask RVO for a new key.")


class KeyRevoked(KeyUnknown):
    code = "key_revoked"
    msgid = N_("This key was revoked. Ask RVO for a new one.")


class NotForBearers(KeyUnknown):
    code = "key_needs_a_token"
    msgid = N_("This is the secret of an OAuth client. Get an access token with it first, and send that.")


class NetworkNotAllowed(Refused):
    """A valid key from a network that it may not come from."""

    status = 403
    code = "network_not_allowed"
    msgid = N_("This key may not be used from this network. Ask RVO which networks it is for.")

    def __init__(self, key_id: uuid.UUID) -> None:
        super().__init__()
        self.key_id = key_id


def actor_of(db: Session, text: str, address: str | None = None) -> Actor:
    """The machine that holds this text and calls from this address. Each refusal says why, but only to whoever has the secret."""
    parsed = tokens.parsed(text)
    if parsed is None:
        raise KeyMistyped
    name, secret_hash = parsed
    if name.startswith(tokens.ACCESS_TOKEN):
        return _of_token(db, name, secret_hash, address)
    row = db.execute(select(ApiKey, func.clock_timestamp()).where(ApiKey.prefix == name)).one_or_none()
    if row is None or row[0].secret_hash is None or not hmac.compare_digest(row[0].secret_hash, secret_hash):
        raise KeyUnknown(row[0].id if row else None)
    key, now = row
    require_live(key, now)
    if key.kind != "key":
        raise NotForBearers(key.id)
    return _seen(key, now, address, key.scopes)


def _of_token(db: Session, name: str, secret_hash: str, address: str | None) -> Actor:
    row = db.execute(
        select(AccessToken, ApiKey, func.clock_timestamp())
        .join(ApiKey, ApiKey.id == AccessToken.api_key_id)
        .where(AccessToken.prefix == name)
    ).one_or_none()
    if row is None or not hmac.compare_digest(row[0].secret_hash, secret_hash):
        raise KeyUnknown
    token, key, now = row
    require_live(key, now)
    if token.expires_at <= now:
        raise KeyExpired(key.id)
    return _seen(key, now, address, [scope for scope in token.scopes if scope in key.scopes])


def require_live(key: ApiKey, now: datetime) -> None:
    """KeyRevoked, KeyExpired or KeyUnknown for a credential that does not count at this instant."""
    refusals = {"revoked": KeyRevoked, "expired": KeyExpired, "live": None}
    refusal = refusals.get(keys.state(key, now), KeyUnknown)
    if refusal is not None:
        raise refusal(key.id)


def _seen(key: ApiKey, now: datetime, address: str | None, scopes: list[str]) -> Actor:
    """The machine, once its network is judged; its use is noted at most once a minute."""
    require_network(key, address)
    note_use(key, now, address)
    return Actor(
        kind="api_key",
        api_key_id=key.id,
        name=key.name,
        call_codes=tuple(key.call_codes),
        scopes=frozenset(scopes),
    )


def require_network(key: ApiKey, address: str | None) -> None:
    """NetworkNotAllowed where the credential names networks and the address lies in none of them."""
    if not key.networks:
        return
    at = _address(address)
    if at is None or not any(at in ipaddress.ip_network(network) for network in key.networks):
        raise NetworkNotAllowed(key.id)


def note_use(key: ApiKey, now: datetime, address: str | None) -> None:
    """Write down when, and from which network, the credential was last used."""
    if key.last_used_at is None or now - key.last_used_at > NOTED:
        key.last_used_at = now
        key.last_network = _network(address)


def _address(address: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address as IPv4 where it is one in the clothes of IPv6."""
    try:
        found = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _network(address: str | None) -> str | None:
    """The network that an address lies in: enough to see where a key is used, less than a person's own address."""
    at = _address(address)
    if at is None:
        return None
    return str(ipaddress.ip_network((at, V4 if at.version == 4 else V6), strict=False))
