"""Confirmations: where the call asks it, an owner of the leading organisation agrees to exactly what others submit in its name."""

import hashlib
import json

from sqlalchemy import exists, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, joinedload

from app.domain import accounts, audit, calls, exemptions, outbox, statements, versions
from app.domain.access import Actor
from app.domain.admissions import LeadMustConfirm, PartChanged
from app.domain.errors import Forbidden, Invalid
from app.domain.judgements import Judged
from app.infra.i18n import N_, translate
from app.models import Confirmation, Event, Submission, Version

SUBJECT = N_("Confirm what is to be submitted: %(reference)s")
TEXT = N_(
    "Hello,\n\n%(name)s wants to submit %(reference)s in the name of %(organisation)s. This call asks that an owner of "
    "%(organisation)s confirms it first. Nothing was submitted yet. Read and confirm it here, before the cutoff:\n\n%(link)s\n"
)


def digest(judged: Judged) -> str:
    """SHA-256 (hex) of what is confirmed: all of a version but its language and what the organisation is called then."""
    return hashlib.sha256(f"{judged.opening},{judged.ending}".encode()).hexdigest()


def is_asked(db: Session, case: Submission) -> bool:
    """Whether the call asks it."""
    return calls.questions_of(db, case.call.definition_digest).confirmation == "lead"


def given(db: Session, case: Submission, content: str) -> Confirmation | None:
    """The confirmation of a content."""
    found = select(Confirmation).where(Confirmation.submission_id == case.id, Confirmation.content_sha256 == content)
    return db.scalar(found.options(joinedload(Confirmation.confirmer)))


def of_case(db: Session, case: Submission) -> list[Confirmation]:
    """Every confirmation of a case, the first one first."""
    found = select(Confirmation).where(Confirmation.submission_id == case.id).order_by(Confirmation.confirmed_at)
    return list(db.scalars(found.options(joinedload(Confirmation.confirmer))))


def of_version(db: Session, case: Submission, version: Version) -> Confirmation | None:
    """The lead's confirmation of what an accepted version holds."""
    content = json.loads(versions.content_bytes(case, version))
    rest = {name: said for name, said in content.items() if name not in ("language", "organisation")}
    return given(db, case, hashlib.sha256(statements.canonical(rest)).hexdigest())


def require(db: Session, actor: Actor, case: Submission, judged: Judged) -> None:
    """LeadMustConfirm where others than the lead submit what it has not confirmed; the window is told of first."""
    if not is_asked(db, case) or actor.owns(case) or given(db, case, digest(judged)) is not None:
        return
    exemptions.foretell(db, case)
    raise LeadMustConfirm


def ask(db: Session, actor: Actor, case: Submission, judged: Judged, base_url: str) -> None:
    """Write to the owners of the leading organisation that something waits for them; once for each content."""
    content = digest(judged)
    asked = (
        Event.submission_id == case.id,
        Event.name == "confirmation.asked",
        Event.detail["sha256"].astext == content,
    )
    if db.scalar(select(exists().where(*asked))):
        return
    audit.record(db, actor, "confirmation.asked", case, sha256=content)
    values = {"reference": case.reference, "organisation": case.organisation.name, "name": actor.name or actor.email}
    link = f"{base_url}/apply/{case.reference}/confirmation"
    for owner in (m.person for m in accounts.members(db, case.organisation_id) if m.role == "owner"):
        subject = translate(owner.language, SUBJECT, reference=case.reference)
        text = translate(owner.language, TEXT, link=link, **values)
        outbox.enqueue(db, "confirmation", owner.email, subject, text, case.id)


def confirm(db: Session, actor: Actor, case: Submission, judged: Judged, seen: str) -> None:
    """Agree to what is to be submitted, as an owner of the leading organisation; PartChanged when it is not what was `seen`."""
    if not actor.owns(case):
        raise Forbidden
    if not is_asked(db, case):
        raise Invalid
    if digest(judged) != seen:
        raise PartChanged
    made = insert(Confirmation).values(submission_id=case.id, content_sha256=seen, confirmed_by=actor.person_id)
    if db.scalar(made.on_conflict_do_nothing(constraint="content_is_confirmed_once").returning(Confirmation.id)):
        audit.record(db, actor, "submission.confirmed", case, sha256=seen)
