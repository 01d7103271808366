"""Receipts: what was received and when, in canonical bytes, signed; and the check that finds every changed byte."""

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

import rfc8785

from app.infra import signing, times
from app.infra.i18n import N_, Message
from app.infra.signing import Signer
from app.models import Submission, Version

FORMAT = "eoi-receipt/1"
NON_BINDING = {
    "en": "An expression of interest is not an application: no rights follow from it and no decision is taken on it.",
    "nl": "Een blijk van belangstelling is geen aanvraag: er zijn geen rechten aan te ontlenen en er volgt geen besluit op.",
}
RULE = {
    "en": "Received means: the complete request to submit was accepted by the portal's database, by its clock, at or after "
    "the opening and before the closing instant. The last version received counts.",
    "nl": "Ontvangen betekent: het volledige verzoek tot indienen is door de database van het portaal aanvaard, volgens "
    "haar klok, op of na de opening en vóór het sluitingstijdstip. De laatst ontvangen versie telt.",
}

VALID = N_("Valid: version %(version)s of %(reference)s was received at %(received)s.")
UNKNOWN = N_("This cannot be decided: the receipt was signed with a key that is not among the keys given.")
NO_RECEIPT = N_("Invalid: this is not a receipt of this portal. It lacks %(part)s.")
BAD = N_("Invalid: the signature does not fit. The file was changed after it was handed out, or was never ours.")
DIFFERS = N_("Invalid: “%(part)s” in the file is not what was signed.")


@dataclass(frozen=True)
class Verdict:
    """What a check came to, with one sentence that says why."""

    outcome: Literal["valid", "invalid", "unknown"]
    sentence: Message


def canonical(document: Any) -> bytes:
    """RFC 8785 canonical JSON: the bytes that digests and signatures are taken over."""
    return rfc8785.dumps(document)


def payload_digest(payload: dict[str, Any]) -> str:
    """SHA-256 (hex) of a submission's content in canonical JSON."""
    return hashlib.sha256(canonical(payload)).hexdigest()


def body(
    submission: Submission, version: Version, name: str, email: str, title: dict[str, str], issuer: str
) -> dict[str, Any]:
    """The statements of a receipt; times are RFC 3339 in UTC, the local text names its zone."""
    organisation = submission.organisation
    return {
        "format": FORMAT,
        "issuer": issuer,
        "call": submission.call.code,
        "call_title": title,
        "definition": version.definition_digest,
        "reference": submission.reference,
        "version": version.number,
        "kind": version.kind,
        "title": version.title,
        "organisation": {
            "name": organisation.name,
            "country": organisation.country,
            "registration_no": organisation.registration_no,
            "state_code": organisation.state_code,
        },
        "submitter": {"name": name, "email": email, "login_assurance": "e-mail link"},
        "received_at": times.iso(version.received_at),
        "received_local": times.brussels(version.received_at, "en", seconds=True),
        "opens_at": times.iso(submission.call.opens_at),
        "closes_at": times.iso(submission.call.closes_at),
        "zone": submission.call.zone,
        "rule": RULE,
        "payload_sha256": version.payload_sha256,
        "files": [
            {"question": f["question"], "name": f["name"], "size": f["size"], "sha256": f["sha256"]}
            for f in version.files
        ],
        "statement": NON_BINDING,
    }


def issue(signer: Signer, statements: dict[str, Any]) -> dict[str, Any]:
    """The document that is handed out: the statements, readable, and the signature over their canonical bytes."""
    return {"receipt": statements, "jws": signer.sign(canonical(statements))}


def verify(document: Any, jwks: dict[str, Any]) -> Verdict:
    """Check a receipt against public keys, offline. `unknown` when none of the keys made the signature."""
    if not isinstance(document, dict):
        return Verdict("invalid", Message(NO_RECEIPT, {"part": "{}"}))
    statements, token = document.get("receipt"), document.get("jws")
    if not isinstance(statements, dict) or statements.get("format") != FORMAT:
        return Verdict("invalid", Message(NO_RECEIPT, {"part": f"receipt.format = {FORMAT}"}))
    if not isinstance(token, str):
        return Verdict("invalid", Message(NO_RECEIPT, {"part": "jws"}))
    if extra := sorted(set(document) - {"receipt", "jws"}):
        return Verdict("invalid", Message(DIFFERS, {"part": extra[0]}))
    try:
        signed = signing.verify(token, jwks)
        given = canonical(statements)
    except signing.UnknownKey:
        return Verdict("unknown", Message(UNKNOWN))
    except (signing.BadSignature, rfc8785.CanonicalizationError):
        return Verdict("invalid", Message(BAD))
    if signed != given:
        return Verdict("invalid", Message(DIFFERS, {"part": _first_difference(signed, statements)}))
    values = {"version": statements["version"], "reference": statements["reference"]}
    return Verdict("valid", Message(VALID, values | {"received": statements["received_local"]}))


def _first_difference(signed: bytes, statements: dict[str, Any]) -> str:
    """The name of the first statement whose signed bytes are not in the file."""
    for name in sorted(statements):
        if canonical({name: statements[name]})[1:-1] not in signed:
            return name
    return "receipt"
