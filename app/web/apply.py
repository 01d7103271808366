"""/apply: my submissions, the task list, the pages of the form, check, submit, withdraw and restore."""

import uuid
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from app.deps import Db, PortalDep
from app.domain import (
    attachments,
    attempts,
    calls,
    changes,
    clarifications,
    drafts,
    earlier,
    exemptions,
    findings,
    hearings,
    interests,
    judgements,
    reading,
    releases,
    submissions,
    support,
    versions,
    withdrawals,
)
from app.domain.access import Actor
from app.domain.errors import FileRefused, Invalid, NotFound, StaleStep, TooLarge, TooManyFiles
from app.domain.questionnaire import Questionnaire, Step
from app.domain.reading import Reading
from app.models import Submission
from app.web import pages, steps
from app.web.guards import Applicant, Public

router = APIRouter(prefix="/apply")

COPY_LIMIT = 2 * 1024 * 1024


@router.get("")
def mine(request: Request, actor: Applicant, db: Db, call: str = "") -> Response:
    """My organisations' submissions, and a form to start one."""
    now = calls.clock(db)
    mine = submissions.mine(db, actor)
    rows = [(s, submissions.standing(db, s), calls.state(s.call, now)) for s in mine]
    choices = [
        (c, m, kind, calls.questions(c).respondents[kind])
        for c in calls.all_calls(db)
        if calls.is_open(c, now)
        for m in actor.memberships
        if m.role != "viewer"
        for kind in submissions.kinds_for(c, m)
    ]
    names = {s.call_id: calls.questions(s.call).title for s, _, _ in rows} | {
        c.id: calls.questions(c).title for c, _, _, _ in choices
    }
    return pages.render(
        request,
        "apply/mine.html",
        rows=rows,
        choices=choices,
        names=names,
        wanted=call,
        let_in=exemptions.live_among(db, mine),
        progress=releases.progress(db, mine),
        asked=clarifications.open_among(db, mine),
    )


@router.post("")
def start(form: pages.Form, actor: Applicant, db: Db) -> Response:
    """Start a submission: the choice holds call, organisation and kind."""
    code, _, rest = pages.field(form, "choice", 200).partition("|")
    organisation, _, kind = rest.partition("|")
    try:
        organisation_id = uuid.UUID(organisation)
    except ValueError as failure:
        raise Invalid from failure
    case = submissions.start(db, actor, calls.by_code(db, code), organisation_id, kind)
    return pages.redirect(f"/apply/{case.reference}")


@router.post("/copy")
def copy(form: pages.Form, actor: Public) -> Response:
    """Give back what was typed into a refused page, as a text file."""
    given = form.get("copy")
    text = given[:COPY_LIMIT] if isinstance(given, str) else ""
    return pages.download(text.encode(), "text/plain; charset=utf-8", "what-i-typed.txt")


@router.get("/{ref}")
def tasks(request: Request, ref: str, actor: Applicant, db: Db) -> Response:
    """The task list of one submission, where it stands and what is not submitted yet."""
    case = submissions.load(db, actor, ref)
    questions = calls.questions(case.call)
    draft = drafts.content(db, case)
    standing = submissions.standing(db, case, draft)
    found = drafts.check(db, case, draft)
    saved = drafts.saved(db, case)
    return pages.render(
        request,
        "apply/tasks.html",
        case=case,
        questions=questions,
        **exemptions.window(db, case)._asdict(),
        standing=standing,
        changed=_changes(questions, case, draft, standing),
        tasks=[(step, _status(step, found, step.name in saved)) for step in questions.steps_for(case.kind)],
        errors=sum(f.level == "error" for f in found),
        warnings=sum(f.level == "warning" for f in found),
        versions=versions.of_submission(db, case),
        refused=attempts.refused(db, case),
        may_edit=actor.may_edit(case),
        has_others=bool(earlier.sources(db, actor, case)),
        progress=releases.progress(db, [case]).get(case.id),
        asked=clarifications.with_states(db, case),
        views=hearings.of_submission(db, case),
        letters=support.to_consortium(db, case) if case.kind in questions.support.for_ else [],
        interests=interests.to_consortium(db, case) if case.kind in questions.support.for_ else [],
    )


def _status(step: Step, found: list[findings.Finding], is_saved: bool) -> str:
    mine = [f for f in found if f.step == step.name]
    if not is_saved:
        return "todo" if any(f.level == "error" for f in mine) else "optional"
    if any(f.level == "error" for f in mine):
        return "errors"
    return "warnings" if mine else "done"


def _changes(
    questions: Questionnaire, case: Submission, draft: drafts.Content, standing: submissions.Standing
) -> list[changes.Change]:
    if standing.latest is None:
        return []
    kept: dict[str, list[dict[str, Any]]] = {}
    for file in standing.latest.files:
        kept.setdefault(file["question"], []).append(file)
    return changes.between(questions, case.kind, standing.latest.answers | kept, draft.answers | draft.files)


@router.get("/{ref}/withdrawal")
def ask_withdrawal(request: Request, ref: str, actor: Applicant, db: Db) -> Response:
    """Ask for the reason, and say that nothing stands afterwards."""
    case = submissions.load(db, actor, ref)
    return pages.render(request, "apply/withdrawal.html", case=case, standing=submissions.standing(db, case))


