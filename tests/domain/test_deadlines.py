"""A deadline moves when two coordinators agree, before the seal, and never to where it would undo a receipt."""

import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.deps import Portal
from app.domain import accounts, calls, deadlines, outbox, oversight, submissions, verification
from app.domain.access import SYSTEM, Actor
from app.domain.errors import (
    CallSealed,
    DeadlineRefused,
    Forbidden,
    Immutable,
    NeedsSecondPerson,
    NotFound,
    ProposalPending,
    ReasonMissing,
    Refused,
    refusal_of,
)
from app.infra import times
from app.infra.postgres import Cluster
from app.infra.signing import Signer
from app.models import Call, DeadlineChange, Event, Leaf, OutboxMessage, Person, Submission, Version
from tests import make
from tests.test_cutoff import press_submit, publish, set_window

WHY = {"en": "The sign-in service was down.", "nl": "De inlogdienst lag eruit."}
DAY = timedelta(days=1)


@pytest.fixture
def two(db: Session) -> tuple[Actor, Actor]:
    """Two coordinators."""
    return (
        make.person(db, "one@rvo.example", "Coordinator One", staff="coordinator"),
        make.person(db, "two@rvo.example", "Coordinator Two", staff="coordinator"),
    )


def refused(db: Session, statement: str, **values: Any) -> type[Refused] | str:
    """What the database answers to the serving role: a refusal's class, or its SQLSTATE where that is none of ours."""
    nested = db.begin_nested()
    with pytest.raises(DBAPIError) as failure:
        db.execute(text(statement), values)
    nested.rollback()
    found = refusal_of(failure.value)
    return type(found) if found else str(getattr(failure.value.orig, "sqlstate", ""))


PROPOSE = """insert into deadline_change (call_id, closes_from, closes_to, reason, proposed_by, confirmed_by, confirmed_at)
    values (:call, now(), :to, '{"en": "x", "nl": "x"}', :by, null, null) returning id"""
CONFIRM = "select confirm_deadline(:id, :by)"


def proposed(db: Session, call: Call, by: Actor, to: datetime) -> Any:
    return db.execute(text(PROPOSE), {"call": call.id, "to": to, "by": by.person_id}).scalar_one()


def test_two_coordinators_move_a_deadline_and_all_of_it_is_on_record(db: Session, two: tuple[Actor, Actor]) -> None:
    call, (one, other) = make.call(db), two
    before = call.closes_at
    change = deadlines.propose(db, one, call, before + DAY, WHY)
    assert deadlines.pending(db, call) is change
    assert (call.closes_at, deadlines.confirmed(db, call)) == (before, [])
    deadlines.confirm(db, other, call, change.id, make.ISSUER)
    assert call.closes_at == before + DAY
    assert deadlines.pending(db, call) is None
    assert deadlines.confirmed(db, call) == deadlines.history(db, call) == [change]
    assert (change.closes_from, change.proposed_by, change.confirmed_by) == (before, one.person_id, other.person_id)
    assert change.confirmed_at is not None
    assert change.confirmed_at >= change.proposed_at
    events = db.scalars(select(Event).where(Event.name.startswith("deadline.")).order_by(Event.id)).all()
    assert [(e.name, e.person_id, e.call_id) for e in events] == [
        ("deadline.proposed", one.person_id, call.id),
        ("deadline.confirmed", other.person_id, call.id),
    ]
    assert events[1].detail == {
        "closes_from": times.iso(before),
        "closes_to": times.iso(before + DAY),
        "mails": 0,
    }
    assert verification.run(db) == []


def test_a_deadline_may_come_earlier_but_not_before_now_or_a_receipt(
    db: Session, two: tuple[Actor, Actor], signer: Signer
) -> None:
    call, (one, other) = make.call(db), two
    case, _ = make.submission(db, call, sent=True, signer=signer)
    received_at = make.version_of(db, case).received_at
    for to in (calls.clock(db) - DAY, received_at, call.closes_at):
        with pytest.raises(DeadlineRefused):
            deadlines.propose(db, one, call, to, WHY)
    change = deadlines.propose(db, one, call, calls.clock(db) + timedelta(minutes=5), WHY)
    deadlines.confirm(db, other, call, change.id, make.ISSUER)
    assert call.closes_at == change.closes_to < change.closes_from
    assert verification.run(db) == []


