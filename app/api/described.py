"""What the routes describe alike: their parameters, and the problem documents that they may answer with."""

from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel, ConfigDict
from sqlalchemy.orm import Session

from app.api import problems, schemas
from app.domain import calls
from app.domain.access import Actor
from app.domain.errors import NotFound
from app.models import Call

Code = Annotated[str, Path(max_length=62, examples=["aigf-eoi"])]
Ref = Annotated[str, Path(max_length=20, examples=["0KQ3V-9XM2T-7RWC"])]


class JsonSchema(BaseModel):
    """A JSON Schema (2020-12)."""

    model_config = ConfigDict(extra="allow")


PROBLEM: dict[str, Any] = {"model": schemas.Problem, "content": {problems.MEDIA_TYPE: {}}}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problem documents that a route may answer with."""
    meaning = {
        400: "The request is malformed.",
        401: "No valid key was given.",
        403: "The key lacks the scope, or the call has not closed (`releases_at`).",
        404: "Not there, or not for this key.",
        409: "What you have is not what was released (`wrong`).",
        410: "The cursor is of the time before the database was restored.",
        413: "The body is larger than a mebibyte.",
        416: "The range lies outside the file.",
        422: "A parameter or the body is not as described.",
        429: "Too many requests: wait `Retry-After` seconds.",
        503: "The portal cannot reach its database: wait `Retry-After` seconds.",
    }
    return {status: PROBLEM | {"description": meaning[status]} for status in statuses}


KEYED = refusals(400, 401, 403, 404, 422, 429, 503)
UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "It is still what `If-None-Match` names."}}
WAITS: dict[int | str, dict[str, Any]] = {
    409: PROBLEM | {"description": "A file is being checked: wait `Retry-After` seconds."}
}


def call_of(db: Session, actor: Actor, code: str) -> Call:
    """A call that the key is for; any other is not there."""
    if code not in actor.call_codes:
        raise NotFound
    return calls.by_code(db, code)
