"""/apply/{ref}/letters: the letters that member states gave to a consortium, and their files."""

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, Response

from app.deps import Db, PortalDep
from app.domain import audit, calls, scans, submissions, support
from app.domain.errors import NotFound
from app.web import contents, pages
from app.web.guards import Applicant

router = APIRouter(prefix="/apply/{ref}/letters")


@router.get("")
def arrived(request: Request, ref: str, actor: Applicant, db: Db, portal: PortalDep) -> Response:
    """The letters that member states gave to this consortium."""
    case = submissions.load(db, actor, ref)
    questions = calls.questions(case.call)
    if not questions.support.letters:
        raise NotFound
    letters = support.to_consortium(db, case)
    return pages.render(
        request,
        "support/arrived.html",
        case=case,
        questions=questions,
        letters=letters,
        held=scans.held_back(db, contents.digests(None, letters), portal.scanner is not None),
    )


@router.get("/files/{sha256}")
def file(ref: str, sha256: str, actor: Applicant, db: Db, portal: PortalDep) -> FileResponse:
    """A file of a letter that was given to this consortium, to keep."""
    case = submissions.load(db, actor, ref)
    found = support.file_of(support.to_consortium(db, case), sha256)
    if found is None:
        raise NotFound
    audit.record(db, actor, "attachment.read", case, sha256=sha256)
    scans.require_looked_at(db, [sha256], portal.scanner is not None)
    headers = pages.sandbox(str(found["name"])) | pages.digest(sha256)
    return FileResponse(portal.files.path(sha256), media_type=str(found["media_type"]), headers=headers)
