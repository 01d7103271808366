"""Questions after the seal: asked about facts only, answered once and in time by the database's clock, kept apart."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.deps import Portal
from app.domain import accounts, attachments, calls, clarifications, conflicts, submissions, verification
from app.domain.access import Actor
from app.domain.errors import (
    AlreadyWithdrawn,
    CallStillOpen,
    ConflictNotStated,
    Forbidden,
    Immutable,
    Invalid,
    NotFound,
    ReasonMissing,
    Refused,
    TooManyFiles,
    WordsMissing,
    refusal_of,
)
from app.domain.objections import ClarificationAnswered, ClarificationOverdue, ClarificationWithdrawn, DuePassed
from app.infra import database
from app.infra.files import FileStore
from app.infra.postgres import Cluster
from app.infra.signing import Signer
from app.models import Clarification, Event, OutboxMessage, Person, Submission
from tests import make
from tests.test_cutoff import database_of, prepare, press_submit, publish, set_window, until_somebody_waits

Case = tuple[Submission, Actor]


@pytest.fixture
def closed(db: Session, signer: Signer) -> Case:
    """A submitted case of a sealed call, and its owner."""
    case, owner = make.submission(db, sent=True, signer=signer)
    make.move_deadline(db, case.call, 0)
    make.seal(db, case.call, signer)
    return case, owner


@pytest.fixture
def reviewer(db: Session, closed: Case) -> Actor:
    """A reviewer who stated no conflict about it."""
    found = make.person(db, "jo@rvo.example", staff="reviewer")
    make.free(db, found, closed[0])
    return found


def tomorrow(db: Session) -> date:
    return (calls.clock(db) + timedelta(days=1)).date()


def ask(db: Session, actor: Actor, case: Submission, **other: Any) -> Clarification:
    said: dict[str, Any] = {"topic": "contact_details", "words": "Whose phone is it?", "due_on": tomorrow(db)} | other
    return clarifications.ask(db, actor, case, make.version_of(db, case), base_url=make.ISSUER, **said)


def reply(db: Session, actor: Actor, case: Submission, number: int = 1, words: str = "Ours.", files: Any = ()) -> Any:
    return clarifications.answer(db, actor, case, number, words, files, make.ISSUER)


def refused_by_the_database(db: Session, verb: Any) -> Any:
    """The refusal that the database's answer to a verb stands for."""
    with pytest.raises(DBAPIError) as failure, db.begin_nested():
        verb()
    return refusal_of(failure.value)


def test_a_question_is_due_at_the_end_of_the_day_in_the_zone_of_the_call(
    db: Session, closed: Case, reviewer: Actor
) -> None:
    due_on = tomorrow(db)
    asked = ask(db, reviewer, closed[0], due_on=due_on)
    local = asked.due_at.astimezone(ZoneInfo(closed[0].call.zone))
    assert (local.date(), local.hour, local.minute) == (due_on + timedelta(days=1), 0, 0)
    assert [ask(db, reviewer, closed[0]).number for _ in range(2)] == [2, 3]


def test_a_question_goes_to_the_contact_and_all_members_in_their_language(
    db: Session, closed: Case, reviewer: Actor
) -> None:
    case, owner = closed
    make.invite(db, owner, case.organisation_id, "els@firm.example", "viewer")
    els = accounts.find_person(db, "els@firm.example")
    assert els is not None
    els.language = "nl"
    asked = ask(db, reviewer, case)
    mails = db.scalars(select(OutboxMessage).where(OutboxMessage.purpose == "question")).all()
    assert {mail.recipient: "RVO heeft een vraag" in mail.text for mail in mails} == {
        "lead@firm.example": False,
        "els@firm.example": True,
    }
    link = f"{make.ISSUER}/apply/{case.reference}/clarifications/{asked.number}"
    assert all(link in mail.text and "Whose phone is it?" in mail.text for mail in mails)


