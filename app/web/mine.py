"""/review/mine: a reviewer's own work, where it starts: what is next by when, what is meant for them, what they read."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.deps import Db, PortalDep
from app.domain import agenda, assignments, conflicts, notes
from app.infra.times import BRUSSELS
from app.web import pages
from app.web.guards import Reviewer

router = APIRouter(prefix="/review")


@router.get("/mine")
def mine(request: Request, actor: Reviewer, db: Db, portal: PortalDep) -> Response:
    """The reader's dossiers with what is next, and the notes that are meant for them."""
    return pages.render(
        request,
        "review/mine.html",
        items=agenda.mine(db, actor, portal.now().astimezone(BRUSSELS).date()),
        mentions=notes.mentions(db, actor),
        unstated=len(conflicts.unstated(db, actor)),
        languages=assignments.languages(db, actor),
        all_languages=assignments.LANGUAGES,
    )


@router.post("/mine/languages")
def set_languages(form: pages.Form, actor: Reviewer, db: Db) -> Response:
    """Say in which languages one reads."""
    assignments.set_languages(db, actor, [str(one) for one in form.getlist("reads")])
    return pages.redirect("/review/mine")


@router.get("/conflicts/none")
def several(request: Request, actor: Reviewer, db: Db) -> Response:
    """The assigned dossiers without a statement; those that are chosen are shown once more before anything is stated."""
    chosen = request.query_params.getlist("reference")
    found = conflicts.unstated(db, actor)
    picked = [case for case in found if case[0].reference in chosen]
    parties = conflicts.parties(db, actor, picked or found)
    return pages.render(request, "review/several.html", found=found, picked=picked, parties=parties)


@router.post("/conflicts/none")
def deny(form: pages.Form, actor: Reviewer, db: Db) -> Response:
    """State no conflict about the dossiers that were shown."""
    conflicts.deny_all(db, actor, [str(one) for one in form.getlist("reference")])
    return pages.redirect("/review/mine")
