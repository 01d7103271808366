"""/manage/maintenance: announcing planned maintenance, making it shorter, calling it off."""

import uuid
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from app.deps import Db
from app.domain import calls, maintenance
from app.domain.denials import MaintenanceRefused, MaintenanceTouchesCall
from app.infra import times
from app.infra.i18n import LANGUAGES, N_, Message
from app.models import Call, Maintenance
from app.web import instants, pages
from app.web.guards import Coordinator
from app.web.instants import Problems

router = APIRouter(prefix="/manage/maintenance")

TOUCHES = N_(
    "Maintenance may not touch the first hour of a call or its last 24 hours. In the way is: %(calls)s. Nothing was "
    "announced: choose another time."
)


@router.get("")
def index(request: Request, actor: Coordinator, db: Db) -> Response:
    """What is announced and what was, as everybody finds it on /status; and a form for more."""
    return _index(request, db)


def _index(request: Request, db: Db, problems: Problems | None = None, typed: dict[str, str] | None = None) -> Response:
    now = calls.clock(db)
    listed = maintenance.listed(db, now - maintenance.SHOWN)
    coming = {one.id for one in listed if one.called_off_at is None and one.ends_at > now}
    in_the_way = {
        one.id: _names(request, maintenance.calls_touched(db, one.starts_at, one.ends_at))
        for one in listed
        if one.id in coming
    }
    return _page(
        request, "manage/maintenance.html", problems, typed, listed=listed, coming=coming, in_the_way=in_the_way
    )


def _page(
    request: Request, template: str, problems: Problems | None, typed: dict[str, str] | None, **shown: Any
) -> Response:
    language = pages.language_of(request)
    told = {name: message.text(language) for name, message in (problems or {}).items()}
    return pages.render(request, template, 422 if problems else 200, problems=told, typed=typed or {}, **shown)


def _names(request: Request, touched: list[Call]) -> str:
    """The calls by their titles, with the instants that count."""
    language = pages.language_of(request)
    return "; ".join(
        f"{calls.questions(call).title[language]} ({times.brussels_and_utc(call.opens_at, language)} – "
        f"{times.brussels_and_utc(call.closes_at, language)})"
        for call in touched
    )


@router.post("")
def announce(request: Request, form: pages.Form, actor: Coordinator, db: Db) -> Response:
    """Announce a window, typed as Brussels time, with what is done in both languages."""
    starts_at, ends_at, problems = _span(form)
    words = {language: pages.field(form, f"words_{language}", maintenance.WORDS_LENGTH) for language in LANGUAGES}
    problems |= {f"words_{name}": Message(maintenance.WORDLESS) for name, said in words.items() if not said}
    if starts_at and ends_at and not problems:
        try:
            maintenance.announce(db, actor, starts_at, ends_at, words)
        except MaintenanceTouchesCall as refusal:
            names = _names(request, refusal.extra["calls"])
            problems["from-day"] = Message(TOUCHES, {"calls": names})
        except MaintenanceRefused as refusal:
            problems["from-day"] = refusal.message
    if problems:
        return _index(request, db, problems, dict(pages.typed(form)))
    return pages.redirect("/manage/maintenance")


def _span(form: FormData) -> tuple[datetime | None, datetime | None, Problems]:
    starts_at, wrong = instants.read(form, "from")
    ends_at, wrong_too = instants.read(form, "until")
    return starts_at, ends_at, wrong | wrong_too


@router.get("/{maintenance_id}")
def show(request: Request, maintenance_id: uuid.UUID, actor: Coordinator, db: Db) -> Response:
    """One window, to be made shorter or called off."""
    return _show(request, db, maintenance.by_id(db, maintenance_id))


def _show(
    request: Request, db: Db, one: Maintenance, problems: Problems | None = None, typed: dict[str, str] | None = None
) -> Response:
    typed = typed or instants.shown("from", one.starts_at) | instants.shown("until", one.ends_at)
    is_over = one.called_off_at is not None or one.ends_at <= calls.clock(db)
    return _page(request, "manage/window.html", problems, typed, one=one, is_over=is_over)


@router.post("/{maintenance_id}")
def shorten(request: Request, maintenance_id: uuid.UUID, form: pages.Form, actor: Coordinator, db: Db) -> Response:
    """Let it begin later or end earlier."""
    one = maintenance.by_id(db, maintenance_id)
    starts_at, ends_at, problems = _span(form)
    if starts_at and ends_at:
        try:
            maintenance.shorten(db, actor, one, starts_at, ends_at)
        except MaintenanceRefused as refusal:
            problems["from-day"] = refusal.message
    if problems:
        return _show(request, db, one, problems, dict(pages.typed(form)))
    return pages.redirect("/manage/maintenance")


@router.post("/{maintenance_id}/end")
def call_off(maintenance_id: uuid.UUID, form: pages.Form, actor: Coordinator, db: Db) -> Response:
    """Let it not take place, or be over now."""
    maintenance.call_off(db, actor, maintenance.by_id(db, maintenance_id))
    return pages.redirect("/manage/maintenance")
