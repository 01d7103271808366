"""The history of readiness: minute by minute, over real outages of a real database, thinned without losing evidence."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app import server, watch
from app.deps import Portal
from app.domain import availability, calls
from app.domain.availability import MINUTE, Outage, Watch
from app.infra import database, times
from app.infra.files import FileStore
from app.infra.mailer import Mailer
from app.infra.postgres import Cluster
from app.infra.signing import Signer
from app.main import create_app
from app.models import Attempt, Readiness
from app.settings import Settings
from tests import make
from tests.conftest import deliver
from tests.test_cutoff import prepare, publish

UP = {"database": True, "files": True, "clock": True}
BRUSSELS = ZoneInfo("Europe/Brussels")


def note(db: Session, start: datetime, minutes: str, replica: str = "one") -> None:
    """A row a minute from `start`: `+` ready, `-` database away, `.` silent."""
    for place, sign in enumerate(minutes):
        if sign != ".":
            failed = [] if sign == "+" else ["database"]
            db.add(Readiness(minute=start + place * MINUTE, replica=replica, is_ready=not failed, failed=failed))
    db.flush()


def start_of(db: Session, ago: timedelta) -> datetime:
    """A whole minute so long ago, by the database's clock."""
    return (calls.clock(db) - ago).replace(second=0, microsecond=0)


def shape(found: list[Outage], start: datetime) -> list[tuple[int, int, tuple[str, ...]]]:
    """The windows as (first minute, length, what failed), earliest first."""
    return [((o.starts_at - start) // MINUTE, o.minutes, o.failed) for o in found[::-1]]


def test_where_nothing_is_on_record_yet_there_was_no_outage(db: Session) -> None:
    since = calls.clock(db) - timedelta(days=30)
    assert availability.outages(db, since) == []
    assert availability.days(db, since, [], BRUSSELS) == []


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("+++++++", "+++++++", []),
        ("++--+++", "+++++++", []),  # the other took over
        ("++--+++", "+++-+++", [(3, 1, ("database",))]),
        ("++--+--+", "++--+--+", [(2, 2, ("database",)), (5, 2, ("database",))]),
        ("++..+++", "++..+++", [(2, 2, ("silent",))]),
        ("++-..++", "+++..++", [(3, 2, ("silent",))]),
        ("++-..++", "++-..++", [(2, 3, ("database", "silent"))]),
        ("..++", "....", []),  # nothing is known before the first row
    ],
)
def test_an_outage_is_a_window_in_which_no_replica_was_ready(
    db: Session, one: str, other: str, expected: list[tuple[int, int, tuple[str, ...]]]
) -> None:
    start = start_of(db, timedelta(minutes=len(one) + 1))  # up to the last minute that is over for every replica
    note(db, start, one)
    note(db, start, other, "other")
    assert shape(availability.outages(db, start - timedelta(hours=1)), start) == expected


def test_a_portal_that_is_silent_until_now_is_out_until_the_minute_that_may_still_be_noted(db: Session) -> None:
    start = start_of(db, timedelta(minutes=10))
    note(db, start, "+++")
    (found,) = availability.outages(db, start)
    now = start_of(db, timedelta())
    assert (found.starts_at, found.ends_at) == (start + 3 * MINUTE, now - MINUTE)
    assert found.failed == ("silent",)


def test_the_first_start_of_all_is_no_outage_and_a_later_one_is(db: Session) -> None:
    start = start_of(db, timedelta(minutes=6))
    db.add(Readiness(minute=start, replica="one", is_ready=False, failed=["starting"]))
    db.flush()
    assert availability.outages(db, start) == []
    assert availability.days(db, start, [], BRUSSELS) == []
    note(db, start + MINUTE, "++")
    db.add(Readiness(minute=start + 3 * MINUTE, replica="one", is_ready=False, failed=["starting"]))
    note(db, start + 4 * MINUTE, "+")
    found = availability.outages(db, start)
    assert shape(found, start) == [(3, 1, ("starting",))]
    assert sum(day.missed for day in availability.days(db, start, found, BRUSSELS)) == 1
    assert sum(day.minutes for day in availability.days(db, start, found, BRUSSELS)) == 4


def test_what_was_before_the_time_asked_about_is_left_out(db: Session) -> None:
    start = start_of(db, timedelta(minutes=9))
    note(db, start, "+--+--++")
    assert shape(availability.outages(db, start + 4 * MINUTE + timedelta(seconds=30)), start) == [(4, 2, ("database",))]


