"""How a page of a register is found: a stretch of the index that holds the places of one column, from where another ended."""

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Integer, LargeBinary, Select, and_, any_, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import aliased

from app.models import Entry, Place, Submission


@dataclass(frozen=True)
class Way:
    """By which column, which way, beyond the entry of a reference or from an end, and to which entries.

    `to` is all of them, `few` positions, or a `set` with a bit for each position, so that no row is read to tell.
    """

    column: str
    is_descending: bool
    is_backwards: bool
    is_begun: bool
    to: Literal["all", "few", "set"]


def stretch(way: Way, *conditions: ColumnElement[bool]) -> Select[int, int]:
    """Positions and places of the call bound as `call`, with `start`, `few`, `held` and the `size` of the register.

    `conditions` on entries are asked one at a time along the way, so that the walk can end early.
    """
    spot = Place.down if way.is_descending else Place.up
    found = select(Place.position, spot.label("place")).where(
        Place.call_id == bindparam("call"), Place.name == way.column
    )
    if way.is_backwards:
        found = found.where(spot < func.coalesce(_spot(way, spot), bindparam("size", type_=Integer) + 1))
        found = found.order_by(spot.desc())
    else:
        found = found.where(spot > (func.coalesce(_spot(way, spot), 0) if way.is_begun else 0)).order_by(spot)
    if way.to == "few":
        return found.where(Place.position == any_(bindparam("few", type_=ARRAY(Integer))))
    if way.to == "set":
        found = found.where(func.get_bit(bindparam("held", type_=LargeBinary), Place.position) == 1)
    if conditions:
        entry = select(and_(*conditions)).where(Entry.call_id == Place.call_id, Entry.position == Place.position)
        found = found.where(entry.correlate(Place).scalar_subquery())
    return found


def _spot(way: Way, spot: Any) -> Any:
    """Where the entry with a reference stands. Addresses hold references: a place would tell of what stands in between."""
    anchor = aliased(Place)
    return (
        select(anchor.down if spot is Place.down else anchor.up)
        .join(Entry, (Entry.call_id == anchor.call_id) & (Entry.position == anchor.position))
        .join(Submission, Submission.id == Entry.submission_id)
        .where(Submission.reference == bindparam("start"))
        .where(anchor.call_id == bindparam("call"), anchor.name == way.column)
        .scalar_subquery()
    )
