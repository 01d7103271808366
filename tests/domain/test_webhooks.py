"""Webhooks: two people for each, a notice with what it tells of, signatures that others can check, three days of patience."""

import json
import time
import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, func, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.courier import Courier
from app.deps import Portal
from app.domain import calls, notices, releases, webhooks
from app.domain.access import Actor
from app.domain.errors import Forbidden, Immutable, Invalid, NeedsSecondPerson, NotFound, refusal_of
from app.infra import database
from app.infra.poster import Poster
from app.infra.postgres import Cluster
from app.infra.signing import Signer
from app.models import Call, Event, Notice, Submission, Webhook
from tests import make
from tests.receiver import is_signed, receiving

WISH = webhooks.Wish("EuroHPC", "https://hook.example/eoi", ["call.sealed"])


@pytest.fixture
def call(db: Session) -> Call:
    return make.call(db)


@pytest.fixture
def admin(db: Session) -> Actor:
    return make.person(db, "admin@rvo.example", "Ada Admin", staff="admin")


@pytest.fixture
def coordinator(db: Session) -> Actor:
    return make.person(db, "coordinator@rvo.example", "Co Ordinator", staff="coordinator")


@pytest.fixture
def courier(portal: Portal) -> Courier:
    made = Courier(portal)
    made.poster = Poster(("127.0.0.0/8",), may_be_plain=True, whole=2)
    return made


def hooked(db: Session, portal: Portal, call: Call, url: str, *events: str) -> tuple[Webhook, str]:
    return make.webhook(db, call, url, *events, root_key=portal.root_key)


def sealed(db: Session, call: Call, signer: Signer, submissions: int = 1) -> None:
    for number in range(submissions):
        email = f"lead{number}@firm.example"
        make.submission(db, call, make.person(db, email), sent=True, signer=signer, contact_email=email)
    make.move_deadline(db, call, 0)
    make.seal(db, call, signer)


def round_of(courier: Courier) -> int:
    """One round of the courier, its letters sent one after another."""
    letters = courier.claim()
    for letter in letters:
        courier.send(letter)
    return len(letters)


def hasten(db: Session) -> None:
    """Move what is due next, not the clock."""
    db.execute(update(Notice).where(Notice.sent_at.is_(None)).values(next_attempt_at=func.clock_timestamp()))
    db.expire_all()


def refused(db: Session, statement: str, **given: object) -> str:
    nested = db.begin_nested()
    with pytest.raises(DBAPIError) as failure:
        db.execute(text(statement), given)
    nested.rollback()
    found = refusal_of(failure.value)
    return found.code if found else str(getattr(failure.value.orig, "sqlstate", None))


def test_a_webhook_takes_two_people(db: Session, call: Call, admin: Actor, coordinator: Actor) -> None:
    with pytest.raises(Forbidden):
        webhooks.propose(db, coordinator, call, WISH)
    made = webhooks.propose(db, admin, call, WISH)
    with pytest.raises(NeedsSecondPerson):
        webhooks.approve(db, admin, made.id)
    with pytest.raises(NeedsSecondPerson):
        webhooks.new_secret(db, admin, made.id, b"x")
    webhooks.approve(db, coordinator, made.id)
    with pytest.raises(Immutable):
        webhooks.drop(db, coordinator, made.id)
    with pytest.raises(Forbidden):
        webhooks.new_secret(db, coordinator, made.id, b"x")
    assert webhooks.new_secret(db, admin, made.id, b"x").startswith("whsec_")
    names = db.scalars(select(Event.name).where(Event.name.like("webhook.%")).order_by(Event.id)).all()
    assert names == ["webhook.proposed", "webhook.approved", "webhook.secret_shown"]


