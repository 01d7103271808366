"""/review/compare: two to four dossiers side by side, each past its gate and on record as read."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.deps import Db
from app.domain import comparison
from app.web import pages
from app.web.guards import Reviewer

router = APIRouter(prefix="/review")


@router.get("/compare")
def compare(request: Request, actor: Reviewer, db: Db) -> Response:
    """Facts and answers by section, rows that differ marked."""
    references = request.query_params.getlist("ref")
    return pages.render(
        request, "review/compare.html", compared=comparison.compare(db, actor, references, pages.language_of(request))
    )
