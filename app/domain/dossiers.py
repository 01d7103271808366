"""What staff and export clients read: a submission as a document by the headings of Art. 12b(19), each read on record."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Integer, Select, bindparam, func, select, true
from sqlalchemy.orm import Session, aliased, joinedload

from app.domain import access, audit, clarifications, conflicts, references, shapes, support
from app.domain.access import Actor
from app.domain.denials import ContentDestroyed
from app.domain.errors import CallNotClosed, NotFound
from app.domain.questionnaire import Questionnaire
from app.domain.shapes import Content
from app.models import Call, Submission, SupportLetter, Version


def require_closed(db: Session, call: Call) -> None:
    """CallNotClosed, with the instant of release, until the call has closed and its set is sealed."""
    if call.sealed_at is None:
        raise CallNotClosed(call.closes_at)


def load(db: Session, actor: Actor, reference: str, number: int | None = None) -> tuple[Submission, Version]:
    """A dossier for staff or an export client, the standing version or another one; its reading is put on record.

    Versions that an exemption let in are for staff alone, who get the last of them where nothing else stands. NotFound
    when the actor may not see it; CallNotClosed before the cutoff to those who may see it afterwards; ConflictNotStated
    to staff who have not said yet whether they have an interest in it.
    """
    wanted = references.normalised(reference)
    found = (
        db.execute(_named(access.dossiers, actor), {"reference": wanted}).one_or_none()
        or db.execute(_named(access.exceptional_versions, actor), {"reference": wanted}).one_or_none()
    )
    if found is None:
        _refuse_early(db, actor, wanted)
        raise NotFound
    submission, version, is_passed = found
    if not is_passed:
        conflicts.require_stated(db, actor, submission)
    if number is not None and number != version.number:
        other = next((v for v in all_versions(db, actor, submission) if v.number == number), None)
        if other is None:
            raise NotFound
        version = other
    audit.record(db, actor, "dossier.read", submission, version=version.number)
    return submission, version


@lru_cache(access.KEPT)
def _named(which: Callable[[Actor], Select[Submission, Version]], actor: Actor) -> Select[Submission, Version, bool]:
    """One dossier with its receipt, and whether the actor passed the gate in front of it."""
    one = which(actor).where(Submission.reference == bindparam("reference"))
    return one.options(joinedload(Version.receipt)).add_columns(access.has_passed(actor))


def _refuse_early(db: Session, actor: Actor, reference: str | None) -> None:
    submission = db.scalar(select(Submission).where(Submission.reference == reference)) if reference else None
    in_scope = submission is not None and (actor.is_staff() or submission.call.code in actor.call_codes)
    if submission is not None and in_scope:
        require_closed(db, submission.call)
        kept = select(Version.id).where(Version.submission_id == submission.id, Version.destruction_id.is_not(None))
        if actor.is_staff() and db.scalar(kept.join(Submission).where(~access.has_conflict(actor)).limit(1)):
            raise ContentDestroyed


def file_of(db: Session, actor: Actor, reference: str, sha256: str) -> tuple[Submission, dict[str, Any]]:
    """A file of a dossier by its digest, if one of its versions holds it, a letter, or, for staff, an answer given after closing.

    Its reading is put on record.
    """
    submission, _ = load(db, actor, reference)
    for version in all_versions(db, actor, submission):
        for file in version.files:
            if file["sha256"] == sha256:
                audit.record(db, actor, "attachment.read", submission, sha256=sha256)
                return submission, file
    given = clarifications.file_of(db, submission, sha256) if actor.is_staff() else None
    given = given or support.file_of(support.to_consortium(db, submission), sha256, is_standing=not actor.is_staff())
    if given is None:
        raise NotFound
    audit.record(db, actor, "attachment.read", submission, sha256=sha256)
    return submission, given


def all_versions(db: Session, actor: Actor, submission: Submission) -> list[Version]:
    """The versions of a submission that the actor may read, the newest first: exceptional ones are for staff alone."""
    readable = true() if actor.is_staff() else Version.exemption_id.is_(None)
    return list(
        db.scalars(
            select(Version)
            .where(Version.submission_id == submission.id, readable)
            .options(joinedload(Version.receipt), joinedload(Version.submitter))
            .order_by(Version.number.desc())
        )
    )


def page(db: Session, actor: Actor, call: Call, limit: int, after: str = "") -> list[tuple[Submission, Version]]:
    """At most `limit` dossiers of a call with references beyond `after`."""
    given = {"call": call.id, "after": after, "limit": limit}
    return [(submission, version) for submission, version in db.execute(_page(actor), given)]


@lru_cache(access.KEPT)
def _page(actor: Actor) -> Select[Submission, Version]:
    """A walk along the references of a call, each asked whether the actor may read it; then what it found is read."""
    case = aliased(Submission)
    readable = access.dossiers(actor).where(Submission.id == case.id).with_only_columns(Version.id)
    cases = (
        select(case.reference, readable.select_from(Submission).correlate(case).scalar_subquery().label("version_id"))
        .where(case.call_id == bindparam("call"), case.reference > bindparam("after"))
        .order_by(case.reference)
        .offset(0)  # so that cases are asked in order, and no more of them than are needed
        .subquery()
    )
    steps = select(cases).where(cases.c.version_id.is_not(None)).order_by(cases.c.reference)
    found = steps.limit(bindparam("limit", type_=Integer)).subquery()
    return (
        select(Submission, Version)
        .join(Version, Version.submission_id == Submission.id)
        .join(found, found.c.version_id == Version.id)
        .options(joinedload(Version.receipt))
        .order_by(found.c.reference)
    )


def document(
    questions: Questionnaire, submission: Submission, version: Version, last: int, letters: Sequence[SupportLetter] = ()
) -> dict[str, Any]:
    """The dossier as machines get it, grouped by the call's headings. `last` is the number of the standing version."""
    content = Content(
        reference=submission.reference,
        number=version.number,
        definition_digest=version.definition_digest,
        kind=version.kind,
        language=version.language,
        title=version.title,
        organisation=version.receipt.body["organisation"],
        intermediary=version.receipt.body.get("intermediary"),
        received_at=version.received_at,
        payload_sha256=version.payload_sha256,
        answers=version.answers,
        files=version.files,
        findings=version.findings,
        facts=version.facts,
        jws=version.receipt.jws,
    )
    given = support.exported(questions.support, submission.reference, letters)
    return shapes.document(questions, content, last, given, submission.call.code, submission.call.is_synthetic)


def last_number(db: Session, submission: Submission) -> int:
    """The number of the version that counts."""
    sealed = (Version.submission_id == submission.id, Version.exemption_id.is_(None))
    return db.scalar(select(func.max(Version.number)).where(*sealed)) or 0
