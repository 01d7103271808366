"""Signed statements: one envelope for receipts, refusals, seals, heads and the rest, and the bytes it is taken over.

A signed document is `{"statement": {...}, "jws": "..."}`: the statement, readable, with its `format`; and a compact JWS
(Ed25519) whose payload is the statement in RFC 8785 canonical JSON. docs/formats.md tells it to others.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

import rfc8785

from app.infra import signing
from app.infra.i18n import N_, Message
from app.infra.signing import Signer

RECEIPT = "eoi-receipt/1"
REFUSAL = "eoi-refusal/1"
SEAL = "eoi-seal/1"
HEAD = "eoi-head/1"
TICKET = "eoi-ticket/1"
DESTRUCTION = "eoi-destruction/1"
DISCLOSURE = "eoi-disclosure/1"
FORMATS = (RECEIPT, REFUSAL, SEAL, HEAD, TICKET, DESTRUCTION, DISCLOSURE)
BESIDE = frozenset({"statement", "jws", "proof", "leaves"})  # what a document may hold; the last two are not signed

UNKNOWN = N_(
    "This cannot be decided: it was signed with a key that is not among the keys given, or those keys are damaged."
)
NOT_OURS = N_("Invalid: this is not a signed document of this portal. It lacks %(part)s.")
BAD = N_("Invalid: the signature does not fit. The file was changed after it was handed out, or was never ours.")
DIFFERS = N_("Invalid: “%(part)s” in the file is not what was signed.")


@dataclass(frozen=True)
class Verdict:
    """What a check came to, with one sentence that says why."""

    outcome: Literal["valid", "invalid", "unknown"]
    sentence: Message


def canonical(document: Any) -> bytes:
    """RFC 8785 canonical JSON: the bytes that digests and signatures are taken over.

    Without floats, and with names in ASCII, the standard encoder gives the same bytes thirty times
    as fast; a test holds the two together. ValueError for what canonical JSON cannot hold.
    """
    if _is_plain(document):
        return _encode(document).encode()
    return rfc8785.dumps(document)


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")).encode


def _is_plain(part: Any) -> bool:
    """Whether the standard encoder's bytes are canonical: names sorted alike, numbers written alike."""
    sort = type(part)
    if sort is dict:
        return all(type(name) is str and name.isascii() and _is_plain(value) for name, value in part.items())
    if sort is list:
        return all(map(_is_plain, part))
    return sort is str or part is None or sort is bool or (sort is int and abs(part) < LARGEST)


LARGEST = 2**53  # beyond it canonical JSON has no whole numbers


def digest(document: Any) -> str:
    """SHA-256 (hex) of a document in canonical JSON."""
    return hashlib.sha256(canonical(document)).hexdigest()


def sign(signer: Signer, statement: dict[str, Any]) -> str:
    """The JWS over a statement."""
    return signer.sign(canonical(statement))


def document(statement: dict[str, Any], jws: str, **beside: Any) -> dict[str, Any]:
    """What is handed out: a statement as it is kept, its JWS, and what goes unsigned beside it."""
    return {"statement": statement, "jws": jws, **beside}


def check(given: Any, jwks: Any) -> Verdict | None:
    """What is wrong with a signed document, whatever it states; None when its signature and bytes fit."""
    if not isinstance(given, dict):
        return Verdict("invalid", Message(NOT_OURS, {"part": "{}"}))
    statement, token = given.get("statement"), given.get("jws")
    if not isinstance(statement, dict) or statement.get("format") not in FORMATS:
        return Verdict("invalid", Message(NOT_OURS, {"part": "statement.format"}))
    if not isinstance(token, str):
        return Verdict("invalid", Message(NOT_OURS, {"part": "jws"}))
    if extra := sorted(set(given) - BESIDE):
        return Verdict("invalid", Message(DIFFERS, {"part": extra[0]}))
    try:
        signed = signing.verify(token, jwks)
        bytes_given = canonical(statement)
    except signing.UnknownKey:
        return Verdict("unknown", Message(UNKNOWN))
    except (signing.BadSignature, ValueError, RecursionError):
        return Verdict("invalid", Message(BAD))
    if signed != bytes_given:
        return Verdict("invalid", Message(DIFFERS, {"part": _first_difference(signed, statement)}))
    return None


def _first_difference(signed: bytes, statement: dict[str, Any]) -> str:
    """The name of the first member whose signed bytes are not in the file."""
    for name in sorted(statement):
        if canonical({name: statement[name]})[1:-1] not in signed:
            return name
    return "statement"
