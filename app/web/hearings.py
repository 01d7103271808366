"""/apply/{ref}/disclosures/{disclosure}: the submitter's view on what is to be disclosed of their submission."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from app.deps import Db
from app.domain import calls, hearings, redaction, submissions
from app.web import pages
from app.web.guards import Applicant

router = APIRouter(prefix="/apply/{ref}/disclosures/{disclosure}")
Number = Annotated[int, Path(ge=1, le=2**31)]


@router.get("")
def show(request: Request, ref: str, disclosure: Number, actor: Applicant, db: Db) -> Response:
    """What is proposed section by section, what would be read of it, and a form to agree or object."""
    case = submissions.load(db, actor, ref)
    found = hearings.one(db, case, disclosure)
    version, questions = found.item.version, calls.questions_of(db, found.item.version.definition_digest)
    hearing = found.hearing
    sections = hearing.proposal.sections if hearing else {}
    return pages.render(
        request,
        "disclosures/view.html",
        case=case,
        found=found,
        questions=questions,
        sections=sections,
        names=[name for name in redaction.sections_of(questions, version) if name in sections],
        preview=redaction.document(questions, case, version, sections, pages.language_of(request)),
        may_answer=actor.may_edit(case) and not found.is_over and found.state != "confirmed",
    )


@router.post("")
def answer(ref: str, disclosure: Number, form: pages.Form, actor: Applicant, db: Db) -> Response:
    """Keep what the submitter says."""
    case = submissions.load(db, actor, ref)
    hearings.answer(db, actor, case, hearings.one(db, case, disclosure), _said(form))
    return pages.redirect(f"/apply/{case.reference}/disclosures/{disclosure}?saved=1")


def _said(form: FormData) -> hearings.Said:
    said = {}
    for name in form:
        kind, _, section = name.partition(":")
        if kind == "agrees" and (given := pages.field(form, name, 5)) in ("yes", "no"):
            said[section] = (given == "yes", pages.field(form, f"reasons:{section}", hearings.REASON_LENGTH))
    return said
