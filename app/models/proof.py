"""What proves it to others: the seal with its leaves, decisions by two people, refusals, tickets, readiness, heads."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.accounts import Person
from app.models.base import Base, CreatedAt, Id
from app.models.submissions import Submission, Version


class Leaf(Base):
    """One submission as the seal counts it. Made by the database at the seal; `salt` keeps its content from being guessed."""

    __tablename__ = "leaf"

    call_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("call.id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    submission_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("submission.id"))
    version_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("version.id"))
    state: Mapped[str]
    salt: Mapped[str | None]
    hash: Mapped[str]

    submission: Mapped[Submission] = relationship()
    version: Mapped[Version] = relationship()

    __table_args__ = (
        UniqueConstraint("submission_id", name="submission_is_sealed_once"),
        CheckConstraint("state in ('standing', 'withdrawn')", name="leaf_state_is_known"),
        CheckConstraint("hash ~ '^[0-9a-f]{64}$'", name="leaf_hash_is_hex"),
    )


class Seal(Base):
    """The signed statement of what a call held when it closed. One a call, insert-only."""

    __tablename__ = "seal"

    call_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("call.id"), primary_key=True)
    body: Mapped[dict[str, Any]]
    jws: Mapped[str]
    created_at: Mapped[CreatedAt]


class Announcement(Base):
    """How far the letters about a seal are written: up to which reference, and when the last was."""

    __tablename__ = "announcement"

    call_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("call.id"), primary_key=True)
    upto: Mapped[str] = mapped_column(server_default="")
    done_at: Mapped[datetime | None]


class DeadlineChange(Base):
    """A change of a deadline: proposed by one coordinator, then confirmed by another or dropped."""

    __tablename__ = "deadline_change"

    id: Mapped[Id]
    call_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("call.id"))
    closes_from: Mapped[datetime]
    closes_to: Mapped[datetime]
    reason: Mapped[dict[str, Any]]
    proposed_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    proposed_at: Mapped[CreatedAt]
    confirmed_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    confirmed_at: Mapped[datetime | None]
    dropped_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    dropped_at: Mapped[datetime | None]

    proposer: Mapped[Person] = relationship(foreign_keys=[proposed_by])
    confirmer: Mapped[Person | None] = relationship(foreign_keys=[confirmed_by])
    dropper: Mapped[Person | None] = relationship(foreign_keys=[dropped_by])

    __table_args__ = (
        CheckConstraint("confirmed_by <> proposed_by", name="deadline_change_needs_two_people"),
        CheckConstraint(
            "coalesce(length(trim(reason ->> 'nl')) > 0 and length(trim(reason ->> 'en')) > 0, false)",
            name="deadline_change_has_a_reason",
        ),
        Index(
            "one_deadline_change_at_a_time",
            "call_id",
            unique=True,
            postgresql_where=text("confirmed_at is null and dropped_at is null"),
        ),
    )


class Exemption(Base):
    """After the seal: one submitter let in until `until`, by two people. Its versions never touch the sealed set."""

    __tablename__ = "exemption"

    id: Mapped[Id]
    submission_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("submission.id"))
    call_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("call.id"), index=True)
    reason: Mapped[str]
    until: Mapped[datetime]
    proposed_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    proposed_at: Mapped[CreatedAt]
    confirmed_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    confirmed_at: Mapped[datetime | None]
    dropped_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    dropped_at: Mapped[datetime | None]

    submission: Mapped[Submission] = relationship()
    proposer: Mapped[Person] = relationship(foreign_keys=[proposed_by])
    confirmer: Mapped[Person | None] = relationship(foreign_keys=[confirmed_by])
    dropper: Mapped[Person | None] = relationship(foreign_keys=[dropped_by])

    __table_args__ = (
        CheckConstraint("confirmed_by <> proposed_by", name="exemption_needs_two_people"),
        CheckConstraint("length(trim(reason)) > 0", name="exemption_has_a_reason"),
        Index(
            "one_exemption_at_a_time",
            "submission_id",
            unique=True,
            postgresql_where=text("confirmed_at is null and dropped_at is null"),
        ),
    )


class Refusal(Base):
    """The signed statement of a submit that was refused, as it was handed out."""

    __tablename__ = "refusal"

    attempt_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("attempt.id"), primary_key=True)
    body: Mapped[dict[str, Any]]
    jws: Mapped[str]
    created_at: Mapped[CreatedAt]


class Ticket(Base):
    """A problem reported from a page: stamped and signed at once, closed once with an answer."""

    __tablename__ = "ticket"

    id: Mapped[Id]
    reference: Mapped[str] = mapped_column(unique=True)
    at: Mapped[CreatedAt]
    person_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    submission_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("submission.id"))
    page: Mapped[str]
    words: Mapped[str]
    body: Mapped[dict[str, Any]]
    jws: Mapped[str]
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    answer: Mapped[str | None]

    __table_args__ = (Index("ix_ticket_at", "at", "id"),)


class Readiness(Base):
    """Whether a replica was ready in a minute, and which checks failed. No row means that it said nothing.

    A row of replica `*` stands for a whole hour of long ago in whose every minute some replica was ready.
    """

    __tablename__ = "readiness"

    minute: Mapped[datetime] = mapped_column(primary_key=True)
    replica: Mapped[str] = mapped_column(primary_key=True)
    is_ready: Mapped[bool]
    failed: Mapped[list[str]]
    noted_at: Mapped[CreatedAt]


class Maintenance(Base):
    """A window of planned maintenance, announced before it began. It may become shorter or be called off, no more.

    The database stamps `announced_at` and `called_off_at`. What it was before stands in the audit trail.
    """

    __tablename__ = "maintenance"

    id: Mapped[Id]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime] = mapped_column(index=True)
    words: Mapped[dict[str, Any]]
    announced_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    announced_at: Mapped[CreatedAt]
    called_off_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    called_off_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint(
            "words ?& array['nl', 'en'] and length(trim(words ->> 'nl')) between 1 and 500 "
            "and length(trim(words ->> 'en')) between 1 and 500",
            name="maintenance_says_something",
        ),
        CheckConstraint(
            "ends_at > starts_at and ends_at <= starts_at + interval '7 days'", name="maintenance_ends_within_a_week"
        ),
        Index(
            "maintenance_is_announced_once",
            "starts_at",
            "ends_at",
            unique=True,
            postgresql_where=text("called_off_at is null"),
        ),
    )


class Head(Base):
    """The signed head of the audit trail's chain at an instant: with its count, it shows a cut tail."""

    __tablename__ = "head"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[CreatedAt]
    count: Mapped[int] = mapped_column(BigInteger)
    chain: Mapped[str]
    body: Mapped[dict[str, Any]]
    jws: Mapped[str]
