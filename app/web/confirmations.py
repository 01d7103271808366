"""/apply/{ref}/confirmation: the lead reads what others want to submit in its name, and agrees to exactly that."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.deps import Db
from app.domain import calls, confirmations, drafts, exemptions, judgements, questionnaire, submissions
from app.domain.errors import NotFound
from app.web import pages
from app.web.guards import Applicant

router = APIRouter(prefix="/apply/{ref}/confirmation")


@router.get("")
def show(request: Request, ref: str, actor: Applicant, db: Db) -> Response:
    """All answers as they would be submitted now, whether they are confirmed, and the button that confirms."""
    case = submissions.load(db, actor, ref)
    if not confirmations.is_asked(db, case):
        raise NotFound
    questions, draft = calls.questions(case.call), drafts.content(db, case)
    judged = judgements.judge(case, draft)
    digest = confirmations.digest(judged)
    return pages.render(
        request,
        "apply/confirmation.html",
        case=case,
        questions=questions,
        **exemptions.window(db, case)._asdict(),
        errors=len(drafts.check(db, case, draft)) if judged.errors else 0,
        digest=digest,
        given=confirmations.given(db, case, digest),
        before=confirmations.of_case(db, case),
        rows=list(questionnaire.walk(questions, case.kind, draft.answers | draft.files)),
        may_confirm=actor.owns(case),
    )


@router.post("")
def confirm(ref: str, form: pages.Form, actor: Applicant, db: Db) -> Response:
    """Confirm what was on the page."""
    case = submissions.load(db, actor, ref)
    if not confirmations.is_asked(db, case):
        raise NotFound
    judged = judgements.judge(case, drafts.content(db, case))
    confirmations.confirm(db, actor, case, judged, pages.field(form, "digest", 64))
    return pages.redirect(f"/apply/{case.reference}/confirmation")
