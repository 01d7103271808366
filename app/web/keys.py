"""/manage/keys: the credentials of machines, each by two people, with their use."""

import uuid
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from app.deps import Db
from app.domain import calls, keys, usage
from app.domain.errors import Invalid
from app.infra import signing
from app.infra.i18n import N_, Message
from app.web import pages
from app.web.guards import AdminAnew, Coordinator, CoordinatorAnew

router = APIRouter(prefix="/manage/keys")

NO_NAME = N_("Give it a name, by which people know whose it is.")
NO_CALL = N_("Choose at least one call.")
NO_SCOPE = N_("Choose at least one scope.")
NO_DAYS = N_("Give the days as a whole number from 1 to 730.")
NO_KEY = N_("Paste the public key of the client, as JWK or PEM: Ed25519 or P-256.")
PRIVATE_KEY = N_(
    "This is a private key. Nobody but the client may have it: have a new pair made, and paste the public one."
)

Problems = dict[str, Message]


@router.get("")
def list_keys(request: Request, actor: Coordinator, db: Db, replaces: str = "") -> Response:
    """Every credential, how far it is, and what it was used for."""
    before = next((key for key in keys.all_keys(db) if str(key.id) == replaces), None)
    typed: dict[str, Any] = {"kind": "key", "days": "365"}
    if before is not None:
        typed |= {"name": before.name, "kind": before.kind, "replaces": str(before.id)}
        typed |= {"call": before.call_codes, "scope": before.scopes, "networks": "\n".join(before.networks)}
    return _page(request, db, typed=typed)


def _page(request: Request, db: Db, problems: Problems | None = None, **shown: Any) -> Response:
    language, now = pages.language_of(request), calls.clock(db)
    found = keys.all_keys(db)
    return pages.render(
        request,
        "manage/keys.html",
        422 if problems else 200,
        keys=[(key, keys.state(key, now)) for key in found],
        names={key.id: key.name for key in found},
        uses=usage.of_keys(db, now.date()),
        days_shown=usage.SHOWN,
        listed=calls.all_calls(db),
        scopes=keys.SCOPES,
        kinds=keys.KINDS,
        problems={name: message.text(language) for name, message in (problems or {}).items()},
        **({"text_of_key": "", "shown_key": None, "typed": {"kind": "key", "days": "365"}} | shown),
    )


@router.post("")
def propose(request: Request, form: pages.Form, actor: AdminAnew, db: Db) -> Response:
    """Propose a credential; it opens nothing until somebody else approves it."""
    wish, problems = _wish(form, [call.code for call in calls.all_calls(db)])
    if problems:
        return _page(request, db, problems, typed=_typed(form))
    keys.propose(db, actor, wish)
    return pages.redirect("/manage/keys")


def _wish(form: FormData, codes: list[str]) -> tuple[keys.Wish, Problems]:
    """What the form asks for, and what is wrong with it, by field."""
    problems: Problems = {}
    name, kind, days = pages.field(form, "name", 100), pages.field(form, "kind", 20), pages.field(form, "days", 10)
    kind = kind if kind in keys.KINDS else "key"
    chosen = [code for code in codes if code in form.getlist("call")]
    scopes = [scope for scope in keys.SCOPES if scope in form.getlist("scope")]
    wrong = {"name": (name, NO_NAME), "call": (chosen, NO_CALL), "scope": (scopes, NO_SCOPE)}
    problems |= {field: Message(words) for field, (given, words) in wrong.items() if not given}
    if not (days.isascii() and days.isdecimal() and 1 <= int(days) <= keys.LONGEST.days):
        problems["days"] = Message(NO_DAYS)
    networks: list[str] = []
    try:
        networks = keys.networks(pages.field(form, "networks", 2000))
    except Invalid as refusal:
        problems["networks"] = refusal.message
    public_key = None
    if kind == "client_key":
        public_key, wrong_key = _public_key(pages.field(form, "public_key", 4000))
        problems |= {"public_key": wrong_key} if wrong_key else {}
    lives = timedelta(days=int(days) if "days" not in problems else 1)
    return keys.Wish(name, chosen, scopes, kind, networks, lives, public_key, _id(form, "replaces")), problems


def _public_key(text: str) -> tuple[dict[str, str] | None, Message | None]:
    try:
        found = signing.public_key(text)
    except signing.PrivateKeyGiven:
        return None, Message(PRIVATE_KEY)
    return found, None if found else Message(NO_KEY)


def _id(form: FormData, name: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(pages.field(form, name, 40))
    except ValueError:
        return None


def _typed(form: FormData) -> dict[str, Any]:
    names = ("name", "kind", "days", "networks", "public_key", "replaces")
    typed: dict[str, Any] = {name: pages.field(form, name, 4000) for name in names}
    if "PRIVATE" in typed["public_key"] or '"d"' in typed["public_key"]:
        typed["public_key"] = ""  # a private key is not shown again
    return typed | {name: [str(value) for value in form.getlist(name)] for name in ("call", "scope")}


@router.post("/{key_id}/approval")
def approve(key_id: uuid.UUID, form: pages.Form, actor: CoordinatorAnew, db: Db) -> Response:
    """Agree to a credential that somebody else proposed."""
    keys.approve(db, actor, key_id)
    return pages.redirect("/manage/keys")


@router.post("/{key_id}/rejection")
def drop(key_id: uuid.UUID, form: pages.Form, actor: Coordinator, db: Db) -> Response:
    """Take a proposal off the table."""
    keys.drop(db, actor, key_id)
    return pages.redirect("/manage/keys")


@router.post("/{key_id}/secret")
def collect(request: Request, key_id: uuid.UUID, form: pages.Form, actor: AdminAnew, db: Db) -> Response:
    """Show the secret to the one who proposed it; the page of this answer is the only one that does."""
    key, text = keys.collect(db, actor, key_id)
    return _page(request, db, text_of_key=text, shown_key=key)


@router.post("/{key_id}/revocation")
def revoke(key_id: uuid.UUID, form: pages.Form, actor: Coordinator, db: Db) -> Response:
    """Make a credential useless, at once; one person is enough for that."""
    keys.revoke(db, actor, key_id)
    return pages.redirect("/manage/keys")
