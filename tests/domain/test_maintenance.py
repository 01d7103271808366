"""Planned maintenance is announced beforehand, away from the edges of a call; it may shrink or be called off, nothing else."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app import watch
from app.deps import Portal
from app.domain import calls, maintenance, verification
from app.domain.access import Actor
from app.domain.availability import MINUTE, Outage
from app.domain.denials import MaintenanceOver, MaintenanceRefused, MaintenanceTouchesCall
from app.domain.errors import Forbidden, Immutable, Refused, refusal_of
from app.domain.maintenance import Window
from app.infra import times
from app.models import Call, Event, Maintenance
from tests import make

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WHY = {"en": "The database gets a new version.", "nl": "De database krijgt een nieuwe versie."}


@pytest.fixture
def staff(db: Session) -> Actor:
    return make.person(db, "one@rvo.example", staff="coordinator")


@pytest.fixture
def real(db: Session) -> Call:
    """A call that opens in ten days and closes ten days later: no rehearsal."""
    with make.owner(db):
        now = calls.clock(db)
        return calls.publish(db, make.definition("aigf-eoi"), now + 10 * DAY, now + 20 * DAY, "real")


def soon(db: Session, hours: float = 1) -> datetime:
    return (calls.clock(db) + hours * HOUR).replace(second=0, microsecond=0)


def begin(db: Session, one: Maintenance, ago: timedelta) -> None:
    """Let it have begun `ago`: the owner moves it, since a window is always announced beforehand."""
    with make.owner(db):
        db.execute(text("alter table maintenance disable trigger maintenance_guard"))
        shift = {"by": calls.clock(db) - ago - one.starts_at, "id": one.id}
        db.execute(
            text("update maintenance set starts_at = starts_at + :by, ends_at = ends_at + :by where id = :id"), shift
        )
        db.execute(text("alter table maintenance enable trigger maintenance_guard"))
    db.refresh(one)


def answer(db: Session, statement: str, **values: Any) -> type[Refused] | str:
    """What the database says to the serving role: a refusal's class, or its SQLSTATE where that is none of ours."""
    nested = db.begin_nested()
    with pytest.raises(DBAPIError) as failure:
        db.execute(text(statement), values)
    nested.rollback()
    found = refusal_of(failure.value)
    return type(found) if found else str(getattr(failure.value.orig, "sqlstate", ""))


def test_a_window_is_announced_shortened_and_called_off_and_all_of_it_is_on_record(db: Session, staff: Actor) -> None:
    start = soon(db)
    one = maintenance.announce(db, staff, start, start + 2 * HOUR, WHY)
    assert maintenance.announce(db, staff, start, start + 2 * HOUR, WHY) is one, "pressed twice"
    maintenance.shorten(db, staff, one, start + HOUR / 2, start + HOUR)
    maintenance.call_off(db, staff, one)
    assert (one.announced_by, one.called_off_by, one.words) == (staff.person_id, staff.person_id, WHY)
    events = db.execute(select(Event.name, Event.detail).where(Event.name.startswith("maint")).order_by(Event.id)).all()
    before = f"{times.iso(start)}/{times.iso(start + 2 * HOUR)}"
    after = f"{times.iso(start + HOUR / 2)}/{times.iso(start + HOUR)}"
    assert [tuple(event) for event in events] == [
        ("maintenance.announced", {"window": before}),
        ("maintenance.shortened", {"window": after, "window_from": before}),
        ("maintenance.called_off", {"window": after}),
    ]
    with pytest.raises(MaintenanceOver):
        maintenance.shorten(db, staff, one, start + HOUR / 2, start + 0.6 * HOUR)
    assert answer(db, "update maintenance set called_off_by = announced_by") is MaintenanceOver
    assert maintenance.announce(db, staff, start, start + 2 * HOUR, WHY).id != one.id, "and it may be announced anew"
    assert verification.run(db) == []


