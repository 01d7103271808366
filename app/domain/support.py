"""Letters of member states to consortia: drafted, given, changed as new versions, withdrawn with a reason, all until the cutoff."""

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, exists, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, joinedload, selectinload

from app.domain import access, audit, references, statements, throttle, tidings, undertakings
from app.domain.access import Actor, is_withdrawn
from app.domain.budgets import Workspace
from app.domain.errors import NotFound, ReasonMissing, TooManyFiles
from app.domain.pledges import Pledges
from app.domain.reservations import CaseWithdrawn
from app.domain.undertakings import Wish
from app.infra import times
from app.infra.i18n import N_, Message
from app.models import LetterVersion, Submission, SupportLetter, Version

FORMAT = "eoi-letter/1"
MAX_FILES = 5
NAME_LENGTH, CONDITION_LENGTH, REASON_LENGTH = 200, 3000, 2000
WRONG_A_DAY = 30

FULL = N_("Nothing was saved: a letter holds 5 files at most. Remove one first.")
UNKNOWN_CONSORTIUM = N_(
    "In this call there is no consortium with this reference. Look whether every character is right; the consortium finds "
    "it at the top of its task list."
)


def consortium(db: Session, at: Workspace, reference: str) -> Submission | None:
    """The consortium of this call that a letter can go to, by its reference; None for any other. Wrong ones are counted."""
    wanted = references.normalised(reference)
    case = db.scalar(
        select(Submission).where(
            Submission.reference == wanted,
            Submission.call_id == at.call.id,
            Submission.kind.in_(at.pledges.for_),
        )
    )
    if case is None:
        throttle.hit(db, f"letter:{at.belonging.organisation_id}", WRONG_A_DAY, timedelta(days=1))
    return case


def begin(
    db: Session, actor: Actor, at: Workspace, case: Submission, key: str, wish: Wish, is_given: bool, base_url: str
) -> SupportLetter:
    """Write a letter to a consortium. The same `key` is the same letter: a double click makes no second one."""
    at.require_writer()
    if db.scalar(select(exists().where(is_withdrawn, Submission.id == case.id))):
        raise CaseWithdrawn
    made = db.scalar(
        insert(SupportLetter)
        .values(
            submission_id=case.id, call_id=case.call_id, organisation_id=at.belonging.organisation_id, number=0, key=key,
            created_by=actor.person_id,
        )
        .on_conflict_do_nothing(constraint="letter_is_begun_once")
        .returning(SupportLetter.id)
    )  # fmt: skip
    mine = SupportLetter.organisation_id == at.belonging.organisation_id, SupportLetter.key == key
    if made is None:
        return db.scalars(_loaded().where(*mine)).one()
    letter = db.scalars(_loaded().where(*mine)).one()
    _write(db, actor, at, letter, 1, wish, is_given, base_url)
    return letter


def change(
    db: Session,
    actor: Actor,
    at: Workspace,
    letter: SupportLetter,
    seen: int,
    wish: Wish,
    is_given: bool,
    base_url: str,
) -> None:
    """Write the next version of a letter, from the one that was `seen`. LetterChanged if a colleague was faster."""
    at.require_writer()
    _write(db, actor, at, letter, seen + 1, wish, is_given, base_url)


def _write(
    db: Session,
    actor: Actor,
    at: Workspace,
    letter: SupportLetter,
    number: int,
    wish: Wish,
    is_given: bool,
    base_url: str,
) -> None:
    if len(wish.files) > MAX_FILES:
        raise TooManyFiles(Message(FULL))
    said = vars(undertakings.kept(at.pledges, wish)) | {"files": list(wish.files)}
    body = said | {name: str(said[name]) if said[name] is not None else None for name in ("amount", "dated_on")}
    beside = {"format": FORMAT, "state": at.state, "reference": letter.submission.reference, "letter": letter.number}
    version = LetterVersion(
        letter_id=letter.id,
        number=number,
        is_given=is_given,
        digest=statements.digest(beside | {"version": number} | body),
        written_by=actor.person_id,
        **said,
    )
    db.add(version)
    db.flush()
    db.expire(letter)
    told = {"state": at.state, "number": letter.number, "version": number}
    if not is_given:
        audit.record(db, actor, "letter.drafted", letter.submission, **told)
        return
    audit.record(db, actor, "letter.given", letter.submission, **told)
    tidings.given(db, letter, letter.submission, base_url)


