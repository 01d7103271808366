"""Versions: what was accepted, as it reads back: all of a case, one by its number or digest, and its very bytes."""

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from app.domain import references, statements
from app.domain.denials import ContentDestroyed
from app.domain.errors import NotFound
from app.models import Submission, Version


def of_submission(db: Session, submission: Submission) -> list[Version]:
    """The accepted versions, first to last, with receipts."""
    return list(
        db.scalars(
            select(Version)
            .where(Version.submission_id == submission.id)
            .options(joinedload(Version.receipt), joinedload(Version.submitter))
            .order_by(Version.number)
        )
    )


def one(db: Session, submission: Submission, number: int) -> Version:
    """One version with its receipt; NotFound when there is none of that number."""
    return require(
        db.scalar(
            select(Version)
            .where(Version.submission_id == submission.id, Version.number == number)
            .options(joinedload(Version.receipt), joinedload(Version.submitter))
        )
    )


def accepted(db: Session, reference: str, digest: str) -> Version | None:
    """The version with this reference and content digest (SHA-256, hex); None tells nothing about either alone."""
    wanted = references.normalised(reference)
    return db.scalar(
        select(Version)
        .join(Submission)
        .where(Submission.reference == wanted, Version.payload_sha256 == digest)
        .order_by(Version.number)
        .limit(1)
    )


def require(version: Version | None) -> Version:
    """The version, or NotFound where there is none."""
    if version is None:
        raise NotFound
    return version


def require_content(version: Version) -> None:
    """ContentDestroyed where the term of a version had passed; its receipt stays."""
    if version.destruction_id is not None:
        raise ContentDestroyed


def content_bytes(submission: Submission, version: Version) -> bytes:
    """The canonical bytes of a version's content: their SHA-256 is the one on its receipt."""
    require_content(version)
    said = version.receipt.body
    content = {
        "format": "eoi-submission/1",
        "call": said["call"],
        "definition": version.definition_digest,
        "reference": submission.reference,
        "kind": version.kind,
        "language": version.language,
        "organisation": said["organisation"],
        "answers": version.answers,
        "files": version.files,
        "warnings": version.findings,
    }
    return statements.canonical(content)
