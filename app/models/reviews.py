"""What staff state and decide about dossiers, apart from what respondents wrote."""

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.accounts import Person
from app.models.base import Base, CreatedAt, Id
from app.models.submissions import Submission, Version


class Conflict(Base):
    """What one member of staff stated about their interest in one dossier; the live one counts, earlier ones are kept."""

    __tablename__ = "conflict"

    id: Mapped[Id]
    submission_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("submission.id"), index=True)
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    level: Mapped[str]
    reason: Mapped[str]
    stated_at: Mapped[CreatedAt]
    replaced_at: Mapped[datetime | None]

    person: Mapped[Person] = relationship()
    submission: Mapped[Submission] = relationship()

    __table_args__ = (
        CheckConstraint("level in ('none', 'possible', 'conflict')", name="conflict_level_is_known"),
        CheckConstraint("level = 'none' or length(trim(reason)) > 0", name="conflict_has_a_reason"),
        Index(
            "conflict_is_stated_once",
            "person_id",
            "submission_id",
            unique=True,
            postgresql_where=text("replaced_at is null"),
        ),
    )


class Release(Base):
    """A dossier given to EuroHPC, by a coordinator or (`released_by` null) by the seal; live until taken back."""

    __tablename__ = "release"

    id: Mapped[Id]
    submission_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("submission.id"), index=True)
    version_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("version.id"))
    released_at: Mapped[CreatedAt]
    released_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    taken_back_at: Mapped[datetime | None]
    taken_back_by: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("person.id"))
    reason: Mapped[str | None]

    submission: Mapped[Submission] = relationship()
    version: Mapped[Version] = relationship()
    releaser: Mapped[Person | None] = relationship(foreign_keys=[released_by])
    taker: Mapped[Person | None] = relationship(foreign_keys=[taken_back_by])

    __table_args__ = (
        CheckConstraint(
            "taken_back_at is null or length(trim(reason)) > 0", name="release_is_taken_back_with_a_reason"
        ),
        Index(
            "submission_is_released_once",
            "submission_id",
            unique=True,
            postgresql_where=text("taken_back_at is null"),
        ),
    )


class Conclusion(Base):
    """RVO has finished with a call: respondents read from then on that it is closed. Insert-only."""

    __tablename__ = "conclusion"

    call_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("call.id"), primary_key=True)
    concluded_at: Mapped[CreatedAt]
    concluded_by: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))

    concluder: Mapped[Person] = relationship()
