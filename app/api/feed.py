"""The feed and what comes of it: entries read on from a cursor, the leaves to check against, acknowledgements."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from app.api import handed, manners
from app.api.credentials import Deliverer, Reader
from app.api.described import KEYED, Code, Ref, call_of, refusals
from app.api.problems import problem
from app.deps import Db, Portal, PortalDep
from app.domain import audit, completeness, deliveries, dossiers, feed
from app.domain.access import Actor
from app.domain.deliveries import DigestMismatch
from app.infra import times
from app.models import Delivery, FeedEntry

MOST = 1000  # entries a page
LONGEST = 30  # seconds

router = APIRouter()


@router.get(
    "/calls/{code}/feed",
    response_model=handed.Feed,
    tags=["feed"],
    responses=KEYED | refusals(410),
    summary="Feed",
)
async def read_feed(
    code: Code,
    actor: Reader,
    portal: PortalDep,
    after: Annotated[str, Query(max_length=40, description="A `cursor` of before; leave out to start.")] = "",
    limit: Annotated[int, Query(ge=1, le=MOST, description="Entries a page.")] = 100,
    wait: Annotated[int, Query(ge=0, le=LONGEST, description="Seconds to wait while there is nothing new.")] = 0,
) -> Response:
    """What was released, replaced or withdrawn, in the order in which it happened, without gaps. After the seal only.

    With `wait` the answer comes as soon as there is an entry, or empty with the same cursor at the end of that time. A
    cursor of the time before a restore of the database answers 410 `cursor_expired`: start again without one.
    """
    start, until = feed.parsed(after), asyncio.get_running_loop().time() + wait
    name = await run_in_threadpool(_bell_name, portal, actor, code)
    while True:
        ticket = portal.bell.ticket(name)
        body = await run_in_threadpool(_page, portal, actor, code, start, limit)
        left = until - asyncio.get_running_loop().time()
        if body["items"] or not await portal.bell.wait(ticket, left):
            break
    following = f"/api/v1/calls/{code}/feed?after={body['cursor']}&limit={limit}" + (f"&wait={wait}" if wait else "")
    return JSONResponse(body | {"next": following}, headers={"Link": f'<{following}>; rel="next"'})


def _bell_name(portal: Portal, actor: Actor, code: str) -> str:
    """What the database calls the call when it rings for it."""
    with portal.sessions.begin() as db:
        call = call_of(db, actor, code)
        dossiers.require_closed(db, call)
        return str(call.id)


def _page(portal: Portal, actor: Actor, code: str, start: feed.Cursor | None, limit: int) -> dict[str, Any]:
    """One reading in a transaction of its own: whoever waits holds no connection."""
    with portal.sessions.begin() as db:
        found = feed.read(db, actor, call_of(db, actor, code), start, limit)
        return {
            "items": [_entry(entry) for entry in found.entries],
            "cursor": str(found.cursor),
            "has_more": found.has_more,
        }


def _entry(entry: FeedEntry) -> dict[str, Any]:
    reference, version = entry.submission.reference, entry.version.number
    return {
        "number": entry.number,
        "kind": entry.kind,
        "reference": reference,
        "version": version,
        "payload_sha256": entry.version.payload_sha256,
        "at": times.iso(entry.at),
        "url": f"/api/v1/submissions/{reference}/versions/{version}",
    }


@router.get("/calls/{code}/leaves", response_model=handed.Leaves, tags=["proof"], responses=KEYED, summary="Leaves")
def leaves(request: Request, code: Code, actor: Reader, db: Db) -> Response:
    """What shows that your copy is complete: the seal with all its leaves, and the contents of those released to you.

    Leaves are salted digests: those that were not released tell nothing. How to count and compute: docs/formats.md.
    `ETag` changes with the feed.
    """
    call = call_of(db, actor, code)
    dossiers.require_closed(db, call)
    tag = f'W/"{feed.position(db, call)}"'
    headers = {"ETag": tag, "Cache-Control": manners.KEPT}
    if manners.is_known(request.headers, tag):
        return Response(status_code=304, headers=headers)
    made = completeness.document(db, call)
    audit.record_call(db, actor, "leaves.read", call.id, rows=len(made["released"]))
    return JSONResponse(made, headers=headers | {"ETag": f'W/"{made["cursor"]}"'})


@router.post(
    "/submissions/{ref}/deliveries",
    response_model=handed.Delivery,
    tags=["deliveries"],
    responses=KEYED
    | refusals(409)
    | {201: {"model": handed.Delivery, "description": "Written down now; 200 when it was before."}},
    summary="Acknowledge",
)
def acknowledge(ref: Ref, arrived: handed.Arrived, actor: Deliverer, db: Db) -> Response:
    """Say what arrived, with the digests that you computed. RVO sees it. Said twice it is kept once: 201, then 200 with the same body.

    Digests that do not fit answer 409 `digest_mismatch`, and RVO sees that too. What was taken back meanwhile may still be
    acknowledged: you have it.
    """
    done = deliveries.acknowledge(db, actor, ref, arrived.version, arrived.payload_sha256, arrived.files)
    if isinstance(done, DigestMismatch):
        return problem(done)  # returned, not raised: that it was said stays on record
    return JSONResponse(_delivery(done.delivery), 201 if done.is_new else 200, {"Cache-Control": "no-store"})


@router.get(
    "/submissions/{ref}/deliveries",
    response_model=handed.Deliveries,
    tags=["deliveries"],
    responses=KEYED,
    summary="Acknowledged",
)
def acknowledged(ref: Ref, actor: Deliverer, db: Db) -> dict[str, Any]:
    """What you acknowledged of a submission, first to last."""
    found = deliveries.own(db, actor, ref)
    return {"items": [_delivery(one) for one in found]}


def _delivery(one: Delivery) -> dict[str, Any]:
    return {
        "reference": one.submission.reference,
        "version": one.version.number,
        "payload_sha256": one.version.payload_sha256,
        "files": one.files,
        "delivered_at": times.iso(one.delivered_at),
    }
