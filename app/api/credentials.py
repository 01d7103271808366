"""Who may call the API: a machine with a key of the right scope, or anyone. Exactly one of these guards a route."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import text

from app.api.problems import ScopeMissing
from app.deps import PortalDep
from app.domain import keys, throttle
from app.domain.access import ANONYMOUS, Actor
from app.domain.errors import Unauthenticated
from app.domain.tokens import hashed

REQUESTS = 600  # a key, each minute, over all workers together
FAILURES = 30  # keys that are none, from one network address, each quarter of an hour
PUBLIC_REQUESTS = 120  # without a key, from one network address, each minute

bearer = HTTPBearer(
    auto_error=False,
    scheme_name="key",
    description="A key issued by RVO, sent as `Authorization: Bearer eoi_...`. It names its calls and scopes and expires.",
)
Given = Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]


@dataclass(frozen=True)
class Machine:
    """Lets in the holder of a live key with `scope`. Refuses with 401 without one, 403 without the scope, 429 beyond the rate.

    The key is looked up in a transaction of its own: its last use and the counters stay, whatever becomes of the request.
    """

    scope: str

    @property
    def __name__(self) -> str:
        """What the table of routes and guards calls it."""
        return f"machine({self.scope})"

    def __call__(self, request: Request, portal: PortalDep, given: Given) -> Actor:
        """The machine that makes the request."""
        actor = ANONYMOUS
        with portal.sessions.begin() as db:
            db.execute(text("set local synchronous_commit = off"))  # counters may lose their last instant in a crash
            if given is not None:
                actor = keys.actor_of(db, given.credentials)
                if actor.kind == "api_key":
                    throttle.hit(db, f"api:key:{actor.api_key_id}", REQUESTS, timedelta(minutes=1))
                else:
                    throttle.hit(db, f"api:failed:{_network(request)}", FAILURES, timedelta(minutes=15))
        if actor.kind != "api_key":
            raise Unauthenticated
        if self.scope not in actor.scopes:
            raise ScopeMissing(scope=self.scope)
        request.state.actor = actor
        return actor


def anyone(request: Request) -> Actor:
    """No key needed."""
    return ANONYMOUS


def counted(request: Request, portal: PortalDep) -> Actor:
    """No key needed, but only so many requests a minute from one network address."""
    with portal.sessions.begin() as db:
        db.execute(text("set local synchronous_commit = off"))
        throttle.hit(db, f"api:public:{_network(request)}", PUBLIC_REQUESTS, timedelta(minutes=1))
    return ANONYMOUS


def _network(request: Request) -> str:
    """The caller's network address, hashed: enough to count by."""
    return hashed(request.client.host if request.client else "unknown")


read_submissions = Machine("submissions:read")
read_attachments = Machine("attachments:read")
write_deliveries = Machine("deliveries:write")
GUARDS = (anyone, counted, read_submissions, read_attachments, write_deliveries)

Anyone = Annotated[Actor, Depends(anyone)]
Counted = Annotated[Actor, Depends(counted)]
Reader = Annotated[Actor, Depends(read_submissions)]
FileReader = Annotated[Actor, Depends(read_attachments)]
Deliverer = Annotated[Actor, Depends(write_deliveries)]
