"""The case and all that belongs to it: draft, attachments, versions, receipts, withdrawals."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.accounts import Organisation, Person
from app.models.base import Base, CreatedAt, Id
from app.models.calls import Call


class Submission(Base):
    """One organisation's case in one call; what counts is its last version, unless withdrawn."""

    __tablename__ = "submission"

    id: Mapped[Id]
    call_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("call.id"))
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisation.id"), index=True)
    kind: Mapped[str]
    reference: Mapped[str]
    created_at: Mapped[CreatedAt]
    created_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))

    call: Mapped[Call] = relationship(lazy="joined", innerjoin=True)
    organisation: Mapped[Organisation] = relationship(lazy="joined", innerjoin=True)

    __table_args__ = (
        UniqueConstraint("reference", name="uq_submission_reference"),
        Index("ix_submission_call_id_reference", "call_id", "reference"),
        CheckConstraint("kind in ('MS', 'FC', 'OO')", name="submission_kind_is_known"),
        Index(
            "one_live_submission_per_state",
            "call_id",
            "organisation_id",
            unique=True,
            postgresql_where=text("kind = 'MS'"),
        ),
    )


class Draft(Base):
    """What was last saved of one step; `unread` holds, by path, what was typed but could not be read."""

    __tablename__ = "draft"

    submission_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("submission.id"), primary_key=True)
    step: Mapped[str] = mapped_column(primary_key=True)
    answers: Mapped[dict[str, Any]]
    unread: Mapped[dict[str, Any]]
    revision: Mapped[int]
    saved_at: Mapped[CreatedAt]
    saved_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))

    author: Mapped[Person] = relationship()


class Judgement(Base):
    """What a check found on a draft in a `state`, and what a submit of it would hold.

    `opening` and `ending` are the canonical JSON of that content, around what is known only at the submit.
    """

    __tablename__ = "judgement"

    submission_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("submission.id"), primary_key=True)
    state: Mapped[str]
    judged_at: Mapped[CreatedAt]
    found: Mapped[list[Any]]
    errors: Mapped[list[str]]
    contact: Mapped[str]
    title: Mapped[str]
    is_consented: Mapped[bool]
    answers: Mapped[dict[str, Any]]
    files: Mapped[list[Any]]
    warnings: Mapped[list[Any]]
    facts: Mapped[dict[str, Any]]
    opening: Mapped[str]
    ending: Mapped[str]


class Attachment(Base):
    """A file given as answer to a file question; its bytes lie in the file store under `sha256`."""

    __tablename__ = "attachment"

    id: Mapped[Id]
    submission_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("submission.id"), index=True)
    question: Mapped[str]
    name: Mapped[str]
    sha256: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    media_type: Mapped[str]
    attached_at: Mapped[CreatedAt]
    attached_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    detached_at: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "attachment_is_given_once",
            "submission_id",
            "question",
            "sha256",
            unique=True,
            postgresql_where=text("detached_at is null"),
        ),
        CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="attachment_sha256_is_hex"),
    )


class Version(Base):
    """An accepted submit. Insert-only; the database stamps `received_at` after locking the call.

    With `destruction_id` its term has passed: the content is gone, what the seal and the receipt state is kept.
    """

    __tablename__ = "version"

    id: Mapped[Id]
    submission_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("submission.id"))
    call_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("call.id"), index=True)
    number: Mapped[int]
    definition_digest: Mapped[str] = mapped_column(ForeignKey("definition.digest"))
    kind: Mapped[str]
    language: Mapped[str]
    title: Mapped[str]
    is_consented: Mapped[bool]
    answers: Mapped[dict[str, Any]]
    files: Mapped[list[Any]]
    findings: Mapped[list[Any]]
    facts: Mapped[dict[str, Any]]
    payload_sha256: Mapped[str]
    idempotency_key: Mapped[str]
    submitted_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    received_at: Mapped[datetime]
    exemption_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("exemption.id"))
    destruction_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("destruction.id"))

    submission: Mapped[Submission] = relationship()
    receipt: Mapped["Receipt"] = relationship(back_populates="version")
    submitter: Mapped[Person] = relationship()

    __table_args__ = (
        Index("ix_version_destruction_id", "destruction_id", postgresql_where=text("destruction_id is not null")),
        UniqueConstraint("submission_id", "number", name="version_number_is_unique"),
        UniqueConstraint("submission_id", "idempotency_key", name="version_is_accepted_once"),
    )


class Receipt(Base):
    """The signed receipt of a version, as it was handed out."""

    __tablename__ = "receipt"

    version_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("version.id"), primary_key=True)
    body: Mapped[dict[str, Any]]
    jws: Mapped[str]
    created_at: Mapped[CreatedAt]

    version: Mapped[Version] = relationship(back_populates="receipt")


class Withdrawal(Base):
    """A withdrawal with its reason; live until restored. Nothing is deleted."""

    __tablename__ = "withdrawal"

    id: Mapped[Id]
    submission_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("submission.id"))
    reason: Mapped[str]
    withdrawn_at: Mapped[CreatedAt]
    withdrawn_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    restored_at: Mapped[datetime | None]
    restored_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))

    __table_args__ = (
        Index(
            "submission_is_withdrawn_once",
            "submission_id",
            unique=True,
            postgresql_where=text("restored_at is null"),
        ),
    )


class FileScan(Base):
    """What the virus scanner said of a file; `digest` is its SHA-256, under another name as it keeps no file from going."""

    __tablename__ = "file_scan"

    digest: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str] = mapped_column(server_default="pending")
    finding: Mapped[str] = mapped_column(server_default="")
    arrived_at: Mapped[CreatedAt]
    tried_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("state in ('pending', 'clean', 'infected')", name="file_scan_state_is_known"),
        Index(
            "ix_file_scan_waiting",
            func.coalesce(text("tried_at"), text("arrived_at")),
            postgresql_where=text("state = 'pending'"),
        ),
    )
