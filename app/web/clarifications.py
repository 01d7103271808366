"""/review/{ref}/clarifications and /apply/{ref}/clarifications: questions about facts, from both sides of the desk."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.datastructures import FormData
from starlette.responses import FileResponse, Response

from app.deps import Db, Portal, PortalDep
from app.domain import attachments, audit, calls, clarifications, dossiers, scans, submissions
from app.domain.access import Actor
from app.domain.attachments import Taken
from app.domain.errors import FileRefused, NotFound, TooLarge, TooManyFiles, WordsMissing
from app.domain.objections import DuePassed
from app.infra import documents
from app.infra.i18n import N_, Message
from app.models import Submission, Version
from app.web import contents, pages
from app.web.guards import Applicant, Reviewer

router = APIRouter()
Number = Annotated[int, Path(ge=1, le=pages.MAX_VERSION)]

NO_DAY = N_("Give day, month and year in numbers, such as 12 11 2027.")
NO_WORDS = N_("Write the question.")
NO_ANSWER = N_("Write an answer. Files go with it, not instead of it.")
ANSWER = N_("Your answer")
Problems = dict[str, Message]


@router.get("/review/{ref}/clarifications")
def desk(request: Request, ref: str, actor: Reviewer, db: Db, portal: PortalDep) -> Response:
    """Every question about a dossier with its answer and history, and the form to ask another."""
    submission, version = dossiers.load(db, actor, ref)
    return _desk(request, db, portal, submission, version)


def _desk(
    request: Request,
    db: Db,
    portal: Portal,
    submission: Submission,
    version: Version,
    problems: Problems | None = None,
    typed: dict[str, str] | None = None,
    about: int = 0,
) -> Response:
    language, asked = pages.language_of(request), clarifications.with_states(db, submission)
    named = contents.digests(None, asked=(one for one, _ in asked))
    return pages.render(
        request,
        "review/clarifications.html",
        422 if problems else 200,
        submission=submission,
        version=version,
        questions=calls.questions(submission.call),
        asked=asked,
        held=scans.held_back(db, named, portal.scanner is not None),
        withdrawal=submissions.standing(db, submission).withdrawal,
        problems={name: message.text(language) for name, message in (problems or {}).items()},
        typed=typed or {},
        about=about,
        longest=clarifications.WORDS_LENGTH,
    )


@router.post("/review/{ref}/clarifications")
def ask(request: Request, ref: str, form: pages.Form, actor: Reviewer, db: Db, portal: PortalDep) -> Response:
    """Ask, with the last day for the answer; it goes out by portal and mail."""
    submission, version = dossiers.load(db, actor, ref)
    words, topic = pages.field(form, "words", clarifications.WORDS_LENGTH), pages.field(form, "topic", 100)
    due_on, problems = _day(form)
    if not words:
        problems["words"] = Message(NO_WORDS)
    if topic not in {known.value for known in calls.questions(submission.call).topics}:
        problems["topic"] = Message(clarifications.NO_TOPIC)
    if due_on is not None and not problems:
        try:
            base_url = portal.settings.base_url
            clarifications.ask(db, actor, submission, version, topic, words, due_on, base_url)
        except DuePassed as refusal:
            problems["due-day"] = refusal.message
    if problems:
        return _desk(request, db, portal, submission, version, problems, dict(pages.typed(form)))
    return pages.redirect(f"/review/{submission.reference}/clarifications")


def _day(form: FormData) -> tuple[date | None, Problems]:
    parts = [pages.field(form, f"due-{part}", 10) for part in ("year", "month", "day")]
    try:
        if all(part.isascii() and part.isdigit() for part in parts):
            return date(*map(int, parts)), {}
    except (ValueError, OverflowError):
        pass
    return None, {"due-day": Message(NO_DAY)}


@router.post("/review/{ref}/clarifications/{number}/extensions")
def extend(
    request: Request, ref: str, number: Number, form: pages.Form, actor: Reviewer, db: Db, portal: PortalDep
) -> Response:
    """Give more time."""
    submission, version = dossiers.load(db, actor, ref)
    due_on, problems = _day(form)
    if due_on is not None:
        clarifications.extend(db, actor, submission, number, due_on, portal.settings.base_url)
    if problems:
        return _desk(request, db, portal, submission, version, problems, dict(pages.typed(form)), about=number)
    return pages.redirect(f"/review/{submission.reference}/clarifications#question-{number}")


@router.post("/review/{ref}/clarifications/{number}/withdrawal")
def withdraw(ref: str, number: Number, form: pages.Form, actor: Reviewer, db: Db, portal: PortalDep) -> Response:
    """Take a question back, with the reason."""
    submission, _ = dossiers.load(db, actor, ref)
    reason = pages.field(form, "reason", clarifications.REASON_LENGTH)
    clarifications.withdraw(db, actor, submission, number, reason, portal.settings.base_url)
    return pages.redirect(f"/review/{submission.reference}/clarifications#question-{number}")


@router.get("/apply/{ref}/clarifications/{number}")
def show(request: Request, ref: str, number: Number, actor: Applicant, db: Db) -> Response:
    """A question for the respondent, with the form to answer it or the answer that was given."""
    return _page(request, db, actor, submissions.load(db, actor, ref), number)


def _page(
    request: Request,
    db: Db,
    actor: Actor,
    case: Submission,
    number: int,
    problems: list[tuple[str, Message]] | None = None,
    words: str = "",
) -> Response:
    language = pages.language_of(request)
    found = clarifications.one(db, case, number)
    return pages.render(
        request,
        "apply/clarification.html",
        422 if problems else 200,
        case=case,
        questions=calls.questions(case.call),
        asked=found,
        state=clarifications.state(found, calls.clock(db)),
        may_edit=actor.may_edit(case),
        problems=[(name, message.text(language)) for name, message in problems or []],
        words=words,
        longest=clarifications.WORDS_LENGTH,
        accept=documents.ACCEPT,
    )


@router.post("/apply/{ref}/clarifications/{number}/answers")
def answer(
    request: Request, ref: str, number: Number, form: pages.Form, actor: Applicant, db: Db, portal: PortalDep
) -> Response:
    """Answer, once. Whatever is refused, what was typed is shown again."""
    case = submissions.load(db, actor, ref)
    clarifications.one(db, case, number)
    words = pages.field(form, "words", clarifications.WORDS_LENGTH)
    request.state.labels = {"words": Message(ANSWER).text(pages.language_of(request))}
    taken, problems = _files(db, form, actor, case, portal)
    if not problems:
        try:
            clarifications.answer(db, actor, case, number, words, taken, portal.settings.base_url)
        except WordsMissing:
            problems.append(("words", Message(NO_ANSWER)))
        except TooManyFiles as refusal:
            problems.append(("files", refusal.message))
    if problems:
        return _page(request, db, actor, case, number, problems, words)
    return pages.redirect(f"/apply/{case.reference}/clarifications/{number}")


def _files(
    db: Db, form: FormData, actor: Actor, case: Submission, portal: Any
) -> tuple[list[Taken], list[tuple[str, Message]]]:
    """Check and keep the posted files of somebody who may answer; and what is wrong with those that were refused."""
    taken: list[Taken] = []
    problems: list[tuple[str, Message]] = []
    for upload in pages.files_named(form, "files") if actor.may_edit(case) else []:
        try:
            taken.append(attachments.take_in(db, portal.files, upload.filename or "", upload.file))
        except (FileRefused, TooLarge) as refusal:
            problems.append(("files", refusal.message))
    return taken, problems


@router.get("/apply/{ref}/clarifications/{number}/files/{sha256}")
def file(ref: str, number: Number, sha256: str, actor: Applicant, db: Db, portal: PortalDep) -> FileResponse:
    """A file that was given with an answer, to keep."""
    case = submissions.load(db, actor, ref)
    found = clarifications.file_of(db, case, sha256, number)
    if found is None:
        raise NotFound
    audit.record(db, actor, "attachment.read", case, sha256=sha256)
    headers = pages.sandbox(str(found["name"])) | pages.digest(sha256)
    return FileResponse(portal.files.path(sha256), media_type=str(found["media_type"]), headers=headers)
