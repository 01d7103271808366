"""Random secrets that only their holder has: of sign-in links, sessions, keys and access tokens."""

import hashlib
import secrets
import zlib

KEY = "eoi_"
ACCESS_TOKEN = "eoi_at_"  # noqa: S105  (what such a token begins with)


def hashed(secret: str) -> str:
    """The form in which a random token of ours is kept: SHA-256, hex. Tokens have 192 bits or more, so no salt is needed."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def new_name(sort: str) -> str:
    """What the text of a new key or access token begins with, unlike that of any other."""
    return sort + secrets.token_hex(6)


def new_text(name: str) -> tuple[str, str]:
    """A fresh secret under `name`: the text for its holder, and the hash that is kept.

    The text is `<name>_<secret>_<crc32>`: the name lets a leak be recognised, the checksum lets a typing error be told
    from a wrong key without asking the database.
    """
    secret = secrets.token_hex(24)
    body = f"{name}_{secret}"
    return f"{body}_{_checksum(body)}", hashed(secret)


def parsed(text: str) -> tuple[str, str] | None:
    """Name and hash of the secret of a text as `new_text` makes them; None where the checksum shows that it is mistyped."""
    body, _, checksum = text.rpartition("_")
    name, _, secret = body.rpartition("_")
    if not name.startswith(KEY) or not text.isascii() or checksum != _checksum(body):
        return None
    return name, hashed(secret)


def _checksum(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"