def test_a_proposal_is_refused_without_both_reasons_without_the_role_and_beside_another(
    db: Session, two: tuple[Actor, Actor]
) -> None:
    call, (one, other) = make.call(db), two
    reviewer = make.person(db, "reviewer@rvo.example", staff="reviewer")
    to = call.closes_at + DAY
    for reason in ({"en": "Only English"}, {"nl": "Alleen Nederlands", "en": " "}, {}):
        with pytest.raises(ReasonMissing):
            deadlines.propose(db, one, call, to, reason)
    for nobody in (reviewer, make.person(db), SYSTEM):
        with pytest.raises(Forbidden):
            deadlines.propose(db, nobody, call, to, WHY)
    change = deadlines.propose(db, one, call, to, WHY)
    with pytest.raises(ProposalPending):
        deadlines.propose(db, other, call, to + DAY, WHY)
    for verb in (deadlines.confirm, deadlines.drop):
        with pytest.raises(Forbidden):
            verb(db, reviewer, call, change.id, *([make.ISSUER] if verb is deadlines.confirm else []))
    with pytest.raises(NotFound):
        deadlines.drop(db, one, make.call(db), change.id)


def test_the_database_too_wants_the_reason_in_both_languages(db: Session, two: tuple[Actor, Actor]) -> None:
    call, (one, _) = make.call(db), two
    proposal = """insert into deadline_change (call_id, closes_from, closes_to, reason, proposed_by)
      select id, closes_at, closes_at + interval '1 day', cast(:reason as jsonb), :by from call where id = :call"""
    for reason in ({}, {"en": "Only English"}, {"nl": " ", "en": "Only English"}):
        assert refused(db, proposal, reason=json.dumps(reason), by=one.person_id, call=call.id) is ReasonMissing
    db.execute(text(proposal), {"reason": json.dumps(WHY), "by": one.person_id, "call": call.id})


def test_a_dropped_proposal_moves_nothing_stays_on_record_and_makes_room(db: Session, two: tuple[Actor, Actor]) -> None:
    call, (one, other) = make.call(db), two
    before = call.closes_at
    change = deadlines.propose(db, one, call, before + DAY, WHY)
    deadlines.drop(db, other, call, change.id)
    assert (change.dropped_by, deadlines.pending(db, call), call.closes_at) == (other.person_id, None, before)
    assert refused(db, CONFIRM, id=change.id, by=other.person_id) is Immutable
    again = deadlines.propose(db, other, call, before + 2 * DAY, WHY)
    assert deadlines.history(db, call) == [again, change]
    assert deadlines.confirmed(db, call) == []


def test_the_database_refuses_one_person_alone_and_the_same_person_twice(db: Session, two: tuple[Actor, Actor]) -> None:
    call, (one, _) = make.call(db), two
    to = call.closes_at + DAY
    assert refused(db, "update call set closes_at = :to where id = :c", to=to, c=call.id) == "42501"
    change = proposed(db, call, one, to)
    assert refused(db, CONFIRM, id=change, by=one.person_id) is NeedsSecondPerson
    forged = "update deadline_change set confirmed_by = :by, confirmed_at = now() where id = :id"
    assert refused(db, forged, id=change, by=one.person_id) == "42501"
    db.refresh(call)
    assert call.closes_at == to - DAY