def test_an_answer_stands_once_and_changes_nothing_that_was_sealed(
    db: Session, closed: Case, reviewer: Actor, files: FileStore
) -> None:
    case, owner = closed
    state = "select md5(string_agg(t::text, '|' order by t::text)) from {} t"
    tables = ("version", "draft", "attachment", "receipt", "leaf", "seal")
    before = [db.execute(text(state.format(table))).scalar_one() for table in tables]
    ask(db, reviewer, case)
    proof = make.taken(db, files)
    made = reply(db, owner, case, files=[proof, proof])
    assert [file["sha256"] for file in made.files] == [proof.sha256]
    assert [db.execute(text(state.format(table))).scalar_one() for table in tables] == before
    with pytest.raises(ClarificationAnswered):
        reply(db, owner, case)
    told = db.scalars(
        select(OutboxMessage).where(OutboxMessage.purpose.in_(["answer_confirmed", "answer_received"]))
    ).all()
    assert {(m.purpose, m.recipient, made.digest in m.text) for m in told} == {
        ("answer_confirmed", "lead@firm.example", True),
        ("answer_received", "jo@rvo.example", False),
    }
    assert db.scalars(select(Event.detail["sha256"].astext).where(Event.name == "clarification.answered")).all() == [
        made.digest
    ]
    assert verification.run(db) == []


def test_nothing_of_an_answer_is_mailed_to_an_asker_who_stated_a_conflict_since(
    db: Session, closed: Case, reviewer: Actor
) -> None:
    ask(db, reviewer, closed[0])
    conflicts.state(db, reviewer, closed[0], "conflict", "My brother joined.")
    reply(db, closed[1], closed[0])
    assert db.scalar(select(OutboxMessage.id).where(OutboxMessage.purpose == "answer_received")) is None


def test_only_staff_without_a_conflict_may_ask_and_only_editors_may_answer(
    db: Session, closed: Case, reviewer: Actor
) -> None:
    case, owner = closed
    other = make.person(db, "new@rvo.example", staff="coordinator")
    with pytest.raises(ConflictNotStated):
        ask(db, other, case)
    conflicts.state(db, other, case, "conflict", "Shares.")
    for actor in (other, owner):
        with pytest.raises(NotFound):
            ask(db, actor, case)
    ask(db, reviewer, case)
    with pytest.raises(NotFound):
        clarifications.extend(db, other, case, 1, tomorrow(db), make.ISSUER)
    with pytest.raises(NotFound):
        clarifications.withdraw(db, other, case, 1, "No.", make.ISSUER)
    make.invite(db, owner, case.organisation_id, "viewer@firm.example", "viewer")
    viewer = accounts.actor_for(db, db.scalars(select(Person).where(Person.email == "viewer@firm.example")).one())
    for actor in (viewer, reviewer):
        with pytest.raises(Forbidden):
            reply(db, actor, case)


def test_nothing_is_asked_before_the_seal_of_a_withdrawn_case_or_beyond_what_the_call_allows(
    db: Session, closed: Case, reviewer: Actor, signer: Signer
) -> None:
    fresh, _ = make.submission(db, sent=True, signer=signer)
    make.free(db, reviewer, closed[0])
    with make.owner(db):
        db.execute(text("alter table conflict disable trigger guard_conflict"))
        db.execute(
            text("insert into conflict (submission_id, person_id, level, reason) values (:s, :p, 'none', '')"),
            {"s": fresh.id, "p": reviewer.person_id},
        )
        db.execute(text("alter table conflict enable trigger guard_conflict"))
    with pytest.raises(CallStillOpen):
        ask(db, reviewer, fresh)
    wrong: list[tuple[dict[str, Any], type[Exception]]] = [
        ({"topic": "price"}, Invalid),
        ({"topic": ""}, Invalid),
        ({"words": " \n"}, WordsMissing),
        ({"due_on": (calls.clock(db) - timedelta(days=2)).date()}, DuePassed),
        ({"due_on": date.max}, DuePassed),
        ({"due_on": (calls.clock(db) + timedelta(days=400)).date()}, DuePassed),
    ]
    for other, refusal in wrong:
        with pytest.raises(refusal):
            ask(db, reviewer, closed[0], **other)
    with make.owner(db):
        db.execute(text("alter table withdrawal disable trigger withdrawal_guard"))
        db.execute(
            text("insert into withdrawal (submission_id, reason, withdrawn_by) values (:s, 'No.', :p)"),
            {"s": closed[0].id, "p": closed[1].person_id},
        )
        db.execute(text("alter table withdrawal enable trigger withdrawal_guard"))
    with pytest.raises(AlreadyWithdrawn):
        ask(db, reviewer, closed[0])


