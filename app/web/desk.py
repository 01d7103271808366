"""/manage/attempts, /tickets and /availability: what the help desk looks up when somebody says that it did not work."""

import csv
from datetime import timedelta
from io import StringIO
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.deps import Db, PortalDep
from app.domain import availability, calls, oversight, tickets
from app.infra import times
from app.web import pages
from app.web.guards import Coordinator, Reviewer

router = APIRouter(prefix="/manage")

SHOWN = timedelta(days=30)
LOOKED_BACK = timedelta(days=400)
BYTE_ORDER_MARK = "\ufeff"  # by which spreadsheets know that it is UTF-8


@router.get("/attempts")
def attempts(request: Request, actor: Coordinator, db: Db, call: str = "", find: str = "", older: str = "") -> Response:
    """Every press on submit in a call, accepted or not; or those that a reference or an address finds."""
    listed = calls.all_calls(db)
    chosen = calls.by_code(db, call) if call else next(iter(listed), None)
    find = find.replace("\x00", "").strip()[:200]
    return pages.render(
        request,
        "manage/attempts.html",
        listing=oversight.attempts(db, actor, chosen, find, older),
        listed=listed,
        chosen=chosen,
        find=find,
    )


@router.get("/tickets")
def list_tickets(request: Request, actor: Coordinator, db: Db) -> Response:
    """The problems that were reported, those without an answer first."""
    return pages.render(request, "manage/tickets.html", listed=tickets.listed(db))


@router.post("/tickets/{ticket}/answer")
def answer(ticket: str, form: pages.Form, actor: Coordinator, db: Db, portal: PortalDep) -> Response:
    """Close a problem with an answer."""
    done = tickets.answer(db, actor, ticket, pages.field(form, "answer"), portal.settings.base_url)
    return pages.redirect(f"/manage/tickets#{done.reference}")


@router.get("/availability")
def history(request: Request, actor: Reviewer, db: Db) -> Response:
    """The windows of the last 30 days in which nobody could have submitted, day by day and one by one."""
    since = calls.clock(db) - SHOWN
    found = availability.outages(db, since)
    zone = ZoneInfo("Europe/Brussels")
    return pages.render(
        request,
        "manage/availability.html",
        outages=found,
        days=availability.days(db, since, found, zone),
        replicas=availability.replicas(db, calls.clock(db) - timedelta(days=1)),
    )


@router.get("/availability.csv")
def history_as_csv(actor: Reviewer, db: Db) -> Response:
    """The windows of the last 400 days, as a table."""
    out = StringIO()
    rows = csv.writer(out, lineterminator="\r\n")
    rows.writerow(["starts_at", "ends_at", "starts_brussels", "ends_brussels", "minutes", "failed"])
    for outage in availability.outages(db, calls.clock(db) - LOOKED_BACK):
        local = [times.brussels(at, "en") for at in (outage.starts_at, outage.ends_at)]
        instants = [times.iso(at) for at in (outage.starts_at, outage.ends_at)]
        rows.writerow([*instants, *local, outage.minutes, " ".join(outage.failed)])
    return pages.download((BYTE_ORDER_MARK + out.getvalue()).encode(), "text/csv; charset=utf-8", "outages.csv")
