"""The case: start it, save a step, check it, submit it, withdraw and restore it."""

import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, func, literal, or_, select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import Session

from app.domain import (
    access,
    accounts,
    attempts,
    audit,
    calls,
    drafts,
    exemptions,
    mails,
    questionnaire,
    receipts,
    references,
    statements,
    versions,
    withdrawals,
)
from app.domain.access import Actor
from app.domain.errors import (
    ClassifiedInformation,
    Forbidden,
    Invalid,
    KindNotOpen,
    NotFound,
    NotReady,
)
from app.domain.findings import Finding
from app.domain.questionnaire import Questionnaire
from app.infra.signing import Signer
from app.models import Call, Exemption, Receipt, Submission, Version, Withdrawal

NOTHING_CLASSIFIED = "nothing_classified"  # the rule by which a call asks whether answers are classified


@dataclass(frozen=True)
class Standing:
    """Where a case stands: the version that counts, whether it is withdrawn, the last one that an exemption let in.

    `is_changed` tells whether the draft goes beyond the last of them.
    """

    version: Version | None
    withdrawal: Withdrawal | None
    is_changed: bool
    exceptional: Version | None = None

    @property
    def state(self) -> str:
        """`draft`, `submitted` or `withdrawn`: never a word about how it is judged."""
        if self.version is None:
            return "draft"
        return "withdrawn" if self.withdrawal else "submitted"

    @property
    def latest(self) -> Version | None:
        """What a submit would follow: the last version outside the sealed set, or else the one that counts."""
        return self.exceptional or self.version

    @property
    def repeated(self) -> Version | None:
        """The version that the draft as it is would only repeat."""
        if self.is_changed:
            return None
        return self.exceptional or (None if self.withdrawal else self.version)


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


def submit(
    db: Session, actor: Actor, submission: Submission, key: str, language: str, signer: Signer, issuer: str
) -> Version:
    """Submit the draft as a new version and hand out its receipt.

    The same `key`, or the same content while it stands, gives the version that was accepted before: a double click
    or a retry never makes a second. NotReady when there are errors; the database refuses outside the window.
    """
    if not actor.may_edit(submission):
        raise Forbidden
    if not 1 <= len(key) <= attempts.KEY_LENGTH:
        raise Invalid
    earlier, last, exceptional, pressed = _before(db, submission, key, actor.person_id)
    if earlier:
        return _again(db, actor, submission, earlier, key)
    attempts.hold_back(pressed)
    draft = drafts.content(db, submission)
    known = accounts.known(db, *{actor.email, drafts.contact(submission, draft)} - {""})
    found = drafts.check(db, submission, draft, known)
    _require_ready(db, submission, found)
    questions = calls.questions(submission.call)
    payload = _payload(submission, questions, draft, found, language)
    digest = statements.digest(payload)
    withdrawal = withdrawals.live(db, submission) if last else None
    same = exceptional or (None if withdrawal else last)
    if same and same.payload_sha256 == digest:
        return _again(db, actor, submission, same, key)
    if withdrawal and not exemptions.live(db, submission):
        withdrawals.undo(db, actor, submission, withdrawal)
    version = _accept(db, actor, submission, questions, payload, digest, key)
    if version is None:
        return _again(db, actor, submission, versions.require(_before(db, submission, key, actor.person_id)[0]), key)
    recipients = {address: of.language for address, of in known.items()}
    _hand_out(db, actor, submission, recipients, version, signer, issuer)
    return version


def _before(
    db: Session, submission: Submission, key: str, person_id: uuid.UUID | None
) -> tuple[Version | None, Version | None, Version | None, int]:
    """What was accepted with this key, what counts now, what an exemption let in last, the person's presses lately."""
    of_case = Version.submission_id == submission.id
    in_lane = Version.exemption_id.is_not(None)
    lasts = select(func.max(Version.number)).where(of_case).group_by(in_lane).scalar_subquery()
    wanted = or_(Version.idempotency_key == key, Version.number.in_(lasts))
    one = select(literal(1)).subquery()  # so that there is a row where there is no version
    rows = db.execute(
        select(Version, attempts.lately(submission, person_id))
        .select_from(one.outerjoin(Version, and_(of_case, wanted)))
        .order_by(Version.number)
    ).all()
    found = [version for version, _ in rows if version is not None]
    by_key = next((v for v in found if v.idempotency_key == key), None)
    last = {v.exemption_id is not None: v for v in found}
    return by_key, last.get(False), last.get(True), rows[0][1]


