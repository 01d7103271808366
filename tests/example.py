"""The worked example of docs/formats.md, made anew from its parts; run as a program it writes docs/example/."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.domain import merkle, statements
from app.domain.receipts import NON_BINDING, RULE
from app.infra.signing import Signer

FOLDER = Path(__file__).parent.parent / "docs" / "example"
KEY = bytes(range(32))  # everybody knows it: nothing but the example is signed with it
ISSUER = "https://eoi.example"
CALL = "example-2027"
WINDOW = {"opens_at": "2027-03-01T08:00:00.000000Z", "closes_at": "2027-06-20T15:00:00.000000Z"}
COMMITMENTS = [hashlib.sha256(f"line {n}".encode()).hexdigest() for n in (1, 2)]


@contextmanager
def signer() -> Iterator[Signer]:
    """One with the example's key."""
    with tempfile.TemporaryDirectory() as folder:
        pem = Ed25519PrivateKey.from_private_bytes(KEY).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (Path(folder) / "0001.pem").write_bytes(pem)
        yield Signer.load_or_create(Path(folder))


def leaves() -> list[dict[str, Any]]:
    """Three submissions as the seal counts them, in order of their digests."""
    made = [
        {
            "format": "eoi-leaf/1",
            "payload_sha256": hashlib.sha256(f"content {n}".encode()).hexdigest(),
            "reference": reference,
            "salt": hashlib.sha256(f"salt of {n}".encode()).hexdigest(),
            "state": "withdrawn" if n == 2 else "standing",
            "version": n,
        }
        for n, reference in ((1, "0RWGX-4KQ7B-2MVD"), (2, "0RWGX-9ZT3H-6PFA"), (3, "0RWH1-XC8N5-J0RS"))
    ]
    return sorted(made, key=digest)


def digest(leaf: dict[str, Any]) -> str:
    return merkle.leaf(statements.canonical(leaf))


def chain() -> list[str]:
    """The audit trail's chain after one line and after two."""
    found, last = [], "0" * 64
    for position, commitment in enumerate(COMMITMENTS, start=1):
        last = hashlib.sha256(f"{position}:{last}:{commitment}".encode()).hexdigest()
        found.append(last)
    return found


def head() -> dict[str, Any]:
    at = "2027-06-20T15:00:00.481516Z"
    return {"format": statements.HEAD, "issuer": ISSUER, "at": at, "count": 2, "chain": chain()[-1]}


def seal() -> dict[str, Any]:
    return {
        "format": statements.SEAL,
        "issuer": ISSUER,
        "call": CALL,
        "definition": hashlib.sha256(b"the form").hexdigest(),
        **WINDOW,
        "zone": "Europe/Brussels",
        "sealed_at": "2027-06-20T15:00:00.314159Z",
        "size": 3,
        "count": 2,
        "withdrawn": 1,
        "root": merkle.root([digest(leaf) for leaf in leaves()]),
        "last_received_at": "2027-06-20T14:59:59.271828Z",
        "late_attempts": 1,
        "clock": None,
        "audit": {"count": 2, "chain": chain()[-1]},
    }


def receipt(leaf: dict[str, Any]) -> dict[str, Any]:
    return {
        "format": statements.RECEIPT,
        "issuer": ISSUER,
        "call": CALL,
        "call_title": {"en": "An example", "nl": "Een voorbeeld"},
        "definition": seal()["definition"],
        "reference": leaf["reference"],
        "version": leaf["version"],
        "kind": "FC",
        "title": "Rekenkracht aan zee: “één” site",
        "organisation": {"name": "Voorbeeld BV", "country": "NL", "registration_no": "12345678", "state_code": None},
        "submitter": {"name": "Ada Voorbeeld", "email": "ada@voorbeeld.example", "login_assurance": "e-mail link"},
        "received_at": "2027-06-20T14:59:59.271828Z",
        "received_local": "20 June 2027, 16:59:59 CEST",
        **WINDOW,
        "zone": "Europe/Brussels",
        "rule": RULE,
        "payload_sha256": leaf["payload_sha256"],
        "files": [],
        "statement": NON_BINDING,
    }


def documents() -> dict[str, bytes]:
    """The files of docs/example."""
    tree, closed = [digest(leaf) for leaf in leaves()], seal()
    index = next(place for place, leaf in enumerate(leaves()) if leaf["version"] == 3)
    said = receipt(leaves()[index])
    with signer() as key:
        signed = statements.document(closed, statements.sign(key, closed))
        proof = {
            "call": CALL,
            "leaf": leaves()[index],
            "index": index,
            "size": len(tree),
            "path": merkle.path(tree, index),
            "root": merkle.root(tree),
            "seal": signed,
        }
        made = {
            "receipt": statements.document(said, statements.sign(key, said), proof=proof),
            "seal": signed | {"leaves": tree},
            "head": statements.document(head(), statements.sign(key, head())),
            "jwks": key.jwks(),
        }
    return {name: statements.canonical(document) for name, document in made.items()}


if __name__ == "__main__":
    for name, content in documents().items():
        (FOLDER / f"{name}.json").write_bytes(content)
