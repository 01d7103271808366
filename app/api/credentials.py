"""Who may call the API: a machine with a key or token of the right scope, or anyone. Exactly one of these guards a route."""

import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.openapi.models import OAuthFlowClientCredentials, OAuthFlows
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, OAuth2
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.api.problems import ScopeMissing
from app.deps import Portal, PortalDep
from app.domain import bearers, grants, throttle, usage
from app.domain.access import ANONYMOUS, Actor
from app.domain.errors import Refused, Throttled, Unauthenticated
from app.domain.tokens import hashed
from app.domain.usage import Standing

FAILURES = 30  # keys that are none, from one network address, each quarter of an hour
SCOPES = {
    "submissions:read": "Read submissions and exports.",
    "attachments:read": "Read files.",
    "deliveries:write": "Confirm what was received.",
}

bearer = HTTPBearer(
    auto_error=False,
    scheme_name="key",
    description="A key issued by RVO, sent as `Authorization: Bearer eoi_...`. It names its calls and scopes and expires.",
)
oauth = OAuth2(
    flows=OAuthFlows(clientCredentials=OAuthFlowClientCredentials(tokenUrl=grants.PATH, scopes=SCOPES)),
    auto_error=False,
    scheme_name="oauth2",
    description="A token of ten minutes from `/oauth/token`, for a client that RVO registered. Sent as Bearer like a key.",
)
Given = Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
GivenToken = Annotated[str | None, Security(oauth)]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class Machine:
    """Lets in the holder of a live key or token with `scope`, from a network of the key.

    Refuses with 401 without one, 403 without the scope or from elsewhere, 429 beyond the rate. The key is looked up in a
    transaction of its own: its last use stays, whatever becomes of the request.
    """

    scope: str

    @property
    def __name__(self) -> str:
        """What the table of routes and guards calls it."""
        return f"machine({self.scope})"

    def __call__(self, request: Request, portal: PortalDep, given: Given, _: GivenToken) -> Actor:
        """The machine that makes the request."""
        if given is None:
            raise Unauthenticated
        try:
            actor, standing = _known(request, portal, given.credentials)
        except (bearers.KeyUnknown, bearers.NetworkNotAllowed) as failure:
            if failure.key_id is not None:
                portal.meter.count(failure.key_id, portal.now(), f"refused:{failure.code}")
            with portal.sessions.begin() as db:
                _lightly(db)
                throttle.hit(db, f"api:failed:{network(request)}", FAILURES, timedelta(minutes=15))
            raise
        request.state.rate = standing
        refusal = self._refusal(actor, standing)
        portal.meter.count(_id(actor), portal.now(), f"refused:{refusal.code}" if refusal else _group(request))
        if refusal is not None:
            raise refusal
        request.state.actor = actor
        return actor

    def _refusal(self, actor: Actor, standing: Standing) -> Refused | None:
        if standing.is_over:
            return Throttled(retry_after=standing.resets_in)
        return None if self.scope in actor.scopes else ScopeMissing(scope=self.scope)


def _known(request: Request, portal: Portal, text_of_key: str) -> tuple[Actor, Standing]:
    with portal.sessions.begin() as db:
        _lightly(db)
        actor = bearers.actor_of(db, text_of_key, request.client.host if request.client else None)
        most = portal.settings.api_requests
        return actor, portal.meter.take(db, "key", str(_id(actor)), portal.now(), most)


def _id(actor: Actor) -> uuid.UUID:
    if actor.api_key_id is None:
        raise Unauthenticated
    return actor.api_key_id


def _lightly(db: Session) -> None:
    """Counters may lose their last instant in a crash: nobody waits for the disk."""
    db.execute(text("set local synchronous_commit = off"))


def _group(request: Request) -> str:
    """The group of routes that is asked for, as it stands in the description."""
    tags = getattr(request.scope.get("route"), "tags", None)
    return str(tags[0]) if tags else "other"


def anyone(request: Request) -> Actor:
    """No key needed, nor counted: it costs no more than the counting would."""
    return ANONYMOUS


def counted(request: Request, portal: PortalDep) -> Actor:
    """No key needed, but only so many requests a minute from one network address."""
    with portal.sessions.begin() as db:
        _lightly(db)
        standing = portal.meter.take(db, "public", network(request), portal.now(), usage.PUBLIC)
    request.state.rate = standing
    if standing.is_over:
        raise Throttled(retry_after=standing.resets_in)
    return ANONYMOUS


def network(request: Request) -> str:
    """The caller's network address, hashed: enough to count by."""
    return hashed(request.client.host if request.client else "unknown")


class Rates:
    """Tells on each answer that was counted, refusals included, what is left of the minute (IETF draft RateLimit header fields)."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; add the two headers where a request was counted."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})

        async def send_with_rate(message: MutableMapping[str, Any]) -> None:
            standing: Standing | None = state.get("rate")
            if standing is not None and message["type"] == "http.response.start":
                policy = f'"{standing.policy}";q={standing.limit};w=60'
                left = f'"{standing.policy}";r={max(0, standing.remaining)};t={standing.resets_in}'
                message["headers"] = [
                    *message["headers"],
                    (b"ratelimit-policy", policy.encode()),
                    (b"ratelimit", left.encode()),
                ]
            await send(message)

        await self.app(scope, receive, send_with_rate)


read_submissions = Machine("submissions:read")
read_attachments = Machine("attachments:read")
write_deliveries = Machine("deliveries:write")
GUARDS = (anyone, counted, read_submissions, read_attachments, write_deliveries)

Anyone = Annotated[Actor, Depends(anyone)]
Counted = Annotated[Actor, Depends(counted)]
Reader = Annotated[Actor, Security(read_submissions, scopes=["submissions:read"])]
FileReader = Annotated[Actor, Security(read_attachments, scopes=["attachments:read"])]
Deliverer = Annotated[Actor, Security(write_deliveries, scopes=["deliveries:write"])]
