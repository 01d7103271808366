"""The cutoff: accepted before, refused after, by the database alone, whoever asks and however many ask at once."""

import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.deps import Portal
from app.domain import attachments, calls, submissions, verification, withdrawals
from app.domain.errors import CallClosed, CallNotOpen, refusal_of
from app.infra import database
from app.infra.postgres import Cluster
from app.infra.signing import Signer
from app.models import Call, Submission, Version
from tests import make

MICROSECOND = timedelta(microseconds=1)


def set_window(portal: Portal, cluster: Cluster, code: str, seconds: float) -> datetime:
    """Move a committed call's deadline to `seconds` from the database's now, as the owner; returns it."""
    engine = create_engine(database.sqlalchemy_url(cluster.owner_url(database_of(portal))))
    with engine.begin() as connection:
        closes_at: datetime = connection.execute(
            text(
                "update call set closes_at = clock_timestamp() + make_interval(secs => :s),"
                " opens_at = clock_timestamp() - interval '1 day' where code = :code returning closes_at"
            ),
            {"s": seconds, "code": code},
        ).scalar_one()
    engine.dispose()
    return closes_at


def database_of(portal: Portal) -> str:
    with portal.engine.connect() as connection:
        return str(connection.execute(text("select current_database()")).scalar_one())


def publish(portal: Portal, cluster: Cluster, closes_in: float = 3600, code: str = "race") -> str:
    """A committed call; returns its code."""
    engine = create_engine(database.sqlalchemy_url(cluster.owner_url(database_of(portal))))
    with Session(engine) as db, db.begin():
        now = calls.clock(db)
        code = calls.publish(
            db,
            make.definition(),
            now - timedelta(days=1),
            now + timedelta(seconds=closes_in),
            code,
            is_synthetic=True,
        ).code
    engine.dispose()
    return code


def prepare(portal: Portal, code: str, number: int) -> list[tuple[Any, str]]:
    """So many ready drafts, each of its own organisation."""
    ready = []
    with portal.sessions.begin() as db:
        call = calls.by_code(db, code)
        for i in range(number):
            case, actor = make.submission(
                db, call, make.person(db, f"p{i}@firm.example"), contact_email=f"p{i}@firm.example"
            )
            ready.append((actor, case.reference))
    return ready


def press_submit(portal: Portal, actor: Any, reference: str, key: str) -> str:
    """One submit in a transaction of its own: `accepted` once committed, or the code of the refusal."""
    try:
        with portal.sessions.begin() as db:
            case = submissions.load(db, actor, reference)
            submissions.submit(db, actor, case.reference, key, "en", portal.signer, make.ISSUER)
    except DBAPIError as failure:
        refusal = refusal_of(failure)
        assert refusal is not None, failure
        return refusal.code
    return "accepted"


def until_somebody_waits(cluster: Cluster, name: str) -> None:
    """Return once a session of the database is seen to wait for a lock."""
    engine = create_engine(database.sqlalchemy_url(cluster.superuser_url(name)))
    seen = text("select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()")
    with engine.connect() as watcher:
        while not watcher.execute(seen).scalar_one():
            watcher.rollback()
    engine.dispose()


@pytest.mark.parametrize(
    ("opens", "closes", "accepted"),
    [
        (timedelta(hours=-1), timedelta(hours=1), True),
        (timedelta(hours=-1), -MICROSECOND, False),
        (timedelta(hours=-1), timedelta(0), False),
        (timedelta(seconds=5), timedelta(hours=1), False),
    ],
)
def test_what_python_foretells_the_database_decides(
    db: Session, opens: timedelta, closes: timedelta, accepted: bool
) -> None:
    call = make.call(db)
    with make.owner(db):
        db.execute(
            text(
                "update call set opens_at = clock_timestamp() + :o, closes_at = clock_timestamp() + :c where id = :id"
            ),
            {"o": opens, "c": closes, "id": call.id},
        )
    db.expire(call)
    assert calls.is_open(call, calls.clock(db)) is accepted
    with make.owner(db):
        nested = db.begin_nested()
        try:
            db.execute(text("select require_open_call(:id)"), {"id": call.id})
            decided = True
        except DBAPIError as failure:
            decided = False
            assert isinstance(refusal_of(failure), CallClosed | CallNotOpen)
            nested.rollback()
    assert decided is accepted


