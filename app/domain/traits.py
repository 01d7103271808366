"""What submissions of a call share: a site (one NUTS 3 region and under 2 km, or one address) or a member.

Nothing is compared in pairs: what may be shared has a key, and places on earth have one by the square that they lie in.
"""

import math
import re
import unicodedata
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Integer, Select, Text, bindparam, cast, func, select, true
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from app.domain import access
from app.domain.access import Actor
from app.domain.questionnaire import Question, Questionnaire
from app.infra.i18n import sort_key
from app.models import Entry, Trait

SITE, ADDRESS = "site", "address"
SAME_SITE, SHARED_MEMBER = "same_site", "shared_member"
NEAR = 2.0  # kilometres
DEGREE = 111.2  # kilometres of a degree of latitude
IDENTIFIERS = ("lei", "vat", "euid", "pic", "kvk")  # kinds of question that hold a number which only one body has
LEGAL_FORMS = frozenset(
    [
        "bv",
        "nv",
        "vof",
        "cv",
        "ag",
        "gmbh",
        "kg",
        "se",
        "sa",
        "sas",
        "sarl",
        "srl",
        "spa",
        "sl",
        "oy",
        "oyj",
        "ab",
        "as",
        "aps",
        "sro",
        "kft",
        "zrt",
        "doo",
        "sp",
        "zoo",
        "ltd",
        "plc",
        "llc",
        "inc",
        "ev",
        "eeig",
    ]
)
SHOWN = 20
LOOKED_AT = 50  # of those with one key


@dataclass(frozen=True)
class Mark:
    """One thing that may be shared."""

    sort: str
    key: str
    name: str
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True)
class Shared:
    """Another submission with which something is shared: `what` is the flag, `name` the site or member."""

    what: str
    name: str
    reference: str
    title: str


def of(questions: Questionnaire, answers: dict[str, Any]) -> Iterator[Mark]:
    """All that a set of answers may share, each thing once."""
    seen = set()
    for mark in [*_sites(questions, answers), *_members(questions, answers)]:
        if (mark.sort, mark.key, mark.latitude, mark.longitude) not in seen:
            seen.add((mark.sort, mark.key, mark.latitude, mark.longitude))
            yield mark


def lists(questions: Questionnaire) -> tuple[str, ...]:
    """The questions whose answers may be shared: the lists of sites and members."""
    parts = (questions.parts.sites, questions.parts.entities)
    return tuple(part.list for part in parts if part is not None and questions.has(part.list))


def flags_of(marks: dict[int, list[Mark]]) -> dict[int, set[str]]:
    """By position, which flags an entry has among all entries of a call: something that another one has too."""
    by_key: dict[tuple[str, str], list[tuple[int, Mark]]] = {}
    for position, own in marks.items():
        for mark in own:
            by_key.setdefault((mark.sort, mark.key), []).append((position, mark))
    found: dict[int, set[str]] = {}
    for (sort, key), holders in by_key.items():
        around = [h for square in _around(key) for h in by_key.get((sort, square), [])] if sort == SITE else holders
        for position, mark in holders:
            if any(other != position and _is_same(mark, theirs) for other, theirs in around):
                found.setdefault(position, set()).add(SAME_SITE if sort in (SITE, ADDRESS) else SHARED_MEMBER)
    return found


def shared(db: Session, actor: Actor, submission_id: uuid.UUID) -> list[Shared]:
    """What a submission shares, and with which others that the actor may see; the first of them, by reference."""
    traits = list(db.scalars(_own(actor), {"case": submission_id}))
    asked = [(n, trait.sort, key) for n, trait in enumerate(traits) for key in _keys(trait)]
    if not asked:
        return []
    numbers, sorts, keys = (list(part) for part in zip(*asked, strict=True))
    given = {"call": traits[0].call_id, "here": traits[0].position, "numbers": numbers, "sorts": sorts, "keys": keys}
    found: dict[tuple[str, str], Shared] = {}
    for number, reference, title, sort, latitude, longitude in db.execute(_theirs(actor), given):
        trait = traits[number]
        what = SAME_SITE if sort in (SITE, ADDRESS) else SHARED_MEMBER
        if _is_same(trait, Mark(sort, trait.key, "", latitude, longitude)):
            found.setdefault((what, reference), Shared(what, trait.name, reference, title))
    return [found[one] for one in sorted(found)][:SHOWN]


@lru_cache(access.KEPT)
def _own(actor: Actor) -> Select[Any]:
    return (
        access.entries(actor)
        .join(Trait, (Trait.call_id == Entry.call_id) & (Trait.position == Entry.position))
        .where(Entry.submission_id == bindparam("case"), func.cardinality(Entry.flags) > 0)
        .with_only_columns(Trait)
        .order_by(Trait.number)
    )


