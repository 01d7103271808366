"""Where a call's answers hold what the desk draws and compares: entities and owners, sites, milestones, money."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Owners:
    """The list of owners inside an entity; `share` is of the entity itself, or of the one named under `via`."""

    list: str
    name: str
    country: str | None = None
    share: str | None = None
    votes: str | None = None
    via: str | None = None


@dataclass(frozen=True)
class Entities:
    """The list of organisations taking part; the lead is the one whose `role` is `lead`.

    `country` is that of the head office; `registration` the number in the trade register of the country `incorporated`.
    """

    list: str
    name: str
    role: str | None = None
    lead: str | None = None
    country: str | None = None
    address: str | None = None
    registration: str | None = None
    incorporated: str | None = None
    owners: Owners | None = None


@dataclass(frozen=True)
class Sites:
    """The list of sites."""

    list: str
    name: str
    country: str | None = None
    nuts: str | None = None
    latitude: str | None = None
    longitude: str | None = None
    address: str | None = None


@dataclass(frozen=True)
class Milestones:
    """The list of milestones; `sort` is the choice that names one to which no name of its own was given."""

    list: str
    name: str
    day: str
    sort: str | None = None


@dataclass(frozen=True)
class Ceiling:
    """Amounts that are together at most a limit (percent) of another: `of`, a question that holds money."""

    label: dict[str, str]
    amounts: tuple[str, ...]
    of: str
    most: str


@dataclass(frozen=True)
class Funding:
    """The total and its sources: each names a question that holds money, or `list.question` for the sum of a list."""

    total: str
    private: tuple[str, ...]
    public: tuple[str, ...]
    ceilings: tuple[Ceiling, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """All sources, the private ones first."""
        return self.private + self.public


@dataclass(frozen=True)
class Spread:
    """A distribution of a register column, or of it in percent of another, over bins that begin at `edges`."""

    name: str
    label: dict[str, str]
    column: str
    edges: tuple[str, ...]
    share_of: str | None = None


@dataclass(frozen=True)
class Parts:
    """All of it; a part that a call does not have is None, or empty."""

    entities: Entities | None = None
    sites: Sites | None = None
    milestones: Milestones | None = None
    funding: Funding | None = None
    spreads: tuple[Spread, ...] = ()


def build(body: dict[str, Any]) -> Parts:
    """The parts of a checked definition."""
    entities, funding = body.get("entities"), body.get("funding")
    return Parts(
        entities=_entities(entities) if entities else None,
        sites=Sites(**body["sites"]) if "sites" in body else None,
        milestones=Milestones(**body["milestones"]) if "milestones" in body else None,
        funding=_funding(funding) if funding else None,
        spreads=tuple(Spread(**(s | {"edges": tuple(s["edges"])})) for s in body.get("spreads", [])),
    )


def _entities(body: dict[str, Any]) -> Entities:
    owners = body.get("owners")
    return Entities(**(body | {"owners": Owners(**owners) if owners else None}))


def _funding(body: dict[str, Any]) -> Funding:
    ceilings = tuple(Ceiling(**(c | {"amounts": tuple(c["amounts"])})) for c in body.get("ceilings", []))
    return Funding(body["total"], tuple(body["private"]), tuple(body["public"]), ceilings)
