"""/calls: what is open, who may respond, what is asked, until when; and the form to read on paper."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.deps import Db, PortalDep
from app.domain import calendars, calls, deadlines, prints, seals, statements, workbooks
from app.domain.errors import NotFound
from app.domain.receipts import NON_BINDING, RULE
from app.infra import pdf
from app.web import pages
from app.web.guards import Public

router = APIRouter(prefix="/calls")

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@router.get("")
def index(request: Request, actor: Public, db: Db) -> Response:
    """Every call, the next to close first."""
    now = calls.clock(db)
    listed = [(call, calls.state(call, now), calls.questions(call)) for call in calls.all_calls(db)]
    return pages.render(request, "calls/index.html", listed=listed)


@router.get("/{code}")
def show(request: Request, code: str, actor: Public, db: Db) -> Response:
    """One call: for whom, until when, what is asked."""
    call = calls.by_code(db, code)
    return pages.render(
        request,
        "calls/show.html",
        call=call,
        state=calls.state(call, calls.clock(db)),
        questions=calls.questions(call),
        changes=deadlines.confirmed(db, call),
        rule=RULE,
        non_binding=NON_BINDING,
    )


@router.get("/{code}/seal")
def seal(request: Request, code: str, actor: Public, db: Db) -> Response:
    """What the call held when it closed, signed, and how anyone checks it. Names and contents of nobody."""
    call = calls.by_code(db, code)
    made = seals.of_call(db, call)
    return pages.render(
        request,
        "calls/seal.html",
        call=call,
        state=calls.state(call, calls.clock(db)),
        questions=calls.questions(call),
        said=made.body if made else None,
        sealed_at=call.sealed_at,
    )


@router.get("/{code}/seal.json")
def seal_document(code: str, actor: Public, db: Db) -> Response:
    """The signed seal with the leaves of its tree, as `python -m app verify` and docs/verify.py check it."""
    call = calls.by_code(db, code)
    made = statements.canonical(seals.document(db, call))
    return pages.download(made, "application/json", f"{call.code}-seal.json")


@router.get("/{code}/form.pdf")
def blank_form(request: Request, code: str, actor: Public, db: Db, portal: PortalDep, kind: str = "FC") -> Response:
    """The whole form of one kind of respondent, to read or to discuss on paper."""
    call = calls.by_code(db, code)
    questions = calls.questions(call)
    if kind not in questions.respondents:
        raise NotFound
    data = prints.blank_form(call, questions, kind, pages.language_of(request))
    return pages.download(
        pdf.render("blank_form", data, call.published_at), "application/pdf", f"{call.code}-{kind}.pdf", inline=True
    )


@router.get("/{code}/form.xlsx")
def blank_workbook(request: Request, code: str, actor: Public, db: Db, kind: str = "FC") -> Response:
    """The whole form of one kind of respondent as a workbook, to fill in and bring back."""
    call = calls.by_code(db, code)
    questions = calls.questions(call)
    if kind not in questions.respondents:
        raise NotFound
    made = workbooks.write(call, questions, kind, pages.language_of(request))
    return pages.download(made, XLSX, f"{call.code}-{kind}.xlsx")


@router.get("/{code}/deadline.ics")
def calendar(request: Request, code: str, actor: Public, db: Db, portal: PortalDep) -> Response:
    """The deadline for one's own calendar; fetched again after a change it is the same event, moved."""
    call, language = calls.by_code(db, code), pages.language_of(request)
    title = prints.text_of(calls.questions(call).title, language)
    made = calendars.deadline(call, title, deadlines.confirmed(db, call), language, portal.settings.base_url)
    return pages.download(made, "text/calendar; charset=utf-8", f"{call.code}-deadline.ics")