def test_the_boundary_is_half_open_to_the_microsecond(db: Session) -> None:
    call = make.call(db)
    at = call.closes_at
    assert calls.is_open(call, at - MICROSECOND)
    assert not calls.is_open(call, at)
    assert calls.is_open(call, call.opens_at)
    assert not calls.is_open(call, call.opens_at - MICROSECOND)


def test_after_the_cutoff_nothing_of_an_applicant_can_be_written(db: Session, signer: Signer, files: Any) -> None:
    case, actor = make.submission(db, sent=True, signer=signer)
    make.attach(db, files, actor, case)
    attached = db.execute(text("select id from attachment")).scalar_one()
    make.move_deadline(db, case.call, 0)
    attempts: dict[str, Callable[[], Any]] = {
        "submit": lambda: submissions.submit(db, actor, case.reference, "late", "en", signer, make.ISSUER),
        "save": lambda: make.fill(db, actor, case, {"title": "Changed"}),
        "withdraw": lambda: withdrawals.withdraw(db, actor, case, "changed our mind", make.ISSUER),
        "start": lambda: submissions.start(db, actor, case.call, case.organisation_id, "FC"),
        "attach": lambda: make.attach(db, files, actor, case),
        "detach": lambda: attachments.detach(db, actor, case, attached),
    }
    for name, attempt in attempts.items():
        nested = db.begin_nested()
        with pytest.raises(DBAPIError) as failure:
            attempt()
        assert isinstance(refusal_of(failure.value), CallClosed), name
        nested.rollback()
    assert verification.run(db) == []


ATTACKS = {
    "insert a version with a forged stamp": """insert into version (submission_id, call_id, number, definition_digest, kind,
        language, title, is_consented, answers, files, findings, facts, payload_sha256, idempotency_key, submitted_by, received_at)
        select submission_id, call_id, 9, definition_digest, kind, language, title, is_consented, answers, files, findings, facts,
        payload_sha256, 'forged', submitted_by, received_at from version""",
    "insert with on conflict do update": """insert into version (submission_id, call_id, number, definition_digest, kind, language,
        title, is_consented, answers, files, findings, facts, payload_sha256, idempotency_key, submitted_by, received_at)
        select submission_id, call_id, number, definition_digest, kind, language, 'late', is_consented, answers, files, findings,
        facts, payload_sha256, idempotency_key, submitted_by, received_at from version
        on conflict on constraint version_is_accepted_once do update set title = excluded.title""",
    "update a version": "update version set title = 'late'",
    "delete a version": "delete from version",
    "truncate versions": "truncate version cascade",
    "update a draft": "update draft set answers = '{}'",
    "delete a draft": "delete from draft",
    "update a submission": "update submission set kind = 'OO'",
    "delete a submission": "delete from submission",
    "update a receipt": "update receipt set jws = 'x'",
    "delete a receipt": "delete from receipt",
    "update the audit trail": "update event set name = 'nothing.happened'",
    "delete the audit trail": "delete from event",
    "update an attempt": "update attempt set outcome = 'accepted'",
    "move the cutoff": "update call set closes_at = clock_timestamp() + interval '1 day'",
    "delete the call": "delete from call",
    "publish a call": """insert into call (code, definition_digest, opens_at, closes_at, zone)
        select 'other', definition_digest, opens_at, closes_at + interval '9 days', zone from call""",
    "disable the trigger": "alter table version disable trigger version_guard",
    "drop the trigger": "drop trigger version_guard on version",
    "drop the table": "drop table version cascade",
    "replace the function": """create or replace function require_open_call(wanted uuid) returns timestamptz
        language sql as 'select clock_timestamp()'""",
    "replication role": "set session_replication_role = 'replica'",
    "become the owner": "set role eoi_owner",
    "become the superuser": "set role postgres",
    "make a function in front": "create function public.clock_timestamp() returns timestamptz language sql as 'select now()'",
    "shadow the tables": "create temporary table call (id uuid); insert into version default values",
    "read the files of the server": "select pg_read_file('PG_VERSION')",
    "run a program": "copy event to program 'true'",
}


