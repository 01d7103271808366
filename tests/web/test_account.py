"""My account: the sessions are told apart by names that people know; signing in leads to where one's work is."""

import re

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.web import account, pages
from tests import make
from tests.conftest import deliver


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox, Windows"),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/605.1.15",
            "Safari, macOS",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
            "Edge, Windows",
        ),
        (
            "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36",
            "Chrome, Android",
        ),
        ("curl/8.5.0", ""),
        ("", ""),
    ],
)
def test_a_browser_is_called_by_its_own_name(agent: str, name: str) -> None:
    assert account._browser(agent) == name


@pytest.mark.parametrize(("role", "desk"), [(None, "/apply"), ("reviewer", "/review/mine"), ("admin", "/review/mine")])
@pytest.mark.parametrize(
    ("asked_for", "lands"),
    [
        ("", None),
        ("/account", "/account"),
        ("/apply", "/apply"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
    ],
)
def test_whoever_signs_in_lands_on_the_page_asked_for_or_else_where_their_own_work_is(
    client: TestClient, portal: Portal, db: Session, role: str | None, desk: str, asked_for: str, lands: str | None
) -> None:
    make.person(db, "somebody@firm.example", staff=role)
    page = client.get("/account/sign-in", params={"next": asked_for} if asked_for else {})
    assert f'name="next" value="{pages.own_path(asked_for) if asked_for else ""}"' in page.text
    client.post("/account/sign-in", data={"email": "somebody@firm.example", "next": asked_for})
    link = re.findall(r"/account/link/[\w-]+", deliver(portal)[-1])[-1]
    first = f"/account/factors/ask?{pages.query(next=lands or desk)}" if role else lands or desk
    assert client.post(link).headers["location"] == first
    again = client.get("/account/sign-in", params={"next": asked_for} if asked_for else {})
    assert again.headers["location"] == first


def test_the_link_to_sign_in_asks_for_the_page_that_it_stands_on_but_not_for_the_front_door(client: TestClient) -> None:
    for path, address in [
        ("/calls", "/account/sign-in"),
        ("/account/sign-in", "/account/sign-in"),
        ("/verify", "/account/sign-in?next=/verify"),
    ]:
        assert f'<a href="{address}">' in client.get(path).text
