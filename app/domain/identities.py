"""Signing in by a provider: what is asked of it, used once; whom it knows; and which organisation with which level it shows."""

import hashlib
import hmac
import logging
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.domain import access, accounts, audit, identifiers, sign_ins, throttle
from app.domain.access import Actor
from app.domain.barriers import IdentityTaken, IdentityUnknown, ReplyInvalid
from app.domain.errors import Forbidden
from app.domain.sign_ins import Shown
from app.domain.tokens import hashed
from app.infra.oidc import Provider
from app.models import Identity, Membership, Organisation, Person, SignInRequest

log = logging.getLogger(__name__)

LIVES = timedelta(minutes=10)
TEXT = 300


@dataclass(frozen=True)
class Asked:
    """What is sent to a provider and must come back, or be shown to it, unchanged."""

    state: str
    nonce: str
    verifier: str
    next_path: str = ""
    person_id: uuid.UUID | None = None


@dataclass(frozen=True)
class Said:
    """What a provider says of somebody, in our words."""

    subject: str
    email: str
    name: str
    registration_no: str
    organisation: str
    country: str
    level: str | None
    role: str | None
    is_second_factor: bool


def ask(
    db: Session, actor: Actor, provider: Provider, browser: str, address: str, next_path: str, secret_key: str
) -> Asked:
    """Ask a provider who is at this browser. Whoever is signed in already has the answer tied to their account."""
    throttle.hit(db, f"provider:{address}", sign_ins.LINKS_PER_ADDRESS, timedelta(minutes=15))
    state = secrets.token_urlsafe(32)
    db.add(
        SignInRequest(
            provider=provider.name,
            state_hash=hashed(state),
            browser_hash=hashed(browser),
            next_path=next_path,
            person_id=actor.person_id if actor.kind == "person" and not actor.owes_factor else None,
            expires_at=func.clock_timestamp() + LIVES,
        )
    )
    return Asked(state, _derived("nonce", state, secret_key), _derived("verifier", state, secret_key))


def _derived(what: str, state: str, secret_key: str) -> str:
    """Of the portal's own secret, so that the database holds neither."""
    return hmac.new(secret_key.encode(), f"{what}:{state}".encode(), hashlib.sha256).hexdigest()


def take(db: Session, provider: Provider, state: str, browser: str, secret_key: str) -> Asked:
    """What was asked, from whoever comes back in the same browser; once. ReplyInvalid, with nothing said why."""
    asked = db.scalar(
        update(SignInRequest)
        .where(
            SignInRequest.state_hash == hashed(state),
            SignInRequest.browser_hash == hashed(browser),
            SignInRequest.provider == provider.name,
            SignInRequest.used_at.is_(None),
            SignInRequest.expires_at > func.clock_timestamp(),
        )
        .values(used_at=func.clock_timestamp())
        .returning(SignInRequest)
    )
    if asked is None:
        raise ReplyInvalid
    nonce, verifier = (_derived(what, state, secret_key) for what in ("nonce", "verifier"))
    return Asked(state, nonce, verifier, asked.next_path, asked.person_id)


def enter(
    db: Session,
    provider: Provider,
    claims: Mapping[str, Any],
    asked: Asked,
    browser: str,
    agent: str,
    language: str,
    base_url: str,
) -> str:
    """A session for whom the provider names: its secret.

    IdentityUnknown for somebody new whose address the provider does not vouch for: they sign in by link first and
    connect the two. Forbidden for staff without a role there.
    """
    said = read(provider, claims)
    person = _person(db, provider, said, asked, language)
    actor = Actor(kind="person", person_id=person.id)
    if provider.is_for_staff:
        _appoint(db, actor, person, said.role)
    organisation = None if provider.is_for_staff else _represented(db, actor, person, provider, said)
    title = provider.title["en"]
    shown = Shown(
        provider=provider.name,
        assurance=f"{title} ({said.level})" if said.level else title,
        level=said.level if organisation else None,
        represents=organisation.id if organisation else None,
        is_second_factor=provider.is_for_staff and said.is_second_factor,
    )
    return sign_ins.open_session(db, person, browser, agent, base_url, shown)


