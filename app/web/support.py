"""/support: the workspace of a member state in a call, its letters and budget."""

import secrets
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from starlette.datastructures import FormData
from starlette.responses import FileResponse, Response

from app.deps import Db, Portal, PortalDep
from app.domain import accounts, almanac, attachments, audit, budgets, calls, submissions, support, undertakings
from app.domain.access import Actor
from app.domain.budgets import Workspace
from app.domain.errors import FileRefused, Invalid, LetterChanged, NotFound, TooLarge
from app.domain.undertakings import Wish
from app.infra import documents
from app.infra.i18n import N_, Message
from app.models import SupportLetter
from app.web import pages
from app.web.guards import Applicant

router = APIRouter()
Number = Annotated[int, Path(ge=1, le=pages.MAX_VERSION)]
Problems = dict[str, Message]
LABELS = {
    "reference": N_("Reference of the consortium"),
    "sort": N_("Sort of letter"),
    "amount": N_("Amount"),
    "condition": N_("Condition"),
    "signatory": N_("Signed by"),
    "signatory_role": N_("Function of who signs"),
    "reason": N_("Reason"),
}


@router.get("/support")
def index(request: Request, actor: Applicant, db: Db) -> Response:
    """The calls in which the member states that I act for can promise support."""
    found = budgets.workspaces(db, actor)
    if not found:
        raise NotFound
    now = calls.clock(db)
    rows = [(at, calls.questions(at.call), calls.state(at.call, now), len(support.of_state(db, at))) for at in found]
    return pages.render(request, "support/index.html", rows=rows)


@router.get("/support/{code}/{state}")
def workspace(request: Request, code: str, state: str, actor: Applicant, db: Db) -> Response:
    """A member state's expression, letters, budget, the dossiers that name it, its people, and reference data."""
    return _workspace(request, db, actor, budgets.workspace(db, actor, code, state))


def _workspace(
    request: Request,
    db: Db,
    actor: Actor,
    at: Workspace,
    problems: Problems | None = None,
    typed: dict[str, str] | None = None,
) -> Response:
    now = calls.clock(db)
    mine = [s for s in submissions.mine(db, actor) if s.organisation_id == at.belonging.organisation_id]
    expression = next((s for s in mine if s.call_id == at.call.id), None)
    return pages.render(
        request,
        "support/workspace.html",
        422 if problems else 200,
        at=at,
        questions=calls.questions(at.call),
        state=calls.state(at.call, now),
        expression=expression,
        standing=submissions.standing(db, expression) if expression else None,
        kinds=submissions.kinds_for(at.call, at.belonging),
        letters=support.of_state(db, at),
        lines=budgets.lines(db, at),
        history=budgets.history(db, at),
        naming=support.naming(db, actor, at),
        people=accounts.colleagues(db, actor, at.belonging.organisation_id),
        leaflets=almanac.all_leaflets(),
        problems=_said(request, problems),
        typed=typed or {},
    )


def _said(request: Request, problems: Problems | None) -> dict[str, str]:
    return {name: message.text(pages.language_of(request)) for name, message in (problems or {}).items()}


@router.post("/support/{code}/{state}/budgets")
def write_budget(request: Request, code: str, state: str, form: pages.Form, actor: Applicant, db: Db) -> Response:
    """Say what there is in one source."""
    at = budgets.workspace(db, actor, code, state)
    typed = {name: pages.field(form, name, 200) for name in ("source", "amount", "status")}
    request.state.labels = _labels(request)
    at.require_writer()
    budgets.require_open(db, at)
    amount, problem = budgets.euros(typed["amount"], pages.language_of(request))
    if amount is None:
        field = f"amount-{typed['source']}"
        return _workspace(request, db, actor, at, {field: problem or Message(budgets.NO_AMOUNT)}, typed)
    budgets.write(db, actor, at, typed["source"], amount, typed["status"])
    return pages.redirect(f"{at.path}#budget")


def _labels(request: Request) -> dict[str, str]:
    return {name: Message(words).text(pages.language_of(request)) for name, words in LABELS.items()}


@router.get("/support/{code}/{state}/letters/new")
def new_letter(request: Request, code: str, state: str, actor: Applicant, db: Db, reference: str = "") -> Response:
    """The form of a letter."""
    at = budgets.workspace(db, actor, code, state)
    return _letter(request, db, at, None, {"reference": reference[:40], "key": secrets.token_hex(12)})


def _letter(
    request: Request,
    db: Db,
    at: Workspace,
    letter: SupportLetter | None,
    typed: dict[str, str] | None = None,
    problems: Problems | None = None,
) -> Response:
    return pages.render(
        request,
        "support/letter.html",
        422 if problems else 200,
        at=at,
        letter=letter,
        questions=calls.questions(at.call),
        state=calls.state(at.call, calls.clock(db)),
        typed=typed,
        problems=_said(request, problems),
        accept=documents.ACCEPT,
        lengths=(support.NAME_LENGTH, support.CONDITION_LENGTH, support.REASON_LENGTH),
        lines={line.source: line for line in budgets.lines(db, at)},
        rrf=almanac.leaflet,
    )


