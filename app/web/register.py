"""/review: before the seal counts, after it the register as page, CSV, XLSX and PDF; every read is on record."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from app.deps import Db, PortalDep
from app.domain import audit, calls, columns, dossiers, entries, exports, register, searches, spreadsheets, views
from app.domain.columns import ANSWER, Column
from app.domain.errors import NotFound
from app.domain.questionnaire import Questionnaire
from app.domain.register import Query
from app.infra import pdf
from app.models import Call
from app.web import lines, pages
from app.web.guards import Reviewer

router = APIRouter(prefix="/review")

ROWS = 50
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MOST_VALUES, VALUE_LENGTH = 100, 100
EVERY = "*"  # as the choice of columns: all there are


@dataclass(frozen=True)
class Asked:
    """What stands in the address: the query, the columns chosen and their names (none: those of the register)."""

    call: Call
    query: Query
    shown: tuple[Column, ...]
    names: tuple[str, ...]

    def link(self, path: str = "/review", **changed: Any) -> str:
        """The address of the same list with something changed; paging starts anew unless it is what changed."""
        return f"{path}?{self.words(call=self.call.code, **changed)}"

    def words(self, **changed: Any) -> str:
        """What stands behind the question mark, but for the call."""
        order = {"sort": self.query.sort, "order": "desc" if self.query.descending else "asc"}
        first = {"call": changed.pop("call")} if "call" in changed else {}
        names = {"column": changed.pop("column")} if "column" in changed else {}
        filtered = _encoded(self._filters | names) if names else self._filtered
        return "&".join(filter(None, (_encoded(first), filtered, _encoded(order | changed))))

    @cached_property
    def _filters(self) -> dict[str, Any]:
        return {"search": self.query.search, **self.query.chosen, "column": self.names}

    @cached_property
    def _filtered(self) -> str:
        """What each of the many addresses on a page has in common."""
        return _encoded(self._filters)

    @property
    def listed(self) -> tuple[str, ...]:
        """The names of all columns shown."""
        return self.names or tuple(column.name for column in self.shown)

    @property
    def kept(self) -> list[tuple[str, str]]:
        """The same as the hidden fields of a form that changes the columns."""
        pairs = [("call", self.call.code), ("search", self.query.search), ("sort", self.query.sort)]
        pairs += [(name, value) for name, values in self.query.chosen.items() for value in values]
        return [*pairs, ("order", "desc" if self.query.descending else "asc")]


def _encoded(values: dict[str, Any]) -> str:
    return urlencode({name: value for name, value in values.items() if value not in ("", None, ())}, doseq=True)


@router.get("")
def index(request: Request, actor: Reviewer, db: Db, call: str = "") -> Response:
    """One call: counts only until it is sealed, its register from then on."""
    listed = calls.all_calls(db)
    first = next(iter(sorted(listed, key=lambda c: c.closes_at)), None)
    chosen = next((c for c in listed if c.code == call), None) if call else first
    if call and chosen is None:
        raise NotFound
    if chosen is None:
        return pages.render(request, "review/empty.html")
    shared: dict[str, Any] = {"call": chosen, "listed": listed, "questions": calls.questions(chosen)}
    if chosen.sealed_at is None:
        state = calls.state(chosen, calls.clock(db))
        return pages.render(request, "review/counts.html", counts=calls.counts(db, chosen), state=state, **shared)
    listing = entries.require_prepared(db, chosen)
    asked, questions = _asked(request, chosen), shared["questions"]
    narrowed = register.narrow(db, actor, chosen, asked.query, listing)
    after, before = (_sound(request.query_params.get(way, "")) or None for way in ("after", "before"))
    shown = asked.shown + ((searches.excerpt_column(asked.query.search),) if asked.query.search.strip() else ())
    found = register.page(db, actor, chosen, asked.query, ROWS, after, before, shown, narrowed)
    audit.record_call(db, actor, "register.read", chosen.id, rows=len(found.rows))
    language = pages.language_of(request)
    return pages.render(
        request,
        "review/register.html",
        asked=asked,
        heads=_heads(asked, language),
        rows=lines.rows(questions, asked.shown, found.rows, language),
        page=found,
        totals=_totals(questions, register.totals(db, actor, chosen, asked.query, narrowed), language),
        panel=lines.panel(questions, asked.query, register.counts(narrowed), language),
        exceptional=register.exceptional(db, actor, chosen),
        views=views.listed(db, actor, chosen),
        most=register.LIMIT,
        **shared,
    )


@router.get("/columns")
def choose(request: Request, actor: Reviewer, db: Db, call: str) -> Response:
    """Choose the columns of the register, answers among them, and keep what was filtered."""
    chosen = calls.by_code(db, call)
    dossiers.require_closed(db, chosen)
    questions = calls.questions(chosen)
    answers = {column.name: column for column in columns.answer_columns(questions)}
    steps = [(s.title, [answers[n] for q in s.questions if (n := ANSWER + q.name) in answers]) for s in questions.steps]
    return pages.render(
        request,
        "review/columns.html",
        asked=_asked(request, chosen),
        call=chosen,
        groups=[(None, columns.columns(questions)), *((title, found) for title, found in steps if found)],
    )


def _asked(request: Request, call: Call) -> Asked:
    """What stands in the address; anything that is not understood is left out."""
    given, questions = request.query_params, calls.questions(call)
    chosen = {}
    for facet in columns.facets(questions):
        values = (v.replace("\x00", "")[:VALUE_LENGTH] for v in given.getlist(facet.name) if v)
        if found := tuple(dict.fromkeys(v for v in values if _is_sound(v)))[:MOST_VALUES]:
            chosen[facet.name] = found
    every = spreadsheets.every_column(questions)
    wanted = set(given.getlist("column"))
    picked = tuple(column for column in every if column.name in wanted or EVERY in wanted)
    if picked and picked[0].name != "reference":
        picked = (every[0], *picked)
    query = Query(
        search=_sound(given.get("search", ""))[: searches.LENGTH],
        chosen=chosen,
        sort=given.get("sort", "") if given.get("sort") in {c.name for c in every if c.is_sorted} else "received_at",
        descending=given.get("order", "desc") != "asc",
    )
    names = (EVERY,) if EVERY in wanted else tuple(column.name for column in picked)
    return Asked(call, query, picked or columns.columns(questions), names)


def _sound(text: str) -> str:
    """Without what the database cannot take."""
    return "".join(c for c in text if _is_sound(c) and c != "\x00")[:1000]


def _is_sound(text: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" for c in text)


def _heads(asked: Asked, language: str) -> list[tuple[str, str | None, str | None]]:
    """Each column's heading, the address that sorts by it (or turns the order), and how it is sorted now."""
    found: list[tuple[str, str | None, str | None]] = []
    start = asked.link(sort="", order="")
    for column in asked.shown:
        is_by = asked.query.sort == column.name
        now = ("descending" if asked.query.descending else "ascending") if is_by else None
        order = "asc" if is_by and asked.query.descending else "desc"
        link = f"{start}&sort={quote(column.name)}&order={order}" if column.is_sorted else None
        found.append((column.heading(language), link, now))
    return found


