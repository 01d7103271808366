"""Identifiers of those who take part: what was checked of each number, by form and at other registers, and what differs.

Which answers hold which identifier is told by the kinds of their questions, and who is who by the call's part `entities`.
"""

import time
import unicodedata
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import exists, func, select, tuple_
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from app.domain import access, audit, identifiers, questionnaire, throttle
from app.domain.access import SYSTEM, Actor
from app.domain.errors import Throttled
from app.domain.questionnaire import Questionnaire
from app.infra.i18n import N_, Message
from app.models import Call, Event, Lookup, Submission, Version

CHECKS: dict[str, Callable[[str], bool]] = {
    "vat": identifiers.is_vat_eu,
    "lei": identifiers.is_lei,
    "euid": identifiers.is_euid,
    "kvk": identifiers.is_kvk,
    "pic": identifiers.is_pic,
}
REGISTERS = {"vat": "vies", "lei": "gleif"}
REGISTRATION = "registration"  # a number in the trade register of the country, which has no kind of its own
LIVES = {"valid": timedelta(days=30), "invalid": timedelta(days=30), "unknown": timedelta(hours=1)}
BUDGET = 15.0  # seconds that one request may spend on asking
KEPT = 1000  # versions of which a process holds who takes part
A_MINUTE = 30  # look-ups, of all processes together

NAME_DIFFERS = N_("%(register)s has another name: %(theirs)s")
COUNTRY_DIFFERS = N_("GLEIF has the head office in %(theirs)s, the answers say %(ours)s")
LAPSED = N_("The registration of this LEI is %(status)s")
EUID_DIFFERS = N_("The EUID of this firm would be %(theirs)s by its KvK number")
SHOWN = {"vies": "VIES", "gleif": "GLEIF"}


class Asks(Protocol):
    """Whoever can ask a register."""

    def asks(self, register: str) -> bool: ...
    def ask(self, register: str, number: str) -> Any: ...


@dataclass
class Identifier:
    """One number: whether its form fits, and what its register last said."""

    kind: str
    number: str
    fits: bool
    lookup: Lookup | None = None

    @property
    def register(self) -> str | None:
        """The register that can be asked about it."""
        return REGISTERS.get(self.kind) if self.fits else None


@dataclass
class Entity:
    """Somebody who takes part, with their numbers and what differs between answers and registers."""

    name: str
    country: str | None
    identifiers: list[Identifier] = field(default_factory=list)
    remarks: list[Message] = field(default_factory=list)


def of_version(db: Session, questions: Questionnaire, version: Version) -> list[Entity]:
    """Everybody in a version who has a number, with what was checked of it."""
    found = [
        Entity(one.name, one.country, [replace(i) for i in one.identifiers])
        for one in _kept_entities(questions, version)
    ]
    wanted = {(i.register, i.number) for entity in found for i in entity.identifiers if i.register}
    latest = {(row.register, row.number): row for row in db.scalars(_latest(wanted))} if wanted else {}
    for entity in found:
        for one in entity.identifiers:
            one.lookup = latest.get((one.register or "", one.number))
        entity.remarks = list(_remarks(entity))
    return found


def _latest(wanted: set[tuple[str, str]]) -> Any:
    return (
        select(Lookup)
        .ext(distinct_on(Lookup.register, Lookup.number))
        .where(tuple_(Lookup.register, Lookup.number).in_(list(wanted)))
        .order_by(Lookup.register, Lookup.number, Lookup.looked_up_at.desc())
    )


_kept: dict[tuple[uuid.UUID, uuid.UUID | None], list[Entity]] = {}


def _kept_entities(questions: Questionnaire, version: Version) -> list[Entity]:
    """What a version says of them, looked for once: it never changes until it is destroyed."""
    key = (version.id, version.destruction_id)
    if key not in _kept:
        if len(_kept) >= KEPT:
            _kept.clear()
        _kept[key] = _entities(questions, version)
    return _kept[key]


def _entities(questions: Questionnaire, version: Version) -> list[Entity]:
    part = questions.parts.entities
    known = version.answers.get(part.list) or [] if part else []
    found: dict[str, Entity] = {}
    for _, question, path, value in questionnaire.walk(questions, version.kind, version.answers):
        if question.kind not in CHECKS or not value:
            continue
        pieces = path.split("-")
        place = "-".join(pieces[:2]) if part and pieces[0] == part.list and len(pieces) > 2 else ""
        if place not in found:
            item = known[int(pieces[1])] if place and part else {}
            name = str(item.get(part.name) or "") if part else ""
            found[place] = Entity(name, item.get(part.country) if part and part.country else None)
        found[place].identifiers.append(Identifier(question.kind, str(value), CHECKS[question.kind](str(value))))
    if part and part.registration:
        _add_registrations(found, known, part)
    return list(found.values())


