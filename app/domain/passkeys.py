"""Passkeys as second factor (WebAuthn): what a browser is asked to sign, and what it answers; each challenge is used once."""

import ipaddress
import json
import uuid
from typing import Any
from urllib.parse import urlsplit

import webauthn
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import PublicKeyCredentialDescriptor

from app.domain import accounts, audit, factors, sign_ins
from app.domain.access import Actor
from app.models import Factor, SignIn

UNREADABLE = (WebAuthnException, ValueError, KeyError, TypeError, AttributeError)


def are_possible(base_url: str) -> bool:
    """Whether browsers make passkeys for this address: it needs a name, not a number."""
    try:
        ipaddress.ip_address(_host(base_url))
    except ValueError:
        return True
    return False


def _host(base_url: str) -> str:
    return urlsplit(base_url).hostname or ""


def asked_to_make(db: Session, actor: Actor, base_url: str) -> dict[str, Any]:
    """What a browser is asked in order to make a passkey that is not there yet."""
    person_id = factors.require_change(db, actor)
    options = webauthn.generate_registration_options(
        rp_id=_host(base_url),
        rp_name=factors.ISSUER,
        user_id=person_id.bytes,
        user_name=actor.email,
        user_display_name=actor.name or actor.email,
        exclude_credentials=_known(db, person_id),
    )
    return _asked(db, actor, options, options.challenge)


def asked_to_give(db: Session, actor: Actor, base_url: str) -> dict[str, Any]:
    """What a browser is asked in order to use one of the person's passkeys."""
    known = _known(db, accounts.require_id(actor))
    options = webauthn.generate_authentication_options(rp_id=_host(base_url), allow_credentials=known)
    return _asked(db, actor, options, options.challenge)


def _known(db: Session, person_id: uuid.UUID) -> list[PublicKeyCredentialDescriptor]:
    mine = (factor.credential_id for factor in factors.listed(db, person_id))
    return [PublicKeyCredentialDescriptor(id=base64url_to_bytes(one)) for one in mine if one]


def _asked(db: Session, actor: Actor, options: Any, challenge: bytes) -> dict[str, Any]:
    db.get_one(SignIn, actor.sign_in_id).challenge = bytes_to_base64url(challenge)
    asked: dict[str, Any] = json.loads(webauthn.options_to_json(options))
    return asked


def _challenge(db: Session, actor: Actor) -> bytes:
    """What was asked last in this session; it is used up."""
    session = db.scalars(select(SignIn).where(SignIn.id == actor.sign_in_id).with_for_update()).one()
    asked, session.challenge = session.challenge, None
    db.flush()
    return base64url_to_bytes(asked or "")


def keep(db: Session, actor: Actor, name: str, answer: str, base_url: str) -> str | None:
    """Take a new passkey into use: the session's new secret, or None where the answer is not to what was asked."""
    person_id = factors.require_change(db, actor)
    challenge = _challenge(db, actor)
    try:
        made = webauthn.verify_registration_response(
            credential=answer, expected_challenge=challenge, expected_rp_id=_host(base_url), expected_origin=base_url
        )
    except UNREADABLE:
        return None
    if not challenge or _held(db, bytes_to_base64url(made.credential_id)):
        return None
    db.add(
        Factor(
            person_id=person_id,
            sort="passkey",
            name=name[: factors.NAME_LENGTH],
            credential_id=bytes_to_base64url(made.credential_id),
            public_key=bytes_to_base64url(made.credential_public_key),
            sign_count=made.sign_count,
            confirmed_at=func.clock_timestamp(),
        )
    )
    factors.added(db, actor, "passkey", base_url)
    return sign_ins.proven(db, actor)


def _held(db: Session, credential_id: str) -> bool:
    return db.scalar(select(Factor.id).where(Factor.credential_id == credential_id)) is not None


def enter(db: Session, actor: Actor, answer: str, base_url: str) -> str | None:
    """Give a passkey: the session's new secret, or None where it is not one of the person's or signs something else."""
    person_id, challenge = accounts.require_id(actor), _challenge(db, actor)
    try:
        mine = {factor.credential_id: factor for factor in factors.listed(db, person_id) if factor.credential_id}
        factor = mine[str(json.loads(answer)["id"])]
        given = webauthn.verify_authentication_response(
            credential=answer,
            expected_challenge=challenge,
            expected_rp_id=_host(base_url),
            expected_origin=base_url,
            credential_public_key=base64url_to_bytes(factor.public_key or ""),
            credential_current_sign_count=factor.sign_count or 0,
        )
    except UNREADABLE:
        audit.record(db, actor, "factor.refused")
        return None
    if not challenge:
        return None
    factor.sign_count, factor.last_used_at = given.new_sign_count, func.clock_timestamp()
    audit.record(db, actor, "factor.given", sort="passkey")
    return sign_ins.proven(db, actor)
