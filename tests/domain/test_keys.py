"""A key takes two people, whoever asks the database; it ends when it should, and others take its place in time."""

import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.deps import Portal
from app.domain import bearers, calls, keys, tokens, usage
from app.domain.access import SYSTEM, Actor
from app.domain.errors import Forbidden, Immutable, Invalid, NeedsSecondPerson, NotFound, refusal_of
from app.models import ApiKey, Event, KeyUse
from tests import make

WISH = keys.Wish("EuroHPC", ["aigf-eoi"], ["submissions:read"])


@pytest.fixture
def admin(db: Session) -> Actor:
    return make.person(db, "admin@rvo.example", "Ada Admin", staff="admin")


@pytest.fixture
def coordinator(db: Session) -> Actor:
    return make.person(db, "coordinator@rvo.example", "Co Ordinator", staff="coordinator")


def refused(db: Session, statement: str, **given: object) -> str:
    """The code of the refusal that the database itself answers a statement with."""
    nested = db.begin_nested()
    with pytest.raises(DBAPIError) as failure:
        db.execute(text(statement), given)
    nested.rollback()
    found = refusal_of(failure.value)
    return found.code if found else str(getattr(failure.value.orig, "sqlstate", None))


def test_a_key_is_proposed_by_one_agreed_to_by_another_and_shown_once_to_the_first(
    db: Session, admin: Actor, coordinator: Actor
) -> None:
    key = keys.propose(db, admin, WISH)
    assert (key.secret_hash, keys.state(key, calls.clock(db))) == (None, "proposed")
    with pytest.raises(NeedsSecondPerson):
        keys.collect(db, admin, key.id)
    with pytest.raises(NeedsSecondPerson):
        keys.approve(db, admin, key.id)
    keys.approve(db, coordinator, key.id)
    assert keys.state(key, calls.clock(db)) == "approved"
    with pytest.raises(Immutable):
        keys.approve(db, coordinator, key.id)
    other = make.person(db, "other@rvo.example", staff="admin")
    with pytest.raises(Forbidden):
        keys.collect(db, other, key.id)
    _, shown = keys.collect(db, admin, key.id)
    assert bearers.actor_of(db, shown).api_key_id == key.id
    with pytest.raises(Immutable):
        keys.collect(db, admin, key.id)
    told = db.scalars(select(Event.name).where(Event.name.like("key.%")).order_by(Event.id)).all()
    assert told == ["key.proposed", "key.approved", "key.issued"]
    assert shown.split("_")[2] not in str(db.scalars(select(Event.detail)).all())


@pytest.mark.parametrize("role", ["reviewer", "coordinator"])
def test_only_an_administrator_proposes_a_key(db: Session, role: str) -> None:
    actor = make.person(db, "jo@rvo.example", staff=role)
    with pytest.raises(Forbidden):
        keys.propose(db, actor, WISH)


def test_a_reviewer_agrees_to_nothing(db: Session, admin: Actor) -> None:
    key = keys.propose(db, admin, WISH)
    with pytest.raises(Forbidden):
        keys.approve(db, make.person(db, "jo@rvo.example", staff="reviewer"), key.id)


def test_the_serving_role_cannot_issue_a_key_alone(db: Session, admin: Actor, coordinator: Actor) -> None:
    given = {"a": admin.person_id, "c": coordinator.person_id}
    insert = (
        "insert into api_key (name, prefix, secret_hash, call_codes, scopes, expires_at, proposed_by, approved_by,"
        " approved_at, is_operators) values ('x', :p, 'h', '{}', '{}', now() + interval '1 day', {}, {}, now(), {})"
    )
    assert refused(db, insert.replace("{}, {}, now(), {}", "null, null, null, true"), p="1") == "needs_second_person"
    assert refused(db, insert.replace("{}, {}, now(), {}", ":c, :a, now(), false"), p="2", **given) == (
        "needs_second_person"
    )
    db.execute(text(insert.replace("{}, {}, now(), {}", ":a, :c, now(), true")), {"p": "eoi_forged", **given})
    forged = db.scalars(select(ApiKey).where(ApiKey.prefix == "eoi_forged")).one()
    assert (forged.secret_hash, forged.approved_by, forged.approved_at, forged.is_operators) == (
        None,
        None,
        None,
        False,
    )


