"""/review/disclosures: requests under the open-government act, from the letter to the set that is produced."""

import uuid
from datetime import date
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request
from starlette.datastructures import FormData
from starlette.responses import FileResponse, Response

from app.deps import Db, PortalDep
from app.domain import (
    calls,
    decisions,
    disclosures,
    hearings,
    identifiers,
    redaction,
    register,
    searches,
    statements,
)
from app.domain.access import Actor
from app.domain.disclosures import Item
from app.domain.errors import Invalid
from app.domain.redaction import Sections
from app.infra import pdf
from app.models import Disclosure
from app.web import pages
from app.web.guards import Coordinator, CoordinatorAnew

router = APIRouter(prefix="/review/disclosures")
Number = Annotated[int, Path(ge=1, le=2**31)]


@router.get("")
def index(request: Request, actor: Coordinator, db: Db) -> Response:
    """Every request, and a form to register one."""
    return _index(request, db)


def _index(request: Request, db: Db, picked: list[str] | None = None, typed: dict[str, Any] | None = None) -> Response:
    return pages.render(
        request,
        "disclosures/index.html",
        422 if typed else 200,
        listed=disclosures.all_requests(db),
        sealed=[call for call in calls.all_calls(db) if call.sealed_at],
        picked=picked or [],
        typed=typed or {},
    )


@router.post("")
def register_request(request: Request, form: pages.Form, actor: Coordinator, db: Db) -> Response:
    """Register a request, with the dossiers that were ticked in the register."""
    title, day = pages.field(form, "title", disclosures.TITLE_LENGTH), _day(form)
    picked = _picked(form)
    if not title or day is None:
        return _index(request, db, picked, dict(pages.typed(form)))
    call = calls.by_code(db, pages.field(form, "call", 100))
    if call.sealed_at is None:
        raise Invalid
    made = disclosures.start(db, actor, call, title, day)
    disclosures.add(db, actor, made, picked)
    return pages.redirect(f"/review/disclosures/{made.number}")


def _day(form: FormData) -> date | None:
    day, month, year = (pages.field(form, f"received-{part}", 10) for part in ("day", "month", "year"))
    try:
        found = date(int(year), int(month), int(day))
    except (ValueError, OverflowError):
        return None
    return found if 2000 <= found.year <= 2200 else None


def _picked(form: FormData) -> list[str]:
    """The references that were ticked, or typed one a line."""
    ticked = [value for value in form.getlist("ref") if isinstance(value, str)]
    typed = pages.field(form, "references", 20_000).replace(",", "\n").split("\n")
    return [text.strip()[:40] for text in (*ticked, *typed) if text.strip()][: disclosures.MOST]


@router.get("/selection")
def select(request: Request, actor: Coordinator, db: Db, ref: Annotated[list[str] | None, Query()] = None) -> Response:
    """What was ticked in the register: for which request?"""
    return _index(request, db, [text.replace("\x00", "")[:40] for text in ref or []][: disclosures.MOST])


@router.get("/{disclosure}")
def show(request: Request, disclosure: Number, actor: Coordinator, db: Db) -> Response:
    """One request: its dates, its dossiers and how far each is, what was produced."""
    return _show(request, db, actor, disclosures.load(db, actor, disclosure))


def _show(request: Request, db: Db, actor: Actor, found: Disclosure, missing: list[str] | None = None) -> Response:
    names = identifiers.country_names(pages.language_of(request))
    return pages.render(
        request,
        "disclosures/show.html",
        422 if missing else 200,
        found=found,
        questions=calls.questions(found.call),
        items=disclosures.items(db, actor, found),
        sets=disclosures.sets(db, found),
        countries=sorted(names.items(), key=lambda entry: entry[1]),
        missing=missing or [],
    )


@router.post("/{disclosure}/extension")
def extend(disclosure: Number, form: pages.Form, actor: Coordinator, db: Db) -> Response:
    """Give it more time, once."""
    found = disclosures.load(db, actor, disclosure)
    disclosures.extend(db, actor, found, pages.field(form, "reason"))
    return pages.redirect(f"/review/disclosures/{disclosure}")


@router.post("/{disclosure}/closing")
def close(disclosure: Number, form: pages.Form, actor: CoordinatorAnew, db: Db) -> Response:
    """Close it for good."""
    disclosures.close(db, actor, disclosures.load(db, actor, disclosure), pages.field(form, "reason"))
    return pages.redirect(f"/review/disclosures/{disclosure}")


@router.post("/{disclosure}/items")
def add(request: Request, disclosure: Number, form: pages.Form, actor: Coordinator, db: Db) -> Response:
    """Add dossiers: by reference, or all that a filter of the register finds."""
    found = disclosures.load(db, actor, disclosure)
    wanted = _picked(form)
    if pages.field(form, "all", 5) == "yes":
        wanted += disclosures.matching(db, actor, found, _query(form))
    missing = disclosures.add(db, actor, found, wanted)
    db.flush()
    return _show(request, db, actor, found, missing) if missing else pages.redirect(f"/review/disclosures/{disclosure}")


def _query(form: FormData) -> register.Query:
    given = {"kind": pages.field(form, "kind", 5), "country": pages.field(form, "country", 5)}
    if given["country"] not in identifiers.country_names("en"):
        given["country"] = ""
    return register.Query(
        search=pages.field(form, "search", searches.LENGTH),
        chosen={name: (value,) for name, value in given.items() if value},
        sort="reference",
    )