ATTACKS = {
    "agree to one's own": ("update webhook set approved_by = :a where id = :id", "needs_second_person"),
    "a secret before that": ("update webhook set generation = 1 where id = :id", "needs_second_person"),
    "another address": ("update webhook set url = 'https://evil.example' where id = :id", "42501"),
    "another call": ("update webhook set call_id = gen_random_uuid() where id = :id", "42501"),
    "forge the instant": ("update webhook set approved_at = now() where id = :id", "42501"),
    "delete it": ("delete from webhook where id = :id", "42501"),
    "a notice out of nothing": ("insert into notice (webhook_id, event) values (:id, 'call.sealed')", "42501"),
    "ask for one": ("select notify_webhooks(array[:id]::uuid[], 'call.sealed')", "42501"),
}


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_the_serving_role_cannot_go_around_the_second_person(
    db: Session, call: Call, admin: Actor, attack: str
) -> None:
    statement, answer = ATTACKS[attack]
    made = webhooks.propose(db, admin, call, WISH)
    given = {"a": admin.person_id, "id": made.id}
    assert refused(db, statement, **{name: value for name, value in given.items() if f":{name}" in statement}) == answer


@pytest.mark.parametrize(
    "url",
    ["http://hook.example/", "https://", "https:///x", "https://u:p@hook.example/", "https://hook.example:99999/", "https://hook.example:0/",
     "https://hook .example/", "https://hook.example/\r\nX: y", "javascript:x", "", "\x00", "https://[::1", "https://é.example/", "https://a/" + "a" * 600],
)  # fmt: skip
def test_only_addresses_with_tls_are_registered(db: Session, call: Call, admin: Actor, url: str) -> None:
    with pytest.raises(Invalid):
        webhooks.propose(db, admin, call, webhooks.Wish("x", url, ["call.sealed"]))


def test_a_seal_is_told_to_the_webhooks_of_its_call_and_signed_so_that_others_can_check_it(
    db: Session, portal: Portal, call: Call, courier: Courier, signer: Signer
) -> None:
    with receiving() as receiver, receiving() as stranger:
        _, secret = hooked(db, portal, call, receiver.url, "call.sealed")
        hooked(db, portal, make.call(db), stranger.url)
        sealed(db, call, signer)
        assert (round_of(courier), round_of(courier)) == (1, 0)
        ((_, headers, body),) = receiver.got
        assert stranger.got == []
    assert is_signed(headers, body, secret)
    assert not is_signed(headers, body + b" ", secret)
    assert not is_signed(headers, body, "whsec_" + "A" * 44)
    told = json.loads(body)
    assert (told["type"], told["data"]) == ("call.sealed", {"call": call.code, "entry": 0})
    assert b"Delta" not in body
    notice = db.scalars(select(Notice)).one()
    assert (str(notice.id), notice.attempts, notice.last_status) == (headers["webhook-id"], 1, 204)
    assert notice.sent_at


def test_each_release_and_each_taking_back_is_told_and_a_seal_that_releases_many_once(
    db: Session, portal: Portal, call: Call, signer: Signer, coordinator: Actor
) -> None:
    hooked(db, portal, call, "https://hook.example/", "feed.advanced")
    sealed(db, call, signer, submissions=3)
    assert [n.event for n in db.scalars(select(Notice))] == ["feed.advanced"]
    first = db.scalars(select(Submission)).first()
    assert first
    make.free(db, coordinator, first)
    releases.take_back(db, coordinator, [first.reference], "A mistake.", make.ISSUER)
    assert len(db.scalars(select(Notice)).all()) == 2


def test_nothing_is_told_that_was_rolled_back(db: Session, portal: Portal, call: Call, signer: Signer) -> None:
    hooked(db, portal, call, "https://hook.example/")
    nested = db.begin_nested()
    sealed(db, call, signer)
    assert db.scalars(select(Notice)).all()
    nested.rollback()
    assert db.scalars(select(Notice)).all() == []


def test_for_a_week_both_secrets_sign(
    db: Session, portal: Portal, call: Call, courier: Courier, signer: Signer, admin: Actor
) -> None:
    with receiving() as receiver:
        made, old = hooked(db, portal, call, receiver.url, "call.sealed")
        new = webhooks.new_secret(db, admin, made.id, portal.root_key)
        sealed(db, call, signer)
        round_of(courier)
        notices.send_again(db, admin, db.scalars(select(Notice.id)).one())
        with make.owner(db):
            db.execute(update(Webhook).values(rotated_at=func.clock_timestamp() - timedelta(days=8)))
        db.expire_all()
        round_of(courier)
        (_, first, body), (_, second, again) = receiver.got
    assert old != new
    assert first["webhook-id"] == second["webhook-id"]
    assert [is_signed(first, body, secret) for secret in (old, new)] == [True, True]
    assert [is_signed(second, again, secret) for secret in (old, new)] == [False, True]


