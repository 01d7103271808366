"""/review/{ref}/notes and /tags: what staff write for each other about a dossier."""

from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.deps import Db, PortalDep
from app.domain import calls, dossiers, notes
from app.models import Submission
from app.web import pages
from app.web.guards import Reviewer

router = APIRouter(prefix="/review")


@router.get("/{ref}/notes")
def index(request: Request, ref: str, actor: Reviewer, db: Db) -> Response:
    """The notes and tags of a dossier."""
    submission, version = dossiers.load(db, actor, ref)
    hanging = notes.tags(db, submission)
    response = pages.render(
        request,
        "review/notes.html",
        submission=submission,
        version=version,
        questions=calls.questions_of(db, version.definition_digest),
        listed=notes.listed(db, submission),
        colleagues=notes.colleagues(db, actor, submission),
        tags=hanging,
        suggested=[name for name in notes.tags_of(db, actor, submission.call) if name not in hanging],
    )
    notes.see(db, actor, submission)
    return response


def _back(submission: Submission) -> Response:
    return pages.redirect(f"/review/{quote(submission.reference)}/notes")


@router.post("/{ref}/notes")
def write(ref: str, form: pages.Form, actor: Reviewer, db: Db, portal: PortalDep) -> Response:
    """Write a note, and tell whom it is meant for."""
    submission, _ = dossiers.load(db, actor, ref)
    text, picked = pages.field(form, "text", notes.TEXT_LENGTH), [str(one) for one in form.getlist("person")]
    notes.write(db, actor, submission, text, picked, portal.settings.base_url)
    return _back(submission)


@router.post("/{ref}/tags")
def tag(ref: str, form: pages.Form, actor: Reviewer, db: Db) -> Response:
    """Hang a tag on the dossier."""
    submission, _ = dossiers.load(db, actor, ref)
    notes.tag(db, actor, submission, pages.field(form, "tag"))
    return _back(submission)


@router.post("/{ref}/tags/end")
def untag(ref: str, form: pages.Form, actor: Reviewer, db: Db) -> Response:
    """Take a tag off."""
    submission, _ = dossiers.load(db, actor, ref)
    notes.untag(db, actor, submission, pages.field(form, "tag"))
    return _back(submission)
