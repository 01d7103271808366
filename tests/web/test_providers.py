"""Signing in by OpenID Connect, against a real provider: whom it brings in, what it shows, and what is refused."""

import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import accounts
from app.domain.errors import refusal_of
from app.infra import oidc
from app.infra.oidc import Provider
from app.infra.signing import Signer
from app.models import Organisation, Person, Receipt, SignInRequest
from app.settings import SettingsRefused
from tests import make, provider
from tests.provider import company
from tests.web.test_factors import token_of
from tests.web.test_guards import SignIn

LEAD = "lead@firm.example"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, Provider]]]:
    """The provider's process."""
    with provider.running(tmp_path_factory.mktemp("provider")) as started:
        yield started


@pytest.fixture
def issuer(broker: tuple[str, dict[str, Provider]], portal: Portal) -> str:
    """A portal that knows the provider; its address."""
    portal.providers.update(broker[1])
    return broker[0]


def begin(client: TestClient, name: str = "eherkenning", then: str = "/account") -> str:
    answer = client.get(f"/account/providers/{name}", params={"next": then})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def enter(client: TestClient, subject: str, name: str = "eherkenning", then: str = "/account") -> Any:
    return client.get(provider.approve(begin(client, name, then), subject))


def connect(client: TestClient, sign_in: SignIn, issuer: str, **claims: Any) -> str:
    """Somebody with an e-mail link account connects a broker to it; the subject that it knows them by."""
    subject = secrets.token_hex(8)
    provider.knows(issuer, subject, **company(**claims))
    sign_in(client, LEAD)
    assert enter(client, subject).headers["location"] == "/account"
    return subject


def test_it_asks_with_pkce_state_and_nonce_and_keeps_none_of_them(client: TestClient, db: Session, issuer: str) -> None:
    assert "Sign in with eHerkenning" in client.get("/account/sign-in").text
    asked = {name: values[0] for name, values in parse_qs(urlsplit(begin(client)).query).items()}
    assert (asked["response_type"], asked["code_challenge_method"], asked["client_id"]) == ("code", "S256", "eoi")
    assert asked["redirect_uri"] == "http://testserver/account/providers/eherkenning/callback"
    assert len(asked["state"]) >= 40
    row = str(db.execute(text("select row_to_json(r) from sign_in_request r")).scalar_one())
    assert [asked[name] for name in ("state", "nonce", "code_challenge") if asked[name] in row] == []


def test_an_account_by_link_is_connected_and_signs_in_with_its_organisation_from_then_on(
    client: TestClient, db: Session, sign_in: SignIn, issuer: str
) -> None:
    subject = connect(client, sign_in, issuer)
    page = client.get("/account").text
    assert "eHerkenning (substantial)" in page
    body = db.scalars(select(Organisation)).one()
    assert (body.name, body.country, body.registration_no, body.verified_by, body.verified_level) == (
        "Delta Compute BV", "NL", "69599084", "eHerkenning", "substantial",
    )  # fmt: skip
    assert "vouched for by eHerkenning" in client.get(f"/account/organisations/{body.id}").text
    client.cookies.clear()
    started = time.perf_counter()
    assert enter(client, subject, then="/apply").headers["location"] == "/apply"
    assert time.perf_counter() - started < 5
    assert LEAD in client.get("/account").text
    assert len(db.scalars(select(Organisation)).all()) == 1


def test_an_organisation_of_ones_own_with_that_number_is_vouched_for_and_one_of_others_is_not_entered(
    client: TestClient, db: Session, sign_in: SignIn, issuer: str
) -> None:
    squatter = make.person(db, "squatter@else.example")
    theirs = accounts.describe_organisation(db, squatter, "Squat BV", "NL", "69599084")
    lead = make.person(db, LEAD)
    mine = accounts.describe_organisation(db, lead, "Mine BV", "NL", "69599084")
    connect(client, sign_in, issuer)
    db.expire_all()
    assert (theirs.verified_at, mine.verified_by) == (None, "eHerkenning")
    joined = accounts.belongings(db, db.scalars(select(Person.id).where(Person.email == LEAD)).one())
    assert [(one.name, one.role) for one in joined] == [("Mine BV", "owner")]
    accounts.describe_organisation(
        db, accounts.actor_for(db, db.get_one(Person, lead.person_id)), "New name", "DE", "1", mine.id
    )
    assert (mine.name, mine.country, mine.registration_no) == ("New name", "NL", "69599084")
    with pytest.raises(DBAPIError) as failure, db.begin_nested():
        db.execute(text("update organisation set registration_no = '1' where verified_at is not null"))
    refusal = refusal_of(failure.value)
    assert refusal
    assert refusal.code == "number_verified"