def test_a_process_notes_a_minute_when_it_is_over_with_all_that_failed_in_it() -> None:
    seen = Watch("one")
    at = datetime(2027, 6, 20, 14, 52, 3, tzinfo=UTC)
    seen.see(at, UP)
    seen.see(at + timedelta(seconds=20), UP | {"database": False})
    seen.see(at + timedelta(seconds=40), UP)
    assert list(seen.waiting) == []
    seen.see(at + MINUTE, UP | {"files": False})
    seen.see(at + MINUTE + timedelta(seconds=30), UP)
    seen.see(at + MINUTE + timedelta(seconds=50), UP)
    seen.close()
    minute = at.replace(second=0)
    assert list(seen.waiting) == [(minute, ["database"]), (minute + MINUTE, ["files"])]


def test_a_look_that_was_held_up_speaks_against_every_minute_that_it_took() -> None:
    seen = Watch("one")
    at = datetime(2027, 6, 20, 14, 52, 55, tzinfo=UTC)
    seen.see(at - MINUTE / 2, UP)
    seen.see(at, UP)
    seen.see(at + 3 * MINUTE, UP)  # asked at 14:53:00, answered at 14:55:55: all was well, it said
    seen.see(at + 3 * MINUTE + timedelta(seconds=10), UP)
    seen.close()
    minute = at.replace(second=0)
    hung = [(minute + n * MINUTE, ["hung"]) for n in range(4)]
    assert list(seen.waiting) == [*hung, (minute + 4 * MINUTE, [])]


def test_a_start_and_a_stop_are_minutes_that_were_not_served_whole(portal: Portal, db: Session) -> None:
    watchman = watch.Watchman(portal)
    watchman.stopping.set()  # the thread has nothing to do but end
    watchman.start()
    watchman.stop()
    (row,) = db.scalars(select(Readiness))
    assert {"starting", "stopping"} <= set(row.failed)
    assert (row.replica, row.is_ready) == (portal.watch.replica, False)


def test_thinning_keeps_every_outage_as_it_was(db: Session) -> None:
    start = (calls.clock(db) - timedelta(days=33)).replace(minute=0, second=0, microsecond=0)
    whole, flawed = "+" * 60, "+" * 20 + "-" * 3 + "." * 7 + "+" * 30
    edge = "+" + "." * 59  # a lone row at the full hour must not pass for a whole hour
    note(db, start, whole + flawed + whole + edge + whole)
    note(db, start, "+" * 5 + "-" * 5 + "+" * 50, "other")  # one replica away for a while, in a whole hour
    until = start + timedelta(hours=5)
    before = [o for o in availability.outages(db, start) if o.starts_at < until]
    assert shape(before, start) == [(80, 10, ("database", "silent")), (181, 59, ("silent",))]
    gone = availability.thin(db)
    assert gone == 3 * 60 + 55
    db.expire_all()
    assert [o for o in availability.outages(db, start) if o.starts_at < until] == before
    assert availability.thin(db) == 0
    assert db.scalar(select(func.count()).where(Readiness.replica == "*").select_from(Readiness)) == 3
    assert db.scalar(select(func.count()).select_from(Readiness)) == 3 + 53 + 1 + 5


@pytest.mark.parametrize(
    "change", ["update readiness set is_ready = true", "delete from readiness", "truncate readiness"]
)
def test_the_serving_role_cannot_better_its_history(db: Session, change: str) -> None:
    note(db, start_of(db, timedelta(hours=1)), "-")
    with pytest.raises(DBAPIError), db.begin_nested():
        db.execute(text(change))


def test_days_are_those_of_brussels_and_count_what_was_missed_on_each(db: Session) -> None:
    midnight = (calls.clock(db).astimezone(BRUSSELS) - timedelta(days=1)).replace(
        hour=0, minute=0, second=0, microsecond=0
    )
    start = (midnight - timedelta(minutes=5)).astimezone(UTC)
    note(db, start, "+---------+")
    note(db, midnight.astimezone(UTC) + timedelta(minutes=6), "+" * 2000)
    found = availability.outages(db, start)
    days = availability.days(db, start, found, BRUSSELS)[::-1]
    assert [(day.minutes, day.missed) for day in days[:2]] == [(5, 4), (1440, 5)]
    assert days[1].starts_at == midnight


