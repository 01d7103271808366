"""What may change of an entry of a register after the seal, read anew each time: release, progress, readers, tags."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, literal, or_, select

from app.models import Entry, Person, Progress, Release, Tag

_name = func.coalesce(func.nullif(Person.name, ""), Person.email)
_reads = or_(Progress.first_id == Person.id, Progress.second_id == Person.id)
_hangs = Tag.removed_at.is_(None)

# To show beside an entry.
is_released: ColumnElement[bool] = exists().where(
    Release.submission_id == Entry.submission_id, Release.taken_back_at.is_(None)
)
progress: ColumnElement[str] = func.coalesce(
    select(Progress.state).where(Progress.submission_id == Entry.submission_id).correlate(Entry).scalar_subquery(),
    "to_assign",
)
readers: ColumnElement[Any] = func.array(
    select(_name)
    .join(Progress, _reads)
    .where(Progress.submission_id == Entry.submission_id)
    .order_by(_name)
    .correlate(Entry)
    .scalar_subquery()
)
tags: ColumnElement[Any] = func.array(
    select(Tag.name)
    .where(Tag.submission_id == Entry.submission_id, _hangs)
    .order_by(Tag.name)
    .correlate(Entry)
    .scalar_subquery()
)


@dataclass(frozen=True)
class Current:
    """To filter and count by: `pairs` of a submission with a value; what is in none has the value `rest`."""

    pairs: Select[Any, Any]
    rest: str

    def is_one_of(self, values: tuple[str, ...]) -> ColumnElement[bool]:
        """Whether an entry has one of the values."""
        pairs = self.pairs.subquery()
        found = Entry.submission_id.in_(select(pairs.c.submission_id).where(pairs.c.value.in_(values)))
        return or_(found, Entry.submission_id.not_in(select(pairs.c.submission_id))) if self.rest in values else found


released = Current(
    select(Release.submission_id, literal("yes").label("value")).where(Release.taken_back_at.is_(None)), "no"
)
state = Current(select(Progress.submission_id, Progress.state.label("value")), "to_assign")
reader = Current(select(Progress.submission_id, _name.label("value")).join(Person, _reads), "-")
tag = Current(select(Tag.submission_id, Tag.name.label("value")).where(_hangs), "-")
