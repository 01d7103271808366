"""How a page of a register is found: a stretch of the index that holds the places of one column, from where another ended."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Integer, LargeBinary, Select, and_, any_, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import aliased

from app.models import Call, Entry, Place, Submission


def stretch(
    call: Call, column: str, is_descending: bool, size: int, after: str | None, before: str | None
) -> Select[int, int]:
    """Positions and places by a column, beyond the entry with reference `after`, or backwards from the one `before`."""
    spot = Place.down if is_descending else Place.up
    found = select(Place.position, spot.label("place")).where(Place.call_id == call.id, Place.name == column)
    if before is not None:
        return found.where(spot < func.coalesce(_spot(call, column, spot, before), size + 1)).order_by(spot.desc())
    return found.where(spot > (func.coalesce(_spot(call, column, spot, after), 0) if after else 0)).order_by(spot)


def at(found: Select[int, int], few: Sequence[int]) -> Select[int, int]:
    """Those at a few positions."""
    return found.where(Place.position == any_(cast(list(few), ARRAY(Integer))))


def of_set(found: Select[int, int], held: bytes) -> Select[int, int]:
    """Those in a set, a bit for each position: no row is read to tell."""
    return found.where(func.get_bit(cast(held, LargeBinary), Place.position) == 1)


def meeting(found: Select[int, int], *conditions: ColumnElement[bool]) -> Select[int, int]:
    """Those whose entries meet conditions, asked one at a time along the way, so that the walk can end early."""
    entry = select(and_(*conditions)).where(Entry.call_id == Place.call_id, Entry.position == Place.position)
    return found.where(entry.correlate(Place).scalar_subquery())


def _spot(call: Call, column: str, spot: Any, reference: str) -> Any:
    """Where the entry with a reference stands. Addresses hold references: a place would tell of what stands in between."""
    anchor = aliased(Place)
    return (
        select(anchor.down if spot is Place.down else anchor.up)
        .join(Entry, (Entry.call_id == anchor.call_id) & (Entry.position == anchor.position))
        .join(Submission, Submission.id == Entry.submission_id)
        .where(Submission.reference == reference, anchor.call_id == call.id, anchor.name == column)
        .scalar_subquery()
    )
