"""/review/{ref}/checklist, /scores and /reconciliation: what each reader finds by themselves, then what both come to."""

from decimal import Decimal
from typing import Any
from urllib.parse import quote

from babel.numbers import format_decimal
from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from app.deps import Db, PortalDep
from app.domain import agenda, assignments, calls, checklists, dossiers, reconciliations, scans, scores, signoffs
from app.domain.access import Actor
from app.domain.yardsticks import Criterion
from app.infra.i18n import Message
from app.models import Submission, Version
from app.web import contents, pages
from app.web.guards import Coordinator, Reviewer

router = APIRouter(prefix="/review")
Typed = dict[str, tuple[str, str]]


def _shared(db: Db, actor: Actor, submission: Submission, version: Version) -> dict[str, Any]:
    """What the head of each of these pages needs."""
    questions = calls.questions_of(db, version.definition_digest)
    return {
        "submission": submission,
        "version": version,
        "questions": questions,
        "signed": signoffs.live(db, submission),
        "live": assignments.live(db, submission),
        "next_step": agenda.next_step(db, actor, submission, version),
    }


@router.get("/{ref}/checklist")
def checklist(request: Request, ref: str, actor: Reviewer, db: Db, portal: PortalDep) -> Response:
    """What the rules say of each line, by which answers, and what readers said."""
    submission, version = dossiers.load(db, actor, ref)
    shared = _shared(db, actor, submission, version)
    judged = checklists.judge(db, shared["questions"], submission, version)
    return pages.render(
        request,
        "review/checklist.html",
        judged=judged,
        held=scans.held_back(db, contents.digests(version), portal.scanner is not None),
        said={verdict: [one.line for one in judged if one.counts == verdict] for verdict in checklists.VERDICTS},
        may_say=checklists.may_say(db, actor, submission) and shared["signed"] is None,
        **shared,
    )


@router.post("/{ref}/checklist")
def say(ref: str, form: pages.Form, actor: Reviewer, db: Db) -> Response:
    """Say something of a line, with a reason."""
    submission, version = dossiers.load(db, actor, ref)
    questions = calls.questions_of(db, version.definition_digest)
    line, verdict, reason = (pages.field(form, name) for name in ("line", "verdict", "reason"))
    checklists.say(db, actor, submission, version, questions, line, verdict, reason)
    return pages.redirect(f"/review/{quote(submission.reference)}/checklist#{quote(line)}")


def _criteria(db: Db, version: Version) -> tuple[Criterion, ...]:
    return calls.questions_of(db, version.definition_digest).review.criteria_for(version.kind)


def _read(
    form: FormData, criteria: tuple[Criterion, ...]
) -> tuple[dict[str, tuple[Decimal | None, str]], dict[str, Message]]:
    """Points and arguments by criterion as typed, and what cannot be read, by the id of its field."""
    read: dict[str, tuple[Decimal | None, str]] = {}
    problems: dict[str, Message] = {}
    for criterion in criteria:
        name, points = criterion.name, None
        try:
            points = scores.points_of(pages.field(form, f"points-{name}", 20), criterion.most)
        except ValueError as failure:
            problems[f"points-{name}"] = failure.args[0]
        read[name] = (points, pages.field(form, f"argument-{name}", scores.ARGUMENT_LENGTH))
    return read, problems


def _typed(form: FormData, criteria: tuple[Criterion, ...]) -> Typed:
    return {c.name: (pages.field(form, f"points-{c.name}"), pages.field(form, f"argument-{c.name}")) for c in criteria}


@router.get("/{ref}/scores")
def own_scores(request: Request, ref: str, actor: Reviewer, db: Db, saved: str = "") -> Response:
    """A reader's own scores; others see no more than whether they are in."""
    submission, version = dossiers.load(db, actor, ref)
    return _scores(request, db, actor, submission, version, saved=bool(saved))


def _scores(
    request: Request,
    db: Db,
    actor: Actor,
    submission: Submission,
    version: Version,
    typed: Typed | None = None,
    problems: dict[str, Message] | None = None,
    saved: bool = False,
) -> Response:
    mine, criteria, language = scores.own(db, actor, submission), _criteria(db, version), pages.language_of(request)
    kept = {
        name: (_plain(score.points, language), score.argument) for name, score in (mine.scores if mine else {}).items()
    }
    return pages.render(
        request,
        "review/scores.html",
        status=422 if problems else 200,
        mine=mine,
        criteria=criteria,
        typed=kept | (typed or {}),
        problems=problems or {},
        total=scores.total(criteria, mine.points) if mine else None,
        handed_in=scores.handed_in(db, submission),
        returned=scores.returned(db, mine.assignment.id) if mine else None,
        saved=saved,
        **_shared(db, actor, submission, version),
    )


