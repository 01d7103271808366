"""The submitter's view on what is to be disclosed: asked by mail and in the portal, answered by section, or not at all."""

from datetime import time, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from app.domain import audit, calls, disclosures, mails
from app.domain.access import EDITORS, Actor
from app.domain.denials import HearingOver, NotHeard
from app.domain.disclosures import Item
from app.domain.errors import Forbidden, Invalid, NotFound, ReasonMissing
from app.domain.questionnaire import Questionnaire
from app.infra import times
from app.models import (
    Disclosure,
    DisclosureItem,
    Hearing,
    HearingAnswer,
    Membership,
    Person,
    Submission,
    Version,
)

REASON_LENGTH, MOST_DAYS = 4000, 90
Said = dict[str, tuple[bool, str]]  # by section: agrees, and the reasons


def ask(db: Session, actor: Actor, found: Item, days: int, base_url: str) -> Hearing:
    """Ask the submitter for their view on the last proposal, until the end of the last of some days; asked anew, the last time counts."""
    if found.proposal is None:
        raise NotHeard
    if not 1 <= days <= MOST_DAYS:
        raise Invalid
    case = found.item.submission
    last_day = calls.clock(db).astimezone(times.BRUSSELS).date() + timedelta(days=days)
    made = Hearing(
        item_id=found.item.id,
        proposal_id=found.proposal.id,
        asked_by=actor.person_id,
        until=times.from_brussels(last_day + timedelta(days=1), time(0)),
    )
    db.add(made)
    db.flush()
    request = found.item.disclosure
    addresses = _addresses(db, calls.questions_of(db, found.item.version.definition_digest), case, found.item.version)
    mails.view_asked(db, addresses, case, request.number, made.until, base_url)
    audit.record(db, actor, "disclosure.view_asked", case, disclosure=request.number, mails=len(addresses))
    return made


def _addresses(db: Session, questions: Questionnaire, case: Submission, version: Version) -> set[str]:
    """The address that the submitter gave for such requests, else the contact's; and those who may answer."""
    named = (questions.disclosure.contact, questions.uses.get("contact_email"))
    given = next((version.answers[name] for name in named if name and version.answers.get(name)), None)
    members = (
        select(Person.email)
        .join(Membership, Membership.person_id == Person.id)
        .where(
            Membership.organisation_id == case.organisation_id,
            Membership.ended_at.is_(None),
            Membership.role.in_(EDITORS),
        )
    )
    return {address.lower() for address in (*db.scalars(members), given) if address}


def of_submission(db: Session, case: Submission) -> list[Item]:
    """The requests in which the view of this submitter was asked, the newest first. Who asked them is not told."""
    wanted = (
        select(DisclosureItem)
        .join(Hearing, Hearing.item_id == DisclosureItem.id)
        .join(Disclosure, Disclosure.id == DisclosureItem.disclosure_id)
        .where(DisclosureItem.submission_id == case.id, DisclosureItem.left_out_at.is_(None))
        .options(joinedload(DisclosureItem.disclosure), joinedload(DisclosureItem.version))
        .order_by(Disclosure.number.desc())
    )
    return disclosures.states(db, list(db.scalars(wanted).unique()))


def one(db: Session, case: Submission, number: int) -> Item:
    """The request of this number, if the submitter's view was asked in it."""
    found = next((one for one in of_submission(db, case) if one.item.disclosure.number == number), None)
    if found is None:
        raise NotFound
    return found


def answer(db: Session, actor: Actor, case: Submission, found: Item, said: Said) -> None:
    """Keep what the submitter says of some sections; said anew, the last counts. HearingOver after the time given."""
    if not actor.may_edit(case):
        raise Forbidden
    hearing = found.hearing
    if hearing is None or found.is_over or found.state == "confirmed":
        raise HearingOver
    if not said or not set(said) <= set(hearing.proposal.sections):
        raise Invalid
    if any(not agrees and not reasons.strip() for agrees, reasons in said.values()):
        raise ReasonMissing
    for section, (agrees, reasons) in said.items():
        before = found.answers.get(section)
        kept = reasons.strip()[:REASON_LENGTH]
        if before is None or (before.agrees, before.reasons) != (agrees, kept):
            db.add(
                HearingAnswer(
                    hearing_id=hearing.id,
                    section=section,
                    agrees=agrees,
                    reasons=kept,
                    answered_by=actor.person_id,
                )
            )
    objections = sum(not agrees for agrees, _ in said.values())
    number = found.item.disclosure.number
    audit.record(db, actor, "disclosure.view_given", case, disclosure=number, rows=len(said), objections=objections)
