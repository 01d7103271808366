"""The work on a dossier, from the first reader to the sign-off, as the domain does it."""

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.domain import (
    activity,
    agenda,
    assignments,
    balancing,
    calls,
    checklists,
    conflicts,
    notes,
    progress,
    reconciliations,
    scores,
    signoffs,
    workload,
)
from app.domain.access import Actor
from app.domain.errors import Invalid, NotFound, ReasonMissing
from app.domain.objections import (
    AlreadyHandedIn,
    NotAssigned,
    PlanChanged,
    ReaderHasConflict,
    SamePerson,
    SeatTaken,
    SignedOff,
    TooEarly,
)
from app.infra.i18n import Message
from app.infra.signing import Signer
from app.models import Assignment, Call, OutboxMessage, Person, Progress, Score, Submission, Verdict
from tests import make

TODAY = date(2026, 6, 25)


@pytest.fixture
def case(db: Session, signer: Signer) -> Submission:
    """A submitted case of a sealed call."""
    found, _ = make.submission(db, sent=True, signer=signer)
    make.close(db, found.call)
    return found


@pytest.fixture
def several(db: Session, signer: Signer) -> list[Submission]:
    """Four submitted cases of one sealed call, in order of reference."""
    call = make.call(db)
    found = [
        make.submission(
            db,
            call,
            make.person(db, f"p{i}@firm.example"),
            sent=True,
            signer=signer,
            contact_email=f"p{i}@firm.example",
        )[0]
        for i in range(4)
    ]
    make.close(db, call)
    return sorted(found, key=lambda s: s.reference)


def give(db: Session, by: Actor, case: Submission, seat: str, to: Actor, reason: str = "", before: str = "") -> None:
    assert to.person_id
    assignments.assign(db, by, case, seat, to.person_id, None, reason, make.ISSUER, before)


def mails(db: Session, purpose: str) -> list[str]:
    return list(db.scalars(select(OutboxMessage.recipient).where(OutboxMessage.purpose == purpose)))


def review(case: Submission):  # type: ignore[no-untyped-def]
    return calls.questions(case.call).review


def test_the_whole_way_of_a_dossier_moves_its_status(db: Session, case: Submission) -> None:
    assert progress.of(db, case) == "to_assign"
    coordinator, first, second = make.readers(db, case)
    seen = [progress.of(db, case)]

    def look() -> None:
        db.flush()
        seen.append(progress.of(db, case))

    scores.save(db, first, case, {"quality": (Decimal(4), "")})
    look()
    make.hand_in(db, first, case)
    look()
    make.hand_in(db, second, case, money="2")
    look()
    make.reconcile(db, first, second, case)
    look()
    written = signoffs.recommend(db, first, case, calls.questions(case.call), "pass_on", "Ready.")
    look()
    signoffs.sign(db, second, case, calls.questions(case.call), str(written.id))
    look()
    signoffs.reopen(db, coordinator, case, "A figure was misread.", make.ISSUER)
    look()
    assert seen == [
        "assigned", "in_review", "in_review", "both_in", "reconciled", "reconciled", "signed_off", "reopened",
    ]  # fmt: skip
    assert sorted(mails(db, "review")) == ["first@rvo.example", "second@rvo.example"]
    signoffs.sign(db, second, case, calls.questions(case.call), str(written.id))
    look()
    assert seen[-1] == "signed_off"
    (held,) = [s for s in signoffs.history(db, case) if s.reopened_at]
    assert held.reason == "A figure was misread."


