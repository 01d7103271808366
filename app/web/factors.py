"""/account/factors: the second factor of staff: asked after the link and before what matters, taken into use, ended."""

import uuid
from typing import Any
from urllib.parse import quote

import segno
from fastapi import APIRouter, Request
from markupsafe import Markup
from starlette.responses import JSONResponse, Response

from app.deps import Db, Portal, PortalDep
from app.domain import accounts, factors, passkeys
from app.infra.i18n import N_, Message
from app.web import pages, sessions
from app.web.guards import Halfway

router = APIRouter(prefix="/account/factors")

ANSWER_LENGTH = 20_000
WRONG_CODE = N_("This code is not right, or was used before. Give the code that your app shows now.")
WRONG_PASSKEY = N_("This passkey was not recognised. Try again, or use a code.")


@router.get("/ask")
def ask(request: Request, actor: Halfway, db: Db, portal: PortalDep, next: str = "") -> Response:
    """Ask for the second factor; whoever has none yet takes one into use first."""
    if not actor.owes_factor and actor.provider in portal.providers:  # the second factor is the provider's
        return pages.redirect(f"/account/providers/{actor.provider}?anew=yes&{pages.query(next=pages.own_path(next))}")
    if not factors.listed(db, accounts.require_id(actor)):
        return pages.redirect(f"/account/factors/new?next={quote(pages.own_path(next))}")
    return _ask(request, actor, db, portal, next)


def _ask(
    request: Request, actor: Halfway, db: Db, portal: Portal, asked_for: str, problem: str = "", status: int = 200
) -> Response:
    mine = factors.listed(db, accounts.require_id(actor))
    apps = [factor for factor in mine if factor.sort == "app"]
    key = portal.root_key
    return pages.render(
        request,
        "account/factor_ask.html",
        status,
        next=pages.own_path(asked_for),
        has_app=bool(apps),
        has_passkey=any(factor.sort == "passkey" for factor in mine),
        error=Message(problem).text(pages.language_of(request)) if problem else "",
        shown_code=factors.shown_code(db, apps[0], key) if apps and portal.settings.demo else None,
    )


@router.post("/ask")
def give(request: Request, form: pages.Form, actor: Halfway, db: Db, portal: PortalDep) -> Response:
    """Give a code of the app, or a recovery code."""
    settings, asked_for = portal.settings, pages.field(form, "next", 2000)
    secret = factors.enter(db, actor, pages.field(form, "code", 60), portal.root_key, settings.base_url)
    if secret is None:
        return _ask(request, actor, db, portal, asked_for, WRONG_CODE, 422)
    return sessions.open_to(pages.own_path(asked_for), portal, secret)


@router.post("/challenges")
def challenge(form: pages.Form, actor: Halfway, db: Db, portal: PortalDep) -> Response:
    """What the browser's passkey is to sign, to be made (`make`) or given; asked by the page's script."""
    asked = passkeys.asked_to_make if pages.field(form, "make", 5) else passkeys.asked_to_give
    return JSONResponse(asked(db, actor, portal.settings.base_url), headers={"Cache-Control": "no-store"})


@router.post("/answers")
def give_passkey(request: Request, form: pages.Form, actor: Halfway, db: Db, portal: PortalDep) -> Response:
    """Give a passkey."""
    asked_for = pages.field(form, "next", 2000)
    secret = passkeys.enter(db, actor, pages.field(form, "answer", ANSWER_LENGTH), portal.settings.base_url)
    if secret is None:
        return _ask(request, actor, db, portal, asked_for, WRONG_PASSKEY, 422)
    return sessions.open_to(pages.own_path(asked_for), portal, secret)


@router.get("/new")
def describe(request: Request, actor: Halfway, db: Db, portal: PortalDep, next: str = "") -> Response:
    """Take an authenticator app or a passkey into use."""
    return _new(request, actor, db, portal, next)


def _new(
    request: Request, actor: Halfway, db: Db, portal: Portal, asked_for: str, status: int = 200, **errors: str
) -> Response:
    factor, key, language = factors.begin_app(db, actor), portal.root_key, pages.language_of(request)
    picture = segno.make(factors.address(factor, actor.email, key), micro=False)
    values: dict[str, Any] = {
        "picture": Markup(picture.svg_inline(scale=5, border=4, dark="#000", light="#fff")),  # noqa: S704  (our own)
        "secret": factors.shared_secret(factor, key),
        "shown_code": factors.shown_code(db, factor, key) if portal.settings.demo else None,
    }
    return pages.render(
        request,
        "account/factor_new.html",
        status,
        next=pages.own_path(asked_for),
        passkeys_are_possible=passkeys.are_possible(portal.settings.base_url),
        is_first=not factors.listed(db, factor.person_id),
        errors={name: Message(words).text(language) for name, words in errors.items()},
        **values,
    )


@router.post("")
def add_app(request: Request, form: pages.Form, actor: Halfway, db: Db, portal: PortalDep) -> Response:
    """Take the app into use, by a code that it shows."""
    name, code, asked_for = (pages.field(form, n, size) for n, size in (("name", 60), ("code", 60), ("next", 2000)))
    settings = portal.settings
    secret = factors.confirm_app(db, actor, name, code.replace(" ", ""), portal.root_key, settings.base_url)
    if secret is None:
        return _new(request, actor, db, portal, asked_for, 422, code=WRONG_CODE)
    return _added(request, actor, db, portal, asked_for, secret)


@router.post("/passkeys")
def add_passkey(request: Request, form: pages.Form, actor: Halfway, db: Db, portal: PortalDep) -> Response:
    """Take a passkey into use."""
    name, asked_for = pages.field(form, "name", 60), pages.field(form, "next", 2000)
    secret = passkeys.keep(db, actor, name, pages.field(form, "answer", ANSWER_LENGTH), portal.settings.base_url)
    if secret is None:
        return _new(request, actor, db, portal, asked_for, 422, passkey=WRONG_PASSKEY)
    return _added(request, actor, db, portal, asked_for, secret)


def _added(request: Request, actor: Halfway, db: Db, portal: Portal, asked_for: str, secret: str) -> Response:
    """On to the page asked for; after the first factor, by way of the recovery codes."""
    codes = factors.first_codes(db, actor)
    page = _codes(request, codes, asked_for) if codes else pages.redirect(pages.own_path(asked_for))
    return sessions.hold(page, portal, secret)


def _codes(request: Request, codes: list[str], asked_for: str) -> Response:
    return pages.render(request, "account/recovery_codes.html", codes=codes, next=pages.own_path(asked_for))


@router.post("/recovery-codes")
def renew_codes(request: Request, form: pages.Form, actor: Halfway, db: Db) -> Response:
    """Fresh recovery codes; the page of this answer is the only one that shows them."""
    return _codes(request, factors.renew_codes(db, actor), "/account")


@router.post("/{factor_id}/end")
def end(factor_id: uuid.UUID, form: pages.Form, actor: Halfway, db: Db, portal: PortalDep) -> Response:
    """End one of my factors."""
    factors.end(db, actor, factor_id, portal.settings.base_url)
    return pages.redirect("/account")
