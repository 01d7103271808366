"""/apply/{ref}/intermediary: where somebody who was invited says for whom they act, and on which ground."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.deps import Db
from app.domain import calls, drafts, exemptions, intermediaries, participations, submissions
from app.domain.access import Actor
from app.domain.intermediaries import Stated
from app.infra.i18n import N_, Message
from app.models import Submission
from app.web import pages
from app.web.guards import Applicant

router = APIRouter(prefix="/apply/{ref}/intermediary")
LABELS = {
    "organisation": N_("Your organisation"),
    "acts_for": N_("For whom you act"),
    "mandate": N_("Mandate"),
    "document": N_("Document of the mandate"),
}


@router.get("")
def show(request: Request, ref: str, actor: Applicant, db: Db) -> Response:
    """What the actor said of themselves, and the form to say it."""
    case = submissions.load(db, actor, ref)
    part = intermediaries.part_of(db, actor, case)
    said = Stated(part.organisation, part.acts_for or case.organisation.name, part.mandate, part.document_sha256 or "")
    return _page(request, db, actor, case, said)


def _page(
    request: Request, db: Db, actor: Actor, case: Submission, said: Stated, problems: dict[str, str] | None = None
) -> Response:
    return pages.render(
        request,
        "apply/intermediary.html",
        422 if problems else 200,
        case=case,
        **exemptions.window(db, case)._asdict(),
        questions=calls.questions(case.call),
        files=drafts.content(db, case).files,
        typed=vars(said),
        problems=problems or {},
        lengths=(participations.NAME_LENGTH, participations.MANDATE_LENGTH),
    )


@router.post("")
def state(request: Request, ref: str, form: pages.Form, actor: Applicant, db: Db) -> Response:
    """Keep it."""
    case, language = submissions.load(db, actor, ref), pages.language_of(request)
    request.state.labels = {name: Message(words).text(language) for name, words in LABELS.items()}
    intermediaries.part_of(db, actor, case)
    said = Stated(
        pages.field(form, "organisation", participations.NAME_LENGTH).strip(),
        pages.field(form, "acts_for", participations.NAME_LENGTH).strip(),
        pages.field(form, "mandate", participations.MANDATE_LENGTH).strip(),
        pages.field(form, "document", 64),
    )
    files = [file for some in drafts.content(db, case).files.values() for file in some]
    problems = intermediaries.lacks(said, files)
    if problems:
        return _page(request, db, actor, case, said, {name: words.text(language) for name, words in problems.items()})
    intermediaries.state(db, actor, case, said, files)
    return pages.redirect(f"/apply/{case.reference}/participants")