def test_a_late_answer_is_refused_by_the_database_until_staff_extend(
    db: Session, closed: Case, reviewer: Actor
) -> None:
    case, owner = closed
    asked = ask(db, reviewer, case)
    make.make_due(db, asked, -0.001)
    late = refused_by_the_database(db, lambda: reply(db, owner, case))
    assert isinstance(late, ClarificationOverdue)
    assert datetime.fromisoformat(late.extra["at"]) >= asked.due_at
    assert clarifications.state(asked, calls.clock(db)) == "overdue"
    assert clarifications.open_among(db, [case]) == {}
    clarifications.extend(db, reviewer, case, 1, tomorrow(db), make.ISSUER)
    (found,) = clarifications.of_submission(db, case)
    assert [(e.due_from < e.due_to, e.due_to) for e in found.extensions] == [(True, found.due_at)]
    assert [c.number for c in clarifications.open_among(db, [case])[case.id]] == [1]
    reply(db, owner, case)
    later = tomorrow(db) + timedelta(days=9)
    again = refused_by_the_database(db, lambda: clarifications.extend(db, reviewer, case, 1, later, make.ISSUER))
    assert isinstance(again, ClarificationAnswered)
    assert db.scalars(select(OutboxMessage.recipient).where(OutboxMessage.purpose == "question_changed")).all() == [
        "lead@firm.example"
    ]


def test_an_extension_is_never_a_shortening(db: Session, closed: Case, reviewer: Actor) -> None:
    case, _ = closed
    ask(db, reviewer, case, due_on=tomorrow(db) + timedelta(days=5))
    for days in (0, 5):
        day = tomorrow(db) + timedelta(days=days)
        verb = lambda day=day: clarifications.extend(db, reviewer, case, 1, day, make.ISSUER)  # noqa: E731
        assert isinstance(refused_by_the_database(db, verb), DuePassed)
    assert clarifications.one(db, case, 1).extensions == []


def test_a_withdrawn_question_stays_on_record_and_takes_no_answer(db: Session, closed: Case, reviewer: Actor) -> None:
    case, owner = closed
    ask(db, reviewer, case)
    with pytest.raises(ReasonMissing):
        clarifications.withdraw(db, reviewer, case, 1, "  ", make.ISSUER)
    clarifications.withdraw(db, reviewer, case, 1, "Found it.", make.ISSUER)
    for verb in (
        lambda: reply(db, owner, case),
        lambda: clarifications.withdraw(db, reviewer, case, 1, "Again.", make.ISSUER),
        lambda: clarifications.extend(db, reviewer, case, 1, tomorrow(db) + timedelta(days=9), make.ISSUER),
    ):
        assert isinstance(refused_by_the_database(db, verb), ClarificationWithdrawn)
    (found,) = clarifications.of_submission(db, case)
    assert (found.withdrawn_because, clarifications.state(found, calls.clock(db))) == ("Found it.", "withdrawn")
    (mail,) = db.scalars(select(OutboxMessage).where(OutboxMessage.purpose == "question_changed"))
    assert "Found it." in mail.text


