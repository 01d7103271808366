"""Receipts: what was received and when."""

from typing import Any

from app.domain import statements
from app.infra import times
from app.models import Exemption, Organisation, Submission, Version

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
EXCEPTIONAL_RULE = {
    "en": "Received means: the complete request to submit was accepted by the portal's database, by its clock, after the "
    "call was sealed and before the instant until which this one submitter was let in.",
    "nl": "Ontvangen betekent: het volledige verzoek tot indienen is door de database van het portaal aanvaard, volgens "
    "haar klok, nadat de oproep was verzegeld en vóór het tijdstip tot waarop deze ene indiener is toegelaten.",
}
EXCEPTIONAL = {
    "en": "The call had closed, and two coordinators let this one submitter in. What was received so is exceptional: it "
    "is outside the sealed set, whose count and root have not changed.",
    "nl": "De oproep was gesloten, en twee coördinatoren hebben deze ene indiener toegelaten. Wat zo is ontvangen, is een "
    "uitzondering: het staat buiten de verzegelde verzameling, waarvan aantal en wortel niet zijn veranderd.",
}


def body(
    submission: Submission,
    version: Version,
    name: str,
    email: str,
    title: dict[str, str],
    issuer: str,
    exemption: Exemption | None = None,
    assurance: str = "e-mail link",
    intermediary: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The statements of a receipt; times are RFC 3339 in UTC, the local text names its zone.

    A version that an exemption let in says so by three more members: `exemption`, `exempt_until`, `exemption_note`; one
    that somebody submitted for another organisation, by `intermediary`.
    """
    return {
        "format": statements.RECEIPT,
        "issuer": issuer,
        "call": submission.call.code,
        "call_title": title,
        "definition": version.definition_digest,
        "reference": submission.reference,
        "version": version.number,
        "kind": version.kind,
        "title": version.title,
        "organisation": _organisation(submission.organisation),
        "submitter": {"name": name, "email": email, "login_assurance": assurance},
        **({"intermediary": intermediary} if intermediary else {}),
        "received_at": times.iso(version.received_at),
        "received_local": times.brussels(version.received_at, "en", seconds=True),
        "opens_at": times.iso(submission.call.opens_at),
        "closes_at": times.iso(submission.call.closes_at),
        "zone": submission.call.zone,
        "payload_sha256": version.payload_sha256,
        "files": [{name: f[name] for name in ("question", "name", "size", "sha256")} for f in version.files],
        "statement": NON_BINDING,
        **(_exceptional(exemption) if exemption else {"rule": RULE}),
    }


def _organisation(organisation: Organisation) -> dict[str, Any]:
    return {
        "name": organisation.name,
        "country": organisation.country,
        "registration_no": organisation.registration_no,
        "state_code": organisation.state_code,
    }


def _exceptional(exemption: Exemption) -> dict[str, Any]:
    return {
        "rule": EXCEPTIONAL_RULE,
        "exemption": True,
        "exempt_until": times.iso(exemption.until),
        "exemption_note": EXCEPTIONAL,
    }
