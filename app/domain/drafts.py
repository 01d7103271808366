"""The draft: what was last saved of each step, its files, and what a check of it finds. It counts for nothing until submitted."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sqlalchemy import Uuid, bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, joinedload

from app.domain import accounts, attachments, audit, calls, findings
from app.domain.access import Actor
from app.domain.accounts import Known
from app.domain.errors import Forbidden, StaleStep
from app.domain.findings import Finding
from app.infra.i18n import N_, Message
from app.models import Draft, Judgement, Submission

CHECK = "check"  # the step under which the reasons for warnings are kept
REASON_LENGTH = 2000
UNVERIFIED = N_(
    "Nobody has signed in with this e-mail address yet, so it cannot receive the receipt. Invite this person as a "
    "colleague and let them sign in once, or give the address that you sign in with."
)


def _code() -> str:
    """The digest of all that judges: this folder, and the library that reads the rules."""
    files = sorted(path for path in Path(__file__).parent.rglob("*") if path.suffix in (".py", ".txt"))
    parts = [version("common-expression-language").encode(), *(path.read_bytes() for path in files)]
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


CODE = _code()

# What a draft is at a moment, as a digest: its steps and files by the instants that the database gave them, the
# definition that they answer, and the code that judges. Two alike hold the same; it costs no look into the answers.
STATE = """encode(sha256(convert_to(concat_ws('|', {code}, (
    select of.definition_digest from submission one join call of on of.id = one.call_id where one.id = {case}), (
    select coalesce(string_agg(concat_ws(':', d.step, d.revision, d.saved_at at time zone 'UTC'), ',' order by d.step), '')
    from draft d where d.submission_id = {case}), (
    select string_agg(a.id::text, ',' order by a.id) from attachment a
    where a.submission_id = {case} and a.detached_at is null)), 'UTF8')), 'hex')"""


@dataclass(frozen=True)
class Content:
    """What a draft holds now: answers over all steps, what could not be read, files, and reasons for warnings.

    `state` names exactly this content; `found` is what a check of it found, where that was kept.
    """

    answers: dict[str, Any]
    unread: dict[str, Any]
    files: dict[str, list[dict[str, Any]]]
    reasons: dict[str, str]
    saved_at: datetime | None
    state: str = ""
    found: list[Finding] | None = None


def saved(db: Session, submission: Submission) -> dict[str, Draft]:
    """What was last saved, by step."""
    rows = db.scalars(select(Draft).where(Draft.submission_id == submission.id).options(joinedload(Draft.author)))
    return {draft.step: draft for draft in rows}


# One statement for all of a draft: the answers, unread texts and instants of its steps, and its live files in order;
# its state, and what was found in which state.
_CONTENT = select(
    select(func.jsonb_object_agg(Draft.step, func.jsonb_build_array(Draft.answers, Draft.unread)))
    .where(Draft.submission_id == bindparam("case"))
    .scalar_subquery(),
    select(func.max(Draft.saved_at)).where(Draft.submission_id == bindparam("case")).scalar_subquery(),
    attachments.live_files(bindparam("case", type_=Uuid())).scalar_subquery(),
    text(STATE.format(code="cast(:code as text)", case=":case")),
    select(Judgement.state).where(Judgement.submission_id == bindparam("case")).scalar_subquery(),
    select(Judgement.found).where(Judgement.submission_id == bindparam("case")).scalar_subquery(),
)


def content(db: Session, submission: Submission) -> Content:
    """The draft of all steps together."""
    asked = {"case": submission.id, "code": CODE}
    steps, saved_at, files, state, judged, found = db.execute(_CONTENT, asked).one()
    answers: dict[str, Any] = {}
    unread: dict[str, Any] = {}
    for step, (given, unreadable) in (steps or {}).items():
        if step != CHECK:
            answers |= given
            unread |= unreadable
    reasons = steps[CHECK][0] if steps and CHECK in steps else {}
    kept = findings.remembered(found) if judged == state else None
    return Content(answers, unread, attachments.by_question(files or []), reasons, saved_at, state, kept)


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


def overlay(
    db: Session,
    actor: Actor,
    submission: Submission,
    step: str,
    revision: int,
    names: set[str],
    answers: dict[str, Any],
    unread: dict[str, Any],
) -> int:
    """Save some questions of a step over what it holds; the others on it stay as they are. StaleStep as above."""
    kept = saved(db, submission).get(step)
    stay = {name: value for name, value in (kept.answers if kept else {}).items() if name not in names}
    unread_stay = {p: u for p, u in (kept.unread if kept else {}).items() if p.split("-", 1)[0] not in names}
    mine = {name: value for name, value in answers.items() if name in names}
    return save_step(db, actor, submission, step, revision, stay | mine, unread_stay | unread)


def contact(submission: Submission, draft: Content) -> str:
    """The address given for the receipt; empty where none is given yet."""
    question = calls.questions(submission.call).uses.get("contact_email", "")
    return str(draft.answers.get(question) or "")


def check(db: Session, submission: Submission, draft: Content, known: dict[str, Known] | None = None) -> list[Finding]:
    """Everything that stands in the way of a submit (errors) or asks for a reason (warnings), in order of the form.

    `known` tells of the contact's address where that was looked up already.
    """
    questions = calls.questions(submission.call)
    found = draft.found
    if found is None:
        found = findings.check(questions, submission.kind, draft.answers, draft.unread, draft.files)
    address = contact(submission, draft)
    if address and not (known or accounts.known(db, address))[address].is_verified:
        question = questions.uses["contact_email"]
        step = questions.step_of(question).name
        found.append(Finding("error", "email_unverified", question, step, Message(UNVERIFIED, {})))
    return found
