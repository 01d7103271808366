"""The case: start it, save a step, check it, submit it, withdraw and restore it."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, joinedload

from app.domain import (
    access,
    attachments,
    audit,
    calls,
    findings,
    mails,
    questionnaire,
    receipts,
    references,
    statements,
    withdrawals,
)
from app.domain.access import Actor
from app.domain.accounts import is_verified
from app.domain.errors import (
    Forbidden,
    Invalid,
    KindNotOpen,
    NotFound,
    NotReady,
    StaleStep,
)
from app.domain.findings import Finding
from app.domain.questionnaire import Questionnaire
from app.infra.i18n import N_, Message
from app.infra.signing import Signer
from app.models import Attempt, Call, Draft, Receipt, Submission, Version, Withdrawal

CHECK = "check"  # the step under which the reasons for warnings are kept
REASON_LENGTH = 2000
KEY_LENGTH = 100
UNVERIFIED = N_(
    "Nobody has signed in with this e-mail address yet, so it cannot receive the receipt. Invite this person as a "
    "colleague and let them sign in once, or give the address that you sign in with."
)


@dataclass(frozen=True)
class Content:
    """What a draft holds now: answers over all steps, what could not be read, files, and reasons for warnings."""

    answers: dict[str, Any]
    unread: dict[str, Any]
    files: dict[str, list[dict[str, Any]]]
    reasons: dict[str, str]
    saved_at: datetime | None


@dataclass(frozen=True)
class Standing:
    """Where a case stands: the version that counts, whether it is withdrawn, and whether the draft goes beyond it."""

    version: Version | None
    withdrawal: Withdrawal | None
    is_changed: bool

    @property
    def state(self) -> str:
        """`draft`, `submitted` or `withdrawn`: never a word about how it is judged."""
        if self.version is None:
            return "draft"
        return "withdrawn" if self.withdrawal else "submitted"


def kinds_for(call: Call, belonging: access.Belonging) -> list[str]:
    """The kinds of respondent as which this organisation may answer the call."""
    wanted = belonging.state_code is not None
    return [name for name, r in calls.questions(call).respondents.items() if (r.open_to == "state") == wanted]


def start(db: Session, actor: Actor, call: Call, organisation_id: uuid.UUID, kind: str) -> Submission:
    """Begin a case on behalf of one of the actor's organisations. A member state has one case a call."""
    belonging = next((m for m in actor.memberships if m.organisation_id == organisation_id), None)
    if belonging is None:
        raise NotFound
    if belonging.role not in access.EDITORS:
        raise Forbidden
    if kind not in kinds_for(call, belonging):
        raise KindNotOpen
    submission = Submission(
        call_id=call.id,
        organisation_id=organisation_id,
        kind=kind,
        reference=references.new(calls.clock(db)),
        created_by=actor.person_id,
    )
    db.add(submission)
    db.flush()
    audit.record(db, actor, "submission.started", submission)
    return submission


def mine(db: Session, actor: Actor) -> list[Submission]:
    """The cases of the actor's organisations, newest first."""
    return list(db.scalars(access.own_submissions(actor).order_by(Submission.created_at.desc())))


def load(db: Session, actor: Actor, reference: str) -> Submission:
    """One of the actor's own cases by its reference; NotFound for anybody else's."""
    wanted = references.normalised(reference)
    submission = db.scalar(access.own_submissions(actor).where(Submission.reference == wanted)) if wanted else None
    if submission is None:
        raise NotFound
    return submission


def drafts(db: Session, submission: Submission) -> dict[str, Draft]:
    """What was last saved, by step."""
    rows = db.scalars(select(Draft).where(Draft.submission_id == submission.id).options(joinedload(Draft.author)))
    return {draft.step: draft for draft in rows}


def content(db: Session, submission: Submission) -> Content:
    """The draft of all steps together."""
    rows = list(db.scalars(select(Draft).where(Draft.submission_id == submission.id)))
    answers: dict[str, Any] = {}
    unread: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    for row in rows:
        if row.step == CHECK:
            reasons = row.answers
        else:
            answers |= row.answers
            unread |= row.unread
    files = attachments.as_answers(attachments.of_submission(db, submission.id))
    return Content(answers, unread, files, reasons, max((row.saved_at for row in rows), default=None))