def test_two_different_people_read_a_dossier(db: Session, case: Submission) -> None:
    _, first, second = make.readers(db, case)
    third = make.person(db, "third@rvo.example", staff="reviewer")
    coordinator = make.person(db, "co@rvo.example", staff="coordinator")
    with pytest.raises(SeatTaken):
        give(db, coordinator, case, "first", third)  # the page was old: it showed a free seat
    sits = str(assignments.live(db, case)["first"].id)
    with pytest.raises(SeatTaken):
        give(db, coordinator, case, "first", second, before=sits)
    give(db, coordinator, case, "first", third, before=sits)
    assert {seat: a.person_id for seat, a in assignments.live(db, case).items()} == {
        "first": third.person_id,
        "second": second.person_id,
    }
    ended = [a for a in assignments.history(db, case) if a.ended_at]
    assert [(a.person_id, a.end_reason) for a in ended] == [(first.person_id, "reassigned")]
    assert mails(db, "assignment").count("first@rvo.example") == 2
    with pytest.raises(Invalid):
        give(db, coordinator, case, "third", first)
    with pytest.raises(Invalid):
        give(db, coordinator, case, "first", make.person(db, "nobody@firm.example"))


def test_a_possible_conflict_needs_a_reason_and_a_conflict_is_refused(db: Session, case: Submission) -> None:
    coordinator = make.person(db, "co@rvo.example", staff="coordinator")
    maybe, never = (make.person(db, f"{n}@rvo.example", staff="reviewer") for n in ("maybe", "never"))
    conflicts.state(db, maybe, case, "possible", "We were neighbours.")
    conflicts.state(db, never, case, "conflict", "My sister works there.")
    with pytest.raises(ReasonMissing):
        give(db, coordinator, case, "first", maybe)
    with pytest.raises(ReaderHasConflict):
        give(db, coordinator, case, "second", never, "She is the only one.")
    give(db, coordinator, case, "first", maybe, "Long ago.")
    assert [c.is_free for c in _candidates(db, coordinator, case)] == [True, False, False]


def _candidates(db: Session, actor: Actor, case: Submission) -> list[assignments.Candidate]:
    return assignments.candidates(db, actor, case, make.version_of(db, case), calls.questions(case.call))


def test_a_conflict_stated_later_ends_the_seat_and_tells_the_coordinator(db: Session, case: Submission) -> None:
    _, first, _ = make.readers(db, case)
    make.hand_in(db, first, case)
    other = make.person(db, "blind@rvo.example", staff="coordinator")
    conflicts.state(db, other, case, "conflict", "I worked there.")
    told = Counter(mails(db, "assignment"))
    conflicts.state(db, first, case, "conflict", "They hired my brother.", make.ISSUER)
    assert list(assignments.live(db, case)) == ["second"]
    assert list(Counter(mails(db, "assignment")) - told) == [
        "co@rvo.example"
    ]  # and not the coordinator who may not know of it
    assert progress.of(db, case) == "to_assign"
    (ended,) = [a for a in assignments.history(db, case) if a.ended_at]
    assert ended.end_reason == "conflict"
    with pytest.raises(NotAssigned):
        scores.save(db, first, case, {"quality": (Decimal(1), "Late.")})


def test_statements_of_several_dossiers_at_once_are_only_of_those_assigned(
    db: Session, several: list[Submission]
) -> None:
    coordinator = make.person(db, "co@rvo.example", staff="coordinator")
    first = make.person(db, "first@rvo.example", staff="reviewer")
    for case in several[:3]:
        give(db, coordinator, case, "first", first)
    conflicts.state(db, first, several[0], "possible", "A cousin.")
    assert [s.reference for s, _ in conflicts.unstated(db, first)] == [c.reference for c in several[1:3]]
    done = conflicts.deny_all(db, first, [c.reference for c in several])
    assert [c.reference for c in done] == [c.reference for c in several[1:3]]
    live = {c.submission_id: c.level for c in conflicts.mine(db, first)}
    assert live == {several[0].id: "possible", several[1].id: "none", several[2].id: "none"}


