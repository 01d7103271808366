"""What HTTP asks of every address of the API: its methods, HEAD and OPTIONS among them; ETag and 304; what may be kept."""

import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from contextlib import suppress
from typing import Any

from fastapi.routing import iter_route_contexts
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.routing import BaseRoute, compile_path

from app.api.problems import WrongMethod, problem

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Methods = list[tuple[re.Pattern[str], set[str]]]

KEPT = "private, no-cache"  # by the asker alone, and asked for again with If-None-Match
TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def tag(documents: Iterable[Mapping[str, Any]], apart_from: str) -> str:
    """A weak ETag of some documents, but for the member that changes with each look at them."""
    told = [{name: value for name, value in one.items() if name != apart_from} for one in documents]
    return _tag(json.dumps(told, sort_keys=True).encode())


def _tag(body: bytes) -> str:
    return f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'


def is_known(headers: Headers, current: str) -> bool:
    """Whether `If-None-Match` names what is there, if that has a tag (RFC 9110, 13.1.2: weakly compared)."""
    known = headers.get("if-none-match", "").strip()
    return bool(current) and (known == "*" or current.removeprefix("W/") in TAG.findall(known))


def methods_of(routes: Sequence[BaseRoute]) -> Methods:
    """Each address with all the methods that it takes."""
    found: dict[str, set[str]] = {}
    for context in iter_route_contexts(routes):
        found.setdefault(context.path or "", {"OPTIONS"}).update(context.methods or ())
    more = {path: methods | ({"HEAD"} if "GET" in methods else set()) for path, methods in found.items()}
    return [(compile_path(path)[0], methods) for path, methods in more.items()]


class Enough(Exception):
    """The answer is complete as far as it is asked for: what would follow need not be made."""


class Manners:
    """Answers what needs no room, and sees to the head of all other answers."""

    def __init__(self, app: Any, methods: Methods) -> None:
        self.app, self.methods = app, methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a method that the address takes, HEAD as the GET whose head it wants."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        allowed, method = self._allowed(scope), scope["method"]
        if allowed and (method == "OPTIONS" or method not in allowed):
            headers = {"Allow": ", ".join(sorted(allowed))}
            answer = Response(None, 204, headers) if method == "OPTIONS" else problem(WrongMethod(), headers)
            await answer(scope, receive, send)
            return
        sending = Sending(Headers(scope=scope), method, send)
        with suppress(Enough):
            await self.app({**scope, "method": "GET"} if method == "HEAD" else scope, receive, sending)

    def _allowed(self, scope: Scope) -> set[str]:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        return next((methods for pattern, methods in self.methods if pattern.match(path)), set())


class Sending:
    """One answer on its way: it gets its ETag, and loses its body where only the head is wanted or nothing has changed."""

    def __init__(self, asked: Headers, method: str, send: Send) -> None:
        self.asked, self.method, self.send = asked, method, send
        self.start: Message = {}  # held back until the body is seen, where that makes the ETag
        self.is_bare = method == "HEAD"

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._begin(message)
            return
        if self.start:
            await self._tagged(message)
        if not self.is_bare:
            await self.send(message)
            return
        await self.send({"type": "http.response.body", "body": b""})
        if message.get("more_body"):
            raise Enough

    async def _begin(self, message: Message) -> None:
        headers = MutableHeaders(raw=message["headers"])
        headers.setdefault("Cache-Control", KEPT if self._is_read() else "no-store")
        is_json = headers.get("content-type", "").partition(";")[0].endswith("json")
        is_kept = "no-store" not in headers["cache-control"] and self._is_read()
        if message["status"] == 200 and is_json and is_kept and "etag" not in headers:
            self.start = message
        else:
            await self._go(message, headers)

    async def _tagged(self, message: Message) -> None:
        """Send the head that was held back, with the ETag of the body where that is here as a whole."""
        headers, held, self.start = MutableHeaders(raw=self.start["headers"]), self.start, {}
        if not message.get("more_body"):
            headers["ETag"] = _tag(message.get("body", b""))
        await self._go(held, headers)

    async def _go(self, message: Message, headers: MutableHeaders) -> None:
        tag = headers.get("etag")
        if tag and message["status"] in (200, 206) and self._is_read() and is_known(self.asked, tag):
            self.is_bare = True
            kept = [(name, value) for name, value in headers.raw if not name.startswith(b"content-")]
            message = {**message, "status": 304, "headers": kept}
        else:
            message = {**message, "headers": headers.raw}
        await self.send(message)

    def _is_read(self) -> bool:
        return self.method in ("GET", "HEAD")
