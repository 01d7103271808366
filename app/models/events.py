"""What happened: the audit trail, submit attempts, outgoing mail, and the counters that slow an attacker down."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, FetchedValue, ForeignKey, Identity, Index, UniqueConstraint
from sqlalchemy import text as sql
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, CreatedAt, Id


class Event(Base):
    """One line of the audit trail: who did what, on whose behalf, to which case. Insert-only.

    The database stamps `at`, draws `salt` and takes `commitment` over both; later it gives the line its `position` in
    the chain and `chain`, the digest that binds it to all lines before. An erased line keeps these three.
    """

    __tablename__ = "event"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[CreatedAt]
    name: Mapped[str]
    person_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    api_key_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("api_key.id"))
    organisation_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("organisation.id"))
    submission_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("submission.id"))
    call_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("call.id"))
    detail: Mapped[dict[str, Any]]
    request_id: Mapped[str | None]
    salt: Mapped[str | None]
    commitment: Mapped[str] = mapped_column(server_default=FetchedValue())
    position: Mapped[int | None] = mapped_column(BigInteger)
    chain: Mapped[str | None]

    __table_args__ = (
        Index("ix_event_submission_id", "submission_id", "id"),
        Index("ix_event_person_id", "person_id", "id"),
        Index("ix_event_unlinked", "id", postgresql_where=sql("position is null")),
        UniqueConstraint("position", name="event_position_is_unique"),
    )


class Attempt(Base):
    """A press on submit, whatever came of it. Insert-only; written even when the submit was rolled back.

    `tried` holds the reference in the address where no submission has it. `at` is the database's instant of writing;
    where the database could not be reached at the press, `pressed_at` is the portal's clock at the press itself.
    """

    __tablename__ = "attempt"

    id: Mapped[Id]
    at: Mapped[CreatedAt]
    submission_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("submission.id"), index=True)
    person_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    outcome: Mapped[str]
    code: Mapped[str]
    idempotency_key: Mapped[str]
    reference: Mapped[str] = mapped_column(unique=True)
    tried: Mapped[str | None]
    pressed_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("outcome in ('accepted', 'invalid', 'refused')", name="attempt_outcome_is_known"),
    )


class OutboxMessage(Base):
    """A mail to be sent after the commit that made it; retried until sent or given up."""

    __tablename__ = "message"

    id: Mapped[Id]
    purpose: Mapped[str]
    recipient: Mapped[str]
    subject: Mapped[str]
    text: Mapped[str]
    submission_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("submission.id"))
    deadline_change_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("deadline_change.id"))
    reminder_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("reminder.id"))
    created_at: Mapped[CreatedAt]
    attempts: Mapped[int] = mapped_column(server_default="0")
    next_attempt_at: Mapped[CreatedAt]
    sent_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]
    last_error: Mapped[str | None]

    __table_args__ = (
        Index("ix_message_due", "next_attempt_at", postgresql_where=sql("sent_at is null and failed_at is null")),
        Index(
            "ix_message_deadline_change_id",
            "deadline_change_id",
            postgresql_where=sql("deadline_change_id is not null"),
        ),
    )


class Reminder(Base):
    """Whether a case had an unsubmitted change at a moment before its deadline, decided once. Insert-only."""

    __tablename__ = "reminder"

    id: Mapped[Id]
    submission_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("submission.id"))
    closes_at: Mapped[datetime]
    lead_minutes: Mapped[int]
    is_needed: Mapped[bool]
    decided_at: Mapped[CreatedAt]

    __table_args__ = (UniqueConstraint("submission_id", "closes_at", "lead_minutes", name="reminder_is_decided_once"),)


class Throttle(Base):
    """How often something happened in a window of time, shared by all workers."""

    __tablename__ = "throttle"

    key: Mapped[str] = mapped_column(primary_key=True)
    window_start: Mapped[datetime] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(server_default="1")
