"""The portal's signing keys: Ed25519, made once, kept 0600; old ones go on verifying after a rotation."""

import base64
import hashlib
import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey, import_key

ALGORITHM = "Ed25519"
TYPE = "eoi+jws"


class UnknownKey(Exception):
    """The signature was made with a key that is not among those given."""


class PrivateKeyGiven(Exception):
    """A private key was given where a public one is wanted."""


class BadSignature(Exception):
    """The signature does not fit, or is none."""


@dataclass(frozen=True)
class Signer:
    """Signs with the newest key of a folder."""

    kid: str
    key: OKPKey
    folder: Path

    @classmethod
    def load_or_create(cls, folder: Path) -> "Signer":
        """The signer of a folder; its first key is made when there is none. Two processes at once make one key."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _paths(folder):
            _make(folder / "0001.pem")
        newest = _load(_paths(folder)[-1])
        return cls(newest.thumbprint(), newest, folder)

    def sign(self, payload: bytes) -> str:
        """A compact JWS (EdDSA over Ed25519) of `payload`, naming the key."""
        signed = f"{_header(self.kid)}.{_encoded(payload)}"
        key: Ed25519PrivateKey = self.key.raw_value  # type: ignore[assignment]
        return f"{signed}.{_encoded(key.sign(signed.encode()))}"

    def jwks(self) -> dict[str, Any]:
        """The public keys, newest last."""
        return {"keys": [_public(_load(path)) for path in _paths(self.folder)]}


def public_key(text: str) -> dict[str, str] | None:
    """The public key of somebody else, given as JWK or PEM, as a JWK: Ed25519 or P-256. None for any other text.

    PrivateKeyGiven where it is a private one, which nobody should have sent.
    """
    try:
        given = json.loads(text) if text.lstrip().startswith("{") else text
        sort = given["kty"] if isinstance(given, dict) else _sort_of(given)
        if sort not in ("OKP", "EC"):
            return None
        key = import_key(given, sort)
        described = key.as_dict(private=False)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError, UnsupportedAlgorithm):
        return None
    if (described.get("kty"), described.get("crv")) not in (("OKP", "Ed25519"), ("EC", "P-256")):
        return None
    if key.is_private:
        raise PrivateKeyGiven
    return {name: str(described[name]) for name in ("kty", "crv", "x", "y") if name in described}


def _sort_of(pem: str) -> Any:
    loaded = (
        serialization.load_pem_private_key(pem.encode(), None)
        if "PRIVATE KEY" in pem
        else serialization.load_pem_public_key(pem.encode())
    )
    return "OKP" if type(loaded).__name__.startswith("Ed25519") else "EC"


def rotate(folder: Path) -> Signer:
    """Make a new key that signs from the next start on; the others stay for verifying."""
    number = int(_paths(folder)[-1].stem) + 1 if _paths(folder) else 1
    _make(folder / f"{number:04d}.pem")
    return Signer.load_or_create(folder)


def verify(token: str, jwks: Any) -> bytes:
    """The signed bytes of a compact JWS; UnknownKey or BadSignature otherwise.

    The header is not believed but made anew for each key given: so a changed header is told from a key that is missing.
    """
    head, dot, rest = token.partition(".")
    payload, dot, signature = rest.partition(".")
    known = usable(jwks)
    for kid, key in known.items():
        if _fits(key, f"{_header(kid)}.{payload}", signature):
            if head != _header(kid):
                raise BadSignature("The header of the signature was changed.")
            return _decoded(payload)
    named = _kid(head)
    if named is None or named in known or not dot:
        raise BadSignature("The signature does not fit the content.")
    raise UnknownKey(named)


def usable(jwks: Any) -> dict[str, Ed25519PublicKey]:
    """The keys of a set that are as this portal writes them, each named by its own thumbprint; a damaged one is none."""
    found = {}
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    for key in keys if isinstance(keys, list) else []:
        x = key.get("x") if isinstance(key, dict) else None
        if isinstance(x, str) and key == _described(x):
            with suppress(ValueError):
                found[key["kid"]] = Ed25519PublicKey.from_public_bytes(_decoded(x))
    return found


def _described(x: str) -> dict[str, str]:
    """The public key `x` as it stands in a key set; its name is its thumbprint (RFC 7638)."""
    core = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": x}, separators=(",", ":"))
    thumbprint = hashlib.sha256(core.encode("utf-8", "replace")).digest()
    return {"alg": ALGORITHM, "crv": "Ed25519", "kid": _encoded(thumbprint), "kty": "OKP", "use": "sig", "x": x}


def _header(kid: str) -> str:
    header = json.dumps({"alg": ALGORITHM, "kid": kid, "typ": TYPE}, separators=(",", ":"))
    return _encoded(header.encode("utf-8", "replace"))


def _kid(head: str) -> str | None:
    """The key that a header names; None where it is no header of ours."""
    try:
        kid = json.loads(_decoded(head))["kid"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return kid if isinstance(kid, str) and _header(kid) == head else None


def _fits(key: Ed25519PublicKey, signed: str, signature: str) -> bool:
    try:
        made = _decoded(signature)
        key.verify(made, signed.encode())
    except (InvalidSignature, ValueError):
        return False
    return _encoded(made) == signature  # else another spelling of the same bytes


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _paths(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9]*.pem"))


def _make(path: Path) -> None:
    """Write a fresh key whole and private, or leave the one that another process was faster to make."""
    pem = OKPKey.generate_key("Ed25519").raw_value.private_bytes(  # type: ignore[union-attr]
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    draft = path.with_suffix(f".{secrets.token_hex(8)}.new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # the other process's key is the key
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def _load(path: Path) -> OKPKey:
    key = OKPKey.import_key(path.read_bytes())
    key.ensure_kid()
    return key


def _public(key: OKPKey) -> dict[str, Any]:
    return _described(str(key.as_dict(private=False)["x"]))