def test_the_division_is_even_the_same_each_time_and_shuns_conflicts_and_languages(
    db: Session, several: list[Submission]
) -> None:
    call = several[0].call
    coordinator = make.person(db, "co@rvo.example", staff="coordinator")
    people = [make.person(db, f"{n}@rvo.example", staff="reviewer") for n in "abcd"]
    conflicts.state(db, people[0], several[0], "possible", "A cousin.")
    conflicts.state(db, people[1], several[0], "conflict", "My firm.")
    assignments.set_languages(db, people[3], ["nl"])  # and these are in English
    db.expire_all()
    over = [db.get_one(Person, p.person_id) for p in people]
    plan = balancing.plan(db, coordinator, call, over)
    assert plan.digest == balancing.plan(db, coordinator, call, over[::-1]).digest
    who = {(p.submission.reference, p.seat): p.person.email[0] if p.person else None for p in plan.places}
    assert {who[several[0].reference, "first"], who[several[0].reference, "second"]} == {"c", None}
    for case in several[1:]:
        assert who[case.reference, "first"] != who[case.reference, "second"]
    assert sorted(plan.loads.values()) == [0, 2, 2, 3]
    batch = balancing.apply(db, coordinator, call, over, plan.digest, TODAY, make.ISSUER)
    assert [b.count for b in balancing.batches(db, coordinator, call)] == [7]
    assert sorted(mails(db, "assignment")) == ["a@rvo.example", "b@rvo.example", "c@rvo.example"]
    with pytest.raises(PlanChanged):
        balancing.apply(db, coordinator, call, over, plan.digest, TODAY, make.ISSUER)
    for actor in people[:3]:
        conflicts.deny_all(db, actor, [c.reference for c in several])
    begun = db.scalars(select(Assignment).where(Assignment.batch == batch).order_by(Assignment.assigned_at)).first()
    assert begun
    reader = next(p for p in people if p.person_id == begun.person_id)
    scores.save(db, reader, begun.submission, {"quality": (Decimal(1), "Began.")})
    assert balancing.undo(db, coordinator, batch).id == call.id
    left = db.scalars(select(Assignment).where(Assignment.ended_at.is_(None))).all()
    assert [a.id for a in left] == [begun.id]
    with pytest.raises(NotFound):
        balancing.undo(db, coordinator, batch)


def test_a_coordinator_learns_nothing_of_the_dossiers_they_have_a_conflict_about(
    db: Session, several: list[Submission]
) -> None:
    make.readers(db, several[0])
    blind = make.person(db, "blind@rvo.example", staff="coordinator")
    conflicts.state(db, blind, several[0], "conflict", "Mine.")
    call = several[0].call
    assert several[0].reference not in {s.reference for s, _ in balancing.vacant(db, blind, call)}
    assert {one.person.email: one.assigned for one in workload.of(db, blind, call, TODAY)}["first@rvo.example"] == 0
    assert workload.stated(db, blind, call) == []
    assert set(assignments.loads(db, blind).values()) == set()
    with pytest.raises(NotFound):
        assignments.find(db, blind, several[0].reference)


def test_the_workload_says_what_was_given_begun_handed_in_and_is_late(db: Session, several: list[Submission]) -> None:
    coordinator, first, second = make.readers(db, several[0])
    give(db, coordinator, several[1], "first", first)
    make.free(db, first, several[1])
    scores.save(db, first, several[0], {"quality": (Decimal(4), "")})
    make.hand_in(db, second, several[0])
    for seat in assignments.SEATS:
        assignments.set_day(db, coordinator, several[0], seat, TODAY - timedelta(days=1))
    loads = {one.person.email: one for one in workload.of(db, coordinator, several[0].call, TODAY)}
    one, two = loads["first@rvo.example"], loads["second@rvo.example"]
    assert (one.assigned, one.begun, one.done, one.overdue, one.stated["none"], one.unstated) == (2, 1, 0, 1, 2, 2)
    assert (two.assigned, two.begun, two.done, two.overdue) == (1, 0, 1, 0)


