"""/manage: calls and counts, people, the audit trail, outgoing mail."""

import uuid
from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.deps import Db, PortalDep
from app.domain import accounts, appointments, calls, drafts, glossary, identifiers, oversight, sign_ins
from app.domain.access import STAFF_RANK
from app.domain.accounts import is_email
from app.domain.errors import NotFound
from app.domain.questionnaire import Questionnaire
from app.infra.i18n import N_, Message, sort_key
from app.web import pages
from app.web.guards import Admin, AdminAnew, Coordinator, Reviewer

router = APIRouter(prefix="/manage")

CHECK_PAGE = N_("Check page")
WRONG_PERSON = N_("Give an e-mail address and a role.")
UNKNOWN_PERSON = N_("Nobody has an account with that e-mail address.")
WRONG_STATE = N_("Give a member state, the name of the authority, and an e-mail address.")


@router.get("")
def index(request: Request, actor: Reviewer, db: Db) -> Response:
    """The calls with their windows and counts."""
    listed, now = calls.all_calls(db), calls.clock(db)
    return pages.render(
        request,
        "manage/index.html",
        listed=[(call, calls.state(call, now), calls.questions(call)) for call in listed],
        tallies=oversight.tallies(db, listed),
    )


@router.get("/people")
def people(request: Request, actor: Coordinator, db: Db, ended: str = "") -> Response:
    """Staff, and the accounts of member states."""
    return _people(request, db, is_ended=ended == "1")


def _people(request: Request, db: Db, problem: str = "", status: int = 200, is_ended: bool = False) -> Response:
    names = identifiers.country_names(pages.language_of(request))
    return pages.render(
        request,
        "manage/people.html",
        status,
        staff=oversight.staff(db),
        proposed=appointments.pending(db),
        states=oversight.state_accounts(db),
        countries=sorted(((c, names[c]) for c in identifiers.EU27), key=lambda entry: entry[1]),
        roles=list(STAFF_RANK),
        is_ended=is_ended,
        problem=Message(problem).text(pages.language_of(request)) if problem else "",
    )


@router.post("/people")
def appoint(request: Request, form: pages.Form, actor: AdminAnew, db: Db) -> Response:
    """Propose a staff role for somebody; another administrator confirms it."""
    email, role = pages.field(form, "email", 300), pages.field(form, "role", 20)
    if not is_email(email) or role not in STAFF_RANK:
        return _people(request, db, WRONG_PERSON, 422)
    appointments.propose(db, actor, email, role, pages.field(form, "name", 200))
    return pages.redirect("/manage/people")


@router.post("/people/proposals/{appointment_id}/confirmation")
def confirm_appointment(appointment_id: uuid.UUID, form: pages.Form, actor: AdminAnew, db: Db) -> Response:
    """Give a role that another administrator proposed."""
    appointments.confirm(db, actor, appointment_id)
    return pages.redirect("/manage/people")


@router.post("/people/proposals/{appointment_id}/rejection")
def drop_appointment(appointment_id: uuid.UUID, form: pages.Form, actor: Admin, db: Db) -> Response:
    """Take a proposed role off the table."""
    appointments.drop(db, actor, appointment_id)
    return pages.redirect("/manage/people")


@router.post("/people/{person_id}/end")
def end_role(person_id: uuid.UUID, form: pages.Form, actor: AdminAnew, db: Db) -> Response:
    """Take a staff role away and end that person's sessions."""
    accounts.end_staff_role(db, actor, person_id)
    return pages.redirect("/manage/people")


@router.post("/sign-ins/end")
def end_sessions(request: Request, form: pages.Form, actor: AdminAnew, db: Db) -> Response:
    """End every session of somebody: their computer was lost, or somebody else sits at it."""
    try:
        sign_ins.end_of(db, actor, pages.field(form, "email", 300))
    except NotFound:
        return _people(request, db, UNKNOWN_PERSON, 422)
    return pages.redirect("/manage/people?ended=1")


@router.post("/states")
def invite_state(request: Request, form: pages.Form, actor: Coordinator, db: Db, portal: PortalDep) -> Response:
    """Open the account of a member state, or invite one more person to it."""
    state, authority, email = (pages.field(form, name, 300) for name in ("state", "authority", "email"))
    if state not in identifiers.EU27 or not authority or not is_email(email):
        return _people(request, db, WRONG_STATE, 422)
    accounts.invite_state(db, actor, state, authority, email, portal.settings.base_url)
    return pages.redirect("/manage/people")


@router.get("/audit")
def audit_trail(
    request: Request,
    actor: Coordinator,
    db: Db,
    person: str = "",
    reference: str = "",
    name: str = "",
    older: str = "",
) -> Response:
    """The audit trail, newest first."""
    values = [value.replace("\x00", "")[:200] for value in (person, reference, name)]
    listing = oversight.trail(db, actor, values[0], values[1], values[2], older=older)
    return pages.render(
        request,
        "manage/audit.html",
        listing=listing,
        names=_event_names(request, db),
        told=partial(
            _told, {call.code: calls.questions(call) for call in calls.all_calls(db)}, pages.language_of(request)
        ),
        person=values[0],
        reference=values[1],
        name=values[2],
    )


def _told(forms: dict[str, Questionnaire], language: str, line: oversight.Line) -> list[tuple[str, str, bool]]:
    """The details of a line as words and value, and whether the value is a code that machines made."""
    form = forms.get(line.call or "")
    told, order = [], list(glossary.DETAILS)
    for name, value in sorted(line.event.detail.items(), key=lambda d: order.index(d[0]) if d[0] in order else 99):
        words = None
        if name == "role":
            words = glossary.words("role", value, language)
        elif name == "step" and value == drafts.CHECK:
            words = Message(CHECK_PAGE).text(language)
        elif name == "step" and form and (step := form.step(value)):
            words = step.title[language]
        elif name == "question" and form and form.has(value):
            words = form.question(value).label[language]
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        told.append((glossary.words("detail", name, language), words or shown, words is None))
    return told


def _event_names(request: Request, db: Db) -> list[tuple[str, str]]:
    """The events that occur with their words, as people look them up."""
    language = pages.language_of(request)
    named = [(name, glossary.words("event", name, language)) for name in oversight.event_names(db)]
    return sorted(named, key=lambda entry: sort_key(entry[1]))


@router.get("/mail")
def mail(request: Request, actor: Coordinator, db: Db, state: str = "", older: str = "") -> Response:
    """The outgoing mail and how far it got."""
    listing = oversight.mails(db, actor, state, older)
    return pages.render(request, "manage/mail.html", listing=listing, counts=oversight.mail_counts(db), state=state)


@router.post("/mail/{message_id}/retry")
def send_again(message_id: uuid.UUID, form: pages.Form, actor: Coordinator, db: Db) -> Response:
    """Try a mail again that was given up."""
    oversight.send_again(db, actor, message_id)
    return pages.redirect("/manage/mail")
