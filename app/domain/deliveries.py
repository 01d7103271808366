"""Deliveries: EuroHPC's word of what arrived, per submission and per file, and the reconciliation of that with the seal."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, String, and_, case, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, joinedload

from app.domain import access, audit, references
from app.domain.access import Actor
from app.domain.errors import NotFound, Refused
from app.infra.i18n import N_
from app.models import Call, Delivery, Event, FeedEntry, Release, Submission, Version

MISMATCH = "delivery.mismatched"
STATES = ("delivered", "partly", "waiting", "taken_back_after", "taken_back", "not_released", "withdrawn")
WHOLE = joinedload(Delivery.submission), joinedload(Delivery.version)


class DigestMismatch(Refused):
    """What arrived is not what was released."""

    status = 409
    code = "digest_mismatch"
    msgid = N_(
        "What you say that you have is not what was released. It was written down, and RVO sees it. Fetch the submission "
        "again and compare the digests."
    )


@dataclass(frozen=True)
class Acknowledged:
    """An acknowledgement as it is kept, and whether this request made it."""

    delivery: Delivery
    is_new: bool


def acknowledge(
    db: Session, actor: Actor, reference: str, version: int, payload_sha256: str, files: list[str]
) -> Acknowledged | DigestMismatch:
    """Write down that the key's holder has a version and these of its files; the same said twice is kept once.

    Good for whatever was released to the key, also when it was taken back meanwhile; NotFound for anything else. A
    digest that does not fit is put on record and given back as a refusal: raised, it would undo that record.
    """
    case, held, release = _released(db, actor, reference, version)
    given = sorted(set(files))
    wrong = [digest for digest in given if digest not in {file["sha256"] for file in held.files}]
    if payload_sha256 != held.payload_sha256:
        wrong.insert(0, payload_sha256)
    if wrong:
        audit.record(db, actor, "delivery.mismatched", case, version=version, sha256=wrong)
        return DigestMismatch(wrong=wrong)
    values = {"submission_id": case.id, "version_id": held.id, "release_id": release.id}
    made = db.scalar(
        insert(Delivery)
        .values(**values, api_key_id=actor.api_key_id, files=given)
        .on_conflict_do_nothing(constraint="delivery_is_acknowledged_once")
        .returning(Delivery)
    )
    if made is not None:
        audit.record(db, actor, "delivery.acknowledged", case, version=version, files=len(given))
        return Acknowledged(made, is_new=True)
    same = Delivery.release_id == release.id, Delivery.api_key_id == actor.api_key_id, Delivery.files == given
    return Acknowledged(db.scalars(select(Delivery).where(*same).options(*WHOLE)).one(), is_new=False)


def _released(db: Session, actor: Actor, reference: str, number: int) -> tuple[Submission, Version, Release]:
    """What was released last under a reference and number, to this key."""
    found = db.execute(
        select(Submission, Version, Release)
        .join(Version, Version.submission_id == Submission.id)
        .join(Release, Release.version_id == Version.id)
        .join(Call, Call.id == Submission.call_id)
        .where(Submission.reference == references.normalised(reference), Version.number == number)
        .where(Call.code.in_(actor.call_codes))
        .order_by(Release.released_at.desc())
        .limit(1)
    ).one_or_none()
    if found is None:
        raise NotFound
    submission, version, release = found
    return submission, version, release


def own(db: Session, actor: Actor, reference: str) -> list[Delivery]:
    """What a key's holder acknowledged of one submission, first to last; NotFound where none was ever released to it."""
    wanted = references.normalised(reference)
    submission = db.scalar(
        select(Submission)
        .join(Call, Call.id == Submission.call_id)
        .where(Submission.reference == wanted, Call.code.in_(actor.call_codes))
        .where(select(FeedEntry.number).where(FeedEntry.submission_id == Submission.id).exists())
    )
    if submission is None:
        raise NotFound
    mine = Delivery.submission_id == submission.id, Delivery.api_key_id == actor.api_key_id
    statement = select(Delivery).where(*mine).options(*WHOLE).order_by(Delivery.delivered_at)
    return list(db.scalars(statement))