def test_the_checklist_is_filled_in_by_the_rules_and_readers_may_differ(db: Session, case: Submission) -> None:
    coordinator, first, _ = make.readers(db, case)
    version, questions = make.version_of(db, case), calls.questions(case.call)
    judged = {j.line.name: j for j in checklists.judge(db, questions, case, version)}
    assert {name: j.computed for name, j in judged.items()} == {
        "members_in_eu": "yes", "private_65": "yes", "start_known": "yes", "proposal_there": "no",
    }  # fmt: skip
    assert [(a.question.name, a.numbers, a.value) for a in judged["members_in_eu"].evidence] == [
        ("legal_name", "1", "Delta BV"),
        ("country", "1", "NL"),
    ]

    def say(actor: Actor, verdict: str, reason: str, line: str = "proposal_there") -> Verdict:
        return checklists.say(db, actor, case, version, questions, line, verdict, reason)

    say(first, "unclear", "It may come by post.")
    say(coordinator, "yes", "It came by post.")
    found = {j.line.name: j for j in checklists.judge(db, questions, case, version)}["proposal_there"]
    assert (found.counts, found.computed) == ("yes", "no")
    assert [(v.verdict, v.person.name) for v in found.given] == [("yes", "Co Ordinator"), ("unclear", "Fir St")]
    with pytest.raises(ReasonMissing):
        say(first, "yes", "  ")
    with pytest.raises(NotFound):
        say(first, "yes", "So.", line="no_such_line")
    with pytest.raises(Invalid):
        say(first, "approved", "So.")
    outsider = make.person(db, "third@rvo.example", staff="reviewer")
    make.free(db, outsider, case)
    with pytest.raises(NotAssigned):
        say(outsider, "yes", "So.")


def test_a_line_whose_answers_are_missing_cannot_tell(db: Session, signer: Signer) -> None:
    found, _ = make.submission(db, sent=True, signer=signer, starts_on=None)
    said = checklists.computed(calls.questions(found.call), make.version_of(db, found))
    assert said["start_known"] == "unclear"


def test_scores_are_read_as_typed_or_refused(db: Session) -> None:
    assert [scores.points_of(t, 5) for t in ("4", " 3,5 ", "0", "5.00", "")] == [4, Decimal("3.5"), 0, 5, None]
    for wrong in ("6", "-1", "1.255", "NaN", "1e0000000009", "²", "x", "9" * 400, "Infinity"):
        with pytest.raises(ValueError) as failure:
            scores.points_of(wrong, 5)
        assert isinstance(failure.value.args[0], Message), wrong


def test_the_total_is_exact(db: Session, case: Submission) -> None:
    criteria = review(case).criteria_for("FC")
    points = {"quality": Decimal("4"), "impact": Decimal("7.5"), "money": Decimal("3")}
    assert scores.total(criteria, points) == Decimal("71.75")
    assert scores.total(criteria, {"quality": Decimal(4)}) is None
    most = {c.name: Decimal(c.most) for c in criteria}
    assert scores.total(criteria, most) == 100
    assert review(case).criteria_for("MS") == ()


def test_scores_stay_with_their_reader_until_both_are_in(db: Session, case: Submission) -> None:
    _, first, second = make.readers(db, case)
    with pytest.raises(TooEarly):
        scores.hand_in(db, first, case, review(case).criteria_for("FC"))
    make.hand_in(db, first, case, argument="SECRET")
    assert scores.both(db, case) == {}
    assert set(scores.handed_in(db, case)) == {"first"}
    with pytest.raises(AlreadyHandedIn):
        scores.save(db, first, case, {"quality": (Decimal(1), "Again.")})
    make.hand_in(db, second, case)
    both = scores.both(db, case)
    assert both["first"].scores["quality"].argument == "SECRET"
    outsider = make.person(db, "third@rvo.example", staff="reviewer")
    with pytest.raises(NotAssigned):
        scores.save(db, outsider, case, {})


def test_a_save_that_changes_nothing_writes_nothing(db: Session, case: Submission) -> None:
    _, first, _ = make.readers(db, case)
    for _ in range(2):
        scores.save(db, first, case, {"quality": (Decimal("4.0"), "Good."), "impact": (None, "")})
    assert db.scalar(select(func.count()).select_from(Score)) == 1


