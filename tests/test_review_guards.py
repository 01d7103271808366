"""The work on a dossier as the database holds it: attacked as the serving role, and raced by several at once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from app.deps import Portal
from app.domain import assignments, calls, conflicts, progress, scores, signoffs, verification
from app.domain.errors import Refused, refusal_of
from app.infra import database
from app.infra.postgres import Cluster
from app.infra.signing import Signer
from app.models import (
    Assignment,
    Conflict,
    HandIn,
    Note,
    Recommendation,
    Reconciliation,
    Score,
    SignOff,
    Submission,
    Tag,
    Verdict,
)
from tests import make


@pytest.fixture
def case(db: Session, signer: Signer) -> Submission:
    """A submitted case of a sealed call."""
    found, _ = make.submission(db, sent=True, signer=signer)
    make.close(db, found.call)
    return found


def refused(db: Session, row: Any) -> str:
    """The code of the refusal that an insert of `row`, past all of the domain, meets."""
    with pytest.raises(DBAPIError) as failure, db.begin_nested():
        db.add(row)
        db.flush()
    found = refusal_of(failure.value)
    assert found is not None, failure.value
    return found.code


def attack(db: Session, statement: str, **values: Any) -> str:
    """What stops a statement: the code of a refusal, or `no right`."""
    with pytest.raises(DBAPIError) as failure, db.begin_nested():
        db.execute(text(statement), values)
    found = refusal_of(failure.value)
    return found.code if found else "no right" if "permission denied" in str(failure.value) else str(failure.value)


def test_an_assignment_needs_a_coordinator_staff_no_conflict_and_a_sealed_call(
    db: Session, case: Submission, signer: Signer
) -> None:
    coordinator, first, second = make.readers(db, case)
    third, maybe, never = (make.person(db, f"{n}@rvo.example", staff="reviewer") for n in ("third", "maybe", "never"))
    conflicts.state(db, maybe, case, "possible", "A cousin.")
    conflicts.state(db, never, case, "conflict", "Mine.")
    firm = make.person(db, "lead@firm.example")
    other, _ = make.submission(
        db, actor=make.person(db, "two@firm.example"), sent=True, signer=signer, contact_email="two@firm.example"
    )

    def seat(person: Any, seat: str = "first", by: Any = coordinator, at: Submission = case, **also: Any) -> Assignment:
        return Assignment(submission_id=at.id, person_id=person.person_id, seat=seat, assigned_by=by.person_id, **also)

    assert refused(db, seat(third)) == "seat_taken"
    assert refused(db, seat(third, at=other)) == "call_still_open"
    with make.owner(db):
        db.execute(text("update assignment set ended_at = now(), end_reason = 'x' where seat = 'first'"))
    assert refused(db, seat(second)) == "seat_taken"
    assert refused(db, seat(third, by=first)) == "forbidden"
    assert refused(db, seat(firm)) == "not_assigned"
    assert refused(db, seat(never)) == "reader_has_conflict"
    assert refused(db, seat(maybe)) == "reason_missing"
    db.add(seat(maybe, reason="Long ago."))
    db.flush()


def test_scores_need_a_live_seat_a_stated_interest_and_a_sealed_dossier(db: Session, case: Submission) -> None:
    coordinator = make.person(db, "co@rvo.example", staff="coordinator")
    first = make.person(db, "first@rvo.example", staff="reviewer")
    assert first.person_id
    given = assignments.assign(db, coordinator, case, "first", first.person_id, None, "", make.ISSUER)
    db.flush()

    def score(**also: Any) -> Score:
        return Score(
            **{"assignment_id": given.id, "criterion": "quality", "points": Decimal(4), "argument": "Good."} | also
        )

    assert refused(db, score()) == "conflict_not_stated"
    make.free(db, first, case)
    assert refused(db, score(points=Decimal(-1))) == "invalid"
    assert refused(db, score(assignment_id=case.id)) == "not_assigned"
    db.add(score(argument=""))
    db.flush()
    assert refused(db, HandIn(assignment_id=given.id)) == "too_early"
    db.add(score())
    db.flush()
    db.add(HandIn(assignment_id=given.id))
    db.flush()
    assert refused(db, score()) == "already_handed_in"
    assert refused(db, HandIn(assignment_id=given.id)) == "already_handed_in"
    conflicts.state(db, first, case, "conflict", "Since today.", make.ISSUER)
    assert refused(db, score()) == "not_assigned"


def test_the_second_person_is_another_one(db: Session, case: Submission) -> None:
    coordinator, first, second = make.readers(db, case)
    for reader in (first, second):
        make.hand_in(db, reader, case)
    lines = [{"criterion": n, "points": p, "argument": ""} for n, p in make.POINTS.items()]

    def reconciled(by: Any) -> Reconciliation:
        return Reconciliation(submission_id=case.id, lines=lines, total=Decimal("71.75"), written_by=by.person_id)

    def recommended(by: Any) -> Recommendation:
        return Recommendation(submission_id=case.id, value="pass_on", text="Ready.", written_by=by.person_id)

    outsider = make.person(db, "third@rvo.example", staff="reviewer")
    make.free(db, outsider, case)
    assert refused(db, reconciled(second)) == "not_assigned"
    assert refused(db, recommended(first)) == "too_early"
    written = reconciled(first)
    db.add(written)
    db.flush()
    agree = "update reconciliation set agreed_by = :who where id = :id"
    assert attack(db, agree, who=first.person_id, id=written.id) == "same_person"
    assert attack(db, agree, who=outsider.person_id, id=written.id) == "not_assigned"
    assert attack(db, "update reconciliation set total = 100") == "no right"
    db.execute(text(agree), {"who": second.person_id, "id": written.id})
    assert attack(db, agree, who=coordinator.person_id, id=written.id) == "immutable"
    assert refused(db, recommended(second)) == "not_assigned"
    said = recommended(first)
    db.add(said)
    db.flush()

    def signed(by: Any) -> SignOff:
        return SignOff(submission_id=case.id, recommendation_id=said.id, signed_by=by.person_id)

    for other in (coordinator, first, outsider):
        assert refused(db, signed(other)) == "not_assigned"
    with make.owner(db):  # the seats change hands, so that the author would now be the second reader
        db.execute(text("update assignment set ended_at = now(), end_reason = 'x'"))
    assert refused(db, signed(second)) == "not_assigned"


def test_who_wrote_it_cannot_sign_even_from_the_second_seat(db: Session, case: Submission) -> None:
    _, first, second = make.readers(db, case)
    for reader in (first, second):
        make.hand_in(db, reader, case)
    make.reconcile(db, first, second, case)
    said = signoffs.recommend(db, first, case, calls.questions(case.call), "pass_on", "Ready.")
    db.flush()
    with make.owner(db):
        db.execute(text("alter table recommendation disable trigger user"))
        db.execute(text("update recommendation set written_by = :who"), {"who": second.person_id})
        db.execute(text("alter table recommendation enable trigger user"))
    row = SignOff(submission_id=case.id, recommendation_id=said.id, signed_by=second.person_id)
    assert refused(db, row) == "same_person"


def test_after_the_sign_off_the_database_refuses_every_change(db: Session, case: Submission) -> None:
    coordinator, first, second = make.readers(db, case)
    make.sign_off(db, first, second, case)
    seats = {a.seat: a for a in assignments.live(db, case).values()}
    third = make.person(db, "third@rvo.example", staff="reviewer")
    rows = [
        Score(assignment_id=seats["first"].id, criterion="quality", points=Decimal(5), argument="Late."),
        HandIn(assignment_id=seats["first"].id),
        Verdict(submission_id=case.id, line="private_65", verdict="no", reason="Late.", person_id=first.person_id),
        Reconciliation(submission_id=case.id, lines=[], total=Decimal(1), written_by=first.person_id),
        Recommendation(submission_id=case.id, value="keep", text="Late.", written_by=first.person_id),
        Assignment(submission_id=case.id, person_id=third.person_id, seat="first", assigned_by=coordinator.person_id),
        SignOff(submission_id=case.id, recommendation_id=case.id, signed_by=second.person_id),
    ]
    assert [refused(db, row) for row in rows] == ["signed_off"] * len(rows)
    back = "update hand_in set returned_by = :who, reason = 'x', returned_at = now()"
    assert attack(db, back, who=coordinator.person_id) == "signed_off"
    ends = "update assignment set ended_at = now(), end_reason = 'x' where ended_at is null"
    assert attack(db, ends) == "signed_off"
    reopen = "update sign_off set reopened_by = :who, reopened_at = now(), reason = :why"
    assert attack(db, reopen, who=first.person_id, why="So.") == "forbidden"
    assert attack(db, reopen, who=coordinator.person_id, why=" ") == "reason_missing"
    for kept in ("score", "verdict", "recommendation", "note", "sign_off", "hand_in", "assignment", "progress", "tag"):
        assert attack(db, f"delete from {kept}") == "no right"
    for statement in (
        "update score set points = 5",
        "update verdict set verdict = 'yes'",
        "update recommendation set value = 'keep'",
        "update sign_off set signed_by = reopened_by",
        "update progress set state = 'assigned'",
        "update assignment set person_id = assigned_by",
        "alter table score disable trigger user",
        "truncate score",
        "select require_unsigned_dossier(gen_random_uuid())",
    ):
        assert attack(db, statement) == "no right" or "must be owner" in attack(db, statement), statement
    db.add(Note(submission_id=case.id, person_id=first.person_id, text="Goes on."))
    db.add(Tag(submission_id=case.id, name="Late", added_by=first.person_id))
    db.flush()
    conflicts.state(db, second, case, "conflict", "Since today.", make.ISSUER)
    assert progress.of(db, case) == "signed_off"  # the reader left; what was signed stands


def test_notes_and_tags_are_for_who_stated_no_conflict(db: Session, case: Submission) -> None:
    someone = make.person(db, "third@rvo.example", staff="reviewer")

    def note() -> Note:
        return Note(submission_id=case.id, person_id=someone.person_id, text="Hello.")

    assert refused(db, note()) == "conflict_not_stated"
    conflicts.state(db, someone, case, "conflict", "Mine.")
    assert refused(db, note()) == "reader_has_conflict"
    assert refused(db, Tag(submission_id=case.id, name="x", added_by=someone.person_id)) == "reader_has_conflict"


def prepared(portal: Portal, cluster: Cluster) -> tuple[Any, Any, Any, str]:
    """A committed dossier of a sealed call with its coordinator and both readers."""
    with portal.engine.connect() as connection:
        name = connection.execute(text("select current_database()")).scalar_one()
    engine = create_engine(database.sqlalchemy_url(cluster.superuser_url(name)))
    with Session(engine) as db, db.begin():
        db.execute(text("set local role eoi_app"))
        case, _ = make.submission(db, sent=True, signer=portal.signer)
        make.move_deadline(db, case.call, 0)
        make.seal(db, case.call, portal.signer)
        coordinator, first, second = make.readers(db, case)
        reference = case.reference
    engine.dispose()
    return coordinator, first, second, reference


def in_its_own(portal: Portal, reference: str, deed: Callable[[Session, Submission], object]) -> str:
    """Do something to the dossier in a transaction of its own: `done`, or the code of what refused it."""
    try:
        with portal.sessions.begin() as db:
            case = db.scalars(select(Submission).where(Submission.reference == reference)).one()
            deed(db, case)
    except Refused as refusal:
        return refusal.code
    except (DBAPIError, IntegrityError) as failure:
        found = refusal_of(failure)
        assert found is not None, failure
        return found.code
    return "done"


@pytest.mark.committed
def test_two_readers_who_hand_in_at_once_are_both_in(committed_portal: Portal, cluster: Cluster) -> None:
    _, first, second, reference = prepared(committed_portal, cluster)
    barrier = threading.Barrier(4)

    def press(actor: Any) -> str:
        barrier.wait()
        return in_its_own(committed_portal, reference, lambda db, case: make.hand_in(db, actor, case))

    with ThreadPoolExecutor(4) as pool:  # each presses twice, as a double click does
        done = sorted(pool.map(press, (first, first, second, second)))
    assert done == ["already_handed_in", "already_handed_in", "done", "done"]
    with committed_portal.sessions.begin() as db:
        case = db.scalars(select(Submission).where(Submission.reference == reference)).one()
        assert (progress.of(db, case), len(scores.both(db, case))) == ("both_in", 2)


@pytest.mark.committed
def test_a_sign_off_and_a_late_change_never_both_pass(committed_portal: Portal, cluster: Cluster) -> None:
    """The sign-off holds the dossier, not yet committed; what comes behind it waits, then is refused by the database."""
    coordinator, first, second, reference = prepared(committed_portal, cluster)

    def to_the_sign_off(db: Session, case: Submission) -> None:
        for reader in (first, second):
            make.hand_in(db, reader, case)
        make.reconcile(db, first, second, case)
        signoffs.recommend(db, first, case, calls.questions(case.call), "pass_on", "Ready.")

    assert in_its_own(committed_portal, reference, to_the_sign_off) == "done"
    signing = committed_portal.sessions()
    case = signing.scalars(select(Submission).where(Submission.reference == reference)).one()
    said = signoffs.last(signing, case)
    assert said
    late: list[Callable[[Session, Submission], object]] = [
        lambda db, case: signoffs.recommend(db, first, case, calls.questions(case.call), "keep", "Late."),
        lambda db, case: scores.give_back(db, coordinator, case, "first", "Late.", make.ISSUER),
        lambda db, case: db.add(
            Verdict(submission_id=case.id, line="private_65", verdict="no", reason="Late.", person_id=first.person_id)
        ),
    ]
    with ThreadPoolExecutor(3) as pool:
        signoffs.sign(signing, second, case, calls.questions(case.call), str(said.id))
        signing.flush()
        waiting = [pool.submit(in_its_own, committed_portal, reference, deed) for deed in late]
        until_waiting(committed_portal, cluster, len(late))
        signing.commit()
        signing.close()
        assert [one.result() for one in waiting] == ["signed_off"] * len(late)
    with committed_portal.sessions.begin() as db:
        assert db.scalar(select(SignOff.id).where(SignOff.reopened_at.is_(None)))
        assert verification.run(db) == []


def until_waiting(portal: Portal, cluster: Cluster, number: int) -> None:
    """Return once so many sessions of the database are seen to wait for a lock."""
    with portal.engine.connect() as connection:
        name = connection.execute(text("select current_database()")).scalar_one()
    engine = create_engine(database.sqlalchemy_url(cluster.superuser_url(name)))
    seen = text("select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()")
    with engine.connect() as watcher:
        while watcher.execute(seen).scalar_one() < number:
            watcher.rollback()
    engine.dispose()


@pytest.mark.committed
def test_whoever_states_twice_at_once_is_taken_at_both_words_and_the_last_one_counts(
    committed_portal: Portal, cluster: Cluster
) -> None:
    _, first, _, reference = prepared(committed_portal, cluster)
    with ThreadPoolExecutor(2) as pool, committed_portal.sessions.begin() as stating:
        case = stating.scalars(select(Submission).where(Submission.reference == reference)).one()
        make.free(stating, first, case)
        stating.flush()
        again = [
            pool.submit(in_its_own, committed_portal, reference, lambda db, c: make.free(db, first, c)) for _ in "ab"
        ]
        until_waiting(committed_portal, cluster, 2)
        stating.commit()
        assert [one.result() for one in again] == ["done", "done"]
    with committed_portal.sessions.begin() as db:
        stated = db.scalars(select(Conflict.replaced_at).where(Conflict.person_id == first.person_id)).all()
        assert (len(stated), stated.count(None)) == (4, 1)
        assert verification.run(db) == []


@pytest.mark.committed
def test_an_assignment_and_a_conflict_at_once_end_without_a_seat(committed_portal: Portal, cluster: Cluster) -> None:
    coordinator, _, _, reference = prepared(committed_portal, cluster)
    with committed_portal.sessions.begin() as db:
        third = make.person(db, "third@rvo.example", staff="reviewer")
        assert third.person_id
        whom = third.person_id
        case = db.scalars(select(Submission).where(Submission.reference == reference)).one()
        assignments.end(db, coordinator, case, "first", "Ill.", make.ISSUER)
    barrier = threading.Barrier(2)

    def seat() -> str:
        barrier.wait()
        return in_its_own(
            committed_portal,
            reference,
            lambda db, case: assignments.assign(
                db,
                coordinator,
                case,
                "first",
                whom,
                None,
                "",
                make.ISSUER,
            ),
        )

    def conflict() -> str:
        barrier.wait()
        return in_its_own(
            committed_portal,
            reference,
            lambda db, case: conflicts.state(db, third, case, "conflict", "Mine.", make.ISSUER),
        )

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.submit(seat), pool.submit(conflict)
        assert one.result() in ("done", "reader_has_conflict")
        assert two.result() == "done"
    with committed_portal.sessions.begin() as db:
        live = db.scalars(select(Assignment).where(Assignment.ended_at.is_(None))).all()
        assert [a.seat for a in live] == ["second"]
