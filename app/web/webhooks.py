"""/manage/webhooks: the addresses that are told of events, each by two people, and how far each notice got."""

import uuid
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.deps import Db, PortalDep
from app.domain import calls, notices, webhooks
from app.domain.errors import Invalid
from app.infra.i18n import N_, Message
from app.web import pages
from app.web.guards import Admin, AdminAnew, Coordinator, CoordinatorAnew

router = APIRouter(prefix="/manage/webhooks")

NO_NAME = N_("Give it a name, by which people know whose it is.")
NO_CALL = N_("Choose the call that it is told of.")
NO_EVENT = N_("Choose at least one event.")

Problems = dict[str, Message]


@router.get("")
def list_webhooks(request: Request, actor: Coordinator, db: Db, state: str = "", older: str = "") -> Response:
    """The webhooks, and the notices to them."""
    return _page(request, db, state=state, older=older)


def _page(
    request: Request, db: Db, problems: Problems | None = None, state: str = "", older: str = "", **shown: Any
) -> Response:
    language = pages.language_of(request)
    lines, further = notices.listed(db, state, older)
    return pages.render(
        request,
        "manage/webhooks.html",
        422 if problems else 200,
        webhooks=[(webhook, webhooks.state(webhook)) for webhook in webhooks.listed(db)],
        notices=lines,
        older=further,
        state=state if state in notices.STATES else "",
        counts=notices.counts(db),
        listed=calls.all_calls(db),
        events=webhooks.EVENTS,
        problems={name: message.text(language) for name, message in (problems or {}).items()},
        **({"secret": "", "typed": {"event": list(webhooks.EVENTS)}} | shown),
    )


@router.post("")
def propose(request: Request, form: pages.Form, actor: Admin, db: Db, portal: PortalDep) -> Response:
    """Propose an address; nothing is sent there until somebody else approves it."""
    name, url = pages.field(form, "name", 100), pages.field(form, "url", webhooks.URL_LENGTH + 1)
    call = next((call for call in calls.all_calls(db) if call.code == pages.field(form, "call", 100)), None)
    events = [event for event in webhooks.EVENTS if event in form.getlist("event")]
    wrong = {"name": (name, NO_NAME), "call": (call, NO_CALL), "event": (events, NO_EVENT)}
    problems = {field: Message(words) for field, (given, words) in wrong.items() if not given}
    if call is not None and not problems:
        try:
            webhooks.propose(db, actor, call, webhooks.Wish(name, url, events), portal.settings.demo)
            return pages.redirect("/manage/webhooks")
        except Invalid as refusal:
            problems["url"] = refusal.message
    typed = {"name": name, "url": url, "call": call.code if call else "", "event": events}
    return _page(request, db, problems, typed=typed)


@router.post("/{webhook_id}/approval")
def approve(webhook_id: uuid.UUID, form: pages.Form, actor: CoordinatorAnew, db: Db) -> Response:
    """Agree to an address that somebody else proposed."""
    webhooks.approve(db, actor, webhook_id)
    return pages.redirect("/manage/webhooks")


@router.post("/{webhook_id}/rejection")
def drop(webhook_id: uuid.UUID, form: pages.Form, actor: Coordinator, db: Db) -> Response:
    """Take a proposal off the table."""
    webhooks.drop(db, actor, webhook_id)
    return pages.redirect("/manage/webhooks")


@router.post("/{webhook_id}/secret")
def new_secret(
    request: Request, webhook_id: uuid.UUID, form: pages.Form, actor: AdminAnew, db: Db, portal: PortalDep
) -> Response:
    """Show a fresh secret; the one before goes on signing beside it for a week."""
    secret = webhooks.new_secret(db, actor, webhook_id, portal.root_key)
    return _page(request, db, secret=secret)


@router.post("/{webhook_id}/resumption")
def resume(webhook_id: uuid.UUID, form: pages.Form, actor: Coordinator, db: Db) -> Response:
    """Send there again after a pause."""
    webhooks.resume(db, actor, webhook_id)
    return pages.redirect("/manage/webhooks")


@router.post("/{webhook_id}/end")
def end(webhook_id: uuid.UUID, form: pages.Form, actor: Coordinator, db: Db) -> Response:
    """Send nothing there any more."""
    webhooks.end(db, actor, webhook_id)
    return pages.redirect("/manage/webhooks")


@router.post("/notices/{notice_id}/retry")
def send_again(notice_id: uuid.UUID, form: pages.Form, actor: Coordinator, db: Db) -> Response:
    """Queue a notice again that was sent or given up."""
    notices.send_again(db, actor, notice_id)
    return pages.redirect("/manage/webhooks")