ATTACKS = {
    "agree to one's own": ("update api_key set approved_by = :a where id = :id", "needs_second_person"),
    "agree as a reviewer": ("update api_key set approved_by = :r where id = :id", "needs_second_person"),
    "give it a secret": ("update api_key set secret_hash = 'h' where id = :id", "needs_second_person"),
    "both at once": ("update api_key set secret_hash = 'h', approved_by = :c where id = :id", "needs_second_person"),
    "let it live longer": ("update api_key set expires_at = expires_at + interval '1 day' where id = :id", "immutable"),
    "another scope": ("update api_key set scopes = '{a}' where id = :id", "42501"),
    "another call": ("update api_key set call_codes = '{a}' where id = :id", "42501"),
    "any network": ("update api_key set networks = '{}' where id = :id", "42501"),
    "mark it as the operator's": ("update api_key set is_operators = true where id = :id", "42501"),
    "another public key": ("update api_key set public_key = '{}' where id = :id", "42501"),
    "another proposer": ("update api_key set proposed_by = :c where id = :id", "42501"),
    "forge the instant": ("update api_key set approved_at = now() where id = :id", "42501"),
    "delete it": ("delete from api_key where id = :id", "42501"),
    "truncate all": ("truncate api_key cascade", "42501"),
    "switch the guard off": ("alter table api_key disable trigger guard_api_key", "42501"),
    "no triggers at all": ("set session_replication_role = replica", "42501"),
}


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_the_serving_role_cannot_go_around_the_second_person(
    db: Session, admin: Actor, coordinator: Actor, attack: str
) -> None:
    statement, answer = ATTACKS[attack]
    reviewer = make.person(db, "jo@rvo.example", staff="reviewer")
    key = keys.propose(db, admin, WISH)
    given = {"a": admin.person_id, "c": coordinator.person_id, "r": reviewer.person_id, "id": key.id}
    assert refused(db, statement, **{name: value for name, value in given.items() if f":{name}" in statement}) == answer


def test_the_proposal_of_somebody_who_lost_the_role_is_agreed_to_by_nobody(
    db: Session, admin: Actor, coordinator: Actor
) -> None:
    key = keys.propose(db, admin, WISH)
    db.execute(text("update person set staff_role = null where id = :id"), {"id": admin.person_id})
    assert refused(db, "update api_key set approved_by = :c where id = :id", c=coordinator.person_id, id=key.id) == (
        "needs_second_person"
    )


@pytest.mark.parametrize(
    "change", ["revoked_at = null", "secret_hash = 'h'", "revoked_at = 'epoch'", "expires_at = 'epoch'"]
)
def test_a_revoked_key_stays_revoked(db: Session, change: str) -> None:
    made, _ = make.agreed(db, ["x"])
    keys.revoke(db, SYSTEM, made.id)
    assert refused(db, f"update api_key set {change} where id = :id", id=made.id) == "immutable"


def test_a_dropped_proposal_is_agreed_to_by_nobody(db: Session, admin: Actor, coordinator: Actor) -> None:
    key = keys.propose(db, admin, WISH)
    keys.drop(db, admin, key.id)
    with pytest.raises(Immutable):
        keys.approve(db, coordinator, key.id)
    assert refused(db, "update api_key set approved_by = :c where id = :id", c=coordinator.person_id, id=key.id) == (
        "immutable"
    )
    with pytest.raises(NotFound):
        keys.revoke(db, admin, key.id)


