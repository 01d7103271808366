"""Signing in as staff: the second factor is always asked, before what matters anew; roles need two administrators."""

import re
from typing import Any

import pyotp
import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app import models
from app.deps import Portal
from app.domain import accounts, factors, releases, sign_ins
from app.domain.tokens import hashed
from app.models import Appointment, Event, Factor, Person
from tests import make
from tests.conftest import deliver, give_factor
from tests.web.test_guards import SignIn

STAFF = "jo@rvo.example"
NO_WAY_BACK = (
    "/manage/calls/{code}/deadlines",
    "/manage/calls/{code}/deadlines/{change_id}/confirmation",
    "/manage/calls/{code}/destructions/{destruction_id}/confirmation",
    "/manage/calls/{code}/exemptions",
    "/manage/calls/{code}/exemptions/{exemption_id}/confirmation",
    "/manage/keys",
    "/manage/keys/{key_id}/approval",
    "/manage/keys/{key_id}/secret",
    "/manage/people",
    "/manage/people/proposals/{appointment_id}/confirmation",
    "/manage/people/{person_id}/end",
    "/manage/webhooks/{webhook_id}/approval",
    "/manage/webhooks/{webhook_id}/secret",
    "/review/disclosures/{disclosure}/closing",
    "/review/disclosures/{disclosure}/items/{ref}/confirmation",
    "/review/disclosures/{disclosure}/sets",
    "/review/release",
    "/review/release/conclusion",
    "/review/release/recall",
    "/review/{ref}/recall",
    "/review/{ref}/releases",
)


def by_link(client: TestClient, portal: Portal, email: str, then: str = "") -> str:
    """Follow the link in the mail; where it leads."""
    client.cookies.clear()
    client.post("/account/sign-in", data={"email": email, "next": then})
    link = [m for mail in deliver(portal) for m in re.findall(r"/account/link/[\w-]+", mail)][-1]
    return str(client.post(link).headers["location"])


def token_of(client: TestClient, path: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get(path).text)
    assert found
    return found[1]


def test_staff_take_a_factor_into_use_at_their_first_sign_in_and_keep_recovery_codes(
    client: TestClient, portal: Portal, db: Session
) -> None:
    make.person(db, STAFF, staff="reviewer")
    lands = by_link(client, portal, STAFF, "/review")
    assert lands == "/account/factors/ask?next=%2Freview"
    assert client.get("/review").headers["location"] == "/account/factors/ask?next=/review"
    assert client.get(lands).headers["location"] == "/account/factors/new?next=/review"
    page = client.get("/account/factors/new?next=/review")
    assert "<svg" in page.text
    secret = re.search(r'<span class="hash">([A-Z2-7]{32})</span>', page.text)
    assert secret
    token = token_of(client, "/account/factors/new")
    form = {"csrf_token": token, "next": "/review", "name": "<b>phone</b>"}
    wrong = client.post("/account/factors", data={**form, "code": "12"})
    assert wrong.status_code == 422
    assert client.get("/review").status_code == 303
    held = client.cookies["eoi"]
    done = client.post("/account/factors", data={**form, "code": pyotp.TOTP(secret[1]).now()})
    assert (done.status_code, done.headers["cache-control"]) == (200, "no-store")
    codes = re.findall(r"(?:[A-Z2-7]{4}-){5}[A-Z2-7]{4}", done.text)
    assert len(codes) == 10
    assert client.cookies["eoi"] != held
    assert client.get("/review").status_code == 200
    assert "&lt;b&gt;phone&lt;/b&gt;" in client.get("/account").text
    assert by_link(client, portal, STAFF) == "/account/factors/ask?next=%2Freview%2Fmine"
    form = {"csrf_token": token_of(client, "/account/factors/ask"), "next": "/review/mine"}
    assert client.post("/account/factors/ask", data={**form, "code": "000000"}).status_code == 422
    assert client.post("/account/factors/ask", data={**form, "code": codes[0]}).headers["location"] == "/review/mine"
    assert client.get("/review/mine").status_code == 200


def test_a_mailbox_alone_opens_no_page_of_staff_and_replaces_no_factor(
    client: TestClient, portal: Portal, db: Session
) -> None:
    make.person(db, STAFF, staff="admin")
    person = accounts.find_person(db, STAFF)
    assert person
    factors.issue_app(db, person.id, "phone")
    by_link(client, portal, STAFF)
    token = token_of(client, "/account/factors/ask")
    for path in ("/review", "/manage", "/account", "/apply", "/account/factors/new"):
        assert "/account/factors/ask" in client.get(path).headers["location"], path
    for path in ("/account/factors", "/account/factors/recovery-codes", "/manage/people"):
        assert client.post(path, data={"csrf_token": token, "code": "000000"}).status_code == 401, path
    assert client.post("/account/factors/challenges", data={"csrf_token": token, "make": "yes"}).status_code == 401
    assert client.post("/account/sign-out", data={"csrf_token": token}).status_code == 303