def test_the_database_takes_neither_a_confirmation_nor_a_start_that_is_forged_at_the_insert(
    db: Session, two: tuple[Actor, Actor]
) -> None:
    call, (one, other) = make.call(db), two
    db.execute(
        text(
            """insert into deadline_change (call_id, closes_from, closes_to, reason, proposed_by, proposed_at, confirmed_by,
            confirmed_at) values (:c, 'epoch', :to, '{"en": "x", "nl": "x"}', :one, 'epoch', :two, 'epoch')"""
        ),
        {"c": call.id, "to": call.closes_at + DAY, "one": one.person_id, "two": other.person_id},
    )
    change = db.scalars(select(DeadlineChange)).one()
    assert (change.closes_from, change.confirmed_by, change.confirmed_at) == (call.closes_at, None, None)
    assert change.proposed_at > calls.clock(db) - timedelta(minutes=1)


def test_the_database_refuses_a_reviewer_and_somebody_who_is_a_coordinator_no_longer(
    db: Session, two: tuple[Actor, Actor]
) -> None:
    call, (one, other) = make.call(db), two
    to = call.closes_at + DAY
    reviewer = make.person(db, "reviewer@rvo.example", staff="reviewer")
    assert refused(db, PROPOSE, call=call.id, to=to, by=reviewer.person_id) is NeedsSecondPerson
    change = proposed(db, call, one, to)
    assert refused(db, CONFIRM, id=change, by=reviewer.person_id) is NeedsSecondPerson
    assert refused(db, CONFIRM, id=change, by=make.person(db).person_id) is NeedsSecondPerson
    db.execute(text("update person set staff_role = 'reviewer' where id = :p"), {"p": one.person_id})
    assert refused(db, CONFIRM, id=change, by=other.person_id) is NeedsSecondPerson


def test_the_database_refuses_an_instant_in_the_past_and_one_before_a_receipt(
    db: Session, two: tuple[Actor, Actor], signer: Signer
) -> None:
    call, (one, other) = make.call(db), two
    past = proposed(db, call, one, calls.clock(db) - timedelta(seconds=1))
    assert refused(db, CONFIRM, id=past, by=other.person_id) is DeadlineRefused
    db.execute(text("update deadline_change set dropped_by = :p"), {"p": one.person_id})
    make.submission(db, call, sent=True, signer=signer)
    # a receipt whose instant lies ahead, as after a clock that was set back: the owner makes it so
    later = calls.clock(db) + timedelta(minutes=10)
    with make.owner(db):
        db.execute(text("alter table version disable trigger version_guard"))
        db.execute(text("update version set received_at = :at"), {"at": later})
        db.execute(text("alter table version enable trigger version_guard"))
    for to in (later, later - timedelta(microseconds=1)):
        change = proposed(db, call, one, to)
        assert refused(db, CONFIRM, id=change, by=other.person_id) is DeadlineRefused
        db.execute(
            text("update deadline_change set dropped_by = :p where id = :id"), {"p": one.person_id, "id": change}
        )
    change = proposed(db, call, one, later + timedelta(microseconds=1))
    db.execute(text(CONFIRM), {"id": change, "by": other.person_id})


def test_the_database_refuses_a_change_once_the_call_is_sealed(db: Session, two: tuple[Actor, Actor]) -> None:
    call, (one, other) = make.call(db), two
    to = call.closes_at + DAY
    change = proposed(db, call, one, to)
    make.move_deadline(db, call, -0.001)
    db.execute(text("select seal_call(:c)"), {"c": call.id})
    db.expire(call)
    assert refused(db, CONFIRM, id=change, by=other.person_id) is CallSealed
    deadlines.drop(db, one, call, change)
    assert refused(db, PROPOSE, call=call.id, to=to, by=one.person_id) is CallSealed
    with pytest.raises(CallSealed):
        deadlines.propose(db, one, call, to, WHY)


def test_the_database_refuses_a_proposal_that_was_made_for_another_deadline(
    db: Session, two: tuple[Actor, Actor]
) -> None:
    call, (one, other) = make.call(db), two
    change = proposed(db, call, one, call.closes_at + DAY)
    make.move_deadline(db, call, 7200)
    assert refused(db, CONFIRM, id=change, by=other.person_id) is DeadlineRefused


