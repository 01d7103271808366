"""How many entries a register counts, whatever it is filtered by: sets of entries as numbers, a bit for each position.

What is sealed never changes, so each process reads the sets of a call once and keeps them. A count is the bits that two
sets share; a sum is counted bit by bit over the binary digits of what is added up.
"""

import uuid
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from app.domain import columns
from app.domain.columns import FACT
from app.domain.questionnaire import Questionnaire
from app.models import Entry, FacetValue, Listing

KEPT = 8  # calls whose sets a process holds
SUM = "sum:"  # before the name of a column: the sets of its binary digits, and which entries have a number at all
PRESENT = "present"
READ = 1000


@dataclass(frozen=True)
class Sets:
    """The sets of one call: by facet and value, and by summed column and binary digit."""

    size: int
    prepared_at: datetime
    by_facet: dict[str, dict[str, int]]
    digits: dict[str, dict[str, int]]
    least: dict[str, int]

    @property
    def everything(self) -> int:
        """The set of all entries."""
        return (1 << self.size) - 1

    def total(self, column: str, within: int) -> int:
        """The sum of a column over a set, scaled as `columns.scaled` does."""
        digits = self.digits.get(SUM + column, {})
        counted = (digits.get(PRESENT, 0) & within).bit_count()
        parts = ((held & within).bit_count() << int(digit) for digit, held in digits.items() if digit != PRESENT)
        return self.least.get(column, 0) * counted + sum(parts)


_held: OrderedDict[uuid.UUID, Sets] = OrderedDict()


def of(db: Session, listing: Listing) -> Sets:
    """The sets of a prepared register."""
    kept = _held.get(listing.call_id)
    if kept is None or kept.prepared_at != listing.prepared_at:
        kept = _read(db, listing)
        _held[listing.call_id] = kept
        while len(_held) > KEPT:
            _held.popitem(last=False)
    return kept


def _read(db: Session, listing: Listing) -> Sets:
    by_facet: dict[str, dict[str, int]] = {}
    digits: dict[str, dict[str, int]] = {}
    stored = select(FacetValue.name, FacetValue.value, FacetValue.bits).where(FacetValue.call_id == listing.call_id)
    for name, value, bits in db.execute(stored):
        place = digits if name.startswith(SUM) else by_facet
        place.setdefault(name, {})[value] = int.from_bytes(bits, "little")
    return Sets(listing.size, listing.prepared_at, by_facet, digits, listing.least)


def store(db: Session, call_id: uuid.UUID, questions: Questionnaire, size: int) -> dict[str, int]:
    """Make the sets of a call of its entries; the least number of each summed column."""
    summed = {FACT + c.name: c for c in questions.register if c.sum}
    sets: dict[tuple[str, str], bytearray] = {}
    numbers: dict[str, dict[int, int]] = {name: {} for name in summed}
    rows = select(Entry.position, Entry.labels, Entry.facts).where(Entry.call_id == call_id)
    for position, labels, facts in db.execute(rows.execution_options(yield_per=READ)):
        for label in labels:
            name, _, value = label.partition("=")
            _put(sets, name, value, position, size)
        for name, column in summed.items():
            if (number := facts.get(column.name)) is not None:
                numbers[name][position] = columns.scaled(column.kind, number)
    least = {name: min(held.values(), default=0) for name, held in numbers.items()}
    for name, held in numbers.items():
        for position, number in held.items():
            _put(sets, SUM + name, PRESENT, position, size)
            above = number - least[name]
            while above:
                digit = above & -above
                _put(sets, SUM + name, str(digit.bit_length() - 1), position, size)
                above ^= digit
    if sets:
        made = [{"name": n, "value": v, "bits": bytes(bits)} for (n, v), bits in sets.items()]
        db.execute(insert(FacetValue).values(call_id=call_id), made)
    return least


def _put(sets: dict[tuple[str, str], bytearray], name: str, value: str, position: int, size: int) -> None:
    bits = sets.get((name, value))
    if bits is None:
        bits = sets[name, value] = bytearray(size // 8 + 1)
    bits[position >> 3] |= 1 << (position & 7)


def positions(held: int) -> list[int]:
    """The positions in a set, ascending."""
    found = []
    for place, byte in enumerate(held.to_bytes((held.bit_length() + 7) // 8, "little")):
        if byte:
            found += [place * 8 + bit for bit in range(8) if byte >> bit & 1]
    return found


def of_positions(found: Iterable[int], size: int) -> int:
    """The set of some positions."""
    bits = bytearray(size // 8 + 1)
    for position in found:
        bits[position >> 3] |= 1 << (position & 7)
    return int.from_bytes(bits, "little")


def any_of(by_value: dict[str, int], values: Iterable[str]) -> int:
    """What has one of the values."""
    found = 0
    for value in values:
        found |= by_value.get(value, 0)
    return found


def all_of(held: dict[str, int]) -> int:
    """What all sets share; everything (all bits) where there is none."""
    rest = -1
    for one in held.values():
        rest &= one
    return rest


def as_bytes(held: int, size: int) -> bytes:
    """A set as the database reads it."""
    return held.to_bytes(size // 8 + 1, "little")


def sums(sets: Sets, questions: Questionnaire, within: int) -> dict[str, Decimal]:
    """The sums of the columns that the call file asks to be summed, over a set; none where nothing has a number."""
    found: dict[str, Decimal] = {}
    for column in questions.register:
        name = FACT + column.name
        if column.sum and sets.digits.get(SUM + name, {}).get(PRESENT, 0) & within:
            found[name] = columns.unscaled(column.kind, sets.total(name, within))
    return found
