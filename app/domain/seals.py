"""The seal: one transaction closes the call for good and states, signed, what it held; and the proof for each submitter."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import exists, func, select, text
from sqlalchemy.orm import Session, joinedload

from app.domain import audit, heads, letters, mails, merkle, statements
from app.domain.access import SYSTEM
from app.domain.errors import CallNotClosed, NotFound
from app.infra import times
from app.infra.signing import Signer
from app.models import Announcement, Attempt, Call, Leaf, Release, Seal, Submission, Version

PATIENCE = 10  # seconds that a transaction may hold a call's lock once the call is to be sealed
SEALING = 0x5EA1  # the first half of the advisory lock of whoever seals; the second is of the call
LEAF = "eoi-leaf/1"
SOME = 200  # cases whose letters are written in one transaction

# Whoever holds a row lock on a call for too long; a role may only end sessions of its own.
HOLDERS = """
select count(pg_terminate_backend(a.pid)) from pg_stat_activity a
where a.pid <> pg_backend_pid() and a.usename = current_user and a.datname = current_database()
  and a.xact_start < clock_timestamp() - make_interval(secs => :patience)
  and exists (select from pg_locks l where l.pid = a.pid and l.granted and l.relation = 'call'::regclass
    and l.mode = 'RowShareLock')
"""


@dataclass(frozen=True)
class Setting:
    """What a seal states beside the data: who says it, and what is known of the host's clock."""

    issuer: str
    clock: dict[str, str] | None
    contact: str | None = None


def due(db: Session) -> list[Call]:
    """The calls that have closed, or were sealed half by a crash of old, and have no signed seal yet."""
    unsigned = ~exists().where(Seal.call_id == Call.id)
    return list(
        db.scalars(select(Call).where(Call.closes_at <= func.clock_timestamp(), unsigned).order_by(Call.closes_at))
    )


def claim(db: Session, call: Call) -> bool:
    """Take up the sealing of a call for this transaction; False while another session is at it.

    A seal of many submissions takes longer than anybody else may hold the lock. Who does not claim it first would end
    the very session that seals.
    """
    claimed: bool = db.execute(
        select(func.pg_try_advisory_xact_lock(SEALING, func.hashtext(str(call.id))))
    ).scalar_one()
    return claimed


def seal(db: Session, call: Call, signer: Signer, setting: Setting) -> Seal:
    """Close the call for good and keep its signed seal, all in this transaction; the one of another is given back.

    Waits for every submit and every change of the deadline under way. CallStillOpen before the cutoff.
    """
    db.execute(text(f"set local lock_timeout = '{PATIENCE}s'"))
    claim(db, call)
    if (made := of_call(db, call)) is not None:
        return made
    if call.sealed_at is None:
        db.execute(select(func.seal_call(call.id)))
        db.expire(call)
    audit.record_call(db, SYSTEM, "call.sealed", call.id)
    db.flush()
    count, chain = heads.link(db)
    body = _body(db, call, setting) | {"audit": {"count": count, "chain": chain}}
    made = Seal(call_id=call.id, body=body, jws=statements.sign(signer, body))
    db.add(made)
    heads.publish(db, signer, setting.issuer)
    mails.sealed(db, call, body, setting.contact, setting.issuer)
    db.add(Announcement(call_id=call.id))
    db.flush()
    return made


def write_letters(db: Session, base_url: str) -> int:
    """Tell some more respondents of sealed calls that their dossier went to EuroHPC; of how many, 0 when all are told.

    How far it got is written with the letters, so that each is written once, whatever breaks off. Not in the seal's
    transaction: at many submissions that would take longer than the seal itself.
    """
    at = db.scalars(
        select(Announcement).where(Announcement.done_at.is_(None)).limit(1).with_for_update(skip_locked=True)
    ).first()
    if at is None:
        return 0
    call = db.get_one(Call, at.call_id)
    told = _released(db, call, at.upto)
    letters.forwarded(db, told, call.sealed_at, base_url)
    if told:
        at.upto = told[-1][0].reference
    else:
        at.done_at = func.clock_timestamp()
    db.flush()
    return max(1, len(told))


def _released(db: Session, call: Call, after: str) -> list[tuple[Submission, Version]]:
    """What the database gave to EuroHPC as it sealed, where the call says that it does, and is still there.

    Whoever takes one back waits for its letter, or takes it back first: then the only letter is the one that tells so.
    """
    rows = db.execute(
        select(Submission, Version)
        .join(Release, Release.submission_id == Submission.id)
        .join(Version, Version.id == Release.version_id)
        .join(Seal, Seal.call_id == Submission.call_id)
        .where(Submission.call_id == call.id, Release.released_by.is_(None), Release.released_at <= Seal.created_at)
        .where(Submission.reference > after, Release.taken_back_at.is_(None))
        .order_by(Submission.reference)
        .limit(SOME)
        .with_for_update(read=True, of=Release)
    )
    return [(submission, version) for submission, version in rows]