def test_the_receipt_says_by_which_level_and_a_call_can_ask_for_one(
    client: TestClient, db: Session, sign_in: SignIn, issuer: str, signer: Signer
) -> None:
    call = make.call(db, of=make.definition() | {"assurance": "substantial"})
    case, _ = make.submission(db, call, make.person(db, LEAD))
    with make.owner(db):
        db.execute(text("update organisation set registration_no = '69599084'"))
    db.expire_all()
    token = sign_in(client, LEAD)
    form = {"csrf_token": token, "key": "one"}
    refused = client.post(f"/apply/{case.reference}/receipts", data=form)
    assert (refused.status_code, "higher level of assurance" in refused.text) == (403, True)
    connect(client, sign_in, issuer, acr="urn:etoegang:core:assurance-class:loa2")
    form["csrf_token"] = token_of(client, "/account")
    assert client.post(f"/apply/{case.reference}/receipts", data=form).status_code == 403
    connect(client, sign_in, issuer)
    form["csrf_token"] = token_of(client, "/account")
    assert client.post(f"/apply/{case.reference}/receipts", data=form).status_code == 303
    said = db.scalars(select(Receipt.body)).one()
    assert said["submitter"]["login_assurance"] == "eHerkenning (substantial)"
    assert said["organisation"]["registration_no"] == "69599084"


def test_a_level_for_another_organisation_does_not_count(
    client: TestClient, db: Session, sign_in: SignIn, issuer: str, signer: Signer
) -> None:
    call = make.call(db, of=make.definition() | {"assurance": "low"})
    case, _ = make.submission(db, call, make.person(db, LEAD))
    connect(client, sign_in, issuer)
    form = {"csrf_token": token_of(client, "/account"), "key": "one"}
    assert client.post(f"/apply/{case.reference}/receipts", data=form).status_code == 403


def test_a_replayed_callback_is_refused(client: TestClient, sign_in: SignIn, issuer: str) -> None:
    subject = connect(client, sign_in, issuer)
    client.cookies.delete("eoi")
    back = provider.approve(begin(client), subject)
    assert client.get(back).status_code == 303
    client.cookies.delete("eoi")
    again = client.get(back)
    assert (again.status_code, "eoi" in client.cookies) == (422, False)


@pytest.mark.parametrize("forged", ["state", "code", "browser", "iss", "provider", "late", "broken off"])
def test_a_callback_that_is_not_the_answer_to_what_this_browser_asked_is_refused(
    client: TestClient, db: Session, sign_in: SignIn, issuer: str, forged: str
) -> None:
    subject = connect(client, sign_in, issuer)
    client.cookies.delete("eoi")
    back = provider.approve(begin(client), subject)
    if forged == "state":
        back = back.replace("state=", "state=x")
    elif forged == "code":
        back = back.replace("code=", "code=x")
    elif forged == "browser":
        client.cookies.delete("browser")
        client.cookies.set("browser", "another")
    elif forged == "iss":
        back += "&iss=https://evil.example"
    elif forged == "provider":
        back = back.replace("/eherkenning/", "/rvo/")
    elif forged == "late":
        with make.owner(db):
            db.execute(text("update sign_in_request set expires_at = created_at"))
    else:
        back = back.split("?")[0] + "?error=access_denied&state=" + parse_qs(urlsplit(back).query)["state"][0]
    assert client.get(back).status_code == 422
    assert "eoi" not in client.cookies


@pytest.mark.parametrize("wrong", ["issuer", "client_id", "nonce"])
def test_an_answer_of_another_issuer_for_another_client_or_with_another_nonce_is_not_believed(
    client: TestClient, portal: Portal, sign_in: SignIn, issuer: str, wrong: str
) -> None:
    subject = connect(client, sign_in, issuer)
    found = portal.providers["eherkenning"]
    verifier, nonce = "v" * 50, "n" * 40
    back = "http://testserver/back"
    code = parse_qs(urlsplit(provider.approve(found.address(back, "s", nonce, verifier, False), subject)).query)[
        "code"
    ][0]
    right = {"issuer": f"{issuer}/", "client_id": "other"}
    other = provider.changed(found, **{wrong: right[wrong]}) if wrong in right else found
    with pytest.raises(oidc.ProviderFailed):
        other.claims_of(back, code, "another" if wrong == "nonce" else nonce, verifier)


