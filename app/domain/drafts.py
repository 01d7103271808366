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

from app.domain import accounts, attachments, audit, calls, findings, mandates, participations
from app.domain.access import Actor
from app.domain.accounts import Known
from app.domain.admissions import PartRemoved
from app.domain.errors import Forbidden, NotFound, StaleStep
from app.domain.findings import Finding
from app.infra.i18n import N_, Message
from app.models import Draft, Judgement, Participation, Submission

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
    before = _locked(db, submission, step)
    was = dict(before.answers) if before else {}
    saved = _write(db, actor, submission, step, revision, answers, unread)
    if before is not None:
        participations.follow(db, submission, step, was, answers)
        db.expire(before)
    return saved


def _write(
    db: Session,
    actor: Actor,
    submission: Submission,
    step: str,
    revision: int,
    answers: dict[str, Any],
    unread: dict[str, Any],
) -> int:
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


def _locked(db: Session, submission: Submission, step: str) -> Draft | None:
    """The saved page with the list of organisations, locked: a partner and the lead save it one after the other."""
    listed = participations.list_of(calls.questions(submission.call), submission.kind)
    if listed is None or calls.questions(submission.call).step_of(listed).name != step:
        return None
    wanted = select(Draft).where(Draft.submission_id == submission.id, Draft.step == step)
    return db.scalar(wanted.with_for_update().execution_options(populate_existing=True))


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


@dataclass(frozen=True)
class Part:
    """A partner's own organisation in a draft: where it stands, its answers and unread texts, by the page that holds it."""

    place: int
    listed: str
    page: Draft
    item: dict[str, Any]
    unread: dict[str, Any]


def part(db: Session, participation: Participation, is_locked: bool = False) -> Part:
    """What stands at a partner's place. PartRemoved when the lead took that organisation off the list."""
    case = participation.submission
    questions = calls.questions(case.call)
    listed = participations.list_of(questions, case.kind)
    step = questions.step_of(listed).name if listed else ""
    page = _locked(db, case, step) if is_locked else saved(db, case).get(step)
    db.refresh(participation, ["place"])
    items = page.answers.get(listed) or [] if page and listed else []
    if page is None or listed is None or participation.place is None or participation.place >= len(items):
        raise PartRemoved
    start = f"{listed}-{participation.place}-"
    unread = {p.removeprefix(start): u for p, u in page.unread.items() if p.startswith(start)}
    return Part(participation.place, listed, page, items[participation.place], unread)


def save_part(
    db: Session,
    actor: Actor,
    participation: Participation,
    seen: str,
    item: dict[str, Any],
    unread: dict[str, Any],
) -> None:
    """Save a partner's own organisation and nothing else, begun from the answers that `seen` is the digest of.

    StaleStep when somebody changed these meanwhile; what others write elsewhere on the page is in nobody's way.
    """
    if participation.person_id != actor.person_id:
        raise Forbidden
    now = part(db, participation, is_locked=True)
    if mandates.digest({"item": now.item, "unread": now.unread}) != seen:
        raise StaleStep
    start = f"{now.listed}-{now.place}-"
    items = [*now.page.answers[now.listed]]
    items[now.place] = item
    others = {path: entry for path, entry in now.page.unread.items() if not path.startswith(start)}
    mine = {start + path: entry for path, entry in unread.items()}
    answers = now.page.answers | {now.listed: items}
    _write(db, actor, participation.submission, now.page.step, now.page.revision, answers, others | mine)
    db.expire(now.page)


def add_organisation(db: Session, actor: Actor, submission: Submission, name: str) -> int | None:
    """Put one more organisation on the list, known by its name alone, for a partner to fill; its place. None when it is full."""
    questions = calls.questions(submission.call)
    listed, entities = participations.list_of(questions, submission.kind), questions.parts.entities
    if listed is None or entities is None:
        raise NotFound
    step = questions.step_of(listed).name
    page = _locked(db, submission, step)
    items = [*((page.answers.get(listed) if page else None) or [])]
    if len(items) >= questions.question(listed).max_items:
        return None
    answers = (page.answers if page else {}) | {listed: [*items, {entities.name: name}]}
    save_step(db, actor, submission, step, page.revision if page else 0, answers, page.unread if page else {})
    return len(items)


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
    for one in mandates.missing(db, submission, draft.answers):
        listed = participations.list_of(questions, submission.kind) or ""
        said = Message(mandates.MISSING, {"organisation": one.name or str(one.place + 1)})
        found.append(Finding("error", "mandate_missing", f"{listed}-{one.place}", questions.step_of(listed).name, said))
    return found