def end_holders(db: Session) -> int:
    """End the sessions that have held a call's lock longer than a seal may wait; how many there were."""
    ended: int = db.execute(text(HOLDERS), {"patience": PATIENCE}).scalar_one()
    return ended


def _body(db: Session, call: Call, setting: Setting) -> dict[str, Any]:
    leaves = hashes(db, call)
    states = dict(
        db.execute(select(Leaf.state, func.count()).where(Leaf.call_id == call.id).group_by(Leaf.state)).all()
    )
    late = (
        select(func.count())
        .select_from(Attempt)
        .join(Submission, Submission.id == Attempt.submission_id)
        .where(Submission.call_id == call.id, Attempt.code == "call_closed")
    )
    last = db.scalar(select(func.max(Version.received_at)).where(Version.call_id == call.id))
    return {
        "format": statements.SEAL,
        "issuer": setting.issuer,
        "call": call.code,
        "definition": call.definition_digest,
        "opens_at": times.iso(call.opens_at),
        "closes_at": times.iso(call.closes_at),
        "zone": call.zone,
        "sealed_at": times.iso(_sealed_at(call)),
        "size": len(leaves),
        "count": states.get("standing", 0),
        "withdrawn": states.get("withdrawn", 0),
        "root": merkle.root(leaves),
        "last_received_at": times.iso(last) if last else None,
        "late_attempts": db.scalar(late) or 0,
        "clock": setting.clock,
    }


def _sealed_at(call: Call) -> Any:
    if call.sealed_at is None:
        raise CallNotClosed(call.closes_at)
    return call.sealed_at


def of_call(db: Session, call: Call) -> Seal | None:
    """The seal of a call, if it has one."""
    return db.get(Seal, call.id)


def hashes(db: Session, call: Call) -> list[str]:
    """The leaves of a call's tree, in order: ascending digests, which tell nothing of whose they are."""
    return list(db.scalars(select(Leaf.hash).where(Leaf.call_id == call.id).order_by(Leaf.position)))


def document(db: Session, call: Call) -> dict[str, Any]:
    """The published seal with its leaves, which hold no names and no contents. CallNotClosed before there is one."""
    made = of_call(db, call)
    if made is None:
        raise CallNotClosed(call.closes_at)
    return statements.document(made.body, made.jws, leaves=hashes(db, call))


def proof(db: Session, submission: Submission) -> dict[str, Any] | None:
    """What shows one submission to be in the sealed set: its leaf, the path to the root, the seal. None before the seal."""
    found = db.scalar(select(Leaf).where(Leaf.submission_id == submission.id).options(joinedload(Leaf.version)))
    made = of_call(db, submission.call)
    if found is None or made is None:
        return None
    leaves = hashes(db, submission.call)
    return {
        "call": submission.call.code,
        "leaf": {
            "format": LEAF,
            "payload_sha256": found.version.payload_sha256,
            "reference": submission.reference,
            "salt": found.salt,
            "state": found.state,
            "version": found.version.number,
        },
        "index": found.position,
        "size": len(leaves),
        "path": merkle.path(leaves, found.position),
        "root": merkle.root(leaves),
        "seal": statements.document(made.body, made.jws),
    }


def receipt(db: Session, submission: Submission, version: Version) -> bytes:
    """The signed receipt of a version, once sealed with its proof, as `python -m app verify` checks it."""
    found = proof(db, submission) if version.exemption_id is None else None
    beside = {"proof": found} if found else {}
    return statements.canonical(statements.document(version.receipt.body, version.receipt.jws, **beside))


def require_proof(db: Session, submission: Submission) -> dict[str, Any]:
    """The proof; NotFound where there is none: not sealed yet, or not in the sealed set."""
    found = proof(db, submission)
    if found is None:
        raise NotFound
    return found


def manifest(db: Session, call: Call) -> list[Leaf]:
    """Each submission of a sealed call as it was counted, in order of the tree. For staff: it names references."""
    return list(
        db.scalars(
            select(Leaf)
            .where(Leaf.call_id == call.id)
            .options(joinedload(Leaf.version), joinedload(Leaf.submission))
            .order_by(Leaf.position)
        )
    )
