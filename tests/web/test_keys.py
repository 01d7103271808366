"""The pages of keys and webhooks: two people walk through them, each sees what is theirs to do, secrets are shown once."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import bearers
from app.models import ApiKey, Call, Notice, Webhook
from tests import make

SignIn = Callable[..., str]
ADMIN, COORDINATOR = "admin@rvo.example", "coordinator@rvo.example"


@pytest.fixture
def call(db: Session) -> Call:
    make.person(db, ADMIN, "Ada Admin", staff="admin")
    make.person(db, COORDINATOR, "Co Ordinator", staff="coordinator")
    return make.call(db)


def shown(page: Any) -> str:
    """What stands on a page, without its markup."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.text.partition("<main")[2].partition("</main>")[0]))


def form(token: str, call: Call, **more: Any) -> dict[str, Any]:
    whole = {"name": "EuroHPC", "kind": "key", "call": call.code, "scope": "submissions:read", "days": "30"}
    return whole | {"networks": "192.0.2.0/24", "csrf_token": token} | more


def test_two_people_issue_a_key_on_its_page(client: TestClient, db: Session, sign_in: SignIn, call: Call) -> None:
    token = sign_in(client, ADMIN)
    assert client.post("/manage/keys", data=form(token, call)).status_code == 303
    key = db.scalars(select(ApiKey)).one()
    here = f"/manage/keys/{key.id}"
    page = client.get("/manage/keys")
    assert f'action="{here}/approval"' not in page.text
    refusals = [client.post(f"{here}/{noun}", data={"csrf_token": token}) for noun in ("approval", "secret")]
    assert [answer.status_code for answer in refusals] == [403, 403]
    token = sign_in(client, COORDINATOR)
    assert f'action="{here}/approval"' in client.get("/manage/keys").text
    assert client.post(f"{here}/approval", data={"csrf_token": token}).status_code == 303
    assert client.post(f"{here}/secret", data={"csrf_token": token}).status_code == 404  # administrators alone
    token = sign_in(client, ADMIN)
    answer = client.post(f"{here}/secret", data={"csrf_token": token})
    (secret,) = re.findall(r"eoi_[0-9a-f]{12}_[0-9a-f]{48}_[0-9a-f]{8}", answer.text)
    assert answer.headers["cache-control"] == "no-store"
    db.expire_all()
    assert bearers.actor_of(db, secret, "192.0.2.1").api_key_id == key.id
    assert client.post(f"{here}/secret", data={"csrf_token": token}).status_code == 409
    assert secret not in client.get("/manage/keys").text
    token = sign_in(client, COORDINATOR)
    assert client.post(f"{here}/revocation", data={"csrf_token": token}).status_code == 303
    db.expire_all()
    with pytest.raises(bearers.KeyRevoked):
        bearers.actor_of(db, secret, "192.0.2.1")


def test_what_is_wrong_with_a_proposal_stands_at_its_field_and_what_was_typed_is_kept(
    client: TestClient, db: Session, sign_in: SignIn, call: Call
) -> None:
    token = sign_in(client, ADMIN)
    wrong = {
        "name": "",
        "days": "0",
        "networks": "x",
        "kind": "client_key",
        "public_key": "x",
        "scope": "all",
        "call": "no",
    }
    page = client.post("/manage/keys", data=form(token, call) | wrong | {"call": "no"})
    assert page.status_code == 422
    fields = ("name", "call", "scope", "days", "networks", "public_key")
    assert all(f'id="{name}-error"' in page.text and f'href="#{name}"' in page.text for name in fields)
    assert all(f'id="{name}"' in page.text for name in fields)
    assert re.search(r'<textarea[^>]* id="networks"[^>]*>\s*x</textarea>', page.text)
    assert db.scalars(select(ApiKey)).all() == []


def test_a_private_key_is_refused_and_not_shown_again(client: TestClient, sign_in: SignIn, call: Call) -> None:
    token = sign_in(client, ADMIN)
    private = '{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"}'
    page = client.post("/manage/keys", data=form(token, call, kind="client_key", public_key=private))
    assert page.status_code == 422
    assert "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A" not in page.text


