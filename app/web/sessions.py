"""What a browser is given when somebody signs in: its cookies, and the page to go to."""

from datetime import timedelta

from fastapi import Request
from starlette.responses import Response

from app.deps import Portal, cookie_name
from app.domain import sign_ins
from app.domain.access import Actor
from app.web import pages

SESSION, BROWSER = "eoi", "browser"
BROWSER_KEPT = timedelta(days=180)  # by it a browser is known again, so that only new ones are told of


def keep(response: Response, portal: Portal, name: str, value: str, lives: timedelta) -> Response:
    """The answer with a cookie that scripts and other sites never see."""
    response.set_cookie(
        cookie_name(portal.settings, name),
        value,
        max_age=int(lives.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=portal.settings.base_url.startswith("https://"),
        path="/",
    )
    return response


def open_to(path: str, portal: Portal, secret: str) -> Response:
    """On to a page, under the session of this secret."""
    return hold(pages.redirect(path), portal, secret)


def hold(response: Response, portal: Portal, secret: str) -> Response:
    """The answer with the session's secret."""
    return keep(response, portal, SESSION, secret, sign_ins.SESSION_LIVES)


def drop(response: Response, portal: Portal, name: str) -> Response:
    """The answer that ends a cookie: without what it was set with, a browser would keep it."""
    is_secure = portal.settings.base_url.startswith("https://")
    response.delete_cookie(
        cookie_name(portal.settings, name), path="/", secure=is_secure, httponly=True, samesite="lax"
    )
    return response


def browser_of(request: Request) -> str:
    """The secret by which this browser is known again; empty where it has none."""
    return request.cookies.get(cookie_name(request.app.state.portal.settings, BROWSER), "")


def landing(actor: Actor, asked_for: str) -> str:
    """The page that was asked for, else where one's own work is: the desk for staff, the submissions for others.

    Staff give their second factor on the way.
    """
    own = "/review/mine" if actor.is_staff() or actor.owes_factor else "/apply"
    path = pages.own_path(asked_for) if asked_for else own
    return f"/account/factors/ask?{pages.query(next=path)}" if actor.owes_factor else path