@router.post("/support/{code}/{state}/letters")
def begin(
    request: Request, code: str, state: str, form: pages.Form, actor: Applicant, db: Db, portal: PortalDep
) -> Response:
    """Draft or give a letter. Whatever is refused, what was typed is shown again."""
    at = budgets.workspace(db, actor, code, state)
    at.require_writer()
    request.state.labels = _labels(request)
    budgets.require_open(db, at)
    typed, is_given = _typed(form), pages.field(form, "action", 20) == "give"
    if not typed["key"]:
        raise Invalid
    wish, problems = _wish(request, form, typed, db, portal, [])
    case = support.consortium(db, at, typed["reference"])
    if case is None:
        problems["reference"] = Message(support.UNKNOWN_CONSORTIUM)
    problems |= {
        name: said for name, said in undertakings.lacks(at.pledges, wish, is_given).items() if name not in problems
    }
    if problems or case is None:
        return _letter(request, db, at, None, typed, problems)
    made = support.begin(db, actor, at, case, typed["key"], wish, is_given, portal.settings.base_url)
    return pages.redirect(f"{at.path}/letters/{made.number}")


def _typed(form: FormData) -> dict[str, str]:
    names = ("reference", "sort", "phase", "source", "status", "key", "dated_on-day", "dated_on-month", "dated_on-year")
    short = {name: pages.field(form, name, 60) for name in (*names, "amount")}
    return short | {
        "condition": pages.field(form, "condition", support.CONDITION_LENGTH),
        "signatory": pages.field(form, "signatory", support.NAME_LENGTH),
        "signatory_role": pages.field(form, "signatory_role", support.NAME_LENGTH),
    }


def _wish(
    request: Request, form: FormData, typed: dict[str, str], db: Db, portal: Portal, kept: list[dict[str, Any]]
) -> tuple[Wish, Problems]:
    """What the form asks for, with the files of before that stay and the new ones; and what cannot be read."""
    problems: Problems = {}
    amount, problem = budgets.euros(typed["amount"], pages.language_of(request))
    if problem:
        problems["amount"] = problem
    dated_on, problem = budgets.day(*(typed[f"dated_on-{part}"] for part in ("day", "month", "year")))
    if problem:
        problems["dated_on"] = problem
    files = {file["sha256"]: file for file in kept}
    for upload in pages.files_named(form, "document"):
        try:
            taken = attachments.take_in(db, portal.files, upload.filename or "", upload.file)
            files[taken.sha256] = vars(taken)
        except (FileRefused, TooLarge) as refusal:
            problems["document"] = refusal.message
    if len(files) > support.MAX_FILES:
        problems["document"] = Message(support.FULL)
    return _made(typed, amount, dated_on, tuple(files.values())), problems


def _made(typed: dict[str, str], amount: Decimal | None, dated_on: date | None, files: tuple[Any, ...]) -> Wish:
    names = ("sort", "phase", "source", "status", "condition", "signatory", "signatory_role")
    return Wish(amount=amount, dated_on=dated_on, files=files, **{name: typed[name] for name in names})


@router.get("/support/{code}/{state}/letters/{number}")
def letter(request: Request, code: str, state: str, number: Number, actor: Applicant, db: Db) -> Response:
    """A letter with its history, and the form to change it."""
    at = budgets.workspace(db, actor, code, state)
    return _letter(request, db, at, support.one(db, at, number))


@router.post("/support/{code}/{state}/letters/{number}/versions")
def change(
    request: Request,
    code: str,
    state: str,
    number: Number,
    form: pages.Form,
    actor: Applicant,
    db: Db,
    portal: PortalDep,
) -> Response:
    """Write the next version of a letter, as a draft or given."""
    at = budgets.workspace(db, actor, code, state)
    at.require_writer()
    found = support.one(db, at, number)
    request.state.labels = _labels(request)
    budgets.require_open(db, at)
    typed, is_given = _typed(form), pages.field(form, "action", 20) == "give"
    seen = pages.field(form, "revision", 10)
    keep = pages.fields(form, "keep")
    kept = [file for version in found.versions for file in version.files if file["sha256"] in keep]
    wish, problems = _wish(request, form, typed, db, portal, kept)
    problems |= {
        name: said for name, said in undertakings.lacks(at.pledges, wish, is_given).items() if name not in problems
    }
    if problems:
        return _letter(request, db, at, found, typed, problems)
    if not (seen.isascii() and seen.isdigit() and int(seen) == found.last.number):
        raise LetterChanged
    support.change(db, actor, at, found, int(seen), wish, is_given, portal.settings.base_url)
    return pages.redirect(f"{at.path}/letters/{number}")


@router.post("/support/{code}/{state}/letters/{number}/withdrawal")
def withdraw(
    request: Request,
    code: str,
    state: str,
    number: Number,
    form: pages.Form,
    actor: Applicant,
    db: Db,
    portal: PortalDep,
) -> Response:
    """Take a letter back, with a reason."""
    at = budgets.workspace(db, actor, code, state)
    request.state.labels = _labels(request)
    found = support.one(db, at, number)
    reason = pages.field(form, "reason", support.REASON_LENGTH)
    support.withdraw(db, actor, at, found, reason, portal.settings.base_url)
    return pages.redirect(f"{at.path}/letters/{number}")


@router.get("/support/{code}/{state}/letters/{number}/files/{sha256}")
def own_file(
    code: str, state: str, number: Number, sha256: str, actor: Applicant, db: Db, portal: PortalDep
) -> FileResponse:
    """A file of one's own letter, to keep."""
    at = budgets.workspace(db, actor, code, state)
    found = support.one(db, at, number)
    file = support.file_of([found], sha256, is_own=True)
    if file is None:
        raise NotFound
    audit.record(db, actor, "attachment.read", found.submission, sha256=file["sha256"])
    headers = pages.sandbox(str(file["name"])) | pages.digest(file["sha256"])
    return FileResponse(portal.files.path(file["sha256"]), media_type=str(file["media_type"]), headers=headers)