def test_the_operator_of_the_machine_issues_one_alone_and_the_trail_says_so(db: Session) -> None:
    key, _ = make.issued(db, ["x"])
    assert key.is_operators
    line = db.scalars(select(Event).where(Event.name == "key.issued")).one()
    assert line.detail["as_operator"] is True


def test_a_successor_and_the_one_before_it_both_work_until_the_overlap_ends(
    db: Session, admin: Actor, coordinator: Actor
) -> None:
    before, old = make.agreed(db, ["x"])
    assert old
    until = before.expires_at
    successor = keys.propose(db, admin, replace(WISH, replaces=before.id))
    keys.approve(db, coordinator, successor.id)
    db.refresh(before)
    assert before.expires_at == until  # nothing changes before the new secret is in somebody's hands
    _, new = keys.collect(db, admin, successor.id)
    assert {bearers.actor_of(db, one).api_key_id for one in (old, new)} == {before.id, successor.id}
    db.refresh(before)
    assert timedelta(days=6, hours=23) < before.expires_at - calls.clock(db) <= timedelta(days=7)
    db.execute(update(ApiKey).where(ApiKey.id == before.id).values(expires_at=calls.clock(db)))
    db.expire_all()
    assert bearers.actor_of(db, new).api_key_id == successor.id
    with pytest.raises(bearers.KeyExpired):
        bearers.actor_of(db, old)


def test_a_rotation_never_lengthens_the_life_of_the_one_before(db: Session, admin: Actor, coordinator: Actor) -> None:
    before, _ = make.agreed(db, ["x"], lives=timedelta(days=2))
    until = before.expires_at
    successor = keys.propose(db, admin, replace(WISH, replaces=before.id))
    keys.approve(db, coordinator, successor.id)
    keys.collect(db, admin, successor.id)
    db.refresh(before)
    assert before.expires_at == until


def test_networks_are_written_in_one_way(db: Session) -> None:
    assert keys.networks(" 192.0.2.7/24, 2001:DB8::1/32\n192.0.2.0/24 10.1.2.3") == [
        "192.0.2.0/24",
        "2001:db8::/32",
        "10.1.2.3/32",
    ]
    for wrong in (
        "300.1.1.1",
        "x",
        "0.0.0.0/0",
        "::/0",
        "1.2.3.4/99",
        "\x00",
        "²",
        "\n".join(f"10.0.0.{n}" for n in range(30)),
    ):
        with pytest.raises(Invalid):
            keys.networks(wrong)


ALLOWED = ["192.0.2.0/24", "2001:db8:1::/48"]


@pytest.mark.parametrize(
    ("address", "is_in"),
    [
        ("192.0.2.9", True),
        ("::ffff:192.0.2.9", True),
        ("192.0.3.9", False),
        ("2001:db8:1::5", True),
        ("2001:db8:1::5%eth0", True),
        ("2001:db8:2::5", False),
        ("::ffff:10.0.0.1", False),
        ("::192.0.2.9", False),
        ("testclient", False),
        ("", False),
        (None, False),
    ],
)
def test_a_key_with_networks_may_come_from_them_alone(db: Session, address: str | None, is_in: bool) -> None:
    _, text_of_key = make.agreed(db, ["x"], networks=ALLOWED)
    assert text_of_key
    if is_in:
        assert bearers.actor_of(db, text_of_key, address).kind == "api_key"
    else:
        with pytest.raises(bearers.NetworkNotAllowed):
            bearers.actor_of(db, text_of_key, address)