@pytest.mark.committed
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda name: name.replace(" ", "-"))
def test_the_serving_role_cannot_get_around_the_cutoff(committed_portal: Portal, cluster: Cluster, attack: str) -> None:
    portal = committed_portal
    code = publish(portal, cluster)
    ((actor, reference),) = prepare(portal, code, 1)
    assert press_submit(portal, actor, reference, "in time") == "accepted"
    set_window(portal, cluster, code, -0.001)
    state = "select md5(string_agg(t::text, '|' order by t::text)) from {} t"
    tables = ("version", "draft", "submission", "receipt", "event", "call", "attempt")
    with portal.engine.connect() as connection:
        before = [connection.execute(text(state.format(table))).scalar_one() for table in tables]
    raw = portal.engine.raw_connection()
    with pytest.raises(psycopg.Error):
        raw.cursor().execute(ATTACKS[attack])
        raw.commit()
    raw.invalidate()
    with portal.engine.connect() as connection:
        assert [connection.execute(text(state.format(table))).scalar_one() for table in tables] == before


@pytest.mark.committed
def test_copy_is_held_to_the_cutoff_as_well(committed_portal: Portal, cluster: Cluster) -> None:
    portal = committed_portal
    code = publish(portal, cluster)
    ((actor, reference),) = prepare(portal, code, 1)
    with portal.sessions.begin() as db:
        case = submissions.load(db, actor, reference)
        row = f"{case.id}\tsneaky\t{{}}\t{{}}\t1\t{actor.person_id}\n"
    set_window(portal, cluster, code, -0.001)
    raw = portal.engine.raw_connection()
    cursor: Any = raw.cursor()
    statement = "copy draft (submission_id, step, answers, unread, revision, saved_by) from stdin"
    with pytest.raises(psycopg.Error, match="call_is_closed"), cursor.copy(statement) as copy:
        copy.write(row)
    raw.invalidate()


@pytest.mark.committed
def test_of_sixty_writers_across_the_instant_none_is_late_and_none_acknowledged_is_lost(
    committed_portal: Portal, cluster: Cluster
) -> None:
    portal = committed_portal
    code = publish(portal, cluster)
    ready = prepare(portal, code, 60)
    closes_at = set_window(portal, cluster, code, 1.0)
    gate = threading.Barrier(20)

    def write(share: list[tuple[Any, str]]) -> dict[str, str]:
        gate.wait()
        outcome: dict[str, str] = {}
        for actor, reference in share:
            with portal.sessions.begin() as db:  # spread over the instant by the clock itself, not by sleeping
                db.execute(text("select pg_sleep(0.3 + random() * 0.2)"))
            outcome[reference] = press_submit(portal, actor, reference, secrets.token_hex(8))
        return outcome

    outcomes: dict[str, str] = {}
    with ThreadPoolExecutor(20) as pool:
        for part in pool.map(write, [ready[i::20] for i in range(20)]):
            outcomes |= part
    assert set(outcomes.values()) == {"accepted", "call_closed"}, "the race must straddle the instant"
    with portal.sessions.begin() as db:
        rows = select(Submission.reference, Version.received_at).join(Version, Version.submission_id == Submission.id)
        kept = dict(db.execute(rows).all())
        assert set(kept) == {reference for reference, outcome in outcomes.items() if outcome == "accepted"}
        assert all(received_at < closes_at for received_at in kept.values())
        assert verification.run(db) == []


