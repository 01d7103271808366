"""/account/providers: signing in by somebody who vouches for people and organisations, such as an eHerkenning broker."""

import logging
import secrets

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.deps import Db, Portal, PortalDep
from app.domain import identities, sign_ins
from app.domain.barriers import ProviderAway, ReplyInvalid
from app.domain.errors import NotFound
from app.infra.oidc import Provider, ProviderFailed
from app.web import pages, sessions
from app.web.guards import Public

router = APIRouter(prefix="/account/providers")
log = logging.getLogger(__name__)

MOST = 2000  # characters of a code or state


@router.get("/{name}")
def ask(
    request: Request, name: str, actor: Public, db: Db, portal: PortalDep, next: str = "", anew: str = ""
) -> Response:
    """Off to the provider."""
    provider, browser = _provider(portal, name), sessions.browser_of(request) or secrets.token_urlsafe(32)
    key, then = portal.settings.secret_key, pages.own_path(next) if next else ""
    asked = identities.ask(db, actor, provider, browser, pages.network(request), then, key)
    try:
        place = provider.address(_back(portal, name), asked.state, asked.nonce, asked.verifier, bool(anew))
    except ProviderFailed as failure:
        log.warning("%s: %s", name, failure)
        raise ProviderAway from failure
    response = pages.redirect(place)
    return sessions.keep(response, portal, sessions.BROWSER, browser, sessions.BROWSER_KEPT)


def _provider(portal: Portal, name: str) -> Provider:
    found = portal.providers.get(name)
    if found is None:
        raise NotFound
    return found


def _back(portal: Portal, name: str) -> str:
    return f"{portal.settings.base_url}/account/providers/{name}/callback"


@router.get("/{name}/callback")
def answer(
    request: Request,
    name: str,
    actor: Public,
    db: Db,
    portal: PortalDep,
    state: str = "",
    code: str = "",
    iss: str = "",
) -> Response:
    """Back from the provider: signed in, on to the page that was asked for. An answer is taken once, whatever comes of it."""
    provider, browser = _provider(portal, name), sessions.browser_of(request)
    key, base_url = portal.settings.secret_key, portal.settings.base_url
    with portal.sessions.begin() as once:
        asked = identities.take(once, provider, state[:MOST], browser, key)
    if not code or iss not in ("", provider.issuer):
        raise ReplyInvalid
    try:
        claims = provider.claims_of(_back(portal, name), code[:MOST], asked.nonce, asked.verifier)
    except ProviderFailed as failure:
        log.warning("%s: %s", name, failure)
        raise ReplyInvalid from failure
    agent, language = request.headers.get("user-agent", ""), pages.language_of(request)
    if actor.kind == "person":  # the session that this one replaces
        sign_ins.sign_out(db, actor)
    secret = identities.enter(db, provider, claims, asked, browser, agent, language, base_url)
    return sessions.open_to(sessions.landing(sign_ins.actor_of(db, secret), asked.next_path), portal, secret)