@pytest.mark.parametrize(
    ("first", "last", "is_taken"),
    [
        (9 * DAY, 10 * DAY, True),  # until the call opens
        (9 * DAY, 10 * DAY + MINUTE, False),
        (10 * DAY + HOUR - MINUTE, 11 * DAY, False),
        (10 * DAY + HOUR, 11 * DAY, True),
        (18 * DAY, 19 * DAY, True),  # until the last day begins
        (18 * DAY, 19 * DAY + MINUTE, False),
        (20 * DAY - MINUTE, 21 * DAY, False),
        (20 * DAY, 21 * DAY, True),
        (17 * DAY, 22 * DAY, False),  # around it
    ],
)
def test_no_window_touches_the_first_hour_of_a_call_or_its_last_24(
    db: Session, staff: Actor, real: Call, first: timedelta, last: timedelta, is_taken: bool
) -> None:
    base = real.opens_at - 10 * DAY
    start, end = base + first, base + last
    said = {"start": start, "end": end, "by": staff.person_id}
    raw = """insert into maintenance (starts_at, ends_at, words, announced_by)
        values (:start, :end, '{"nl": "x", "en": "x"}', :by)"""
    if is_taken:
        assert maintenance.announce(db, staff, start, end, WHY).announced_at <= calls.clock(db)
        return
    with pytest.raises(MaintenanceTouchesCall) as refusal:
        maintenance.announce(db, staff, start, end, WHY)
    assert refusal.value.extra["calls"] == [real]
    assert answer(db, raw, **said) is MaintenanceTouchesCall, "the database says the same"


def test_a_rehearsal_and_a_sealed_call_stand_in_nobodys_way(db: Session, staff: Actor) -> None:
    make.call(db, closes_in=7200)
    start = soon(db)
    assert maintenance.announce(db, staff, start, start + HOUR, WHY)


def test_it_is_refused_when_begun_backwards_too_long_wordless_or_by_others(db: Session, staff: Actor) -> None:
    start = soon(db)
    for first, last, words in (
        (calls.clock(db) - MINUTE, start, WHY),
        (start, start, WHY),
        (start, start - MINUTE, WHY),
        (start, start + 7 * DAY + MINUTE, WHY),
        (start, start + HOUR, {"en": "Only English", "nl": " "}),
    ):
        with pytest.raises(MaintenanceRefused):
            maintenance.announce(db, staff, first, last, words)
    reviewer = make.person(db, "reviewer@rvo.example", staff="reviewer")
    for nobody in (reviewer, make.person(db)):
        with pytest.raises(Forbidden):
            maintenance.announce(db, nobody, start, start + HOUR, WHY)
    one = maintenance.announce(db, staff, start, start + HOUR, WHY)
    with pytest.raises(Forbidden):
        maintenance.call_off(db, reviewer, one)


def test_it_only_becomes_shorter_and_what_has_begun_only_ends_earlier(db: Session, staff: Actor) -> None:
    start = soon(db)
    one = maintenance.announce(db, staff, start, start + 3 * HOUR, WHY)
    for first, last in ((start - MINUTE, start + HOUR), (start, start + 4 * HOUR), (start + HOUR, start + HOUR)):
        with pytest.raises(MaintenanceRefused):
            maintenance.shorten(db, staff, one, first, last)
    begin(db, one, HOUR)
    with pytest.raises(MaintenanceRefused):
        maintenance.shorten(db, staff, one, one.starts_at + MINUTE, one.ends_at)
    with pytest.raises(MaintenanceRefused):
        maintenance.shorten(db, staff, one, one.starts_at, calls.clock(db) - MINUTE)
    maintenance.shorten(db, staff, one, one.starts_at, one.ends_at - HOUR)
    begin(db, one, DAY)
    with pytest.raises(MaintenanceOver):
        maintenance.shorten(db, staff, one, one.starts_at, one.ends_at - MINUTE)