@dataclass(frozen=True)
class Row:
    """A sealed submission with what became of it: released, delivered, how many of its files, taken back."""

    submission: Submission
    version: Version
    state: str
    released_at: datetime | None
    taken_back_at: datetime | None
    delivered_at: datetime | None
    files: int
    missing: int


_latest = (
    select(Release.id)
    .where(Release.submission_id == Submission.id)
    .order_by(Release.released_at.desc())
    .limit(1)
    .correlate(Submission)
    .scalar_subquery()
)
_delivered_at: ColumnElement[Any] = (
    select(func.min(Delivery.delivered_at))
    .where(Delivery.release_id == Release.id)
    .correlate(Release)
    .scalar_subquery()
)
_one = func.jsonb_array_elements(Version.files).table_valued("value", name="file").alias("file")
_files: ColumnElement[Any] = (
    select(func.count(func.distinct(_one.c.value.op("->>")("sha256")))).correlate(Version).scalar_subquery()
)
_named = func.unnest(Delivery.files).table_valued("name", name="named").alias("named")
_arrived: ColumnElement[Any] = (
    select(func.count(func.distinct(_named.c.name)))
    .select_from(Delivery)
    .join(_named, literal(True))
    .where(Delivery.release_id == Release.id)
    .correlate(Release)
    .scalar_subquery()
)
_state: ColumnElement[Any] = case(
    (access.is_withdrawn, "withdrawn"),
    (Release.id.is_(None), "not_released"),
    (and_(Release.taken_back_at.is_not(None), _delivered_at.is_not(None)), "taken_back_after"),
    (Release.taken_back_at.is_not(None), "taken_back"),
    (_delivered_at.is_(None), "waiting"),
    (_arrived < _files, "partly"),
    else_="delivered",
).cast(String)


def _rows(actor: Actor, call: Call) -> Select[Any]:
    """The sealed submissions of a call that the actor may see, each with its latest release and what arrived of it."""
    return (
        access.dossiers(actor)
        .outerjoin(Release, Release.id == _latest)
        .where(Submission.call_id == call.id)
        .add_columns(_state, Release.released_at, Release.taken_back_at, _delivered_at, _files, _files - _arrived)
        .order_by(Submission.reference)
    )


def reconciled(db: Session, actor: Actor, call: Call, after: str = "", limit: int = 100) -> list[Row]:
    """The sealed submissions behind a reference, in order, each with how far it got."""
    return [Row(*row) for row in db.execute(_rows(actor, call).where(Submission.reference > after).limit(limit))]


def everything(db: Session, actor: Actor, call: Call, batch: int = 500) -> Iterator[Row]:
    """All of them."""
    after = ""
    while rows := reconciled(db, actor, call, after, batch):
        yield from rows
        after = rows[-1].submission.reference


def of_submission(db: Session, actor: Actor, submission: Submission) -> Row | None:
    """How far one submission got; None where it is not sealed, or not the actor's to see."""
    found = db.execute(_rows(actor, submission.call).where(Submission.id == submission.id)).one_or_none()
    return Row(*found) if found else None


@dataclass(frozen=True)
class Totals:
    """A call in figures: submissions in each state, file digests not acknowledged, acknowledgements that did not fit."""

    states: dict[str, int]
    missing: int
    mismatches: int

    @property
    def sealed(self) -> int:
        """All that the seal counts, of what the actor may see."""
        return sum(self.states.values())

    @property
    def released(self) -> int:
        """What is with EuroHPC now, or on its way."""
        return sum(self.states[state] for state in ("delivered", "partly", "waiting"))


def totals(db: Session, actor: Actor, call: Call) -> Totals:
    """The figures of the reconciliation."""
    rows = (
        _rows(actor, call).order_by(None).with_only_columns(_state.label("state"), (_files - _arrived).label("missing"))
    )
    each = rows.subquery()
    counted = db.execute(select(each.c.state, func.count(), func.sum(each.c.missing)).group_by(each.c.state)).all()
    states = {state: number for state, number, _ in counted}
    wrong = select(func.count()).where(Event.call_id == call.id, Event.name == MISMATCH)
    return Totals(
        {state: states.get(state, 0) for state in STATES},
        sum(int(missing) for state, _, missing in counted if state == "partly"),
        db.scalar(wrong) or 0,
    )
