"""The work on dossiers: who reads them, what the readers find, score and recommend, and what staff note about them."""

import uuid
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, FetchedValue, ForeignKey, Index, Numeric, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.accounts import Person
from app.models.base import Base, CreatedAt, Id, PersonId
from app.models.submissions import Submission

LIVE = text("ended_at is null")


class Assignment(Base):
    """A seat at a dossier, first or second reader, given to a person until `ended_at`; `batch` ties those given at once."""

    __tablename__ = "assignment"

    id: Mapped[Id]
    submission_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("submission.id"), index=True)
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    seat: Mapped[str]
    due_on: Mapped[date | None]
    reason: Mapped[str] = mapped_column(server_default="")
    batch: Mapped[uuid.UUID | None]
    assigned_at: Mapped[CreatedAt]
    assigned_by: Mapped[PersonId]
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    end_reason: Mapped[str | None]

    submission: Mapped[Submission] = relationship()
    person: Mapped[Person] = relationship(foreign_keys="Assignment.person_id")
    author: Mapped[Person] = relationship(foreign_keys="Assignment.assigned_by")

    __table_args__ = (
        CheckConstraint("seat in ('first', 'second')", name="seat_is_known"),
        CheckConstraint("ended_at is null or length(trim(end_reason)) > 0", name="assignment_ends_with_a_reason"),
        Index("one_reader_a_seat", "submission_id", "seat", unique=True, postgresql_where=LIVE),
        Index("one_seat_a_reader", "submission_id", "person_id", unique=True, postgresql_where=LIVE),
        Index("ix_assignment_person_id", "person_id", postgresql_where=LIVE),
        Index("ix_assignment_batch", "batch", postgresql_where=text("batch is not null")),
    )


class Verdict(Base):
    """What a person says about a line of the checklist, against or beside what the rules say. The last one counts."""

    __tablename__ = "verdict"

    id: Mapped[Id]
    submission_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("submission.id"))
    line: Mapped[str]
    verdict: Mapped[str]
    reason: Mapped[str]
    person_id: Mapped[PersonId]
    given_at: Mapped[CreatedAt]

    person: Mapped[Person] = relationship()

    __table_args__ = (
        CheckConstraint("verdict in ('yes', 'no', 'unclear')", name="verdict_is_known"),
        CheckConstraint("length(trim(reason)) > 0", name="verdict_has_a_reason"),
        Index("ix_verdict_submission_id", "submission_id", "given_at"),
    )


class Score(Base):
    """What a reader saved for one criterion. Insert-only; the last one counts, and none follows once they are handed in."""

    __tablename__ = "score"

    id: Mapped[Id]
    assignment_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("assignment.id"))
    submission_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("submission.id"), server_default=FetchedValue())
    criterion: Mapped[str]
    points: Mapped[Decimal | None] = mapped_column(Numeric(6, 2))
    argument: Mapped[str]
    saved_at: Mapped[CreatedAt]

    __table_args__ = (
        CheckConstraint("points between 0 and 1000", name="points_are_in_range"),
        Index("ix_score_assignment_id", "assignment_id", "saved_at"),
    )


class HandIn(Base):
    """A reader handed in their scores. Live until a coordinator returns them with a reason."""

    __tablename__ = "hand_in"

    id: Mapped[Id]
    assignment_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("assignment.id"))
    submission_id: Mapped[uuid.UUID] = mapped_column(
        ForeignKey("submission.id"), server_default=FetchedValue(), index=True
    )
    handed_in_at: Mapped[CreatedAt]
    returned_at: Mapped[datetime | None]
    returned_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    reason: Mapped[str | None]

    assignment: Mapped[Assignment] = relationship()

    __table_args__ = (
        CheckConstraint("returned_at is null or length(trim(reason)) > 0", name="scores_are_returned_with_a_reason"),
        Index("scores_are_handed_in_once", "assignment_id", unique=True, postgresql_where=text("returned_at is null")),
    )