def test_the_database_holds_it_against_the_serving_role(db: Session, staff: Actor) -> None:
    start = soon(db)
    one = maintenance.announce(db, staff, start, start + HOUR, WHY)
    reviewer = make.person(db, "reviewer@rvo.example", staff="reviewer")
    raw = """insert into maintenance (starts_at, ends_at, words, announced_by, announced_at)
        values (:start, :end, cast(:words as jsonb), :by, 'epoch')"""
    said = {"start": start, "end": start + 2 * HOUR, "words": '{"nl": "x", "en": "x"}', "by": staff.person_id}
    assert answer(db, raw, **said | {"by": reviewer.person_id}) is Forbidden
    assert answer(db, raw, **said | {"start": calls.clock(db) - MINUTE}) is MaintenanceRefused
    assert answer(db, raw, **said | {"end": start - MINUTE}) is MaintenanceRefused
    assert answer(db, raw, **said | {"words": '{"nl": "x", "en": " "}'}) is MaintenanceRefused
    assert answer(db, raw, **said | {"words": '{"nl": "x"}'}) is MaintenanceRefused
    assert answer(db, raw, **said | {"end": one.ends_at}) is MaintenanceOver
    longer = "update maintenance set ends_at = ends_at + interval '1 minute'"
    assert answer(db, longer) is MaintenanceRefused
    assert answer(db, "update maintenance set called_off_by = :by", by=reviewer.person_id) is Forbidden
    for column in ("words = '{}'", "announced_by = null", "announced_at = now()", "called_off_at = now()"):
        assert answer(db, f"update maintenance set {column}") == "42501"
    assert answer(db, "delete from maintenance") == "42501"
    assert answer(db, "truncate maintenance") == "42501"
    with make.owner(db):
        assert answer(db, "delete from maintenance") is Immutable
    db.execute(text(raw), said)
    assert all(row.announced_at > calls.clock(db) - HOUR for row in db.scalars(select(Maintenance)))
    maintenance.call_off(db, staff, one)
    assert answer(db, "update maintenance set called_off_by = null where id = :id", id=one.id) is MaintenanceOver


def test_an_outage_counts_as_announced_for_the_minutes_that_were(db: Session) -> None:
    start = soon(db)
    window = Window(start, start + 10 * MINUTE, WHY)
    early = Window(start + 20 * MINUTE, start + 30 * MINUTE, WHY, start + 25 * MINUTE)
    never = Window(start + 40 * MINUTE, start + 50 * MINUTE, WHY, start)
    among = [window, Window(start + 5 * MINUTE, start + 10 * MINUTE, WHY), early, never]
    for first, last, expected in ((0, 10, 10), (-5, 15, 10), (5, 6, 1), (18, 35, 5), (38, 55, 0), (10, 20, 0)):
        outage = Outage(start + first * MINUTE, start + last * MINUTE, ("database",))
        assert maintenance.minutes_announced(outage, among) == expected


def test_the_pages_of_respondents_tell_of_it_from_a_day_before_until_its_end(db: Session) -> None:
    start = soon(db, 48)
    window = Window(start, start + HOUR, WHY)
    told = {
        -DAY - MINUTE: False,
        -DAY: True,
        timedelta(0): True,
        HOUR - MINUTE: True,
        HOUR: False,
    }
    assert {since: window.is_told(start + since) for since in told} == told
    assert not Window(start, start + HOUR, WHY, start - DAY).is_told(start)


@pytest.mark.committed
def test_what_was_read_stands_while_the_database_is_away(portal: Portal) -> None:
    with portal.sessions.begin() as db:
        start = soon(db)
        staff = make.person(db, "one@rvo.example", staff="coordinator")
        maintenance.announce(db, staff, start, start + HOUR, WHY)
    watch.look_ahead(portal)
    assert [one.starts_at for one in portal.announced] == [start]
    away = Portal.opened(portal.settings, "postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    away.announced = portal.announced
    watch.look_ahead(away)
    assert away.announced == portal.announced


def test_a_deadline_that_moves_into_a_window_is_told_on_the_desk(db: Session, staff: Actor) -> None:
    start = soon(db, 48)
    one = maintenance.announce(db, staff, start, start + HOUR, WHY)
    assert maintenance.before_closing(db, start + 24 * HOUR) == [one]
    assert maintenance.before_closing(db, start + 25 * HOUR) == []
    assert maintenance.before_closing(db, start) == []
    maintenance.call_off(db, staff, one)
    assert maintenance.before_closing(db, start + 24 * HOUR) == []