def test_what_is_not_taken_is_tried_for_three_days_then_given_up_and_the_webhook_paused(
    db: Session, portal: Portal, call: Call, courier: Courier, signer: Signer, admin: Actor
) -> None:
    assert timedelta(days=2, hours=22) < sum(notices.PAUSES, timedelta()) < timedelta(days=3)
    with receiving(status=503) as receiver:
        made, _ = hooked(db, portal, call, receiver.url, "call.sealed")
        sealed(db, call, signer)
        waits = []
        for _ in range(len(notices.PAUSES)):
            hasten(db)
            before = calls.clock(db)
            assert round_of(courier) == 1
            notice = db.scalars(select(Notice)).one()
            db.refresh(notice)
            waits.append((notice.next_attempt_at - before).total_seconds())
        assert [round(wait / 5) for wait in waits] == [int(pause.total_seconds() / 5) for pause in notices.PAUSES]
        db.refresh(made)
        assert (webhooks.state(made), made.failing_since is not None, notice.last_status) == ("live", True, 503)
        hasten(db)
        assert round_of(courier) == 1
        db.refresh(made)
        db.refresh(notice)
        assert (webhooks.state(made), notice.failed_at is not None) == ("paused", True)
        assert notices.counts(db) == {"waiting": 0, "sent": 0, "failed": 1}
        with pytest.raises(NotFound):
            notices.send_again(db, admin, uuid.uuid4())
        notices.send_again(db, admin, notice.id)
        assert round_of(courier) == 0  # it is paused still
        webhooks.resume(db, admin, made.id)
        receiver.status = 200
        assert round_of(courier) == 1
        db.refresh(made)
        db.refresh(notice)
        assert (notice.sent_at is not None, made.failing_since, made.last_sent_at is not None) == (True, None, True)
        assert len({headers["webhook-id"] for _, headers, _ in receiver.got}) == 1


def test_an_address_that_says_it_is_gone_is_paused_at_once(
    db: Session, portal: Portal, call: Call, courier: Courier, signer: Signer
) -> None:
    with receiving(status=410) as receiver:
        made, _ = hooked(db, portal, call, receiver.url, "call.sealed")
        sealed(db, call, signer)
        round_of(courier)
    db.refresh(made)
    assert webhooks.state(made) == "paused"


@pytest.mark.parametrize(("status", "manner"), [(302, ""), (400, ""), (500, ""), (200, "silent")])
def test_anything_but_a_2xx_is_tried_again(
    db: Session, portal: Portal, call: Call, courier: Courier, signer: Signer, status: int, manner: str
) -> None:
    courier.poster = Poster(("127.0.0.0/8",), may_be_plain=True, whole=0.3)
    with receiving(status=status, manner=manner) as receiver:
        hooked(db, portal, call, receiver.url, "call.sealed")
        sealed(db, call, signer)
        round_of(courier)
        notice = db.scalars(select(Notice)).one()
        db.refresh(notice)
    assert (notice.sent_at, notice.failed_at, notice.attempts) == (None, None, 1)
    assert len(receiver.got) == 1


def test_an_address_in_our_own_network_is_refused_and_told(
    db: Session, portal: Portal, call: Call, signer: Signer
) -> None:
    with receiving() as receiver:
        hooked(db, portal, call, receiver.url, "call.sealed")
        sealed(db, call, signer)
        round_of(Courier(portal))
        assert receiver.got == []
    notice = db.scalars(select(Notice)).one()
    db.refresh(notice)
    assert (notice.attempts, "no public address" in str(notice.last_error)) == (1, True)