def test_the_database_refuses_to_close_a_call_before_it_opens(db: Session, two: tuple[Actor, Actor]) -> None:
    call, (one, other) = make.call(db, opens_in=1800), two
    between = calls.clock(db) + timedelta(minutes=10)
    with pytest.raises(DeadlineRefused):
        deadlines.propose(db, one, call, between, WHY)
    change = proposed(db, call, one, between)
    assert refused(db, CONFIRM, id=change, by=other.person_id) is DeadlineRefused


def test_a_confirmed_change_can_be_neither_edited_nor_deleted_nor_confirmed_again(
    db: Session, two: tuple[Actor, Actor]
) -> None:
    call, (one, other) = make.call(db), two
    change = deadlines.propose(db, one, call, call.closes_at + DAY, WHY)
    deadlines.confirm(db, other, call, change.id, make.ISSUER)
    attacks = {
        "update deadline_change set closes_to = closes_to + interval '1 day'": "42501",
        """update deadline_change set reason = '{"en": "y", "nl": "y"}'""": "42501",
        "update deadline_change set confirmed_by = proposed_by": "42501",
        "delete from deadline_change": "42501",
        "truncate deadline_change cascade": "42501",
        "update deadline_change set dropped_by = proposed_by": Immutable,
        CONFIRM: Immutable,
    }
    found = {attack: refused(db, attack, id=change.id, by=other.person_id) for attack in attacks}
    assert found == attacks
    with make.owner(db):  # and whoever owns the tables is stopped by the trigger
        edited = "update deadline_change set closes_to = closes_to + interval '1 day'"
        assert refused(db, edited) is Immutable
        assert refused(db, "delete from deadline_change") is Immutable


def test_everybody_concerned_gets_one_mail_in_their_language_and_staff_see_how_far_it_got(
    db: Session, two: tuple[Actor, Actor], signer: Signer, portal: Portal
) -> None:
    call, (one, other) = make.call(db), two
    case, lead = make.submission(db, call, make.person(db, "lead@firm.example"), sent=True, signer=signer)
    make.submission(db, call, accounts.actor_for(db, db.get_one(Person, lead.person_id)))  # twice concerned, told once
    for email, role in (
        ("editor@firm.example", "editor"),
        ("viewer@firm.example", "viewer"),
        ("gone@firm.example", "viewer"),
    ):
        person = make.person(db, email)
        db.execute(
            text("insert into membership (organisation_id, person_id, role, ended_at) values (:o, :p, :r, :e)"),
            {
                "o": case.organisation_id,
                "p": person.person_id,
                "r": role,
                "e": calls.clock(db) if "gone" in email else None,
            },
        )
    db.execute(text("update person set language = 'nl' where email = 'viewer@firm.example'"))
    make.submission(db, call, make.person(db, "drafting@else.example"))  # never submitted
    make.submission(db, make.call(db), make.person(db, "unconcerned@else.example"))
    before = call.closes_at
    change = deadlines.propose(db, one, call, before + DAY, WHY)
    assert db.scalars(select(OutboxMessage).where(OutboxMessage.purpose == "deadline")).all() == []
    deadlines.confirm(db, other, call, change.id, make.ISSUER)
    sent = db.scalars(
        select(OutboxMessage).where(OutboxMessage.purpose == "deadline").order_by(OutboxMessage.recipient)
    ).all()
    assert [m.recipient for m in sent] == [
        "drafting@else.example",
        "editor@firm.example",
        "lead@firm.example",
        "viewer@firm.example",
    ]
    in_english, in_dutch = sent[0], sent[3]
    for mail, language in ((in_english, "en"), (in_dutch, "nl")):
        assert WHY[language] in mail.text
        assert times.brussels_and_utc(before, language) in mail.text
        assert times.brussels_and_utc(before + DAY, language) in mail.text
        assert f"{make.ISSUER}/calls/{call.code}" in mail.text
    assert "Oude sluitingstijd" in in_dutch.text
    assert oversight.deliveries(db, [change]) == {change.id: {"waiting": 4, "sent": 0, "failed": 0}}
    sent[1].failed_at = func.clock_timestamp()
    db.flush()
    while outbox.deliver_due(db, portal.mailer, portal.settings.mail_sender):
        db.flush()
    assert oversight.deliveries(db, [change]) == {change.id: {"waiting": 0, "sent": 3, "failed": 1}}


