"""Releases: which dossiers went to EuroHPC, who let them go, and taking them back with a reason; a row of each stays."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, bindparam, case, exists, func, insert, literal, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session, aliased, joinedload

from app.domain import access, audit, calls, letters, references
from app.domain.access import Actor
from app.domain.errors import Forbidden, NotFound, NothingToRelease, ReasonMissing
from app.domain.objections import AlreadyReleased, NotReleased
from app.models import Call, Conclusion, Release, SignOff, Submission, Version

REASON_LENGTH = 2000
ROWS = 100
STATES = ("ready", "released", "taken_back", "no_consent", "withdrawn", "exceptional")
MAY_GO = ("ready", "taken_back")

_was_released: ColumnElement[bool] = exists().where(Release.submission_id == Submission.id)
_state: ColumnElement[str] = case(
    (access.is_withdrawn, "withdrawn"),
    (~Version.is_consented, "no_consent"),
    (access.is_released, "released"),
    (_was_released, "taken_back"),
    else_="ready",
)
_is_signed: ColumnElement[bool] = exists().where(SignOff.submission_id == Submission.id, SignOff.reopened_at.is_(None))
_latest = (
    select(Release.id)
    .where(Release.submission_id == Submission.id)
    .order_by(Release.taken_back_at.is_not(None), Release.released_at.desc())
    .limit(1)
    .correlate(Submission)
    .scalar_subquery()
)


Latest = aliased(Release)


class Row(NamedTuple):
    """A dossier with what became of it: its state, and the latest release if there was one."""

    submission: Submission
    version: Version
    state: str
    release: Release | None
    is_signed: bool  # whether RVO's readers have signed it off; a warning, not a bar


class Fate(NamedTuple):
    """What became of a dossier: its state, and the latest release if there was one."""

    state: str
    release: Release | None


@dataclass(frozen=True)
class Listing:
    """Some rows in order of reference, and the reference to go on from; None at the end."""

    rows: list[Row]
    after: str | None


def _rows(actor: Actor) -> Select[Any]:
    """The dossiers that the actor may see, each with its state and its latest release."""
    return (
        access.dossiers(actor)
        .outerjoin(Latest, Latest.id == _latest)
        .add_columns(_state.label("state"), Latest, _is_signed)
        .options(joinedload(Latest.releaser), joinedload(Latest.taker))
        .order_by(Submission.reference)
    )


def listed(db: Session, actor: Actor, call: Call, state: str = "", after: str = "", limit: int = ROWS) -> Listing:
    """The dossiers of a call that the actor may see, in order of reference, a page at a time; of one state, if given."""
    if state == "exceptional":
        return Listing(_exceptional(db, actor, Submission.call_id == call.id), None)
    wanted = _rows(actor).where(Submission.call_id == call.id, Submission.reference > after)
    if state:
        wanted = wanted.where(_state == state)
    found = [Row(*row) for row in db.execute(wanted.limit(limit + 1))]
    return Listing(found[:limit], found[limit - 1].submission.reference if len(found) > limit else None)


def _exceptional(db: Session, actor: Actor, which: ColumnElement[bool]) -> list[Row]:
    """Cases of which nothing stands but what an exemption let in: outside the sealed set, so never released."""
    other = aliased(Version)
    standing = exists().where(other.submission_id == Submission.id, other.exemption_id.is_(None))
    found = access.exceptional_versions(actor).where(which, ~standing).order_by(Submission.reference).limit(ROWS)
    return [Row(submission, version, "exceptional", None, False) for submission, version in db.execute(found)]


def counts(db: Session, actor: Actor, call: Call) -> dict[str, int]:
    """How many dossiers of a call are in each state, of those that the actor may see."""
    tallied = (
        access.dossiers(actor)
        .where(Submission.call_id == call.id)
        .with_only_columns(_state.label("state"), func.count())
        .group_by("state")
    )
    found = dict(db.execute(tallied).all())
    found["exceptional"] = len(_exceptional(db, actor, Submission.call_id == call.id))
    return {state: found.get(state, 0) for state in STATES}


def chosen(db: Session, actor: Actor, given: Iterable[str]) -> tuple[list[Row], list[str]]:
    """The dossiers that references name, and the references that name nothing the actor may see."""
    wanted = {reference: references.normalised(reference) for reference in given}
    which = Submission.reference.in_([found for found in wanted.values() if found])
    rows = [Row(*row) for row in db.execute(_rows(actor).where(which))] + _exceptional(db, actor, which)
    seen = {row.submission.reference for row in rows}
    return rows, [reference for reference, found in wanted.items() if found not in seen]


def fate(db: Session, actor: Actor, submission: Submission) -> Fate | None:
    """What became of one dossier; None where only an exceptional version stands, or nothing the actor may see."""
    found = db.execute(_fate(actor), {"case": submission.id}).one_or_none()
    return Fate(*found) if found else None


@lru_cache(access.KEPT)
def _fate(actor: Actor) -> Select[str, Release]:
    found = _rows(actor).where(Submission.id == bindparam("case")).select_from(Submission)
    return found.with_only_columns(_state.label("state"), Latest)


def release(db: Session, actor: Actor, submission: Submission, base_url: str) -> None:
    """Give one dossier to EuroHPC, also one that was taken back. NothingToRelease without consent, AlreadyReleased."""
    _require_coordinator(actor)
    found = fate(db, actor, submission)
    if found is not None and found.state == "released":
        raise AlreadyReleased
    if found is None or found.state not in MAY_GO:
        raise NothingToRelease if found or _is_seen(db, actor, submission) else NotFound
    if not _let_go(db, actor, Submission.id == submission.id, base_url):
        raise AlreadyReleased  # by somebody else, meanwhile


def _require_coordinator(actor: Actor) -> None:
    if not actor.is_staff("coordinator"):
        raise Forbidden


def _is_seen(db: Session, actor: Actor, submission: Submission) -> bool:
    return bool(_exceptional(db, actor, Submission.id == submission.id))


def release_some(db: Session, actor: Actor, given: Iterable[str], base_url: str) -> list[str]:
    """Give those of the dossiers named that may go to EuroHPC, and that the actor may see; the references that went."""
    _require_coordinator(actor)
    rows, _ = chosen(db, actor, given)
    which = Submission.id.in_([row.submission.id for row in rows if row.state in MAY_GO])
    return _let_go(db, actor, which, base_url)


def release_all(db: Session, actor: Actor, call: Call, base_url: str) -> list[str]:
    """Give every consented dossier of a call that never went yet; what was taken back is only given by name."""
    _require_coordinator(actor)
    return _let_go(db, actor, (Submission.call_id == call.id) & (_state == "ready"), base_url)


def _let_go(db: Session, actor: Actor, which: ColumnElement[bool], base_url: str) -> list[str]:
    """One statement releases them; of two coordinators at once one does, and the other finds nothing left."""
    going = (
        access.dossiers(actor)
        .where(which, _state.in_(MAY_GO))
        .with_only_columns(Submission.id, Version.id, literal(actor.person_id))
        .order_by(Submission.reference)
    )
    made = (
        upsert(Release)
        .from_select(["submission_id", "version_id", "released_by"], going)
        .on_conflict_do_nothing(index_elements=["submission_id"], index_where=text("taken_back_at is null"))
        .returning(Release.submission_id, Release.released_at)
    )
    gone = dict(db.execute(made).all())
    pairs = _pairs(db, gone)
    audit.record_each(db, actor, "dossier.released", [submission for submission, _ in pairs])
    if pairs:
        letters.forwarded(db, pairs, max(gone.values()), base_url)
    return [submission.reference for submission, _ in pairs]


def _pairs(db: Session, ids: Iterable[uuid.UUID]) -> list[tuple[Submission, Version]]:
    found = access.standing_versions().where(Submission.id.in_(list(ids))).order_by(Submission.reference)
    return [(submission, version) for submission, version in db.execute(found)]


def take_back(db: Session, actor: Actor, given: Iterable[str], reason: str, base_url: str) -> list[str]:
    """Take dossiers back from EuroHPC, those of the named ones that are there; NotReleased when none is.

    The row of the release stays with the reason: it is the tombstone.
    """
    _require_coordinator(actor)
    if not (reason := reason.strip()[:REASON_LENGTH]):
        raise ReasonMissing
    rows, _ = chosen(db, actor, given)
    done = db.execute(
        update(Release)
        .where(
            Release.submission_id.in_([row.submission.id for row in rows if row.state == "released"]),
            Release.taken_back_at.is_(None),
        )
        .values(taken_back_at=func.clock_timestamp(), taken_back_by=actor.person_id, reason=reason)
        .returning(Release.submission_id, Release.taken_back_at)
        .execution_options(synchronize_session=False)
    )
    back = {submission_id: at for submission_id, at in done if at is not None}
    if not back:
        raise NotReleased
    pairs = _pairs(db, back)
    audit.record_each(db, actor, "dossier.taken_back", [submission for submission, _ in pairs])
    letters.taken_back(db, pairs, max(back.values()), base_url)
    return [submission.reference for submission, _ in pairs]


def history(db: Session, submission: Submission) -> list[Release]:
    """Every release of a dossier, the latest first."""
    return list(
        db.scalars(
            select(Release)
            .where(Release.submission_id == submission.id)
            .options(joinedload(Release.releaser), joinedload(Release.taker))
            .order_by(Release.released_at.desc())
        )
    )


class Progress(NamedTuple):
    """What a respondent is told of their case after closing, with the instant that it speaks of; never a judgement."""

    state: str
    at: datetime | None = None
    taken_back_at: datetime | None = None


def progress(db: Session, cases: Sequence[Submission]) -> dict[uuid.UUID, Progress]:
    """Where the cases with a submitted version stand after closing; those of open calls and withdrawn ones have none."""
    wanted = (
        access.standing_versions()
        .where(Submission.id.in_([one.id for one in cases]), ~access.is_withdrawn)
        .where(Call.closes_at <= func.clock_timestamp())
        .outerjoin(Latest, Latest.id == _latest)
        .outerjoin(Conclusion, Conclusion.call_id == Submission.call_id)
        .with_only_columns(
            Submission.id, Call.closes_at, Call.sealed_at, Version.is_consented, Latest, Conclusion.concluded_at
        )
    )
    return {row[0]: _progress(*row[1:]) for row in db.execute(wanted)}


def _progress(
    closes_at: datetime,
    sealed_at: datetime | None,
    is_consented: bool,
    release: Release | None,
    concluded_at: datetime | None,
) -> Progress:
    back = release.taken_back_at if release else None
    if concluded_at:
        return Progress("closed", concluded_at, back)
    if sealed_at is None:
        return Progress("received", closes_at)
    if release and not back:
        return Progress("forwarded", release.released_at)
    if not is_consented:
        return Progress("not_forwarded")
    return Progress("in_review", sealed_at, back)


def conclude(db: Session, actor: Actor, call: Call) -> Conclusion:
    """Say that RVO has finished with a call; respondents read that it is closed. Once, and only after the seal."""
    _require_coordinator(actor)
    db.execute(insert(Conclusion).values(call_id=call.id, concluded_by=actor.person_id))
    audit.record_call(db, actor, "call.concluded", call.id)
    return db.get_one(Conclusion, call.id)


def conclusion(db: Session, call: Call) -> Conclusion | None:
    """When and by whom RVO's work on a call was finished, if it was."""
    return db.get(Conclusion, call.id)


def call_of(db: Session, rows: Sequence[Row], code: str) -> Call | None:
    """The call that a page of releases is about: the one named, or the one of the dossiers chosen."""
    if code:
        return calls.by_code(db, code)
    return rows[0].submission.call if rows else None