@lru_cache(access.KEPT)
def _theirs(actor: Actor) -> Select[Any]:
    """For each key asked about the entries of others that have it."""
    parts = (("numbers", Integer), ("sorts", Text), ("keys", Text))
    wanted = func.unnest(*(cast(bindparam(name), ARRAY(kind)) for name, kind in parts))
    keys = wanted.table_valued("number", "sort", "key").render_derived()
    theirs = (
        access.entries(actor)
        .join(Trait, (Trait.call_id == Entry.call_id) & (Trait.position == Entry.position))
        .where(Trait.call_id == bindparam("call"), Trait.position != bindparam("here"))
        .where(Trait.sort == keys.c.sort, Trait.key == keys.c.key)
        .with_only_columns(Entry.reference, Entry.title, Trait.sort, Trait.latitude, Trait.longitude)
        .limit(LOOKED_AT)
        .lateral()
    )
    return select(keys.c.number, theirs).join(theirs, true())


def _keys(trait: Trait) -> list[str]:
    return _around(trait.key) if trait.sort == SITE else [trait.key]


def _sites(questions: Questionnaire, answers: dict[str, Any]) -> Iterator[Mark]:
    sites = questions.parts.sites
    if sites is None:
        return
    for item in _items(answers, sites.list):
        name = str(item.get(sites.name) or "")
        region = item.get(sites.nuts or "")
        at = [_degrees(item.get(part or "")) for part in (sites.latitude, sites.longitude)]
        if region and at[0] is not None and at[1] is not None:
            yield Mark(SITE, f"{region} {_square(at[0], at[1])}", name, at[0], at[1])
        address = normal(str(item.get(sites.address or "") or ""))
        if any(c.isdigit() for c in address):  # a street alone is not a place
            yield Mark(ADDRESS, f"{item.get(sites.country or '') or ''} {address}", name)


def _members(questions: Questionnaire, answers: dict[str, Any]) -> Iterator[Mark]:
    entities = questions.parts.entities
    if entities is None or not questions.has(entities.list):
        return
    inner = questions.question(entities.list).questions
    for item in _items(answers, entities.list):
        name = str(item.get(entities.name) or "")
        country = item.get(entities.country or "") or ""
        for question, sort in _numbered(inner, entities.registration):
            if value := item.get(question):
                yield Mark(sort, f"{country} {normal(str(value))}" if sort == "number" else str(value), name)
        if plain := _bare(name):
            yield Mark("name", plain, name)


def _numbered(inner: tuple[Question, ...], number: str | None) -> Iterator[tuple[str, str]]:
    yield from ((q.name, q.kind) for q in inner if q.kind in IDENTIFIERS)
    if number:
        yield number, "number"


def _items(answers: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [item for item in answers.get(name) or [] if isinstance(item, dict)]


def normal(text: str) -> str:
    """Letters and digits in lower case without accents, a space between words."""
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", sort_key(text))))


def _bare(name: str) -> str:
    """A name without its legal form, so that "Delta B.V." is "DELTA BV"."""
    words = normal(re.sub(r"(?<=\w)\.(?=\w)|\.", "", name)).split()
    kept = [word for word in words if word not in LEGAL_FORMS]
    return " ".join(kept or words)


def _degrees(value: Any) -> float | None:
    return float(value) if value not in (None, "") else None


def _square(latitude: float, longitude: float) -> str:
    """The square of about 2 km by 2 km that a place lies in; its columns are as wide as 2 km are at its row."""
    row = math.floor(latitude * DEGREE / NEAR)
    return f"{row} {math.floor(longitude / _width(row))}"


def _width(row: int) -> float:
    """The degrees of longitude that 2 km are at least, in a row of squares."""
    furthest = max(abs(row), abs(row + 1)) * NEAR / DEGREE
    return NEAR / (DEGREE * max(math.cos(math.radians(min(furthest, 89.0))), 0.01))


def _around(key: str) -> list[str]:
    """The keys of a square and of those in which a place within 2 km may lie."""
    region, row, column = key.split()
    found = []
    for next_row in (int(row) - 1, int(row), int(row) + 1):
        west = int(column) * _width(int(row))
        first = math.floor((west - _width(next_row)) / _width(next_row))
        last = math.floor((west + _width(int(row)) + _width(next_row)) / _width(next_row))
        found += [f"{region} {next_row} {c}" for c in range(first, last + 1)]
    return found


def _is_same(one: Mark | Trait, other: Mark | Trait) -> bool:
    """Whether two of the same key, or of squares next to each other, are the same thing."""
    if one.sort != SITE:
        return True
    if one.latitude is None or one.longitude is None or other.latitude is None or other.longitude is None:
        return False
    return _kilometres(one.latitude, one.longitude, other.latitude, other.longitude) < NEAR


def _kilometres(latitude: float, longitude: float, to_latitude: float, to_longitude: float) -> float:
    """The way between two places, along a great circle."""
    a, b = math.radians(latitude), math.radians(to_latitude)
    half = math.sin((b - a) / 2) ** 2
    half += math.cos(a) * math.cos(b) * math.sin(math.radians(to_longitude - longitude) / 2) ** 2
    return 2 * 6371.0 * math.asin(min(1.0, math.sqrt(half)))


def sorted_flags(flags: Iterable[str]) -> list[str]:
    """Flags in the order in which they are shown."""
    return sorted(flags, key=[SAME_SITE, SHARED_MEMBER].index)
