"""/manage/calls/{code}/retention: what is beyond its term, what stays and why; destroyed by two coordinators."""

import uuid

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.deps import Db, PortalDep
from app.domain import calls, prints, retention, statements
from app.infra import pdf
from app.web import pages
from app.web.guards import Coordinator, CoordinatorAnew

router = APIRouter(prefix="/manage/calls/{code}")


@router.get("/retention")
def show(request: Request, code: str, actor: Coordinator, db: Db) -> Response:
    """The dry run, what waits for a second person, and what was destroyed."""
    call = calls.by_code(db, code)
    return pages.render(
        request,
        "manage/retention.html",
        call=call,
        classes=retention.report(db, call),
        history=retention.history(db, call),
    )


@router.post("/destructions")
def propose(code: str, form: pages.Form, actor: Coordinator, db: Db) -> Response:
    """Propose to destroy what is due of a class."""
    call = calls.by_code(db, code)
    retention.propose(db, actor, call, pages.field(form, "sort", 20))
    return pages.redirect(f"/manage/calls/{call.code}/retention")


@router.post("/destructions/{destruction_id}/confirmation")
def confirm(
    code: str, destruction_id: uuid.UUID, form: pages.Form, actor: CoordinatorAnew, db: Db, portal: PortalDep
) -> Response:
    """Destroy it: by another coordinator than the one who proposed it."""
    call = calls.by_code(db, code)
    retention.confirm(db, actor, call, destruction_id, portal.signer, portal.settings.base_url)
    return pages.redirect(f"/manage/calls/{call.code}/retention")


@router.post("/destructions/{destruction_id}/rejection")
def drop(code: str, destruction_id: uuid.UUID, form: pages.Form, actor: Coordinator, db: Db) -> Response:
    """Take the proposal off the table."""
    call = calls.by_code(db, code)
    retention.drop(db, actor, call, destruction_id)
    return pages.redirect(f"/manage/calls/{call.code}/retention")


@router.get("/destructions/{destruction_id}.json")
def as_json(code: str, destruction_id: uuid.UUID, actor: Coordinator, db: Db) -> Response:
    """The signed certificate."""
    made = retention.certificate(db, calls.by_code(db, code), destruction_id)
    content = statements.canonical(statements.document(made.body, made.jws))
    return pages.download(content, "application/json", f"{code}-{made.body['sort']}-certificate.json")


@router.get("/destructions/{destruction_id}.pdf")
def as_pdf(request: Request, code: str, destruction_id: uuid.UUID, actor: Coordinator, db: Db) -> Response:
    """The certificate on paper."""
    made = retention.certificate(db, calls.by_code(db, code), destruction_id)
    data = prints.certificate(made.body, made.jws, pages.language_of(request))
    content = pdf.render("certificate", data, made.created_at)
    return pages.download(content, "application/pdf", f"{code}-{made.body['sort']}-certificate.pdf")
