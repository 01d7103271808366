"""The figures of a sealed call: what they add up to, that nobody's conflict is in them, and that remembering changes nothing."""

from collections import Counter
from decimal import Decimal

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from app import demo
from app.deps import Portal
from app.domain import access, calls, conflicts, definitions, figures, funding, overview, withdrawals
from app.domain.access import ANONYMOUS, Actor
from app.domain.figures import Figures
from app.infra.signing import Signer
from app.models import Call, Submission
from tests import make


@pytest.fixture
def filled(db: Session, portal: Portal) -> Call:
    """The gigafactory call with every sample in it, sealed."""
    call = make.call(db, of=make.definition("aigf-eoi"))
    demo._fill(portal, db, call)
    make.close(db, call)
    return call


@pytest.fixture
def reviewer(db: Session) -> Actor:
    return make.person(db, "jo@rvo.example", staff="reviewer")


def test_the_figures_are_those_of_the_dossiers_one_by_one(db: Session, filled: Call, reviewer: Actor) -> None:
    questions = calls.questions(filled)
    rows = [v for _, v in db.execute(access.dossiers(reviewer).where(Submission.call_id == filled.id))]
    assert len(rows) == 12
    found = figures.of(db, reviewer, filled, questions)
    assert found.total == 12
    assert found.of("kind") == Counter(v.kind for v in rows)
    assert found.of("lead") == Counter(v.facts["lead_country"] or "NL" for v in rows)
    states = Counter(c for v in rows for c in {s["member_state"] for s in v.answers["sites"]})
    assert found.of("site") == states
    assert found.of("warning") == Counter(c for v in rows for c in {f["code"] for f in v.findings})
    assert sum(found.of("hour").values()) == sum(found.of("day").values()) == 12
    money = [w for v in rows if (w := funding.of(questions, v.answers))]
    assert found.sums["money private_equity"] == sum(w.sources[0].amount or 0 for w in money)
    assert found.sums["money ms_requested.amount"] == sum(w.sources[3].amount or 0 for w in money)
    assert (found.of("money other_public"), "money other_public" in found.sums) == ({}, False)
    loads = [Decimal(v.facts["it_load_mw"]) for v in rows if v.facts["it_load_mw"] is not None]
    edges = [Decimal(e) for e in questions.parts.spreads[0].edges]
    bins = Counter(str(sum(edge <= load for edge in edges)) for load in loads)
    assert {k: n for k, n in found.of("power").items() if k} == bins
    shares = found.of("public_share")
    assert (sum(n for k, n in shares.items() if k), shares["6"], shares["7"]) == (9, 2, 7)
    for language in ("en", "nl"):
        made = overview.pictures(questions, found, language)
        assert [p.name for p in made] == [
            "lead-country", "site-country", "kind", "day", "hour", "power", "processors", "capex", "public-share", "source", "warning",
        ]  # fmt: skip
        assert all(len(p.cells(row)) == len(p.headings) for p in made for row in p.rows)


def test_what_a_reader_has_a_conflict_with_is_in_none_of_their_figures(
    db: Session, filled: Call, reviewer: Actor
) -> None:
    questions, other = calls.questions(filled), make.person(db, "al@rvo.example", staff="coordinator")
    before = figures.of(db, reviewer, filled, questions)
    submission = next(
        s
        for s, v in db.execute(access.dossiers(reviewer))
        if s.call_id == filled.id and v.facts["lead_country"] == "SE"
    )
    conflicts.state(db, reviewer, submission, "conflict", "My sister works there.")
    after = figures.of(db, reviewer, filled, questions)
    assert after == figures.count(db, reviewer, filled.id, questions)
    assert (before.total, after.total, "SE" in before.of("lead"), "SE" in after.of("lead")) == (12, 11, True, False)
    assert figures.of(db, other, filled, questions) == before
    conflicts.state(db, reviewer, submission, "none", "She left.")
    assert figures.of(db, reviewer, filled, questions) == before
    assert figures.of(db, ANONYMOUS, filled, questions) == Figures()


def test_conflicts_with_everything_leave_nothing(db: Session, filled: Call, reviewer: Actor) -> None:
    questions = calls.questions(filled)
    for left in range(11, -1, -1):
        submission = db.execute(access.dossiers(reviewer).where(Submission.call_id == filled.id)).scalars().first()
        assert submission is not None
        conflicts.state(db, reviewer, submission, "conflict", "My sister works there.")
        found = figures.of(db, reviewer, filled, questions)
        assert found == figures.count(db, reviewer, filled.id, questions)
        assert found.total == left
    assert found == Figures()


def test_figures_take_three_statements_however_many_there_are(db: Session, signer: Signer, reviewer: Actor) -> None:
    asked: list[str] = []
    make.person(db)
    for number in (1, 3):
        call = make.call(db)
        for one in range(number):
            make.submission(db, call, make.person(db, f"p{one}@firm.example"), sent=True, signer=signer)
        make.close(db, call)
        questions = calls.questions(call)
        listen = lambda *given: asked.append(given[2])  # noqa: E731
        event.listen(db.get_bind(), "before_cursor_execute", listen)
        assert figures.of(db, reviewer, call, questions).total == number
        first = len(asked)
        figures.of(db, reviewer, call, questions)
        event.remove(db.get_bind(), "before_cursor_execute", listen)
        assert (first, len(asked) - first) == (3, 2)
        asked.clear()


def test_withdrawn_dossiers_are_counted_apart(db: Session, signer: Signer, reviewer: Actor) -> None:
    call = make.call(db)
    make.submission(db, call, sent=True, signer=signer)
    case, actor = make.submission(db, call, make.person(db, "b@firm.example"), sent=True, signer=signer)
    withdrawals.withdraw(db, actor, case, "No money.", make.ISSUER)
    make.close(db, call)
    found = figures.of(db, reviewer, call, calls.questions(call))
    assert (found.total, found.of("withdrawn")) == (1, {"": 1})


def test_a_call_without_parts_still_has_its_kinds_and_days(db: Session, signer: Signer, reviewer: Actor) -> None:
    bare = {k: v for k, v in make.definition().items() if k != "parts"}
    call = make.call(db, of=bare)
    make.submission(db, call, sent=True, signer=signer)
    make.close(db, call)
    questions = calls.questions(call)
    made = overview.pictures(questions, figures.of(db, reviewer, call, questions), "en")
    assert [p.name for p in made] == ["lead-country", "kind", "day", "hour"]


def test_a_long_window_shows_its_last_days_and_the_earlier_ones_together() -> None:
    questions = definitions.build(make.definition())
    days = {"2026-01-01": 3, "2026-01-02": 1, "2027-06-19": 4, "2027-06-20": 5}
    made = overview.pictures(questions, Figures({"day": days}), "en")
    (day,) = [p for p in made if p.name == "day"]
    assert len(day.rows) == overview.DAYS + 1
    assert (day.rows[0].number, day.rows[-1].number, sum(row.number for row in day.rows)) == (4, 5, 13)
    assert overview.pictures(questions, Figures(), "en") == []
