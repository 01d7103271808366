"""The pages about the portal itself: front door, accessibility, privacy, health, keys, language, demonstration mail."""

import email
import email.policy
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from app.deps import Db, PortalDep
from app.domain import accounts, calls, grants
from app.domain.errors import NotFound
from app.infra import i18n, times
from app.web import pages, sessions
from app.web.guards import Public

router = APIRouter()

LANGUAGE_KEPT = timedelta(days=365)
LOCAL = ("127.0.0.1", "::1")


@router.get("/")
def front(actor: Public) -> RedirectResponse:
    """The front door leads to the calls."""
    return pages.redirect("/calls")


@router.get("/accessibility")
def accessibility(request: Request, actor: Public) -> Response:
    """What was tested for accessibility, what is known to fall short, and how to report a barrier."""
    return pages.render(request, "site/accessibility.html")


@router.get("/privacy")
def privacy(request: Request, actor: Public, db: Db, call: str = "") -> Response:
    """Which personal data is kept, why, how long, and who sees it; in general, and what is special about a call."""
    found = calls.by_code(db, call) if call else None
    of_calls = [(one, calls.questions(one)) for one in calls.all_calls(db) if not one.is_synthetic]
    return pages.render(
        request,
        "site/privacy.html",
        asked=calls.questions(found) if found else None,
        of_calls=[(one, asked) for one, asked in of_calls if asked.privacy],
    )


@router.post("/language")
def choose_language(request: Request, form: pages.Form, actor: Public, db: Db, portal: PortalDep) -> Response:
    """Remember the language chosen, in a cookie and, when signed in, with the person."""
    language = pages.field(form, "language", 5)
    if language not in i18n.LANGUAGES:
        raise NotFound
    if actor.kind == "person":
        accounts.set_profile(db, actor, actor.name, language)
    response = pages.redirect(pages.own_path(pages.field(form, "next")))
    return sessions.keep(response, portal, pages.LANGUAGE, language, LANGUAGE_KEPT)


@router.get("/healthz")
def healthz(actor: Public) -> Response:
    """The process answers."""
    return PlainTextResponse("ok\n")


@router.get("/readyz")
def readyz(actor: Public, portal: PortalDep) -> Response:
    """Whether a submit would work now, with each check."""
    checks = portal.checks()
    ready = all(checks.values())
    body = {"ready": ready, "at": times.iso(portal.now()), "checks": checks}
    return JSONResponse(body, status_code=200 if ready else 503, headers={"Cache-Control": "no-store"})


@router.get("/metrics")
def metrics(request: Request, actor: Public, portal: PortalDep) -> Response:
    """Counters for Prometheus: with the token of the settings, or from this machine itself."""
    token = portal.settings.metrics_token
    given = request.headers.get("authorization", "")
    direct = request.client is not None and request.client.host in LOCAL and "x-forwarded-for" not in request.headers
    if not (direct or (token and given == f"Bearer {token}")):
        raise NotFound
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@router.get("/.well-known/jwks.json")
def jwks(actor: Public, portal: PortalDep) -> Response:
    """The public keys that receipts are signed with, earlier ones included."""
    return JSONResponse(portal.signer.jwks(), headers={"Cache-Control": "public, max-age=300"})


@router.get("/.well-known/oauth-authorization-server")
def authorization_server(actor: Public, portal: PortalDep) -> Response:
    """Where and how clients get access tokens (RFC 8414)."""
    metadata = grants.metadata(portal.settings.base_url)
    return JSONResponse(metadata, headers={"Cache-Control": "public, max-age=300"})


@router.get("/.well-known/security.txt")
def security(actor: Public, portal: PortalDep) -> Response:
    """Whom to tell about a weakness (RFC 9116)."""
    expires = portal.now() + timedelta(days=180)
    return PlainTextResponse(
        f"Contact: mailto:{portal.settings.security_contact}\n"
        f"Expires: {expires.strftime('%Y-%m-%dT%H:%M:%SZ')}\n"
        "Preferred-Languages: nl, en\n"
        f"Canonical: {portal.settings.base_url}/.well-known/security.txt\n"
    )


@router.get("/api/v1/docs")
def api_docs(request: Request, actor: Public) -> Response:
    """The API described as a page of our own: static, accessible, without anybody else's scripts."""
    described = request.app.state.api.openapi()
    routes = [
        (method.upper(), path, route)
        for path, methods in described["paths"].items()
        for method, route in methods.items()
    ]
    return pages.render(
        request,
        "site/api.html",
        described=described,
        routes=routes,
        schemas=described["components"]["schemas"],
        titles=request.app.state.api.state.titles,
        meanings=request.app.state.api.state.meanings,
        base_url=request.app.state.portal.settings.base_url,
    )


@router.get("/api/v1/problems/{code}")
def api_problem(request: Request, code: str, actor: Public) -> Response:
    """What a kind of problem means, and what to do: where `type` of a problem document leads."""
    known = request.app.state.api.state
    if code not in known.meanings:
        raise NotFound
    return pages.render(request, "site/problem.html", code=code, title=known.titles[code], meaning=known.meanings[code])


@router.get("/demo/mail")
def demo_mail(request: Request, actor: Public, portal: PortalDep) -> Response:
    """The mails that the demonstration sent, newest first. There is no such page outside it."""
    folder = portal.mailer.folder
    if not portal.settings.demo or folder is None:
        raise NotFound
    newest = sorted(folder.glob("*.eml"), key=lambda p: p.stat().st_mtime_ns, reverse=True)[:50]
    return pages.render(request, "site/mail.html", mails=[_shown(path) for path in newest])


def _shown(path: Path) -> dict[str, Any]:
    mail = email.message_from_bytes(path.read_bytes(), _class=EmailMessage, policy=email.policy.default)
    body = mail.get_body(("plain",))
    words = body.get_content() if body else ""
    lines = [
        (line, pages.own_path(urlsplit(line).path) if line.startswith("http") else None) for line in words.splitlines()
    ]
    return {"to": mail["To"], "subject": mail["Subject"], "date": mail["Date"].datetime, "lines": lines}