def _require_ready(db: Session, submission: Submission, found: list[Finding]) -> None:
    """NotReady when there are errors; where the window is shut, that is said first, as the database would."""
    errors = [finding.code for finding in found if finding.level == "error"]
    if not errors:
        return
    exemptions.foretell(db, submission)
    raise ClassifiedInformation if NOTHING_CLASSIFIED in errors else NotReady


def _again(db: Session, actor: Actor, submission: Submission, version: Version, key: str) -> Version:
    """The version that was accepted before; this press is on record all the same."""
    attempts.record(db, submission, actor.person_id, attempts.AGAIN, key)
    return version


def _payload(
    submission: Submission, questions: Questionnaire, draft: drafts.Content, found: list[Finding], language: str
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


def _accept(
    db: Session,
    actor: Actor,
    submission: Submission,
    questions: Questionnaire,
    payload: dict[str, Any],
    digest: str,
    key: str,
) -> Version | None:
    """Insert the version; the database numbers and stamps it. None when the same key was accepted meanwhile.

    What comes back is a copy outside the session.
    """
    consent = questions.uses.get("consent")
    asked = consent is not None and questions.asks(submission.kind, consent)
    values = {
        "submission_id": submission.id,
        "call_id": submission.call_id,
        "definition_digest": questions.digest,
        "kind": submission.kind,
        "language": payload["language"],
        "title": str(payload["answers"].get(questions.uses["title"], "")),
        "is_consented": not asked or payload["answers"].get(consent) is True,
        "answers": payload["answers"],
        "files": payload["files"],
        "findings": payload["warnings"],
        "facts": questionnaire.facts(questions, submission.kind, payload["answers"]),
        "payload_sha256": digest,
        "idempotency_key": key,
        "submitted_by": actor.person_id,
    }
    once = insert(Version).values(**values).on_conflict_do_nothing(constraint="version_is_accepted_once")
    stamped = db.execute(
        once.returning(Version.id, Version.number, Version.received_at, Version.exemption_id)
    ).one_or_none()
    return None if stamped is None else Version(**values, **stamped._mapping)


def _hand_out(
    db: Session,
    actor: Actor,
    submission: Submission,
    recipients: dict[str, str],
    version: Version,
    signer: Signer,
    issuer: str,
) -> None:
    """Sign the receipt, tell the audit and queue the mails, all in the transaction that accepted the version.

    One statement writes them all, as each further one would cost every submit of the last minute.
    """
    title = calls.questions(submission.call).title
    exemption = db.get(Exemption, version.exemption_id) if version.exemption_id else None
    body = receipts.body(submission, version, actor.name, actor.email, title, issuer, exemption)
    jws = statements.sign(signer, body)
    lines = [
        insert(Receipt).values(version_id=version.id, body=body, jws=jws),
        attempts.line(submission, actor.person_id, attempts.ACCEPTED, version.idempotency_key, version.received_at),
        audit.line(actor, "submission.submitted", submission, version=version.number, sha256=version.payload_sha256),
        *mails.receipt(recipients, submission, version, issuer, exemption),
    ]
    db.execute(select(literal(1)).add_cte(*(line.cte(f"line_{n}") for n, line in enumerate(lines))))
    version.receipt = Receipt(version_id=version.id, body=body, jws=jws)


def standing(db: Session, submission: Submission, draft: drafts.Content | None = None) -> Standing:
    """Where the case stands; `is_changed` compares the draft with the version that a submit would follow."""
    in_lane = Version.exemption_id.is_not(None)
    lasts = db.scalars(
        select(Version)
        .ext(distinct_on(in_lane))
        .where(Version.submission_id == submission.id)
        .order_by(in_lane, Version.number.desc())
    )
    found = {version.exemption_id is not None: version for version in lasts}
    latest = found.get(True) or found.get(False)
    if latest is None:
        return Standing(None, None, is_changed=False)
    now = draft or drafts.content(db, submission)
    files = [{"question": question, **file} for question in sorted(now.files) for file in now.files[question]]
    changed = now.answers != latest.answers or files != latest.files or bool(now.unread)
    return Standing(found.get(False), withdrawals.live(db, submission), changed, found.get(True))
