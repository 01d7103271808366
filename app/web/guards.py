"""Who may enter a page: exactly one of these guards a route. They look and refuse; they change nothing.

They are coroutines because they never wait: a plain function would cost each request a turn in the thread pool.
"""

from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, Request

from app.deps import ActorDep
from app.domain.access import Actor
from app.domain.errors import NotFound, Unauthenticated


async def public(actor: ActorDep) -> Actor:
    """Anybody, signed in or not."""
    return actor


async def applicant(request: Request, actor: ActorDep) -> Actor:
    """Anybody who is signed in; what they see is decided by their memberships."""
    return _person(request, actor)


def _person(request: Request, actor: Actor) -> Actor:
    if actor.kind != "person":
        raise Unauthenticated(sign_in=f"/account/sign-in?next={quote(request.url.path)}")
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


GUARDS = (public, applicant, reviewer, coordinator, admin)

Public = Annotated[Actor, Depends(public)]
Applicant = Annotated[Actor, Depends(applicant)]
Reviewer = Annotated[Actor, Depends(reviewer)]
Coordinator = Annotated[Actor, Depends(coordinator)]
Admin = Annotated[Actor, Depends(admin)]
