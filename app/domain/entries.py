"""The register of a sealed call is prepared once: an entry for each leaf, what it shares, its places, what it counts under.

Sealed content never changes. Whoever comes first prepares, a batch at a time; others wait for the batch, then go on.
"""

import json
import uuid
from typing import Any

from sqlalchemy import Integer, Text, bindparam, func, insert, select, text
from sqlalchemy.orm import Session

from app.domain import calls, columns, facets, locations, traits
from app.domain.objections import RegisterNotPrepared
from app.domain.questionnaire import Questionnaire
from app.models import Call, Entry, Leaf, Listing, Organisation, Place, Seal, Submission, Trait, Version

BATCH = 1000
AT_ONCE = 3000  # entries that a reader may wait for
SEARCHED = 200_000  # characters of a dossier's answers that are searched; beyond a megabyte nothing could be stored
CALL_WORD = "call:"  # a word that every entry of a call has, so that one index finds words within one call

# What is searched: names and files as they are written, answers by the stems of both languages.
FILL = """
insert into entry (call_id, position, submission_id, version_id, reference, title, organisation, kind, country,
  received_at, number, is_consented, is_withdrawn, facts, warnings, flags, labels, words)
select l.call_id, l.position, l.submission_id, l.version_id, s.reference, v.title, o.name, s.kind, o.country,
  v.received_at, v.number, v.is_consented, l.state = 'withdrawn', v.facts, made.warnings, '{}', made.labels,
  array_to_tsvector(array[cast(:word as text)])
    || to_tsvector('simple', regexp_replace(concat_ws(' ', s.reference, o.name, v.title, files.names, plain.facts), '[-_./@]+', ' ', 'g'))
    || to_tsvector('dutch', said.text) || to_tsvector('english', said.text)
from jsonb_to_recordset(cast(:made as jsonb)) as made (position integer, labels text[], warnings text[])
join leaf l on l.call_id = :call and l.position = made.position
join version v on v.id = l.version_id
join submission s on s.id = l.submission_id
join organisation o on o.id = s.organisation_id
cross join lateral (
  select left(string_agg(words.one #>> '{}', ' '), :searched) as text
  from (select jsonb_path_query(v.answers, 'strict $.** ? (@.type() == "string")') as one
        union all select to_jsonb(v.title)) as words) as said
cross join lateral (
  select string_agg(file ->> 'name', ' ') as names from jsonb_array_elements(v.files) as file) as files
cross join lateral (
  select string_agg(fact.value, ' ') as facts from jsonb_each_text(v.facts) as fact
  where fact.key = any(cast(:spoken as text[]))) as plain
"""
FLAG = """
update entry e set flags = d.flags,
  labels = e.labels || array(select 'flag=' || flag from unnest(d.flags) as flag)
from jsonb_to_recordset(cast(:made as jsonb)) as d (position integer, flags text[])
where e.call_id = :call and e.position = d.position
"""


def due(db: Session) -> list[Call]:
    """The calls that are sealed and signed, whose register is not prepared yet."""
    waiting = select(Call).join(Seal, Seal.call_id == Call.id).outerjoin(Listing, Listing.call_id == Call.id)
    return list(db.scalars(waiting.where(Listing.call_id.is_(None)).order_by(Call.closes_at)))


def prepared(db: Session, call: Call) -> Listing:
    """The register of a sealed call, prepared to its end where that is not done yet."""
    while (listing := db.get(Listing, call.id)) is None:
        prepare(db, call)
    return listing


def require_prepared(db: Session, call: Call) -> Listing:
    """The register of a sealed call; RegisterNotPrepared where preparing would take longer than a reader may wait."""
    if (listing := db.get(Listing, call.id)) is not None:
        return listing
    size = db.scalar(select(func.count()).where(Leaf.call_id == call.id)) or 0
    if size > AT_ONCE:
        raise RegisterNotPrepared(retry_after=10)
    return prepared(db, call)


def turn(db: Session, call: Call) -> bool:
    """Whether nobody else prepares the register of a call now; whoever asks has their turn until the transaction ends."""
    found: bool = db.execute(select(func.pg_try_advisory_xact_lock(_lock(call)))).scalar_one()
    return found


