"""Questions to a respondent after the seal, and their answers: beside the sealed version, which they never change."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.accounts import Person
from app.models.base import Base, CreatedAt, Id
from app.models.submissions import Submission


class Clarification(Base):
    """One question of RVO's about a fact; the database numbers it within its submission and stamps `asked_at`."""

    __tablename__ = "clarification"

    id: Mapped[Id]
    submission_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("submission.id"))
    number: Mapped[int]
    topic: Mapped[str]
    words: Mapped[str]
    language: Mapped[str]
    asked_at: Mapped[CreatedAt]
    asked_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    due_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]
    withdrawn_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    withdrawn_because: Mapped[str | None]

    submission: Mapped[Submission] = relationship()
    asker: Mapped[Person] = relationship(foreign_keys=[asked_by])
    withdrawer: Mapped[Person | None] = relationship(foreign_keys=[withdrawn_by])
    answer: Mapped["Answer | None"] = relationship(back_populates="clarification")
    extensions: Mapped[list["Extension"]] = relationship(order_by="Extension.extended_at")

    __table_args__ = (
        UniqueConstraint("submission_id", "number", name="clarification_number_is_unique"),
        CheckConstraint("length(trim(words)) > 0", name="clarification_says_something"),
        CheckConstraint(
            "withdrawn_at is null or length(trim(withdrawn_because)) > 0",
            name="clarification_is_withdrawn_with_a_reason",
        ),
    )


class Extension(Base):
    """More time for an answer. Insert-only; the database moves the question's `due_at` with it."""

    __tablename__ = "extension"

    id: Mapped[Id]
    clarification_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clarification.id"), index=True)
    due_from: Mapped[datetime]
    due_to: Mapped[datetime]
    extended_at: Mapped[CreatedAt]
    extended_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))

    extender: Mapped[Person] = relationship()


class Answer(Base):
    """The answer to a question, once. Insert-only; the database stamps `answered_at` and judges by `due_at`.

    `digest` is the SHA-256 of its canonical content; the files lie in the file store under theirs.
    """

    __tablename__ = "answer"

    clarification_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("clarification.id"), primary_key=True)
    words: Mapped[str]
    files: Mapped[list[Any]]
    digest: Mapped[str]
    answered_at: Mapped[CreatedAt]
    answered_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))

    clarification: Mapped[Clarification] = relationship(back_populates="answer")
    answerer: Mapped[Person] = relationship()

    __table_args__ = (CheckConstraint("length(trim(words)) > 0", name="answer_says_something"),)
