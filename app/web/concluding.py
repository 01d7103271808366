"""/review/{ref}/work: how far a dossier is, the recommendation, the second reader's signature, and opening it again."""

from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.deps import Db, PortalDep
from app.domain import agenda, assignments, calls, checklists, dossiers, progress, reconciliations, scores, signoffs
from app.domain.access import Actor
from app.models import Submission, Version
from app.web import pages
from app.web.guards import Coordinator, Reviewer

router = APIRouter(prefix="/review")


@router.get("/{ref}/work")
def work(request: Request, ref: str, actor: Reviewer, db: Db) -> Response:
    """Where the work on a dossier stands, and what is next."""
    submission, version = dossiers.load(db, actor, ref)
    return _work(request, db, actor, submission, version)


def _work(request: Request, db: Db, actor: Actor, submission: Submission, version: Version) -> Response:
    questions = calls.questions_of(db, version.definition_digest)
    said = [judged.counts for judged in checklists.judge(db, questions, submission, version)]
    signed = signoffs.live(db, submission)
    return pages.render(
        request,
        "review/work.html",
        submission=submission,
        version=version,
        questions=questions,
        state=progress.of(db, submission),
        live=assignments.live(db, submission),
        next_step=agenda.next_step(db, actor, submission, version),
        criteria=questions.review.criteria_for(version.kind),
        handed_in=scores.handed_in(db, submission),
        said={verdict: said.count(verdict) for verdict in checklists.VERDICTS},
        reconciled=reconciliations.last(db, submission),
        written=signoffs.recommendations(db, submission),
        words={word.value: word.label for word in questions.review.recommendations},
        sign_offs=signoffs.history(db, submission),
        signed=signed,
        is_ready=signoffs.is_ready(db, submission, questions),
        may_write=signoffs.may_write(db, actor, submission),
        may_sign=signoffs.may_sign(db, actor, submission),
    )


def _back(submission: Submission) -> Response:
    return pages.redirect(f"/review/{quote(submission.reference)}/work")


@router.post("/{ref}/recommendation")
def recommend(ref: str, form: pages.Form, actor: Reviewer, db: Db) -> Response:
    """Write a recommendation in the call's own words."""
    submission, version = dossiers.load(db, actor, ref)
    questions = calls.questions_of(db, version.definition_digest)
    value, text = pages.field(form, "value"), pages.field(form, "text", signoffs.TEXT_LENGTH)
    signoffs.recommend(db, actor, submission, questions, value, text)
    return _back(submission)


@router.post("/{ref}/sign-offs")
def sign(ref: str, form: pages.Form, actor: Reviewer, db: Db) -> Response:
    """Sign the dossier off under the recommendation that was shown."""
    submission, version = dossiers.load(db, actor, ref)
    questions = calls.questions_of(db, version.definition_digest)
    signoffs.sign(db, actor, submission, questions, pages.field(form, "seen"))
    return _back(submission)


@router.post("/{ref}/reopenings")
def reopen(ref: str, form: pages.Form, actor: Coordinator, db: Db, portal: PortalDep) -> Response:
    """Open a dossier again that was signed off."""
    submission, _ = dossiers.load(db, actor, ref)
    signoffs.reopen(db, actor, submission, pages.field(form, "reason"), portal.settings.base_url)
    return _back(submission)
