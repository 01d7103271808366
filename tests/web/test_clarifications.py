"""Questions and answers as pages: what each side sees, what is refused, and what stays on screen."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.domain import accounts, calls, clarifications, conflicts
from app.domain.access import Actor
from app.infra.signing import Signer
from app.models import Answer, Clarification, Event, Person, Submission
from tests import make

SignIn = Callable[..., str]
OWNER, REVIEWER = "lead@firm.example", "jo@rvo.example"


@pytest.fixture
def case(db: Session, signer: Signer) -> Submission:
    """A submitted case of a sealed call, open to the reviewer."""
    made, _ = make.submission(db, sent=True, signer=signer)
    make.close(db, made.call)
    make.free(db, make.person(db, REVIEWER, staff="reviewer"), made)
    return made


def owner(db: Session) -> Actor:
    return accounts.actor_for(db, db.scalars(select(Person).where(Person.email == OWNER)).one())


def question(db: Session, token: str, days: int = 3, **other: str) -> dict[str, str]:
    due = calls.clock(db) + timedelta(days=days)
    day = {"due-day": str(due.day), "due-month": str(due.month), "due-year": str(due.year)}
    return {"csrf_token": token, "topic": "contact_details", "words": "Whose phone is it?"} | day | other


def answer(client: TestClient, case: Submission, token: str, words: str, *files: tuple[str, bytes]) -> Any:
    return client.post(
        f"/apply/{case.reference}/clarifications/1/answers",
        data={"csrf_token": token, "words": words},
        files=[("files", (name, content, "application/pdf")) for name, content in files] or None,
    )


def test_a_question_is_asked_answered_with_a_file_and_read_by_both_sides(
    client: TestClient, db: Session, case: Submission, sign_in: SignIn
) -> None:
    token = sign_in(client, REVIEWER)
    desk = f"/review/{case.reference}/clarifications"
    assert client.post(desk, data=question(db, token)).headers["location"] == desk
    token = sign_in(client, OWNER)
    here = f"/apply/{case.reference}/clarifications/1"
    for page in ("/apply", f"/apply/{case.reference}", here):
        assert ("Question 1 from RVO" in client.get(page).text, here in client.get(page).text) == (True, True)
    assert answer(client, case, token, "Ours: +31…", ("proof.pdf", make.document())).headers["location"] == here
    sha256 = make.sha256(make.document())
    page = client.get(here).text
    assert all(words in page for words in ("Ours: +31…", "given after closing", "proof.pdf", sha256))
    assert "Send the answer" not in page
    assert here not in client.get("/apply").text
    kept = client.get(f"{here}/files/{sha256}")
    assert (kept.content, kept.headers["content-security-policy"]) == (
        make.document(),
        "default-src 'none'; sandbox",
    )
    assert client.get(f"{here}/files/{'0' * 64}").status_code == 404
    sign_in(client, REVIEWER)
    for page in (desk, f"/review/{case.reference}"):
        shown = client.get(page).text
        assert all(words in shown for words in ("Ours: +31…", "given after closing", sha256)), page
    assert client.get(f"/review/{case.reference}/dossier.pdf").status_code == 200
    assert client.get(f"/review/{case.reference}/attachments/{sha256}").content == make.document()


def test_a_question_with_a_fault_is_shown_again_with_everything_typed(
    client: TestClient, db: Session, case: Submission, sign_in: SignIn
) -> None:
    token = sign_in(client, REVIEWER)
    desk = f"/review/{case.reference}/clarifications"
    faults = [
        {"words": ""},
        {"topic": "price"},
        {"due-day": "31", "due-month": "2"},
        {"due-year": "²"},
        {"due-year": "9" * 9},
        {"due-year": "2020"},
        {"due-year": "9999", "due-month": "12", "due-day": "31"},
        {"due-day": ""},
    ]
    for fault in faults:
        given = question(db, token) | fault
        page = client.post(desk, data=given)
        assert (page.status_code, "There is a problem" in page.text) == (422, True), fault
        assert given["words"] in page.text, fault
    assert db.scalar(select(Clarification.id)) is None


def test_a_file_that_is_refused_keeps_the_text_on_the_page_and_sends_nothing(
    client: TestClient, db: Session, case: Submission, sign_in: SignIn
) -> None:
    make.asked(db, case)
    token = sign_in(client)
    for name, content in (("virus.pdf", b"MZ"), ("run.exe", b"MZ")):
        page = answer(client, case, token, "Kept on screen.", ("good.pdf", make.document()), (name, content))
        assert (page.status_code, "Kept on screen." in page.text, name in page.text) == (422, True, True)
    page = answer(client, case, token, "   ", ("good.pdf", make.document()))
    assert (page.status_code, "Write an answer." in page.text) == (422, True)
    assert db.scalar(select(Answer.digest)) is None


def test_a_late_answer_is_refused_with_the_text_on_screen_until_there_is_more_time(
    client: TestClient, db: Session, case: Submission, sign_in: SignIn
) -> None:
    asked = make.asked(db, case)
    token = sign_in(client)
    make.make_due(db, asked, -0.001)
    late = answer(client, case, token, "Typed with care.")
    assert (late.status_code, "Typed with care." in late.text, "Your answer" in late.text) == (409, True, True)
    assert "The time to answer has passed." in client.get(f"/apply/{case.reference}/clarifications/1").text
    staff = sign_in(client, REVIEWER)
    desk = f"/review/{case.reference}/clarifications"
    for fault in ({"due-day": "x"}, {"due-year": "2020"}):
        assert client.post(f"{desk}/1/extensions", data=question(db, staff) | fault).status_code == 422
    assert client.post(f"{desk}/1/extensions", data=question(db, staff)).status_code == 303
    assert "Given more time" in client.get(desk).text
    token = sign_in(client)
    assert answer(client, case, token, "Typed with care.").status_code == 303
    assert answer(client, case, token, "And again.").status_code == 409


def test_a_withdrawn_question_says_so_to_both_sides(
    client: TestClient, db: Session, case: Submission, sign_in: SignIn
) -> None:
    make.asked(db, case)
    token = sign_in(client, REVIEWER)
    where = f"/review/{case.reference}/clarifications/1/withdrawal"
    assert client.post(where, data={"csrf_token": token, "reason": " "}).status_code == 422
    assert client.post(where, data={"csrf_token": token, "reason": "Found it."}).status_code == 303
    token = sign_in(client)
    page = client.get(f"/apply/{case.reference}/clarifications/1").text
    assert ("no answer is needed" in page, "Found it." in page) == (True, True)
    assert answer(client, case, token, "All the same.").status_code == 409


def test_viewers_read_strangers_see_nothing_and_a_conflict_hides_it(
    client: TestClient, db: Session, case: Submission, sign_in: SignIn
) -> None:
    make.asked(db, case)
    make.invite(db, owner(db), case.organisation_id, "viewer@firm.example", "viewer")
    here, desk = f"/apply/{case.reference}/clarifications/1", f"/review/{case.reference}/clarifications"
    token = sign_in(client, "viewer@firm.example")
    page = client.get(here)
    assert (page.status_code, "Send the answer" in page.text) == (200, False)
    assert answer(client, case, token, "Mine.", ("a.pdf", b"%PDF")).status_code == 403
    make.organisation(db, make.person(db, "stranger@else.example"))
    token = sign_in(client, "stranger@else.example")
    asked = [client.get(path).status_code for path in (here, f"{here}/files/{'0' * 64}", desk)]
    assert [*asked, answer(client, case, token, "Mine.").status_code] == [404] * 4
    reviewer = accounts.actor_for(db, db.scalars(select(Person).where(Person.email == REVIEWER)).one())
    conflicts.state(db, reviewer, case, "conflict", "Shares.")
    token = sign_in(client, REVIEWER)
    posts = [desk, f"{desk}/1/extensions", f"{desk}/1/withdrawal"]
    assert [client.post(path, data=question(db, token, reason="x")).status_code for path in posts] == [404] * 3
    assert client.get(desk).status_code == 404


def test_before_a_statement_of_interest_nothing_is_asked(
    client: TestClient, db: Session, case: Submission, sign_in: SignIn
) -> None:
    make.asked(db, case)
    make.person(db, "new@rvo.example", staff="reviewer")
    token = sign_in(client, "new@rvo.example")
    desk = f"/review/{case.reference}/clarifications"
    assert client.get(desk).headers["location"].startswith(f"/review/{case.reference}/conflict")
    assert client.post(desk, data=question(db, token)).status_code == 403


def test_reading_and_asking_are_on_record(client: TestClient, db: Session, case: Submission, sign_in: SignIn) -> None:
    token = sign_in(client, REVIEWER)
    client.post(f"/review/{case.reference}/clarifications", data=question(db, token))
    names = db.scalars(select(Event.name).where(Event.submission_id == case.id).order_by(Event.id)).all()
    assert names[-2:] == ["dossier.read", "clarification.asked"]
    (event,) = db.scalars(select(Event).where(Event.name == "clarification.asked"))
    assert set(event.detail) == {"number", "topic", "due_at"}
    assert clarifications.one(db, case, 1).number == 1
