"""A key kept under another key: wrapped it may lie in a database, and it can be wrapped anew without being changed."""

import base64

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class WrongKey(Exception):
    """What was wrapped was not wrapped under this key, or was changed."""


def wrap(under: str, key: bytes) -> bytes:
    """`key`, encrypted and authenticated under a long random text."""
    return _fernet(under).encrypt(key)


def unwrap(under: str, wrapped: bytes) -> bytes:
    """The key again; WrongKey where `under` is another text."""
    try:
        return _fernet(under).decrypt(wrapped)
    except InvalidToken as failure:
        raise WrongKey from failure


def _fernet(under: str) -> Fernet:
    made = HKDF(SHA256(), length=32, salt=None, info=b"eoi root key").derive(under.encode())
    return Fernet(base64.urlsafe_b64encode(made))
