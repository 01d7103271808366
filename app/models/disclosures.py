"""Requests under the open-government act: what is asked, proposed, answered by the submitter, decided and produced."""

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.accounts import Person
from app.models.base import Base, CreatedAt, Id
from app.models.calls import Call
from app.models.submissions import Submission, Version


class Disclosure(Base):
    """A request to disclose dossiers of one call; extended at most once, closed once."""

    __tablename__ = "disclosure"

    id: Mapped[Id]
    number: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    call_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("call.id"), index=True)
    title: Mapped[str]
    received_on: Mapped[date]
    due_on: Mapped[date]
    registered_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    registered_at: Mapped[CreatedAt]
    extended_to: Mapped[date | None]
    extension_reason: Mapped[str | None]
    extended_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    extended_at: Mapped[datetime | None]
    closed_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    closed_at: Mapped[datetime | None]
    closing_reason: Mapped[str | None]

    call: Mapped[Call] = relationship(lazy="joined", innerjoin=True)

    __table_args__ = (
        UniqueConstraint("number", name="disclosure_number_is_unique"),
        CheckConstraint("length(trim(title)) > 0", name="disclosure_has_a_title"),
        CheckConstraint("due_on >= received_on", name="disclosure_is_due_after_it_came"),
        CheckConstraint(
            "extended_to is null or (extended_to > due_on and length(trim(extension_reason)) > 0)",
            name="extension_has_a_reason",
        ),
        CheckConstraint("closed_by is null or length(trim(closing_reason)) > 0", name="closing_has_a_reason"),
    )


class DisclosureItem(Base):
    """One dossier that a request is about, in the version that counts; left out again only with a reason."""

    __tablename__ = "disclosure_item"

    id: Mapped[Id]
    disclosure_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("disclosure.id"))
    submission_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("submission.id"), index=True)
    version_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("version.id"))
    added_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    added_at: Mapped[CreatedAt]
    left_out_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    left_out_at: Mapped[datetime | None]
    left_out_reason: Mapped[str | None]

    disclosure: Mapped[Disclosure] = relationship()
    submission: Mapped[Submission] = relationship()
    version: Mapped[Version] = relationship()

    __table_args__ = (
        Index(
            "dossier_is_asked_for_once",
            "disclosure_id",
            "submission_id",
            unique=True,
            postgresql_where=text("left_out_at is null"),
        ),
        CheckConstraint(
            "left_out_by is null or length(trim(left_out_reason)) > 0", name="item_is_left_out_with_a_reason"
        ),
    )


class DisclosureProposal(Base):
    """What a coordinator proposes to disclose and to withhold of a dossier, by section. Insert-only; the last counts."""

    __tablename__ = "disclosure_proposal"

    id: Mapped[Id]
    item_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("disclosure_item.id"), index=True)
    sections: Mapped[dict[str, Any]]
    proposed_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    proposed_at: Mapped[CreatedAt]


class Hearing(Base):
    """The submitter was asked for their view on a proposal, until an instant. Insert-only; the last counts."""

    __tablename__ = "hearing"

    id: Mapped[Id]
    item_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("disclosure_item.id"), index=True)
    proposal_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("disclosure_proposal.id"))
    asked_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    asked_at: Mapped[CreatedAt]
    until: Mapped[datetime]

    proposal: Mapped[DisclosureProposal] = relationship()

    __table_args__ = (CheckConstraint("until > asked_at", name="hearing_gives_time"),)


class HearingAnswer(Base):
    """What the submitter says of one section: they agree, or object with reasons. Insert-only; the last counts."""

    __tablename__ = "hearing_answer"

    id: Mapped[Id]
    hearing_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("hearing.id"), index=True)
    section: Mapped[str]
    agrees: Mapped[bool]
    reasons: Mapped[str]
    answered_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    answered_at: Mapped[CreatedAt]

    __table_args__ = (CheckConstraint("agrees or length(trim(reasons)) > 0", name="objection_has_reasons"),)


class DisclosureDecision(Base):
    """What is disclosed of a dossier: decided by one coordinator, confirmed by another. `view` is stamped by the database."""

    __tablename__ = "disclosure_decision"

    id: Mapped[Id]
    item_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("disclosure_item.id"))
    sections: Mapped[dict[str, Any]]
    reason: Mapped[str]
    view: Mapped[str]
    decided_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    decided_at: Mapped[CreatedAt]
    confirmed_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    confirmed_at: Mapped[datetime | None]
    dropped_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    dropped_at: Mapped[datetime | None]

    decider: Mapped[Person] = relationship(foreign_keys=[decided_by])
    confirmer: Mapped[Person | None] = relationship(foreign_keys=[confirmed_by])

    __table_args__ = (
        CheckConstraint("confirmed_by <> decided_by", name="disclosure_decision_needs_two_people"),
        CheckConstraint("length(trim(reason)) > 0", name="disclosure_decision_has_a_reason"),
        CheckConstraint("view in ('agreed', 'objected', 'silent')", name="view_is_known"),
        Index("dossier_is_decided_once", "item_id", unique=True, postgresql_where=text("dropped_at is null")),
    )


class DisclosureSet(Base):
    """What was produced for a request: a ZIP in the file store by its digest, with its signed list. Insert-only."""

    __tablename__ = "disclosure_set"

    id: Mapped[Id]
    disclosure_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("disclosure.id"), index=True)
    sha256: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    body: Mapped[dict[str, Any]]
    jws: Mapped[str]
    made_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    made_at: Mapped[CreatedAt]

    __table_args__ = (CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="set_sha256_is_hex"),)