def save_step(
    db: Session,
    actor: Actor,
    submission: Submission,
    step: str,
    revision: int,
    answers: dict[str, Any],
    unread: dict[str, Any],
) -> int:
    """Save one step, started from `revision` (0: none yet), and return its new revision. StaleStep if another was faster."""
    if not actor.may_edit(submission):
        raise Forbidden
    values = {"answers": answers, "unread": unread, "saved_by": actor.person_id, "revision": revision + 1}
    if revision == 0:
        statement = insert(Draft).values(submission_id=submission.id, step=step, **values).on_conflict_do_nothing()
        saved = db.scalar(statement.returning(Draft.revision))
    else:
        saved = db.scalar(
            update(Draft)
            .where(Draft.submission_id == submission.id, Draft.step == step, Draft.revision == revision)
            .values(**values)
            .returning(Draft.revision)
            .execution_options(synchronize_session=False)
        )
    if saved is None:
        raise StaleStep
    audit.record(db, actor, "draft.saved", submission, step=step, revision=saved)
    return int(saved)


def check(db: Session, submission: Submission, draft: Content) -> list[Finding]:
    """Everything that stands in the way of a submit (errors) or asks for a reason (warnings), in order of the form."""
    questions = calls.questions(submission.call)
    found = findings.check(questions, submission.kind, draft.answers, draft.unread, draft.files)
    contact = questions.uses.get("contact_email")
    address = draft.answers.get(contact) if contact else None
    if contact and address and not is_verified(db, address):
        step = questions.step_of(contact).name
        found.append(Finding("error", "email_unverified", contact, step, Message(UNVERIFIED, {})))
    return found


def submit(
    db: Session, actor: Actor, submission: Submission, key: str, language: str, signer: Signer, issuer: str
) -> Version:
    """Submit the draft as a new version and hand out its receipt.

    The same `key`, or the same content while it stands, gives the version that was accepted before: a double click
    or a retry never makes a second. NotReady when there are errors; the database refuses outside the window.
    """
    if not actor.may_edit(submission):
        raise Forbidden
    if not 1 <= len(key) <= KEY_LENGTH:
        raise Invalid
    if earlier := _by_key(db, submission, key):
        return earlier
    draft = content(db, submission)
    found = check(db, submission, draft)
    if any(finding.level == "error" for finding in found):
        raise NotReady
    questions = calls.questions(submission.call)
    payload = _payload(submission, questions, draft, found, language)
    digest = statements.digest(payload)
    before = standing(db, submission, draft)
    if before.version and before.version.payload_sha256 == digest and not before.withdrawal:
        return before.version
    if before.withdrawal:
        withdrawals.undo(db, actor, submission, before.withdrawal)
    version = _accept(db, actor, submission, questions, payload, digest, key)
    if version is None:
        return _require(_by_key(db, submission, key))
    _hand_out(db, actor, submission, questions, version, signer, issuer)
    return version


def _by_key(db: Session, submission: Submission, key: str) -> Version | None:
    return db.scalar(select(Version).where(Version.submission_id == submission.id, Version.idempotency_key == key))


def _require(version: Version | None) -> Version:
    if version is None:
        raise NotFound
    return version


def _payload(
    submission: Submission, questions: Questionnaire, draft: Content, found: list[Finding], language: str
) -> dict[str, Any]:
    """The content of a submit: what the receipt's digest is taken over."""
    asked = {q.name for step in questions.steps_for(submission.kind) for q in step.questions_for(submission.kind)}
    organisation = submission.organisation
    return {
        "format": "eoi-submission/1",
        "call": submission.call.code,
        "definition": questions.digest,
        "reference": submission.reference,
        "kind": submission.kind,
        "language": language,
        "organisation": {
            "name": organisation.name,
            "country": organisation.country,
            "registration_no": organisation.registration_no,
            "state_code": organisation.state_code,
        },
        "answers": {name: value for name, value in draft.answers.items() if name in asked},
        "files": [{"question": question, **file} for question in sorted(draft.files) for file in draft.files[question]],
        "warnings": [
            {"code": f.code, "path": f.path, "reason": draft.reasons.get(f.key, "")}
            for f in found
            if f.level == "warning"
        ],
    }


