"""Mandates: what a partner signs, so that the lead may file in its name; and which organisations of a case have one.

A mandate names its organisation's own answers by their digest. When these change it is outdated, until signed again.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import accounts, audit, calls, participations, statements
from app.domain.access import Actor
from app.domain.admissions import PartChanged
from app.domain.errors import Invalid, NotFound
from app.infra.i18n import N_, Message, translate
from app.models import Mandate, Participation, Submission

NAME_LENGTH = 200
STATEMENT = N_(
    "I am authorised to act for %(organisation)s. %(lead)s may file the submission %(reference)s in its name in the call "
    "“%(call)s”, change it and withdraw it. What is said of %(organisation)s in it is right; I have read it."
)
MISSING = N_("%(organisation)s has no mandate that is signed and up to date.")
NO_NAME = N_("Type your name.")
NO_CAPACITY = N_("Say in which function you sign, such as director.")
NOT_AGREED = N_("Tick that you agree with the statement, or do not sign.")

State = Literal["lead", "signed", "outdated", "waiting", "invited", "nobody"]


@dataclass(frozen=True)
class Standing:
    """An organisation of a case: its place and name, its partner if one was invited, what was signed last, and where it stands."""

    place: int
    name: str
    partner: Participation | None
    mandate: Mandate | None
    state: State


def digest(item: dict[str, Any]) -> str:
    """SHA-256 (hex) of an organisation's own answers, in canonical JSON."""
    return hashlib.sha256(statements.canonical(item)).hexdigest()


def items(case: Submission, answers: dict[str, Any]) -> list[dict[str, Any]]:
    """The organisations in a draft or version; none where the call lists none."""
    listed = participations.list_of(calls.questions(case.call), case.kind)
    return list(answers.get(listed) or []) if listed else []


def statement(case: Submission, organisation: str, language: str) -> str:
    """What is signed."""
    title = calls.questions(case.call).title
    return translate(
        language,
        STATEMENT,
        organisation=organisation,
        lead=case.organisation.name,
        reference=case.reference,
        call=title.get(language) or title["en"],
    )


def lacks(name: str, capacity: str, is_agreed: bool) -> dict[str, Message]:
    """What a signature lacks, by field."""
    said = {"signatory": (name, NO_NAME), "capacity": (capacity, NO_CAPACITY), "agreed": (is_agreed, NOT_AGREED)}
    return {field: Message(words) for field, (given, words) in said.items() if not given}


def sign(
    db: Session,
    actor: Actor,
    part: Participation,
    item: dict[str, Any],
    seen: str,
    name: str,
    capacity: str,
    language: str,
) -> Mandate:
    """Sign for the organisation of a partner's part, as it stands in `item`; PartChanged when that is not what was `seen`."""
    if part.person_id != actor.person_id:
        raise NotFound
    if lacks(name.strip(), capacity.strip(), is_agreed=True):
        raise Invalid
    if digest(item) != seen:
        raise PartChanged
    case = part.submission
    entities = calls.questions(case.call).parts.entities
    organisation = str(item.get(entities.name) or part.organisation) if entities else part.organisation
    made = Mandate(
        participation_id=part.id,
        submission_id=case.id,
        signed_by=accounts.require_id(actor),
        signatory=name.strip()[:NAME_LENGTH],
        capacity=capacity.strip()[:NAME_LENGTH],
        organisation=organisation,
        statement=statement(case, organisation, language),
        language=language,
        answers_sha256=seen,
    )
    db.add(made)
    db.flush()
    audit.record(db, actor, "mandate.signed", case, organisation=organisation, sha256=seen)
    return made


def last(db: Session, part: Participation) -> Mandate | None:
    """What was signed last in a part."""
    signed = select(Mandate).where(Mandate.participation_id == part.id)
    return db.scalars(signed.order_by(Mandate.signed_at.desc()).limit(1)).one_or_none()


def of_case(db: Session, case: Submission, answers: dict[str, Any]) -> list[Standing]:
    """Where each organisation in a draft or version stands, in order. A part that was ended counts for nothing."""
    found = items(case, answers)
    entities = calls.questions(case.call).parts.entities
    if not found or entities is None:
        return []
    asked = {one.place: one for one in participations.partners(db, case) if one.place is not None}
    signed: dict[Any, Mandate] = {
        one.participation_id: one
        for one in db.scalars(select(Mandate).where(Mandate.submission_id == case.id).order_by(Mandate.signed_at))
    }
    lead = next((n for n, item in enumerate(found) if entities.role and item.get(entities.role) == entities.lead), 0)
    made = []
    for place, item in enumerate(found):
        partner = asked.get(place)
        mandate = signed.get(partner.id) if partner else None
        state = "lead" if place == lead and partner is None else _state(partner, mandate, item)
        made.append(Standing(place, str(item.get(entities.name) or ""), partner, mandate, state))
    return made


def _state(partner: Participation | None, mandate: Mandate | None, item: dict[str, Any]) -> State:
    if mandate is not None:
        return "signed" if mandate.answers_sha256 == digest(item) else "outdated"
    if partner is None:
        return "nobody"
    return "invited" if partner.accepted_at is None else "waiting"


@dataclass(frozen=True)
class Signed:
    """An organisation of a version with the mandate for exactly these answers, or else its last one for others, if any."""

    name: str
    mandate: Mandate | None
    is_exact: bool


def of_version(db: Session, case: Submission, answers: dict[str, Any]) -> list[Signed]:
    """What was signed of each organisation in a version, in order, whether or not that part was ended since."""
    entities = calls.questions(case.call).parts.entities
    signed = list(db.scalars(select(Mandate).where(Mandate.submission_id == case.id).order_by(Mandate.signed_at)))
    exact = {one.answers_sha256: one for one in signed}
    named = {one.organisation: one for one in signed}
    made = []
    for item in items(case, answers):
        name = str(item.get(entities.name) or "") if entities else ""
        mandate = exact.get(digest(item))
        made.append(Signed(name, mandate or named.get(name), is_exact=mandate is not None))
    return made


def missing(db: Session, case: Submission, answers: dict[str, Any]) -> list[Standing]:
    """The organisations without a mandate that holds, where the call asks for them all; the lead itself needs none."""
    if calls.questions_of(db, case.call.definition_digest).mandates != "required":
        return []
    return [one for one in of_case(db, case, answers) if one.state not in ("lead", "signed")]