@router.post("/{ref}/withdrawal")
def withdraw(ref: str, form: pages.Form, actor: Applicant, db: Db, portal: PortalDep) -> Response:
    """Withdraw."""
    case = submissions.load(db, actor, ref)
    withdrawals.withdraw(db, actor, case, pages.field(form, "reason"), portal.settings.base_url)
    return pages.redirect(f"/apply/{case.reference}")


@router.post("/{ref}/restoration")
def restore(ref: str, form: pages.Form, actor: Applicant, db: Db, portal: PortalDep) -> Response:
    """Undo a withdrawal."""
    case = submissions.load(db, actor, ref)
    withdrawals.restore(db, actor, case, portal.settings.base_url)
    return pages.redirect(f"/apply/{case.reference}")


@router.get("/{ref}/{step}")
def step(request: Request, ref: str, step: str, actor: Applicant, db: Db) -> Response:
    """One page of the form."""
    case = submissions.load(db, actor, ref)
    found = _step(case, step)
    draft = drafts.saved(db, case).get(step)
    read = Reading(dict(draft.answers), dict(draft.unread)) if draft else Reading()
    if draft is None:
        for question in found.questions_for(case.kind):
            if least := question.min_items.get(case.kind, 0):
                read.answers[question.name] = [{} for _ in range(least)]
    return _step_page(request, case, found, actor, db, read, draft.revision if draft else 0, is_saved=draft is not None)


def _step(case: Submission, name: str) -> Step:
    found = calls.questions(case.call).step(name, case.kind)
    if found is None:
        raise NotFound
    return found


def _step_page(
    request: Request,
    case: Submission,
    step: Step,
    actor: Actor,
    db: Db,
    read: Reading,
    revision: int,
    status: int = 200,
    extra: list[findings.Finding] | None = None,
    conflicts: list[changes.Change] | None = None,
    is_saved: bool = True,
) -> Response:
    questions = calls.questions(case.call)
    draft = drafts.content(db, case)
    answers, unread = draft.answers | read.answers, draft.unread | read.unread
    found = findings.check(questions, case.kind, answers, unread, draft.files) if is_saved else []
    shown = [*(extra or []), *(f for f in found if f.step == step.name)]
    saved = drafts.saved(db, case).get(step.name)
    names = [s.name for s in questions.steps_for(case.kind)]
    place = names.index(step.name)
    return pages.render(
        request,
        "apply/step.html",
        status,
        case=case,
        step=step,
        fields=steps.Fields(questions, step, case.kind, pages.language_of(request), read, draft.files, shown),
        **exemptions.window(db, case)._asdict(),
        standing=submissions.standing(db, case, draft),
        revision=revision,
        saved=saved,
        conflicts=conflicts or [],
        place=(place + 1, len(names)),
        following=names[place + 1] if place + 1 < len(names) else None,
        may_edit=actor.may_edit(case),
        is_alarm=status != 200,
    )


@router.post("/{ref}/{step}")
def save(
    request: Request, ref: str, step: str, form: pages.Form, actor: Applicant, db: Db, portal: PortalDep
) -> Response:
    """Save one page: answers first, then files; nothing typed is lost whatever becomes of it."""
    case = submissions.load(db, actor, ref)
    found = _step(case, step)
    language, action = pages.language_of(request), pages.field(form, "action", 300)
    read = reading.read(found, case.kind, steps.pairs(form), language)
    request.state.labels = steps.labels(calls.questions(case.call), case.kind, read.answers, language)
    target = steps.press(found, case.kind, read, action)
    try:
        revision = drafts.save_step(db, actor, case, step, steps.revision(form), read.answers, read.unread)
    except StaleStep:
        theirs = drafts.saved(db, case)[step]
        differing = changes.between(calls.questions(case.call), case.kind, theirs.answers, read.answers)
        return _step_page(request, case, found, actor, db, read, theirs.revision, 409, conflicts=differing)
    refusals = _files(form, found, case, actor, db, portal)
    if (gone := steps.attachment_id(action)) is not None:
        attachments.detach(db, actor, case, gone)
    judgements.keep(db, case)
    if refusals or (read.unread and target is None and action in ("", "save", "continue")):
        return _step_page(request, case, found, actor, db, read, revision, 422, extra=refusals)
    return pages.redirect(_next(case, found, action, target))


def _files(
    form: FormData, step: Step, case: Submission, actor: Actor, db: Db, portal: PortalDep
) -> list[findings.Finding]:
    """Take the posted files in, each by itself: one that is refused stops neither the others nor the answers."""
    refusals = []
    for question in step.questions_for(case.kind):
        if question.kind != "file":
            continue
        for upload in pages.files_named(form, question.name):
            try:
                with db.begin_nested():
                    attachments.attach(db, portal.files, actor, case, question.name, upload.filename or "", upload.file)
            except (FileRefused, TooLarge, TooManyFiles) as refusal:
                refusals.append(steps.refused_file(refusal.message, question.name, step.name))
    return refusals


def _next(case: Submission, step: Step, action: str, target: str | None) -> str:
    here = f"/apply/{case.reference}/{step.name}"
    if target is not None:
        return f"{here}#{target}"
    if action.startswith("detach:"):
        return here
    if action == "continue":
        names = [s.name for s in calls.questions(case.call).steps_for(case.kind)]
        place = names.index(step.name) + 1
        return f"/apply/{case.reference}/{names[place]}" if place < len(names) else f"/apply/{case.reference}/check"
    return f"{here}?saved=1"
