"""/apply/{ref}/attachments, by script: a file is taken in as soon as it is chosen, whole or a part at a time."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.datastructures import FormData
from starlette.responses import JSONResponse, Response

from app.deps import Db, PortalDep
from app.domain import attachments, calls, judgements, submissions, uploads
from app.domain.errors import FileRefused, Invalid, TooLarge, TooManyFiles
from app.domain.uploads import Part
from app.web import pages, steps
from app.web.guards import Applicant

router = APIRouter(prefix="/apply/{ref}")
Upload = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
UNKEPT = {"Cache-Control": "no-store"}


@router.get("/uploads/{upload}")
def held(ref: str, upload: Upload, actor: Applicant, db: Db, portal: PortalDep) -> Response:
    """How many bytes of a file have arrived, so that it goes on from there."""
    case = submissions.load(db, actor, ref)
    return JSONResponse({"held": uploads.held(portal.files, case, upload)}, headers=UNKEPT)


@router.post("/attachments")
def attach(request: Request, ref: str, form: pages.Form, actor: Applicant, db: Db, portal: PortalDep) -> Response:
    """Take a file or a part of one in, apart from the answers beside it; told in JSON: its digest, or how much has arrived."""
    case = submissions.load(db, actor, ref)
    asked = [q for s in calls.questions(case.call).steps_for(case.kind) for q in s.questions_for(case.kind)]
    question = pages.field(form, "question", 100)
    given = pages.files_named(form, "file")
    if not given or not any(q.kind == "file" and q.name == question for q in asked):
        return pages.redirect(f"/apply/{case.reference}")
    before = {a.name for a in attachments.of_submission(db, case.id) if a.question == question}
    part, name, stream = _part(form), given[0].filename or "", given[0].file
    try:
        with db.begin_nested():
            if part is None:
                kept = attachments.attach(db, portal.files, actor, case, question, name, stream)
            else:
                got = uploads.take(db, portal.files, actor, case, question, name, part, stream)
                if isinstance(got, int):
                    return JSONResponse({"held": got}, 202, headers=UNKEPT)
                kept = got
    except (FileRefused, TooLarge, TooManyFiles) as refusal:
        told = {"code": refusal.code, "words": refusal.message.text(pages.language_of(request))}
        return JSONResponse(told, refusal.status, headers=UNKEPT)
    judgements.keep(db, case)
    language = pages.language_of(request)
    body = {"id": str(kept.id), "name": kept.name, "size": kept.size, "sha256": kept.sha256}
    more = {"is_replaced": kept.name in before, "shown_size": pages.size(language, kept.size)}
    more |= steps.blocking(db, case, portal.now(), language)
    return JSONResponse(body | more, headers=UNKEPT)


def _part(form: FormData) -> Part | None:
    """Which part of a file it is; None for a whole one. Invalid where that cannot be read."""
    upload, start, whole = (pages.field(form, name, 40) for name in ("upload", "start", "whole"))
    if not upload:
        return None
    if not all(number.isascii() and number.isdecimal() and len(number) < 12 for number in (start, whole)):
        raise Invalid
    return Part(upload, int(start), int(whole))
