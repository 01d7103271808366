"""What the API says when it will not or cannot answer: RFC 9457 problem documents with codes that never change."""

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from app.domain import audit
from app.domain.barriers import FileInfected
from app.domain.bearers import KeyUnknown
from app.domain.errors import Invalid, NotFound, Refused, TooLarge, Unauthenticated, refusal_of
from app.infra import times
from app.infra.files import Infected
from app.infra.i18n import N_

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
DOCS = "/api/v1/docs"
TITLES = {
    "call_not_closed": "The call has not closed yet",
    "cursor_expired": "The database was restored since",
    "cursor_invalid": "Not a cursor of this list",
    "digest_mismatch": "What you have is not what was released",
    "insufficient_scope": "The key does not cover this",
    "internal_error": "Something went wrong here",
    "invalid": "A parameter or the body is not as described",
    "key_expired": "The key or token has expired",
    "key_mistyped": "Not the text of a key",
    "key_needs_a_token": "A client's secret, where a token belongs",
    "key_revoked": "The key was revoked",
    "malformed": "The body is not JSON",
    "method_not_allowed": "Not a method of this address",
    "network_not_allowed": "Not from this network",
    "not_found": "Nothing here, or not for this key",
    "range_not_satisfiable": "The range lies outside the file",
    "throttled": "Too many requests",
    "too_large": "The body is too large",
    "unauthenticated": "No valid key was given",
}
MEANINGS = {
    "call_not_closed": "Content is sealed until the cutoff. `releases_at` and `Retry-After` say when to come back.",
    "cursor_expired": "The database came back from a backup. Read the feed again without `after`; repeated entries do no harm.",
    "cursor_invalid": "Use `next` as it was given, or leave the cursor out to start again.",
    "digest_mismatch": "`wrong` names the digests that do not fit. Fetch the submission again; RVO sees that this happened.",
    "insufficient_scope": "The key lacks the scope named in `scope`. Ask RVO for a key that has it.",
    "internal_error": "A fault of the portal. Try again; tell RVO the `request_id` if it stays.",
    "invalid": "`errors` names each parameter or member with what is wrong.",
    "key_expired": "Ask `/oauth/token` for a new token; a key itself is rotated by RVO before it expires.",
    "key_mistyped": "Its checksum does not fit: part of the text is missing or changed. Copy it again, whole.",
    "key_needs_a_token": "Send the client's secret to `/oauth/token`, and the token that you get as Bearer.",
    "key_revoked": "It is of no use any more, nor is any token made with it. Ask RVO for a new one.",
    "malformed": "The body must be one JSON document in UTF-8.",
    "method_not_allowed": "The `Allow` header names the methods of this address.",
    "network_not_allowed": "The key names the networks that it may come from, and this is none of them. Ask RVO.",
    "not_found": "It does not exist, was withdrawn, was not consented to, or belongs to a call outside the key.",
    "range_not_satisfiable": "`Content-Range` gives the size of the file in bytes.",
    "throttled": "Wait the seconds of `Retry-After`. `RateLimit` tells on each answer what is left.",
    "too_large": "Send less: a receipt has a few kilobytes.",
    "unauthenticated": "Send `Authorization: Bearer` with a key that RVO issued, or a token from `/oauth/token`.",
}


class Malformed(Refused):
    """The body cannot be read as JSON."""

    status = 400
    code = "malformed"
    msgid = N_("The body of the request is not a JSON document in UTF-8.")


class ScopeMissing(Refused):
    """A valid key that may not do this."""

    status = 403
    code = "insufficient_scope"
    msgid = N_("This key may not do this. Ask for a key with the scope that is named here.")


class RangeNotSatisfiable(Refused):
    """A range that begins beyond the end of the file."""

    status = 416
    code = "range_not_satisfiable"
    msgid = N_("The range asked for lies outside the file.")


