"""What is asked, and from when until when."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Computed, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.base import Base, CreatedAt, Id


class Definition(Base):
    """A call file as published. Never changed: a version is judged by the definition it answered.

    What the database itself must know of it stands beside it: whether mandates and the lead's confirmation are asked.
    """

    __tablename__ = "definition"

    digest: Mapped[str] = mapped_column(primary_key=True)
    body: Mapped[dict[str, Any]] = mapped_column(JSON)  # not JSONB: the order of the file is the order of the form
    created_at: Mapped[CreatedAt]
    asks_mandates: Mapped[bool] = mapped_column(Computed("coalesce(body ->> 'mandates' = 'required', false)"))
    asks_confirmation: Mapped[bool] = mapped_column(Computed("coalesce(body ->> 'confirmation' = 'lead', false)"))


class Call(Base):
    """One round: a definition with its window `[opens_at, closes_at)`. The serving role may only read it."""

    __tablename__ = "call"

    id: Mapped[Id]
    code: Mapped[str] = mapped_column(unique=True)
    definition_digest: Mapped[str] = mapped_column(ForeignKey("definition.digest"))
    opens_at: Mapped[datetime]
    closes_at: Mapped[datetime]
    zone: Mapped[str]
    release: Mapped[str] = mapped_column(server_default="at_seal")
    is_synthetic: Mapped[bool] = mapped_column(server_default="false")
    published_at: Mapped[CreatedAt]
    sealed_at: Mapped[datetime | None]

    definition: Mapped[Definition] = relationship()

    __table_args__ = (
        CheckConstraint("opens_at < closes_at", name="call_opens_before_it_closes"),
        CheckConstraint("release in ('at_seal', 'by_coordinator')", name="call_release_is_known"),
        CheckConstraint("code ~ '^[a-z0-9][a-z0-9-]{1,60}$'", name="call_code_is_a_slug"),
    )
