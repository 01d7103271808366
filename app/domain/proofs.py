"""Checking what the portal handed out, offline: receipt, refusal, seal, head, ticket or export; each fault has its sentence."""

import hashlib
import json
from typing import Any

from app.domain import merkle, statements
from app.domain.statements import DIFFERS, NOT_OURS, Verdict
from app.infra.i18n import N_, Message

MANIFEST = "eoi-manifest/1"
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
DESTROYED = N_(
    "Valid: at %(at)s %(count)s of the class “%(sort)s” of call %(call)s were destroyed, as %(first)s proposed and "
    "%(second)s confirmed."
)
DISCLOSED = N_(
    "Valid: for request %(number)s a set of %(count)s dossiers was produced at %(at)s, with the SHA-256 %(sha256)s."
)
NOT_JSON = N_("Invalid: this is not JSON as the portal writes it.")
NO_PATH = N_("Invalid: the proof does not lead from this submission to the root of the seal.")
OTHER_SEAL = N_(
    "Invalid: the seal that the proof leads to is not the seal given. The portal has signed both: keep both files."
)
OTHER_CASE = N_("Invalid: the proof is of another submission.")
NO_SEAL = N_("Invalid: what was given as the seal is none.")
NO_PROOF = N_("This receipt holds no proof that it is in the sealed set. Download it again after the seal.")
NO_KEYS = N_("This cannot be decided: the keys are not JSON as the portal writes it.")
WHOLE = N_(
    "Whole: %(count)s submissions of call %(call)s, as exported at %(at)s. An export is not signed: this shows that the "
    "file arrived whole, not who made it."
)
NOT_WHOLE = N_("Invalid: the file is not the export that its last line tells of. It was changed or cut off.")
STATES = {"standing": N_("standing"), "withdrawn": N_("withdrawn")}


def judge(given: bytes, keys: bytes, seal: bytes | None = None) -> Verdict:
    """Check a file against a file of public keys, and against the published seal where that is given too."""
    try:
        jwks = parse(keys)
    except ValueError:
        return Verdict("unknown", Message(NO_KEYS))
    try:
        document = parse(given)
    except ValueError:
        return _invalid(NOT_JSON)
    if seal is None:
        return verify(document, jwks)
    try:
        return verify(document, jwks, parse(seal))
    except ValueError:
        return _invalid(NO_SEAL)


def parse(given: bytes) -> Any:
    """The JSON in a file; ValueError when it is none, names a member twice, or holds a number that is not whole."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a member is given twice")
        return found

    def never(number: str) -> Any:
        raise ValueError(f"{number} is not a whole number")

    try:
        return json.loads(given.decode(), object_pairs_hook=once, parse_float=never, parse_constant=never)
    except RecursionError as failure:
        raise ValueError("nested too deeply") from failure


def is_export(given: bytes) -> bool:
    """Whether a file is an export in lines, by its last one."""
    try:
        return bool(json.loads(given.rstrip(b"\n").rpartition(b"\n")[2])["format"] == MANIFEST)
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


def verify_export(given: bytes) -> Verdict:
    """Check an export in lines (NDJSON) against the manifest in its last line: count and digest."""
    before, newline, last = given.rstrip(b"\n").rpartition(b"\n")
    said, lines = json.loads(last), before + newline
    if (hashlib.sha256(lines).hexdigest(), lines.count(b"\n")) != (said.get("sha256"), said.get("count")):
        return _invalid(NOT_WHOLE)
    return _valid(WHOLE, count=said["count"], call=said.get("call"), at=said.get("generated_at"))


def verify(document: Any, jwks: Any, seal: Any = None) -> Verdict:
    """Check a signed document against public keys; a receipt's proof also against `seal`, the published one, if given."""
    if (problem := statements.check(document, jwks)) is not None:
        return problem
    statement = document["statement"]
    try:
        return CHECKS[statement["format"]](document, statement, jwks, seal)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return Verdict("invalid", Message(NOT_OURS, {"part": "statement"}))


def _valid(msgid: str, **params: Any) -> Verdict:
    return Verdict("valid", Message(msgid, params))


def _invalid(msgid: str, **params: Any) -> Verdict:
    return Verdict("invalid", Message(msgid, params))


