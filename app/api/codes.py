"""The code lists of the API: those of every call, open to all, and those of one call's definition."""

import hashlib
from typing import Any, Literal

import orjson
from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from app.api import problems
from app.api.credentials import Anyone, Reader
from app.api.described import KEYED, UNCHANGED, Code, call_of, refusals
from app.api.schemas import Strict, Text
from app.deps import Db
from app.domain import calls, codes
from app.domain.codes import CodeList
from app.infra.i18n import N_

Name = Literal[
    "countries",
    "member_states",
    "nuts",
    "respondents",
    "headings",
    "confidentiality",
    "feed",
    "states",
    "scopes",
    "problems",
]
KEPT = "private, no-cache"

router = APIRouter()


class CodeEntry(Strict):
    """A code with its words."""

    code: str = Field(examples=["NL"])
    label: Text


class Codes(Strict):
    """A code list."""

    name: str = Field(alias="list", examples=["countries"])
    title: Text
    version: str = Field(description="Of the list: it changes when a code does.", examples=["47"])
    source: str = Field(description="Who keeps it.")
    codes: list[CodeEntry]


class Summary(Strict):
    """A code list without its codes."""

    name: str = Field(alias="list", examples=["countries"])
    title: Text
    version: str
    source: str
    count: int = Field(ge=1, description="Codes in it.")
    url: str = Field(examples=["/api/v1/codes/countries"])


class Lists(Strict):
    """The lists that hold for every call."""

    items: list[Summary]


class ListsOfCall(Strict):
    """The lists of one call, whole. `answers.…` names a question, or one in a list of items."""

    items: list[Codes]


def every() -> dict[str, CodeList]:
    """The lists that hold for every call, by name."""
    told = codes.own("problems", N_("Codes of problem documents"), problems.TITLES)
    return {one.name: one for one in (*codes.general(), told)}


@router.get("/codes", response_model=Lists, tags=["codes"], responses=UNCHANGED)
def list_codes(request: Request, actor: Anyone) -> Response:
    """Which code lists there are. No key needed. A version is shown that changes with the list; `ETag` too."""
    found = []
    for one in every().values():
        said = one.document()
        said["count"] = len(said.pop("codes"))
        found.append(said | {"url": f"/api/v1/codes/{one.name}"})
    return _tagged(request, {"items": found})


@router.get("/codes/{name}", response_model=Codes, tags=["codes"], responses=refusals(404, 422) | UNCHANGED)
def show_codes(request: Request, name: Name, actor: Anyone) -> Response:
    """One list: its codes, each with its words in both languages. No key needed."""
    return _tagged(request, every()[name].document())


@router.get("/calls/{code}/codes", response_model=ListsOfCall, tags=["codes"], responses=KEYED | UNCHANGED)
def codes_of_call(request: Request, code: Code, actor: Reader, db: Db) -> Response:
    """All that can be chosen in a call, by its definition, whose digest is the version: answers, sections, warnings, letters."""
    found = codes.of_call(calls.questions(call_of(db, actor, code)))
    return _tagged(request, {"items": [one.document() for one in found]})


def _tagged(request: Request, document: dict[str, Any]) -> Response:
    body = orjson.dumps(document)
    tag = f'W/"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": KEPT}
    if tag.removeprefix("W/") in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)