def read(provider: Provider, claims: Mapping[str, Any]) -> Said:
    """The claims in our words. What is no text, or too long, was not said."""

    def told(name: str) -> str:
        value = claims.get(provider.claims.get(name, name), "")
        return value.strip().replace("\x00", "") if isinstance(value, str) and len(value) <= TEXT else ""

    groups, methods = claims.get(provider.claims.get("roles", "groups")), claims.get("amr")
    given = [provider.roles[g] for g in groups if g in provider.roles] if isinstance(groups, list) else []
    email = told("email") if provider.trusts_email and claims.get("email_verified") is True else ""
    return Said(
        subject=str(claims["sub"])[:TEXT],
        email=email if accounts.is_email(email) else "",
        name=told("name"),
        registration_no=told("registration_no"),
        organisation=told("organisation"),
        country=told("country") or "NL",
        level=provider.levels.get(told("level")),
        role=max(given, key=lambda role: access.STAFF_RANK[role], default=None),
        is_second_factor=isinstance(methods, list) and any(method in provider.second_factor for method in methods),
    )


def _person(db: Session, provider: Provider, said: Said, asked: Asked, language: str) -> Person:
    mine = select(Identity).where(Identity.provider == provider.name, Identity.subject == said.subject)
    identity = db.scalar(mine.with_for_update())
    if identity is not None:
        if asked.person_id not in (None, identity.person_id):
            raise IdentityTaken
        identity.last_used_at = func.clock_timestamp()
        return db.get_one(Person, identity.person_id)
    if asked.person_id:
        person = db.get_one(Person, asked.person_id)
    elif said.email:
        person = accounts.person_named(db, said.email, language, said.name)
        person.email_verified_at = person.email_verified_at or func.clock_timestamp()
    else:
        raise IdentityUnknown
    made = Identity(provider=provider.name, subject=said.subject, person_id=person.id)
    made.last_used_at = func.clock_timestamp()
    db.add(made)
    audit.record(db, Actor(kind="person", person_id=person.id), "person.identity_connected", source=provider.name)
    return person


def _appoint(db: Session, actor: Actor, person: Person, role: str | None) -> None:
    """The role that the provider of staff gives now; without one nobody of staff comes in by it."""
    if role != person.staff_role:
        person.staff_role = role
        verb = "person.staff_role_given" if role else "person.staff_role_ended"
        if verb == "person.staff_role_given":
            audit.record(db, actor, "person.staff_role_given", person=str(person.id), role=role)
        else:
            audit.record(db, actor, "person.staff_role_ended", person=str(person.id))
    if role is None:
        raise Forbidden


def _represented(db: Session, actor: Actor, person: Person, provider: Provider, said: Said) -> Organisation | None:
    """The organisation that the provider says the person acts for; made, or marked as verified, if need be."""
    number = said.registration_no
    if not number or said.country not in identifiers.country_names("en"):
        return None
    if said.country == "NL" and not identifiers.is_kvk(number):
        log.warning("%s gave a KvK number that is none", provider.name)
        return None
    same = (Organisation.country == said.country, Organisation.registration_no == number)
    organisation = db.scalar(select(Organisation).where(*same, Organisation.verified_at.is_not(None)))
    if organisation is None:
        owned = select(Membership.organisation_id).where(
            Membership.person_id == person.id, Membership.role == "owner", Membership.ended_at.is_(None)
        )
        organisation = db.scalar(select(Organisation).where(*same, Organisation.id.in_(owned)))
        if organisation is None:
            name = said.organisation or f"{said.country} {number}"
            organisation = Organisation(name=name, country=said.country, registration_no=number)
            db.add(organisation)
            db.flush()
        audit.record(db, actor, "organisation.verified", organisation=str(organisation.id), source=provider.name)
    organisation.verified_by, organisation.verified_level = provider.title["en"], said.level
    organisation.verified_at = func.clock_timestamp()
    db.flush()
    _join(db, actor, person, organisation)
    return organisation


def _join(db: Session, actor: Actor, person: Person, organisation: Organisation) -> None:
    live = select(Membership).where(Membership.organisation_id == organisation.id, Membership.ended_at.is_(None))
    members = list(db.scalars(live.with_for_update()))
    if any(member.person_id == person.id for member in members):
        return
    role = "editor" if any(member.role == "owner" for member in members) else "owner"
    db.add(Membership(organisation_id=organisation.id, person_id=person.id, role=role))
    audit.record(db, actor, "organisation.joined", organisation=str(organisation.id), role=role)
