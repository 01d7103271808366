"""Europe on paper: the outlines of the member states, and where a point of the globe lies among them."""

import json
import re
from dataclasses import dataclass
from functools import cache
from math import cos, radians, sin, sqrt
from pathlib import Path

EARTH = 6371.0  # km
LATITUDE, LONGITUDE = radians(52), radians(10)  # where the projection of Europe's statistics has its centre
LEFT, TOP = -2650.0, -2350.0  # km from that centre to the corner of the map
DATA = Path(__file__).parent / "data" / "europe.json"
STEP = re.compile(r"-?\d+")


@dataclass(frozen=True)
class Frame:
    """A rectangle on the map, in kilometres."""

    left: float
    top: float
    width: float
    height: float


EUROPE = Frame(850, 150, 4060, 4040)


def project(latitude: float, longitude: float) -> tuple[float, float]:
    """Kilometres to the right and down on the map, by Lambert's equal-area projection, which keeps sizes comparable."""
    north, east = radians(latitude), radians(longitude) - LONGITUDE
    spread = 1 + sin(LATITUDE) * sin(north) + cos(LATITUDE) * cos(north) * cos(east)
    scale = EARTH * sqrt(2 / max(spread, 1e-9))
    x = scale * cos(north) * sin(east)
    y = scale * (cos(LATITUDE) * sin(north) - sin(LATITUDE) * cos(north) * cos(east))
    return x - LEFT, -y - TOP


@cache
def _drawn() -> tuple[dict[str, str], str]:
    found = json.loads(DATA.read_text(encoding="utf-8"))
    return found["members"], found["around"]


def members() -> dict[str, str]:
    """The outline of each member state by its ISO code, as an SVG path in kilometres."""
    return _drawn()[0]


def around() -> str:
    """The countries around them, as one SVG path."""
    return _drawn()[1]


@cache
def extent(country: str, is_mainland: bool = False) -> Frame | None:
    """The rectangle that holds a member state, or the largest part of it."""
    outline = members().get(country)
    if outline is None:
        return None
    xs, ys = [], []
    for part in outline.split("M")[1:2] if is_mainland else outline.split("M")[1:]:
        x = y = 0
        numbers = [int(n) for n in STEP.findall(part)]
        for dx, dy in zip(numbers[::2], numbers[1::2], strict=True):
            x, y = x + dx, y + dy
            xs.append(x)
            ys.append(y)
    return Frame(min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))


def around_all(countries: set[str], points: list[tuple[float, float]]) -> Frame:
    """The rectangle that holds countries and points, with room to spare; all of Europe where there is nothing to hold."""
    frames = [frame for country in countries if (frame := extent(country))]
    xs = [x for f in frames for x in (f.left, f.left + f.width)] + [x for x, _ in points]
    ys = [y for f in frames for y in (f.top, f.top + f.height)] + [y for _, y in points]
    if not xs:
        return EUROPE
    room = max(max(xs) - min(xs), max(ys) - min(ys), 40.0) * 0.08
    return Frame(min(xs) - room, min(ys) - room, max(xs) - min(xs) + 2 * room, max(ys) - min(ys) + 2 * room)