class WrongMethod(Refused):
    """A method that the address does not have."""

    status = 405
    code = "method_not_allowed"
    msgid = N_("This address does not take that kind of request.")


class Broken(Refused):
    """A fault of ours, told without its internals."""

    status = 500
    code = "internal_error"
    msgid = N_("Something went wrong on our side and was written down. Nothing was changed.")


def install(api: FastAPI) -> None:
    """Give the API its handlers: every failure leaves as a problem document."""
    api.add_exception_handler(Refused, _refused)
    api.add_exception_handler(Infected, _infected)
    api.add_exception_handler(DBAPIError, _database)
    api.add_exception_handler(HTTPException, _http)
    api.add_exception_handler(RequestValidationError, _unreadable)
    api.add_exception_handler(Exception, _broken)


async def _infected(_: Request, failure: Exception) -> Response:
    return problem(FileInfected())


def problem(refusal: Refused, headers: dict[str, str] | None = None) -> Response:
    """The problem document of a refusal, with the headers that belong to its status."""
    known = {name: _plain(value) for name, value in refusal.extra.items() if name != "sign_in"}
    number = audit.request_id.get()
    body = {
        "type": f"{DOCS}#{refusal.code}",
        "title": TITLES.get(refusal.code, HTTPStatus(refusal.status).phrase),
        "status": refusal.status,
        "code": refusal.code,
        "detail": refusal.message.text("en"),
        **({"request_id": number} if number else {}),
        **known,
    }
    given = {"Cache-Control": "no-store", **_headers(refusal), **(headers or {})}
    return JSONResponse(body, refusal.status, given, MEDIA_TYPE)


def _plain(value: Any) -> Any:
    return times.iso(value) if hasattr(value, "astimezone") else value


def _headers(refusal: Refused) -> dict[str, str]:
    headers = {}
    if "retry_after" in refusal.extra:
        headers["Retry-After"] = str(refusal.extra["retry_after"])
    if isinstance(refusal, Unauthenticated):
        told = ', error="invalid_token"' if isinstance(refusal, KeyUnknown) else ""
        headers["WWW-Authenticate"] = f'Bearer realm="eoi"{told}'
    if isinstance(refusal, ScopeMissing):
        headers["WWW-Authenticate"] = (
            f'Bearer realm="eoi", error="insufficient_scope", scope="{refusal.extra["scope"]}"'
        )
    if isinstance(refusal, RangeNotSatisfiable):
        headers["Content-Range"] = f"bytes */{refusal.extra['size']}"
    return headers


async def _refused(request: Request, failure: Exception) -> Response:
    return problem(failure if isinstance(failure, Refused) else Broken())


async def _database(request: Request, failure: Exception) -> Response:
    refusal = refusal_of(failure) if isinstance(failure, DBAPIError) else None
    return problem(refusal) if refusal else await _broken(request, failure)


async def _http(request: Request, failure: Exception) -> Response:
    """What the framework itself refuses: an unknown address, a wrong method, a body that is no text."""
    status = failure.status_code if isinstance(failure, HTTPException) else 400
    headers = dict(getattr(failure, "headers", None) or {})
    kinds: dict[int, type[Refused]] = {404: NotFound, 405: WrongMethod, 413: TooLarge}
    return problem(kinds.get(status, Malformed)(), headers)


async def _unreadable(request: Request, failure: Exception) -> Response:
    faults = failure.errors() if isinstance(failure, RequestValidationError) else []
    if any(fault["type"] == "json_invalid" for fault in faults):
        return problem(Malformed())
    return problem(
        Invalid(
            errors=[
                {"in": str(fault["loc"][0]), "name": ".".join(map(str, fault["loc"][1:])), "message": fault["msg"]}
                for fault in faults
            ]
        )
    )


async def _broken(request: Request, failure: Exception) -> Response:
    log.error("request %s failed", audit.request_id.get(), exc_info=failure)
    return problem(Broken())
