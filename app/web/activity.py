"""/review/{ref}/activity and /review/activity: what happened to a dossier, and what a person did."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.deps import Db
from app.domain import activity, assignments, calls, dossiers
from app.domain.errors import NotFound
from app.web import pages
from app.web.guards import Reviewer

router = APIRouter(prefix="/review")
Older = Annotated[int | None, Query(ge=1, le=2**62)]


@router.get("/activity")
def of_person(request: Request, actor: Reviewer, db: Db, person: str = "", older: Older = None) -> Response:
    """What one did oneself; coordinators may look at each of the staff."""
    staff = {str(p.id): p for p in assignments.staff(db)} if actor.is_staff("coordinator") else {}
    if person and person != str(actor.person_id) and person not in staff:
        raise NotFound
    whose = uuid.UUID(person) if person else actor.person_id
    if whose is None:
        raise NotFound
    trail = activity.of_person(db, actor, whose, older)
    return pages.render(request, "review/deeds.html", trail=trail, staff=list(staff.values()), whose=whose)


@router.get("/{ref}/activity")
def of_dossier(request: Request, ref: str, actor: Reviewer, db: Db, older: Older = None) -> Response:
    """What happened to a dossier."""
    submission, version = dossiers.load(db, actor, ref)
    return pages.render(
        request,
        "review/activity.html",
        submission=submission,
        version=version,
        questions=calls.questions_of(db, version.definition_digest),
        trail=activity.of_dossier(db, submission, older),
    )