def withdraw(db: Session, actor: Actor, at: Workspace, letter: SupportLetter, reason: str, base_url: str) -> None:
    """Take a letter back, with a reason that the consortium reads; it stays on record."""
    at.require_writer()
    if not (reason := reason.strip()[:REASON_LENGTH]):
        raise ReasonMissing
    was_given = letter.given is not None
    db.execute(
        update(SupportLetter)
        .where(SupportLetter.id == letter.id)
        .values(withdrawn_by=actor.person_id, withdrawn_because=reason)
        .execution_options(synchronize_session=False)
    )
    db.expire(letter)
    audit.record(db, actor, "letter.withdrawn", letter.submission, state=at.state, number=letter.number)
    if was_given:
        tidings.taken_back(db, letter, reason, base_url)


def _loaded() -> Select[SupportLetter]:
    return select(SupportLetter).options(
        selectinload(SupportLetter.versions).joinedload(LetterVersion.writer),
        joinedload(SupportLetter.submission),
        joinedload(SupportLetter.organisation),
        joinedload(SupportLetter.withdrawer),
    )


def of_state(db: Session, at: Workspace) -> list[SupportLetter]:
    """Every letter of the state in the call, drafts and withdrawn ones included, the newest first."""
    mine = (SupportLetter.call_id == at.call.id, SupportLetter.organisation_id == at.belonging.organisation_id)
    return list(db.scalars(_loaded().where(*mine).order_by(SupportLetter.number.desc())))


def one(db: Session, at: Workspace, number: int) -> SupportLetter:
    """A letter of the state by its number; NotFound for any other's."""
    found = db.scalar(
        _loaded().where(
            SupportLetter.call_id == at.call.id,
            SupportLetter.organisation_id == at.belonging.organisation_id,
            SupportLetter.number == number,
        )
    )
    if found is None:
        raise NotFound
    return found


def to_consortium(db: Session, case: Submission) -> list[SupportLetter]:
    """The letters that were given to a consortium, withdrawn ones included; never a draft."""
    return among(db, [case.id]).get(case.id, [])


def among(db: Session, cases: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[SupportLetter]]:
    """The same of many consortia, by the id of their case."""
    is_given = exists().where(LetterVersion.letter_id == SupportLetter.id, LetterVersion.is_given)
    wanted = _loaded().where(SupportLetter.submission_id.in_(cases), is_given)
    found: dict[uuid.UUID, list[SupportLetter]] = {}
    for letter in db.scalars(wanted.order_by(SupportLetter.created_at, SupportLetter.id)):
        found.setdefault(letter.submission_id, []).append(letter)
    return found


def file_of(
    letters: Sequence[SupportLetter], sha256: str, is_own: bool = False, is_standing: bool = False
) -> dict[str, Any] | None:
    """A file of one of these letters by its digest: of what was given, or of all that was written where they are one's own.

    With `is_standing` only of what stands: of the version given last of letters that were not withdrawn.
    """
    for letter in letters:
        shown = [v for v in letter.versions if v.is_given or is_own]
        if is_standing:
            shown = shown[:1] if letter.withdrawn_at is None else []
        for file in (file for version in shown for file in version.files):
            if file["sha256"] == sha256:
                return dict(file)
    return None


def naming(db: Session, actor: Actor, at: Workspace) -> list[tuple[Submission, Version]]:
    """The cases that name the state and consent to its seeing that: for name and title. Looking at them is on record."""
    if not at.pledges.names:
        return []
    wanted = access.named_to_state(at.call, at.pledges, at.state).order_by(Submission.reference)
    found = [(case, version) for case, version in db.execute(wanted)]
    audit.record_call(db, actor, "state.dossiers_listed", at.call.id, state=at.state, rows=len(found))
    return found


def exported(pledges: Pledges, reference: str, letters: Sequence[SupportLetter]) -> list[dict[str, Any]]:
    """The letters that stand, as machines get them."""
    found = []
    for letter in letters:
        version = letter.given
        if version is None or letter.withdrawn_at is not None:
            continue
        sort = pledges.sort(version.sort)
        found.append(
            {
                "state": letter.organisation.state_code,
                "authority": letter.organisation.name,
                "number": letter.number,
                "version": version.number,
                "sort": version.sort,
                "is_commitment": bool(sort and sort.is_commitment),
                "amount": str(version.amount) if version.amount is not None else None,
                "phase": version.phase,
                "source": version.source,
                "status": version.status,
                "condition": version.condition,
                "signatory": version.signatory,
                "signatory_role": version.signatory_role,
                "dated_on": version.dated_on.isoformat() if version.dated_on else None,
                "given_at": times.iso(version.written_at),
                "sha256": version.digest,
                "files": [
                    file | {"url": f"/api/v1/submissions/{reference}/attachments/{file['sha256']}"}
                    for file in version.files
                ],
            }
        )
    return found
