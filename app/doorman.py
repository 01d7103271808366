"""The doorman: what every request and answer passes, whatever room it is for."""

import asyncio
import json
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from app.deps import Portal
from app.domain import audit
from app.domain.access import ANONYMOUS
from app.domain.barriers import TooSlow
from app.domain.errors import CrossSite, NotFound, Refused, TooLarge

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = logging.getLogger(__name__)

API = "/api/"
NUMBER = re.compile(r"[A-Za-z0-9._~-]{8,64}")  # that a machine may give its request
MAX_BODY = 210 * 1024 * 1024  # a page of answers with all its files
MAX_DOCUMENT = 1024 * 1024  # what a machine sends is read as a whole: a receipt, or a seal of ten thousand leaves
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
STRICT_TRANSPORT = "max-age=31536000; includeSubDomains"
REFUSED = frozenset({401, 403, 404, 405, 408, 413, 429})  # told of in the log, whoever asked
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
FOR_MACHINES = frozenset({"/healthz", "/readyz", "/metrics"})  # asked by address, not by name
PATIENCE = 30.0  # seconds for a body to come, and one more for each
SLOWEST = 8 * 1024  # bytes of it


class Numbered(logging.Filter):
    """Gives each line of the log the number of the request that it is about."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every line pass."""
        record.request = audit.request_id.get() or "-"
        return True


class Structured(logging.Formatter):
    """Each line of the log as one JSON object, for machines that collect them; `told` of a record are fields of it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line; a trace is in it, not below it."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "request": record.__dict__.get("request", "-"),
            "room": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line | record.__dict__.get("told", {}), ensure_ascii=False)


def keep_log(form: str) -> None:
    """Write the log of this process to standard error, in UTC: as `json` or as `text`."""
    plain = logging.Formatter("%(asctime)s %(levelname)s %(request)s %(name)s %(message)s")
    plain.converter = time.gmtime
    handler = logging.StreamHandler()
    handler.addFilter(Numbered())
    handler.setFormatter(Structured() if form == "json" else plain)
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def _answered(scope: Scope, status: int) -> None:
    """A line on each answer to a machine, and on each refusal to a person: the page asked for, not its address.

    What stands in an address may be a token, a name or anything; of whoever asked, the line has only the role.
    """
    if not scope["path"].startswith(API) and status not in REFUSED:
        return
    place = scope["path"] if scope["path"].startswith(API) else getattr(scope.get("route"), "path", "no page")
    actor = scope.get("state", {}).get("actor", ANONYMOUS)
    told = {"method": scope["method"], "route": place, "status": status, "by": actor.staff_role or actor.kind}
    log.info("%s %s %d", scope["method"], place, status, extra={"told": told})


class Doorman:
    """At the door of every request: its number, its size, where it came from, and the headers of its response."""

    def __init__(self, app: Any, portal: Portal, show: Callable[[Request, Refused], Response]) -> None:
        self.app = app
        self.show = show
        self.portal = portal
        self.patience = PATIENCE
        self.origin = "{0.scheme}://{0.netloc}".format(urlsplit(portal.settings.base_url))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        is_api = scope["path"].startswith(API)
        given = headers.get("x-request-id", "") if is_api else ""
        number = given if NUMBER.fullmatch(given) else uuid.uuid4().hex[:16]
        audit.request_id.set(number)

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                _answered(scope, message["status"])
                has = {name.lower() for name, _ in message["headers"]}
                extra = {**HEADERS, "X-Request-ID": number}
                if self.origin.startswith("https://"):
                    extra["Strict-Transport-Security"] = STRICT_TRANSPORT
                message["headers"] += [
                    (name.lower().encode(), value.encode())
                    for name, value in extra.items()
                    if name.lower().encode() not in has
                ]
                if scope["path"].startswith("/static/"):
                    message["headers"].append((b"cache-control", b"public, max-age=31536000, immutable"))
            await send(message)

        most = MAX_DOCUMENT if is_api else MAX_BODY
        if refusal := self._refusal(scope, headers, most):
            answer = await run_in_threadpool(self.show, Request(scope, receive), refusal)
            await answer(scope, receive, send_with_headers)
            return
        await self.app(scope, _counted(receive, most, self.patience), send_with_headers)

    def _is_ours(self, host: str) -> bool:
        """Whether a request names this portal, or one of the further names of the settings."""
        try:
            name = urlsplit(f"//{host}").hostname if "@" not in host else None
        except ValueError:
            return False
        own = urlsplit(self.origin).hostname
        return name is not None and name in (own, *(one.strip("[]") for one in self.portal.settings.allowed_hosts))

    def _refusal(self, scope: Scope, headers: dict[str, str], most: int) -> Refused | None:
        """Whether to stop here: a name that is not ours, too large by its own word, or asked for by another site."""
        if scope["path"] not in FOR_MACHINES and not self._is_ours(headers.get("host", "")):
            return NotFound()
        length = headers.get("content-length", "0")
        if not (length.isdecimal() and len(length) < 19) or int(length) > most:
            return TooLarge()
        if scope["method"] in SAFE or "authorization" in headers or scope["path"].startswith(API):
            return None
        site = headers.get("sec-fetch-site")
        if site is not None:
            return None if site in ("same-origin", "none") else CrossSite()
        origin = headers.get("origin")
        own = (self.origin, f"{scope['scheme']}://{headers.get('host', '')}")
        return None if origin in own else CrossSite()


def _counted(receive: Receive, most: int, patience: float) -> Receive:
    """The body as it arrives, refused once it grows beyond `most`, or comes slower than any line."""
    seen, is_whole = 0, False
    started = time.monotonic()

    async def counted() -> MutableMapping[str, Any]:
        nonlocal seen, is_whole
        if is_whole:  # what is waited for now is that the browser leaves
            return await receive()
        left = started + patience + seen / SLOWEST - time.monotonic()
        try:
            async with asyncio.timeout(max(left, 0)):
                message = await receive() if seen <= most else {}  # asked again it refuses again
        except TimeoutError:
            raise TooSlow from None
        seen += len(message.get("body", b""))
        if seen > most:
            raise TooLarge
        is_whole = not message.get("more_body", False)
        return message

    return counted
