"""Who people are: persons, their organisations and colleagues, the accounts of member states, and staff."""

import re
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, joinedload

from app.domain import audit, glossary, outbox, throttle
from app.domain.access import SYSTEM, Actor, Belonging, Seat
from app.domain.errors import Forbidden, NotFound
from app.infra.i18n import N_, Message, translate
from app.models import Membership, Organisation, Participation, Person, SignIn

EMAIL = re.compile(r"[^@\s<>,;:\"()\[\]\\]{1,64}@[^@\s<>,;:\"()\[\]\\]+\.[^@\s<>,;:\"()\[\]\\]{2,63}")

INVITED_SUBJECT = N_("You are invited to %(organisation)s on the expression of interest portal")
INVITED_TEXT = N_(
    "Hello,\n\n%(inviter)s gave you access as %(role)s to %(organisation)s. Sign in with this e-mail address:\n\n"
    "%(link)s\n"
)


def is_email(text: str) -> bool:
    """Whether `text` has the shape of an address that mail can be sent to."""
    return len(text) <= 254 and EMAIL.fullmatch(text) is not None and text.isascii()


def find_person(db: Session, email: str) -> Person | None:
    """The person with this e-mail address, in any letter case."""
    return db.scalar(select(Person).where(func.lower(Person.email) == email.lower()))


def person_named(db: Session, email: str, language: str = "en", name: str = "") -> Person:
    """The person with this e-mail address, made if need be."""
    if (person := find_person(db, email)) is not None:
        return person
    made = insert(Person).values(email=email, language=language, name=name).on_conflict_do_nothing()
    db.execute(made)  # whoever is making the same one is waited for
    if (person := find_person(db, email)) is None:
        raise NotFound
    return person


def require_id(actor: Actor) -> uuid.UUID:
    """The id of the person who acts; NotFound for a machine."""
    if actor.person_id is None:
        raise NotFound
    return actor.person_id


def actor_for(db: Session, person: Person) -> Actor:
    """The person as an actor, with live memberships."""
    return Actor(
        kind="person",
        person_id=person.id,
        email=person.email,
        name=person.name,
        language=person.language,
        staff_role=person.staff_role,
        memberships=belongings(db, person.id),
        seats=_seats(db, person.id),
    )


def belongings(db: Session, person_id: uuid.UUID) -> tuple[Belonging, ...]:
    """The live memberships of a person, by name of organisation."""
    rows = db.execute(
        select(Organisation.id, Organisation.name, Membership.role, Organisation.country, Organisation.state_code)
        .join(Membership, Membership.organisation_id == Organisation.id)
        .where(Membership.person_id == person_id, Membership.ended_at.is_(None))
        .order_by(Organisation.name, Organisation.id)
    )
    return tuple(Belonging(*row) for row in rows)


def _seats(db: Session, person_id: uuid.UUID) -> tuple[Seat, ...]:
    """The live parts of a person in single submissions."""
    rows = db.execute(
        select(Participation.submission_id, Participation.role, Participation.organisation)
        .where(
            Participation.person_id == person_id,
            Participation.accepted_at.is_not(None),
            Participation.ended_at.is_(None),
        )
        .order_by(Participation.submission_id)
    )
    return tuple(Seat(*row) for row in rows)


def set_profile(db: Session, actor: Actor, name: str, language: str) -> None:
    """Change the actor's own name and language."""
    db.execute(update(Person).where(Person.id == actor.person_id).values(name=name, language=language))
    audit.record(db, actor, "person.profile_changed")


def describe_organisation(
    db: Session,
    actor: Actor,
    name: str,
    country: str,
    registration_no: str | None,
    organisation_id: uuid.UUID | None = None,
) -> Organisation:
    """Make an organisation with the actor as its owner, or change one of which the actor is an owner."""
    if organisation_id is None:
        organisation = Organisation(name=name, country=country, registration_no=registration_no)
        db.add(organisation)
        db.flush()
        db.add(Membership(organisation_id=organisation.id, person_id=actor.person_id, role="owner"))
        audit.record(db, actor, "organisation.described", organisation=str(organisation.id))
        return organisation
    organisation = owned(db, actor, organisation_id)
    organisation.name = name
    if organisation.verified_at is not None:  # the number and country that a provider vouched for stay
        audit.record(db, actor, "organisation.changed", organisation=str(organisation.id))
        return organisation
    organisation.registration_no = registration_no
    if organisation.state_code is None:
        organisation.country = country
    audit.record(db, actor, "organisation.changed", organisation=str(organisation.id))
    return organisation


def owned(db: Session, actor: Actor, organisation_id: uuid.UUID) -> Organisation:
    """The organisation, if the actor is an owner of it; NotFound for others, Forbidden for its editors and viewers."""
    roles = [m.role for m in actor.memberships if m.organisation_id == organisation_id]
    if not roles:
        raise NotFound
    if "owner" not in roles:
        raise Forbidden
    return db.get_one(Organisation, organisation_id)


def organisation(db: Session, organisation_id: uuid.UUID) -> Organisation:
    """The organisation with this id."""
    return db.get_one(Organisation, organisation_id)


def colleagues(db: Session, actor: Actor, organisation_id: uuid.UUID) -> list[Membership]:
    """The live members of one of the actor's organisations."""
    if all(m.organisation_id != organisation_id for m in actor.memberships):
        raise NotFound
    return members(db, organisation_id)


