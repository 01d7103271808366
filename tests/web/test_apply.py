"""The applicant's pages over HTTP: nothing typed is lost, nobody sees another's case, a double click is one submit."""

from collections.abc import Callable

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import verification
from app.domain.access import Actor
from app.models import Attempt, Submission, Version
from tests import make

SignIn = Callable[..., str]


@pytest.fixture
def case(db: Session) -> tuple[Submission, Actor]:
    """A filled-in draft of the person who signs in by default."""
    return make.submission(db)


def test_a_stranger_finds_nothing_at_any_address_of_a_case(
    client: TestClient, db: Session, sign_in: SignIn, portal: Portal, case: tuple[Submission, Actor]
) -> None:
    submission, actor = case
    make.send(db, actor, submission, portal.signer)
    make.attach(db, portal.files, actor, submission)
    attached = db.execute(text("select id from attachment")).scalar_one()
    token = sign_in(client, "stranger@else.example")
    here = f"/apply/{submission.reference}"
    gets = [
        "",
        "/check",
        "/summary",
        "/receipts/1",
        "/receipts/1.pdf",
        "/receipts/1.json",
        "/versions/1",
        "/versions/1.json",
        "/withdrawal",
        f"/attachments/{attached}",
    ]
    assert {path: client.get(here + path).status_code for path in gets} == dict.fromkeys(gets, 404)
    posts = ["/check", "/summary", "/receipts", "/withdrawal", "/restoration"]
    sent = {
        path: client.post(here + path, data={"csrf_token": token, "key": "k", "reason": "r"}).status_code
        for path in posts
    }
    assert sent == dict.fromkeys(posts, 404)
    assert client.get(f"/review/{submission.reference}").status_code == 404


def test_without_signing_in_a_page_leads_to_the_door_and_a_post_shows_what_was_typed(
    client: TestClient, case: tuple[Submission, Actor]
) -> None:
    here = f"/apply/{case[0].reference}/summary"
    assert client.get(here).headers["location"].startswith("/account/sign-in?next=")
    answer = client.post(here, data={"title": "Typed before the session ended"})
    assert answer.status_code == 401
    assert "Typed before the session ended" in answer.text


def test_a_form_without_the_token_or_from_another_site_changes_nothing(
    client: TestClient, sign_in: SignIn, db: Session, case: tuple[Submission, Actor]
) -> None:
    token = sign_in(client)
    here = f"/apply/{case[0].reference}/summary"
    assert client.post(here, data={"title": "x"}).status_code == 403
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": ""},
    ):
        assert client.post(here, data={"title": "x", "csrf_token": token}, headers=headers).status_code == 403
    assert (
        db.execute(text("select answers ->> 'title' from draft where step = 'summary'")).scalar_one() == "Delta compute"
    )


def test_what_cannot_be_read_is_kept_as_typed(
    client: TestClient, sign_in: SignIn, db: Session, case: tuple[Submission, Actor]
) -> None:
    token = sign_in(client)
    client.post("/language", data={"csrf_token": token, "language": "nl", "next": "/apply"})
    here = f"/apply/{case[0].reference}/finance"
    answer = client.post(
        here, data={"csrf_token": token, "revision": "1", "capex_total": "1,234.5", "public_money": "1.400.000,00"}
    )
    assert answer.status_code == 422
    assert 'value="1,234.5"' in answer.text
    again = client.get(here)
    assert 'value="1,234.5"' in again.text
    assert 'value="1.400.000,00"' in again.text
    assert "capex_total" in client.get(f"/apply/{case[0].reference}/check").text


def test_a_stale_save_shows_both_texts_and_overwrites_nothing(
    client: TestClient, sign_in: SignIn, db: Session, case: tuple[Submission, Actor]
) -> None:
    token = sign_in(client)
    here = f"/apply/{case[0].reference}/summary"
    mine = {"csrf_token": token, "revision": "1", "title": "Mine", "contact_email": "lead@firm.example"}
    assert client.post(here, data=mine).status_code == 303
    stale = client.post(here, data=mine | {"title": "Theirs"})
    assert stale.status_code == 409
    assert "Mine" in stale.text
    assert 'value="Theirs"' in stale.text
    assert db.execute(text("select answers ->> 'title' from draft where step = 'summary'")).scalar_one() == "Mine"


def test_items_are_added_and_removed_without_losing_the_others(
    client: TestClient, sign_in: SignIn, db: Session, case: tuple[Submission, Actor]
) -> None:
    token = sign_in(client)
    here = f"/apply/{case[0].reference}/members"
    form = {
        "csrf_token": token, "revision": "1", "members-0-legal_name": "First", "members-0-owners-0-name": "A",
        "members-0-owners-1-name": "B", "members-1-legal_name": "Second", "action": "remove:members-0-owners-0",
    }  # fmt: skip
    assert client.post(here, data=form).headers["location"].endswith("#members-0-owners")
    kept = db.execute(text("select answers -> 'members' from draft where step = 'members'")).scalar_one()
    assert kept == [{"legal_name": "First", "owners": [{"name": "B"}]}, {"legal_name": "Second", "owners": []}]
    added = client.post(here, data=form | {"revision": "2", "action": "add:members-1-owners"})
    assert added.headers["location"].endswith("#members-1-owners-0")