def test_returned_scores_are_handed_in_anew_and_void_what_was_reconciled(db: Session, case: Submission) -> None:
    coordinator, first, second = make.readers(db, case)
    make.hand_in(db, first, case)
    make.hand_in(db, second, case)
    make.reconcile(db, first, second, case)
    with pytest.raises(ReasonMissing):
        scores.give_back(db, coordinator, case, "second", " ", make.ISSUER)
    scores.give_back(db, coordinator, case, "second", "You scored another dossier.", make.ISSUER)
    db.flush()
    assert (scores.both(db, case), reconciliations.last(db, case)) == ({}, None)
    assert progress.of(db, case) == "in_review"
    with pytest.raises(TooEarly):
        signoffs.recommend(db, first, case, calls.questions(case.call), "pass_on", "Ready.")
    make.hand_in(db, second, case, money="1")
    assert progress.of(db, case) == "both_in"
    assert scores.both(db, case)["second"].points["money"] == 1


def test_reconciling_takes_two(db: Session, case: Submission) -> None:
    _, first, second = make.readers(db, case)
    criteria = review(case).criteria_for("FC")
    typed: dict[str, tuple[Decimal | None, str]] = {
        "quality": (Decimal(4), ""), "impact": (Decimal("7.5"), ""), "money": (Decimal("2.5"), "Between."),
    }  # fmt: skip
    make.hand_in(db, first, case)
    with pytest.raises(TooEarly):
        reconciliations.write(db, first, case, criteria, typed)
    make.hand_in(db, second, case, money="2")
    with pytest.raises(NotAssigned):
        reconciliations.write(db, second, case, criteria, typed)
    table = reconciliations.rows(criteria, scores.both(db, case))
    assert [row.difference for row in table] == [0, 0, 1]
    assert set(reconciliations.missing(table, typed | {"money": (Decimal(3), "")})) == {"argument-money"}
    written = reconciliations.write(db, first, case, criteria, typed)
    assert written.total == Decimal("68.25")
    with pytest.raises(SamePerson):
        reconciliations.agree(db, first, case, str(written.id))
    again = reconciliations.write(db, first, case, criteria, typed)
    with pytest.raises(NotFound):
        reconciliations.agree(db, second, case, str(written.id))  # meanwhile there is another one
    reconciliations.agree(db, second, case, str(again.id))
    assert progress.of(db, case) == "reconciled"


def test_who_writes_the_recommendation_does_not_sign_it(db: Session, case: Submission) -> None:
    coordinator, first, second = make.readers(db, case)
    questions = calls.questions(case.call)
    make.hand_in(db, first, case)
    make.hand_in(db, second, case)
    make.reconcile(db, first, second, case)
    with pytest.raises(NotAssigned):
        signoffs.recommend(db, second, case, questions, "pass_on", "Ready.")
    with pytest.raises(Invalid):
        signoffs.recommend(db, first, case, questions, "approved", "Ready.")
    written = signoffs.recommend(db, coordinator, case, questions, "keep", "Wait.")
    for other in (coordinator, first):
        with pytest.raises(NotAssigned):
            signoffs.sign(db, other, case, questions, str(written.id))
    newer = signoffs.recommend(db, first, case, questions, "pass_on", "Ready.")
    with pytest.raises(TooEarly):
        signoffs.sign(db, second, case, questions, str(written.id))  # not the one that counts
    signoffs.sign(db, second, case, questions, str(newer.id))
    assert progress.of(db, case) == "signed_off"