def content_bytes(submission: Submission, version: Version) -> bytes:
    """The canonical bytes of a version's content: their SHA-256 is the one on its receipt."""
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


def _accept(
    db: Session,
    actor: Actor,
    submission: Submission,
    questions: Questionnaire,
    payload: dict[str, Any],
    digest: str,
    key: str,
) -> Version | None:
    """Insert the version; the database numbers and stamps it. None when the same key was accepted meanwhile."""
    consent = questions.uses.get("consent")
    asked = consent is not None and questions.asks(submission.kind, consent)
    statement = (
        insert(Version)
        .values(
            submission_id=submission.id,
            call_id=submission.call_id,
            definition_digest=questions.digest,
            kind=submission.kind,
            language=payload["language"],
            title=str(payload["answers"].get(questions.uses["title"], "")),
            is_consented=not asked or payload["answers"].get(consent) is True,
            answers=payload["answers"],
            files=payload["files"],
            findings=payload["warnings"],
            facts=questionnaire.facts(questions, submission.kind, payload["answers"]),
            payload_sha256=digest,
            idempotency_key=key,
            submitted_by=actor.person_id,
        )
        .on_conflict_do_nothing(constraint="version_is_accepted_once")
        .returning(Version)
    )
    return db.scalars(statement).one_or_none()


def _hand_out(
    db: Session,
    actor: Actor,
    submission: Submission,
    questions: Questionnaire,
    version: Version,
    signer: Signer,
    issuer: str,
) -> None:
    """Sign the receipt, tell the audit and queue the mails, all in the transaction that accepted the version."""
    body = receipts.body(submission, version, actor.name, actor.email, questions.title, issuer)
    version.receipt = Receipt(version_id=version.id, body=body, jws=statements.sign(signer, body))
    db.add(version.receipt)
    db.add(
        Attempt(
            submission_id=submission.id,
            person_id=actor.person_id,
            outcome="accepted",
            code="accepted",
            idempotency_key=version.idempotency_key,
            reference=references.new(version.received_at),
        )
    )
    audit.record(db, actor, "submission.submitted", submission, version=version.number, sha256=version.payload_sha256)
    contact = version.answers.get(questions.uses.get("contact_email", ""))
    mails.receipt(db, [actor.email, *([contact] if contact else [])], submission, version, issuer)


def versions(db: Session, submission: Submission) -> list[Version]:
    """The accepted versions, first to last, with receipts."""
    return list(
        db.scalars(
            select(Version)
            .where(Version.submission_id == submission.id)
            .options(joinedload(Version.receipt), joinedload(Version.submitter))
            .order_by(Version.number)
        )
    )


def version(db: Session, submission: Submission, number: int) -> Version:
    """One version with its receipt; NotFound when there is none of that number."""
    return _require(
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


def standing(db: Session, submission: Submission, draft: Content | None = None) -> Standing:
    """Where the case stands; `is_changed` compares the draft with the version that counts."""
    last = db.scalar(
        select(Version)
        .where(Version.submission_id == submission.id, Version.exemption_id.is_(None))
        .order_by(Version.number.desc())
        .limit(1)
    )
    if last is None:
        return Standing(None, None, is_changed=False)
    now = draft or content(db, submission)
    files = [{"question": question, **file} for question in sorted(now.files) for file in now.files[question]]
    changed = now.answers != last.answers or files != last.files or bool(now.unread)
    return Standing(last, withdrawals.live(db, submission), changed)


def record_attempt(
    db: Session, submission_id: uuid.UUID, person_id: uuid.UUID, outcome: str, code: str, key: str
) -> None:
    """Write down a submit that was not accepted, in a transaction of its own."""
    db.add(
        Attempt(
            submission_id=submission_id,
            person_id=person_id,
            outcome=outcome,
            code=code,
            idempotency_key=key[:KEY_LENGTH],
            reference=references.new(calls.clock(db)),
        )
    )
