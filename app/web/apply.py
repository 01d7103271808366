"""/apply: my submissions, the task list, withdraw and restore. The pages of the form are in drafts, what follows in receipts."""

import secrets
import uuid
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.deps import Db, PortalDep
from app.domain import (
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
    participations,
    releases,
    submissions,
    support,
    versions,
    withdrawals,
)
from app.domain.errors import Invalid
from app.domain.questionnaire import Questionnaire, Step
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
    parts = participations.mine(db, actor)
    names = {s.call_id: calls.questions(s.call).title for s in [*mine, *parts]} | {
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
        parts=parts,
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
    labels = steps.labels(questions, case.kind, draft.answers, pages.language_of(request))
    return pages.render(
        request,
        "apply/tasks.html",
        case=case,
        questions=questions,
        **exemptions.window(db, case)._asdict(),
        standing=standing,
        changed=_changes(questions, case, draft, standing),
        tasks=[(step, _status(step, found, step.name in saved)) for step in questions.steps_for(case.kind)],
        blocking=[f for f in found if f.level == "error"],
        label_of=lambda path: labels.get(path, path),
        key=secrets.token_urlsafe(18),
        warnings=sum(f.level == "warning" for f in found),
        versions=versions.of_submission(db, case),
        refused=attempts.refused(db, case),
        may_edit=actor.may_edit(case),
        may_submit=actor.may_submit(case),
        needs_lead=calls.questions(case.call).confirmation == "lead",
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
