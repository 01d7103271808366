"""The description of the API for machines (OpenAPI 3.1): what the routes say, what all answers have alike, and real examples."""

import json
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.api import described, oauth, problems, versioned
from app.domain.bearers import KeyUnknown
from app.domain.deliveries import DigestMismatch
from app.domain.errors import CallNotClosed, Invalid, NotFound, Refused, Throttled, TooLarge, Unavailable
from app.domain.feed import CursorExpired, CursorInvalid

WORDS = """What was submitted to the portal, for EuroHPC. Content is released when a call closes.

Each address answers `HEAD` and `OPTIONS`, and any other method that it lacks with 405 and `Allow`. What is read comes with an `ETag`: \
sent back in `If-None-Match` it spares the answer (304). `RateLimit` tells what is left of a minute to whoever is counted. Give a \
request a number of your own in `X-Request-Id` (8 to 64 of `A-Z a-z 0-9 . _ ~ -`) and it stands in our log; the answer repeats it."""
HEADERS = {
    "X-Request-Id": "The number of the request: yours, or one of ours. Quote it when you ask RVO for help.",
    "ETag": "Names what was read, for `If-None-Match`.",
    "RateLimit-Policy": 'How much is allowed, as `"key";q=600;w=60`: requests, in so many seconds.',
    "RateLimit": 'What is left of it, as `"key";r=599;t=41`: requests, until it starts anew in so many seconds.',
    "Retry-After": "Seconds to wait; with `call_not_closed` until content is released.",
    "WWW-Authenticate": "How to say who asks (RFC 6750).",
    "Allow": "The methods of this address.",
    "Link": 'Where to go on, as `<…>; rel="next"`.',
}
SORTS = {
    "application/json": {},
    "application/x-ndjson": {"type": "string"},
    "text/csv": {"type": "string"},
}
SAID: dict[str, Refused] = {
    "400": CursorInvalid(),
    "401": KeyUnknown(),
    "403": CallNotClosed(datetime(2027, 6, 20, 15, tzinfo=UTC)),
    "404": NotFound(),
    "409": DigestMismatch(wrong=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]),
    "410": CursorExpired(),
    "413": TooLarge(),
    "416": problems.RangeNotSatisfiable(size=48213),
    "422": Invalid(
        errors=[{"in": "query", "name": "limit", "message": "Input should be greater than or equal to 1"}],
    ),
    "429": Throttled(retry_after=41),
    "503": Unavailable(retry_after=problems.AWAY),
}


@cache
def examples() -> dict[str, Any]:
    """By name of operation what was asked of a sandbox and what it answered, as `tools/examples.py` wrote it down."""
    held: dict[str, Any] = json.loads((files("app.api") / "examples.json").read_text("utf-8"))
    return held


def describe(api: FastAPI) -> dict[str, Any]:
    """The whole description."""
    made = get_openapi(
        title=api.title, version=api.version, description=f"{WORDS}\n\n{versioned.SUPPORT}", routes=api.routes
    )
    made["info"]["x-supported-until"] = versioned.SUPPORTED_UNTIL
    made["servers"] = [{"url": "/api/v1"}]
    oauth.describe(made)
    made["components"]["headers"] = {
        name: {"description": words, "schema": {"type": "string"}} for name, words in HEADERS.items()
    }
    for verbs in made["paths"].values():
        for verb, operation in verbs.items():
            if verb == "get" and "security" in operation and _document(operation):
                operation["responses"].setdefault("304", described.UNCHANGED[304])
            for status, answer in operation["responses"].items():
                _complete(operation, status, answer)
            _show(operation)
    return made


def _document(operation: dict[str, Any]) -> dict[str, Any]:
    """The schema of what is answered as a whole document; nothing where it is streamed, or no JSON."""
    content = operation["responses"]["200"].get("content", {})
    found: dict[str, Any] = content.get("application/json", {}).get("schema", {})
    return found


def _complete(operation: dict[str, Any], status: str, answer: dict[str, Any]) -> None:
    """What every answer of its sort has: its headers, and of a problem the one type that it comes in."""
    content = answer.get("content", {})
    if problems.MEDIA_TYPE in content:
        schema = content.pop("application/json")["schema"]
        content[problems.MEDIA_TYPE] = {"schema": schema, "example": problems.document(SAID[status])}
    for media_type, held in content.items():
        if not held:
            held["schema"] = SORTS.get(media_type, {"type": "string", "format": "binary"})
    names = {"X-Request-Id"}
    if "429" in operation["responses"]:
        names |= {"RateLimit", "RateLimit-Policy"}
    if "304" in operation["responses"] and status in ("200", "206", "304"):
        names |= {"ETag"}
    if status in ("403", "429", "503"):
        names |= {"Retry-After"}
    if status == "401":
        names |= {"WWW-Authenticate"}
    if status == "200" and _document(operation).get("$ref", "").rpartition("/")[2] in ("Items", "Feed"):
        names |= {"Link"}
    answer["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in HEADERS if name in names}


def _show(operation: dict[str, Any]) -> None:
    """Put in what was asked and answered; what was made now is answered alike when it is there already."""
    shown = examples().get(operation["operationId"], {})
    answers = [operation["responses"].get(status, {}) for status in ("200", "201")]
    for name, held in (("request", operation.get("requestBody", {})), *(("answer", answer) for answer in answers)):
        for media_type, content in held.get("content", {}).items():
            if shown.get(f"{name}_type") == media_type:
                content["example"] = shown[name]
