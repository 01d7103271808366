"""Pictures as numbers for the templates: bars and columns in percent of the width, graphs and maps in units of their own."""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.domain import portrait
from app.domain.funding import Waterfall
from app.domain.overview import Picture, Row
from app.domain.ownership import Ownership, in_percent
from app.domain.portrait import Portrait, Table
from app.domain.timeline import Milestone
from app.web import maps

LETTERS, LINE, THICK, GAP = 34, 20, 18, 14  # letters on a line at the width of a telephone; pixels
BOX, ROOM, TALL, RISE, LANE = 164, 24, 62, 64, 56  # a box of the graph, pixels
COLUMN = 150


@dataclass(frozen=True)
class Bar:
    """A bar and its words: pixels from the top, and percent of the width."""

    lines: tuple[str, ...]
    value: str
    top: int
    begins: float
    width: float
    tone: str

    @property
    def bar_top(self) -> int:
        """Where the bar begins, below its words."""
        return self.top + LINE * len(self.lines) + 4


@dataclass(frozen=True)
class Drawing:
    """Bars below each other."""

    bars: tuple[Bar, ...]

    @property
    def height(self) -> int:
        """All of it, in pixels."""
        return self.bars[-1].bar_top + THICK + 4 if self.bars else 0


def bars(given: Iterable[tuple[str, str, Decimal, Decimal, str]], full: Decimal) -> Drawing:
    """Bars of label, value in words, where it begins, how long it is, and tone; `full` is as long as the picture is wide."""
    made: list[Bar] = []
    top, whole = 0, full or Decimal(1)
    for label, value, begins, size, tone in given:
        lines = tuple(textwrap.wrap(label, LETTERS)) or ("–",)
        start = min(max(float(begins * 100 / whole), 0.0), 100.0)
        width = min(max(float(size * 100 / whole), 0.0), 100.0 - start)
        made.append(Bar(lines, value, top, round(start, 2), round(width, 2), tone))
        top = made[-1].bar_top + THICK + GAP
    return Drawing(tuple(made))


@dataclass(frozen=True)
class Post:
    """A column of a histogram over time: percent of the width, pixels of height."""

    left: float
    width: float
    tall: int
    words: str


@dataclass(frozen=True)
class Posts:
    """Columns beside each other, with the words below the first, the middle and the last, and the most of any."""

    posts: tuple[Post, ...]
    first: str
    middle: str
    last: str
    most: int