def test_a_webhook_gets_one_notice_at_a_time_and_none_while_one_is_under_way(
    db: Session, portal: Portal, call: Call, courier: Courier, signer: Signer
) -> None:
    hooked(db, portal, call, "https://hook.invalid/one")
    hooked(db, portal, call, "https://hook.invalid/two")
    sealed(db, call, signer)
    assert len(db.scalars(select(Notice)).all()) == 4
    assert {letter.url for letter in courier.claim()} == {"https://hook.invalid/one", "https://hook.invalid/two"}
    assert courier.claim() == []
    other = Courier(portal)  # another process: it takes up what is left, and nothing that is taken
    assert len(other.claim()) == 2
    assert Courier(portal).claim() == []
    hasten(db)  # the minute of a sender that died has passed
    assert len(Courier(portal).claim()) == 2


def test_before_its_secret_is_known_to_the_other_side_nothing_is_sent(
    db: Session, portal: Portal, call: Call, courier: Courier, signer: Signer, admin: Actor, coordinator: Actor
) -> None:
    made = webhooks.propose(db, admin, call, WISH)
    webhooks.approve(db, coordinator, made.id)
    sealed(db, call, signer)
    assert courier.claim() == []
    webhooks.new_secret(db, admin, made.id, portal.root_key)
    assert len(courier.claim()) == 1


def test_an_ended_webhook_is_told_nothing(
    db: Session, portal: Portal, call: Call, courier: Courier, signer: Signer, admin: Actor
) -> None:
    made, _ = hooked(db, portal, call, "https://hook.invalid/")
    webhooks.end(db, admin, made.id)
    sealed(db, call, signer)
    assert db.scalars(select(Notice)).all() == []
    with pytest.raises(Immutable):
        webhooks.new_secret(db, admin, made.id, b"x")
    with pytest.raises(Immutable):
        webhooks.resume(db, admin, made.id)


def test_notices_are_kept_unless_they_were_sent_long_ago(
    db: Session, portal: Portal, call: Call, signer: Signer
) -> None:
    hooked(db, portal, call, "https://hook.invalid/")
    sealed(db, call, signer)
    assert refused(db, "delete from notice") == "immutable"
    first = db.scalars(select(Notice.id)).first()
    db.execute(update(Notice).where(Notice.id == first).values(sent_at=func.now() - timedelta(days=401)))
    notices.sweep(db)
    assert len(db.scalars(select(Notice)).all()) == 1


def test_no_secret_of_a_webhook_stands_in_the_database(db: Session, portal: Portal, call: Call) -> None:
    _, secret = hooked(db, portal, call, "https://hook.invalid/")
    rows = db.execute(text("select row_to_json(webhook)::text from webhook")).scalars().all()
    assert rows
    assert secret.removeprefix("whsec_") not in str(rows)


def until(holds: Callable[[], bool]) -> bool:
    """Wait for what another thread does, for as long as a busy machine may take."""
    end = time.monotonic() + 60
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)
    return holds()


@pytest.mark.committed
def test_the_thread_sends_by_itself_and_a_slow_address_holds_up_neither_the_others_nor_the_database(
    committed_portal: Portal, cluster: Cluster, signer: Signer
) -> None:
    portal, courier = committed_portal, Courier(committed_portal)
    courier.poster = Poster(("127.0.0.0/8",), may_be_plain=True, whole=60)
    engine = create_engine(database.sqlalchemy_url(cluster.superuser_url(str(portal.engine.url.database))))
    with receiving(manner="silent") as slow, receiving() as quick:
        with Session(engine) as db, db.begin():
            call = make.call(db)
            code = call.code
            for receiver in (slow, quick):
                hooked(db, portal, call, receiver.url)
            sealed(db, call, signer)
        engine.dispose()
        courier.start()
        assert until(lambda: len(quick.got) == 2 and len(slow.got) == 1)
        assert [json.loads(body)["data"] for _, _, body in quick.got] == [{"call": code, "entry": 1}] * 2
        with portal.sessions.begin() as db:
            db.execute(text("set local lock_timeout = '5s'"))
            db.execute(update(Notice).values(last_error=None))
        courier.stop()
    assert not courier.thread.is_alive()
    assert until(lambda: not courier.under_way)  # who still waited for an answer has written down that none came
