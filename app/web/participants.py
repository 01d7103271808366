"""/apply/{ref}/participants: who takes part in a submission; /invitations/{token}: where an invited person says yes."""

import uuid

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.deps import Db, PortalDep
from app.domain import accounts, calls, drafts, exemptions, judgements, mandates, participations, submissions
from app.domain.access import PARTNER, Actor
from app.domain.errors import Forbidden
from app.domain.participations import Wish
from app.infra.i18n import N_, Message
from app.models import Submission
from app.web import pages
from app.web.guards import Applicant

router = APIRouter()
LABELS = {"email": N_("E-mail address"), "organisation": N_("Organisation"), "mandate": N_("Mandate")}
EMAIL_WRONG = N_("Give an e-mail address such as name@example.eu.")
ROLE_MISSING = N_("Choose what this person may do.")
ORGANISATION_MISSING = N_("Give the name of the partner's organisation, or choose it from the list.")
FULL = N_("The list of organisations is full. Choose one that is on it, or remove one first.")


@router.get("/apply/{ref}/participants")
def show(request: Request, ref: str, actor: Applicant, db: Db) -> Response:
    """Who takes part and who did, and the form to invite."""
    return _page(request, submissions.load(db, actor, ref), actor, db, {}, {})


def _page(
    request: Request, case: Submission, actor: Actor, db: Db, typed: dict[str, str], problems: dict[str, str]
) -> Response:
    everybody = participations.of_case(db, case)
    draft = drafts.content(db, case)
    answers = draft.answers
    standings = mandates.of_case(db, case, answers)
    questions = calls.questions(case.call)
    return pages.render(
        request,
        "apply/participants.html",
        422 if problems else 200,
        case=case,
        **exemptions.window(db, case)._asdict(),
        members=accounts.members(db, case.organisation_id),
        live=[one for one in everybody if one.ended_at is None],
        ended=[one for one in everybody if one.ended_at is not None],
        standings={one.partner.id: one for one in standings if one.partner},
        items=[(mandates.digest(item), one) for item, one in _with_items(case, answers, standings)],
        documents={file["sha256"]: file["name"] for some in draft.files.values() for file in some},
        has_partners=participations.list_of(questions, case.kind) is not None,
        may_lead=actor.may_lead(case),
        typed=typed,
        problems=problems,
        lengths=(participations.NAME_LENGTH, participations.MANDATE_LENGTH),
    )


def _with_items(
    case: Submission, answers: dict[str, object], standings: list[mandates.Standing]
) -> list[tuple[dict[str, object], mandates.Standing]]:
    """The organisations that nobody fills yet, with their answers."""
    return [(i, s) for i, s in zip(mandates.items(case, answers), standings, strict=False) if s.partner is None]


@router.post("/apply/{ref}/participants")
def invite(request: Request, ref: str, form: pages.Form, actor: Applicant, db: Db, portal: PortalDep) -> Response:
    """Invite by mail."""
    case = submissions.load(db, actor, ref)
    if not actor.may_lead(case):
        raise Forbidden
    language = pages.language_of(request)
    request.state.labels = {name: Message(words).text(language) for name, words in LABELS.items()}
    typed = {name: pages.field(form, name, 300) for name in ("email", "role", "organisation", "item")}
    typed["mandate"] = pages.field(form, "mandate", participations.MANDATE_LENGTH)
    place, problems = _place(db, case, typed)
    if not problems and typed["role"] == PARTNER and place is None:
        place = drafts.add_organisation(db, actor, case, typed["organisation"])
        judgements.keep(db, case)
        problems = {} if place is not None else {"item": FULL}
    if problems:
        said = {name: Message(words).text(language) for name, words in problems.items()}
        return _page(request, case, actor, db, typed, said)
    wish = Wish(typed["email"], typed["role"], typed["organisation"], typed["mandate"], place)
    participations.invite(db, actor, case, wish, portal.settings.base_url)
    return pages.redirect(f"/apply/{case.reference}/participants?invited=1")


def _place(db: Db, case: Submission, typed: dict[str, str]) -> tuple[int | None, dict[str, str]]:
    """At which place in the list a partner's organisation stands already, and what is wrong with an invitation, by field."""
    problems = {}
    if not accounts.is_email(typed["email"]):
        problems["email"] = EMAIL_WRONG
    has_partners = participations.list_of(calls.questions(case.call), case.kind) is not None
    if typed["role"] not in participations.ROLES or (typed["role"] == PARTNER and not has_partners):
        return None, problems | {"role": ROLE_MISSING}
    if typed["role"] != PARTNER:
        return None, problems
    answers = drafts.content(db, case).answers
    chosen = next(
        (one for item, one in _with_items(case, answers, mandates.of_case(db, case, answers))
         if typed["item"] and mandates.digest(item) == typed["item"]), None,
    )  # fmt: skip
    typed["organisation"] = typed["organisation"] or (chosen.name if chosen else "")
    if not typed["organisation"]:
        problems["organisation"] = ORGANISATION_MISSING
    return chosen.place if chosen else None, problems


@router.get("/apply/{ref}/participants/{participation_id}/end")
def ask_end(request: Request, ref: str, participation_id: uuid.UUID, actor: Applicant, db: Db) -> Response:
    """Say what ends and what stays, before it does."""
    case = submissions.load(db, actor, ref)
    found = participations.one(db, actor, case, participation_id)
    return pages.render(request, "apply/participant_end.html", case=case, found=found)


@router.post("/apply/{ref}/participants/{participation_id}/end")
def end(ref: str, participation_id: uuid.UUID, form: pages.Form, actor: Applicant, db: Db) -> Response:
    """Take somebody's part away; whoever takes their own away is out."""
    case = submissions.load(db, actor, ref)
    own = participations.one(db, actor, case, participation_id).person_id == actor.person_id
    participations.end(db, actor, case, participation_id)
    return pages.redirect("/apply" if own and not actor.acts_for(case) else f"/apply/{case.reference}/participants")


@router.get("/invitations/{token}")
def invitation(request: Request, token: str, actor: Applicant, db: Db) -> Response:
    """Who invites, to what, as what; and the button that accepts."""
    found = participations.invitation(db, actor, token)
    case = found.submission
    if found.accepted_at is not None:
        return pages.redirect(_home(found.role, case))
    return pages.render(request, "apply/invitation.html", case=case, found=found)


@router.post("/invitations/{token}")
def accept(token: str, form: pages.Form, actor: Applicant, db: Db) -> Response:
    """Accept."""
    found = participations.accept(db, actor, token)
    return pages.redirect(_home(found.role, found.submission))


def _home(role: str, case: Submission) -> str:
    return f"/apply/{case.reference}/partner" if role == PARTNER else f"/apply/{case.reference}"
