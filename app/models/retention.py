"""What was destroyed when its term had passed, by whose decision; and what other registers said of an identifier."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.accounts import Person
from app.models.base import Base, CreatedAt, Id
from app.models.calls import Call


class Destruction(Base):
    """The destruction of one class of a call's data: proposed by one coordinator, carried out on another's word.

    `subjects` is what was due when it was proposed, `destroyed` what went; the database writes both. `swept_at` tells
    when the bytes of files went too.
    """

    __tablename__ = "destruction"

    id: Mapped[Id]
    call_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("call.id"))
    sort: Mapped[str]
    subjects: Mapped[list[Any]]
    proposed_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    proposed_at: Mapped[CreatedAt]
    confirmed_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    confirmed_at: Mapped[datetime | None]
    dropped_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    dropped_at: Mapped[datetime | None]
    destroyed: Mapped[dict[str, Any] | None]
    swept_at: Mapped[datetime | None]

    call: Mapped[Call] = relationship()
    proposer: Mapped[Person] = relationship(foreign_keys=[proposed_by])
    confirmer: Mapped[Person | None] = relationship(foreign_keys=[confirmed_by])

    __table_args__ = (
        CheckConstraint("confirmed_by <> proposed_by", name="destruction_needs_two_people"),
        CheckConstraint(
            "sort in ('drafts', 'submissions', 'reviews', 'withdrawn', 'attempts', 'mails', 'sign_ins')",
            name="destruction_sort_is_known",
        ),
        Index(
            "one_destruction_at_a_time",
            "call_id",
            "sort",
            unique=True,
            postgresql_where=text("confirmed_at is null and dropped_at is null"),
        ),
    )


class Certificate(Base):
    """The signed certificate of a destruction. Insert-only."""

    __tablename__ = "certificate"

    destruction_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("destruction.id"), primary_key=True)
    body: Mapped[dict[str, Any]]
    jws: Mapped[str]
    created_at: Mapped[CreatedAt]

    destruction: Mapped[Destruction] = relationship()


class Lookup(Base):
    """What VIES or GLEIF said of a number, with its evidence. Insert-only; the last counts."""

    __tablename__ = "lookup"

    id: Mapped[Id]
    register: Mapped[str]
    number: Mapped[str]
    outcome: Mapped[str]
    evidence: Mapped[dict[str, Any]]
    looked_up_at: Mapped[CreatedAt]
    asked_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))

    __table_args__ = (
        CheckConstraint("register in ('vies', 'gleif')", name="lookup_register_is_known"),
        CheckConstraint("outcome in ('valid', 'invalid', 'unknown')", name="lookup_outcome_is_known"),
        Index("ix_lookup_number", "register", "number", "looked_up_at"),
    )