def _add_registrations(found: dict[str, Entity], known: list[dict[str, Any]], part: Any) -> None:
    for index, item in enumerate(known):
        if number := item.get(part.registration):
            country = item.get(part.incorporated) if part.incorporated else item.get(part.country)
            place = f"{part.list}-{index}"
            entity = found.setdefault(place, Entity(str(item.get(part.name) or ""), item.get(part.country or "")))
            fits = identifiers.is_valid_register_number(country or "", number)
            entity.identifiers.insert(0, Identifier("kvk" if country == "NL" else REGISTRATION, number, fits))


def _remarks(entity: Entity) -> Any:
    """What differs between the answers and the registers."""
    for one in entity.identifiers:
        if one.lookup is None or one.lookup.outcome != "valid":
            continue
        said, register = one.lookup.evidence, SHOWN[one.lookup.register]
        if entity.name and said.get("name") and _plain(said["name"]) != _plain(entity.name):
            yield Message(NAME_DIFFERS, {"register": register, "theirs": said["name"]})
        if entity.country and said.get("country") and said["country"] != entity.country:
            yield Message(COUNTRY_DIFFERS, {"theirs": said["country"], "ours": entity.country})
        if said.get("status") not in (None, "ISSUED"):
            yield Message(LAPSED, {"status": said["status"]})
    kvk = next((i.number for i in entity.identifiers if i.kind == "kvk" and i.fits), None)
    euid = next((i.number for i in entity.identifiers if i.kind == "euid"), None)
    if kvk and euid and euid.startswith("NL") and euid.partition("_")[0] != identifiers.euid_of_kvk(kvk):
        yield Message(EUID_DIFFERS, {"theirs": identifiers.euid_of_kvk(kvk)})


def _plain(name: str) -> str:
    """A name without regard to capitals, accents and punctuation: `Delta B.V.` and `DELTA BV` are one."""
    parts = unicodedata.normalize("NFKD", name.casefold())
    return "".join(c for c in parts if c.isalnum())


def look_up(
    db: Session, actor: Actor, submission: Submission, found: list[Entity], registers: Asks, number: str = ""
) -> int:
    """Ask about one number of a dossier, or about all that are not fresh, as far as the time of one request goes.

    How many were asked. A register that is switched off, down or slow changes nothing but the outcome `unknown`.
    """
    ends = time.monotonic() + BUDGET
    listed = [one for entity in found for one in entity.identifiers if one.register and registers.asks(one.register)]
    wanted = [one for one in listed if (one.number == number if number else not is_fresh(db, one.lookup))]
    asked = 0
    for one in dict.fromkeys((i.register or "", i.number) for i in wanted):
        if time.monotonic() > ends:
            break
        try:
            throttle.hit(db, "lookup", A_MINUTE, timedelta(minutes=1))
        except Throttled:
            if not asked:
                raise
            break
        _keep(db, *one, registers, actor.person_id)
        asked += 1
    audit.record(db, actor, "identifiers.looked_up", submission, rows=asked)
    return asked


def _keep(db: Session, register: str, number: str, registers: Asks, person_id: uuid.UUID | None) -> Lookup:
    answer = registers.ask(register, number)
    made = Lookup(
        register=register, number=number, outcome=answer.outcome, evidence=answer.evidence, asked_by=person_id
    )
    db.add(made)
    db.flush()
    db.refresh(made)
    return made


def is_fresh(db: Session, lookup: Lookup | None, now: datetime | None = None) -> bool:
    """Whether an outcome is young enough to stand: 30 days, or an hour where nothing could be learnt."""
    if lookup is None:
        return False
    at: datetime = now or db.execute(select(func.clock_timestamp())).scalar_one()
    return at - lookup.looked_up_at < LIVES[lookup.outcome]


def look_up_next(db: Session, build: Callable[[Version], Questionnaire], registers: Asks) -> bool:
    """Ask about one number of a sealed call that nobody asked about yet; False where there is none.

    Dossiers without a line `identifiers.looked_up` of the portal's own in the audit trail are due.
    """
    if not db.execute(select(func.pg_try_advisory_xact_lock(0x656F6D))).scalar_one():
        return False
    row = db.execute(_due().limit(1)).one_or_none()
    if row is None:
        return False
    submission, version = row
    for entity in of_version(db, build(version), version):
        for one in entity.identifiers:
            if one.register and one.lookup is None and registers.asks(one.register):
                throttle.hit(db, "lookup", A_MINUTE, timedelta(minutes=1))
                _keep(db, one.register, one.number, registers, None)
                return True
    audit.record(db, SYSTEM, "identifiers.looked_up", submission, rows=0)
    return True


def _due() -> Any:
    done = exists().where(
        Event.submission_id == Submission.id, Event.name == "identifiers.looked_up", Event.person_id.is_(None)
    )
    due = access.standing_versions().where(access.is_sealed, Version.destruction_id.is_(None), ~done)
    return due.order_by(Call.sealed_at, Submission.reference)
