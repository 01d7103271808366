"""The API for EuroHPC, read-only: calls, submissions after the cutoff, files, and checking receipts."""

import base64
import os
import re
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Path, Query, Request
from starlette.datastructures import Headers
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from app.api import (
    codes,
    described,
    description,
    exported,
    feed,
    manners,
    oauth,
    packed,
    problems,
    schemas,
    sealed,
    versioned,
)
from app.api.credentials import Anyone, Counted, FileReader, Rates, Reader
from app.api.described import KEYED, UNCHANGED, WAITS, Code, Ref, refusals
from app.deps import Db, PortalDep
from app.domain import audit, calls, dossiers, oversight, proofs, scans, schema, seals, support
from app.domain.access import Actor
from app.domain.errors import NotFound
from app.domain.feed import CursorInvalid
from app.infra import times
from app.infra.documents import SORTS
from app.infra.times import BRUSSELS
from app.models import Call

MAX_PAGE = 200
BYTES: dict[str, Any] = {"content": {media_type: {} for media_type in sorted({sort for sort, _ in SORTS.values()})}}
RANGE = re.compile(r"bytes=(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))")
router = APIRouter()


def _shown(call: Call, tally: oversight.Tally, now: Any) -> dict[str, Any]:
    here = f"/api/v1/calls/{call.code}"
    return {
        "code": call.code,
        "title": calls.questions(call).title,
        "state": calls.state(call, now),
        "opens_at": times.iso(call.opens_at),
        "closes_at": times.iso(call.closes_at),
        "zone": call.zone,
        "is_synthetic": call.is_synthetic,
        "definition": call.definition_digest,
        "counts": {"submitted": tally.submitted, "withdrawn": tally.withdrawn, "released": tally.released},
        "last_received_at": times.iso(tally.last_received_at) if tally.last_received_at else None,
        "now": times.iso(now),
        "links": {
            "schema": f"{here}/schema.json?kind=FC",
            "submissions": f"{here}/submissions",
            "export": f"{here}/export.ndjson",
            "feed": f"{here}/feed",
            "codes": f"{here}/codes",
        },
    }


@router.get("/time", response_model=schemas.Time, tags=["public"])
def time(actor: Anyone, portal: PortalDep) -> Response:
    """The portal's clock, which decides on the cutoff. No key needed."""
    now = portal.now()
    body = {
        "now": times.iso(now),
        "unix_ms": int(now.timestamp() * 1000),
        "zone": "Europe/Brussels",
        "local": now.astimezone(BRUSSELS).isoformat(timespec="milliseconds"),
    }
    return JSONResponse(body, headers={"Cache-Control": "no-store"})


@router.post(
    "/receipts/verify", response_model=schemas.Verdict, tags=["public"], responses=refusals(400, 413, 422, 429, 503)
)
def verify_receipt(actor: Counted, portal: PortalDep, document: dict[str, Any]) -> dict[str, Any]:
    """Check a receipt against this portal's keys, old ones included. No key needed; nothing is stored."""
    verdict = proofs.verify(document, portal.signer.jwks())
    return {"outcome": verdict.outcome, "sentence": {lang: verdict.sentence.text(lang) for lang in ("en", "nl")}}


@router.get("/calls", response_model=schemas.Calls, tags=["calls"], responses=refusals(400, 401, 403, 429, 503))
def list_calls(response: Response, actor: Reader, db: Db) -> dict[str, Any]:
    """The calls that the key is for, with their windows and counts. `ETag` tells nothing of `now`."""
    found = [call for call in calls.all_calls(db) if call.code in actor.call_codes]
    tallies, now = oversight.tallies(db, found), calls.clock(db)
    items = [_shown(call, tallies[call.id], now) for call in found]
    response.headers["ETag"] = manners.tag(items, apart_from="now")
    return {"items": items}


@router.get("/calls/{code}", response_model=schemas.Call, tags=["calls"], responses=KEYED)
def show_call(response: Response, code: Code, actor: Reader, db: Db) -> dict[str, Any]:
    """One call: window, zone, state, counts, digest of its definition. `ETag` tells nothing of `now`."""
    call = described.call_of(db, actor, code)
    shown = _shown(call, oversight.tallies(db, [call])[call.id], calls.clock(db))
    response.headers["ETag"] = manners.tag([shown], apart_from="now")
    return shown


@router.get(
    "/calls/{code}/schema.json",
    response_model=described.JsonSchema,
    tags=["calls"],
    responses=KEYED,
)
def call_schema(code: Code, actor: Reader, db: Db, kind: Annotated[str, Query(max_length=2)] = "FC") -> Response:
    """JSON Schema (2020-12) of the answers of one kind of respondent: MS, FC or OO."""
    questions = calls.questions(described.call_of(db, actor, code))
    if kind not in questions.respondents:
        raise NotFound
    return JSONResponse(schema.json_schema(questions, kind))


@router.get("/calls/{code}/submissions", response_model=schemas.Items, tags=["submissions"], responses=KEYED)
def list_submissions(
    request: Request,
    response: Response,
    code: Code,
    actor: Reader,
    db: Db,
    cursor: Annotated[str, Query(max_length=20, description="`next` holds it; leave out to start.")] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="Submissions a page.")] = 100,
) -> dict[str, Any]:
    """What was submitted, consented to and not withdrawn, a page at a time, in order of reference. After the cutoff only."""
    call = described.call_of(db, actor, code)
    dossiers.require_closed(db, call)
    if cursor and not all(c.isalnum() or c == "-" for c in cursor):
        raise CursorInvalid
    found = dossiers.page(db, actor, call, limit + 1, cursor)
    following = None
    if len(found) > limit:
        following = f"/api/v1/calls/{code}/submissions?cursor={found[limit - 1][0].reference}&limit={limit}"
        response.headers["Link"] = f'<{following}>; rel="next"'
    items = [
        {
            "reference": s.reference,
            "version": v.number,
            "kind": v.kind,
            "title": v.title,
            "organisation": v.receipt.body["organisation"]["name"],
            "received_at": times.iso(v.received_at),
            "payload_sha256": v.payload_sha256,
            "url": f"/api/v1/submissions/{s.reference}",
        }
        for s, v in found[:limit]
    ]
    audit.record_call(db, actor, "register.read", call.id, rows=len(items))
    return {"items": items, "next": following}


