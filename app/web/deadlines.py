"""/manage/calls/{code}: the deadline of a call and, once it is sealed, the exemptions: two coordinators for each step."""

import uuid
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from app.deps import Db, PortalDep
from app.domain import calls, deadlines, exemptions, mails, maintenance, oversight
from app.domain.errors import DeadlineRefused, NotFound
from app.infra.i18n import N_, Message
from app.models import Call
from app.web import instants, pages
from app.web.guards import Coordinator, CoordinatorAnew
from app.web.instants import Problems

router = APIRouter(prefix="/manage/calls/{code}")

NO_REASON = N_("Give the reason in both languages. Everybody may read it.")
NO_EXEMPTION_REASON = N_("Give the reason. It is kept with the exemption; staff read it.")
NO_REFERENCE = N_("No submission in this call has this reference.")


@router.get("")
def show(request: Request, code: str, actor: Coordinator, db: Db) -> Response:
    """The deadline, what is proposed, what was changed and by whom, how far the mails got; the exemptions."""
    return _page(request, db, calls.by_code(db, code))


def _page(
    request: Request, db: Db, call: Call, problems: Problems | None = None, typed: dict[str, str] | None = None
) -> Response:
    language = pages.language_of(request)
    history = deadlines.history(db, call)
    pending = deadlines.pending(db, call)
    closes_at = pending.closes_to if pending else call.closes_at
    return pages.render(
        request,
        "manage/call.html",
        422 if problems else 200,
        call=call,
        questions=calls.questions(call),
        state=calls.state(call, calls.clock(db)),
        pending=pending,
        in_the_way=[] if call.sealed_at else maintenance.before_closing(db, closes_at),
        history=history,
        deliveries=oversight.deliveries(db, history),
        concerned=len(mails.audience(db, call)),
        exempted=exemptions.of_call(db, call) if call.sealed_at else [],
        problems={name: message.text(language) for name, message in (problems or {}).items()},
        typed=typed or {},
    )


@router.post("/deadlines")
def propose(request: Request, code: str, form: pages.Form, actor: CoordinatorAnew, db: Db) -> Response:
    """Propose another deadline, typed as Brussels time."""
    call = calls.by_code(db, code)
    closes_to, problems = instants.read(form, "closes")
    reason = {language: pages.field(form, f"reason_{language}", deadlines.REASON_LENGTH) for language in ("en", "nl")}
    problems |= {f"reason_{language}": Message(NO_REASON) for language, words in reason.items() if not words}
    if closes_to is not None and not problems:
        try:
            deadlines.propose(db, actor, call, closes_to, reason)
        except DeadlineRefused as refusal:
            problems["closes-day"] = refusal.message
    return _page(request, db, call, problems, _typed(form)) if problems else pages.redirect(f"/manage/calls/{code}")


def _typed(form: FormData) -> dict[str, Any]:
    return dict(pages.typed(form))


@router.post("/deadlines/{change_id}/confirmation")
def confirm(
    code: str, change_id: uuid.UUID, form: pages.Form, actor: CoordinatorAnew, db: Db, portal: PortalDep
) -> Response:
    """Move the deadline: by another coordinator than the one who proposed it."""
    deadlines.confirm(db, actor, calls.by_code(db, code), change_id, portal.settings.base_url)
    return pages.redirect(f"/manage/calls/{code}")


@router.post("/deadlines/{change_id}/rejection")
def drop(code: str, change_id: uuid.UUID, form: pages.Form, actor: Coordinator, db: Db) -> Response:
    """Take a proposal off the table."""
    deadlines.drop(db, actor, calls.by_code(db, code), change_id)
    return pages.redirect(f"/manage/calls/{code}")


@router.post("/exemptions")
def propose_exemption(request: Request, code: str, form: pages.Form, actor: CoordinatorAnew, db: Db) -> Response:
    """Propose to let one submitter in after the seal, until an instant typed as Brussels time."""
    call = calls.by_code(db, code)
    until, problems = instants.read(form, "until")
    reason = pages.field(form, "reason", exemptions.REASON_LENGTH)
    if not reason:
        problems["reason"] = Message(NO_EXEMPTION_REASON)
    try:
        submission = exemptions.submission_in(db, call, pages.field(form, "reference", 40))
        if until is not None and not problems:
            exemptions.propose(db, actor, submission, reason, until)
    except NotFound:
        problems["reference"] = Message(NO_REFERENCE)
    except DeadlineRefused as refusal:
        problems["until-day"] = refusal.message
    return _page(request, db, call, problems, _typed(form)) if problems else pages.redirect(f"/manage/calls/{code}")


@router.post("/exemptions/{exemption_id}/confirmation")
def confirm_exemption(
    code: str, exemption_id: uuid.UUID, form: pages.Form, actor: CoordinatorAnew, db: Db, portal: PortalDep
) -> Response:
    """Let the submitter in: by another coordinator than the one who proposed it."""
    exemptions.confirm(db, actor, calls.by_code(db, code), exemption_id, portal.settings.base_url)
    return pages.redirect(f"/manage/calls/{code}")


@router.post("/exemptions/{exemption_id}/rejection")
def drop_exemption(code: str, exemption_id: uuid.UUID, form: pages.Form, actor: Coordinator, db: Db) -> Response:
    """Take a proposal off the table."""
    exemptions.drop(db, actor, calls.by_code(db, code), exemption_id)
    return pages.redirect(f"/manage/calls/{code}")
