"""Who owns an organisation in the end: shares multiplied along each chain and chains added (AMLR Art. 52), exactly."""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from app.domain.parts import Entities, Owners

INTEREST, CONTROL = Fraction(25), Fraction(50)  # percent: at least 25 is an ownership interest, more than 50 is control
CHAINS, LEVELS = 500, 20  # followed for one organisation; beyond them a share is said to be at least what was found


@dataclass(frozen=True)
class Party:
    """An organisation taking part, or an owner, known by its name; `is_entity` when it takes part."""

    key: str
    name: str
    country: str | None
    is_entity: bool = False
    is_lead: bool = False


@dataclass(frozen=True)
class Stake:
    """What one party holds of another, in percent; None where nobody told. Votes not given are taken as the shares."""

    holder: str
    held: str
    share: Fraction | None
    votes: Fraction | None


@dataclass(frozen=True)
class Holding:
    """What a holder has of an organisation in the end, in percent; None when not one chain can be computed.

    `is_least` when there is more than could be computed; `is_ultimate` when nobody else stands above it.
    """

    holder: Party
    share: Fraction | None
    votes: Fraction | None
    chains: tuple[tuple[str, ...], ...]
    is_ultimate: bool
    is_least: bool

    @property
    def line(self) -> str | None:
        """The line that it crosses: `control`, `interest` or None. The greater of shares and votes counts."""
        most = max((part for part in (self.share, self.votes) if part is not None), default=Fraction(0))
        return "control" if most > CONTROL else "interest" if most >= INTEREST else None


@dataclass(frozen=True)
class Ownership:
    """The owners of one organisation: parties, stakes between them, and what each holder has in the end."""

    entity: Party
    parties: tuple[Party, ...]
    stakes: tuple[Stake, ...]
    holdings: tuple[Holding, ...]
    is_circular: bool

    @property
    def unexplained(self) -> Fraction:
        """The part of the organisation (percent) of which no direct owner is given."""
        direct = (s.share for s in self.stakes if s.held == self.entity.key and s.share is not None)
        return max(Fraction(0), 100 - sum(direct, Fraction(0)))


def key(name: str) -> str:
    """What a name is compared by: capitals and spaces make no difference."""
    return " ".join(name.split()).casefold()


def in_percent(share: Fraction | None) -> Decimal | None:
    """A share with four decimals, cut off: what is shown never crosses a line that the share itself does not."""
    return None if share is None else Decimal(int(share * 10_000)) / 10_000