@pytest.mark.committed
def test_eight_clicks_at_once_make_one_version_and_one_receipt(committed_portal: Portal, cluster: Cluster) -> None:
    portal = committed_portal
    code = publish(portal, cluster)
    ready = prepare(portal, code, 5)
    for actor, reference in ready:
        gate = threading.Barrier(8)

        def click(actor: Any = actor, reference: str = reference, gate: threading.Barrier = gate) -> str:
            gate.wait()
            return press_submit(portal, actor, reference, "the same key")

        with ThreadPoolExecutor(8) as pool:
            assert [f.result() for f in [pool.submit(click) for _ in range(8)]] == ["accepted"] * 8
    with portal.sessions.begin() as db:
        assert db.execute(text("select count(*), count(distinct submission_id) from version")).one() == (5, 5)
        assert db.execute(text("select count(*) from receipt")).scalar_one() == 5
        assert verification.run(db) == []


@pytest.mark.committed
def test_eight_different_submits_at_once_are_numbered_without_gaps(committed_portal: Portal, cluster: Cluster) -> None:
    portal = committed_portal
    code = publish(portal, cluster)
    ((actor, reference),) = prepare(portal, code, 1)
    gate = threading.Barrier(8)

    def change_and_submit(i: int) -> str:
        gate.wait()
        with portal.sessions.begin() as db:
            case = submissions.load(db, actor, reference)
            db.execute(
                text(
                    "update draft set answers = answers || jsonb_build_object('title', cast(:t as text)) where submission_id = :s and step = 'summary'"
                ),
                {"t": f"Title {i}", "s": case.id},
            )
        return press_submit(portal, actor, reference, f"key {i}")

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(change_and_submit, range(8))) == {"accepted"}
    with portal.sessions.begin() as db:
        numbers = db.scalars(select(Version.number).order_by(Version.number)).all()
        assert list(numbers) == list(range(1, len(numbers) + 1))
        assert verification.run(db) == []


@pytest.mark.committed
def test_a_submit_that_waits_for_the_lock_is_judged_by_the_clock_after_the_wait(
    committed_portal: Portal, cluster: Cluster
) -> None:
    portal = committed_portal
    code = publish(portal, cluster)
    ((actor, reference),) = prepare(portal, code, 1)
    engine = create_engine(database.sqlalchemy_url(cluster.owner_url(database_of(portal))))
    with engine.connect() as holder, ThreadPoolExecutor(1) as pool:
        holder.execute(text("select 1 from call where code = :c for update"), {"c": code})
        holder.execute(text("update call set closes_at = clock_timestamp() where code = :c"), {"c": code})
        waiting = pool.submit(press_submit, portal, actor, reference, "key")
        until_somebody_waits(cluster, database_of(portal))
        holder.commit()
        assert waiting.result() == "call_closed"
    engine.dispose()
    with portal.sessions.begin() as db:
        assert db.scalar(select(Call).where(Call.code == code)) is not None
        assert db.execute(text("select count(*) from version")).scalar_one() == 0


@pytest.mark.committed
def test_a_resubmit_in_flight_and_the_seal_do_not_wait_for_each_other(
    committed_portal: Portal, cluster: Cluster
) -> None:
    portal = committed_portal
    code = publish(portal, cluster)
    ((actor, reference),) = prepare(portal, code, 1)
    assert press_submit(portal, actor, reference, "first") == "accepted"
    with portal.sessions.begin() as db:
        changed = {"title": "Changed", "contact_email": actor.email}
        make.fill(db, actor, submissions.load(db, actor, reference), changed)
    set_window(portal, cluster, code, -0.001)
    engine = create_engine(database.sqlalchemy_url(cluster.owner_url(database_of(portal))))
    with engine.connect() as sealer, ThreadPoolExecutor(1) as pool:
        wanted = sealer.execute(text("select id from call where code = :c for update"), {"c": code}).scalar_one()
        waiting = pool.submit(press_submit, portal, actor, reference, "second")
        until_somebody_waits(cluster, database_of(portal))
        sealer.execute(text("select seal_call(:id)"), {"id": wanted})
        sealer.commit()
        assert waiting.result() == "call_closed"
    engine.dispose()
    with portal.sessions.begin() as db:
        assert db.execute(text("select count(*) from leaf")).scalar_one() == 1
