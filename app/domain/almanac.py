"""The almanac: reference data with the day as of which they hold and where they were read, shipped beside the code."""

from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import yaml

NAMES = ("rrf", "joint_procurement")
FOLDER = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Leaflet:
    """One set of reference data. `states` are the member states it holds for; after `last_day` its money is too late."""

    name: str
    as_of: date
    title: dict[str, str]
    lines: tuple[dict[str, Any], ...]
    states: frozenset[str] = frozenset()
    last_day: date | None = None


@cache
def leaflet(name: str) -> Leaflet:
    """The reference data of this name."""
    body = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return Leaflet(
        name,
        body["as_of"],
        body["title"],
        tuple(body["lines"]),
        frozenset(body.get("states", ())),
        body.get("last_day"),
    )


def all_leaflets() -> list[Leaflet]:
    """All of it."""
    return [leaflet(name) for name in NAMES]