def posts(rows: Sequence[Row]) -> Posts:
    """Columns of counts in the order given."""
    most, width = max(row.number for row in rows), 100 / len(rows)
    made = tuple(
        Post(
            round(n * width + width * 0.1, 3),
            round(width * 0.8, 3),
            round(COLUMN * row.number / (most or 1)),
            f"{row.label}: {row.number}",
        )
        for n, row in enumerate(rows)
    )
    middle = rows[len(rows) // 2].label if len(rows) > 6 else ""
    return Posts(made, rows[0].label, middle, rows[-1].label if len(rows) > 1 else "", most)


def picture(given: Picture, language: str) -> Drawing | Posts | list[maps.Land]:
    """A picture of the overview, drawn by its shape."""
    if given.shape == "map":
        return maps.europe({row.key: row.number for row in given.rows})
    if given.shape == "columns":
        return posts(given.rows)
    most = max(row.size for row in given.rows)
    return bars(((r.label, _words(r, language), Decimal(0), r.size, "plain") for r in given.rows), most)


def _words(row: Row, language: str) -> str:
    return str(row.number) if row.amount is None else portrait.euros(row.amount, language)


def waterfall(found: Waterfall, language: str) -> Drawing:
    """Each source from where those before it end; below them the total."""
    full = max(found.total or Decimal(0), found.sum)
    rows = [
        (
            _text(s.label, language),
            portrait.euros(s.amount, language),
            s.begins_at,
            s.amount or Decimal(0),
            _side(s.is_public),
        )
        for s in found.sources
    ]
    if found.total is not None:
        label = _text(found.label, language)
        rows.append((label, portrait.euros(found.total, language), Decimal(0), found.total, "total"))
    return bars(rows, full)


def _side(is_public: bool) -> str:
    return "public" if is_public else "private"


def _text(words: dict[str, str], language: str) -> str:
    return words.get(language) or words["en"]


@dataclass(frozen=True)
class Box:
    """A party in the graph of owners."""

    lines: tuple[str, ...]
    country: str
    x: int
    y: int
    tone: str


@dataclass(frozen=True)
class Arrow:
    """A stake, drawn through points from holder to what is held; `at` is where its words stand."""

    points: str
    words: str
    is_known: bool
    at: tuple[int, int]


@dataclass(frozen=True)
class Graph:
    """Holders above what they hold."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def graph(owned: Ownership, language: str) -> Graph:
    """The organisation at the bottom, each holder above all that it holds as far as circles allow."""
    level = _levels(owned)
    rows: dict[int, list[str]] = {}
    for party in owned.parties:
        rows.setdefault(level[party.key], []).append(party.key)
    widest, deepest = max(map(len, rows.values())), max(rows)
    width = widest * (BOX + ROOM) - ROOM
    place: dict[str, tuple[int, int]] = {}
    for depth, keys in rows.items():
        left = (width - len(keys) * (BOX + ROOM) + ROOM) // 2
        place |= {k: (left + n * (BOX + ROOM), (deepest - depth) * (TALL + RISE)) for n, k in enumerate(keys)}
    lines = {h.holder.key: h.line for h in owned.holdings}
    boxes = tuple(
        Box(
            _wrapped(party.name),
            party.country or "",
            *place[party.key],
            "entity" if party.key == owned.entity.key else lines.get(party.key) or "minor",
        )
        for party in owned.parties
    )
    arrows, lane = [], width + ROOM
    for stake in owned.stakes:
        holder, held = place[stake.holder], place[stake.held]
        is_next = level[stake.holder] == level[stake.held] + 1
        points, at = _straight(holder, held) if is_next else _around(holder, held, lane)
        lane += 0 if is_next else LANE
        share = in_percent(stake.share)
        words = "?" if share is None else portrait.percent(share, language)
        arrows.append(Arrow(" ".join(f"{x},{y}" for x, y in points), words, share is not None, at))
    wide = lane if lane > width + ROOM else width
    return Graph(wide, (deepest + 1) * (TALL + RISE) - RISE, boxes, tuple(arrows))


Point = tuple[int, int]


def _straight(holder: Point, held: Point) -> tuple[list[Point], Point]:
    x1, y1, x2, y2 = holder[0] + BOX // 2, holder[1] + TALL, held[0] + BOX // 2, held[1]
    return [(x1, y1), (x2, y2)], (x1 + (x2 - x1) // 3, y1 + (y2 - y1) // 3 + 5)


def _around(holder: Point, held: Point, lane: int) -> tuple[list[Point], Point]:
    """Past the boxes in between, by a lane of its own at the right; upwards where owners own each other."""
    is_down = holder[1] < held[1]
    x1, x2 = holder[0] + BOX * 3 // 4, held[0] + BOX * 3 // 4
    y1, y2 = (holder[1] + TALL, held[1]) if is_down else (holder[1], held[1] + TALL)
    out, back = (y1 + RISE // 2, y2 - RISE // 3) if is_down else (y1 - RISE // 2, y2 + RISE // 3)
    points = [(x1, y1), (x1, out), (lane, out), (lane, back), (x2, back), (x2, y2)]
    return points, (lane, (out + back) // 2 + 5)


def _levels(owned: Ownership) -> dict[str, int]:
    """How many stakes lie between each party and the organisation, on its longest way that meets nobody twice."""
    level = {owned.entity.key: 0}
    waiting = [(owned.entity.key, frozenset([owned.entity.key]))]
    above: dict[str, list[str]] = {}
    for stake in owned.stakes:
        above.setdefault(stake.held, []).append(stake.holder)
    for held, met in waiting:
        for holder in above.get(held, []):
            if holder not in met and level[held] + 1 > level.get(holder, 0) and len(waiting) < 5000:
                level[holder] = level[held] + 1
                waiting.append((holder, met | {holder}))
    rows = {depth: row for row, depth in enumerate(sorted(set(level.values())))}  # circles may leave rows empty
    return {party: rows[depth] for party, depth in level.items()}


def _wrapped(name: str) -> tuple[str, ...]:
    lines = textwrap.wrap(name, 20)
    return tuple(lines[:1] + [textwrap.shorten(" ".join(lines[1:]), 20, placeholder="…")] if len(lines) > 1 else lines)


@dataclass(frozen=True)
class Dot:
    """A milestone on its own line, percent from the left."""

    words: str
    day: str
    top: int
    along: float


def line(found: list[Milestone], language: str) -> tuple[Dot, ...]:
    """The milestones below each other, each as far to the right as it is late."""
    return tuple(
        Dot(portrait.called(m, language)[:40], portrait.day(m, language), n * 72, round(2 + 96 * m.along, 2))
        for n, m in enumerate(found)
    )


def dossier(found: Portrait, language: str) -> list[tuple[Table, Any]]:
    """Each table of a dossier with what is drawn above it; None where nothing can be drawn."""
    drawn: list[Any] = [graph(owned, language) for owned in found.owned]
    if found.money:
        drawn.append(waterfall(found.money, language))
    if found.sites:
        drawn.append(maps.sheet(found.sites))
    if found.milestones:
        drawn.append(line(found.milestones, language))
    return list(zip(portrait.tables(found, language), drawn, strict=True))