def test_the_last_use_is_noted_with_its_network_once_a_minute(db: Session) -> None:
    made, text_of_key = make.issued(db, ["x"])
    bearers.actor_of(db, text_of_key, "192.0.2.77")
    db.flush()
    first, network = made.last_used_at, made.last_network
    assert (first is not None, network) == (True, "192.0.2.0/24")
    bearers.actor_of(db, text_of_key, "2001:db8:aaaa:bbbb::1")
    assert (made.last_used_at, made.last_network) == (first, network)
    made.last_used_at = calls.clock(db) - timedelta(seconds=61)
    db.flush()
    bearers.actor_of(db, text_of_key, "2001:db8:aaaa:bbbb::1")
    assert made.last_network == "2001:db8:aaaa::/48"


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t[:-1],
        lambda t: t[1:],
        lambda t: t.upper(),
        lambda t: t.replace("_", "-"),
        lambda t: t + "0",
        lambda t: "",
        lambda t: "\x00",
        lambda t: "é" * 40,
        lambda t: "_" * 9,
    ],
)
def test_a_mistyped_key_is_told_from_an_unknown_one_without_the_database(change: object) -> None:
    text_of_key, _ = tokens.new_text(tokens.new_name(tokens.KEY))
    assert tokens.parsed(text_of_key)
    assert tokens.parsed(change(text_of_key)) is None  # type: ignore[operator]


def test_an_unknown_key_is_refused_as_one_with_a_wrong_secret_is(db: Session) -> None:
    made, _ = make.issued(db, ["x"])
    for name in (made.prefix, tokens.new_name(tokens.KEY)):
        with pytest.raises(bearers.KeyUnknown) as failure:
            bearers.actor_of(db, tokens.new_text(name)[0])
        assert failure.value.code == "unauthenticated"


NOON = datetime(2027, 6, 20, 12, 0, 1, tzinfo=UTC)


def test_two_processes_count_together_within_a_second(db: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = make.issued(db, ["x"])
    ticks = iter(range(0, 1000, 2))
    monkeypatch.setattr(time, "monotonic", lambda: next(ticks))  # each request a second later than the one before
    one, other = usage.Meter(), usage.Meter()
    left = [
        meter.take(db, "key", str(made.id), NOON, limit=5).remaining for meter in (one, other, one, other, one, other)
    ]
    assert left == [4, 3, 2, 1, 0, -1]
    assert one.take(db, "key", str(made.id), NOON + timedelta(minutes=1), limit=5) == usage.Standing("key", 5, 4, 60)


def test_within_a_second_no_request_writes(db: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = make.issued(db, ["x"])
    monkeypatch.setattr(time, "monotonic", lambda: 7.0)
    meter = usage.Meter()
    assert [meter.take(db, "key", str(made.id), NOON, limit=2).is_over for _ in range(3)] == [False, False, True]
    assert db.scalar(text("select count from throttle where key = :key"), {"key": f"api:key:{made.id}"}) == 1


def test_uses_are_added_up_by_day_and_kept_when_they_cannot_be_written(db: Session, portal: Portal) -> None:
    made, _ = make.issued(db, ["x"])
    now = calls.clock(db)
    for what in ("calls", "calls", "submissions", "refused:key_expired"):
        portal.meter.count(made.id, now, what)
    portal.meter.flush(portal.sessions, now)
    portal.meter.count(made.id, now, "calls")
    portal.meter.flush(portal.sessions, now)
    found = usage.of_keys(db, now.date())[made.id]
    assert found == usage.Use(Counter({now.date(): 4}), Counter(calls=3, submissions=1), Counter(key_expired=1))
    portal.meter.count(SYSTEM.api_key_id or made.id, now, "calls")
    with pytest.raises(AttributeError):
        portal.meter.flush(None, now)  # type: ignore[arg-type]
    assert sum(portal.meter.uses.values()) == 1


def test_old_uses_are_forgotten(db: Session) -> None:
    made, _ = make.issued(db, ["x"])
    today = calls.clock(db).date()
    for age in (0, 399, 401):
        db.add(KeyUse(api_key_id=made.id, day=today - timedelta(days=age), what="calls", count=1))
    db.flush()
    usage.sweep(db)
    assert db.scalars(select(KeyUse.day).order_by(KeyUse.day.desc())).all() == [today, today - timedelta(days=399)]
