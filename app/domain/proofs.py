"""Checking what the portal signed, offline: receipt, refusal, seal, head or ticket; every changed byte has its sentence."""

import json
from typing import Any

from app.domain import merkle, statements
from app.domain.statements import DIFFERS, NOT_OURS, Verdict
from app.infra.i18n import N_, Message

RECEIVED = N_("Valid: version %(version)s of %(reference)s was received at %(at)s.")
INCLUDED = N_(
    "Valid: version %(version)s of %(reference)s was received at %(at)s, and the sealed set of %(size)s holds it as "
    "%(state)s."
)
REPLACED = N_(
    "Valid: version %(version)s of %(reference)s was received at %(at)s; the sealed set of %(size)s holds version "
    "%(counts)s of it, as %(state)s."
)
EXCEPTIONAL = N_(
    "Valid: version %(version)s of %(reference)s was received at %(at)s, exceptionally: it is outside the sealed set."
)
REFUSED = N_("Valid: an attempt to submit %(reference)s was refused at %(at)s (%(code)s).")
SEALED = N_("Valid: call %(call)s was sealed at %(at)s with %(count)s submissions and root %(root)s.")
HEAD = N_("Valid: at %(at)s the audit trail held %(count)s lines.")
REPORTED = N_("Valid: problem %(reference)s was reported at %(at)s.")
NOT_JSON = N_("Invalid: this is not JSON as the portal writes it.")
NO_PATH = N_("Invalid: the proof does not lead from this submission to the root of the seal.")
OTHER_CALL = N_("Invalid: the seal is of another call.")
OTHER_CASE = N_("Invalid: the proof is of another submission.")
NO_SEAL = N_("Invalid: what was given as the seal is none.")
NO_PROOF = N_("This receipt holds no proof that it is in the sealed set. Download it again after the seal.")
STATES = {"standing": N_("standing"), "withdrawn": N_("withdrawn")}


def parse(given: bytes) -> Any:
    """The JSON in a file; ValueError when it is none, or names a member twice."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a member is given twice")
        return found

    try:
        return json.loads(given.decode(), object_pairs_hook=once)
    except RecursionError as failure:
        raise ValueError("nested too deeply") from failure


def verify(document: Any, jwks: dict[str, Any], seal: Any = None) -> Verdict:
    """Check a signed document against public keys; of a receipt also its proof, against `seal` where that is given."""
    if (problem := statements.check(document, jwks)) is not None:
        return problem
    statement = document["statement"]
    try:
        return CHECKS[statement["format"]](document, statement, jwks, seal)
    except (KeyError, TypeError, ValueError):
        return Verdict("invalid", Message(NOT_OURS, {"part": "statement"}))


def _valid(msgid: str, **params: Any) -> Verdict:
    return Verdict("valid", Message(msgid, params))


def _invalid(msgid: str, **params: Any) -> Verdict:
    return Verdict("invalid", Message(msgid, params))


def _receipt(document: dict[str, Any], said: dict[str, Any], jwks: dict[str, Any], seal: Any) -> Verdict:
    values = {"version": said["version"], "reference": said["reference"], "at": said["received_local"]}
    proof: Any = document.get("proof")
    if "leaves" in document:
        return _invalid(DIFFERS, part="leaves")
    if said.get("exemption"):
        return _alone(document) or _valid(EXCEPTIONAL, **values)
    if "proof" not in document:
        return Verdict("unknown", Message(NO_PROOF)) if seal is not None else _valid(RECEIVED, **values)
    if (problem := _wrong_proof(proof, said)) is not None:
        return problem
    leaf = proof["leaf"]
    if seal is not None:
        if (problem := statements.check(seal, jwks)) is not None:
            return problem
        closed = seal["statement"]
        if closed["format"] != statements.SEAL:
            return _invalid(NO_SEAL)
        if closed["call"] != said["call"]:
            return _invalid(OTHER_CALL)
        if (closed["root"], closed["size"]) != (proof["root"], proof["size"]):
            return _invalid(NO_PATH)
    values |= {"size": proof["size"], "state": Message(STATES[leaf["state"]])}
    if leaf["version"] != said["version"]:
        return _valid(REPLACED, counts=leaf["version"], **values)
    return _valid(INCLUDED, **values)


def _wrong_proof(proof: Any, said: dict[str, Any]) -> Verdict | None:
    """What does not fit between a proof and the receipt that it came with."""
    if set(proof) != {"call", "leaf", "index", "size", "path", "root"}:
        return _invalid(DIFFERS, part="proof")
    leaf = proof["leaf"]
    if (proof["call"], leaf["reference"]) != (said["call"], said["reference"]) or leaf["version"] < said["version"]:
        return _invalid(OTHER_CASE)
    if leaf["version"] == said["version"] and leaf["payload_sha256"] != said["payload_sha256"]:
        return _invalid(OTHER_CASE)
    reached = merkle.root_from(merkle.leaf(statements.canonical(leaf)), proof["index"], proof["size"], proof["path"])
    return _invalid(NO_PATH) if reached != proof["root"] else None


def _refusal(document: dict[str, Any], said: dict[str, Any], jwks: dict[str, Any], seal: Any) -> Verdict:
    return _alone(document) or _valid(REFUSED, reference=said["reference"], at=said["refused_local"], code=said["code"])


def _seal(document: dict[str, Any], said: dict[str, Any], jwks: dict[str, Any], seal: Any) -> Verdict:
    if "proof" in document:
        return _invalid(DIFFERS, part="proof")
    leaves: Any = document.get("leaves")
    if "leaves" in document and (
        leaves != sorted(leaves) or len(leaves) != said["size"] or merkle.root(leaves) != said["root"]
    ):
        return _invalid(DIFFERS, part="leaves")
    return _valid(SEALED, call=said["call"], at=said["sealed_at"], count=said["count"], root=said["root"])


def _head(document: dict[str, Any], said: dict[str, Any], jwks: dict[str, Any], seal: Any) -> Verdict:
    return _alone(document) or _valid(HEAD, at=said["at"], count=said["count"])


def _ticket(document: dict[str, Any], said: dict[str, Any], jwks: dict[str, Any], seal: Any) -> Verdict:
    return _alone(document) or _valid(REPORTED, reference=said["reference"], at=said["reported_local"])


def _alone(document: dict[str, Any]) -> Verdict | None:
    """Nothing may stand unsigned beside a statement that has no use for it."""
    extra = sorted(set(document) - {"statement", "jws"})
    return _invalid(DIFFERS, part=extra[0]) if extra else None


CHECKS = {
    statements.RECEIPT: _receipt,
    statements.REFUSAL: _refusal,
    statements.SEAL: _seal,
    statements.HEAD: _head,
    statements.TICKET: _ticket,
}