def test_an_answer_holds_so_many_files_and_so_many_bytes(db: Session, closed: Case, reviewer: Actor) -> None:
    case, owner = closed
    ask(db, reviewer, case)
    some = [attachments.Taken("a.pdf", f"{n:064x}", 1, "application/pdf") for n in range(21)]
    big = [attachments.Taken("a.pdf", f"{n:064x}", 25 * 1024 * 1024, "application/pdf") for n in range(9)]
    for given in (some, big):
        with pytest.raises(TooManyFiles):
            reply(db, owner, case, files=given)
    with pytest.raises(WordsMissing):
        reply(db, owner, case, words="\n ")
    reply(db, owner, case, words="x" * 9000, files=some[:20])
    answered = clarifications.one(db, case, 1).answer
    assert answered is not None
    assert (len(answered.words), len(answered.files)) == (clarifications.WORDS_LENGTH, 20)


ATTACKS = {
    "change the answer": "update answer set words = 'other'",
    "delete the answer": "delete from answer",
    "a second answer": "insert into answer (clarification_id, words, files, digest, answered_by) select clarification_id, 'b', '[]', 'x', answered_by from answer",
    "an answer of another time": "insert into answer (clarification_id, words, files, digest, answered_by, answered_at) select id, 'b', '[]', 'x', asked_by, asked_at from clarification where number = 2",
    "more time without a trace": "update clarification set due_at = due_at + interval '1 day'",
    "another question": "update clarification set words = 'other'",
    "delete the question": "delete from clarification",
    "withdraw what is answered": "update clarification set withdrawn_at = clock_timestamp(), withdrawn_by = asked_by, withdrawn_because = 'x' where number = 1",
    "change the history": "update extension set due_from = due_to",
    "truncate": "truncate answer, extension, clarification",
    "a question of an open call": "insert into clarification (submission_id, number, topic, words, language, asked_by, due_at) select s.id, 1, 'x', 'x', 'en', s.created_by, clock_timestamp() + interval '1 day' from submission s join call c on c.id = s.call_id where c.sealed_at is null",
    "turn the guard off": "alter table answer disable trigger answer_stamp",
}


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda name: name.replace(" ", "-"))
def test_the_serving_role_gets_around_nothing(
    db: Session, closed: Case, reviewer: Actor, signer: Signer, attack: str
) -> None:
    case, owner = closed
    make.submission(db, actor=owner, sent=True, signer=signer)
    ask(db, reviewer, case)
    late = ask(db, reviewer, case)
    reply(db, owner, case)
    make.make_due(db, late, -0.001)
    with pytest.raises(DBAPIError) as failure, db.begin_nested():
        db.execute(text(ATTACKS[attack]))
    known = refusal_of(failure.value)
    assert "permission denied" in str(failure.value) or known is not None or "must be owner" in str(failure.value)


def test_what_is_inserted_with_a_forged_stamp_gets_the_true_one(db: Session, closed: Case, reviewer: Actor) -> None:
    case, owner = closed
    asked = ask(db, reviewer, case)
    db.execute(
        text(
            "insert into answer (clarification_id, words, files, digest, answered_by, answered_at)"
            " values (:c, 'a', '[]', 'x', :p, '2020-01-01T00:00Z')"
        ),
        {"c": asked.id, "p": owner.person_id},
    )
    assert db.execute(text("select answered_at > '2026-01-01' from answer")).scalar_one()
    with pytest.raises(DBAPIError) as failure, db.begin_nested():
        db.execute(text("update answer set answered_at = '2020-01-01T00:00Z'"))
    assert "permission denied" in str(failure.value) or isinstance(refusal_of(failure.value), Immutable)


def committed_question(portal: Portal, cluster: Cluster) -> tuple[Actor, str, Actor]:
    """Owner, reference and reviewer of a question that is committed."""
    code = publish(portal, cluster)
    ((owner, reference),) = prepare(portal, code, 1)
    assert press_submit(portal, owner, reference, "in time") == "accepted"
    set_window(portal, cluster, code, -0.001)
    with portal.sessions.begin() as db:
        make.seal(db, calls.by_code(db, code), portal.signer)
    with portal.sessions.begin() as db:
        case = submissions.load(db, owner, reference)
        reviewer = make.person(db, "jo@rvo.example", staff="reviewer")
        make.free(db, reviewer, case)
        ask(db, reviewer, case)
    return owner, reference, reviewer


