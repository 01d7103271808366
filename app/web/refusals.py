"""/apply/{ref}/refusals: the signed refusal of a late submit, as a page and as JSON, for the one who tried."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.deps import Db
from app.domain import attempts, calls, refusals, statements, submissions
from app.web import pages
from app.web.guards import Applicant

router = APIRouter(prefix="/apply/{ref}/refusals")


@router.get("/{attempt}.json")
def as_json(ref: str, attempt: str, actor: Applicant, db: Db) -> Response:
    """The signed refusal, as `python -m app verify` checks it."""
    case = submissions.load(db, actor, ref)
    found = attempts.refusal(db, case, attempt, actor.person_id)
    made = statements.canonical(statements.document(found.body, found.jws))
    return pages.download(made, "application/json", f"{case.reference}-refusal-{found.body['attempt']}.json")


@router.get("/{attempt}/typed.json")
def typed(ref: str, attempt: str, actor: Applicant, db: Db) -> Response:
    """What had been typed, byte for byte as the refusal names it by its SHA-256."""
    case = submissions.load(db, actor, ref)
    found = attempts.refusal(db, case, attempt, actor.person_id)
    return pages.download(
        refusals.typed_bytes(db, case, found),
        "application/json",
        f"{case.reference}-typed-{found.body['attempt']}.json",
    )


@router.get("/{attempt}")
def show(request: Request, ref: str, attempt: str, actor: Applicant, db: Db) -> Response:
    """The refusal as a page."""
    case = submissions.load(db, actor, ref)
    found = attempts.refusal(db, case, attempt, actor.person_id)
    state = calls.state(case.call, calls.clock(db))
    return pages.render(request, "apply/refusal.html", case=case, state=state, said=found.body)
