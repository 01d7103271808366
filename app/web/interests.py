"""/interests: offer interest in a consortium by its reference, and take it back; /apply/{ref}/interests, where it arrives."""

import uuid

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.deps import Db, PortalDep
from app.domain import calls, interests, submissions
from app.domain.access import Actor
from app.domain.errors import Invalid, NotFound
from app.infra.i18n import N_, Message
from app.web import pages
from app.web.guards import Applicant

router = APIRouter()
LABELS = {"reference": N_("Reference of the consortium"), "words": N_("What you offer"), "reason": N_("Reason")}


@router.get("/interests")
def mine(request: Request, actor: Applicant, db: Db, offered: str = "") -> Response:
    """What my organisations offered, and the form to offer more."""
    return _mine(request, db, actor, {}, {}, is_done=bool(offered))


def _mine(
    request: Request,
    db: Db,
    actor: Actor,
    typed: dict[str, str],
    problems: dict[str, Message],
    is_done: bool = False,
) -> Response:
    links, places = interests.of_organisations(db, actor), interests.places(db, actor)
    every = {call.id: call for call in [*(link.call for link in links), *(call for call, _ in places)]}
    now = calls.clock(db)
    return pages.render(
        request,
        "interests/index.html",
        422 if problems else 200,
        links=links,
        places=places,
        known={call_id: calls.questions(call) for call_id, call in every.items()},
        opened={call_id for call_id, call in every.items() if calls.is_open(call, now)},
        typed=typed,
        problems={name: said.text(pages.language_of(request)) for name, said in problems.items()},
        is_done=is_done,
        longest=interests.WORDS_LENGTH,
    )


@router.post("/interests")
def offer(request: Request, form: pages.Form, actor: Applicant, db: Db, portal: PortalDep) -> Response:
    """Offer. The answer is the same whether or not there is such a consortium."""
    language = pages.language_of(request)
    request.state.labels = {name: Message(words).text(language) for name, words in LABELS.items()}
    typed = {name: pages.field(form, name, 200) for name in ("choice", "reference", "sort")}
    typed["words"] = pages.field(form, "words", interests.WORDS_LENGTH)
    code, organisation, *_ = [*typed["choice"].split("|"), ""]
    try:
        organisation_id = uuid.UUID(organisation)
    except ValueError as failure:
        raise Invalid from failure
    call = calls.by_code(db, code)
    interests.require_open(db, call)
    problems = interests.lacks(call, typed["reference"], typed["sort"], typed["words"])
    if problems:
        return _mine(request, db, actor, typed, problems)
    base_url = portal.settings.base_url
    interests.offer(db, actor, call, organisation_id, typed["reference"], typed["sort"], typed["words"], base_url)
    return pages.redirect("/interests?offered=1")


@router.post("/interests/{interest_id}/withdrawal")
def withdraw(request: Request, interest_id: uuid.UUID, form: pages.Form, actor: Applicant, db: Db) -> Response:
    """Take an offer back."""
    request.state.labels = {"reason": Message(LABELS["reason"]).text(pages.language_of(request))}
    interests.withdraw(db, actor, interest_id, pages.field(form, "reason", interests.REASON_LENGTH))
    return pages.redirect("/interests")


@router.get("/apply/{ref}/interests")
def arrived(request: Request, ref: str, actor: Applicant, db: Db) -> Response:
    """What others offer to this consortium."""
    case = submissions.load(db, actor, ref)
    questions = calls.questions(case.call)
    if case.kind not in questions.support.for_ or not questions.support.interests:
        raise NotFound
    return pages.render(
        request,
        "interests/arrived.html",
        case=case,
        questions=questions,
        links=interests.to_consortium(db, case),
        may_answer=actor.owns(case) and calls.is_open(case.call, calls.clock(db)),
    )


@router.post("/apply/{ref}/interests/{interest_id}/answers")
def answer(ref: str, interest_id: uuid.UUID, form: pages.Form, actor: Applicant, db: Db, portal: PortalDep) -> Response:
    """Accept or decline an offer."""
    case = submissions.load(db, actor, ref)
    said = pages.field(form, "answer", 20)
    if said not in ("accept", "decline"):
        raise Invalid
    interests.answer(db, actor, case, interest_id, said == "accept", portal.settings.base_url)
    return pages.redirect(f"/apply/{case.reference}/interests")