def _receipt(document: dict[str, Any], said: dict[str, Any], jwks: Any, seal: Any) -> Verdict:
    values = {"version": said["version"], "reference": said["reference"], "at": said["received_local"]}
    proof: Any = document.get("proof")
    if "leaves" in document:
        return _invalid(DIFFERS, part="leaves")
    if said.get("exemption"):
        return _alone(document) or _valid(EXCEPTIONAL, **values)
    if "proof" not in document:
        return Verdict("unknown", Message(NO_PROOF)) if seal is not None else _valid(RECEIVED, **values)
    problem = _wrong_proof(proof, said) or _wrong_seal(proof, jwks, seal)
    if problem is not None:
        return problem
    leaf = proof["leaf"]
    values |= {"size": proof["size"], "state": Message(STATES[leaf["state"]])}
    if leaf["version"] != said["version"]:
        return _valid(REPLACED, counts=leaf["version"], **values)
    return _valid(INCLUDED, **values)


def _wrong_proof(proof: Any, said: dict[str, Any]) -> Verdict | None:
    """What does not fit between a proof and the receipt that it came with."""
    if set(proof) != {"call", "leaf", "index", "size", "path", "root", "seal"}:
        return _invalid(DIFFERS, part="proof")
    leaf = proof["leaf"]
    if (proof["call"], leaf["reference"]) != (said["call"], said["reference"]) or leaf["version"] < said["version"]:
        return _invalid(OTHER_CASE)
    if leaf["version"] == said["version"] and leaf["payload_sha256"] != said["payload_sha256"]:
        return _invalid(OTHER_CASE)
    reached = merkle.root_from(merkle.leaf(statements.canonical(leaf)), proof["index"], proof["size"], proof["path"])
    return _invalid(NO_PATH) if reached != proof["root"] else None


def _wrong_seal(proof: dict[str, Any], jwks: Any, seal: Any) -> Verdict | None:
    """What does not fit between a proof and the seal in it, or between that and the published one."""
    for given in (proof["seal"],) if seal is None else (proof["seal"], seal):
        if (problem := statements.check(given, jwks)) is not None:
            return problem
        if given["statement"]["format"] != statements.SEAL:
            return _invalid(NO_SEAL)
        if (outcome := _seal(given, given["statement"], jwks, None)).outcome != "valid":
            return outcome
    closed = proof["seal"]["statement"]
    if (closed["call"], closed["root"], closed["size"]) != (proof["call"], proof["root"], proof["size"]):
        return _invalid(NO_PATH)
    return _invalid(OTHER_SEAL) if seal is not None and seal["statement"] != closed else None


def _refusal(document: dict[str, Any], said: dict[str, Any], jwks: Any, seal: Any) -> Verdict:
    return _alone(document) or _valid(REFUSED, reference=said["reference"], at=said["refused_local"], code=said["code"])


def _seal(document: dict[str, Any], said: dict[str, Any], jwks: Any, seal: Any) -> Verdict:
    if "proof" in document:
        return _invalid(DIFFERS, part="proof")
    leaves: Any = document.get("leaves")
    if "leaves" in document and (
        leaves != sorted(leaves) or len(leaves) != said["size"] or merkle.root(leaves) != said["root"]
    ):
        return _invalid(DIFFERS, part="leaves")
    return _valid(SEALED, call=said["call"], at=said["sealed_at"], count=said["count"], root=said["root"])


def _head(document: dict[str, Any], said: dict[str, Any], jwks: Any, seal: Any) -> Verdict:
    return _alone(document) or _valid(HEAD, at=said["at"], count=said["count"])


def _ticket(document: dict[str, Any], said: dict[str, Any], jwks: Any, seal: Any) -> Verdict:
    return _alone(document) or _valid(REPORTED, reference=said["reference"], at=said["reported_local"])


def _destruction(document: dict[str, Any], said: dict[str, Any], jwks: Any, seal: Any) -> Verdict:
    people = {"first": said["proposed_by"], "second": said["confirmed_by"]}
    values = {
        "at": said["confirmed_at"],
        "count": said["destroyed"]["count"],
        "sort": said["sort"],
        "call": said["call"],
    }
    return _alone(document) or _valid(DESTROYED, **values, **people)


def _disclosure(document: dict[str, Any], said: dict[str, Any], jwks: Any, seal: Any) -> Verdict:
    values = {"number": said["number"], "at": said["at"], "sha256": said["sha256"]}
    return _alone(document) or _valid(DISCLOSED, count=len(said["dossiers"]), **values)


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
    statements.DESTRUCTION: _destruction,
    statements.DISCLOSURE: _disclosure,
}
