"""Maps as numbers for the templates: the member states by how many there are, and the sites of a dossier."""

from dataclasses import dataclass

from app.domain import geography
from app.domain.geography import Frame
from app.domain.locations import Location

TONES = 5


@dataclass(frozen=True)
class Land:
    """A member state on the map; `tone` 0 is none, TONES the most."""

    code: str
    outline: str
    tone: int
    number: int
    x: float
    y: float


def europe(counts: dict[str, int]) -> list[Land]:
    """The member states, the more the darker, with a place for the number."""
    most = max(counts.values(), default=0)
    made = []
    for code, outline in geography.members().items():
        frame, number = geography.extent(code, is_mainland=True), counts.get(code, 0)
        if frame is None:
            continue
        tone = -(-number * TONES // most) if most else 0
        made.append(Land(code, outline, tone, number, frame.left + frame.width / 2, frame.top + frame.height / 2))
    return made


@dataclass(frozen=True)
class Spot:
    """A site on the map."""

    number: int
    name: str
    x: float
    y: float


@dataclass(frozen=True)
class Sheet:
    """The part of the map on which the sites lie; `unit` is a pixel at the width of the picture, in kilometres."""

    frame: Frame
    countries: tuple[str, ...]
    spots: tuple[Spot, ...]
    unit: float


def sheet(sites: list[Location]) -> Sheet | None:
    """The countries of the sites with a spot for each that has coordinates; None when no site has any."""
    spots = tuple(
        Spot(s.number, s.name, *geography.project(s.latitude, s.longitude))
        for s in sites
        if s.latitude is not None and s.longitude is not None
    )
    if not spots:
        return None
    countries = {s.country for s in sites if s.country in geography.members()}
    frame = geography.around_all({c for c in countries if c}, [(s.x, s.y) for s in spots])
    return Sheet(frame, tuple(sorted(c for c in countries if c)), spots, max(frame.width, frame.height) / 480)