def test_after_the_sign_off_nothing_changes_but_notes_and_tags(db: Session, case: Submission) -> None:
    coordinator, first, second = make.readers(db, case)
    make.sign_off(db, first, second, case)
    questions, version = calls.questions(case.call), make.version_of(db, case)
    third = make.person(db, "third@rvo.example", staff="reviewer")
    attempts = [
        lambda: scores.save(db, first, case, {"quality": (Decimal(1), "Late.")}),
        lambda: scores.give_back(db, coordinator, case, "first", "Late.", make.ISSUER),
        lambda: checklists.say(db, first, case, version, questions, "private_65", "no", "Late."),
        lambda: signoffs.recommend(db, first, case, questions, "keep", "Late."),
        lambda: signoffs.sign(db, second, case, questions, ""),
        lambda: assignments.end(db, coordinator, case, "first", "Late.", make.ISSUER),
        lambda: assignments.set_day(db, coordinator, case, "first", TODAY),
        lambda: give(db, coordinator, case, "first", third),
        lambda: reconciliations.agree(db, second, case, ""),
    ]
    for attempt in attempts:
        with pytest.raises(SignedOff):
            attempt()  # type: ignore[no-untyped-call]
    notes.write(db, first, case, "Still allowed.", [], make.ISSUER)
    notes.tag(db, first, case, "Watch")
    signoffs.reopen(db, coordinator, case, "A mistake.", make.ISSUER)
    checklists.say(db, first, case, version, questions, "private_65", "no", "Now it may.")


def test_who_is_not_scored_is_read_by_two_all_the_same(db: Session, signer: Signer) -> None:
    case, _ = make.submission(db, sent=True, signer=signer, kind="OO")
    make.close(db, case.call)
    _, first, second = make.readers(db, case)
    questions = calls.questions(case.call)
    for reader in (first, second):
        scores.hand_in(db, reader, case, questions.review.criteria_for("OO"))
    db.flush()
    assert progress.of(db, case) == "both_in"
    written = signoffs.recommend(db, first, case, questions, "keep", "Good to know.")
    signoffs.sign(db, second, case, questions, str(written.id))
    assert progress.of(db, case) == "signed_off"


def test_a_note_tells_whom_it_names_and_nobody_with_a_conflict(db: Session, case: Submission) -> None:
    _, first, second = make.readers(db, case)
    never = make.person(db, "never@rvo.example", staff="reviewer")
    conflicts.state(db, never, case, "conflict", "Mine.")
    _, told = notes.write(db, first, case, "Look, @second, and @never: @co.ordinator.", [], make.ISSUER)
    assert sorted(p.email for p in told) == ["co@rvo.example", "second@rvo.example"]
    assert sorted(mails(db, "mention")) == ["co@rvo.example", "second@rvo.example"]
    texts = db.scalars(select(OutboxMessage.text).where(OutboxMessage.purpose == "mention")).all()
    assert all("Look" not in text for text in texts)
    (mention,) = notes.mentions(db, second)
    assert (mention.note.text.startswith("Look"), mention.seen_at) == (True, None)
    notes.see(db, second, case)
    db.expire_all()
    assert notes.mentions(db, second)[0].seen_at
    conflicts.state(db, second, case, "conflict", "Since today.", make.ISSUER)
    assert notes.mentions(db, second) == []


def test_tags_are_written_one_way_in_a_call_and_come_off(db: Session, several: list[Submission]) -> None:
    coordinator = make.person(db, "co@rvo.example", staff="coordinator")
    for case in several[:2]:
        make.free(db, coordinator, case)
    assert notes.tag(db, coordinator, several[0], "  Grid   risk ") == "Grid risk"
    assert notes.tag(db, coordinator, several[1], "grid RISK") == "Grid risk"
    notes.tag(db, coordinator, several[1], "grid risk")
    assert notes.tags_of(db, coordinator, several[0].call) == {"Grid risk": 2}
    found = db.execute(
        select(Submission.reference, progress.tags, progress.state).where(progress.is_tagged("GRID risk"))
    ).all()
    assert sorted(found) == sorted((c.reference, "Grid risk", "to_assign") for c in several[:2])
    notes.untag(db, coordinator, several[0], "Grid Risk")
    assert (notes.tags(db, several[0]), notes.tags(db, several[1])) == ([], ["Grid risk"])
    for wrong in ("", "x" * 41, "a,b"):
        with pytest.raises(Invalid):
            notes.tag(db, coordinator, several[0], wrong)
    conflicts.state(db, coordinator, several[1], "conflict", "Mine.")
    assert notes.tags_of(db, coordinator, several[0].call) == {}