@router.get("/{disclosure}/items/{ref}")
def dossier(request: Request, disclosure: Number, ref: str, actor: Coordinator, db: Db) -> Response:
    """One dossier of a request: proposal, view, decision, and what would be read of it."""
    found = disclosures.item(db, actor, disclosures.load(db, actor, disclosure), ref)
    version, questions = found.item.version, calls.questions_of(db, found.item.version.definition_digest)
    chosen = (found.decision or found.proposal) and (found.decision or found.proposal).sections  # type: ignore[union-attr]
    sections = chosen or redaction.suggested(questions, version)
    language = pages.language_of(request)
    return pages.render(
        request,
        "disclosures/dossier.html",
        found=found,
        questions=questions,
        names=redaction.sections_of(questions, version),
        sections=sections,
        marked=redaction.marked(questions, version),
        preview=redaction.document(questions, found.item.submission, version, sections, language),
        history=decisions.history(db, found.item),
    )


def _item(db: Db, actor: Actor, disclosure: int, ref: str) -> Item:
    return disclosures.item(db, actor, disclosures.load(db, actor, disclosure), ref)


def _sections(form: FormData) -> Sections:
    """What was chosen of each section, by the names of the fields."""
    parts = ("choice", "ground", "note")
    names = {name.partition(":")[2] for name in form if name.startswith("choice:")}
    return {
        name: {part: pages.field(form, f"{part}:{name}", redaction.NOTE_LENGTH) for part in parts} for name in names
    }


def _back(disclosure: int, found: Item) -> Response:
    return pages.redirect(f"/review/disclosures/{disclosure}/items/{quote(found.item.submission.reference)}")


@router.post("/{disclosure}/items/{ref}/proposals")
def propose(disclosure: Number, ref: str, form: pages.Form, actor: Coordinator, db: Db) -> Response:
    """Propose what to disclose and what to withhold."""
    found = _item(db, actor, disclosure, ref)
    disclosures.propose(db, actor, found, _sections(form))
    return _back(disclosure, found)


@router.post("/{disclosure}/items/{ref}/hearings")
def ask(disclosure: Number, ref: str, form: pages.Form, actor: Coordinator, db: Db, portal: PortalDep) -> Response:
    """Ask the submitter for their view."""
    found, days = _item(db, actor, disclosure, ref), pages.field(form, "days", 5)
    if not (days.isascii() and days.isdigit()):
        raise Invalid
    hearings.ask(db, actor, found, int(days), portal.settings.base_url)
    return _back(disclosure, found)


@router.post("/{disclosure}/items/{ref}/decisions")
def decide(disclosure: Number, ref: str, form: pages.Form, actor: Coordinator, db: Db) -> Response:
    """Decide by section; somebody else confirms."""
    found = _item(db, actor, disclosure, ref)
    decisions.decide(db, actor, found, _sections(form), pages.field(form, "reason", disclosures.REASON_LENGTH))
    return _back(disclosure, found)


@router.post("/{disclosure}/items/{ref}/confirmation")
def confirm(disclosure: Number, ref: str, form: pages.Form, actor: CoordinatorAnew, db: Db) -> Response:
    """Confirm the decision of a colleague."""
    found = _item(db, actor, disclosure, ref)
    decisions.confirm(db, actor, found)
    return _back(disclosure, found)


@router.post("/{disclosure}/items/{ref}/rejection")
def reject(disclosure: Number, ref: str, form: pages.Form, actor: Coordinator, db: Db) -> Response:
    """Take back a decision that was not confirmed."""
    found = _item(db, actor, disclosure, ref)
    decisions.drop(db, actor, found)
    return _back(disclosure, found)


@router.post("/{disclosure}/items/{ref}/omission")
def leave_out(disclosure: Number, ref: str, form: pages.Form, actor: Coordinator, db: Db) -> Response:
    """Leave a dossier out again."""
    disclosures.leave_out(db, actor, _item(db, actor, disclosure, ref), pages.field(form, "reason"))
    return pages.redirect(f"/review/disclosures/{disclosure}")


@router.post("/{disclosure}/sets")
def produce(
    request: Request, disclosure: Number, form: pages.Form, actor: CoordinatorAnew, db: Db, portal: PortalDep
) -> Response:
    """Produce the redacted set."""
    found, language = disclosures.load(db, actor, disclosure), pages.language_of(request)
    issuer = portal.settings.base_url
    decisions.produce(
        db,
        portal.files,
        actor,
        found,
        language,
        lambda data: pdf.render("disclosed", data, found.registered_at),
        portal.signer,
        issuer,
    )
    return pages.redirect(f"/review/disclosures/{disclosure}")


@router.get("/{disclosure}/sets/{set_id}.zip")
def as_zip(disclosure: Number, set_id: uuid.UUID, actor: Coordinator, db: Db, portal: PortalDep) -> FileResponse:
    """The set, to take away."""
    made = decisions.set_of(db, actor, disclosures.load(db, actor, disclosure), set_id)
    headers = pages.sandbox(f"disclosure-{disclosure}.zip")
    return FileResponse(portal.files.path(made.sha256), media_type="application/zip", headers=headers)


@router.get("/{disclosure}/sets/{set_id}.json")
def as_json(disclosure: Number, set_id: uuid.UUID, actor: Coordinator, db: Db) -> Response:
    """The signed list of what is in it, as `python -m app verify` checks it."""
    made = decisions.set_of(db, actor, disclosures.load(db, actor, disclosure), set_id)
    content = statements.canonical(statements.document(made.body, made.jws))
    return pages.download(content, "application/json", f"disclosure-{disclosure}.json")