def test_use_and_refusals_are_told_in_words(
    client: TestClient, db: Session, portal: Portal, sign_in: SignIn, call: Call
) -> None:
    made, secret = make.agreed(db, [call.code])
    client.get("/api/v1/calls", headers={"Authorization": f"Bearer {secret}"})
    portal.meter.count(made.id, portal.now(), "refused:network_not_allowed")
    portal.meter.flush(portal.sessions, portal.now())
    sign_in(client, COORDINATOR)
    client.cookies.set("language", "nl")
    page = shown(client.get("/manage/keys"))
    assert "Verzoeken per groep adressen Groep Hoe vaak oproepen 1" in page
    assert "niet vanaf dit netwerk 1" in page
    assert "Ada Admin" in page
    assert "Co Ordinator" in page


def test_a_new_key_in_the_place_of_another_begins_with_what_that_one_has(
    client: TestClient, db: Session, sign_in: SignIn, call: Call
) -> None:
    made, _ = make.agreed(db, [call.code], networks=["192.0.2.0/24"])
    token = sign_in(client, ADMIN)
    page = client.get(f"/manage/keys?replaces={made.id}")
    assert f'name="replaces" value="{made.id}"' in page.text
    assert "192.0.2.0/24</textarea>" in page.text
    client.post("/manage/keys", data=form(token, call, replaces=str(made.id)))
    assert db.scalars(select(ApiKey.replaces).where(ApiKey.replaces.is_not(None))).all() == [made.id]


def told(asked: list[str], _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
    asked.append(statement)


@pytest.mark.parametrize("path", ["/manage/keys", "/manage/webhooks"])
def test_a_page_asks_as_much_for_three_as_for_one(
    client: TestClient, db: Session, sign_in: SignIn, call: Call, path: str
) -> None:
    sign_in(client, ADMIN)
    counted: list[int] = []
    for more in (1, 2):
        for _ in range(more):
            make.agreed(db, [call.code])
            make.webhook(db, call, "https://hook.example/")
        db.commit()
        db.expire_all()
        asked: list[str] = []
        listen = partial(told, asked)
        event.listen(db.get_bind(), "before_cursor_execute", listen)
        assert client.get(path).status_code == 200
        event.remove(db.get_bind(), "before_cursor_execute", listen)
        counted.append(len(asked))
    assert counted[0] == counted[1]


def test_two_people_register_a_webhook_and_its_notices_are_shown(
    client: TestClient, db: Session, portal: Portal, sign_in: SignIn, call: Call
) -> None:
    token = sign_in(client, ADMIN)
    typed = {"name": "EuroHPC", "url": "https://hook.example/eoi", "call": call.code, "event": "call.sealed"}
    assert client.post("/manage/webhooks", data=typed | {"csrf_token": token}).status_code == 303
    bad = client.post("/manage/webhooks", data=typed | {"csrf_token": token, "url": "javascript:x"})
    assert (bad.status_code, 'id="url-error"' in bad.text, "javascript:x" in bad.text) == (422, True, True)
    here = f"/manage/webhooks/{db.scalars(select(Webhook.id)).one()}"
    assert client.post(f"{here}/approval", data={"csrf_token": token}).status_code == 403
    token = sign_in(client, COORDINATOR)
    assert client.post(f"{here}/approval", data={"csrf_token": token}).status_code == 303
    token = sign_in(client, ADMIN)
    secret = re.findall(r"whsec_[\w+/=]+", client.post(f"{here}/secret", data={"csrf_token": token}).text)
    assert len(secret) == 1
    assert secret[0] not in client.get("/manage/webhooks").text
    make.submission(db, call, sent=True, signer=portal.signer)
    make.move_deadline(db, call, 0)
    make.seal(db, call, portal.signer)
    notice = db.scalars(select(Notice)).one()
    notice.failed_at, notice.last_status = portal.now(), 500
    db.flush()
    client.cookies.set("language", "nl")
    page = shown(client.get("/manage/webhooks?state=failed"))
    assert "een oproep is verzegeld" in page
    assert "opgegeven" in page
    assert "antwoord 500" in page
    again = f"/manage/webhooks/notices/{notice.id}/retry"
    assert [client.post(again, data={"csrf_token": token}).status_code for _ in range(2)] == [303, 404]
    assert client.post(f"{here}/end", data={"csrf_token": token}).status_code == 303
