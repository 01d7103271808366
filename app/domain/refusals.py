"""Signed refusals: the statement that somebody tried to submit and was late, when, with what, and what stands."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from app.domain import attempts, drafts, statements, submissions
from app.domain.attempts import Press
from app.domain.errors import CallClosed, CallNotOpen, NotFound
from app.infra import times
from app.infra.signing import Signer
from app.models import Attempt, Refusal, Submission

SIGNED = (CallClosed.code, CallNotOpen.code)  # what the database refuses by its clock
DRAFT = "eoi-draft/1"


def write_late(db: Session, presses: Iterable[Press], signer: Signer, issuer: str) -> None:
    """Write down presses that the database could not take when they were made, each with its signed refusal."""
    for press in presses:
        if (attempt := attempts.write(db, press, is_afterwards=True)) is not None:
            sign(db, attempt, press.judged_at, signer, issuer)


def sign(db: Session, attempt: Attempt, at: str | None, signer: Signer, issuer: str) -> Refusal | None:
    """State and keep the refusal of an attempt outside the window, judged by `at`; None where it was for another reason.

    To be called in the transaction that writes the attempt: what stands and what was typed is read anew.
    """
    if attempt.code not in SIGNED or at is None or attempt.submission_id is None or attempt.person_id is None:
        return None
    body = _body(db, db.get_one(Submission, attempt.submission_id), attempt, at, issuer)
    made = Refusal(attempt_id=attempt.id, body=body, jws=statements.sign(signer, body))
    db.add(made)
    db.flush()
    return made


def _body(db: Session, submission: Submission, attempt: Attempt, at: str, issuer: str) -> dict[str, Any]:
    draft = drafts.content(db, submission)
    standing = submissions.standing(db, submission, draft)
    version = standing.version
    return {
        "format": statements.REFUSAL,
        "issuer": issuer,
        "call": submission.call.code,
        "reference": submission.reference,
        "attempt": attempt.reference,
        "at": at,
        "refused_local": times.brussels(datetime.fromisoformat(at), "en", seconds=True),
        "recorded_at": times.iso(attempt.at),
        "code": attempt.code,
        "opens_at": times.iso(submission.call.opens_at),
        "closes_at": times.iso(submission.call.closes_at),
        "zone": submission.call.zone,
        "state": standing.state,
        "version": version.number if version else None,
        "received_at": times.iso(version.received_at) if version else None,
        "payload_sha256": version.payload_sha256 if version else None,
        "typed_sha256": statements.digest(typed(submission, draft)),
    }


def typed(submission: Submission, draft: drafts.Content) -> dict[str, Any]:
    """All that was typed and attached when submit was pressed, readable or not: what `typed_sha256` is taken over."""
    return {
        "format": DRAFT,
        "reference": submission.reference,
        "answers": draft.answers,
        "unread": draft.unread,
        "files": [{"question": question, **file} for question in sorted(draft.files) for file in draft.files[question]],
        "reasons": draft.reasons,
    }


def typed_bytes(db: Session, submission: Submission, refusal: Refusal) -> bytes:
    """What was typed, byte for byte as refused; NotFound where the draft was changed after it, under an exemption."""
    kept = typed(submission, drafts.content(db, submission))
    if statements.digest(kept) != refusal.body["typed_sha256"]:
        raise NotFound
    return statements.canonical(kept)