def names(entities: Entities | None, answers: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The organisations that take part and those who own them, as written, each once and nobody twice."""
    if entities is None:
        return [], []
    given = answers.get(entities.list) or []
    ours = {key(name): str(name) for item in given if (name := item.get(entities.name))}
    owners = entities.owners
    owning = [one.get(owners.name) for item in given for one in item.get(owners.list) or []] if owners else []
    theirs = {key(name): str(name) for name in owning if name and key(name) not in ours}
    return list(ours.values()), list(theirs.values())


def of(entities: Entities | None, answers: dict[str, Any]) -> list[Ownership]:
    """The ownership of each organisation that gives owners, the lead's first."""
    if entities is None or entities.owners is None:
        return []
    given = [item for item in answers.get(entities.list) or [] if item.get(entities.name)]
    parties = {key(item[entities.name]): _entity(entities, item) for item in reversed(given)}
    stakes = _stakes(entities, entities.owners, given, parties)
    owned = [party for party in parties.values() if party.is_entity and any(s.held == party.key for s in stakes)]
    order = {key(item[entities.name]): place for place, item in reversed(list(enumerate(given)))}
    owned.sort(key=lambda party: (not party.is_lead, order[party.key]))
    above: dict[str, list[Stake]] = {}
    for stake in stakes:
        above.setdefault(stake.held, []).append(stake)
    holders = {party: _holders(party, above) for party in parties}
    return [_ownership(party, parties, above, holders) for party in owned]


def _entity(entities: Entities, item: dict[str, Any]) -> Party:
    name = item[entities.name]
    is_lead = bool(entities.role and item.get(entities.role) == entities.lead)
    return Party(key(name), name, item.get(entities.country or ""), is_entity=True, is_lead=is_lead)


def _stakes(
    entities: Entities, owners: Owners, given: list[dict[str, Any]], parties: dict[str, Party]
) -> tuple[Stake, ...]:
    """Stakes as told. A pair told twice of one organisation adds up; told again of another it is the same stake."""
    found: dict[tuple[str, str], Stake] = {}
    for item in given:
        told: dict[tuple[str, str], Stake] = {}
        for owner in item.get(owners.list) or []:
            name, through = owner.get(owners.name), owner.get(owners.via or "") or item[entities.name]
            if not name:
                continue
            parties.setdefault(key(name), Party(key(name), name, owner.get(owners.country or "")))
            parties.setdefault(key(through), Party(key(through), through, None))
            pair = (key(name), key(through))
            share, votes = (_percent(owner.get(part or "")) for part in (owners.share, owners.votes))
            before = told.get(pair, Stake(*pair, Fraction(0), Fraction(0)))
            votes = share if votes is None else votes
            told[pair] = Stake(*pair, _plus(before.share, share), _plus(before.votes, votes))
        below = key(item[entities.name])
        for held in {stake.held for stake in told.values()} - {below}:
            if not any(s.holder == held for s in (*told.values(), *found.values())):
                told[held, below] = Stake(held, below, None, None)  # the chain goes on, nobody told with how much
        found = told | found
    return tuple(stake for stake in found.values() if stake.holder != stake.held)


def _percent(value: Any) -> Fraction | None:
    return None if value is None else Fraction(str(value))


def _plus(a: Fraction | None, b: Fraction | None) -> Fraction | None:
    return None if a is None or b is None else a + b


def _ownership(
    entity: Party, parties: dict[str, Party], above: dict[str, list[Stake]], holders: dict[str, dict[str, None]]
) -> Ownership:
    reached = [party for party in holders[entity.key] if party != entity.key]
    chains, is_cut = _chains(entity.key, above)
    by_holder: dict[str, list[tuple[Stake, ...]]] = {}
    for chain in chains:
        by_holder.setdefault(chain[-1].holder, []).append(chain)
    holdings = []
    for holder in reached:
        is_ultimate = all(holder in holders[up] for up in holders[holder])  # above it stand at most those below it
        holdings.append(_holding(parties, by_holder.get(holder, []), holder, is_ultimate, is_cut))
    holdings.sort(key=lambda h: (not h.is_ultimate, -(h.share or 0), h.holder.key))
    shown = (entity.key, *reached)
    within = tuple(stake for party in shown for stake in above.get(party, []))
    is_circular = any(party in holders[party] for party in shown)
    return Ownership(entity, tuple(parties[p] for p in shown), within, tuple(holdings), is_circular)


def _holders(party: str, above: dict[str, list[Stake]]) -> dict[str, None]:
    """Everybody above a party, the nearest first; the party itself only where it owns itself in the end."""
    found: dict[str, None] = {}
    waiting = [party]
    for held in waiting:
        new = [s.holder for s in above.get(held, []) if s.holder not in found]
        found |= dict.fromkeys(new)
        waiting += dict.fromkeys(new)
    return found


def _chains(entity: str, above: dict[str, list[Stake]]) -> tuple[list[tuple[Stake, ...]], bool]:
    """The chains of stakes that end in an organisation, the shortest first, no party twice in one.

    And whether some were not followed.
    """
    found: list[tuple[Stake, ...]] = [()]
    for chain in found:
        if len(found) > CHAINS or len(chain) == LEVELS:
            return found[1:], True
        met = {entity, *(stake.holder for stake in chain)}
        found += [(*chain, s) for s in above.get(chain[-1].holder if chain else entity, []) if s.holder not in met]
    return found[1:], False


def _holding(
    parties: dict[str, Party], chains: list[tuple[Stake, ...]], holder: str, is_ultimate: bool, is_cut: bool
) -> Holding:
    shares = [_product([stake.share for stake in chain]) for chain in chains]
    votes = [_product([stake.votes for stake in chain]) for chain in chains]
    known, voting = ([part for part in parts if part is not None] for parts in (shares, votes))
    return Holding(
        parties[holder],
        sum(known, Fraction(0)) if known else None,
        sum(voting, Fraction(0)) if voting else None,
        tuple(tuple(parties[stake.held].name for stake in reversed(chain[1:])) for chain in chains),
        is_ultimate,
        is_cut or len(known) < len(shares),
    )


def _product(parts: list[Fraction | None]) -> Fraction | None:
    whole = Fraction(100)
    for part in parts:
        if part is None:
            return None
        whole *= part / 100
    return whole