def prepare(db: Session, call: Call) -> bool:
    """One step towards the register of a sealed call; whether it is prepared now. Another's step is waited for."""
    db.execute(select(func.pg_advisory_xact_lock(_lock(call))))
    if db.scalar(select(Listing.call_id).where(Listing.call_id == call.id)) is not None:
        return True
    questions = calls.questions(call)
    size = db.scalar(select(func.count()).where(Leaf.call_id == call.id)) or 0
    done = db.scalar(select(func.count()).where(Entry.call_id == call.id)) or 0
    if done < size:
        _fill(db, call, questions, done)
        return False
    _flag(db, call)
    _place(db, call, questions)
    least = facets.store(db, call.id, questions, size)
    db.add(Listing(call_id=call.id, size=size, least=least))
    db.flush()
    return True


def _lock(call: Call) -> Any:
    return func.hashtextextended(f"listing {call.id}", 0)


def _fill(db: Session, call: Call, questions: Questionnaire, start: int) -> None:
    shared = [Version.answers[name].label(f"part_{name}") for name in traits.lists(questions)]
    found = (
        select(
            Leaf.position,
            (Leaf.state == "withdrawn").label("is_withdrawn"),
            Submission.kind,
            Organisation.country,
            Version.facts,
            Version.findings,
            Version.is_consented,
            *shared,
        )
        .join(Version, Version.id == Leaf.version_id)
        .join(Submission, Submission.id == Leaf.submission_id)
        .join(Organisation, Organisation.id == Submission.organisation_id)
        .where(Leaf.call_id == call.id, Leaf.position >= start, Leaf.position < start + BATCH)
    )
    made, marks = [], []
    for row in db.execute(found):
        warnings = [finding["code"] for finding in row.findings]
        answers = {name: row._mapping[f"part_{name}"] for name in traits.lists(questions)}
        sites = {site.country for site in locations.of(questions.parts.sites, answers) if site.country}
        entry = _Sealed(row, warnings, sites)
        made.append({"position": row.position, "labels": list(columns.labels(questions, entry)), "warnings": warnings})
        marks += [
            vars(mark) | {"call_id": call.id, "position": row.position, "number": number}
            for number, mark in enumerate(traits.of(questions, answers))
        ]
    spoken = [c.name for c in questions.register if c.kind == "text"]
    given = {"call": call.id, "made": json.dumps(made), "word": word_of(call.id), "spoken": spoken}
    db.execute(text(FILL), given | {"searched": SEARCHED})
    if marks:
        db.execute(insert(Trait), marks)


class _Sealed:
    """A leaf with its version, as `columns.labels` reads it."""

    def __init__(self, row: Any, warnings: list[str], sites: set[str]) -> None:
        self.kind, self.country, self.facts, self.warnings = row.kind, row.country, row.facts, warnings
        self.sites = sites
        self.is_consented, self.is_withdrawn = row.is_consented, row.is_withdrawn


def _flag(db: Session, call: Call) -> None:
    marks: dict[int, list[traits.Mark]] = {}
    stored = select(Trait.position, Trait.sort, Trait.key, Trait.latitude, Trait.longitude)
    for position, sort, key, latitude, longitude in db.execute(stored.where(Trait.call_id == call.id)):
        marks.setdefault(position, []).append(traits.Mark(sort, key, "", latitude, longitude))
    made = [
        {"position": position, "flags": traits.sorted_flags(flags)}
        for position, flags in traits.flags_of(marks).items()
    ]
    if made:
        db.execute(text(FLAG), {"call": call.id, "made": json.dumps(made)})


def _place(db: Session, call: Call, questions: Questionnaire) -> None:
    """The place of each entry by each column, from either end."""
    for column in columns.columns(questions):
        ahead = func.row_number().over(order_by=(column.order.asc().nulls_last(), Entry.reference))
        behind = func.row_number().over(order_by=(column.order.desc().nulls_last(), Entry.reference.desc()))
        name = bindparam("name", column.name, type_=Text)
        found = select(Entry.call_id, name, Entry.position, ahead.cast(Integer), behind.cast(Integer))
        names = ("call_id", "name", "position", "up", "down")
        db.execute(insert(Place).from_select(names, found.where(Entry.call_id == call.id)))


def word_of(call_id: uuid.UUID) -> str:
    """The word that every entry of a call has."""
    return f"{CALL_WORD}{call_id.hex}"
