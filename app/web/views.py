"""/review/views: saved views of the register, one's own and those that others share."""

from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.deps import Db
from app.domain import calls, dossiers, views
from app.web import pages
from app.web.guards import Reviewer

router = APIRouter(prefix="/review/views")

QUERY_LENGTH = 4000


@router.get("")
def index(request: Request, actor: Reviewer, db: Db, call: str) -> Response:
    """The views of a call's register; one's own can be renamed, shared and deleted."""
    chosen = calls.by_code(db, call)
    return pages.render(request, "review/views.html", call=chosen, views=views.listed(db, actor, chosen))


@router.post("")
def save(actor: Reviewer, db: Db, form: pages.Form) -> Response:
    """Keep what the register shows now."""
    call = calls.by_code(db, pages.field(form, "call"))
    dossiers.require_closed(db, call)
    query = urlencode([pair for pair in parse_qsl(pages.field(form, "query", QUERY_LENGTH)) if pair[0] != "call"])
    made = views.save(db, actor, call, pages.field(form, "name"), query, bool(pages.field(form, "is_shared")))
    return pages.redirect(f"/review?{urlencode({'call': call.code})}&{made.query}")


@router.post("/{view_id}")
def rename(view_id: str, actor: Reviewer, db: Db, form: pages.Form) -> Response:
    """Give one's own view another name, and share it or no longer."""
    view = views.rename(db, actor, view_id, pages.field(form, "name"), bool(pages.field(form, "is_shared")))
    return pages.redirect(f"/review/views?{urlencode({'call': view.call.code})}")


@router.post("/{view_id}/removal")
def remove(view_id: str, actor: Reviewer, db: Db, form: pages.Form) -> Response:
    """Delete one's own view."""
    call = views.remove(db, actor, view_id)
    return pages.redirect(f"/review/views?{urlencode({'call': call.code})}")
