"""Compression when asked for: zstd or gzip, for JSON, lines and tables, as they stream. Files come as they are.

Only the API has it, whose answers hold no secret that a page of another site could make a browser ask for (BREACH): no
cookie opens them. What hands out a token is left out all the same. ETags of what may be packed are weak from the start.
"""

import sys
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import GZipResponder
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PACKED = frozenset({"application/json", "application/problem+json", "application/x-ndjson", "text/csv"})
LEAST = 1000  # bytes that are worth it
TOKENS = "/oauth/"


class ZstdResponder(GZipResponder):
    """The same in zstd; its window is the 2 MB of level 3, of the 8 MB that RFC 9659 allows."""

    content_encoding = "zstd"

    def __init__(self, app: ASGIApp, minimum_size: int) -> None:
        super().__init__(app, minimum_size)
        self.packer = zstd.ZstdCompressor(level=3)

    def _compress_body(self, body: bytes, more_body: bool) -> bytes:
        return self.packer.compress(body, self.packer.FLUSH_BLOCK if more_body else self.packer.FLUSH_FRAME)


def _gzip(app: ASGIApp, minimum_size: int) -> GZipResponder:
    return GZipResponder(app, minimum_size, compresslevel=5)


CODINGS: dict[str, Any] = {"zstd": ZstdResponder, "gzip": _gzip}  # the first that is asked for


def coding(accepted: str) -> str | None:
    """The coding of an answer to `Accept-Encoding`; None for none, as where all of ours have `q=0`."""
    weights: dict[str, float] = {}
    for part in accepted.lower().split(","):
        name, _, parameter = part.partition(";")
        try:
            weights[name.strip()] = float(parameter.partition("q=")[2] or 1)
        except ValueError:
            continue
    return next((name for name in CODINGS if weights.get(name, weights.get("*", 0)) > 0), None)


class Packing:
    """Lets an answer through as it is, or packed where that was asked for and is worth it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; pack what comes back."""
        if scope["type"] != "http" or TOKENS in scope["path"]:
            await self.app(scope, receive, send)
            return
        wanted = coding(Headers(scope=scope).get("accept-encoding", ""))
        is_head = scope["method"] == "HEAD"
        answer = _Varying(send, wanted if is_head else None)
        responder = CODINGS[wanted](self.app, LEAST) if wanted and not is_head else None
        if responder:
            responder.send = answer

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.is_packable = _is_packable(message)
                if wanted and answer.is_packable and scope["method"] == "HEAD":
                    message = _headed(message, wanted)
            await (responder.send_with_compression if responder and answer.is_packable else answer)(message)

        await self.app(scope, receive, sending)


def _headed(message: Message, wanted: str) -> Message:
    """The head that the packed answer would have; how long that is shows when it is made."""
    headers = MutableHeaders(raw=list(message["headers"]))
    if int(headers.get("content-length", LEAST)) >= LEAST:
        headers["Content-Encoding"] = wanted
        del headers["content-length"]
    return {**message, "headers": headers.raw}


def _is_packable(message: Message) -> bool:
    media_type = Headers(raw=message["headers"]).get("content-type", "").partition(";")[0]
    return message["status"] != 206 and media_type in PACKED


class _Varying:
    """Says on each answer that could be packed what it depends on; and to HEAD, with `wanted`, what GET would say."""

    def __init__(self, send: Send, wanted: str | None) -> None:
        self.send, self.wanted, self.is_packable = send, wanted, False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and (self.is_packable or message["status"] == 304):
            headers = MutableHeaders(raw=list(message["headers"]))
            if "accept-encoding" not in headers.get("vary", "").lower():
                headers.add_vary_header("Accept-Encoding")
            if self.wanted and self.is_packable and int(headers.get("content-length", LEAST)) >= LEAST:
                headers["content-encoding"] = self.wanted
                del headers["content-length"]
            message = {**message, "headers": headers.raw}
        await self.send(message)