def members(db: Session, organisation_id: uuid.UUID) -> list[Membership]:
    """The live members of an organisation, the first one first."""
    return list(
        db.scalars(
            select(Membership)
            .where(Membership.organisation_id == organisation_id, Membership.ended_at.is_(None))
            .options(joinedload(Membership.person))
            .order_by(Membership.created_at)
        )
    )


def invite_colleague(
    db: Session, actor: Actor, organisation_id: uuid.UUID, email: str, role: str, base_url: str
) -> None:
    """Give a person a role in one of the actor's own organisations and tell them by mail; a live role is changed."""
    organisation = owned(db, actor, organisation_id)
    throttle.hit(db, f"invite:{actor.person_id}", 30, timedelta(hours=1))
    person = person_named(db, email, actor.language)
    live = colleagues(db, actor, organisation_id)
    if role != "owner" and (present := next((m for m in live if m.person_id == person.id), None)):
        _refuse_last_owner(present, live)
    _join(db, organisation, person, role)
    _tell_invited(db, person, organisation.name, role, actor.name or actor.email, base_url)
    audit.record(
        db, actor, "organisation.colleague_invited", organisation=str(organisation_id), person=str(person.id), role=role
    )


def _join(db: Session, organisation: Organisation, person: Person, role: str) -> None:
    locked = select(Organisation.id).where(Organisation.id == organisation.id).with_for_update(key_share=True)
    db.execute(locked)  # one at a time
    db.execute(
        update(Membership)
        .where(
            Membership.organisation_id == organisation.id,
            Membership.person_id == person.id,
            Membership.ended_at.is_(None),
        )
        .values(ended_at=func.clock_timestamp())
    )
    db.add(Membership(organisation_id=organisation.id, person_id=person.id, role=role))
    db.flush()


def _tell_invited(db: Session, person: Person, organisation: str, role: str, inviter: str, base_url: str) -> None:
    values = {"organisation": organisation, "role": glossary.words("role", role, person.language), "inviter": inviter}
    outbox.enqueue(
        db,
        "invitation",
        person.email,
        translate(person.language, INVITED_SUBJECT, **values),
        translate(person.language, INVITED_TEXT, link=f"{base_url}/account/sign-in", **values),
    )


def end_membership(db: Session, actor: Actor, organisation_id: uuid.UUID, membership_id: uuid.UUID) -> None:
    """End a colleague's role. The last owner stays: Forbidden, with the reason."""
    owned(db, actor, organisation_id)
    live = {m.id: m for m in colleagues(db, actor, organisation_id)}
    member = live.get(membership_id)
    if member is None:
        raise NotFound
    _refuse_last_owner(member, live.values())
    member.ended_at = func.clock_timestamp()
    audit.record(
        db, actor, "organisation.colleague_removed", organisation=str(organisation_id), person=str(member.person_id)
    )


def _refuse_last_owner(leaving: Membership, live: Iterable[Membership]) -> None:
    if leaving.role == "owner" and sum(m.role == "owner" for m in live) == 1:
        raise Forbidden(Message(N_("An organisation keeps at least one owner. Make a colleague owner first."), {}))


def invite_state(db: Session, actor: Actor, state_code: str, authority: str, email: str, base_url: str) -> Organisation:
    """Open the account of a member state, or invite one more person to it."""
    organisation = db.scalar(select(Organisation).where(Organisation.state_code == state_code))
    if organisation is None:
        organisation = Organisation(name=authority, country=state_code, state_code=state_code)
        db.add(organisation)
        db.flush()
    person = person_named(db, email, actor.language)
    _join(db, organisation, person, "owner")
    _tell_invited(db, person, organisation.name, "owner", "RVO", base_url)
    audit.record(db, actor, "organisation.state_invited", state=state_code, person=str(person.id))
    return organisation


def invite_staff(db: Session, email: str, role: str, actor: Actor = SYSTEM, name: str = "") -> Person:
    """Give a person a staff role (reviewer, coordinator, admin)."""
    person = person_named(db, email, "nl", name)
    person.staff_role = role
    audit.record(db, actor, "person.staff_role_given", person=str(person.id), role=role)
    db.flush()
    return person


def end_staff_role(db: Session, actor: Actor, person_id: uuid.UUID) -> None:
    """Take a staff role away and end the person's sessions. Nobody takes away their own."""
    person = db.get(Person, person_id)
    if person is None or person.staff_role is None:
        raise NotFound
    if person.id == actor.person_id:
        raise Forbidden(Message(N_("You cannot take away your own role. Ask another administrator."), {}))
    person.staff_role = None
    db.execute(
        update(SignIn)
        .where(SignIn.person_id == person_id, SignIn.ended_at.is_(None))
        .values(ended_at=func.clock_timestamp())
    )
    audit.record(db, actor, "person.staff_role_ended", person=str(person_id))


@dataclass(frozen=True)
class Known:
    """What is known of an address: the language to write in, and whether somebody signed in by a link sent there."""

    language: str = "en"
    is_verified: bool = False


def known(db: Session, *emails: str) -> dict[str, Known]:
    """What is known of each address, as given, in any letter case."""
    lowered = func.lower(Person.email)
    rows = db.execute(
        select(lowered, Person.language, Person.email_verified_at.is_not(None)).where(
            lowered.in_([email.lower() for email in emails])
        )
    )
    found = {address: Known(language, is_verified) for address, language, is_verified in rows}
    return {email: found.get(email.lower(), Known()) for email in emails}
