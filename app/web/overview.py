"""/review/overview: a sealed call in pictures, each with its table and its CSV; before the seal only when it opens."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.deps import Db
from app.domain import audit, calls, dossiers, figures, geography, overview, spreadsheets
from app.domain.errors import NotFound
from app.web import drawing, pages
from app.web.guards import Reviewer

router = APIRouter(prefix="/review")


@router.get("/overview")
def index(request: Request, actor: Reviewer, db: Db, call: str = "") -> Response:
    """The pictures of one call."""
    listed = calls.all_calls(db)
    chosen = calls.by_code(db, call) if call else next(iter(sorted(listed, key=lambda c: c.closes_at)), None)
    if chosen is None:
        return pages.render(request, "review/empty.html")
    questions, found, pictures = calls.questions(chosen), figures.Figures(), []
    if chosen.sealed_at is not None:
        found = figures.of(db, actor, chosen, questions)
        pictures = overview.pictures(questions, found, pages.language_of(request))
        audit.record_call(db, actor, "overview.read", chosen.id)
    return pages.render(
        request,
        "review/overview.html",
        call=chosen,
        state=calls.state(chosen, calls.clock(db)),
        listed=listed,
        questions=questions,
        found=found,
        frame=geography.EUROPE,
        around=geography.around(),
        pictures=[(picture, drawing.picture(picture, pages.language_of(request))) for picture in pictures],
    )


@router.get("/overview/{name}.csv")
def as_csv(request: Request, name: str, actor: Reviewer, db: Db, call: str) -> Response:
    """The table of one picture, for a spreadsheet."""
    chosen = calls.by_code(db, call)
    dossiers.require_closed(db, chosen)
    questions = calls.questions(chosen)
    listed = overview.pictures(questions, figures.of(db, actor, chosen, questions), pages.language_of(request))
    picture = overview.named(listed, name)
    if picture is None:
        raise NotFound
    audit.record_call(db, actor, "overview.read", chosen.id, format="csv")
    made = spreadsheets.table(picture.headings, (picture.cells(row) for row in picture.rows))
    return pages.download(made, "text/csv; charset=utf-8", f"{chosen.code}-{picture.name}.csv")
