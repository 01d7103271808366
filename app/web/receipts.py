"""/apply/{ref}/check, /receipts, /versions and /attachments: check and submit, what was submitted, its proof, its files."""

import secrets
import uuid
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.responses import FileResponse, Response

from app.deps import Db, PortalDep
from app.domain import (
    attachments,
    attempts,
    audit,
    calls,
    confirmations,
    drafts,
    exemptions,
    intermediaries,
    judgements,
    mandates,
    merkle,
    prints,
    questionnaire,
    references,
    releases,
    seals,
    statements,
    submissions,
    versions,
)
from app.domain.access import Actor
from app.domain.admissions import LeadMustConfirm
from app.domain.errors import NotReady
from app.domain.questionnaire import Questionnaire
from app.infra import pdf
from app.models import Submission
from app.web import pages, steps
from app.web.guards import Applicant

router = APIRouter(prefix="/apply/{ref}")
Number = Annotated[int, Path(ge=1, le=pages.MAX_VERSION)]


@router.get("/check")
def check(request: Request, ref: str, actor: Applicant, db: Db) -> Response:
    """Everything in one list: errors, warnings with their reasons, all answers; and the button that submits."""
    return _check_page(request, submissions.load(db, actor, ref), actor, db)


def _check_page(request: Request, case: Submission, actor: Actor, db: Db, status: int = 200) -> Response:
    questions = calls.questions(case.call)
    draft = drafts.content(db, case)
    found = drafts.check(db, case, draft)
    standing = submissions.standing(db, case, draft)
    revision = drafts.saved(db, case)
    return pages.render(
        request,
        "apply/check.html",
        status,
        case=case,
        questions=questions,
        **exemptions.window(db, case)._asdict(),
        standing=standing,
        errors=[f for f in found if f.level == "error"],
        warnings=[f for f in found if f.level == "warning"],
        reasons=draft.reasons,
        revision=revision[drafts.CHECK].revision if drafts.CHECK in revision else 0,
        rows=list(questionnaire.walk(questions, case.kind, draft.answers | draft.files)),
        label_of=_label_of(questions, case, draft.answers, pages.language_of(request)),
        key=secrets.token_urlsafe(18),
        may_edit=actor.may_edit(case),
        may_submit=actor.may_submit(case),
        mandates=mandates.of_case(db, case, draft.answers),
        needs_lead=confirmations.is_asked(db, case) and not actor.owns(case),
    )


def _label_of(
    questions: Questionnaire, case: Submission, answers: dict[str, Any], language: str
) -> Callable[[str], str]:
    known = steps.labels(questions, case.kind, answers, language)
    return lambda path: known.get(path, path)


@router.post("/check")
def save_reasons(request: Request, ref: str, form: pages.Form, actor: Applicant, db: Db) -> Response:
    """Keep the reasons given for warnings."""
    case = submissions.load(db, actor, ref)
    given = [(name.replace("\x00", ""), value.replace("\x00", "").strip()) for name, value in steps.pairs(form)]
    reasons = {
        name.removeprefix("reason:"): value[: drafts.REASON_LENGTH]
        for name, value in given
        if name.startswith("reason:") and value
    }
    request.state.labels = {f"reason:{key}": key for key in reasons}
    drafts.save_step(db, actor, case, drafts.CHECK, steps.revision(form), reasons, {})
    judgements.keep(db, case)
    return pages.redirect(f"/apply/{case.reference}/check")


@router.post("/receipts")
def submit(request: Request, ref: str, form: pages.Form, actor: Applicant, db: Db, portal: PortalDep) -> Response:
    """Submit. The same key gives the same receipt, however often it is pressed."""
    key = pages.field(form, "key", 200)
    language = pages.language_of(request)
    issuer = portal.settings.base_url
    try:
        number = submissions.submit(db, actor, ref, key, language, portal.signer, issuer)
    except NotReady as failure:  # nothing was written yet, so that this transaction can take the attempt
        case = submissions.load(db, actor, ref)
        attempts.record(db, case, actor.person_id, failure.code, key)
        return _check_page(request, case, actor, db, 422)
    except LeadMustConfirm as failure:  # as above: the mail to the lead goes with it
        case = submissions.load(db, actor, ref)
        attempts.record(db, case, actor.person_id, failure.code, key)
        confirmations.ask(db, actor, case, judgements.judge(case, drafts.content(db, case)), issuer)
        return pages.refused(request, failure)
    return pages.redirect(f"/apply/{references.normalised(ref)}/receipts/{number}")


@router.get("/receipts/{number}.pdf")
def as_pdf(request: Request, ref: str, number: Number, actor: Applicant, db: Db) -> Response:
    """The receipt on paper: the same bytes for the same receipt and language."""
    case = submissions.load(db, actor, ref)
    version = versions.one(db, case, number)
    questions = calls.questions_of(db, version.definition_digest)
    data = prints.receipt(version, questions, pages.language_of(request))
    made = pdf.render("receipt", data, version.received_at)
    return pages.download(made, "application/pdf", f"{case.reference}-v{number}-receipt.pdf")


@router.get("/receipts/{number}.json")
def as_json(ref: str, number: Number, actor: Applicant, db: Db) -> Response:
    """The signed receipt, once sealed with its proof, as `python -m app verify` checks it."""
    case = submissions.load(db, actor, ref)
    version = versions.one(db, case, number)
    made = seals.receipt(db, case, version)
    return pages.download(made, "application/json", f"{case.reference}-v{number}-receipt.json")


@router.get("/receipts/{number}")
def show(request: Request, ref: str, number: Number, actor: Applicant, db: Db) -> Response:
    """The receipt as a page."""
    case = submissions.load(db, actor, ref)
    version = versions.one(db, case, number)
    standing = submissions.standing(db, case)
    proof = seals.proof(db, case) if version.exemption_id is None else None
    return pages.render(
        request,
        "apply/receipt.html",
        case=case,
        version=version,
        standing=standing,
        **exemptions.window(db, case)._asdict(),
        said=version.receipt.body,
        acting=intermediaries.rows(version.receipt.body, pages.language_of(request)),
        progress=releases.progress(db, [case]).get(case.id),
        proof=proof,
        leaf_hash=merkle.leaf(statements.canonical(proof["leaf"])) if proof else "",
    )


@router.get("/versions/{number}.json")
def content(ref: str, number: Number, actor: Applicant, db: Db) -> Response:
    """The content whose SHA-256 stands on the receipt, byte for byte."""
    case = submissions.load(db, actor, ref)
    version = versions.one(db, case, number)
    return pages.download(versions.content_bytes(case, version), "application/json", f"{case.reference}-v{number}.json")


@router.get("/versions/{number}")
def version(request: Request, ref: str, number: Number, actor: Applicant, db: Db) -> Response:
    """A version as it was submitted, by the definition that it answered."""
    case = submissions.load(db, actor, ref)
    found = versions.one(db, case, number)
    versions.require_content(found)
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
