"""/help, /glossary and /status: whom to ask, what the words mean, and whether the portal works."""

from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.deps import Db, PortalDep
from app.domain import availability, calls, drafts, maintenance, terms
from app.domain.availability import Day, Outage
from app.domain.maintenance import Window
from app.web import pages
from app.web.guards import Public

router = APIRouter()

ZONE = ZoneInfo("Europe/Brussels")
PACKAGE = "eoi-portal"


@dataclass(frozen=True)
class History:
    """What the status page tells of the last 30 days and of the days to come, as read in a minute."""

    minute: datetime
    outages: list[tuple[Outage, int]]
    days: list[Day]
    announced: list[Window]


@router.get("/help")
def help_page(request: Request, actor: Public, db: Db) -> Response:
    """How to reach the help desk of each call that runs, and what to have at hand."""
    now = calls.clock(db)
    listed = [(call, calls.questions(call), calls.state(call, now)) for call in calls.all_calls(db)]
    reached = [(call, asked, state) for call, asked, state in listed if asked.help and not call.is_synthetic]
    return pages.render(request, "help/index.html", reached=reached)


@router.get("/glossary")
def glossary(request: Request, actor: Public) -> Response:
    """What the words of the portal mean."""
    return pages.render(request, "help/glossary.html", terms=terms.listed(pages.language_of(request)))


@router.get("/status")
def status(request: Request, actor: Public, db: Db, portal: PortalDep) -> Response:
    """Whether a submit would work now, when it would not have, what closes next. What failed inside stays inside."""
    now = calls.clock(db)
    history = _history(request, db, now)
    checks = portal.checks()
    next_up = sorted((c for c in calls.all_calls(db) if c.closes_at > now), key=lambda call: call.closes_at)
    return pages.render(
        request,
        "help/status.html",
        is_ready=all(checks.values()),
        history=history,
        next_up=[(call, calls.questions(call), calls.state(call, now)) for call in next_up],
        version=_version(),
        rules=drafts.CODE[:12],
    )


def _history(request: Request, db: Session, now: datetime) -> History:
    """Outages with the minutes of them that were announced, read once a minute: the page is public, and minutes do not change."""
    minute = now.replace(second=0, microsecond=0)
    kept: History | None = getattr(request.app.state, "history", None)
    if kept is None or kept.minute != minute:
        since = now - maintenance.SHOWN
        found, announced = availability.outages(db, since), maintenance.windows(db, since)
        outages = [(outage, maintenance.minutes_announced(outage, announced)) for outage in found]
        kept = History(minute, outages, availability.days(db, since, found, ZONE), announced)
        request.app.state.history = kept
    return kept


def _version() -> str:
    try:
        return metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:  # run from the source tree
        return ""