def test_before_what_matters_the_factor_is_asked_anew_and_what_was_typed_is_shown(
    client: TestClient, portal: Portal, db: Session, sign_in: SignIn
) -> None:
    make.person(db, STAFF, staff="admin")
    token = sign_in(client, STAFF)
    with make.owner(db):
        db.execute(text("update sign_in set factor_at = factor_at - :by"), {"by": sign_ins.PROOF_HOLDS})
    form = {"csrf_token": token, "email": "new@rvo.example", "role": "reviewer", "name": "Typed Name"}
    refused = client.post("/manage/people", data=form, headers={"Referer": "http://testserver/manage/people"})
    assert refused.status_code == 401
    assert "Typed Name" in refused.text
    assert 'href="/account/factors/ask?next=/manage/people"' in refused.text
    assert db.scalars(select(Appointment)).all() == []
    assert client.get("/manage/people").status_code == 200
    give_factor(client, db, portal, STAFF)
    assert client.post("/manage/people", data=form).status_code == 303
    assert [one.email for one in db.scalars(select(Appointment))] == ["new@rvo.example"]


def test_what_staff_cannot_undo_asks_the_factor_anew_and_leaves_everything_as_it_was(
    client: TestClient, portal: Portal, db: Session, sign_in: SignIn
) -> None:
    case, actor = make.submission(db)
    make.send(db, actor, case, portal.signer)
    make.close(db, case.call)
    make.person(db, STAFF, staff="admin")
    token = sign_in(client, STAFF)
    with make.owner(db):
        db.execute(text("update sign_in set factor_at = factor_at - :by"), {"by": sign_ins.PROOF_HOLDS})
    finishing = {"csrf_token": token, "call": case.call.code}
    assert client.post("/review/release/conclusion", data=finishing).status_code == 401
    assert releases.conclusion(db, case.call) is None
    named = {"{code}": case.call.code, "{ref}": case.reference, "{disclosure}": "1"}
    for route in NO_WAY_BACK:
        path = re.sub(r"\{\w+\}", lambda found: named.get(found[0], "0" * 32), route)
        refused = client.post(path, data={"csrf_token": token})
        assert (refused.status_code, "/account/factors/ask" in refused.text) == (401, True), route


def test_a_staff_role_takes_two_administrators(client: TestClient, db: Session, sign_in: SignIn) -> None:
    for name, role in (("ada", "admin"), ("bob", "admin"), ("cas", "coordinator")):
        make.person(db, f"{name}@rvo.example", staff=role)

    def press(email: str, verb: str) -> int:
        token = sign_in(client, email)
        return client.post(f"/manage/people/proposals/{made.id}/{verb}", data={"csrf_token": token}).status_code

    def now() -> str | None:
        db.expire_all()
        found = accounts.find_person(db, "new@rvo.example")
        return found.staff_role if found else None

    token = sign_in(client, "ada@rvo.example")
    form = {"csrf_token": token, "email": "new@rvo.example", "role": "admin", "name": "New"}
    assert client.post("/manage/people", data=form).status_code == 303
    made = db.scalars(select(Appointment)).one()
    assert "new@rvo.example" in client.get("/manage/people").text
    assert client.post("/manage/people", data=form).status_code == 409
    assert press("ada@rvo.example", "confirmation") == 403
    assert press("cas@rvo.example", "confirmation") == 404
    assert now() is None
    assert press("bob@rvo.example", "confirmation") == 303
    assert now() == "admin"
    assert press("bob@rvo.example", "rejection") == 409


def test_an_administrator_ends_the_sessions_of_a_submitter_and_what_was_mailed_to_them(
    client: TestClient, portal: Portal, db: Session, sign_in: SignIn
) -> None:
    lead = make.person(db, "lead@firm.example")
    by_link(client, portal, "lead@firm.example")
    stolen = client.cookies["eoi"]
    client.cookies.delete("eoi")
    client.post("/account/sign-in", data={"email": "lead@firm.example", "next": ""})
    (link,) = [one for mail in deliver(portal)[-1:] for one in re.findall(r"/account/link/[\w-]+", mail)]
    browser = client.cookies["browser"]
    make.person(db, "cas@rvo.example", staff="coordinator")
    make.person(db, "ada@rvo.example", staff="admin")
    form = {"email": "LEAD@firm.example"}
    assert (
        client.post("/manage/sign-ins/end", data=form | {"csrf_token": sign_in(client, "cas@rvo.example")}).status_code
        == 404
    )
    assert sign_ins.actor_of(db, stolen).kind == "person"
    form["csrf_token"] = sign_in(client, "ada@rvo.example")
    assert client.post("/manage/sign-ins/end", data=form | {"email": "nobody@firm.example"}).status_code == 422
    assert client.post("/manage/sign-ins/end", data=form).headers["location"] == "/manage/people?ended=1"
    assert "The sessions were ended." in client.get("/manage/people?ended=1").text
    assert sign_ins.actor_of(db, stolen).kind == "anonymous"
    client.cookies.clear()
    client.cookies.set("browser", browser)
    assert client.post(link).status_code == 422
    told = db.scalars(select(Event).where(Event.name == "person.sessions_ended")).one()
    assert told.detail == {"person": str(lead.person_id)}


