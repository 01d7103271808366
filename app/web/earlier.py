"""/apply/{ref}/earlier-answers: carry answers over from another of one's own submissions, seeing what is taken."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.deps import Db
from app.domain import drafts, earlier, submissions
from app.web import pages, steps
from app.web.guards import Applicant

router = APIRouter(prefix="/apply")


@router.get("/{ref}/earlier-answers")
def choose(request: Request, ref: str, actor: Applicant, db: Db, source: str = "") -> Response:
    """First which submission, then which of its answers: each beside what the draft holds now."""
    case = submissions.load(db, actor, ref)
    chosen = earlier.source(db, actor, case, source) if source else None
    return pages.render(
        request,
        "apply/earlier.html",
        case=case,
        sources=earlier.sources(db, actor, case),
        chosen=chosen,
        offered=earlier.offered(db, case, chosen) if chosen else [],
        revisions={step: draft.revision for step, draft in drafts.saved(db, case).items()},
        may_edit=actor.may_edit(case),
    )


@router.post("/{ref}/earlier-answers")
def carry(request: Request, ref: str, actor: Applicant, db: Db, form: pages.Form) -> Response:
    """Take the ticked answers over into the draft; nothing is submitted by this."""
    case = submissions.load(db, actor, ref)
    if not (reference := pages.field(form, "source", 100)):
        return pages.redirect(f"/apply/{case.reference}/earlier-answers")
    chosen = earlier.source(db, actor, case, reference)
    names = {value for value in form.getlist("answer") if isinstance(value, str)}
    earlier.carry(db, actor, case, chosen, names, steps.revisions(form))
    return pages.redirect(f"/apply/{case.reference}")