def _plain(points: Decimal | None, language: str) -> str:
    """Points as the reader writes them, without zeros that say nothing."""
    return "" if points is None else str(format_decimal(points.normalize(), locale=language))


@router.post("/{ref}/scores")
def save(request: Request, ref: str, form: pages.Form, actor: Reviewer, db: Db) -> Response:
    """Save one's scores, and hand them in if asked to and complete."""
    submission, version = dossiers.load(db, actor, ref)
    criteria = _criteria(db, version)
    read, problems = _read(form, criteria)
    mine = scores.save(db, actor, submission, read)
    wants_in = pages.field(form, "action") == "hand_in"
    if wants_in:
        problems = scores.missing(criteria, mine) | problems
    if problems:
        db.flush()
        return _scores(request, db, actor, submission, version, _typed(form, criteria), problems)
    here = f"/review/{quote(submission.reference)}"
    if not wants_in:
        return pages.redirect(f"{here}/scores?saved=yes")
    scores.hand_in(db, actor, submission, criteria)
    return pages.redirect(f"{here}/work")


@router.post("/{ref}/scores/return")
def give_back(ref: str, form: pages.Form, actor: Coordinator, db: Db, portal: PortalDep) -> Response:
    """Return a reader's scores so that they can change them."""
    submission, _ = dossiers.load(db, actor, ref)
    seat, reason = pages.field(form, "seat"), pages.field(form, "reason")
    scores.give_back(db, actor, submission, seat, reason, portal.settings.base_url)
    return pages.redirect(f"/review/{quote(submission.reference)}/work")


@router.get("/{ref}/reconciliation")
def reconciliation(request: Request, ref: str, actor: Reviewer, db: Db) -> Response:
    """Both readers side by side once both are in, and what they come to."""
    submission, version = dossiers.load(db, actor, ref)
    return _reconciliation(request, db, actor, submission, version)


def _reconciliation(
    request: Request,
    db: Db,
    actor: Actor,
    submission: Submission,
    version: Version,
    typed: Typed | None = None,
    problems: dict[str, Message] | None = None,
) -> Response:
    shared, criteria = _shared(db, actor, submission, version), _criteria(db, version)
    sheets, written = scores.both(db, submission), reconciliations.last(db, submission)
    table = reconciliations.rows(criteria, sheets)
    return pages.render(
        request,
        "review/reconciliation.html",
        status=422 if problems else 200,
        rows=table,
        sheets=sheets,
        totals={seat: scores.total(criteria, sheet.points) for seat, sheet in sheets.items()},
        written=written,
        lines={line["criterion"]: line | {"points": Decimal(line["points"])} for line in written.lines}
        if written
        else {},
        typed=typed or _proposed(table, written.lines if written else [], pages.language_of(request)),
        problems=problems or {},
        handed_in=scores.handed_in(db, submission),
        may_write=reconciliations.may_write(db, actor, submission) and shared["signed"] is None,
        may_agree=reconciliations.may_agree(db, actor, submission, written) and shared["signed"] is None,
        **shared,
    )


def _proposed(table: list[reconciliations.Row], lines: list[dict[str, Any]], language: str) -> Typed:
    """What the form begins with: what was written last, else the points on which both readers agree."""
    found: Typed = {line["criterion"]: (_plain(Decimal(line["points"]), language), line["argument"]) for line in lines}
    for row in table:
        if row.first and row.second and row.difference == 0:
            found.setdefault(row.criterion.name, (_plain(row.first.points, language), ""))
    return found


@router.post("/{ref}/reconciliation")
def reconcile(request: Request, ref: str, form: pages.Form, actor: Reviewer, db: Db) -> Response:
    """Write down what both come to."""
    submission, version = dossiers.load(db, actor, ref)
    criteria = _criteria(db, version)
    read, problems = _read(form, criteria)
    table = reconciliations.rows(criteria, scores.both(db, submission))
    problems = reconciliations.missing(table, read) | problems
    if problems and table and reconciliations.may_write(db, actor, submission):
        return _reconciliation(request, db, actor, submission, version, _typed(form, criteria), problems)
    reconciliations.write(db, actor, submission, criteria, read)
    return pages.redirect(f"/review/{quote(submission.reference)}/reconciliation")


@router.post("/{ref}/agreement")
def agree(ref: str, form: pages.Form, actor: Reviewer, db: Db) -> Response:
    """Agree to the reconciled scores."""
    submission, _ = dossiers.load(db, actor, ref)
    reconciliations.agree(db, actor, submission, pages.field(form, "seen"))
    return pages.redirect(f"/review/{quote(submission.reference)}/work")
