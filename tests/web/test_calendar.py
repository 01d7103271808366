"""The deadline in a calendar: the instant itself, the same event after each change, in both languages."""

from collections.abc import Callable
from datetime import timedelta

from icalendar import Calendar
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.domain import calls, deadlines
from tests import make
from tests.conftest import deliver

SignIn = Callable[..., str]


def test_the_deadline_is_the_same_event_after_each_change(client: TestClient, db: Session, portal: object) -> None:
    call = make.call(db)
    before = client.get(f"/calls/{call.code}/deadline.ics", headers={"Accept-Language": "nl"})
    assert (before.status_code, before.headers["content-type"]) == (200, "text/calendar; charset=utf-8")
    assert all(len(line) <= 75 for line in before.content.split(b"\r\n"))
    (first,) = Calendar.from_ical(before.content).walk("VEVENT")
    assert (first["sequence"], first.decoded("dtstart")) == (0, call.closes_at.replace(microsecond=0))
    assert ("DTSTART:" in before.text, "Z\r\n" in before.text, "Sluitingstijd: " in before.text) == (True, True, True)
    one = make.person(db, "one@rvo.example", staff="coordinator")
    other = make.person(db, "other@rvo.example", staff="coordinator")
    make.submission(db, call)
    later = calls.clock(db) + timedelta(days=2)
    change = deadlines.propose(db, one, call, later, {"en": "More time.", "nl": "Meer tijd."})
    deadlines.confirm(db, other, call, change.id, make.ISSUER)
    db.expire_all()
    after = client.get(f"/calls/{call.code}/deadline.ics")
    (second,) = Calendar.from_ical(after.content).walk("VEVENT")
    assert (second["uid"], second["sequence"]) == (first["uid"], 1)
    assert second.decoded("dtstart") == later.replace(microsecond=0)
    assert second.decoded("dtstamp") > first.decoded("dtstamp") - timedelta(seconds=1)
    (mail,) = [m for m in deliver(portal) if "New deadline" in m]  # type: ignore[arg-type]
    assert f"/calls/{call.code}/deadline.ics" in mail


def test_pages_of_an_open_call_offer_it(client: TestClient, db: Session, sign_in: SignIn) -> None:
    case, _ = make.submission(db, actor=make.person(db))
    sign_in(client)
    for page in (f"/calls/{case.call.code}", f"/apply/{case.reference}"):
        assert f'href="/calls/{case.call.code}/deadline.ics"' in client.get(page).text
    assert client.get("/calls/nothing/deadline.ics").status_code == 404
