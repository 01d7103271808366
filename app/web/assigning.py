"""/review/people and /review/assignments: who may read what, who reads it, by hand or divided evenly after a look at the plan."""

import uuid
from datetime import date
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from app.deps import Db, PortalDep
from app.domain import assignments, balancing, calls, dossiers, progress, workload
from app.domain.access import Actor
from app.domain.errors import Invalid, NotFound
from app.infra.times import BRUSSELS
from app.models import Call, Person
from app.web import pages
from app.web.guards import Coordinator

router = APIRouter(prefix="/review")


def _chosen(db: Db, code: str) -> tuple[Call | None, list[Call]]:
    """The call that is asked for, else the first that is sealed; and all that are."""
    listed = [call for call in calls.all_calls(db) if call.sealed_at]
    if not code:
        return next(iter(listed), None), listed
    call = calls.by_code(db, code)
    dossiers.require_closed(db, call)
    return call, listed


def day_in(text: str) -> date | None:
    """A day as a date field sends it; None when empty."""
    if not text:
        return None
    try:
        found = date.fromisoformat(text) if len(text) == len("2027-06-20") else None
    except ValueError:
        found = None
    if found is None or not 2000 <= found.year <= 2100:
        raise Invalid
    return found


@router.get("/people")
def people(request: Request, actor: Coordinator, db: Db, portal: PortalDep, call: str = "") -> Response:
    """Who stated what about the dossiers of a call, and how far each reader is."""
    chosen, listed = _chosen(db, call)
    if chosen is None:
        return pages.render(request, "review/empty.html")
    today = portal.now().astimezone(BRUSSELS).date()
    return pages.render(
        request,
        "review/people.html",
        call=chosen,
        listed=listed,
        loads=workload.of(db, actor, chosen, today),
        stated=workload.stated(db, actor, chosen),
    )


@router.get("/assignments")
def index(request: Request, actor: Coordinator, db: Db, call: str = "") -> Response:
    """The dossiers that lack a reader, and what was divided at once today."""
    chosen, listed = _chosen(db, call)
    if chosen is None:
        return pages.render(request, "review/empty.html")
    found = balancing.vacant(db, actor, chosen)
    return pages.render(
        request,
        "review/assignments.html",
        call=chosen,
        listed=listed,
        vacant=found,
        seats=balancing.seats(db, [submission.id for submission, _ in found]),
        people=assignments.staff(db),
        names={p.id: p.name or p.email for p in assignments.staff(db)},
        batches=balancing.batches(db, actor, chosen),
        at_once=balancing.AT_ONCE,
    )


def _people(db: Db, wanted: list[str]) -> list[Person]:
    return [person for person in assignments.staff(db) if str(person.id) in wanted]


@router.get("/assignments/plan")
def preview(request: Request, actor: Coordinator, db: Db, call: str, due_on: str = "") -> Response:
    """Who would read what if the free seats were divided evenly now."""
    chosen, _ = _chosen(db, call)
    if chosen is None:
        raise NotFound
    people = _people(db, request.query_params.getlist("person"))
    return pages.render(
        request,
        "review/plan.html",
        call=chosen,
        people=people,
        plan=balancing.plan(db, actor, chosen, people),
        due_on=day_in(due_on),
    )


@router.post("/assignments")
def apply(form: pages.Form, actor: Coordinator, db: Db, portal: PortalDep) -> Response:
    """Give the seats of the plan that was shown."""
    chosen, _ = _chosen(db, pages.field(form, "call"))
    if chosen is None:
        raise NotFound
    people = _people(db, [str(one) for one in form.getlist("person")])
    day, digest = day_in(pages.field(form, "due_on")), pages.field(form, "digest")
    balancing.apply(db, actor, chosen, people, digest, day, portal.settings.base_url)
    return pages.redirect(f"/review/assignments?call={quote(chosen.code)}")


@router.post("/assignments/undo")
def undo(form: pages.Form, actor: Coordinator, db: Db) -> Response:
    """Take back what was divided at once, where nothing was written yet."""
    try:
        batch = uuid.UUID(pages.field(form, "batch"))
    except ValueError as failure:
        raise NotFound from failure
    call = balancing.undo(db, actor, batch)
    return pages.redirect(f"/review/assignments?call={quote(call.code)}")


@router.get("/{ref}/assignments")
def seats(request: Request, ref: str, actor: Coordinator, db: Db) -> Response:
    """The readers of one dossier, and who could be one."""
    return _seats(request, db, actor, ref)


def _seats(request: Request, db: Db, actor: Actor, ref: str) -> Response:
    submission, version = assignments.find(db, actor, ref)
    questions = calls.questions_of(db, version.definition_digest)
    return pages.render(
        request,
        "review/seats.html",
        submission=submission,
        version=version,
        state=progress.of(db, submission),
        live=assignments.live(db, submission),
        history=assignments.history(db, submission),
        candidates=assignments.candidates(db, actor, submission, version, questions),
        written_in=assignments.language_of(questions, version),
    )


@router.post("/{ref}/assignments")
def assign(ref: str, form: pages.Form, actor: Coordinator, db: Db, portal: PortalDep) -> Response:
    """Give a seat to a person."""
    submission, _ = assignments.find(db, actor, ref)
    assignments.assign(
        db,
        actor,
        submission,
        pages.field(form, "seat"),
        _id(form),
        day_in(pages.field(form, "due_on")),
        pages.field(form, "reason", assignments.REASON_LENGTH),
        portal.settings.base_url,
        pages.field(form, "before"),
    )
    return _back(submission.reference)


def _id(form: FormData) -> uuid.UUID:
    try:
        return uuid.UUID(pages.field(form, "person"))
    except ValueError as failure:
        raise Invalid from failure


def _back(reference: str) -> Response:
    return pages.redirect(f"/review/{quote(reference)}/assignments")


@router.post("/{ref}/assignments/{seat}/end")
def end(ref: str, seat: str, form: pages.Form, actor: Coordinator, db: Db, portal: PortalDep) -> Response:
    """Take a seat away from whoever sits there."""
    submission, _ = assignments.find(db, actor, ref)
    reason = pages.field(form, "reason", assignments.REASON_LENGTH)
    assignments.end(db, actor, submission, seat, reason, portal.settings.base_url)
    return _back(submission.reference)


@router.post("/{ref}/assignments/{seat}/day")
def set_day(ref: str, seat: str, form: pages.Form, actor: Coordinator, db: Db) -> Response:
    """Set another day by which a reader is ready."""
    submission, _ = assignments.find(db, actor, ref)
    assignments.set_day(db, actor, submission, seat, day_in(pages.field(form, "due_on")))
    return _back(submission.reference)
