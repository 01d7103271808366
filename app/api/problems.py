"""What the API says when it will not or cannot answer: RFC 9457 problem documents with codes that never change."""

import logging
from http import HTTPStatus
from math import ceil
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from app.domain import audit
from app.domain.barriers import FileInfected
from app.domain.bearers import KeyUnknown
from app.domain.errors import (
    CallNotClosed,
    Invalid,
    NotFound,
    Refused,
    TooLarge,
    Unauthenticated,
    Unavailable,
    refusal_of,
)
from app.infra import database, times
from app.infra.files import Infected
from app.infra.i18n import N_

log = logging.getLogger(__name__)

AWAY = 5  # seconds after which to ask again, where the database cannot be reached
MEDIA_TYPE = "application/problem+json"
PAGES = "/api/v1/problems"
TITLES = {
    "call_not_closed": N_("The call has not closed yet"),
    "cursor_expired": N_("The database was restored since"),
    "cursor_invalid": N_("Not a cursor of this list"),
    "digest_mismatch": N_("What you have is not what was released"),
    "insufficient_scope": N_("The key does not cover this"),
    "internal_error": N_("Something went wrong here"),
    "invalid": N_("A parameter or the body is not as described"),
    "key_expired": N_("The key or token has expired"),
    "key_mistyped": N_("Not the text of a key"),
    "key_needs_a_token": N_("A client's secret, where a token belongs"),
    "key_revoked": N_("The key was revoked"),
    "malformed": N_("The body is not JSON"),
    "method_not_allowed": N_("Not a method of this address"),
    "network_not_allowed": N_("Not from this network"),
    "not_found": N_("Nothing here, or not for this key"),
    "range_not_satisfiable": N_("The range lies outside the file"),
    "throttled": N_("Too many requests"),
    "too_large": N_("The body is too large"),
    "unauthenticated": N_("No valid key was given"),
    "unavailable": N_("The portal cannot reach its database"),
}
MEANINGS = {
    "call_not_closed": N_("Content is sealed until the cutoff. `releases_at` and `Retry-After` say when to come back."),
    "cursor_expired": N_(
        "The database came back from a backup. Read the feed again without `after`; repeated entries do no harm."
    ),
    "cursor_invalid": N_("Use `next` as it was given, or leave the cursor out to start again."),
    "digest_mismatch": N_(
        "`wrong` names the digests that do not fit. Fetch the submission again; RVO sees that this happened."
    ),
    "insufficient_scope": N_("The key lacks the scope named in `scope`. Ask RVO for a key that has it."),
    "internal_error": N_("A fault of the portal. Try again; tell RVO the `request_id` if it stays."),
    "invalid": N_("`errors` names each parameter or member with what is wrong."),
    "key_expired": N_("Ask `/oauth/token` for a new token; a key itself is rotated by RVO before it expires."),
    "key_mistyped": N_("Its checksum does not fit: part of the text is missing or changed. Copy it again, whole."),
    "key_needs_a_token": N_("Send the client's secret to `/oauth/token`, and the token that you get as Bearer."),
    "key_revoked": N_("It is of no use any more, nor is any token made with it. Ask RVO for a new one."),
    "malformed": N_("The body must be one JSON document in UTF-8."),
    "method_not_allowed": N_("The `Allow` header names the methods of this address."),
    "network_not_allowed": N_("The key names the networks that it may come from, and this is none of them. Ask RVO."),
    "not_found": N_("It does not exist, was withdrawn, was not consented to, or belongs to a call outside the key."),
    "range_not_satisfiable": N_("`Content-Range` gives the size of the file in bytes."),
    "throttled": N_("Wait the seconds of `Retry-After`. `RateLimit` tells on each answer what is left."),
    "too_large": N_("Send less: a receipt has a few kilobytes."),
    "unauthenticated": N_("Send `Authorization: Bearer` with a key that RVO issued, or a token from `/oauth/token`."),
    "unavailable": N_("It will be back. Wait the seconds of `Retry-After` and ask again; nothing was changed."),
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
    api.add_exception_handler(PoolTimeout, _database)
    api.add_exception_handler(HTTPException, _http)
    api.add_exception_handler(RequestValidationError, _unreadable)
    api.add_exception_handler(Exception, _broken)


async def _infected(_: Request, failure: Exception) -> Response:
    return problem(FileInfected())


def problem(refusal: Refused, headers: dict[str, str] | None = None) -> Response:
    """The problem document of a refusal, with the headers that belong to its status."""
    number = audit.request_id.get()
    body = document(refusal) | ({"request_id": number} if number else {})
    given = {"Cache-Control": "no-store", **_headers(refusal), **(headers or {})}
    return JSONResponse(body, refusal.status, given, MEDIA_TYPE)


def document(refusal: Refused) -> dict[str, Any]:
    """What is said of a refusal, whatever request it was of."""
    known = {name: _plain(value) for name, value in refusal.extra.items() if name != "sign_in"}
    return {
        "type": f"{PAGES}/{refusal.code}",
        "title": TITLES.get(refusal.code, HTTPStatus(refusal.status).phrase),
        "status": refusal.status,
        "code": refusal.code,
        "detail": refusal.message.text("en"),
        **known,
    }


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
    if isinstance(failure, CallNotClosed):
        left = failure.releases_at - request.app.state.portal.now()
        return problem(failure, {"Retry-After": str(max(1, ceil(left.total_seconds())))})
    return problem(failure if isinstance(failure, Refused) else Broken())


async def _database(request: Request, failure: Exception) -> Response:
    if refusal := refusal_of(failure) if isinstance(failure, DBAPIError) else None:
        return problem(refusal)
    if isinstance(failure, PoolTimeout) or database.is_away(failure):
        log.warning("no database: %s", failure)
        return problem(Unavailable(retry_after=AWAY))
    return await _broken(request, failure)


async def _http(request: Request, failure: Exception) -> Response:
    """What the framework itself refuses: an unknown address, a wrong method, a body that is no text."""
    if isinstance(failure.__cause__, Refused):  # what stopped the framework while it read the body
        return problem(failure.__cause__)
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
