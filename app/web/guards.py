"""Who may enter a page: exactly one of these guards a route. They look and refuse; they change nothing.

They are coroutines because they never wait: a plain function would cost each request a turn in the thread pool.
"""

from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import Depends, Request

from app.deps import ActorDep
from app.domain.access import Actor
from app.domain.barriers import FactorNeeded
from app.domain.errors import NotFound, Unauthenticated


async def public(actor: ActorDep) -> Actor:
    """Anybody, signed in or not."""
    return actor


async def halfway(request: Request, actor: ActorDep) -> Actor:
    """Anybody who signed in, staff before their second factor too: to give it, or to leave."""
    if actor.kind != "person":
        raise Unauthenticated(sign_in=f"/account/sign-in?next={quote(request.url.path)}")
    return actor


async def applicant(request: Request, actor: ActorDep) -> Actor:
    """Anybody who is signed in; what they see is decided by their memberships."""
    return _person(request, actor)


def _person(request: Request, actor: Actor) -> Actor:
    if actor.kind != "person":
        raise Unauthenticated(sign_in=f"/account/sign-in?next={quote(request.url.path)}")
    if actor.owes_factor:
        raise FactorNeeded(sign_in=_asking(request))
    return actor


def _asking(request: Request) -> str:
    """Where the second factor is asked, and then on to this page; after a form to the page that it stood on."""
    path = request.url.path if request.method in ("GET", "HEAD") else urlsplit(request.headers.get("referer", "")).path
    query = f"?{request.url.query}" if request.url.query and request.method in ("GET", "HEAD") else ""
    return f"/account/factors/ask?next={quote((path or '/account') + query)}"


def _anew(request: Request, actor: Actor) -> Actor:
    if not actor.is_proven:
        raise FactorNeeded(sign_in=_asking(request))
    return actor


def _staff(request: Request, actor: Actor, role: str) -> Actor:
    if not _person(request, actor).is_staff(role):
        raise NotFound
    return actor


async def reviewer(request: Request, actor: ActorDep) -> Actor:
    """RVO staff. Others are told that there is nothing here."""
    return _staff(request, actor, "reviewer")


async def coordinator(request: Request, actor: ActorDep) -> Actor:
    """RVO coordinators and administrators."""
    return _staff(request, actor, "coordinator")


async def admin(request: Request, actor: ActorDep) -> Actor:
    """RVO administrators."""
    return _staff(request, actor, "admin")


async def coordinator_anew(request: Request, actor: ActorDep) -> Actor:
    """RVO coordinators and administrators who gave their second factor within the last minutes."""
    return _anew(request, _staff(request, actor, "coordinator"))


async def admin_anew(request: Request, actor: ActorDep) -> Actor:
    """RVO administrators who gave their second factor within the last minutes."""
    return _anew(request, _staff(request, actor, "admin"))


GUARDS = (public, halfway, applicant, reviewer, coordinator, admin, coordinator_anew, admin_anew)

Public = Annotated[Actor, Depends(public)]
Halfway = Annotated[Actor, Depends(halfway)]
Applicant = Annotated[Actor, Depends(applicant)]
Reviewer = Annotated[Actor, Depends(reviewer)]
Coordinator = Annotated[Actor, Depends(coordinator)]
Admin = Annotated[Actor, Depends(admin)]
CoordinatorAnew = Annotated[Actor, Depends(coordinator_anew)]
AdminAnew = Annotated[Actor, Depends(admin_anew)]
