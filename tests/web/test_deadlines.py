"""The pages of coordinators: a deadline and an exemption each take two of them, and what everybody else sees of it."""

import html
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import calls, deadlines, exemptions, receipts, seals, verification
from app.domain.access import Actor
from app.infra import times
from app.models import Call, DeadlineChange, Exemption
from tests import make

SignIn = Callable[..., str]
ONE, OTHER = "one@rvo.example", "two@rvo.example"
WHY = {"reason_en": "The sign-in service was down.", "reason_nl": "De inlogdienst lag eruit."}
DAY = timedelta(days=1)


@pytest.fixture
def two(db: Session) -> tuple[Actor, Actor]:
    return (
        make.person(db, ONE, "Coordinator One", staff="coordinator"),
        make.person(db, OTHER, "Coordinator Two", staff="coordinator"),
    )


def typed(name: str, day: int, month: int, year: int, at: str = "17:00") -> dict[str, str]:
    """An instant as a coordinator types it."""
    return {f"{name}-day": str(day), f"{name}-month": str(month), f"{name}-year": str(year), f"{name}-time": at}


def next_year(db: Session) -> int:
    return calls.clock(db).year + 1


def plain(page: str) -> str:
    """The words of a page, without its markup."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def sealed(db: Session, portal: Portal, call: Call) -> None:
    make.move_deadline(db, call, -0.000001)
    seals.seal(db, call, portal.signer, seals.Setting(make.ISSUER, None))


def test_one_coordinator_proposes_another_confirms_and_everybody_reads_why(
    client: TestClient, sign_in: SignIn, db: Session, two: tuple[Actor, Actor]
) -> None:
    call = make.call(db)
    make.submission(db, call, make.person(db))
    here, before = f"/manage/calls/{call.code}", times.brussels_and_utc(call.closes_at, "en")
    after = f"20 June {next_year(db)}, 17:00 CEST (15:00 UTC)"
    token = sign_in(client, ONE)
    assert f'href="{here}"' in client.get("/manage").text
    data = {"csrf_token": token, **typed("closes", 20, 6, next_year(db)), **WHY}
    assert client.post(f"{here}/deadlines", data=data).headers["location"] == here
    change = db.scalars(select(DeadlineChange)).one()
    own = plain(client.get(here).text)
    assert "You proposed this, so another coordinator must confirm it." in own
    assert "Confirm: move the deadline" not in own
    alone = client.post(f"{here}/deadlines/{change.id}/confirmation", data={"csrf_token": token})
    assert alone.status_code == 403
    assert after not in plain(client.get(f"/calls/{call.code}").text), "nothing is public before two agreed"
    token = sign_in(client, OTHER)
    asked = plain(client.get(here).text)
    for words in (before, after, *WHY.values(), "Coordinator One", "1 person with a draft or a submission gets a mail"):
        assert words in asked, words
    done = client.post(f"{here}/deadlines/{change.id}/confirmation", data={"csrf_token": token})
    assert done.headers["location"] == here
    staff = plain(client.get(here).text)
    for words in (f"{before} → {after}", "Coordinator One", "Coordinator Two", "0 sent · 1 waiting · 0 given up"):
        assert words in staff, words
    client.post("/account/sign-out", data={"csrf_token": token})
    for language, reason in (("en", WHY["reason_en"]), ("nl", WHY["reason_nl"])):
        client.cookies.set("language", language)
        public = plain(client.get(f"/calls/{call.code}").text)
        db.refresh(change)
        assert change.confirmed_at is not None
        for instant in (change.closes_from, change.closes_to):
            assert times.brussels_and_utc(instant, language) in public
        assert times.brussels_and_utc(change.confirmed_at, language, seconds=True) in public
        assert reason in public
        assert "Coordinator" not in public.replace("Coordinators", "")
        assert "rvo.example" not in public
    assert verification.run(db) == []


def test_a_confirmed_change_shows_how_many_mails_were_sent(
    client: TestClient, sign_in: SignIn, db: Session, two: tuple[Actor, Actor]
) -> None:
    call = make.call(db)
    make.submission(db, call, make.person(db))
    change = deadlines.propose(db, two[0], call, call.closes_at + DAY, {"en": "x", "nl": "x"})
    deadlines.confirm(db, two[1], call, change.id, make.ISSUER)
    sign_in(client, ONE)  # which sends what is queued
    assert "1 sent · 0 waiting · 0 given up" in plain(client.get(f"/manage/calls/{call.code}").text)
    db.execute(text("update message set failed_at = now(), sent_at = null where purpose = 'deadline'"))
    assert "0 sent · 0 waiting · 1 given up" in plain(client.get(f"/manage/calls/{call.code}").text)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"closes-day": "28", "closes-month": "3", "closes-year": "2027", "closes-time": "02:30"},
            "02:30 does not exist",
        ),
        ({"closes-day": "31", "closes-month": "10", "closes-year": "2027", "closes-time": "2.30"}, "02:30 comes twice"),
        ({"closes-day": "31", "closes-month": "2"}, "Give day, month and year in numbers"),
        ({"closes-time": "5 pm"}, "Give day, month and year in numbers"),
        ({"closes-day": "٣"}, "Give day, month and year in numbers"),
        ({"closes-year": "99999"}, "Give day, month and year in numbers"),
        ({"closes-year": "1"}, "The deadline cannot move there."),
        ({"closes-year": "2020"}, "The deadline cannot move there."),
        ({"reason_nl": " "}, "Give the reason in both languages."),
    ],
)
def test_what_cannot_be_is_said_beside_the_field_and_what_was_typed_stays(
    client: TestClient, sign_in: SignIn, db: Session, two: tuple[Actor, Actor], given: dict[str, str], said: str
) -> None:
    call = make.call(db)
    token = sign_in(client, ONE)
    data = {"csrf_token": token, **typed("closes", 20, 6, next_year(db)), **WHY, **given}
    answer = client.post(f"/manage/calls/{call.code}/deadlines", data=data)
    assert answer.status_code == 422
    assert said in answer.text
    for name, value in data.items():
        if value.strip() and name != "csrf_token":
            assert value in answer.text, name
    links = re.findall(r'error-summary__list">.*?</ul>', answer.text, re.DOTALL)[0]
    for target in re.findall(r'href="#([^"]+)"', links):
        assert f'id="{target}"' in answer.text
        assert f'id="{target}-error"' in answer.text
    assert db.scalars(select(DeadlineChange)).all() == []


def test_a_proposal_is_dropped_and_a_reviewer_or_an_applicant_finds_nothing_here(
    client: TestClient, sign_in: SignIn, db: Session, two: tuple[Actor, Actor]
) -> None:
    call = make.call(db)
    change = deadlines.propose(db, two[0], call, call.closes_at + DAY, {"en": "x", "nl": "x"})
    here = f"/manage/calls/{call.code}"
    make.person(db, "reviewer@rvo.example", staff="reviewer")
    make.person(db)
    for nobody in ("reviewer@rvo.example", "lead@firm.example"):
        token = sign_in(client, nobody)
        assert client.get(here).status_code == 404
        for path in (
            "/deadlines",
            f"/deadlines/{change.id}/confirmation",
            f"/deadlines/{change.id}/rejection",
            "/exemptions",
        ):
            assert client.post(here + path, data={"csrf_token": token}).status_code == 404, path
    token = sign_in(client, ONE)
    assert client.post(f"{here}/deadlines/{change.id}/rejection", data={"csrf_token": token}).status_code == 303
    assert "Dropped by Coordinator One" in plain(client.get(here).text)
    again = client.post(f"{here}/deadlines/{change.id}/confirmation", data={"csrf_token": token})
    assert again.status_code == 409


def test_an_exemption_takes_two_coordinators_and_lets_the_applicant_submit_once_more(
    client: TestClient, sign_in: SignIn, db: Session, portal: Portal, two: tuple[Actor, Actor]
) -> None:
    call = make.call(db)
    case, _ = make.submission(db, call, make.person(db))
    here, apply = f"/manage/calls/{call.code}", f"/apply/{case.reference}"
    token = sign_in(client, ONE)
    assert "Propose an exemption" not in client.get(here).text, "not before the seal"
    sealed(db, portal, call)
    until = f"20 June {next_year(db)}, 17:00 CEST (15:00 UTC)"
    data = {"csrf_token": token, "reference": case.reference.lower(), "reason": "The portal was down."}
    wrong = client.post(f"{here}/exemptions", data=data | typed("until", 20, 6, 2020) | {"reference": "nonsense"})
    assert wrong.status_code == 422
    assert "No submission in this call has this reference." in wrong.text
    past = client.post(f"{here}/exemptions", data=data | typed("until", 20, 6, 2020))
    assert "That instant has passed." in past.text
    assert client.post(f"{here}/exemptions", data=data | typed("until", 20, 6, next_year(db))).status_code == 303
    exemption = db.scalars(select(Exemption)).one()
    confirmation = f"{here}/exemptions/{exemption.id}/confirmation"
    assert client.post(confirmation, data={"csrf_token": token}).status_code == 403
    token = sign_in(client, OTHER)
    assert client.post(confirmation, data={"csrf_token": token}).status_code == 303
    assert "in force" in client.get(here).text

    token = sign_in(client)
    for path in ("", "/check", "/summary"):
        page = plain(client.get(apply + path).text)
        assert f"You alone may still submit, until {until}" in page, path
    mine = plain(client.get("/apply").text)
    assert f"for you alone until 20 June {next_year(db)}, 17:00 CEST 20 June {next_year(db)}, 15:00 UTC" in mine
    tasks = client.get(apply).text
    assert "withdrawal" not in tasks
    assert (
        client.post(f"{apply}/receipts", data={"csrf_token": token, "key": "k"}).headers["location"]
        == f"{apply}/receipts/1"
    )
    receipt = plain(client.get(f"{apply}/receipts/1").text)
    assert f"exceptional {receipts.EXCEPTIONAL['en']}" in receipt
    assert f"Let in until {until}" in receipt
    assert "This version counts." not in receipt
    assert client.get(f"{apply}/receipts/1.json").json()["statement"]["exemption"] is True
    assert "proof" not in client.get(f"{apply}/receipts/1.json").json()
    assert client.get(f"{apply}/receipts/1.pdf").status_code == 200
    shown = plain(client.get(apply).text)
    assert "Version 1 was received exceptionally, outside the sealed set" in shown
    assert "Nothing was submitted before the cutoff." in shown
    assert "Nothing changed since version 1." in plain(client.get(f"{apply}/check").text)
    assert "version 1 exceptional" in plain(client.get("/apply").text)
    assert verification.run(db) == []


def test_reviewers_find_the_exceptional_version_beside_the_register(
    client: TestClient, sign_in: SignIn, db: Session, portal: Portal, two: tuple[Actor, Actor]
) -> None:
    call = make.call(db)
    case, actor = make.submission(db, call, make.person(db), sent=True, signer=portal.signer)
    sealed(db, portal, call)
    make.free(db, make.person(db, "reviewer@rvo.example", staff="reviewer"), case)
    sign_in(client, "reviewer@rvo.example")
    assert "outside the sealed set" not in client.get(f"/review?call={call.code}").text
    exemption = exemptions.propose(db, two[0], case, "The portal was down.", calls.clock(db) + DAY)
    exemptions.confirm(db, two[1], call, exemption.id, make.ISSUER)
    make.fill(db, actor, case, {"title": "A better title"})
    make.send(db, actor, case, portal.signer)
    register = client.get(f"/review?call={call.code}").text
    assert "1 dossier" in plain(register)
    assert f'href="/review/{case.reference}?version=2"' in register
    standing = plain(client.get(f"/review/{case.reference}").text)
    assert "Delta compute" in standing
    assert "outside the sealed set" not in standing
    exceptional = client.get(f"/review/{case.reference}?version=2").text
    assert "exceptional, outside the sealed set" in plain(exceptional)
    assert "Version 1 counts." in plain(exceptional)
    assert client.get(f"/review/{case.reference}/dossier.pdf?version=2").status_code == 200


def test_odd_posts_never_break_the_page(
    client: TestClient, sign_in: SignIn, db: Session, portal: Portal, two: tuple[Actor, Actor]
) -> None:
    call = make.call(db)
    sealed(db, portal, call)
    here, token = f"/manage/calls/{call.code}", sign_in(client, ONE)
    for odd in ("\x00", "a" * 5000, "-1", "²", "&<>\"'", "9" * 10):
        data = {"csrf_token": token, "reference": odd, "reason": odd, "reason_en": odd, "reason_nl": odd}
        data |= {f"{name}-{part}": odd for name in ("closes", "until") for part in ("day", "month", "year", "time")}
        for path in ("/deadlines", "/exemptions", "/exemptions/nonsense/confirmation"):
            assert client.post(here + path, data=data).status_code < 500, (odd[:5], path)
    assert client.get("/manage/calls/no-such-call").status_code == 404


def test_a_cutoff_between_two_minutes_is_shown_with_its_seconds(client: TestClient, db: Session) -> None:
    call = make.call(db)
    with make.owner(db):
        at = calls.clock(db).replace(second=29, microsecond=0) + DAY
        db.execute(text("update call set closes_at = :at where id = :id"), {"at": at, "id": call.id})
    db.expire(call)
    banner = client.get(f"/calls/{call.code}").text.partition("data-left")[0]
    assert f"<strong>{times.brussels_and_utc(at, 'en', seconds=True)}</strong>" in banner
    with make.owner(db):
        db.execute(text("update call set closes_at = :at where id = :id"), {"at": at.replace(second=0), "id": call.id})
    db.expire(call)
    banner = client.get(f"/calls/{call.code}").text.partition("data-left")[0]
    assert f"<strong>{times.brussels_and_utc(at, 'en')}</strong>" in banner
