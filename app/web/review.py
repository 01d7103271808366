"""/review: before the cutoff counts, after it the register and the dossiers; every read is on record."""

import io
from collections.abc import Iterator
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from app.deps import Db, PortalDep
from app.domain import (
    audit,
    calls,
    changes,
    clarifications,
    dossiers,
    exports,
    geography,
    identifiers,
    lookups,
    portrait,
    prints,
    questionnaire,
    register,
    releases,
    withdrawals,
)
from app.infra import pdf, times
from app.models import Call, Version
from app.web import drawing, pages
from app.web.guards import Reviewer

router = APIRouter(prefix="/review")

ROWS = 50
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@router.get("")
def index(request: Request, actor: Reviewer, db: Db, call: str = "") -> Response:
    """One call: counts only until it is sealed, its register from then on."""
    listed = calls.all_calls(db)
    chosen = calls.by_code(db, call) if call else next(iter(sorted(listed, key=lambda c: c.closes_at)), None)
    if chosen is None:
        return pages.render(request, "review/empty.html")
    state = calls.state(chosen, calls.clock(db))
    shared: dict[str, Any] = {"call": chosen, "state": state, "listed": listed, "questions": calls.questions(chosen)}
    if chosen.sealed_at is None:
        return pages.render(request, "review/counts.html", counts=calls.counts(db, chosen), **shared)
    query = _query(request)
    after, before = (request.query_params.get(way, "").replace("\x00", "") or None for way in ("after", "before"))
    found = register.page(db, actor, chosen, query, ROWS, after, before)
    audit.record_call(db, actor, "register.read", chosen.id, rows=len(found.rows))
    return pages.render(
        request,
        "review/register.html",
        columns=register.columns(calls.questions(chosen)),
        page=found,
        query=query,
        totals=register.totals(db, actor, chosen, query),
        facets=register.facets(db, actor, chosen),
        exceptional=register.exceptional(db, actor, chosen),
        countries=identifiers.country_names(pages.language_of(request)),
        link=lambda **changes: _link(chosen, query, **changes),
        cell=lambda column, value: _cell(request, column, value),
        **shared,
    )


def _query(request: Request) -> register.Query:
    """What stands in the address; anything that is not understood is left out."""
    given = request.query_params
    flags = {"yes": True, "no": False}
    return register.Query(
        search=given.get("search", "")[: register.SEARCH_LENGTH].replace("\x00", ""),
        kinds=tuple(k for k in given.getlist("kind") if k in ("MS", "FC", "OO")),
        countries=tuple(c for c in given.getlist("country") if len(c) == 2 and c.isascii() and c.isalpha()),
        has_warnings=flags.get(given.get("warnings", "")),
        is_withdrawn=flags.get(given.get("withdrawn", "")),
        sort=given.get("sort", "received_at"),
        descending=given.get("order", "desc") != "asc",
    )


def _link(call: Call, query: register.Query, **changed: Any) -> str:
    """The address of the same list with something changed; paging starts anew unless it is what changed."""
    words = {True: "yes", False: "no"}
    values: dict[str, Any] = {
        "call": call.code,
        "search": query.search,
        "kind": list(query.kinds),
        "country": list(query.countries),
        "warnings": "" if query.has_warnings is None else words[query.has_warnings],
        "withdrawn": "" if query.is_withdrawn is None else words[query.is_withdrawn],
        "sort": query.sort,
        "order": "desc" if query.descending else "asc",
        **changed,
    }
    path = values.pop("path", "/review")
    return f"{path}?{urlencode({k: v for k, v in values.items() if v}, doseq=True)}"


def _cell(request: Request, column: register.Column, value: Any) -> str:
    """A register value as a person reads it."""
    language = pages.language_of(request)
    if value is None:
        return "–"
    if column.kind == "instant":
        return times.brussels(value, language)
    if isinstance(value, bool):
        return str(exports.cell("yes_no", value, language))
    if column.kind in ("money", "decimal", "percent", "integer", "country"):
        return questionnaire.show_value(column.kind, value, language)
    return str(value)


