"""The application: mounts the pages and the API, holds the error handlers, the security headers and the background work."""

import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from app.api.problems import problem
from app.api.v1 import create_api
from app.background import Background
from app.clerk import Clerk
from app.courier import Courier
from app.deps import Portal
from app.domain import audit
from app.domain.barriers import FileInfected
from app.domain.errors import Invalid, NotFound, Refused, TooLarge, Unavailable, refusal_of
from app.doorman import API, SAFE, Doorman
from app.infra import database
from app.infra.files import Infected
from app.infra.i18n import N_
from app.turnstile import Turnstile
from app.watch import Watchman
from app.web import (
    account,
    activity,
    apply,
    assessing,
    assigning,
    calls,
    clarifications,
    comparison,
    concluding,
    confirmations,
    conflicts,
    deadlines,
    deliveries,
    desk,
    disclosures,
    drafts,
    earlier,
    factors,
    files,
    hearings,
    help,
    interests,
    intermediaries,
    keys,
    ledger,
    letters,
    lookups,
    maintenance,
    manage,
    mine,
    notes,
    overview,
    pages,
    participants,
    partners,
    problems,
    providers,
    receipts,
    refusals,
    register,
    releases,
    retention,
    review,
    site,
    support,
    uploads,
    verify,
    views,
    webhooks,
    worksheets,
)

log = logging.getLogger(__name__)

BROKEN = N_(
    "Something went wrong on our side and was written down. What was saved before is kept. Go back, look whether your "
    "last step was taken in, and try again if it was not; if it happens again, tell the help desk the number below."
)
METHOD = N_("This address does not take that kind of request.")


class Broken(Refused):
    """A fault of ours, shown without its internals."""

    status = 500
    code = "internal_error"
    msgid = BROKEN


class WrongMethod(Refused):
    """A method that the address does not know."""

    status = 405
    code = "method_not_allowed"
    msgid = METHOD


# In this order: where two addresses fit, the first answers.
ROOMS = (
    site,
    calls,
    receipts,
    uploads,
    refusals,
    earlier,
    worksheets,
    clarifications,
    hearings,
    support,
    letters,
    interests,
    intermediaries,
    participants,
    partners,
    confirmations,
    apply,
    drafts,
    mine,
    assigning,
    activity,
    notes,
    assessing,
    concluding,
    conflicts,
    disclosures,
    lookups,
    overview,
    releases,
    files,
    register,
    views,
    comparison,
    review,
    manage,
    maintenance,
    keys,
    webhooks,
    desk,
    deadlines,
    retention,
    deliveries,
    factors,
    providers,
    account,
    verify,
    problems,
    help,
)


def create_app(portal: Portal) -> FastAPI:
    """The whole portal over what `portal` holds open."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, lifespan=_lifespan, redirect_slashes=False)
    app.state.portal = portal
    for room in ROOMS:
        app.router.routes += room.router.routes  # as they are: an included router matches each address twice
    api = create_api()
    api.state.portal = portal
    app.state.api = api
    app.mount("/api/v1", api)
    if pages.STATIC.exists():
        app.mount("/static", StaticFiles(directory=pages.STATIC), name="static")
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(Infected, _infected)
    app.add_exception_handler(DBAPIError, _database_refused)
    app.add_exception_handler(PoolTimeout, _database_refused)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _http)
    app.add_exception_handler(Exception, _broken)
    app.add_middleware(Turnstile, portal=portal)
    app.add_middleware(Doorman, portal=portal, show=_show)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    portal: Portal = app.state.portal
    background, watchman, clerk, courier = Background(portal), Watchman(portal), Clerk(portal), Courier(portal)
    background.start()
    watchman.start()
    courier.start()
    gc.collect()
    gc.freeze()  # what is there for good is not looked through again and again
    clerk.start()
    await portal.bell.start()
    yield
    await portal.bell.stop()
    await run_in_threadpool(courier.stop)
    await run_in_threadpool(clerk.stop)
    await run_in_threadpool(background.stop)
    await run_in_threadpool(watchman.stop)


async def _refused(request: Request, failure: Exception) -> Response:
    """One handler for all refusals: note a refused press on submit in a transaction of its own, then show the page."""
    refusal = failure if isinstance(failure, Refused) else Broken()
    if request.method not in SAFE and not hasattr(request.state, "form"):
        try:  # a guard refused before the form was read: read it now, so that what was typed can be shown
            form = await request.form(max_fields=pages.MAX_FIELDS, max_part_size=pages.MAX_TEXT)
            request.state.form = form
            await form.close()
        except (HTTPException, ClientDisconnect, AssertionError, RuntimeError, Refused):
            log.info("the form of a refused request could not be read")
    return await run_in_threadpool(_show, request, refusal)


def _show(request: Request, refusal: Refused) -> Response:
    noted = ledger.note(request, refusal)
    # a page of ours asks by script, and keeps what was typed
    if request.headers.get("accept") == "application/json" or request.scope["path"].startswith(API):
        return problem(refusal)
    return pages.refused(request, refusal, **noted)


async def _gone(request: Request, failure: Exception) -> Response:
    """Whoever sent a form left before it was whole: nothing was done, and nobody waits for an answer."""
    log.info("the sender of a form left before it was whole")
    return Response(status_code=400)


async def _infected(request: Request, failure: Exception) -> Response:
    return await _refused(request, FileInfected())


async def _database_refused(request: Request, failure: Exception) -> Response:
    refusal = refusal_of(failure) if isinstance(failure, DBAPIError) else None
    if refusal is not None:
        return await _refused(request, refusal)
    if isinstance(failure, PoolTimeout) or database.is_away(failure):
        portal: Portal = request.app.state.portal
        portal.watch.see(portal.now(), {"database" if database.is_away(failure) else "connections": False})
        log.warning("request %s found no database: %s", audit.request_id.get(), failure)
        return await _refused(request, Unavailable())
    return await _broken(request, failure)


async def _http(request: Request, failure: Exception) -> Response:
    status = failure.status_code if isinstance(failure, HTTPException) else 422
    kinds: dict[int, type[Refused]] = {404: NotFound, 405: WrongMethod, 413: TooLarge}
    refusal = kinds.get(status, Invalid)()
    if request.scope["path"].startswith(API):  # an address that does not even reach the API, as one with a line end
        return problem(refusal)
    return await _refused(request, refusal)


async def _broken(request: Request, failure: Exception) -> Response:
    number = audit.request_id.get() or ""
    log.error("request %s failed", number, exc_info=failure)
    return await _refused(request, Broken())