def press_answer(portal: Portal, actor: Actor, reference: str) -> str:
    """One answer in a transaction of its own: `answered` once committed, or the code of the refusal."""
    try:
        with portal.sessions.begin() as db:
            reply(db, actor, submissions.load(db, actor, reference))
    except Refused as refusal:
        return refusal.code
    except DBAPIError as failure:
        known = refusal_of(failure)
        assert known is not None, failure
        return known.code
    return "answered"


@pytest.mark.committed
def test_of_eight_answers_at_once_one_stands(committed_portal: Portal, cluster: Cluster) -> None:
    portal = committed_portal
    owner, reference, _ = committed_question(portal, cluster)
    gate = threading.Barrier(8)

    def press(_: int) -> str:
        gate.wait()
        return press_answer(portal, owner, reference)

    with ThreadPoolExecutor(8) as pool:
        outcomes = sorted(pool.map(press, range(8)))
    assert outcomes == ["answered"] + ["clarification_answered"] * 7
    with portal.sessions.begin() as db:
        assert db.execute(text("select count(*) from answer")).scalar_one() == 1
        assert verification.run(db) == []


@pytest.mark.committed
def test_an_answer_that_waits_is_judged_by_the_clock_after_the_wait(committed_portal: Portal, cluster: Cluster) -> None:
    portal = committed_portal
    owner, reference, _ = committed_question(portal, cluster)
    engine = create_engine(database.sqlalchemy_url(cluster.owner_url(database_of(portal))))
    with ThreadPoolExecutor(1) as pool, engine.connect() as holder:
        with engine.begin() as connection:
            connection.execute(text("alter table clarification disable trigger clarification_guard"))
        held = holder.begin()
        holder.execute(text("select 1 from clarification for update"))
        pressed = pool.submit(press_answer, portal, owner, reference)
        until_somebody_waits(cluster, database_of(portal))
        holder.execute(text("update clarification set due_at = clock_timestamp()"))
        held.commit()
        assert pressed.result() == "clarification_overdue"
    engine.dispose()
    with portal.sessions.begin() as db:
        assert db.execute(text("select count(*) from answer")).scalar_one() == 0
        assert db.scalar(select(Event.id).where(Event.name == "clarification.answered")) is None


@pytest.mark.committed
def test_a_withdrawal_waits_for_an_answer_under_way_and_finds_it(committed_portal: Portal, cluster: Cluster) -> None:
    portal = committed_portal
    owner, reference, reviewer = committed_question(portal, cluster)

    def press_withdraw() -> str:
        try:
            with portal.sessions.begin() as db:
                case = db.scalars(select(Submission).where(Submission.reference == reference)).one()
                clarifications.withdraw(db, reviewer, case, 1, "No longer.", make.ISSUER)
        except DBAPIError as failure:
            refusal = refusal_of(failure)
            return refusal.code if refusal else str(failure)
        return "withdrawn"

    with ThreadPoolExecutor(1) as pool:
        with portal.sessions.begin() as db:
            reply(db, owner, submissions.load(db, owner, reference))
            pressed = pool.submit(press_withdraw)
            until_somebody_waits(cluster, database_of(portal))
        assert pressed.result() == "clarification_answered"


def test_the_questions_of_many_cases_take_one_query(db: Session, closed: Case, reviewer: Actor) -> None:
    found = clarifications.open_among(db, [closed[0]])
    assert found == {}
    ask(db, reviewer, closed[0])
    ask(db, reviewer, closed[0])
    assert [c.number for c in clarifications.open_among(db, [closed[0]])[closed[0].id]] == [1, 2]
    assert clarifications.open_among(db, []) == {}
    assert datetime.now(UTC) < clarifications.one(db, closed[0], 2).due_at