class Reconciliation(Base):
    """The scores that both readers come to, written by one person and agreed to by another; the last one counts.

    `lines` holds, for each criterion, `criterion`, `points` and `argument`. The database notes over which two hand-ins
    it was made: when one of these is returned, it counts no longer.
    """

    __tablename__ = "reconciliation"

    id: Mapped[Id]
    submission_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("submission.id"))
    lines: Mapped[list[Any]]
    total: Mapped[Decimal] = mapped_column(Numeric(7, 4))
    first_in: Mapped[uuid.UUID] = mapped_column(ForeignKey("hand_in.id"), server_default=FetchedValue())
    second_in: Mapped[uuid.UUID] = mapped_column(ForeignKey("hand_in.id"), server_default=FetchedValue())
    written_by: Mapped[PersonId]
    written_at: Mapped[CreatedAt]
    agreed_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    agreed_at: Mapped[datetime | None]

    author: Mapped[Person] = relationship(foreign_keys="Reconciliation.written_by")
    second: Mapped[Person | None] = relationship(foreign_keys="Reconciliation.agreed_by")

    __table_args__ = (
        CheckConstraint("agreed_by <> written_by", name="reconciliation_needs_two_people"),
        Index("ix_reconciliation_submission_id", "submission_id", "written_at"),
    )


class Recommendation(Base):
    """RVO's own word about a dossier, from the call file, with a text. Insert-only; the last one counts."""

    __tablename__ = "recommendation"

    id: Mapped[Id]
    submission_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("submission.id"))
    value: Mapped[str]
    text: Mapped[str]
    reconciliation_id: Mapped[uuid.UUID | None] = mapped_column(
        ForeignKey("reconciliation.id"), server_default=FetchedValue()
    )
    written_by: Mapped[PersonId]
    written_at: Mapped[CreatedAt]

    author: Mapped[Person] = relationship()

    __table_args__ = (
        CheckConstraint("length(trim(text)) > 0", name="recommendation_has_a_text"),
        Index("ix_recommendation_submission_id", "submission_id", "written_at"),
    )


class SignOff(Base):
    """The second reader's signature under a recommendation; holds everything still until a coordinator reopens."""

    __tablename__ = "sign_off"

    id: Mapped[Id]
    submission_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("submission.id"), index=True)
    recommendation_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("recommendation.id"))
    signed_by: Mapped[PersonId]
    signed_at: Mapped[CreatedAt]
    reopened_at: Mapped[datetime | None]
    reopened_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    reason: Mapped[str | None]

    signer: Mapped[Person] = relationship(foreign_keys="SignOff.signed_by")
    opener: Mapped[Person | None] = relationship(foreign_keys="SignOff.reopened_by")

    __table_args__ = (
        CheckConstraint("reopened_at is null or length(trim(reason)) > 0", name="reopening_has_a_reason"),
        Index("dossier_is_signed_off_once", "submission_id", unique=True, postgresql_where=text("reopened_at is null")),
    )


class Progress(Base):
    """How far the work on a dossier is, for lists: kept by the database itself as the rows above change."""

    __tablename__ = "progress"

    submission_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("submission.id"), primary_key=True)
    state: Mapped[str]
    first_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"), index=True)
    second_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"), index=True)
    due_on: Mapped[date | None]

    __table_args__ = (
        CheckConstraint(
            "state in ('to_assign', 'assigned', 'in_review', 'both_in', 'reconciled', 'signed_off', 'reopened')",
            name="progress_is_known",
        ),
    )


class Note(Base):
    """What a member of staff wrote down about a dossier for colleagues. Never leaves the desk. Insert-only."""

    __tablename__ = "note"

    id: Mapped[Id]
    submission_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("submission.id"))
    person_id: Mapped[PersonId]
    text: Mapped[str]
    written_at: Mapped[CreatedAt]

    person: Mapped[Person] = relationship()
    submission: Mapped[Submission] = relationship()
    mentions: Mapped[list["Mention"]] = relationship(back_populates="note")

    __table_args__ = (
        CheckConstraint("length(trim(text)) > 0", name="note_is_not_empty"),
        Index("ix_note_submission_id", "submission_id", "written_at"),
    )


class Mention(Base):
    """A colleague who is meant to read a note."""

    __tablename__ = "mention"

    note_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("note.id"), primary_key=True)
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"), primary_key=True, index=True)
    seen_at: Mapped[datetime | None]

    note: Mapped[Note] = relationship(back_populates="mentions")
    person: Mapped[Person] = relationship()


class Tag(Base):
    """A word that staff hang on a dossier, until it is taken off."""

    __tablename__ = "tag"

    id: Mapped[Id]
    submission_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("submission.id"))
    name: Mapped[str]
    added_by: Mapped[PersonId]
    added_at: Mapped[CreatedAt]
    removed_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    removed_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("name = trim(name) and length(name) between 1 and 40", name="tag_is_a_short_word"),
        Index(
            "tag_hangs_once",
            "submission_id",
            func.lower(text("name")),
            unique=True,
            postgresql_where=text("removed_at is null"),
        ),
    )