@pytest.mark.parametrize(
    ("day", "at", "instant"),
    [
        (date(2027, 6, 20), time(17), datetime(2027, 6, 20, 15, tzinfo=UTC)),
        (date(2026, 12, 3), time(17), datetime(2026, 12, 3, 16, tzinfo=UTC)),
        (date(2027, 3, 28), time(1, 59), datetime(2027, 3, 28, 0, 59, tzinfo=UTC)),
        (date(2027, 3, 28), time(3), datetime(2027, 3, 28, 1, tzinfo=UTC)),
        (date(2027, 10, 31), time(1, 59), datetime(2027, 10, 30, 23, 59, tzinfo=UTC)),
        (date(2027, 10, 31), time(3), datetime(2027, 10, 31, 2, tzinfo=UTC)),
    ],
)
def test_a_time_in_brussels_is_one_instant(day: date, at: time, instant: datetime) -> None:
    assert times.from_brussels(day, at) == instant


@pytest.mark.parametrize("at", [time(2), time(2, 30), time(2, 59)])
def test_a_time_that_the_clocks_skip_or_repeat_is_refused_with_a_hint(at: time) -> None:
    with pytest.raises(times.NotOneInstant) as skipped:
        times.from_brussels(date(2027, 3, 28), at)
    assert skipped.value.message.msgid == times.SKIPPED
    with pytest.raises(times.NotOneInstant) as repeated:
        times.from_brussels(date(2027, 10, 31), at)
    assert repeated.value.message.msgid == times.REPEATED
    assert at.strftime("%H:%M") in repeated.value.message.text("nl")


SUBMITTERS, EACH = 20, 4


class Race:
    """A call about to close, its ready drafts, and a proposal that waits to be confirmed."""

    def __init__(self, portal: Portal, cluster: Cluster) -> None:
        self.portal, self.code = portal, publish(portal, cluster)
        with portal.sessions.begin() as db:
            call = calls.by_code(db, self.code)
            self.other = make.person(db, "two@rvo.example", staff="coordinator")
            one = make.person(db, "one@rvo.example", staff="coordinator")
            self.ready = []
            for i in range(SUBMITTERS * EACH):
                email = f"p{i}@firm.example"
                case, actor = make.submission(db, call, make.person(db, email), contact_email=email)
                if i % 2:  # every other one submits again: what stands must be the last version
                    make.send(db, actor, case, portal.signer)
                    make.fill(db, actor, case, {"title": f"Changed {i}", "contact_email": email})
                self.ready.append((actor, case.reference))
            self.call_id = call.id
        self.old = set_window(portal, cluster, self.code, 3.0)
        self.new = self.old + timedelta(seconds=1.5)
        with portal.sessions.begin() as db:
            self.change = deadlines.propose(db, one, calls.by_code(db, self.code), self.new, WHY).id
        self.gate = threading.Barrier(SUBMITTERS + 2)

    def wait_until(self, at: datetime) -> None:
        """Until the database's clock says so: threads are spread over the instants by it."""
        with self.portal.engine.connect() as connection:
            connection.execute(text("select pg_sleep(extract(epoch from :at - clock_timestamp()))"), {"at": at})

    def extend(self) -> datetime:
        """Confirm while the call is open, and commit only after the old deadline has passed."""
        self.gate.wait()
        self.wait_until(self.old - timedelta(seconds=1.2))
        with self.portal.sessions.begin() as db:
            change = deadlines.confirm(db, self.other, calls.by_code(db, self.code), self.change, make.ISSUER)
            db.execute(text("select pg_sleep(extract(epoch from :at - clock_timestamp()) + 0.05)"), {"at": self.old})
            assert change.confirmed_at is not None
            return change.confirmed_at

    def seal(self) -> datetime:
        """Try to seal without a pause until it is done."""
        self.gate.wait()
        while True:
            try:
                with self.portal.sessions.begin() as db:
                    at: datetime = db.execute(select(func.seal_call(self.call_id))).scalar_one()
                    return at
            except DBAPIError as failure:
                refusal = refusal_of(failure)
                assert refusal is not None, failure
                assert refusal.code == "call_still_open"

    def submit(self, share: list[tuple[Actor, str]], seed: int) -> dict[str, datetime | None]:
        """Submit each draft once, at instants around both deadlines: None once acknowledged, or when it was refused."""
        spread = random.Random(seed)
        moments = sorted(self.old + timedelta(seconds=spread.uniform(-2.4, 1.8)) for _ in share)
        found: dict[str, datetime | None] = {}
        self.gate.wait()
        for moment, (actor, reference) in zip(moments, share, strict=True):
            self.wait_until(moment)
            found[reference] = self.press(actor, reference)
        return found

    def press(self, actor: Actor, reference: str) -> datetime | None:
        try:
            with self.portal.sessions.begin() as db:
                submissions.submit(db, actor, reference, f"race {reference}", "en", self.portal.signer, make.ISSUER)
        except DBAPIError as failure:
            refusal = refusal_of(failure)
            assert refusal is not None, failure
            assert refusal.code == "call_closed"
            return datetime.fromisoformat(refusal.extra["at"])
        return None


