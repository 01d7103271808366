"""The portal's signing keys: Ed25519, made once, kept 0600; old ones go on verifying after a rotation."""

import base64
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

ALGORITHM = "Ed25519"
TYPE = "eoi+jws"


class UnknownKey(Exception):
    """The signature was made with a key that is not among those given."""


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
        header = {"alg": ALGORITHM, "kid": self.kid, "typ": TYPE}
        return jws.serialize_compact(header, payload, self.key, algorithms=[ALGORITHM])

    def jwks(self) -> dict[str, Any]:
        """The public keys, newest last."""
        return {"keys": [_public(_load(path)) for path in _paths(self.folder)]}


def rotate(folder: Path) -> Signer:
    """Make a new key that signs from the next start on; the others stay for verifying."""
    number = int(_paths(folder)[-1].stem) + 1 if _paths(folder) else 1
    _make(folder / f"{number:04d}.pem")
    return Signer.load_or_create(folder)


def verify(token: str, jwks: dict[str, Any]) -> bytes:
    """The signed bytes of a compact JWS; UnknownKey or BadSignature otherwise."""
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, UnicodeError) as failure:
        raise BadSignature("The signature is not a JWS.") from failure
    if header.get("alg") != ALGORITHM:
        raise BadSignature(f"The signature is of another sort than {ALGORITHM}.")
    known = [key for key in jwks.get("keys", []) if key.get("kty") == "OKP" and key["kid"] == header.get("kid")]
    if not known:
        raise UnknownKey(str(header.get("kid")))
    keys = KeySet([OKPKey.import_key(key) for key in known])
    last = token.rpartition(".")[2]
    if base64.urlsafe_b64encode(base64.urlsafe_b64decode(f"{last}==")).rstrip(b"=").decode() != last:
        raise BadSignature("The signature is written with spare bits.")  # another spelling of the same bytes
    try:
        return bytes(jws.deserialize_compact(token, keys, algorithms=[ALGORITHM]).payload)
    except (JoseError, ValueError) as failure:
        raise BadSignature("The signature does not fit the content.") from failure


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
    exported: dict[str, Any] = json.loads(json.dumps(key.as_dict(private=False)))
    return exported | {"kid": key.thumbprint(), "use": "sig", "alg": ALGORITHM}
