"""What member states promise and others offer: letters with their versions, budgets, interest in a consortium."""

import uuid
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Numeric, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.accounts import Organisation, Person
from app.models.base import Base, CreatedAt, Id, PersonId
from app.models.calls import Call
from app.models.submissions import Submission

Euros = Numeric(17, 2)


class Budget(Base):
    """What a member state has in one source for one call; insert-only, the last number counts."""

    __tablename__ = "budget"

    id: Mapped[Id]
    call_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("call.id"))
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisation.id"))
    source: Mapped[str]
    number: Mapped[int]
    amount: Mapped[Decimal] = mapped_column(Euros)
    status: Mapped[str]
    written_by: Mapped[PersonId]
    written_at: Mapped[CreatedAt]

    writer: Mapped[Person] = relationship()

    __table_args__ = (
        UniqueConstraint("call_id", "organisation_id", "source", "number", name="budget_is_written_once"),
        CheckConstraint("amount >= 0", name="budget_is_not_negative"),
    )


class SupportLetter(Base):
    """A letter of a member state to a consortium, by its submission; what it says stands in its versions."""

    __tablename__ = "support_letter"

    id: Mapped[Id]
    call_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("call.id"))
    submission_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("submission.id"), index=True)
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisation.id"))
    number: Mapped[int]
    key: Mapped[str]
    created_by: Mapped[PersonId]
    created_at: Mapped[CreatedAt]
    withdrawn_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    withdrawn_at: Mapped[datetime | None]
    withdrawn_because: Mapped[str | None]

    submission: Mapped[Submission] = relationship()
    organisation: Mapped[Organisation] = relationship()
    withdrawer: Mapped[Person | None] = relationship(foreign_keys="SupportLetter.withdrawn_by")
    versions: Mapped[list["LetterVersion"]] = relationship(
        back_populates="letter", order_by="LetterVersion.number.desc()"
    )

    __table_args__ = (
        UniqueConstraint("call_id", "organisation_id", "number", name="letter_number_is_unique"),
        UniqueConstraint("organisation_id", "key", name="letter_is_begun_once"),
        CheckConstraint(
            "withdrawn_by is null or length(trim(withdrawn_because)) > 0", name="letter_is_withdrawn_with_a_reason"
        ),
    )

    @property
    def last(self) -> "LetterVersion":
        """What it says now, whether or not it was given."""
        return self.versions[0]

    @property
    def given(self) -> "LetterVersion | None":
        """What it said when it was last given: this the consortium sees."""
        return next((version for version in self.versions if version.is_given), None)


class LetterVersion(Base):
    """What a letter says, as drafted or given. Insert-only; the database stamps it after locking the call."""

    __tablename__ = "letter_version"

    id: Mapped[Id]
    letter_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("support_letter.id"))
    number: Mapped[int]
    is_given: Mapped[bool]
    sort: Mapped[str]
    amount: Mapped[Decimal | None] = mapped_column(Euros)
    phase: Mapped[str | None]
    source: Mapped[str | None]
    status: Mapped[str | None]
    condition: Mapped[str]
    signatory: Mapped[str]
    signatory_role: Mapped[str]
    dated_on: Mapped[date | None]
    files: Mapped[list[Any]]
    digest: Mapped[str]
    written_by: Mapped[PersonId]
    written_at: Mapped[CreatedAt]

    letter: Mapped[SupportLetter] = relationship(back_populates="versions")
    writer: Mapped[Person] = relationship()

    __table_args__ = (
        UniqueConstraint("letter_id", "number", name="letter_version_is_written_once"),
        CheckConstraint("amount >= 0", name="letter_amount_is_not_negative"),
        CheckConstraint("digest ~ '^[0-9a-f]{64}$'", name="letter_digest_is_hex"),
        CheckConstraint(
            "not is_given or (length(trim(signatory)) > 0 and length(trim(signatory_role)) > 0 and dated_on is not null)",
            name="given_letter_is_signed_and_dated",
        ),
    )


class InterestLink(Base):
    """An organisation's interest in a consortium, offered by reference; the database finds the submission, if there is one."""

    __tablename__ = "interest_link"

    id: Mapped[Id]
    call_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("call.id"))
    organisation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("organisation.id"))
    reference: Mapped[str]
    submission_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("submission.id"), index=True)
    sort: Mapped[str]
    words: Mapped[str]
    offered_by: Mapped[PersonId]
    offered_at: Mapped[CreatedAt]
    is_accepted: Mapped[bool | None]
    answered_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    answered_at: Mapped[datetime | None]
    withdrawn_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    withdrawn_at: Mapped[datetime | None]
    withdrawn_because: Mapped[str | None]

    call: Mapped[Call] = relationship()
    organisation: Mapped[Organisation] = relationship()
    submission: Mapped[Submission | None] = relationship()

    __table_args__ = (
        Index(
            "interest_is_offered_once",
            "organisation_id",
            "call_id",
            "reference",
            "sort",
            unique=True,
            postgresql_where=text("withdrawn_at is null"),
        ),
        CheckConstraint("length(trim(words)) > 0", name="interest_says_something"),
        CheckConstraint("(is_accepted is null) = (answered_by is null)", name="interest_is_answered_by_somebody"),
        CheckConstraint(
            "withdrawn_by is null or length(trim(withdrawn_because)) > 0", name="interest_is_withdrawn_with_a_reason"
        ),
    )
