"""The pages of the form while somebody types: saved by themselves, merged with a colleague's text, watched over."""

import re
from collections.abc import Callable
from html import unescape
from io import BytesIO
from typing import Any

import pikepdf
import pytest
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.domain import accounts, attachments, drafts
from app.domain.access import Actor
from app.infra.signing import Signer
from app.models import Attempt, Draft, Event, SignIn, Submission
from tests import make

SignIns = Callable[..., str]
JSON = {"Accept": "application/json"}


@pytest.fixture
def case(db: Session) -> tuple[Submission, Actor]:
    """A draft of the person who signs in by default."""
    return make.submission(db)


def kept(db: Session, step: str = "summary") -> tuple[int, dict[str, Any]]:
    """The revision and answers of a saved page."""
    row = db.execute(text("select revision, answers from draft where step = :s"), {"s": step}).one()
    return row.revision, row.answers


def test_what_is_typed_is_saved_with_its_revision_and_sent_again_it_is_saved_once(
    client: TestClient, db: Session, sign_in: SignIns, case: tuple[Submission, Actor]
) -> None:
    token, here = sign_in(client), f"/apply/{case[0].reference}/summary/revisions"
    form = {"csrf_token": token, "revision": "1", "title": "Typed", "contact_email": "lead@firm.example"}
    first = client.post(here, data=form, headers=JSON)
    assert (first.status_code, first.json()["revision"]) == (200, 2)
    again = client.post(here, data=form, headers=JSON)  # as when the answer was lost on its way
    assert again.json() == first.json()
    assert kept(db)[0] == 2
    saved = db.scalars(select(Event.detail).where(Event.name == "draft.saved")).all()
    assert saved.count({"step": "summary", "revision": 2}) == 1
    stale = client.post(here, data=form | {"title": "Typed on"}, headers=JSON)
    assert (stale.status_code, stale.json()["code"]) == (409, "stale_step")
    assert kept(db)[1]["title"] == "Typed"


def test_what_cannot_be_read_is_named_where_it_is_saved(
    client: TestClient, sign_in: SignIns, case: tuple[Submission, Actor]
) -> None:
    token, here = sign_in(client), f"/apply/{case[0].reference}/finance/revisions"
    told = client.post(here, data={"csrf_token": token, "revision": "1", "capex_total": "much"}, headers=JSON).json()
    assert told["words"].startswith("Saved ")
    assert told["words"].endswith(". Cannot be read yet, kept as you typed it: CAPEX.")


def test_a_script_is_refused_in_words_that_it_can_read(
    client: TestClient, db: Session, sign_in: SignIns, case: tuple[Submission, Actor]
) -> None:
    here = f"/apply/{case[0].reference}/summary/revisions"
    assert client.post(here, data={"title": "x"}, headers=JSON).json()["code"] == "unauthenticated"
    token = sign_in(client)
    assert client.post(here, data={"title": "x"}, headers=JSON).json()["code"] == "cross_site"
    make.close(db, case[0].call)
    late = client.post(here, data={"csrf_token": token, "revision": "1", "title": "x"}, headers=JSON)
    assert (late.status_code, late.json()["code"]) == (409, "call_closed")
    pressed = client.post(f"/apply/{case[0].reference}/receipts", data={"csrf_token": token, "key": "k"}, headers=JSON)
    assert (pressed.status_code, pressed.json()["code"]) == (409, "call_closed")
    assert db.scalars(select(Attempt.code)).all() == ["call_closed"]  # on record however it was asked


def colleague(db: Session, case: Submission, owner: Actor) -> Actor:
    """Somebody else who may edit the case."""
    make.person(db, "ann@firm.example", "Ann Colleague")
    make.invite(db, owner, case.organisation_id, "ann@firm.example", "editor")
    return accounts.actor_for(db, accounts.person_named(db, "ann@firm.example"))


def save(db: Session, actor: Actor, case: Submission, step: str, revision: int, **answers: Any) -> None:
    """A page as somebody saves it."""
    drafts.save_step(db, actor, case, step, revision, answers, {})


def marks_of(page: str) -> str:
    return page.split('name="marks" value="')[1].split('"')[0]


