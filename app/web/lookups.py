"""/review/{ref}/lookups: ask VIES and GLEIF about the identifiers of a dossier."""

from urllib.parse import quote

from fastapi import APIRouter
from starlette.responses import Response

from app.deps import Db, PortalDep
from app.domain import calls, dossiers, lookups
from app.web import pages
from app.web.guards import Reviewer

router = APIRouter(prefix="/review/{ref}/lookups")


@router.post("")
def look_up(ref: str, form: pages.Form, actor: Reviewer, db: Db, portal: PortalDep) -> Response:
    """Ask about one number, or about all that were not asked about lately."""
    submission, version = dossiers.load(db, actor, ref)
    found = lookups.of_version(db, calls.questions_of(db, version.definition_digest), version)
    lookups.look_up(db, actor, submission, found, portal.registers, pages.field(form, "number", 100))
    return pages.redirect(f"/review/{quote(submission.reference)}#identifiers")
