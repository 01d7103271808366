"""Who: organisations, people, and how they sign in."""

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.base import Base, CreatedAt, Id


class Organisation(Base):
    """A firm, a member state's ministry or another body on whose behalf people act."""

    __tablename__ = "organisation"

    id: Mapped[Id]
    name: Mapped[str]
    country: Mapped[str]
    registration_no: Mapped[str | None]
    state_code: Mapped[str | None]
    created_at: Mapped[CreatedAt]
    verified_by: Mapped[str | None]
    verified_level: Mapped[str | None]
    verified_at: Mapped[datetime | None]

    memberships: Mapped[list["Membership"]] = relationship(back_populates="organisation")

    __table_args__ = (
        Index("uq_organisation_state_code", "state_code", unique=True, postgresql_where=text("state_code is not null")),
        Index(
            "one_verified_organisation_per_number",
            "country",
            "registration_no",
            unique=True,
            postgresql_where=text("verified_at is not null"),
        ),
        CheckConstraint("country ~ '^[A-Z]{2}$'", name="organisation_country_is_iso"),
        CheckConstraint("state_code is null or state_code = country", name="organisation_speaks_for_its_country"),
    )


class Person(Base):
    """A human being who signs in; `staff_role` and the languages they read (`reads`) are set for RVO staff only."""

    __tablename__ = "person"

    id: Mapped[Id]
    email: Mapped[str]
    name: Mapped[str] = mapped_column(server_default="")
    language: Mapped[str] = mapped_column(server_default="en")
    staff_role: Mapped[str | None]
    reads: Mapped[list[str] | None]
    email_verified_at: Mapped[datetime | None]
    created_at: Mapped[CreatedAt]

    __table_args__ = (
        Index("uq_person_email", func.lower(text("email")), unique=True),
        CheckConstraint("language in ('nl', 'en')", name="person_language_is_known"),
        CheckConstraint("staff_role in ('reviewer', 'coordinator', 'admin')", name="person_staff_role_is_known"),
    )


class Membership(Base):
    """A person's role in an organisation, from `created_at` until `ended_at`."""

    __tablename__ = "membership"

    id: Mapped[Id]
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisation.id"), index=True)
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"), index=True)
    role: Mapped[str]
    created_at: Mapped[CreatedAt]
    ended_at: Mapped[datetime | None]

    organisation: Mapped[Organisation] = relationship(back_populates="memberships")
    person: Mapped[Person] = relationship()

    __table_args__ = (
        Index(
            "uq_membership_live",
            "organisation_id",
            "person_id",
            unique=True,
            postgresql_where=text("ended_at is null"),
        ),
        CheckConstraint("role in ('owner', 'editor', 'viewer')", name="membership_role_is_known"),
    )


class SignInLink(Base):
    """A link sent by e-mail: single use, short-lived, hashed, bound to the browser that asked for it."""

    __tablename__ = "sign_in_link"

    id: Mapped[Id]
    email: Mapped[str]
    token_hash: Mapped[str] = mapped_column(unique=True)
    browser_hash: Mapped[str]
    next_path: Mapped[str]
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class SignIn(Base):
    """One browser signed in as one person; ended by the person, by time or by staff.

    `submission_id` and `step` name the page of a case that it was last on, at `stepped_at`.
    `factor_at` is when the second factor was last given, `challenge` what a passkey is asked to sign.
    """

    __tablename__ = "sign_in"

    id: Mapped[Id]
    token_hash: Mapped[str] = mapped_column(unique=True)
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"), index=True)
    csrf_token: Mapped[str]
    user_agent: Mapped[str]
    created_at: Mapped[CreatedAt]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    submission_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("submission.id"))
    step: Mapped[str | None]
    stepped_at: Mapped[datetime | None]
    factor_at: Mapped[datetime | None]
    challenge: Mapped[str | None]
    browser_hash: Mapped[str] = mapped_column(server_default="")
    provider: Mapped[str | None]
    assurance: Mapped[str] = mapped_column(server_default="e-mail link")
    level: Mapped[str | None]
    represents: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("organisation.id"))

    person: Mapped[Person] = relationship()

    __table_args__ = (
        CheckConstraint("level in ('low', 'substantial', 'high')", name="sign_in_level_is_known"),
        Index("ix_sign_in_submission_id", "submission_id", postgresql_where=text("submission_id is not null")),
    )


class SignInRequest(Base):
    """What a provider was asked, from one browser; its answer is taken once. `person_id`: to whose account it is tied."""

    __tablename__ = "sign_in_request"

    id: Mapped[Id]
    provider: Mapped[str]
    state_hash: Mapped[str] = mapped_column(unique=True)
    browser_hash: Mapped[str]
    next_path: Mapped[str]
    person_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"), index=True)
    created_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class Identity(Base):
    """Whom a provider knows under a subject."""

    __tablename__ = "identity"

    id: Mapped[Id]
    provider: Mapped[str]
    subject: Mapped[str]
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"), index=True)
    created_at: Mapped[CreatedAt]
    last_used_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("provider", "subject", name="identity_is_of_one_person"),)


class Factor(Base):
    """What a person of staff signs in with beside the link: an authenticator app or a passkey, from `confirmed_at` on.

    The secret of an app is nowhere: it is derived. `last_step` is the last half minute whose code was taken.
    """

    __tablename__ = "factor"

    id: Mapped[Id]
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"), index=True)
    sort: Mapped[str]
    name: Mapped[str]
    last_step: Mapped[int | None] = mapped_column(BigInteger)
    credential_id: Mapped[str | None] = mapped_column(unique=True)
    public_key: Mapped[str | None]
    sign_count: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[CreatedAt]
    confirmed_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("sort in ('app', 'passkey')", name="factor_sort_is_known"),
        CheckConstraint(
            "sort = 'app' or (credential_id is not null and public_key is not null and sign_count is not null)",
            name="passkey_is_whole",
        ),
    )


class RecoveryCode(Base):
    """A code that stands for a second factor once; kept as its hash."""

    __tablename__ = "recovery_code"

    id: Mapped[Id]
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"), index=True)
    code_hash: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[CreatedAt]
    used_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class Appointment(Base):
    """A staff role that one administrator proposes for an address and another confirms."""

    __tablename__ = "appointment"

    id: Mapped[Id]
    email: Mapped[str]
    name: Mapped[str]
    role: Mapped[str]
    proposed_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    proposed_at: Mapped[CreatedAt]
    confirmed_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    confirmed_at: Mapped[datetime | None]
    dropped_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    dropped_at: Mapped[datetime | None]

    proposer: Mapped[Person] = relationship(foreign_keys=[proposed_by])

    __table_args__ = (
        CheckConstraint("role in ('reviewer', 'coordinator', 'admin')", name="appointment_role_is_known"),
        CheckConstraint("confirmed_by <> proposed_by", name="appointment_needs_two_people"),
        CheckConstraint("confirmed_at is null or dropped_at is null", name="appointment_is_settled_once"),
        Index(
            "one_appointment_at_a_time",
            func.lower(text("email")),
            unique=True,
            postgresql_where=text("confirmed_at is null and dropped_at is null"),
        ),
    )