@pytest.fixture
def own(tmp_path: Path, settings: Settings, signer: Signer) -> Iterator[tuple[Cluster, Portal]]:
    """A portal on a database server of its own, which may be killed."""
    with Cluster(tmp_path / "postgres") as cluster:
        cluster.ensure_database("eoi")
        server.migrate(cluster.owner_url("eoi"))
        engine = database.engine(cluster.app_url("eoi"))
        mailer = Mailer.from_url(f"folder://{tmp_path / 'mail'}")
        yield (
            cluster,
            Portal(settings, engine, database.sessions(engine), signer, FileStore(tmp_path / "files"), mailer),
        )
        engine.dispose()


@pytest.mark.committed
@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_a_database_that_was_away_is_on_record_once_it_is_back_and_so_is_who_pressed_meanwhile(
    own: tuple[Cluster, Portal], how: str
) -> None:
    cluster, portal = own
    client = TestClient(create_app(portal), headers={"Origin": "http://testserver"}, raise_server_exceptions=False)
    ((actor, reference),) = prepare(portal, publish(portal, cluster), 1)
    token = enter(client, portal, actor.email)
    with portal.sessions.begin() as db:
        start = start_of(db, timedelta(minutes=12))

    def live_through(first: int, last: int) -> list[bool]:
        """Look at the real database in each of these minutes; whether what was seen could be written down."""
        done = []
        for minute in range(first, last):
            for look in range(3):
                portal.watch.see(start + (minute + look / 3) * MINUTE, portal.checks())
            done.append(watch.write_down(portal))
        return done

    def press() -> int:
        form = {"csrf_token": token, "key": "pressed in vain"}
        return client.post(f"/apply/{reference}/receipts", data=form, follow_redirects=False).status_code

    assert live_through(0, 4) == [True] * 4
    if how == "killed":
        assert cluster.pid is not None
        os.kill(cluster.pid, signal.SIGKILL)
        while cluster.pid is not None:
            pass
    else:
        cluster.stop()
    held, portal.watch = portal.watch, availability.Watch()  # requests mark the minute at hand; the watch lives earlier
    assert client.get("/readyz").status_code == 503
    assert press() == 503
    assert portal.watch.failed == {"database"}
    portal.watch = held
    assert live_through(4, 7) == [False] * 3
    cluster.start()
    assert client.get("/readyz").json()["checks"]["database"]
    assert all(live_through(7, 20))  # beyond now, however long this test takes
    assert press() == 303
    with portal.sessions.begin() as db:
        (found,) = availability.outages(db, start)
        assert ((found.starts_at - start) // MINUTE, found.minutes, found.failed) == (4, 3, ("database",))
        assert db.scalar(select(func.count()).select_from(Readiness)) == 19
        in_vain, accepted = db.scalars(select(Attempt).order_by(Attempt.at))
        assert (in_vain.code, in_vain.person_id, accepted.code) == ("unavailable", actor.person_id, "accepted")
        assert in_vain.pressed_at is not None
        assert in_vain.pressed_at < in_vain.at


def enter(client: TestClient, portal: Portal, address: str) -> str:
    """By the link in the mail; the session's CSRF token."""
    client.post("/account/sign-in", data={"email": address, "next": "/account"})
    link = re.findall(r"/account/link/[\w-]+", deliver(portal)[-1])[0]
    client.post(link, follow_redirects=False)
    token: str = re.findall(r'name="csrf_token" value="([^"]+)"', client.get("/account").text)[0]
    return token


def test_staff_see_the_windows_with_both_zones_and_take_them_along_as_csv(
    client: TestClient, sign_in: Callable[..., str], db: Session
) -> None:
    start = start_of(db, timedelta(minutes=11))
    note(db, start, "+++---++++")
    make.person(db, "reviewer@rvo.example", staff="reviewer")
    assert client.get("/manage/availability").status_code == 303  # to the door
    sign_in(client)
    assert client.get("/manage/availability").status_code == 404
    sign_in(client, "reviewer@rvo.example")
    page = client.get("/manage/availability").text
    for at in (start + 3 * MINUTE, start + 6 * MINUTE):
        assert times.brussels(at, "en") in page
        assert times.utc(at, "en") in page
    assert "database away" in page
    table = client.get("/manage/availability.csv").content.decode("utf-8-sig").splitlines()
    assert table[0] == "starts_at,ends_at,starts_brussels,ends_brussels,minutes,failed"
    assert table[1].startswith(f"{times.iso(start + 3 * MINUTE)},{times.iso(start + 6 * MINUTE)},")
    assert table[1].endswith(",3,database")