@router.get("/submissions/{ref}", response_model=schemas.Submission, tags=["submissions"], responses=KEYED)
def show_submission(request: Request, ref: Ref, actor: Reader, db: Db) -> Response:
    """The version that counts, grouped by the headings of Art. 12b(19). `ETag` changes only with the content."""
    return _submission(request, ref, None, actor, db)


@router.get(
    "/submissions/{ref}/versions/{number}",
    response_model=schemas.Submission,
    tags=["submissions"],
    responses=KEYED,
)
def show_version(
    request: Request, ref: Ref, number: Annotated[int, Path(ge=1, le=100_000)], actor: Reader, db: Db
) -> Response:
    """One version, by its number, as it was accepted."""
    return _submission(request, ref, number, actor, db)


def _submission(request: Request, ref: str, number: int | None, actor: Actor, db: Db) -> Response:
    submission, version = dossiers.load(db, actor, ref, number)
    last = dossiers.last_number(db, submission)
    tag = f'W/"{version.payload_sha256}-{version.number}-{last}"'
    headers = {"ETag": tag, "Cache-Control": manners.KEPT}
    if manners.is_known(request.headers, tag):
        return Response(status_code=304, headers=headers)
    questions = calls.questions_of(db, version.definition_digest)
    letters = support.to_consortium(db, submission)
    return JSONResponse(dossiers.document(questions, submission, version, last, letters), headers=headers)


@router.get(
    "/submissions/{ref}/attachments/{sha256}",
    tags=["submissions"],
    response_class=Response,
    responses=KEYED | UNCHANGED | WAITS | refusals(416) | {200: BYTES, 206: BYTES | {"description": "A range."}},
)
def attachment(
    ref: Ref,
    sha256: Annotated[str, Path(pattern=schemas.SHA256)],
    actor: FileReader,
    db: Db,
    portal: PortalDep,
) -> Response:
    """The bytes of a file. A `Range` of bytes is understood; `ETag` is the SHA-256."""
    _, file = dossiers.file_of(db, actor, ref, sha256)
    scans.require_looked_at(db, [sha256], portal.scanner is not None)
    headers = {
        "ETag": f'"{sha256}"',
        "Cache-Control": manners.KEPT,
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:",
    }
    return Ranged(portal.files.path(sha256), media_type=file["media_type"], filename=file["name"], headers=headers)


class Ranged(FileResponse):
    """A file, or one range of it. What is no range, and several at once, get the whole file, as RFC 9110 wants."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it; a range beyond the end is refused as everything is refused here, not in the framework's words."""
        asked, tag = Headers(scope=scope), self.headers["etag"]
        found = RANGE.fullmatch(asked.get("range", "")) if asked.get("if-range", tag) == tag else None
        first, last, final = found.groups() if found else (None, None, None)
        if found is None or (last and int(last) < int(first or 0)):
            scope = {**scope, "headers": [(name, value) for name, value in scope["headers"] if name != b"range"]}
        elif (size := os.stat(self.path).st_size) <= int(first or 0) or (final and int(final) == 0):
            raise problems.RangeNotSatisfiable(size=size)
        await super().__call__(scope, receive, send)


@router.get("/calls/{code}/seal", response_model=sealed.SealDocument, tags=["proof"], responses=KEYED)
def call_seal(code: Code, actor: Reader, db: Db) -> dict[str, Any]:
    """The signed seal of a call with the leaves of its tree, the same as on the public page."""
    return seals.document(db, described.call_of(db, actor, code))


@router.get("/submissions/{ref}/proof", response_model=sealed.Proof, tags=["proof"], responses=KEYED)
def submission_proof(ref: Ref, actor: Reader, db: Db) -> dict[str, Any]:
    """What shows that a submission is in the sealed set: its leaf, and the path to the root of the seal (RFC 9162)."""
    submission, _ = dossiers.load(db, actor, ref)
    return seals.require_proof(db, submission)


@router.get("/openapi.json", include_in_schema=False)
def openapi(request: Request, actor: Anyone) -> Response:
    """The description for machines."""
    return JSONResponse(request.app.openapi(), headers={"Cache-Control": "public, max-age=300"})


def create_api() -> FastAPI:
    """The API as an application of its own, to be mounted at /api/v1."""
    api = FastAPI(
        title="Expression of interest portal",
        version=versioned.VERSION,
        generate_unique_id_function=lambda route: route.name,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    api.include_router(router)
    api.include_router(codes.router)
    api.include_router(exported.router)
    api.include_router(feed.router)
    api.include_router(oauth.router)
    api.add_middleware(manners.Manners, methods=manners.methods_of(api.routes))
    api.add_middleware(Rates)
    api.add_middleware(versioned.Versioned)
    api.add_middleware(packed.Packing)
    problems.install(api)
    api.state.titles, api.state.meanings = problems.TITLES, problems.MEANINGS

    def openapi() -> dict[str, Any]:
        api.openapi_schema = api.openapi_schema or description.describe(api)
        return api.openapi_schema

    api.openapi = openapi  # type: ignore[method-assign]
    return api