def test_somebody_new_whose_address_nobody_vouches_for_signs_in_by_link_first(
    client: TestClient, db: Session, issuer: str
) -> None:
    provider.knows(issuer, "new-one", **company(email=LEAD, email_verified=True))
    assert enter(client, "new-one").status_code == 403
    assert db.scalars(select(Person)).all() == []


def test_a_way_to_sign_in_belongs_to_one_account(client: TestClient, sign_in: SignIn, issuer: str, db: Session) -> None:
    subject = connect(client, sign_in, issuer)
    sign_in(client, "other@firm.example")
    assert enter(client, subject).status_code == 409


def test_staff_come_in_by_single_sign_on_with_the_role_that_it_gives_now(
    client: TestClient, db: Session, issuer: str
) -> None:
    said = {"email": "jo@rvo.example", "email_verified": True, "name": "Jo"}
    provider.knows(issuer, "jo", **said, groups=["eoi-readers", "eoi-leads", "others"], amr=["pwd", "mfa"])
    assert enter(client, "jo", "rvo", "").headers["location"] == "/review/mine"
    assert client.get("/manage/people").status_code == 200
    provider.knows(issuer, "jo", **said, groups=["eoi-readers"], amr=["pwd"])
    assert enter(client, "jo", "rvo", "/review").headers["location"].startswith("/account/factors/ask")
    assert client.get("/review").status_code == 303
    provider.knows(issuer, "jo", **said, groups=["eoi-readers"], amr=["mfa"])
    assert enter(client, "jo", "rvo", "/review").headers["location"] == "/review"
    assert client.get("/manage/people").status_code == 404
    with make.owner(db):
        db.execute(text("update sign_in set factor_at = factor_at - interval '1 hour'"))
    anew = client.get("/account/factors/ask?next=/review").headers["location"]
    assert anew == "/account/providers/rvo?anew=yes&next=%2Freview"
    assert "prompt=login" in client.get(anew).headers["location"]
    provider.knows(issuer, "jo", **said, groups=["others"], amr=["mfa"])
    assert enter(client, "jo", "rvo").status_code == 403


def test_a_broker_of_companies_makes_nobody_staff(
    client: TestClient, db: Session, sign_in: SignIn, issuer: str
) -> None:
    subject = connect(client, sign_in, issuer, groups=["eoi-leads"], amr=["mfa"])
    accounts.invite_staff(db, LEAD, "coordinator")
    client.cookies.clear()
    assert enter(client, subject).headers["location"].startswith("/account/factors/ask")


def test_a_provider_that_is_away_is_said_to_be(client: TestClient, portal: Portal, issuer: str) -> None:
    portal.providers["gone"] = provider.changed(
        portal.providers["eherkenning"], issuer="http://127.0.0.1:9", name="gone"
    )
    assert client.get("/account/providers/gone").status_code == 503
    assert client.get("/account/providers/none").status_code == 404


def test_asking_is_throttled(client: TestClient, db: Session, issuer: str) -> None:
    for _ in range(50):
        begin(client)
    assert client.get("/account/providers/eherkenning").status_code == 429
    assert len(db.scalars(select(SignInRequest)).all()) == 50


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"issuer": "http://broker.example"}, "not https"),
        ({"for": "all"}, "neither companies nor staff"),
        ({"name": "a/b"}, "no short name"),
        ({"levels": {"x": "top"}}, "none of low"),
        ({"roles": {"x": "boss"}}, "none of reviewer"),
        ({"surprise": 1}, "each entry has"),
        ({"client_secret": None}, None),
    ],
)
def test_a_file_of_providers_that_will_not_do_stops_the_start(
    tmp_path: Path, change: dict[str, Any], says: str | None
) -> None:
    path = tmp_path / "providers.yaml"
    path.write_text(yaml.safe_dump([provider.listed()[0] | change]))
    if says is None:
        assert list(oidc.from_file(path, may_be_plain=False)) == ["eherkenning"]
        return
    with pytest.raises(SettingsRefused, match=says):
        oidc.from_file(path, may_be_plain=False)


def test_without_a_file_there_are_no_providers(client: TestClient) -> None:
    assert oidc.from_file(None, may_be_plain=False) == {}
    assert "/account/providers/" not in client.get("/account/sign-in").text


def test_the_manuals_example_is_taken_as_it_stands(tmp_path: Path) -> None:
    manual = (Path(__file__).parents[2] / "docs" / "sign-in.md").read_text()
    path = tmp_path / "providers.yaml"
    path.write_text(manual.split("```yaml providers\n")[1].split("```")[0])
    found = oidc.from_file(path, may_be_plain=False)
    assert {one.name: one.is_for_staff for one in found.values()} == {"eherkenning": False, "rvo": True}
