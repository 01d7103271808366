"""The register of a sealed call, prepared once: its entries and their places, what they are counted by, and saved views."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, LargeBinary, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.models.accounts import Person
from app.models.base import Base, CreatedAt, Id
from app.models.calls import Call


class Entry(Base):
    """One sealed submission as the register lists it, at the position of its leaf; `labels` is what it is counted by."""

    __tablename__ = "entry"

    call_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    submission_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("submission.id"))
    version_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("version.id"))
    reference: Mapped[str]
    title: Mapped[str]
    organisation: Mapped[str]
    kind: Mapped[str]
    country: Mapped[str]
    received_at: Mapped[datetime]
    number: Mapped[int]
    is_consented: Mapped[bool]
    is_withdrawn: Mapped[bool]
    facts: Mapped[dict[str, Any]]
    warnings: Mapped[list[str]] = mapped_column(ARRAY(Text))
    flags: Mapped[list[str]] = mapped_column(ARRAY(Text))
    labels: Mapped[list[str]] = mapped_column(ARRAY(Text))
    words: Mapped[Any] = mapped_column(TSVECTOR)

    __table_args__ = (
        ForeignKeyConstraint(["call_id", "position"], ["leaf.call_id", "leaf.position"], name="fk_entry_leaf"),
        UniqueConstraint("submission_id", name="submission_is_entered_once"),
        Index("ix_entry_words", "words", postgresql_using="gin"),
    )


class Place(Base):
    """Where an entry stands when its register is sorted by a column: counted from the front, and from the back.

    What has no value stands last both ways, so that a page is one walk along an index from where the last one ended.
    """

    __tablename__ = "place"

    call_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    up: Mapped[int]
    down: Mapped[int]

    __table_args__ = (
        ForeignKeyConstraint(["call_id", "position"], ["entry.call_id", "entry.position"], name="fk_place_entry"),
        Index("ix_place_up", "call_id", "name", "up", unique=True, postgresql_include=["position"]),
        Index("ix_place_down", "call_id", "name", "down", unique=True, postgresql_include=["position"]),
    )


class FacetValue(Base):
    """The entries that one value of a facet counts, a bit for each position, the first in the lowest bit."""

    __tablename__ = "facet_value"

    call_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("call.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[str] = mapped_column(primary_key=True)
    bits: Mapped[bytes] = mapped_column(LargeBinary)


class Trait(Base):
    """What an entry may share with others, a site or a member, under a key by which to find them."""

    __tablename__ = "trait"

    call_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    sort: Mapped[str]
    key: Mapped[str]
    name: Mapped[str]
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]

    __table_args__ = (
        ForeignKeyConstraint(["call_id", "position"], ["entry.call_id", "entry.position"], name="fk_trait_entry"),
        Index("ix_trait_key", "call_id", "sort", "key"),
    )


class Listing(Base):
    """That the register of a call is prepared, and the smallest number of each column that is added up."""

    __tablename__ = "listing"

    call_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("call.id"), primary_key=True)
    size: Mapped[int]
    least: Mapped[dict[str, Any]]
    prepared_at: Mapped[CreatedAt]


class View(Base):
    """A way of looking at a register that somebody kept: its columns, filters and order, as its address has them."""

    __tablename__ = "view"

    id: Mapped[Id]
    call_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("call.id"))
    person_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("person.id"))
    name: Mapped[str]
    query: Mapped[str]
    is_shared: Mapped[bool]
    created_at: Mapped[CreatedAt]

    person: Mapped[Person] = relationship()
    call: Mapped[Call] = relationship()

    __table_args__ = (
        CheckConstraint("length(trim(name)) > 0", name="view_has_a_name"),
        UniqueConstraint("call_id", "person_id", "name", name="view_name_is_unique"),
    )
