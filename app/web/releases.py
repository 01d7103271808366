"""/review/release: what may go to EuroHPC, what went, what stays and why; letting go, and taking back with a reason."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.deps import Db, PortalDep
from app.domain import audit, calls, dossiers, releases
from app.domain.errors import Invalid
from app.web import pages
from app.web.guards import Coordinator, CoordinatorAnew

router = APIRouter(prefix="/review")

MOST = 500  # dossiers named in one go
Refs = Annotated[list[str] | None, Query()]


@router.get("/release")
def ask(
    request: Request,
    actor: Coordinator,
    db: Db,
    call: str = "",
    ref: Refs = None,
    state: str = "",
    after: str = "",
    all: str = "",
) -> Response:
    """With `ref` (repeated) what would become of those dossiers; with `all` of the call's; else the call's list."""
    if ref:
        return _preview(request, actor, db, pages.named(ref, MOST))
    listed = calls.all_calls(db)
    closed = [one for one in listed if one.sealed_at]
    chosen = calls.by_code(db, call) if call else next(iter(closed), None)
    if chosen is None:
        return pages.render(request, "review/release_none.html")
    dossiers.require_closed(db, chosen)
    state = state if state in releases.STATES else ""
    found = releases.listed(db, actor, chosen, "ready" if all else state, after.replace("\x00", "")[:20])
    audit.record_call(db, actor, "register.read", chosen.id, rows=len(found.rows))
    return pages.render(
        request,
        "review/release_all.html" if all else "review/release.html",
        call=chosen,
        listed=closed,
        questions=calls.questions(chosen),
        counts=releases.counts(db, actor, chosen),
        found=found,
        state=state,
        concluded=releases.conclusion(db, chosen),
    )


def _preview(request: Request, actor: Coordinator, db: Db, given: list[str]) -> Response:
    rows, unknown = releases.chosen(db, actor, given)
    for call_id in {row.submission.call_id for row in rows}:
        audit.record_call(db, actor, "register.read", call_id, rows=len(rows))
    return pages.render(
        request,
        "review/release_some.html",
        going=[row for row in rows if row.state in releases.MAY_GO],
        gone=[row for row in rows if row.state == "released"],
        staying=[row for row in rows if row.state not in (*releases.MAY_GO, "released")],
        unknown=unknown,
        call=rows[0].submission.call if rows else None,
    )


@router.post("/release")
def let_go(form: pages.Form, actor: CoordinatorAnew, db: Db, portal: PortalDep) -> Response:
    """Give the dossiers named, or all consented ones of a call that never went, to EuroHPC."""
    base_url = portal.settings.base_url
    given = pages.named(pages.fields(form, "ref"), MOST)
    if given:
        releases.release_some(db, actor, given, base_url)
        return pages.redirect(f"/review/release?{pages.query(ref=given)}")
    if pages.field(form, "all") != "yes":
        raise Invalid
    call = calls.by_code(db, pages.field(form, "call", 100))
    releases.release_all(db, actor, call, base_url)
    return pages.redirect(f"/review/release?{pages.query(call=call.code, state='released')}")


@router.post("/release/recall")
def recall(form: pages.Form, actor: CoordinatorAnew, db: Db, portal: PortalDep) -> Response:
    """Take the dossiers named back, with a reason."""
    given = pages.named(pages.fields(form, "ref"), MOST)
    reason = pages.field(form, "reason", releases.REASON_LENGTH)
    releases.take_back(db, actor, given, reason, portal.settings.base_url)
    return pages.redirect(f"/review/release?{pages.query(ref=given)}")


@router.post("/release/conclusion")
def conclude(form: pages.Form, actor: CoordinatorAnew, db: Db) -> Response:
    """Say that RVO has finished with a call."""
    call = calls.by_code(db, pages.field(form, "call", 100))
    releases.conclude(db, actor, call)
    return pages.redirect(f"/review/release?{pages.query(call=call.code)}")


@router.post("/{ref}/releases")
def let_one_go(ref: str, form: pages.Form, actor: CoordinatorAnew, db: Db, portal: PortalDep) -> Response:
    """Give one dossier to EuroHPC, from its own page."""
    submission, _ = dossiers.load(db, actor, ref)
    releases.release(db, actor, submission, portal.settings.base_url)
    return pages.redirect(f"/review/{submission.reference}#release")


@router.post("/{ref}/recall")
def recall_one(ref: str, form: pages.Form, actor: CoordinatorAnew, db: Db, portal: PortalDep) -> Response:
    """Take one dossier back, from its own page."""
    submission, _ = dossiers.load(db, actor, ref)
    reason = pages.field(form, "reason", releases.REASON_LENGTH)
    releases.take_back(db, actor, [submission.reference], reason, portal.settings.base_url)
    return pages.redirect(f"/review/{submission.reference}#release")