def _totals(questions: Questionnaire, totals: register.Totals, language: str) -> dict[str, Any]:
    named = {column.name: column for column in columns.columns(questions)}
    sums = [
        (named[name].heading(language), columns.show(questions, named[name], total, language))
        for name, total in totals.sums.items()
    ]
    return {"count": totals.count, "is_more": totals.is_more, "sums": sums}


@router.get("/register.csv")
def as_csv(request: Request, actor: Reviewer, db: Db, portal: PortalDep, call: str) -> Response:
    """The register as shown, all pages, for a spreadsheet; without a choice of columns with all answers."""
    asked, language = _exported(request, actor, db, call, "csv"), pages.language_of(request)

    def lines() -> Iterator[bytes]:
        with portal.sessions.begin() as own:
            there = calls.by_code(own, call)
            yield from spreadsheets.csv_lines(
                own, actor, there, asked.query, language, asked.shown if asked.names else ()
            )

    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8", headers=pages.sandbox(f"{call}.csv"))


@router.get("/register.xlsx")
def as_xlsx(request: Request, actor: Reviewer, db: Db, call: str) -> Response:
    """The register as shown, all pages, as a workbook; without a choice of columns with all answers."""
    asked, out = _exported(request, actor, db, call, "xlsx"), io.BytesIO()
    shown = asked.shown if asked.names else ()
    spreadsheets.xlsx(db, actor, asked.call, asked.query, pages.language_of(request), out, shown)
    return pages.download(out.getvalue(), XLSX, f"{call}.xlsx")


@router.get("/register.pdf")
def as_pdf(request: Request, actor: Reviewer, db: Db, call: str) -> Response:
    """The register as shown, on paper, where it is not too long for that."""
    asked, language = _exported(request, actor, db, call, "pdf"), pages.language_of(request)
    data = spreadsheets.on_paper(db, actor, asked.call, asked.query, asked.shown, language)
    made = pdf.render("listing", data, calls.clock(db))
    return pages.download(made, "application/pdf", f"{call}.pdf")


def _exported(request: Request, actor: Reviewer, db: Db, call: str, format: str) -> Asked:
    chosen = calls.by_code(db, call)
    dossiers.require_closed(db, chosen)
    entries.require_prepared(db, chosen)
    asked = _asked(request, chosen)
    exports.record(db, actor, chosen, format, query=asked.words())
    return asked
