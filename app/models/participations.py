"""Who takes part in one submission, beside the people of its organisation; what partners sign; what the lead confirms."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.accounts import Person
from app.models.base import Base, CreatedAt, Id
from app.models.submissions import Submission


class Participation(Base):
    """A person's role in one submission, invited by link; theirs from `accepted_at` until `ended_at`.

    Of a partner or an intermediary `organisation` is their own one. An intermediary says for whom they act, what was
    agreed (`mandate`), and which file of the draft holds it. A partner fills the organisation that stands at `place` in
    the draft; None once that was removed.
    """

    __tablename__ = "participation"

    id: Mapped[Id]
    submission_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("submission.id"))
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"), index=True)
    role: Mapped[str]
    organisation: Mapped[str] = mapped_column(server_default="")
    mandate: Mapped[str] = mapped_column(server_default="")
    acts_for: Mapped[str] = mapped_column(server_default="")
    document_sha256: Mapped[str | None]
    place: Mapped[int | None]
    token_hash: Mapped[str] = mapped_column(unique=True)
    invited_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    invited_at: Mapped[CreatedAt]
    accepted_at: Mapped[datetime | None]
    ended_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    ended_at: Mapped[datetime | None]

    submission: Mapped[Submission] = relationship()
    person: Mapped[Person] = relationship(foreign_keys=[person_id])
    inviter: Mapped[Person] = relationship(foreign_keys=[invited_by])
    ender: Mapped[Person | None] = relationship(foreign_keys=[ended_by])

    __table_args__ = (
        Index(
            "one_participation_at_a_time",
            "submission_id",
            "person_id",
            unique=True,
            postgresql_where=text("ended_at is null"),
        ),
        CheckConstraint("role in ('owner', 'editor', 'viewer', 'partner')", name="participation_role_is_known"),
        CheckConstraint("document_sha256 ~ '^[0-9a-f]{64}$'", name="participation_document_is_hex"),
        CheckConstraint("role <> 'partner' or organisation <> ''", name="partner_has_an_organisation"),
    )


class Mandate(Base):
    """What a partner signed: that the lead files in its name, with the digest of its own answers as they then were.

    `language` is that of the statement; empty on those signed before it was kept.
    """

    __tablename__ = "mandate"

    id: Mapped[Id]
    participation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("participation.id"), index=True)
    submission_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("submission.id"), index=True)
    signed_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    signed_at: Mapped[CreatedAt]
    signatory: Mapped[str]
    capacity: Mapped[str]
    organisation: Mapped[str]
    statement: Mapped[str]
    language: Mapped[str] = mapped_column(server_default="")
    answers_sha256: Mapped[str]

    __table_args__ = (
        CheckConstraint("answers_sha256 ~ '^[0-9a-f]{64}$'", name="mandate_sha256_is_hex"),
        CheckConstraint("language in ('', 'en', 'nl')", name="mandate_language_is_known"),
    )


class Confirmation(Base):
    """The lead agreed to exactly this content; another content needs another one."""

    __tablename__ = "confirmation"

    id: Mapped[Id]
    submission_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("submission.id"))
    content_sha256: Mapped[str]
    confirmed_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    confirmed_at: Mapped[CreatedAt]

    confirmer: Mapped[Person] = relationship()

    __table_args__ = (
        UniqueConstraint("submission_id", "content_sha256", name="content_is_confirmed_once"),
        CheckConstraint("content_sha256 ~ '^[0-9a-f]{64}$'", name="confirmation_sha256_is_hex"),
    )
