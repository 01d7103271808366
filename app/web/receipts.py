"""/apply/{ref}/receipts, /versions and /attachments: what was submitted, its proof, and its files."""

import json
import uuid
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import FileResponse, Response

from app.deps import Db, PortalDep
from app.domain import attachments, audit, calls, prints, questionnaire, submissions
from app.infra import pdf
from app.web import pages
from app.web.guards import Applicant

router = APIRouter(prefix="/apply/{ref}")
Number = Annotated[int, Path(ge=1, le=pages.MAX_VERSION)]


@router.get("/receipts/{number}.pdf")
def as_pdf(request: Request, ref: str, number: Number, actor: Applicant, db: Db) -> Response:
    """The receipt on paper: the same bytes for the same receipt and language."""
    case = submissions.load(db, actor, ref)
    version = submissions.version(db, case, number)
    questions = calls.questions_of(db, version.definition_digest)
    data = prints.receipt(version, questions, pages.language_of(request))
    made = pdf.render("receipt", data, version.received_at)
    return pages.download(made, "application/pdf", f"{case.reference}-v{number}-receipt.pdf")


@router.get("/receipts/{number}.json")
def as_json(ref: str, number: Number, actor: Applicant, db: Db) -> Response:
    """The signed receipt, as `python -m app verify` checks it."""
    case = submissions.load(db, actor, ref)
    kept = submissions.version(db, case, number).receipt
    made = json.dumps({"receipt": kept.body, "jws": kept.jws}, ensure_ascii=False, indent=1)
    return pages.download(made.encode(), "application/json", f"{case.reference}-v{number}-receipt.json")


@router.get("/receipts/{number}")
def show(request: Request, ref: str, number: Number, actor: Applicant, db: Db) -> Response:
    """The receipt as a page."""
    case = submissions.load(db, actor, ref)
    version = submissions.version(db, case, number)
    standing = submissions.standing(db, case)
    state = calls.state(case.call, calls.clock(db))
    return pages.render(
        request,
        "apply/receipt.html",
        case=case,
        version=version,
        standing=standing,
        state=state,
        said=version.receipt.body,
    )


@router.get("/versions/{number}.json")
def content(ref: str, number: Number, actor: Applicant, db: Db) -> Response:
    """The content whose SHA-256 stands on the receipt, byte for byte."""
    case = submissions.load(db, actor, ref)
    version = submissions.version(db, case, number)
    return pages.download(
        submissions.content_bytes(case, version), "application/json", f"{case.reference}-v{number}.json"
    )


@router.get("/versions/{number}")
def version(request: Request, ref: str, number: Number, actor: Applicant, db: Db) -> Response:
    """A version as it was submitted, by the definition that it answered."""
    case = submissions.load(db, actor, ref)
    found = submissions.version(db, case, number)
    questions = calls.questions_of(db, found.definition_digest)
    files: dict[str, list[dict[str, object]]] = {}
    for file in found.files:
        files.setdefault(file["question"], []).append(file)
    rows = list(questionnaire.walk(questions, found.kind, found.answers | files))
    return pages.render(
        request, "apply/version.html", case=case, version=found, questions=questions, rows=rows, files=files
    )


@router.get("/attachments/{attachment_id}")
def attachment(ref: str, attachment_id: uuid.UUID, actor: Applicant, db: Db, portal: PortalDep) -> FileResponse:
    """One of my own files, to keep."""
    case = submissions.load(db, actor, ref)
    found = attachments.one(db, case, attachment_id)
    audit.record(db, actor, "attachment.read", case, sha256=found.sha256)
    headers = pages.sandbox(found.name)
    return FileResponse(portal.files.path(found.sha256), media_type=found.media_type, headers=headers)