@router.get("/register.csv")
def as_csv(request: Request, actor: Reviewer, db: Db, portal: PortalDep, call: str) -> Response:
    """The register as shown, all pages, for a spreadsheet."""
    chosen = calls.by_code(db, call)
    dossiers.require_closed(db, chosen)
    exports.record(db, actor, chosen, "csv")
    query, language = _query(request), pages.language_of(request)

    def lines() -> Iterator[bytes]:
        with portal.sessions.begin() as own:
            yield from exports.csv_lines(own, actor, calls.by_code(own, call), query, language)

    headers = pages.sandbox(f"{chosen.code}.csv")
    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/register.xlsx")
def as_xlsx(request: Request, actor: Reviewer, db: Db, call: str) -> Response:
    """The register as shown, all pages, as a workbook."""
    chosen = calls.by_code(db, call)
    dossiers.require_closed(db, chosen)
    exports.record(db, actor, chosen, "xlsx")
    out = io.BytesIO()
    exports.xlsx(db, actor, chosen, _query(request), pages.language_of(request), out)
    return pages.download(out.getvalue(), XLSX, f"{chosen.code}.xlsx")


@router.get("/{ref}")
def dossier(
    request: Request,
    ref: str,
    actor: Reviewer,
    db: Db,
    portal: PortalDep,
    version: Annotated[int | None, Query(ge=1, le=pages.MAX_VERSION)] = None,
) -> Response:
    """A dossier by the headings of Art. 12b(19), with warnings, files, versions and receipt."""
    submission, shown = dossiers.load(db, actor, ref, version)
    questions = calls.questions_of(db, shown.definition_digest)
    every = dossiers.all_versions(db, actor, submission)
    rows = list(questionnaire.walk(questions, shown.kind, shown.answers | _files(shown)))
    earlier = next((v for v in every if v.number == shown.number - 1), None)
    differing = []
    if earlier is not None and earlier.definition_digest == shown.definition_digest:
        differing = changes.between(
            questions, shown.kind, earlier.answers | _files(earlier), shown.answers | _files(shown)
        )
    return pages.render(
        request,
        "review/dossier.html",
        submission=submission,
        version=shown,
        questions=questions,
        rows=rows,
        marked=dossiers.marked_steps(questions, shown),
        warnings=dossiers.warnings(questions, shown),
        versions=every,
        counts=dossiers.last_number(db, submission),
        differing=differing,
        withdrawal=withdrawals.live(db, submission),
        said=shown.receipt.body,
        outlines=geography.members(),
        around=geography.around(),
        drawn=drawing.dossier(portrait.of(questions, shown.answers), pages.language_of(request)),
        topics=calls.questions(submission.call),
        asked=clarifications.with_states(db, submission),
        became=releases.row_of(db, actor, submission),
        entities=lookups.of_version(db, questions, shown),
        asks=[register for register in lookups.SHOWN if portal.registers.asks(register)],
    )


def _files(version: Version) -> dict[str, Any]:
    found: dict[str, list[dict[str, Any]]] = {}
    for file in version.files:
        found.setdefault(file["question"], []).append(file)
    return found


@router.get("/{ref}/dossier.pdf")
def as_pdf(request: Request, ref: str, actor: Reviewer, db: Db, version: int | None = None) -> Response:
    """The whole dossier on paper."""
    submission, shown = dossiers.load(db, actor, ref, version)
    questions, language = calls.questions_of(db, shown.definition_digest), pages.language_of(request)
    warnings = [
        [(w["message"] or {}).get(language) or w["code"], w["reason"] or "–"]
        for w in dossiers.warnings(questions, shown)
    ]
    data = prints.dossier(shown, questions, warnings, dossiers.marked_steps(questions, shown), language)
    data["clarifications"] = [
        prints.clarification(one, calls.questions(submission.call), stands, language)
        for one, stands in clarifications.with_states(db, submission)
    ]
    made = pdf.render("dossier", data, shown.received_at)
    return pages.download(made, "application/pdf", f"{submission.reference}-v{shown.number}.pdf")
