"""Disputes that reached the Ombudsman or the CBb, each as a test: what happened there, and what is on record here."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import availability, calls, deadlines, proofs, submissions, verification, withdrawals
from app.domain.availability import MINUTE
from app.models import Attempt, Readiness, Refusal, Submission, Ticket
from tests import make

SignIn = Callable[..., str]


def bytes_of(db: Session, submission: Submission) -> str:
    """A digest over all that was kept of the versions of a case, their receipts included."""
    found: str = db.execute(
        text(
            "select md5(string_agg(v::text || r::text, '|' order by v.number)) from version v"
            " join receipt r on r.version_id = v.id where v.submission_id = :s"
        ),
        {"s": submission.id},
    ).scalar_one()
    return found


def press(client: TestClient, submission: Submission, token: str, key: str) -> int:
    """A press on submit; the status of its answer."""
    form = {"csrf_token": token, "key": key}
    return client.post(f"/apply/{submission.reference}/receipts", data=form).status_code


def let_it_be(db: Session, submission: Submission, seconds_after_closing: float) -> None:
    """Move the deadline so that the moment at hand is so long after it: the hour of the case, without moving a clock."""
    make.move_deadline(db, submission.call, -seconds_after_closing)


def ready_since(db: Session, ago: timedelta, away: range = range(0)) -> None:
    """A history of readiness up to now, with the minutes `away` (counted back from now) failed."""
    now = calls.clock(db).replace(second=0, microsecond=0)
    for back in range(ago // MINUTE, -1, -1):
        failed = ["database"] if back in away else []
        db.add(Readiness(minute=now - back * MINUTE, replica="one", is_ready=not failed, failed=failed))
    db.flush()


def test_ombudsman_3917_2005_DK_an_upload_at_17_00_27_does_not_replace_the_proposal_of_16_52_32(
    client: TestClient, sign_in: SignIn, db: Session, portal: Portal
) -> None:
    submission, actor = make.submission(db)
    token = sign_in(client)
    let_it_be(db, submission, -(7 * 60 + 28))  # 16:52:32
    assert press(client, submission, token, "in time") == 303
    make.fill(db, actor, submission, {"title": "Part B, once more"})
    before = bytes_of(db, submission)
    let_it_be(db, submission, 0)  # 17:00:27 there; here the deadline passes between the two presses
    assert press(client, submission, token, "late") == 409
    assert bytes_of(db, submission) == before
    standing = submissions.standing(db, submission)
    assert standing.version is not None
    assert (standing.state, standing.version.number, standing.is_changed) == ("submitted", 1, True)
    refusal = db.scalars(select(Refusal)).one()
    assert standing.version.received_at < submission.call.closes_at
    assert refusal.body["received_at"] < refusal.body["closes_at"] <= refusal.body["at"]
    assert refusal.body["payload_sha256"] == standing.version.payload_sha256
    document = client.get(f"/apply/{submission.reference}/refusals/{refusal.body['attempt']}.json").json()
    assert proofs.verify(document, portal.signer.jwks()).outcome == "valid"
    make.seal(db, submission.call, portal.signer)
    leaf = client.get(f"/apply/{submission.reference}/receipts/1.json").json()["proof"]["leaf"]
    assert (leaf["version"], leaf["state"], leaf["payload_sha256"]) == (1, "standing", standing.version.payload_sha256)
    assert verification.run(db) == []


def test_ombudsman_1093_2016_JAP_every_attempt_leaves_a_trace_that_the_help_desk_finds_by_reference(
    client: TestClient, sign_in: SignIn, db: Session
) -> None:
    submission, actor = make.submission(db, title=None)
    token = sign_in(client)
    assert press(client, submission, token, "incomplete") == 422
    assert press(client, submission, "an old page", "stale") == 403
    client.cookies.clear()
    assert press(client, submission, "", "the session ended") == 401
    token = sign_in(client)
    make.fill(db, actor, submission)
    let_it_be(db, submission, 1)
    assert press(client, submission, token, "late") == 409
    made = db.execute(select(Attempt.reference, Attempt.code, Attempt.at).order_by(Attempt.at)).all()
    assert [code for _, code, _ in made] == ["not_ready", "cross_site", "unauthenticated", "call_closed"]
    make.person(db, "desk@rvo.example", staff="coordinator")
    sign_in(client, "desk@rvo.example")
    page = client.get("/manage/attempts", params={"find": submission.reference}).text
    assert all(reference in page for reference, _, _ in made)
    one = client.get("/manage/attempts", params={"find": made[0][0]}).text
    assert [reference in one for reference, _, _ in made] == [True, False, False, False]


def test_CBb_2012_BY0204_an_outage_during_the_day_is_on_record_and_the_deadline_can_be_extended_before_the_seal(
    client: TestClient, sign_in: SignIn, db: Session, portal: Portal
) -> None:
    submission, _ = make.submission(db)
    ready_since(db, timedelta(hours=2), away=range(30, 51))  # sending was down for 21 minutes, half an hour ago
    token = sign_in(client)
    let_it_be(db, submission, 78)  # 17:01:18
    assert press(client, submission, token, "begun at 16:54") == 409
    (outage,) = availability.outages(db, calls.clock(db) - timedelta(hours=2))
    assert (outage.minutes, outage.failed) == (21, ("database",))
    assert outage.ends_at < submission.call.closes_at
    proposer, confirmer = (make.person(db, f"{n}@rvo.example", staff="coordinator") for n in ("one", "two"))
    closes_to = calls.clock(db) + timedelta(minutes=21)
    reason = {"nl": "Storing van 21 minuten", "en": "Outage of 21 minutes"}
    change = deadlines.propose(db, proposer, submission.call, closes_to, reason)
    deadlines.confirm(db, confirmer, submission.call, change.id, make.ISSUER)
    db.expire_all()
    assert submission.call.closes_at == closes_to
    assert press(client, submission, token, "within the extension") == 303
    assert [a.code for a in db.scalars(select(Attempt).order_by(Attempt.at))] == ["call_closed", "accepted"]
    refusal = db.scalars(select(Refusal)).one()  # what was stated then stays as it was stated
    assert proofs.verify({"statement": refusal.body, "jws": refusal.jws}, portal.signer.jwks()).outcome == "valid"
    assert verification.run(db) == []


@pytest.mark.parametrize("is_restored", [True, False])
def test_CBb_2023_449_who_withdrew_and_whose_refiling_failed_gets_the_earlier_version_back_until_the_cutoff(
    client: TestClient, sign_in: SignIn, db: Session, portal: Portal, is_restored: bool
) -> None:
    submission, actor = make.submission(db, sent=True, signer=portal.signer)
    before = bytes_of(db, submission)
    token = sign_in(client)
    withdrawals.withdraw(db, actor, submission, "We will file it anew", make.ISSUER)
    warning = client.get(f"/apply/{submission.reference}/withdrawal").text
    assert "nothing of yours counts" in warning
    make.fill(db, actor, submission, {"title": None})
    assert press(client, submission, token, "refiling, incomplete") == 422
    assert submissions.standing(db, submission).state == "withdrawn"
    if is_restored:
        client.post(f"/apply/{submission.reference}/restoration", data={"csrf_token": token})
        db.expire_all()
        standing = submissions.standing(db, submission)
        assert standing.version is not None
        assert (standing.state, standing.version.number, bytes_of(db, submission)) == ("submitted", 1, before)
        return
    make.fill(db, actor, submission, {"title": "Filed anew"})
    let_it_be(db, submission, 0)
    assert press(client, submission, token, "refiling, late") == 409
    restored = client.post(f"/apply/{submission.reference}/restoration", data={"csrf_token": token})
    assert restored.status_code == 409
    standing = submissions.standing(db, submission)
    assert standing.withdrawal is not None
    assert (standing.state, standing.withdrawal.reason) == ("withdrawn", "We will file it anew")
    said = db.scalars(select(Refusal)).one().body
    assert (said["state"], said["version"], said["code"]) == ("withdrawn", 1, "call_closed")
    assert (
        "Version 1 was withdrawn, so no version counts."
        in client.get(f"/apply/{submission.reference}/refusals/{said['attempt']}").text
    )
    assert bytes_of(db, submission) == before
    codes = [a.code for a in db.scalars(select(Attempt).order_by(Attempt.at))]
    assert codes == ["accepted", "not_ready", "call_closed"]
    assert verification.run(db) == []


def test_CBb_2024_516_an_outage_that_is_claimed_shows_in_the_history_or_does_not_and_a_report_is_stamped(
    client: TestClient, sign_in: SignIn, db: Session, portal: Portal
) -> None:
    submission, _ = make.submission(db)
    ready_since(db, timedelta(hours=4))
    token = sign_in(client)
    let_it_be(db, submission, -60)  # there was a way to tell before the deadline
    report = {"csrf_token": token, "words": "The portal is down", "page": f"/apply/{submission.reference}/check"}
    assert client.post("/problems", data=report | {"submission": submission.reference}).status_code == 303
    let_it_be(db, submission, 3600)
    assert availability.outages(db, calls.clock(db) - timedelta(hours=4)) == []
    assert db.scalars(select(Attempt)).all() == []  # and nobody pressed submit
    ticket = db.scalars(select(Ticket)).one()
    assert proofs.verify({"statement": ticket.body, "jws": ticket.jws}, portal.signer.jwks()).outcome == "valid"
    make.person(db, "desk@rvo.example", staff="coordinator")
    sign_in(client, "desk@rvo.example")
    assert "Nothing found." in client.get("/manage/attempts", params={"find": submission.reference}).text
    shown = client.get("/manage/availability").text
    assert shown.count("None on record.") == 1  # no outage; days and servers are there
    assert ticket.reference in client.get("/manage/tickets").text
