"""Planned maintenance on the desk, on the status page and on the pages of respondents; a submit asks nothing of it."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import calls, maintenance
from app.domain.maintenance import Window
from app.infra import times
from app.models import Call, Maintenance
from app.web import instants
from tests import make
from tests.domain.test_maintenance import DAY, HOUR, WHY, begin, soon
from tests.web.test_deadlines import plain

SignIn = Callable[..., str]
DESK = "/manage/maintenance"
WORDS = {"words_en": WHY["en"], "words_nl": WHY["nl"]}


@pytest.fixture
def token(db: Session, sign_in: SignIn, client: TestClient) -> str:
    make.person(db, "one@rvo.example", staff="coordinator")
    return sign_in(client, "one@rvo.example")


def typed(start: datetime, end: datetime) -> dict[str, str]:
    return instants.shown("from", start) | instants.shown("until", end)


def test_a_coordinator_announces_shortens_and_calls_off(client: TestClient, db: Session, token: str) -> None:
    start = soon(db, 48)
    data = {"csrf_token": token, **typed(start, start + 2 * HOUR), **WORDS}
    for _ in range(2):
        assert client.post(DESK, data=data).headers["location"] == DESK
    one = db.scalars(select(Maintenance)).one()
    listed = plain(client.get(DESK).text)
    assert f"{times.brussels_and_utc(start, 'en')} – {times.brussels_and_utc(start + 2 * HOUR, 'en')} planned" in listed
    here = f"{DESK}/{one.id}"
    page = client.get(here).text
    assert f'value="{instants.shown("until", one.ends_at)["until-time"]}"' in page
    longer = client.post(here, data={"csrf_token": token, **typed(start, start + 3 * HOUR)})
    assert (longer.status_code, "can only become shorter" in longer.text) == (422, True)
    assert client.post(here, data={"csrf_token": token, **typed(start, start + HOUR)}).headers["location"] == DESK
    assert client.post(f"{here}/end", data={"csrf_token": token}).headers["location"] == DESK
    again = client.post(f"{here}/end", data={"csrf_token": token})
    assert (again.status_code, "was called off" in again.text) == (409, True)
    assert "nothing of it can be changed" in client.get(here).text
    trail = plain(client.get("/manage/audit").text)
    assert "made planned maintenance shorter" in trail
    assert times.iso(start + 2 * HOUR) in trail, "what it was before"


def test_a_refusal_names_the_call_and_keeps_what_was_typed(client: TestClient, db: Session, token: str) -> None:
    with make.owner(db):
        now = calls.clock(db)
        call = calls.publish(db, make.definition("aigf-eoi"), now, now + 5 * DAY, "real")
    start = (call.closes_at - HOUR).replace(second=0, microsecond=0)
    data = {"csrf_token": token, **typed(start, start + HOUR), **WORDS}
    page = client.post(DESK, data=data)
    assert page.status_code == 422
    assert (
        f"In the way is: Expression of interest in AI gigafactories ({times.brussels_and_utc(call.opens_at, 'en')}"
        in plain(page.text)
    )
    assert f">\n{WHY['nl']}</textarea>" in page.text
    assert db.scalars(select(Maintenance)).all() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"from-day": "x"},
        {"until-time": "25:00"},
        {"until-year": "99999"},
        {"from-day": "٣"},
        {"words_en": " "},
        {"words_nl": "\x00"},
        {"until-year": "2020"},
        {},
    ],
)
def test_what_cannot_be_read_is_told_and_nothing_is_announced(
    client: TestClient, db: Session, token: str, wrong: dict[str, str]
) -> None:
    start = soon(db, 48)
    data = {"csrf_token": token, **(typed(start, start + HOUR) | WORDS | wrong if wrong else {})}
    page = client.post(DESK, data=data)
    assert (page.status_code, "There is a problem" in page.text) == (422, True)
    assert db.scalars(select(Maintenance)).all() == []


def test_huge_words_are_cut_and_nobodys_window_is_nowhere(client: TestClient, db: Session, token: str) -> None:
    start = soon(db, 48)
    data = {"csrf_token": token, **typed(start, start + HOUR), "words_en": "x" * 5000, "words_nl": "<b>" + "y" * 5000}
    assert client.post(DESK, data=data).status_code == 303
    one = db.scalars(select(Maintenance)).one()
    assert (len(one.words["en"]), len(one.words["nl"])) == (500, 500)
    assert "<b>" not in client.get(DESK).text
    for path in (f"{DESK}/{'0' * 32}", f"{DESK}/nothing"):
        assert client.get(path).status_code in (404, 422)


def test_everybody_reads_it_on_the_status_page_and_an_outage_in_it_still_counts(
    client: TestClient, db: Session, portal: Portal
) -> None:
    staff = make.person(db, "one@rvo.example", staff="coordinator")
    start = soon(db)
    past = maintenance.announce(db, staff, start, start + timedelta(minutes=10), WHY)
    begin(db, past, timedelta(minutes=30))
    coming = maintenance.announce(db, staff, start + DAY, start + DAY + HOUR, WHY)
    gone = maintenance.announce(db, staff, start + 2 * DAY, start + 2 * DAY + HOUR, WHY)
    maintenance.call_off(db, staff, gone)
    old = maintenance.announce(db, staff, start + 3 * DAY, start + 3 * DAY + HOUR, WHY)
    begin(db, old, timedelta(days=31))
    note = "insert into readiness (minute, replica, is_ready, failed) values (date_trunc('minute', now(), 'UTC') - interval '%s minutes', 'host/7', %s, '{}')"
    for minutes in range(2, 40):
        db.execute(text(note % (minutes, minutes not in (22, 23, 10))))
    shown = plain(client.get("/status").text)
    order = [
        f"{times.brussels_and_utc(one.starts_at, 'en')} – {times.brussels_and_utc(one.ends_at, 'en')} {how}"
        for one, how in ((gone, "called off"), (coming, "planned"), (past, "over"))
    ]
    places = [shown.index(words) for words in order]
    assert places == sorted(places)
    assert times.brussels_and_utc(old.starts_at, "en") not in shown
    cells = re.findall(
        r'<td class="govuk-table__cell">([^<]+)</td><td class="govuk-table__cell">(all of it|no)',
        client.get("/status").text,
    )
    assert cells == [("1", "no"), ("2", "all of it")]
    dutch = plain(client.get("/status", headers={"Accept-Language": "nl"}).text)
    assert ("Gepland onderhoud" in dutch, WHY["nl"] in dutch, "De database krijgt" in shown) == (True, True, False)


def test_respondents_read_it_on_their_pages_and_nobody_else_on_others(
    client: TestClient, db: Session, portal: Portal, sign_in: SignIn
) -> None:
    call = make.call(db)
    case, _ = make.submission(db, call, make.person(db))
    sign_in(client)
    portal.announced = [Window(portal.now() + HOUR, portal.now() + 2 * HOUR, WHY)]
    for path in (
        "/apply",
        f"/apply/{case.reference}",
        f"/apply/{case.reference}/check",
        f"/calls/{call.code}",
        "/interests",
    ):
        page = client.get(path)
        assert (page.status_code, "data-maintenance" in page.text) == (200, True), path
    assert WHY["en"] in client.get("/apply").text
    assert "data-maintenance" not in client.get("/account").text
    portal.announced = [Window(portal.now() - 2 * HOUR, portal.now() - HOUR, WHY)]
    assert "data-maintenance" not in client.get("/apply").text


def test_neither_a_submit_nor_a_page_of_a_respondent_asks_the_database_for_it(
    client: TestClient, db: Session, portal: Portal, sign_in: SignIn
) -> None:
    call = make.call(db)
    case, actor = make.submission(db, call, make.person(db))
    make.attach(db, portal.files, actor, case)
    portal.announced = [Window(portal.now() + HOUR, portal.now() + 2 * HOUR, WHY)]
    token = sign_in(client)
    asked: list[str] = []
    connection = db.connection()
    event.listen(connection, "before_cursor_execute", lambda *given: asked.append(given[2]))
    assert "data-maintenance" in client.get(f"/apply/{case.reference}").text
    done = client.post(f"/apply/{case.reference}/receipts", data={"csrf_token": token, "key": "one"})
    assert done.status_code in (303, 422)
    assert len(asked) > 3
    assert [statement for statement in asked if "maintenance" in statement] == []


def test_a_deadline_in_the_way_is_told_beside_it(client: TestClient, db: Session, token: str, two: Call) -> None:
    staff = make.person(db, "one@rvo.example", staff="coordinator")
    start = soon(db, 48)
    maintenance.announce(db, staff, start, start + HOUR, WHY)
    assert "Maintenance is announced within the last 24 hours" not in client.get(f"/manage/calls/{two.code}").text
    with make.owner(db):
        db.execute(text("update call set closes_at = :at where id = :id"), {"at": start + 2 * HOUR, "id": two.id})
    db.expire(two)
    assert "Maintenance is announced within the last 24 hours" in client.get(f"/manage/calls/{two.code}").text
    assert "A call has moved" in client.get(DESK).text


@pytest.fixture
def two(db: Session) -> Call:
    with make.owner(db):
        now = calls.clock(db)
        return calls.publish(db, make.definition("aigf-eoi"), now - 2 * DAY, now + 20 * DAY, "real")
