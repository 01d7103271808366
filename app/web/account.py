"""/account: sign in by e-mail link, who I am, my organisations and colleagues, my sessions."""

import json
import secrets
import uuid
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.deps import Db, Portal, PortalDep
from app.domain import accounts, factors, identifiers, personal, sign_ins
from app.domain.errors import NotFound
from app.infra import i18n
from app.infra.i18n import N_, Message
from app.web import pages, sessions
from app.web.guards import Applicant, Halfway, Public

router = APIRouter(prefix="/account")

ROLES = ("owner", "editor", "viewer")
SIGNS = (
    (("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari")),
    (("Windows", "Windows"), ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Mac OS", "macOS"))
    + (("Linux", "Linux"),),
)

EMAIL_WRONG = N_("Give an e-mail address such as name@example.eu.")
NAME_MISSING = N_("Give the name of the organisation as it stands in the register.")
COUNTRY_MISSING = N_("Choose the country in which the organisation is established.")
KVK_WRONG = N_("A KvK number has 8 digits, for example 12345678.")
ROLE_MISSING = N_("Choose what your colleague may do.")


@router.get("/sign-in")
def sign_in(request: Request, actor: Public, portal: PortalDep, next: str = "") -> Response:
    """Ask for an e-mail address to send a link to, or for a provider."""
    if actor.kind == "person":
        return pages.redirect(sessions.landing(actor, next))
    return _sign_in(request, portal, "", next and pages.own_path(next), {})


def _sign_in(
    request: Request, portal: Portal, email: str, path: str, errors: dict[str, str], status: int = 200
) -> Response:
    shown = {"email": email, "next": path, "errors": errors, "providers": portal.providers.values()}
    return pages.render(request, "account/sign_in.html", status, **shown)


@router.post("/sign-in")
def send_link(request: Request, form: pages.Form, actor: Public, db: Db, portal: PortalDep) -> Response:
    """Send the link; the answer is the same for every address."""
    email, asked_for = pages.field(form, "email", 300), pages.field(form, "next", 2000)
    path = asked_for and pages.own_path(asked_for)
    if not accounts.is_email(email):
        errors = {"email": Message(EMAIL_WRONG, {}).text(pages.language_of(request))}
        return _sign_in(request, portal, email, path, errors, 422)
    browser = sessions.browser_of(request) or secrets.token_urlsafe(32)
    language = pages.language_of(request)
    sign_ins.request_link(db, email, browser, pages.network(request), portal.settings.base_url, language, path)
    response = pages.render(request, "account/link_sent.html", email=email)
    return sessions.keep(response, portal, sessions.BROWSER, browser, sessions.BROWSER_KEPT)


@router.get("/link/{token}")
def link(request: Request, token: str, actor: Public) -> Response:
    """Ask to confirm: a mail scanner that follows the link must not use it up."""
    return pages.render(request, "account/link.html", token=token)


@router.post("/link/{token}")
def use_link(request: Request, token: str, form: pages.Form, actor: Public, db: Db, portal: PortalDep) -> Response:
    """Sign in; staff give their second factor next."""
    language, base_url = pages.language_of(request), portal.settings.base_url
    agent = request.headers.get("user-agent", "")
    if actor.kind == "person":  # the session that this one replaces
        sign_ins.sign_out(db, actor)
    secret, path = sign_ins.use_link(db, token, sessions.browser_of(request), agent, language, base_url)
    return sessions.open_to(sessions.landing(sign_ins.actor_of(db, secret), path), portal, secret)


@router.post("/sign-out")
def sign_out(form: pages.Form, actor: Halfway, db: Db, portal: PortalDep) -> Response:
    """End this session."""
    sign_ins.sign_out(db, actor)
    return _left(portal)


def _left(portal: Portal) -> Response:
    response = pages.redirect("/calls")
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return sessions.drop(response, portal, sessions.SESSION)


@router.post("/sign-ins/end")
def sign_out_everywhere(form: pages.Form, actor: Halfway, db: Db, portal: PortalDep) -> Response:
    """End all of my sessions."""
    sign_ins.sign_out_everywhere(db, actor)
    return _left(portal)


@router.post("/sign-ins/{sign_in_id}/end")
def end_session(sign_in_id: uuid.UUID, form: pages.Form, actor: Applicant, db: Db) -> Response:
    """End one of my other sessions."""
    sign_ins.sign_out(db, actor, sign_in_id)
    return pages.redirect("/account")


@router.get("")
def overview(request: Request, actor: Applicant, db: Db, portal: PortalDep) -> Response:
    """Who I am, my organisations, where I am signed in."""
    mine = accounts.require_id(actor)
    return pages.render(
        request,
        "account/overview.html",
        sessions=sign_ins.live(db, actor),
        browser=_browser,
        factors=factors.listed(db, mine) if actor.is_staff() else [],
        providers=[one for one in portal.providers.values() if not one.is_for_staff],
        codes_left=factors.codes_left(db, mine) if actor.is_staff() else 0,
    )


def _browser(agent: str) -> str:
    """`Firefox, Windows`, by the names that browsers give themselves; each also names those it descends from."""
    return ", ".join(next((name for sign, name in signs if sign in agent), "") for signs in SIGNS).strip(", ")


@router.post("")
def profile(form: pages.Form, actor: Applicant, db: Db, portal: PortalDep) -> Response:
    """Change my name and language."""
    language = pages.field(form, "language", 5)
    accounts.set_profile(db, actor, pages.field(form, "name", 200), language if language in i18n.LANGUAGES else "en")
    return sessions.drop(pages.redirect("/account"), portal, pages.LANGUAGE)


@router.get("/data.json")
def my_data(actor: Applicant, db: Db) -> Response:
    """Everything that the portal keeps on me."""
    made = json.dumps(personal.export(db, actor, accounts.require_id(actor)), ensure_ascii=False, indent=1)
    return pages.download(made.encode(), "application/json", "my-data.json")


@router.get("/organisations/new")
def describe(request: Request, actor: Applicant) -> Response:
    """A form for an organisation of mine."""
    return _organisation_form(request, None, {"name": "", "country": "NL", "registration_no": ""}, {})


def _organisation_form(
    request: Request,
    organisation_id: uuid.UUID | None,
    values: dict[str, str],
    errors: dict[str, str],
    status: int = 200,
) -> Response:
    countries = sorted(
        identifiers.country_names(pages.language_of(request)).items(), key=lambda entry: i18n.sort_key(entry[1])
    )
    return pages.render(
        request,
        "account/organisation_form.html",
        status,
        organisation_id=organisation_id,
        values=values,
        errors=errors,
        countries=countries,
    )


@router.post("/organisations")
def make_organisation(request: Request, form: pages.Form, actor: Applicant, db: Db) -> Response:
    """Keep it, with me as owner."""
    return _keep(request, form, actor, db, None)


@router.post("/organisations/{organisation_id}")
def change_organisation(
    request: Request, organisation_id: uuid.UUID, form: pages.Form, actor: Applicant, db: Db
) -> Response:
    """Change one that I own."""
    return _keep(request, form, actor, db, organisation_id)


def _keep(request: Request, form: Any, actor: Applicant, db: Db, organisation_id: uuid.UUID | None) -> Response:
    values = {name: pages.field(form, name, 300) for name in ("name", "country", "registration_no")}
    errors = {name: Message(text, {}).text(pages.language_of(request)) for name, text in _wrong(values).items()}
    if errors:
        return _organisation_form(request, organisation_id, values, errors, 422)
    kept = accounts.describe_organisation(
        db, actor, values["name"], values["country"], values["registration_no"] or None, organisation_id
    )
    return pages.redirect(f"/account/organisations/{kept.id}")


def _wrong(values: dict[str, str]) -> dict[str, str]:
    wrong = {}
    if not values["name"]:
        wrong["name"] = NAME_MISSING
    if values["country"] not in identifiers.country_names("en"):
        wrong["country"] = COUNTRY_MISSING
    number = values["registration_no"]
    if values["country"] == "NL" and number and not identifiers.is_kvk(number):
        wrong["registration_no"] = KVK_WRONG
    return wrong


@router.get("/organisations/{organisation_id}")
def organisation(request: Request, organisation_id: uuid.UUID, actor: Applicant, db: Db) -> Response:
    """One of my organisations and who belongs to it."""
    return _organisation(request, organisation_id, actor, db, {"email": "", "role": ""}, {})


def _organisation(
    request: Request,
    organisation_id: uuid.UUID,
    actor: Applicant,
    db: Db,
    values: dict[str, str],
    errors: dict[str, str],
    status: int = 200,
) -> Response:
    mine = next((m for m in actor.memberships if m.organisation_id == organisation_id), None)
    if mine is None:
        raise NotFound
    return pages.render(
        request,
        "account/organisation.html",
        status,
        mine=mine,
        organisation=accounts.organisation(db, organisation_id),
        colleagues=accounts.colleagues(db, actor, organisation_id),
        country=identifiers.country_names(pages.language_of(request))[mine.country],
        values=values,
        errors=errors,
    )


@router.get("/organisations/{organisation_id}/edit")
def edit_organisation(request: Request, organisation_id: uuid.UUID, actor: Applicant, db: Db) -> Response:
    """Change the description of an organisation that I own."""
    kept = accounts.owned(db, actor, organisation_id)
    values = {"name": kept.name, "country": kept.country, "registration_no": kept.registration_no or ""}
    return _organisation_form(request, organisation_id, values, {})


@router.post("/organisations/{organisation_id}/colleagues")
def invite(
    request: Request, organisation_id: uuid.UUID, form: pages.Form, actor: Applicant, db: Db, portal: PortalDep
) -> Response:
    """Give a colleague a role."""
    email, role = pages.field(form, "email", 300), pages.field(form, "role", 20)
    language, errors = pages.language_of(request), {}
    if not accounts.is_email(email):
        errors["email"] = Message(EMAIL_WRONG, {}).text(language)
    if role not in ROLES:
        errors["role"] = Message(ROLE_MISSING, {}).text(language)
    if errors:
        return _organisation(request, organisation_id, actor, db, {"email": email, "role": role}, errors, 422)
    accounts.invite_colleague(db, actor, organisation_id, email, role, portal.settings.base_url)
    return pages.redirect(f"/account/organisations/{organisation_id}")


@router.post("/organisations/{organisation_id}/colleagues/{membership_id}/end")
def end_membership(
    organisation_id: uuid.UUID, membership_id: uuid.UUID, form: pages.Form, actor: Applicant, db: Db
) -> Response:
    """Take a colleague's role away."""
    accounts.end_membership(db, actor, organisation_id, membership_id)
    return pages.redirect(f"/account/organisations/{organisation_id}")
