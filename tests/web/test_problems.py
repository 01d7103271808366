"""Reporting a problem over HTTP: from any page, signed in or not, with a proof at once, whatever the mail does."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import proofs
from app.infra.mailer import Mailer
from app.models import Ticket
from app.web import problems
from tests import make
from tests.conftest import deliver

SignIn = Callable[..., str]


def test_every_page_leads_there_with_itself_and_its_submission_filled_in(
    client: TestClient, sign_in: SignIn, db: Session
) -> None:
    case, _ = make.submission(db)
    sign_in(client)
    here = f"/apply/{case.reference}/summary"
    page = client.get(here).text
    links = set(re.findall(r'href="(/problems\?page=[^"]+)"', page))
    assert links == {f"/problems?page={here}"}
    assert page.count("/problems?page=") == 2  # in the banner and at the foot
    form = client.get(links.pop()).text
    assert f'value="{here}"' in form
    assert f'value="{case.reference}"' in form


@pytest.mark.parametrize("path", ["/calls", "/verify", "/privacy", "/account/sign-in", "/no/such/page"])
def test_who_is_not_signed_in_finds_the_link_as_well(client: TestClient, path: str) -> None:
    assert f'href="/problems?page={path}"' in client.get(path).text


def test_a_refused_page_leads_there(client: TestClient, sign_in: SignIn, db: Session) -> None:
    case, _ = make.submission(db)
    token = sign_in(client)
    make.move_deadline(db, case.call, 0)
    answer = client.post(f"/apply/{case.reference}/receipts", data={"csrf_token": token, "key": "k"})
    assert answer.text.count(f'href="/problems?page=/apply/{case.reference}/receipts"') == 2


def test_a_report_gives_a_signed_proof_also_when_no_mail_can_be_sent(
    client: TestClient, sign_in: SignIn, db: Session, portal: Portal
) -> None:
    case, actor = make.submission(db)
    token = sign_in(client)
    portal.mailer = replace(Mailer("127.0.0.1", 9), folder=None)  # nobody listens there
    sent = {"csrf_token": token, "words": "Submit <hangs>", "page": "/apply", "submission": case.reference.lower()}
    answer = client.post("/problems", data=sent)
    assert answer.status_code == 303
    ticket = db.scalars(select(Ticket)).one()
    assert (ticket.person_id, ticket.submission_id, ticket.words) == (actor.person_id, case.id, "Submit <hangs>")
    page = client.get(answer.headers["location"]).text
    assert ticket.reference in page
    assert "Submit &lt;hangs&gt;" in page
    document = client.get(f"/problems/{ticket.reference}.json").json()
    assert proofs.verify(document, portal.signer.jwks()).outcome == "valid"
    assert client.post("/api/v1/receipts/verify", json=document).json()["outcome"] == "valid"


def test_without_signing_in_the_page_of_the_ticket_shows_no_words_and_later_the_answer(
    client: TestClient, sign_in: SignIn, db: Session
) -> None:
    answer = client.post("/problems", data={"words": "I cannot sign in", "page": "/account/sign-in"})
    place = answer.headers["location"]
    assert "I cannot sign in" not in client.get(place).text
    make.person(db, "desk@rvo.example", staff="coordinator")
    token = sign_in(client, "desk@rvo.example")
    listed = client.get("/manage/tickets").text
    assert "I cannot sign in" in listed
    reference = place.rpartition("/")[2]
    done = client.post(f"/manage/tickets/{reference}/answer", data={"csrf_token": token, "answer": "Try again."})
    assert done.status_code == 303
    client.cookies.clear()
    assert "Try again." in client.get(place).text


def test_the_answer_reaches_the_reporter_by_mail(
    client: TestClient, sign_in: SignIn, db: Session, portal: Portal
) -> None:
    token = sign_in(client)
    client.post("/problems", data={"csrf_token": token, "words": "It hangs", "page": "/apply"})
    reference = db.scalars(select(Ticket.reference)).one()
    make.person(db, "desk@rvo.example", staff="coordinator")
    token = sign_in(client, "desk@rvo.example")
    client.post(f"/manage/tickets/{reference}/answer", data={"csrf_token": token, "answer": "It works again."})
    assert sum("It works again." in mail for mail in deliver(portal)) == 1
    again = client.post(f"/manage/tickets/{reference}/answer", data={"csrf_token": token, "answer": "Twice"})
    assert again.status_code == 409


@pytest.mark.parametrize(
    ("sent", "asked"),
    [
        ({"words": "", "page": "/apply"}, "#words"),
        ({"words": "   "}, "#words"),
        ({"words": "It hangs", "submission": "not a reference"}, "#submission"),
    ],
)
def test_what_is_missing_is_asked_for_and_what_was_typed_is_kept(
    client: TestClient, db: Session, sent: dict[str, str], asked: str
) -> None:
    answer = client.post("/problems", data=sent)
    assert answer.status_code == 422
    assert f'href="{asked}"' in answer.text
    assert all(value.strip() in answer.text for value in sent.values())
    assert db.scalars(select(Ticket)).all() == []


def test_a_network_may_report_so_often_an_hour_and_a_person_is_counted_apart(
    client: TestClient, sign_in: SignIn, db: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(problems, "REPORTS", 2)
    answers = [client.post("/problems", data={"words": f"Number {n}"}) for n in range(3)]
    assert [a.status_code for a in answers] == [303, 303, 429]
    assert "Number 2" in answers[2].text
    token = sign_in(client)
    assert client.post("/problems", data={"csrf_token": token, "words": "Mine"}).status_code == 303
    assert db.execute(text("select count(*) from ticket")).scalar_one() == 3


def test_nobody_reads_the_ticket_of_another_person(client: TestClient, sign_in: SignIn) -> None:
    token = sign_in(client)
    place = client.post("/problems", data={"csrf_token": token, "words": "Mine"}).headers["location"]
    assert client.get(place).status_code == 200
    sign_in(client, "other@else.example")
    assert [client.get(place + ending).status_code for ending in ("", ".json")] == [404, 404]
    assert client.get("/manage/tickets").status_code == 404


@pytest.mark.parametrize("odd", ["\x00", "a" * 20_000, "<script>", "۱۲۳", "//evil.example"])
def test_odd_reports_never_break_the_portal(client: TestClient, odd: str) -> None:
    assert client.post("/problems", data={"words": odd, "page": odd, "submission": odd}).status_code < 500
    assert client.get("/problems", params={"page": odd}).status_code == 200
    assert client.get("/problems", params={"page": f"/apply/{odd}"}).status_code == 200
