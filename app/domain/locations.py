"""The sites of a version as places: which can be drawn, and which lie outside the country that they were said to be in."""

from dataclasses import dataclass
from typing import Any

from app.domain import identifiers
from app.domain.parts import Sites


@dataclass(frozen=True)
class Location:
    """A site by its number in the form; degrees are None where none were given."""

    number: int
    name: str
    country: str | None
    nuts: str | None
    address: str | None
    latitude: float | None
    longitude: float | None

    @property
    def is_placed(self) -> bool:
        """Whether it can be drawn."""
        return self.latitude is not None and self.longitude is not None

    @property
    def is_doubtful(self) -> bool:
        """Whether its point seems to lie outside its country."""
        if self.latitude is None or self.longitude is None or self.country is None:
            return False
        return not identifiers.is_inside(self.latitude, self.longitude, self.country)


def of(sites: Sites | None, answers: dict[str, Any]) -> list[Location]:
    """The sites in the order of the form."""
    if sites is None:
        return []

    def part(item: dict[str, Any], name: str | None) -> Any:
        return item.get(name) if name else None

    return [
        Location(
            number,
            part(item, sites.name) or "",
            part(item, sites.country),
            part(item, sites.nuts),
            part(item, sites.address),
            _degrees(part(item, sites.latitude)),
            _degrees(part(item, sites.longitude)),
        )
        for number, item in enumerate(answers.get(sites.list) or [], start=1)
    ]


def _degrees(value: Any) -> float | None:
    return None if value is None else float(value)
