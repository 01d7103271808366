"""/review/{ref}/attachments and /review/files: the files of dossiers, looked at in a sandbox, kept with their digest, zipped."""

from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import FileResponse, Response, StreamingResponse

from app.deps import Db, Portal, PortalDep
from app.domain import bundles, dossiers, scans
from app.domain.bundles import Bundle
from app.web import pages
from app.web.guards import Reviewer

router = APIRouter(prefix="/review")

SHOWN = frozenset({"application/pdf", "image/png", "image/jpeg"})  # what browsers show by themselves
MOST = 100  # dossiers in one ZIP
Refs = Annotated[list[str] | None, Query()]


@router.get("/files")
def ask(request: Request, actor: Reviewer, db: Db, portal: PortalDep, ref: Refs = None) -> Response:
    """What a ZIP of the files of several dossiers would hold, and which dossiers stay out of it and why."""
    opened, shut = bundles.open_some(db, actor, pages.named(ref, MOST))
    made = [(submission, version, bundles.of_dossier(db, submission, version)) for submission, version in opened]
    whole = bundles.together(bundle for _, _, bundle in made)
    return pages.render(
        request,
        "review/files.html",
        made=made,
        whole=whole,
        held=scans.held_back(db, [line["sha256"] for line in whole.files], portal.scanner is not None),
        shut=[(reference, bundles.needs_statement(db, actor, reference)) for reference in shut],
    )


@router.get("/files.zip")
def several(actor: Reviewer, db: Db, portal: PortalDep, ref: Refs = None) -> Response:
    """All files of the dossiers named that are open to the reader."""
    opened, _ = bundles.open_some(db, actor, pages.named(ref, MOST))
    made = []
    for submission, version in opened:
        made.append(bundles.of_dossier(db, submission, version))
        bundles.record(db, actor, submission, made[-1])
    return _zip(db, portal, bundles.together(made), "files.zip")


def _zip(db: Session, portal: Portal, bundle: Bundle, name: str) -> Response:
    files, digests = portal.files, [line["sha256"] for line in bundle.files]
    scans.require_looked_at(db, digests, portal.scanner is not None)
    for sha256 in digests:
        files.path(sha256)  # refuses one that is infected while there is no answer yet

    def chunks() -> Iterator[bytes]:
        yield from bundles.stream(files, bundle)

    return StreamingResponse(chunks(), media_type="application/zip", headers=pages.sandbox(name))


@router.get("/{ref}/files.zip")
def one(
    ref: str,
    actor: Reviewer,
    db: Db,
    portal: PortalDep,
    version: Annotated[int | None, Query(ge=1, le=pages.MAX_VERSION)] = None,
) -> Response:
    """All files of a dossier, with a manifest of their digests."""
    submission, shown = dossiers.load(db, actor, ref, version)
    bundle = bundles.of_dossier(db, submission, shown)
    bundles.record(db, actor, submission, bundle)
    return _zip(db, portal, bundle, f"{submission.reference}-v{shown.number}-files.zip")


@router.get("/{ref}/attachments/{sha256}/view")
def view(request: Request, ref: str, sha256: str, actor: Reviewer, db: Db, portal: PortalDep) -> Response:
    """A file in a frame that can run nothing, with its digest beside it."""
    submission, file = dossiers.file_of(db, actor, ref, sha256)
    page = pages.render(
        request,
        "review/file.html",
        submission=submission,
        file=file,
        scan=scans.state(db, sha256, portal.scanner is not None),
        is_shown=file["media_type"] in SHOWN,
    )
    page.headers["Content-Security-Policy"] = pages.FRAMING
    return page


@router.get("/{ref}/attachments/{sha256}")
def attachment(ref: str, sha256: str, actor: Reviewer, db: Db, portal: PortalDep, inline: str = "") -> FileResponse:
    """A file of this dossier, to keep; or inline, for the frame of the page that shows it and no other place."""
    _, file = dossiers.file_of(db, actor, ref, sha256)
    scans.require_looked_at(db, [sha256], portal.scanner is not None)
    is_framed = inline == "yes" and file["media_type"] in SHOWN
    headers = pages.sandbox(file["name"], is_framed) | pages.digest(sha256) | (pages.FRAMED if is_framed else {})
    return FileResponse(portal.files.path(sha256), media_type=file["media_type"], headers=headers)
