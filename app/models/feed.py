"""What went to EuroHPC, in the order of commits, and what EuroHPC says it has."""

import uuid
from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.base import Base, CreatedAt, Id
from app.models.credentials import ApiKey
from app.models.submissions import Submission, Version


class Feed(Base):
    """How many entries the feed of a call has. The database bumps it as the last thing before a commit."""

    __tablename__ = "feed"

    call_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("call.id"), primary_key=True)
    last: Mapped[int] = mapped_column(BigInteger)


class FeedEntry(Base):
    """A submission released, replaced or withdrawn, numbered in the order of commits without gaps. Made by the database."""

    __tablename__ = "feed_entry"

    call_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("call.id"), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str]
    submission_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("submission.id"))
    version_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("version.id"))
    release_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("release.id"))
    at: Mapped[datetime]

    submission: Mapped[Submission] = relationship()
    version: Mapped[Version] = relationship()

    __table_args__ = (
        CheckConstraint("kind in ('released', 'replaced', 'withdrawn', 'exceptional')", name="entry_kind_is_known"),
        Index("ix_feed_entry_submission_id", "submission_id", "number"),
    )


class Turn(Base):
    """A release or take-back whose transaction has not committed yet and that waits for its number; never seen outside it."""

    __tablename__ = "turn"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    release_id: Mapped[uuid.UUID]
    is_back: Mapped[bool]


class Epoch(Base):
    """A history of the data: a restore begins another, so that a cursor of the one before is not believed."""

    __tablename__ = "epoch"

    number: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    name: Mapped[uuid.UUID] = mapped_column(server_default=text("gen_random_uuid()"))
    began_at: Mapped[CreatedAt]


class Delivery(Base):
    """EuroHPC's word that it has what was released, with these of its files (SHA-256, ascending). Insert-only; all count."""

    __tablename__ = "delivery"

    id: Mapped[Id]
    submission_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("submission.id"))
    version_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("version.id"))
    release_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("release.id"))
    api_key_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("api_key.id"))
    files: Mapped[list[str]]
    delivered_at: Mapped[CreatedAt]

    submission: Mapped[Submission] = relationship()
    version: Mapped[Version] = relationship()
    api_key: Mapped[ApiKey] = relationship()

    __table_args__ = (
        UniqueConstraint("release_id", "api_key_id", "files", name="delivery_is_acknowledged_once"),
        Index("ix_delivery_submission_id", "submission_id", "delivered_at"),
    )