def test_of_more_sessions_than_ten_the_one_unused_for_longest_ends(db: Session) -> None:
    lead, other = make.person(db, "lead@firm.example"), make.person(db, "other@firm.example")
    person, stranger = db.get_one(Person, lead.person_id), db.get_one(Person, other.person_id)
    theirs = sign_ins.open_session(db, stranger, "b", "", make.ISSUER)
    held = [sign_ins.open_session(db, person, "b", "", make.ISSUER) for _ in range(10)]
    seen = update(models.SignIn).where(models.SignIn.token_hash == hashed(held[0]))
    db.execute(seen.values(last_seen_at=func.clock_timestamp()))
    held.append(sign_ins.open_session(db, person, "b", "", make.ISSUER))
    assert [sign_ins.actor_of(db, secret).kind for secret in held] == ["person", "anonymous", *["person"] * 9]
    assert sign_ins.actor_of(db, theirs).kind == "person"


def test_a_session_fixed_before_signing_in_is_not_the_one_after_it(
    client: TestClient, portal: Portal, db: Session
) -> None:
    client.cookies.set("eoi", "chosen-by-an-attacker")
    make.person(db, STAFF, staff="reviewer")
    by_link(client, portal, "lead@firm.example")
    first = client.cookies["eoi"]
    assert first != "chosen-by-an-attacker"
    assert sign_ins.actor_of(db, "chosen-by-an-attacker").kind == "anonymous"
    by_link(client, portal, STAFF)
    halfway = client.cookies["eoi"]
    give_factor(client, db, portal, STAFF)
    assert len({first, halfway, client.cookies["eoi"]}) == 3
    replaced = client.cookies["eoi"]
    client.post("/account/sign-in", data={"email": STAFF, "next": "", "csrf_token": token_of(client, "/account")})
    link = [m for mail in deliver(portal) for m in re.findall(r"/account/link/[\w-]+", mail)][-1]
    assert client.post(link, data={"csrf_token": token_of(client, "/account")}).status_code == 303
    assert sign_ins.actor_of(db, replaced).kind == "anonymous"
    assert sign_ins.actor_of(db, halfway).kind == "anonymous"


@pytest.mark.parametrize("way", ["/account/sign-out", "/account/sign-ins/end"])
def test_a_stolen_cookie_is_worth_nothing_after_signing_out(
    client: TestClient, db: Session, sign_in: SignIn, way: str
) -> None:
    other = sign_in(client)
    elsewhere = client.cookies["eoi"]
    token = sign_in(client)
    assert other != token
    stolen = client.cookies["eoi"]
    assert client.post(way, data={"csrf_token": token}).status_code == 303
    assert "eoi" not in client.cookies
    client.cookies.set("eoi", stolen)
    assert client.get("/account").status_code == 303
    client.cookies.set("eoi", elsewhere)
    assert client.get("/account").status_code == (200 if way == "/account/sign-out" else 303)


def test_another_browser_is_told_of_by_mail_and_a_known_one_is_not(
    client: TestClient, portal: Portal, db: Session
) -> None:
    def told() -> int:
        return sum("had not seen you use" in mail for mail in deliver(portal))

    def again() -> None:
        client.post("/account/sign-in", data={"email": "lead@firm.example", "next": ""})
        links = [m for mail in deliver(portal) for m in re.findall(r"/account/link/[\w-]+", mail)]
        [client.post(link) for link in links]

    by_link(client, portal, "lead@firm.example")
    del client.cookies["eoi"]
    again()
    assert told() == 0
    by_link(client, portal, "lead@firm.example")
    assert told() == 1


@pytest.mark.parametrize(
    ("column", "limit"), [("last_seen_at", sign_ins.STAFF_IDLES), ("created_at", sign_ins.STAFF_LIVES)]
)
def test_a_session_of_staff_ends_sooner_than_one_of_others(
    client: TestClient, db: Session, sign_in: SignIn, column: str, limit: Any
) -> None:
    make.person(db, STAFF, staff="reviewer")
    for email, status in ((STAFF, 303), ("lead@firm.example", 200)):
        sign_in(client, email)
        with make.owner(db):
            db.execute(text(f"update sign_in set {column} = {column} - :by"), {"by": limit})
        assert client.get("/account").status_code == status


def test_outside_the_demonstration_no_page_shows_a_code(client: TestClient, portal: Portal, db: Session) -> None:
    make.person(db, STAFF, staff="reviewer")
    by_link(client, portal, STAFF)
    assert "data-code" in client.get("/account/factors/new").text
    object.__setattr__(portal.settings, "demo", False)
    assert "data-code" not in client.get("/account/factors/new").text
    person = db.scalars(select(Person).where(Person.email == STAFF)).one()
    db.scalars(select(Factor).where(Factor.person_id == person.id)).one().confirmed_at = text("now()")  # type: ignore[assignment]
    db.flush()
    page = client.get("/account/factors/ask")
    assert page.status_code == 200
    assert "data-code" not in page.text