def test_two_texts_stand_side_by_side_and_what_is_picked_is_saved(
    client: TestClient, db: Session, sign_in: SignIns, case: tuple[Submission, Actor]
) -> None:
    submission, owner = case
    ann = colleague(db, submission, owner)
    token, here = sign_in(client), f"/apply/{submission.reference}/summary"
    began = marks_of(client.get(here).text)
    hers = {"title": "Ann's", "abstract": "Ann wrote this.", "contact_email": "lead@firm.example"}
    save(db, ann, submission, "summary", 1, **hers)
    mine = {
        "csrf_token": token,
        "revision": "1",
        "marks": began,
        "title": "Mine",
        "abstract": "Compute by the sea.",
        "contact_email": "lead@firm.example",
    }
    both = client.post(here, data=mine | {"action": "save"})
    assert both.status_code == 409
    assert "Ann Colleague saved it at " in both.text
    assert both.text.count("Both changed this.") == 1  # the title
    assert both.text.count("Only the other text changed this.") == 1  # the abstract
    assert 'value="theirs" checked' in both.text  # which only Ann changed
    assert kept(db)[1]["title"] == "Ann's"
    unpicked = client.post(here, data=mine | {"revision": "2", "action": "merge"})
    assert (unpicked.status_code, "Choose one of the two." in unpicked.text) == (409, True)
    picked = client.post(
        here, data=mine | {"revision": "2", "action": "merge", "pick:title": "mine", "pick:abstract": "theirs"}
    )
    assert picked.status_code == 303
    assert kept(db) == (3, {"title": "Mine", "abstract": "Ann wrote this.", "contact_email": "lead@firm.example"})


def test_a_third_save_meanwhile_shows_both_again(
    client: TestClient, db: Session, sign_in: SignIns, case: tuple[Submission, Actor]
) -> None:
    submission, owner = case
    ann = colleague(db, submission, owner)
    token, here = sign_in(client), f"/apply/{submission.reference}/summary"
    save(db, ann, submission, "summary", 1, title="Second")
    save(db, ann, submission, "summary", 2, title="Third")
    mine = {"csrf_token": token, "revision": "2", "action": "merge", "title": "Mine", "pick:title": "mine"}
    again = client.post(here, data=mine)
    assert (again.status_code, "Third" in again.text, 'name="revision" value="3"' in again.text) == (409, True, True)
    assert kept(db)[1] == {"title": "Third"}


def test_items_that_one_of_two_added_are_picked_as_a_list_and_typed_texts_go_with_it(
    client: TestClient, db: Session, sign_in: SignIns, case: tuple[Submission, Actor]
) -> None:
    submission, owner = case
    ann = colleague(db, submission, owner)
    token, here = sign_in(client), f"/apply/{submission.reference}/members"
    began = marks_of(client.get(here).text)
    hers = make.ANSWERS["FC"]["members"]["members"][0] | {"legal_name": "Delta NV", "owners": []}
    save(db, ann, submission, "members", 1, members=[hers])
    mine = {
        "csrf_token": token, "revision": "1", "marks": began, "members-0-legal_name": "Delta BV", "members-0-country": "NL",
        "members-0-owners-0-name": "A. Holder", "members-0-owners-0-share": "sixty",
    }  # fmt: skip
    both = client.post(here, data=mine | {"action": "save"})
    assert "1 · Name: A. Holder\nsixty" in both.text
    assert "Only the other text changed this." in both.text  # the name of the member
    assert "Both changed this." in both.text  # the owners
    done = client.post(here, data=mine | {"revision": "2", "action": "merge", "pick:members-0-owners": "mine"})
    assert done.status_code == 303
    assert kept(db, "members")[1] == {
        "members": [{"legal_name": "Delta NV", "country": "NL", "owners": [{"name": "A. Holder"}]}]
    }
    unread = db.scalars(select(Draft.unread).where(Draft.step == "members")).one()
    assert unread["members-0-owners-0-share"]["text"] == "sixty"


def test_an_open_page_learns_who_else_is_there_and_what_was_saved(
    client: TestClient, db: Session, sign_in: SignIns, case: tuple[Submission, Actor]
) -> None:
    submission, owner = case
    colleague(db, submission, owner)
    sign_in(client, "ann@firm.example")
    client.get(f"/apply/{submission.reference}/finance")
    token = sign_in(client)
    here = f"/apply/{submission.reference}/summary/presence"
    told = client.get(here, headers=JSON).json()
    assert told["people"] == ["Ann Colleague is on the page Finance now."]
    assert (told["state"], told["revision"], told["is_mine"], told["csrf_token"]) == ("open", 1, True, token)
    assert "Ann Colleague is on this page now." in client.get(f"/apply/{submission.reference}/finance").text
    with make.owner(db):
        db.execute(update(SignIn).values(stepped_at=text("clock_timestamp() - interval '1 minute'")))
    assert client.get(here, headers=JSON).json()["people"] == []
    make.close(db, submission.call)
    assert client.get(here, headers=JSON).json()["state"] == "closed"
    client.cookies.clear()
    assert client.get(here, headers=JSON).status_code == 401


def hidden(page: str, action: str) -> dict[str, str]:
    """The hidden fields of the form of a page that goes to an address."""
    form = page.split(f'<form method="post" action="{action}">')[1].split("</form>")[0]
    return {name: unescape(value) for name, value in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form)}


