"""Who: organisations, people, and how they sign in."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, func, text
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

    memberships: Mapped[list["Membership"]] = relationship(back_populates="organisation")

    __table_args__ = (
        Index("uq_organisation_state_code", "state_code", unique=True, postgresql_where=text("state_code is not null")),
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

    person: Mapped[Person] = relationship()

    __table_args__ = (
        Index("ix_sign_in_submission_id", "submission_id", postgresql_where=text("submission_id is not null")),
    )
