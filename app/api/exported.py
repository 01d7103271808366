"""A whole call at once: its submissions as NDJSON, JSON, CSV or XLSX, its files as a ZIP, at any size and in one snapshot."""

import tempfile
from collections.abc import Callable, Generator, Iterable
from functools import partial
from typing import Annotated, Any, BinaryIO

import anyio
from fastapi import APIRouter, Query
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from app.api import lines
from app.api.credentials import FileReader, Reader
from app.api.described import KEYED, WAITS, Code, JsonSchema, call_of
from app.api.problems import ScopeMissing
from app.deps import Db, Portal, PortalDep
from app.domain import calls, dossiers, entries, exports, streams
from app.domain.access import Actor
from app.infra.files import CHUNK
from app.models import Call

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
Make = Callable[[Session, Actor, Call], Iterable[bytes]]
After = Annotated[
    str,
    Query(
        max_length=20,
        description="The reference of the last submission that came whole, when a stream broke off: what is sent then begins "
        "behind it, and `whole` in the manifest still counts from the first. Leave out to start. What is sent as a table or a "
        "ZIP has no `after`: ask again.",
    ),
]

router = APIRouter()


class Stream(StreamingResponse):
    """What is made a part at a time. However it ends, also when its reader goes away, its transaction ends with it."""

    def __init__(self, made: Generator[bytes], media_type: str, headers: dict[str, str]) -> None:
        super().__init__(made, media_type=media_type, headers=headers)
        self.made = made

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it, and close it whatever happens."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(self.made.close)


def _given(media_type: str) -> dict[int | str, dict[str, Any]]:
    return KEYED | {200: {"content": {media_type: {}}}}


def _answer(portal: Portal, db: Session, actor: Actor, call: Call, format: str, media_type: str, make: Make) -> Stream:
    """The stream of an export, in a session of its own; that it was asked for is on record before it begins."""
    exports.record(db, actor, call, format)
    call_id, name = call.id, f"{call.code}.{format}"

    def parts() -> Generator[bytes]:
        with portal.snapshots.begin() as own:
            streams.end_when_stalled(own)
            yield from make(own, actor, own.get_one(Call, call_id))

    kept = {"Cache-Control": "private, no-store", "Content-Disposition": f'attachment; filename="{name}"'}
    return Stream(parts(), media_type, kept)


def _closed(db: Session, actor: Actor, code: str) -> Call:
    call = call_of(db, actor, code)
    dossiers.require_closed(db, call)
    return call


@router.get("/calls/{code}/export.schema.json", response_model=JsonSchema, tags=["calls"], responses=KEYED)
def export_schema(code: Code, actor: Reader, db: Db) -> Response:
    """JSON Schema (2020-12) of each line of the export, so of each submission and of the manifest. Nothing else is in them."""
    call = call_of(db, actor, code)
    return JSONResponse(lines.line_schema(calls.questions(call), call.code))


@router.get(
    "/calls/{code}/export.ndjson",
    tags=["submissions"],
    response_class=Response,
    responses=_given("application/x-ndjson"),
)
def export(code: Code, actor: Reader, db: Db, portal: PortalDep, after: After = "") -> Response:
    """Every submission, a line each, streamed; the last line is the manifest with count and SHA-256 of the lines before.

    All of it is of one instant; `whole` in the manifest has count and root of all there was to read then, also before
    `after`, and `cursor` is where to go on in the feed. See docs/formats.md.
    """
    call, start = _closed(db, actor, code), streams.beginning(after)
    return _answer(portal, db, actor, call, "ndjson", "application/x-ndjson", partial(streams.ndjson, after=start))


@router.get(
    "/calls/{code}/export.json", tags=["submissions"], response_class=Response, responses=_given("application/json")
)
def export_json(code: Code, actor: Reader, db: Db, portal: PortalDep, after: After = "") -> Response:
    """The same as one document: `submissions`, and `manifest`, whose SHA-256 is that of the lines of NDJSON."""
    call, start = _closed(db, actor, code), streams.beginning(after)
    return _answer(portal, db, actor, call, "json", "application/json", partial(streams.as_json, after=start))


@router.get("/calls/{code}/export.csv", tags=["submissions"], response_class=Response, responses=_given("text/csv"))
def export_csv(code: Code, actor: Reader, db: Db, portal: PortalDep) -> Response:
    """The answers as a table for spreadsheets: UTF-8 with a byte order mark, semicolons, no cell that runs.

    One table has no place for letters of member states: they are in every other format. It comes whole or not at all: no `after`.
    """
    call = _closed(db, actor, code)
    entries.require_prepared(db, call)
    return _answer(portal, db, actor, call, "csv", "text/csv; charset=utf-8", exports.as_csv)


@router.get("/calls/{code}/export.xlsx", tags=["submissions"], response_class=Response, responses=_given(XLSX))
def export_xlsx(code: Code, actor: Reader, db: Db, portal: PortalDep) -> Response:
    """The same table as a workbook, every cell of a type of its own, and a second sheet of the letters of member states.

    It comes whole or not at all: no `after`.
    """
    call = _closed(db, actor, code)
    entries.require_prepared(db, call)

    def made(own: Session, actor: Actor, there: Call) -> Iterable[bytes]:
        with tempfile.TemporaryFile() as book:
            exports.to_xlsx(own, actor, there, book)
            own.rollback()  # it is all in the file: nobody holds a snapshot while that is sent
            yield from _read(book)

    return _answer(portal, db, actor, call, "xlsx", XLSX, made)


def _read(book: BinaryIO) -> Iterable[bytes]:
    book.seek(0)
    while chunk := book.read(CHUNK):
        yield chunk


@router.get(
    "/calls/{code}/export.zip",
    tags=["submissions"],
    response_class=Response,
    responses=_given("application/zip") | WAITS,
)
def export_zip(code: Code, actor: FileReader, db: Db, portal: PortalDep) -> Response:
    """All submissions as NDJSON with every file of them, by names that never change, and a manifest of digests.

    Needs both `attachments:read` and `submissions:read`.
    """
    if "submissions:read" not in actor.scopes:
        raise ScopeMissing(scope="submissions:read")
    call = _closed(db, actor, code)
    exports.require_looked_at(db, actor, call, portal.scanner is not None)
    return _answer(
        portal,
        db,
        actor,
        call,
        "zip",
        "application/zip",
        lambda own, actor, there: exports.as_zip(own, portal.files, actor, there),
    )
