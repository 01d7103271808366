"""/review/{ref}/conflict: the gate where staff say whether they have an interest in a dossier, before it opens."""

from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.deps import Db, PortalDep
from app.domain import conflicts
from app.web import pages
from app.web.guards import Reviewer

router = APIRouter(prefix="/review")


@router.get("/conflicts")
def index(request: Request, actor: Reviewer, db: Db) -> Response:
    """What the reader has stated about dossiers; of those with a conflict the reference alone."""
    return pages.render(request, "review/conflicts.html", stated=conflicts.mine(db, actor))


@router.get("/{ref}/conflict")
def gate(request: Request, ref: str, actor: Reviewer, db: Db, next: str = "") -> Response:
    """Who takes part, enough to know whether one has an interest, and the question; after a conflict not even that."""
    submission, version = conflicts.load(db, ref)
    stated = conflicts.history(db, actor, submission)
    is_hidden = bool(stated) and stated[0].level == "conflict"
    return pages.render(
        request,
        "review/conflict.html",
        submission=submission,
        version=version,
        stated=stated,
        parties={} if is_hidden else conflicts.parties(db, actor, [(submission, version)]),
        next=pages.own_path(next),
    )


@router.post("/{ref}/conflicts")
def state(ref: str, actor: Reviewer, db: Db, form: pages.Form, portal: PortalDep) -> Response:
    """State one's interest; the dossier opens unless there is a conflict."""
    submission, _ = conflicts.load(db, ref)
    level, reason = pages.field(form, "level"), pages.field(form, "reason", conflicts.REASON_LENGTH)
    made = conflicts.state(db, actor, submission, level, reason, portal.settings.base_url)
    onward = pages.own_path(pages.field(form, "next"))
    if made.level == "conflict":
        return pages.redirect("/review/conflicts")
    return pages.redirect(onward if onward != "/" else f"/review/{quote(submission.reference)}")
