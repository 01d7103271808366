"""/apply/{ref}/answers: one's own answers on paper and as a workbook, and a filled-in workbook read back, seeing what changes."""

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from app.deps import Db, PortalDep
from app.domain import calls, copies, drafts, filled, submissions, workbooks
from app.domain.access import Actor
from app.domain.errors import FileRefused, TooLarge
from app.domain.filled import Filled
from app.infra import documents, pdf
from app.infra.files import FileTooLarge
from app.infra.i18n import LANGUAGES, N_, Message
from app.models import Submission
from app.web import pages, steps
from app.web.guards import Applicant

router = APIRouter(prefix="/apply/{ref}")

MAX_WORKBOOK = 5 * 1024 * 1024
TYPED = "typed."  # before the name of a field, as the form has it
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
CHOOSE = N_("Choose the workbook first.")


@router.get("/answers.xlsx")
def workbook(request: Request, ref: str, actor: Applicant, db: Db) -> Response:
    """The form as a workbook with all that the draft holds, to fill in further."""
    case = submissions.load(db, actor, ref)
    given, questions = drafts.content(db, case).answers, calls.questions(case.call)
    made = workbooks.write(case.call, questions, case.kind, pages.language_of(request), case.reference, given)
    return pages.download(made, XLSX, f"{case.reference}.xlsx")


@router.get("/answers.pdf")
def paper(request: Request, ref: str, actor: Applicant, db: Db) -> Response:
    """All that the draft holds, to read on paper. It proves nothing: that is what a receipt is for."""
    case = submissions.load(db, actor, ref)
    draft = drafts.content(db, case)
    data = copies.draft(case, calls.questions(case.call), draft.answers, draft.files, pages.language_of(request))
    made = pdf.render("answers", data, draft.saved_at or case.created_at)
    return pages.download(made, "application/pdf", f"{case.reference}.pdf", inline=True)


@router.get("/answers")
def ask(request: Request, ref: str, actor: Applicant, db: Db) -> Response:
    """Take a workbook along, or bring one back."""
    return _page(request, submissions.load(db, actor, ref), actor, db)


def _page(
    request: Request,
    case: Submission,
    actor: Actor,
    db: Db,
    refusal: Message | None = None,
    read: Filled | None = None,
) -> Response:
    offered = filled.offers(db, case, read) if read else []
    return pages.render(
        request,
        "apply/spreadsheet.html",
        422 if refusal else 200,
        case=case,
        refusal=refusal.text(pages.language_of(request)) if refusal else "",
        read=read,
        offered=offered,
        revisions={step: draft.revision for step, draft in drafts.saved(db, case).items()},
        may_edit=actor.may_edit(case),
    )


@router.post("/answers")
def preview(request: Request, ref: str, actor: Applicant, db: Db, form: pages.Form, portal: PortalDep) -> Response:
    """Read a filled-in workbook and show what it would change. Nothing is changed yet, and the workbook is not kept."""
    case = submissions.load(db, actor, ref)
    upload = next(iter(pages.files_named(form, "workbook")), None)
    if upload is None:
        return _page(request, case, actor, db, Message(CHOOSE, {}))
    name = documents.clean_name(upload.filename or "")
    try:
        with portal.files.staged(upload.file, MAX_WORKBOOK) as staged:
            read = filled.read(case, staged.path, name)
    except FileTooLarge:
        return _page(request, case, actor, db, Message(TooLarge.msgid, {}))
    except FileRefused as refusal:
        return _page(request, case, actor, db, refusal.message)
    return _page(request, case, actor, db, read=read)


@router.post("/answers/changes")
def take(ref: str, actor: Applicant, db: Db, form: pages.Form) -> Response:
    """Take over what was ticked of what was shown; the rest of the draft stays as it is."""
    case = submissions.load(db, actor, ref)
    language = pages.field(form, "language", 5)
    filled.take(
        db,
        actor,
        case,
        set(pages.fields(form, "answer")),
        _typed(form),
        steps.revisions(form),
        language if language in LANGUAGES else LANGUAGES[0],
    )
    return pages.redirect(f"/apply/{case.reference}")


def _typed(form: FormData) -> list[tuple[str, str]]:
    return [
        (name.removeprefix(TYPED), value)
        for name, value in form.multi_items()
        if name.startswith(TYPED) and isinstance(value, str)
    ]
