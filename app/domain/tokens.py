"""Random secrets that only their holder has: of sign-in links, sessions and keys."""

import hashlib


def hashed(secret: str) -> str:
    """The form in which a random token of ours is kept: SHA-256, hex. Tokens have 256 bits, so no salt is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()