def test_pressing_submit_twice_gives_one_version_and_an_unchanged_draft_gives_no_second(
    client: TestClient, sign_in: SignIn, db: Session, case: tuple[Submission, Actor]
) -> None:
    token = sign_in(client)
    here = f"/apply/{case[0].reference}/receipts"
    first = client.post(here, data={"csrf_token": token, "key": "one"})
    assert first.headers["location"].endswith("/receipts/1")
    for key in ("one", "another"):
        assert (
            client.post(here, data={"csrf_token": token, "key": key}).headers["location"] == first.headers["location"]
        )
    assert len(db.scalars(select(Version)).all()) == 1
    assert verification.run(db) == []


def test_a_draft_with_errors_is_not_submitted_and_the_attempt_is_on_record(
    client: TestClient, sign_in: SignIn, db: Session
) -> None:
    submission, _ = make.submission(db, title=None)
    token = sign_in(client)
    answer = client.post(f"/apply/{submission.reference}/receipts", data={"csrf_token": token, "key": "k"})
    assert answer.status_code == 422
    assert f"/apply/{submission.reference}/summary#title" in answer.text
    assert [(a.outcome, a.code) for a in db.scalars(select(Attempt))] == [("invalid", "not_ready")]


def test_late_by_a_moment_is_refused_with_the_attempt_on_record_and_the_first_version_stands(
    client: TestClient, sign_in: SignIn, db: Session, portal: Portal, case: tuple[Submission, Actor]
) -> None:
    submission, actor = case
    token = sign_in(client)
    version = make.send(db, actor, submission, portal.signer)
    before = db.execute(
        text("select md5(v::text || r::text) from version v join receipt r on r.version_id = v.id")
    ).scalar_one()
    make.fill(db, actor, submission, {"title": "A better title"})
    make.move_deadline(db, submission.call, 0)
    answer = client.post(f"/apply/{submission.reference}/receipts", data={"csrf_token": token, "key": "late"})
    assert answer.status_code == 409
    assert (
        db.execute(
            text("select md5(v::text || r::text) from version v join receipt r on r.version_id = v.id")
        ).scalar_one()
        == before
    )
    assert {(a.outcome, a.code) for a in db.scalars(select(Attempt))} == {
        ("accepted", "accepted"),
        ("refused", "call_closed"),
    }
    assert make.version_of(db, submission).number == version.number


def test_a_refused_file_leaves_answers_and_other_files_in_place(
    client: TestClient, sign_in: SignIn, db: Session, case: tuple[Submission, Actor]
) -> None:
    token = sign_in(client)
    here = f"/apply/{case[0].reference}/documents"
    files = [
        ("proposal", ("good.pdf", make.document(), "application/pdf")),
        ("proposal", ("bad.pdf", b"MZ not a pdf", "application/pdf")),
    ]
    answer = client.post(here, data={"csrf_token": token, "revision": "1", "action": "upload:proposal"}, files=files)
    assert answer.status_code == 422
    assert "bad.pdf was not added" in answer.text
    assert db.execute(text("select name from attachment where detached_at is null")).scalars().all() == ["good.pdf"]


def test_a_viewer_reads_and_changes_nothing(
    client: TestClient, sign_in: SignIn, db: Session, case: tuple[Submission, Actor]
) -> None:
    submission, _ = case
    viewer = make.person(db, "viewer@firm.example")
    db.execute(
        text("insert into membership (organisation_id, person_id, role) values (:o, :p, 'viewer')"),
        {"o": submission.organisation_id, "p": viewer.person_id},
    )
    token = sign_in(client, "viewer@firm.example")
    assert client.get(f"/apply/{submission.reference}/summary").status_code == 200
    for path in ("summary", "check", "receipts", "withdrawal", "restoration"):
        answer = client.post(
            f"/apply/{submission.reference}/{path}",
            data={"csrf_token": token, "key": "k", "reason": "r", "revision": "1"},
        )
        assert answer.status_code == 403, path


def test_the_digest_on_the_receipt_is_that_of_the_content_handed_out(
    client: TestClient, sign_in: SignIn, db: Session, portal: Portal, case: tuple[Submission, Actor]
) -> None:
    version = make.send(db, case[1], case[0], portal.signer)
    sign_in(client)
    content = client.get(f"/apply/{case[0].reference}/versions/1.json").content
    assert make.sha256(content) == version.payload_sha256
    receipt = client.get(f"/apply/{case[0].reference}/receipts/1.json").json()
    answer = client.post("/api/v1/receipts/verify", json=receipt)
    assert answer.json()["outcome"] == "valid"
    receipt["statement"]["received_at"] = receipt["statement"]["received_at"].replace("2026", "2025")
    assert client.post("/api/v1/receipts/verify", json=receipt).json()["outcome"] == "invalid"
    pdf = [client.get(f"/apply/{case[0].reference}/receipts/1.pdf").content for _ in range(2)]
    assert pdf[0] == pdf[1]


@pytest.mark.parametrize("odd", ["\x00", "members-99999-x", "a" * 5000, "-", "members--0-", "۱۲۳", "&<>\"'"])
def test_odd_posts_never_break_the_portal(
    client: TestClient, sign_in: SignIn, case: tuple[Submission, Actor], odd: str
) -> None:
    token = sign_in(client)
    for step in ("summary", "members", "finance", "documents", "declarations", "check", "nope"):
        for revision in ("0", "1", odd):
            data = {
                "csrf_token": token,
                "revision": revision,
                odd: odd,
                "title": odd,
                "capex_total": odd,
                "members-0-lei": odd,
                "starts_on-day": odd,
                "action": odd,
                "key": odd,
            }
            assert client.post(f"/apply/{case[0].reference}/{step}", data=data).status_code < 500
    assert client.get(f"/apply/{odd[:50]}".replace("\x00", "%00")).status_code < 500