@pytest.mark.committed
def test_an_extension_at_the_last_moment_races_with_submits_and_the_seal_without_a_gap(
    committed_portal: Portal, cluster: Cluster
) -> None:
    race = Race(committed_portal, cluster)
    outcomes: dict[str, datetime | None] = {}
    with ThreadPoolExecutor(SUBMITTERS + 2) as pool:
        extending, sealing = pool.submit(race.extend), pool.submit(race.seal)
        writing = [pool.submit(race.submit, race.ready[i::SUBMITTERS], i) for i in range(SUBMITTERS)]
        for part in writing:
            outcomes |= part.result()
        confirmed_at, sealed_at = extending.result(), sealing.result()
    acknowledged = {reference for reference, refused_at in outcomes.items() if refused_at is None}
    refusals = [at for at in outcomes.values() if at is not None]
    assert confirmed_at < race.old
    assert sealed_at >= race.new
    assert min(refusals) >= race.new, "nobody is refused before the new instant"
    with committed_portal.sessions.begin() as db:
        raced = Version.idempotency_key.startswith("race ")
        rows = db.execute(select(Submission.reference, Version).join(Version).where(raced)).all()
        kept = {reference: version.received_at for reference, version in rows}
        assert set(kept) == acknowledged
        assert max(kept.values()) < race.new
        assert any(at < race.old for at in kept.values()), "some before the old instant"
        assert any(at >= race.old for at in kept.values()), "some between the two"
        leaves = {leaf.version_id for leaf in db.scalars(select(Leaf))}
        assert {version.id for _, version in rows} <= leaves
        earlier = select(func.count()).select_from(Version).where(Version.number == 1)
        assert len(leaves) == db.scalar(earlier)
        seal = [line for line in verification.run(db) if "exactly one seal" not in line]  # the bare function signs none
        assert seal == []


@pytest.mark.committed
def test_a_submit_that_waits_for_the_extension_is_judged_by_the_new_deadline(
    committed_portal: Portal, cluster: Cluster
) -> None:
    race = Race(committed_portal, cluster)
    actor, reference = race.ready[1]
    with ThreadPoolExecutor(1) as pool, committed_portal.sessions.begin() as db:
        deadlines.confirm(db, race.other, calls.by_code(db, race.code), race.change, make.ISSUER)
        waiting = pool.submit(press_submit, committed_portal, actor, reference, "key")
        db.execute(text("select pg_sleep(extract(epoch from :at - clock_timestamp()))"), {"at": race.old})
        assert not waiting.done()
        db.commit()
        assert waiting.result() == "accepted"