def test_without_scripts_a_page_whose_session_ended_is_sent_again_after_signing_in(
    client: TestClient, db: Session, sign_in: SignIns, case: tuple[Submission, Actor]
) -> None:
    token, here = sign_in(client), f"/apply/{case[0].reference}/summary"
    began = marks_of(client.get(here).text)
    client.cookies.clear()
    typed = {"csrf_token": token, "revision": "1", "marks": began, "title": 'My "title"', "action": "save"}
    ended = client.post(here, data=typed)
    assert (ended.status_code, 'target="_blank"' in ended.text) == (401, True)
    fresh = sign_in(client)  # in another tab of the same browser
    asked = client.post(here, data=hidden(ended.text, here))
    assert asked.status_code == 403
    assert "You are signed in as lead@firm.example." in asked.text
    assert kept(db)[1]["title"] == "Delta compute"
    again = hidden(asked.text, here)
    assert again == typed | {"csrf_token": fresh}
    assert client.post(here, data=again).status_code == 303
    assert kept(db)[1]["title"] == 'My "title"'


def test_what_another_site_sends_is_not_offered_to_be_sent_again(
    client: TestClient, sign_in: SignIns, case: tuple[Submission, Actor]
) -> None:
    sign_in(client)
    here = f"/apply/{case[0].reference}/summary"
    crossed = client.post(here, data={"title": "Planted"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert (crossed.status_code, "Planted" in crossed.text, f'action="{here}"' in crossed.text) == (403, False, False)


def test_in_the_last_day_the_task_list_says_what_blocks_or_submits_at_once(
    client: TestClient, db: Session, sign_in: SignIns, case: tuple[Submission, Actor]
) -> None:
    submission, owner = case
    sign_in(client)
    here = f"/apply/{submission.reference}"
    make.move_deadline(db, submission.call, 2 * 86400)
    assert "Before the cutoff" not in client.get(here).text
    make.move_deadline(db, submission.call, 86000)
    make.fill_more(db, owner, submission, "summary", {"title": None})
    blocked = client.get(here).text
    assert "1 thing still blocks." in blocked
    assert f'href="/apply/{submission.reference}/summary#title"' in blocked
    assert "1 thing still blocks a submit." in client.get(f"{here}/finance").text
    make.fill_more(db, owner, submission, "summary", {"title": "Whole"})
    assert "Submit now, and improve it later" in client.get(f"{here}/finance").text
    sent = client.post(f"{here}/receipts", data=hidden(client.get(here).text, f"{here}/receipts"))
    assert sent.headers["location"] == f"{here}/receipts/1"
    assert "Version 1 holds everything." in client.get(here).text


def another(number: int) -> bytes:
    """A document like no other."""
    with pikepdf.new() as made, BytesIO() as content:
        made.add_blank_page(page_size=(100 + number, 100))
        made.save(content)
        return content.getvalue()


def test_a_file_is_taken_in_when_it_is_chosen_and_replaced_by_its_name(
    client: TestClient, db: Session, sign_in: SignIns, case: tuple[Submission, Actor], signer: Signer
) -> None:
    submission, owner = case
    token, here = sign_in(client), f"/apply/{submission.reference}/attachments"
    form = {"csrf_token": token, "question": "proposal"}
    first = client.post(here, data=form, files={"file": ("plan.pdf", make.document())}, headers=JSON).json()
    assert (first["name"], first["sha256"], first["is_replaced"]) == ("plan.pdf", make.sha256(make.document()), False)
    make.send(db, owner, submission, signer)
    other = another(1)
    second = client.post(here, data=form, files={"file": ("plan.pdf", other)}, headers=JSON).json()
    assert (second["sha256"], second["is_replaced"]) == (make.sha256(other), True)
    assert [a.sha256 for a in attachments.of_submission(db, submission.id)] == [make.sha256(other)]
    assert client.get(f"{here}/{first['id']}").content == make.document()  # the version still holds it
    refused = client.post(here, data=form, files={"file": ("plan.exe", b"MZ")}, headers=JSON)
    assert (refused.status_code, refused.json()["code"]) == (422, "file_refused")
    assert kept(db, "documents")[0] == 1  # answers were not touched


def test_no_more_than_twenty_files_also_one_by_one_but_the_last_may_be_replaced(
    client: TestClient, db: Session, sign_in: SignIns, case: tuple[Submission, Actor]
) -> None:
    token, here = sign_in(client), f"/apply/{case[0].reference}/attachments"
    form = {"csrf_token": token, "question": "proposal"}

    def give(name: str, number: int) -> int:
        return client.post(here, data=form, files={"file": (name, another(number))}, headers=JSON).status_code

    assert [give(f"{n}.pdf", n) for n in range(21)] == [200] * 20 + [422]
    assert give("19.pdf", 99) == 200
    assert len(attachments.of_submission(db, case[0].id)) == 20
