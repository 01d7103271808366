"""Machines: the keys and clients of the API and how they are used, access tokens, and webhooks with their notices."""

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, SmallInteger
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.accounts import Person
from app.models.base import Base, CreatedAt, Id
from app.models.calls import Call

MaybePerson = Mapped[uuid.UUID | None]


class ApiKey(Base):
    """A machine's credential for the API, proposed by one person and approved by another; of its secret only a hash is kept.

    `is_operators` marks one that was issued at the machine itself, by the owner of the database. `networks` are those it
    may come from, none meaning any. A client with a key pair has `public_key` (a JWK) and no secret.
    """

    __tablename__ = "api_key"

    id: Mapped[Id]
    kind: Mapped[str] = mapped_column(server_default="key")
    name: Mapped[str]
    prefix: Mapped[str] = mapped_column(unique=True)
    secret_hash: Mapped[str | None]
    public_key: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    call_codes: Mapped[list[str]]
    scopes: Mapped[list[str]]
    networks: Mapped[list[str]] = mapped_column(server_default="{}")
    is_operators: Mapped[bool] = mapped_column(server_default=sql("false"))
    replaces: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("api_key.id"))
    proposed_by: MaybePerson = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[CreatedAt]
    approved_by: MaybePerson = mapped_column(ForeignKey("person.id"))
    approved_at: Mapped[datetime | None]
    collected_at: Mapped[datetime | None]
    dropped_by: MaybePerson = mapped_column(ForeignKey("person.id"))
    dropped_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    last_network: Mapped[str | None]

    proposer: Mapped[Person | None] = relationship(foreign_keys=[proposed_by])
    approver: Mapped[Person | None] = relationship(foreign_keys=[approved_by])

    __table_args__ = (
        CheckConstraint("kind in ('key', 'client_secret', 'client_key')", name="key_kind_is_known"),
        CheckConstraint("approved_by <> proposed_by", name="key_needs_two_people"),
        CheckConstraint("is_operators or proposed_by is not null", name="key_is_proposed_by_somebody"),
        CheckConstraint(
            "secret_hash is null or is_operators or approved_at is not null", name="key_secret_needs_two_people"
        ),
        CheckConstraint(
            "(kind = 'client_key') = (public_key is not null) and (kind <> 'client_key' or secret_hash is null)",
            name="key_has_a_secret_or_a_public_key",
        ),
    )


class KeyUse(Base):
    """How often a key did something on a day: a group of routes it called, or a code it was refused with."""

    __tablename__ = "key_use"

    api_key_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("api_key.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    what: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)


class AccessToken(Base):
    """What an OAuth client holds for some minutes; it ends with its client."""

    __tablename__ = "access_token"

    prefix: Mapped[str] = mapped_column(primary_key=True)
    secret_hash: Mapped[str]
    api_key_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("api_key.id"))
    scopes: Mapped[list[str]]
    issued_at: Mapped[CreatedAt]
    expires_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("expires_at <= issued_at + interval '1 hour'", name="access_token_is_short_lived"),
        Index("ix_access_token_expires_at", "expires_at"),
    )


class Assertion(Base):
    """A signed assertion that a client has shown: it is taken once."""

    __tablename__ = "assertion"

    api_key_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("api_key.id"), primary_key=True)
    jti_hash: Mapped[str] = mapped_column(primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class RootKey(Base):
    """What secrets of apps and webhooks are derived from: one row, wrapped under SECRET_KEY; see `rootkeys`."""

    __tablename__ = "root_key"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, server_default="1")
    wrapped: Mapped[bytes]
    wrapped_at: Mapped[CreatedAt]

    __table_args__ = (CheckConstraint("id = 1", name="root_key_is_one"),)


class Webhook(Base):
    """An address that is told of events of a call; registered by two people. Its secrets are derived, not kept.

    `generation` counts the secrets handed out; the one before goes on signing for some days after `rotated_at`.
    """

    __tablename__ = "webhook"

    id: Mapped[Id]
    call_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("call.id"), index=True)
    name: Mapped[str]
    url: Mapped[str]
    events: Mapped[list[str]]
    proposed_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[CreatedAt]
    approved_by: MaybePerson = mapped_column(ForeignKey("person.id"))
    approved_at: Mapped[datetime | None]
    dropped_by: MaybePerson = mapped_column(ForeignKey("person.id"))
    dropped_at: Mapped[datetime | None]
    ended_by: MaybePerson = mapped_column(ForeignKey("person.id"))
    ended_at: Mapped[datetime | None]
    generation: Mapped[int] = mapped_column(server_default="0")
    rotated_at: Mapped[datetime | None]
    paused_at: Mapped[datetime | None]
    failing_since: Mapped[datetime | None]
    last_sent_at: Mapped[datetime | None]

    call: Mapped[Call] = relationship()
    proposer: Mapped[Person] = relationship(foreign_keys=[proposed_by])
    approver: Mapped[Person | None] = relationship(foreign_keys=[approved_by])

    __table_args__ = (
        CheckConstraint("approved_by <> proposed_by", name="webhook_needs_two_people"),
        CheckConstraint(
            "events <@ array['call.sealed', 'feed.advanced'] and cardinality(events) > 0",
            name="webhook_events_are_known",
        ),
    )


class Notice(Base):
    """One event to be told to one webhook: written by the event itself, sent after its commit, retried until given up."""

    __tablename__ = "notice"

    id: Mapped[Id]
    webhook_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("webhook.id"), index=True)
    event: Mapped[str]
    created_at: Mapped[CreatedAt]
    attempts: Mapped[int] = mapped_column(server_default="0")
    next_attempt_at: Mapped[CreatedAt]
    sent_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]
    last_status: Mapped[int | None]
    last_error: Mapped[str | None]

    webhook: Mapped[Webhook] = relationship()

    __table_args__ = (
        Index("ix_notice_due", "next_attempt_at", postgresql_where=sql("sent_at is null and failed_at is null")),
        Index("ix_notice_created_at", "created_at", "id"),
    )
