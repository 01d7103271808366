"""Every press on submit over HTTP leaves a row, whatever refused it: door, guard, domain, database, or its absence."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app import doorman, watch
from app.deps import Portal
from app.domain import attempts, drafts, proofs, verification
from app.domain.access import Actor
from app.models import Attempt, Refusal, Submission
from tests import make

SignIn = Callable[..., str]
Case = tuple[Submission, Actor]


@pytest.fixture
def case(db: Session) -> Case:
    """A filled-in draft of the person who signs in by default."""
    return make.submission(db)


def rows(db: Session) -> list[Attempt]:
    """The ledger, in order."""
    return list(db.scalars(select(Attempt).order_by(Attempt.at)))


def press(client: TestClient, submission: Submission, token: str, key: str = "k", **more: Any) -> Any:
    """A press on submit."""
    return client.post(f"/apply/{submission.reference}/receipts", data={"csrf_token": token, "key": key}, **more)


def test_each_press_is_a_row_also_the_one_that_finds_its_version_there_already(
    client: TestClient, sign_in: SignIn, db: Session, case: Case
) -> None:
    token = sign_in(client)
    for key in ("one", "one", "another"):
        assert press(client, case[0], token, key).status_code == 303
    assert [(a.outcome, a.code, a.idempotency_key) for a in rows(db)] == [
        ("accepted", "accepted", "one"),
        ("accepted", "accepted_before", "one"),
        ("accepted", "accepted_before", "another"),
    ]
    assert len({a.reference for a in rows(db)}) == 3
    assert verification.run(db) == []


def test_a_stranger_sees_that_there_is_nothing_and_his_press_is_on_record(
    client: TestClient, sign_in: SignIn, db: Session, case: Case
) -> None:
    token = sign_in(client, "stranger@else.example")
    there = press(client, case[0], token)
    nowhere = client.post("/apply/0KQ3V-9XM2T-0000/receipts", data={"csrf_token": token, "key": "k"})
    assert (there.status_code, nowhere.status_code) == (404, 404)
    first, second = rows(db)
    pages = [
        answer.text.replace(attempt.reference, "").replace(reference, "")
        for answer, attempt, reference in (
            (there, first, case[0].reference),
            (nowhere, second, "0KQ3V-9XM2T-0000"),
        )
    ]
    assert strip_times(pages[0]) == strip_times(pages[1])
    assert (first.submission_id, first.tried, first.code) == (case[0].id, None, "not_found")
    assert (second.submission_id, second.tried, second.code) == (None, "0KQ3V-9XM2T-0000", "not_found")
    assert first.person_id == second.person_id != case[1].person_id


def strip_times(page: str) -> list[str]:
    """A page without the lines that tell the time."""
    return [line for line in page.splitlines() if "UTC)" not in line]


def test_a_viewers_press_is_on_record_as_refused(client: TestClient, sign_in: SignIn, db: Session, case: Case) -> None:
    viewer = make.person(db, "viewer@firm.example")
    db.execute(
        text("insert into membership (organisation_id, person_id, role) values (:o, :p, 'viewer')"),
        {"o": case[0].organisation_id, "p": viewer.person_id},
    )
    assert press(client, case[0], sign_in(client, "viewer@firm.example")).status_code == 403
    assert [(a.outcome, a.code, a.person_id) for a in rows(db)] == [("refused", "forbidden", viewer.person_id)]
    assert db.scalars(select(Refusal)).all() == []


def test_a_stale_form_another_site_and_a_too_large_one_are_on_record(
    client: TestClient, sign_in: SignIn, db: Session, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = sign_in(client)
    assert press(client, case[0], "a token of yesterday").status_code == 403
    assert press(client, case[0], token, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    monkeypatch.setattr(doorman, "MAX_BODY", 40)
    assert press(client, case[0], token, "x" * 50).status_code == 413  # by its own word, at the door

    def unannounced() -> Any:
        yield b"csrf_token=" + b"y" * 50

    headers = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
    here = f"/apply/{case[0].reference}/receipts"
    assert client.post(here, content=unannounced(), headers=headers).status_code == 413  # found out while reading
    found = [(a.outcome, a.code, a.submission_id, a.person_id) for a in rows(db)]
    who = (case[0].id, case[1].person_id)
    assert found == [
        ("refused", "cross_site", *who),
        ("refused", "cross_site", *who),
        ("refused", "too_large", *who),
        ("refused", "too_large", *who),
    ]


def test_without_signing_in_a_press_is_tied_to_its_submission_and_one_on_nothing_to_nobody(
    client: TestClient, db: Session, case: Case
) -> None:
    there = press(client, case[0], "")
    nowhere = client.post("/apply/0KQ3V-9XM2T-0000/receipts", data={"key": "k"})
    assert (there.status_code, nowhere.status_code) == (401, 401)
    assert [(a.code, a.submission_id, a.person_id) for a in rows(db)] == [("unauthenticated", case[0].id, None)]
    assert rows(db)[0].reference not in there.text  # or it would tell which references exist


def test_what_a_call_says_is_classified_is_refused_as_that(client: TestClient, sign_in: SignIn, db: Session) -> None:
    definition = make.definition("aigf-eoi")
    case, actor = make.submission(db, make.call(db, of=definition), kind="OO")
    questions = {
        "step": next(
            s for s in definition["steps"] if any(q["name"] == "classified_information" for q in s["questions"])
        )
    }
    drafts.save_step(
        db, actor, case, questions["step"]["name"], saved(db, case, questions["step"]["name"]),
        {"classified_information": True}, {},
    )  # fmt: skip
    answer = press(client, case, sign_in(client))
    assert answer.status_code == 422
    assert "classified information" in answer.text
    assert [(a.outcome, a.code) for a in rows(db)] == [("refused", "classified_information")]


def saved(db: Session, case: Submission, step: str) -> int:
    draft = drafts.saved(db, case).get(step)
    return draft.revision if draft else 0


def test_presses_without_end_are_held_back_and_still_on_record(
    client: TestClient, sign_in: SignIn, db: Session, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "PRESSES", 2)
    token = sign_in(client)
    answers = [press(client, case[0], token, key) for key in ("a", "b", "c", "a")]
    assert [a.status_code for a in answers] == [303, 303, 429, 303]  # the retry of an accepted one never waits
    assert int(answers[2].headers["Retry-After"]) > 0
    assert [a.code for a in rows(db)] == ["accepted", "accepted_before", "throttled", "accepted_before"]


def test_presses_of_others_hold_nobody_back(
    client: TestClient, sign_in: SignIn, db: Session, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "PRESSES", 2)
    client.cookies.clear()
    assert [press(client, case[0], "", f"nobody {n}").status_code for n in range(2)] == [401, 401]
    token = sign_in(client, "stranger@other.example")
    assert [press(client, case[0], token, f"stranger {n}").status_code for n in range(3)] == [404, 404, 404]
    assert press(client, case[0], sign_in(client), "the owner").status_code == 303
    assert [a.code for a in rows(db)][-1] == "accepted"


def test_a_fault_of_ours_rolls_the_version_back_and_leaves_the_attempt(
    client: TestClient, sign_in: SignIn, db: Session, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: Any, **__: Any) -> None:
        raise RuntimeError("no receipt today")

    token = sign_in(client)
    with monkeypatch.context() as patched:
        patched.setattr("app.domain.receipts.body", break_down)
        answer = press(client, case[0], token)
    assert answer.status_code == 500
    (attempt,) = rows(db)
    assert (attempt.outcome, attempt.code, attempt.person_id) == ("refused", "internal_error", case[1].person_id)
    assert attempt.reference in answer.text
    assert db.execute(text("select count(*) from version")).scalar_one() == 0


def test_a_late_press_gets_a_signed_refusal_with_what_was_typed_and_what_stands(
    client: TestClient, sign_in: SignIn, db: Session, portal: Portal, case: Case
) -> None:
    submission, actor = case
    version = make.send(db, actor, submission, portal.signer)
    make.attach(db, portal.files, actor, submission)
    make.fill(db, actor, submission, {"title": "A better title <b>"})
    token = sign_in(client)
    make.move_deadline(db, submission.call, 0)
    answer = press(client, submission, token, "late")
    assert answer.status_code == 409
    attempt = rows(db)[-1]
    for shown in (attempt.reference, "A better title &lt;b&gt;", "Version 1 counts, untouched", "proposal.pdf"):
        assert shown in answer.text, shown
    here = f"/apply/{submission.reference}/refusals/{attempt.reference}"
    assert f'href="{here}.json"' in answer.text
    given = client.get(f"{here}.json")
    document = given.json()
    said = document["statement"]
    assert proofs.verify(document, portal.signer.jwks()).outcome == "valid"
    assert {k: said[k] for k in ("reference", "attempt", "code", "state", "version", "payload_sha256")} == {
        "reference": submission.reference,
        "attempt": attempt.reference,
        "code": "call_closed",
        "state": "submitted",
        "version": 1,
        "payload_sha256": version.payload_sha256,
    }
    assert said["closes_at"] <= said["at"] <= said["recorded_at"]
    assert make.sha256(client.get(f"{here}/typed.json").content) == said["typed_sha256"]
    assert client.post("/api/v1/receipts/verify", json=document).json()["outcome"] == "valid"
    assert (
        proofs.verify(json.loads(given.text.replace("call_closed", "call_clossd")), portal.signer.jwks()).outcome
        == "invalid"
    )
    tasks = client.get(f"/apply/{submission.reference}").text
    assert f'href="{here}"' in tasks
    assert attempt.reference in client.get(here).text


def test_only_the_one_who_tried_gets_the_signed_refusal_and_colleagues_see_that_there_was_one(
    client: TestClient, sign_in: SignIn, db: Session, case: Case
) -> None:
    submission, _ = case
    token = sign_in(client)
    make.move_deadline(db, submission.call, 0)
    press(client, submission, token)
    here = f"/apply/{submission.reference}/refusals/{rows(db)[0].reference}"
    paths = (here, f"{here}.json", f"{here}/typed.json")
    assert [client.get(path).status_code for path in paths] == [200, 200, 200]
    colleague = make.person(db, "colleague@firm.example")
    db.execute(
        text("insert into membership (organisation_id, person_id, role) values (:o, :p, 'editor')"),
        {"o": submission.organisation_id, "p": colleague.person_id},
    )
    sign_in(client, "colleague@firm.example")
    assert [client.get(path).status_code for path in paths] == [404, 404, 404]
    tasks = client.get(f"/apply/{submission.reference}").text
    assert rows(db)[0].reference in tasks
    assert here not in tasks
    sign_in(client, "stranger@else.example")
    assert [client.get(path).status_code for path in paths] == [404, 404, 404]


def test_a_strangers_press_is_not_shown_to_the_applicant(
    client: TestClient, sign_in: SignIn, db: Session, case: Case
) -> None:
    press(client, case[0], sign_in(client, "stranger@else.example"))
    sign_in(client)
    assert rows(db)[0].reference not in client.get(f"/apply/{case[0].reference}").text


def test_a_late_press_on_an_incomplete_draft_is_refused_as_late(
    client: TestClient, sign_in: SignIn, db: Session
) -> None:
    submission, _ = make.submission(db, title=None)
    token = sign_in(client)
    make.move_deadline(db, submission.call, 0)
    answer = press(client, submission, token)
    assert answer.status_code == 409
    assert "Nothing was submitted within the window of this call" in answer.text
    said = db.scalars(select(Refusal)).one().body
    assert (said["code"], said["state"], said["version"]) == ("call_closed", "draft", None)
    assert said["at"] >= said["closes_at"]


def test_a_late_save_of_a_page_is_no_attempt_and_keeps_the_text(
    client: TestClient, sign_in: SignIn, db: Session, case: Case
) -> None:
    token = sign_in(client)
    make.move_deadline(db, case[0].call, 0)
    form = {"csrf_token": token, "revision": "1", "title": "Typed at the last moment"}
    answer = client.post(f"/apply/{case[0].reference}/summary", data=form)
    assert answer.status_code == 409
    assert "Typed at the last moment" in answer.text
    assert rows(db) == []


def test_the_desk_finds_an_attempt_by_submission_by_its_own_reference_and_by_address(
    client: TestClient, sign_in: SignIn, db: Session, case: Case
) -> None:
    press(client, case[0], sign_in(client, "stranger@else.example"))
    token = sign_in(client)
    press(client, case[0], token)
    client.post("/apply/NO-SUCH-CASE/receipts", data={"csrf_token": token, "key": "k"})
    strangers, mine, tried = rows(db)
    make.person(db, "desk@rvo.example", staff="coordinator")
    sign_in(client, "desk@rvo.example")

    def found(find: str) -> set[str]:
        page = client.get("/manage/attempts", params={"find": find}).text
        return {a.reference for a in (strangers, mine, tried) if a.reference in page}

    assert found(case[0].reference.lower().replace("-", " ")) == {strangers.reference, mine.reference}
    assert found(mine.reference) == {mine.reference}
    assert found("NO-SUCH-CASE") == {tried.reference}
    assert found("Stranger@else.example") == {strangers.reference}
    assert found("") == {strangers.reference, mine.reference}  # those of the call
    assert found("\x00") == {strangers.reference, mine.reference}


def away(*_: Any, **__: Any) -> Any:
    """As SQLAlchemy says that nobody answers."""
    raise OperationalError("select 1", {}, Exception("connection refused"))


def test_a_press_while_the_database_is_away_is_written_once_it_is_back(
    client: TestClient, sign_in: SignIn, db: Session, portal: Portal, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = sign_in(client)
    with monkeypatch.context() as patched:
        patched.setattr(portal.sessions, "begin", away)
        answer = press(client, case[0], token, "pressed in vain")
        assert not watch.write_down(portal)  # still away: it goes on waiting
    assert answer.status_code == 503
    (waiting,) = portal.presses
    assert waiting.reference in answer.text
    assert "as soon as the database is back" in answer.text
    assert portal.watch.failed == {"database"}
    assert [watch.write_down(portal), watch.write_down(portal)] == [True, True]
    assert list(portal.presses) == []
    (found,) = rows(db)
    assert (found.reference, found.code, found.submission_id, found.person_id, found.idempotency_key) == (
        waiting.reference,
        "unavailable",
        case[0].id,
        case[1].person_id,
        "pressed in vain",
    )
    assert found.pressed_at is not None
    assert found.pressed_at < found.at