def test_a_readers_work_says_what_is_next(db: Session, case: Submission) -> None:
    coordinator = make.person(db, "co@rvo.example", staff="coordinator")
    first, second = (make.person(db, f"{n}@rvo.example", staff="reviewer") for n in ("first", "second"))
    give(db, coordinator, case, "first", first)
    give(db, coordinator, case, "second", second)
    assignments.set_day(db, coordinator, case, "first", TODAY - timedelta(days=1))
    questions = calls.questions(case.call)

    def steps() -> tuple[str, ...]:
        db.flush()
        return tuple(agenda.mine(db, actor, TODAY)[0].step for actor in (first, second))

    seen = [steps()]
    assert agenda.mine(db, first, TODAY)[0].is_overdue
    for actor in (first, second):
        make.free(db, actor, case)
    seen.append(steps())
    make.hand_in(db, first, case)
    seen.append(steps())
    assert not agenda.mine(db, first, TODAY)[0].is_overdue
    make.hand_in(db, second, case)
    seen.append(steps())
    criteria = questions.review.criteria_for("FC")
    typed: dict[str, tuple[Decimal | None, str]] = {n: (Decimal(t), "") for n, t in make.POINTS.items()}
    written = reconciliations.write(db, first, case, criteria, typed)
    seen.append(steps())
    reconciliations.agree(db, second, case, str(written.id))
    seen.append(steps())
    said = signoffs.recommend(db, first, case, questions, "keep", "Wait.")
    seen.append(steps())
    signoffs.sign(db, second, case, questions, str(said.id))
    seen.append(steps())
    assert seen == [
        ("state", "state"), ("score", "score"), ("wait", "score"), ("reconcile", "wait"), ("wait", "agree"),
        ("recommend", "wait"), ("wait", "sign"), ("done", "done"),
    ]  # fmt: skip


def test_activity_folds_what_repeats_and_hides_what_is_closed(db: Session, case: Submission) -> None:
    _, first, second = make.readers(db, case)
    for _ in range(3):
        notes.write(db, first, case, "Again.", [], make.ISSUER)
    make.hand_in(db, first, case)
    trail = activity.of_dossier(db, case)
    assert [(d.name, d.who, d.times) for d in trail.deeds[:3]] == [
        ("scores.handed_in", "Fir St", 1), ("scores.saved", "Fir St", 1), ("note.written", "Fir St", 3),
    ]  # fmt: skip
    assert first.person_id
    assert {d.reference for d in activity.of_person(db, second, first.person_id).deeds} >= {case.reference}
    conflicts.state(db, second, case, "conflict", "Mine.", make.ISSUER)
    assert case.reference not in {d.reference for d in activity.of_person(db, second, first.person_id).deeds}


def test_lists_take_as_many_queries_for_four_dossiers_as_for_one(db: Session, several: list[Submission]) -> None:
    coordinator, first, _ = make.readers(db, several[0])
    call: Call = several[0].call
    counts = []
    for more in ([], several[1:]):
        for case in more:
            give(db, coordinator, case, "first", first)
            make.free(db, first, case)
        db.flush()
        db.expire_all()
        with make.counted(db) as queries:
            assert len(agenda.mine(db, first, TODAY)) == 1 + len(more)
            workload.of(db, coordinator, call, TODAY)
            balancing.vacant(db, coordinator, call)
        counts.append(queries.number)
    assert counts[0] == counts[1]


def test_the_database_keeps_the_status_that_its_rows_say(db: Session, several: list[Submission]) -> None:
    _, first, second = make.readers(db, several[0])
    make.sign_off(db, first, second, several[0])
    with pytest.raises(DBAPIError, match="permission denied"), db.begin_nested():
        db.execute(update(Progress).values(state="assigned"))
    said = select(Submission.reference, progress.state, progress.first_reader, progress.second_reader)
    assert tuple(db.execute(said.where(Submission.id == several[0].id)).one())[1:] == (
        "signed_off",
        "Fir St",
        "Sec Ond",
    )
    mine = select(Submission.id).where(progress.is_assigned_to(first.person_id))
    assert list(db.scalars(mine)) == [several[0].id]
