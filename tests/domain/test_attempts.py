"""The attempt ledger and signed refusals as the domain keeps them."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.domain import attempts, calls, drafts, exemptions, references, refusals, statements, submissions
from app.domain.attempts import Press
from app.domain.errors import CallClosed, CallNotOpen, NotFound, NotReady, Refused, refusal_of
from app.infra.signing import Signer
from app.models import Attempt, Exemption, Refusal
from tests import make


def press(db: Session, tried: str, code: str = "call_closed", **more: object) -> Press:
    """A press as the pages make it."""
    now = calls.clock(db)
    return Press(references.new(now), tried, code, "key", now, **more)  # type: ignore[arg-type]


def test_the_database_stamps_an_attempt_whatever_the_portal_says(db: Session) -> None:
    case, actor = make.submission(db)
    before = calls.clock(db)
    db.add(
        Attempt(
            submission_id=case.id, person_id=actor.person_id, outcome="refused", code="call_closed",
            idempotency_key="k", reference="forged", at=before - timedelta(days=1),
        )
    )  # fmt: skip
    db.flush()
    assert db.execute(text("select at from attempt")).scalar_one() >= before


@pytest.mark.parametrize("change", ["update attempt set code = 'accepted'", "delete from attempt", "truncate attempt"])
def test_an_attempt_is_never_changed(db: Session, change: str) -> None:
    case, actor = make.submission(db)
    attempts.record(db, case, actor.person_id, "call_closed", "k")
    db.flush()
    with pytest.raises(DBAPIError), db.begin_nested():
        db.execute(text(change))


def test_a_press_is_written_once_however_often_it_is_tried(db: Session, signer: Signer) -> None:
    case, actor = make.submission(db)
    made = press(db, case.reference, person_id=actor.person_id)
    assert attempts.write(db, made) is not None
    refusals.write_late(db, [made, made], signer, make.ISSUER)
    assert db.scalar(select(func.count()).select_from(Attempt)) == 1


def test_a_late_press_that_waited_for_the_database_gets_its_signed_refusal(db: Session, signer: Signer) -> None:
    case, actor = make.submission(db)
    at = "2027-06-20T15:00:27.000001Z"
    late = press(db, case.reference, person_id=actor.person_id, judged_at=at)
    refusals.write_late(db, [late, press(db, case.reference, "unavailable", person_id=actor.person_id)], signer, "x")
    assert db.scalar(select(func.count()).select_from(Attempt)) == 2
    (signed,) = db.scalars(select(Refusal))
    assert (signed.body["at"], signed.body["attempt"]) == (at, late.reference)


def test_a_press_that_is_tied_to_nothing_is_not_written(db: Session) -> None:
    assert attempts.write(db, press(db, "nothing", secret="no such session")) is None
    assert db.scalar(select(func.count()).select_from(Attempt)) == 0


def test_the_secret_of_a_session_is_not_shown_with_the_press(db: Session) -> None:
    assert "swordfish" not in repr(press(db, "x", secret="swordfish"))


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("accepted", "accepted"),
        ("accepted_before", "accepted"),
        ("not_ready", "invalid"),
        ("classified_information", "refused"),
        ("call_closed", "refused"),
    ],
)
def test_what_a_press_came_to_follows_from_its_code(code: str, outcome: str) -> None:
    assert attempts.outcome(code) == outcome


def test_only_what_the_database_refused_by_its_clock_is_signed(db: Session, signer: Signer) -> None:
    case, actor = make.submission(db)
    at = "2027-06-20T15:00:27.000001Z"
    reasons: list[tuple[Refused, bool]] = [
        (CallClosed(at=at), True),
        (CallNotOpen(at=at), True),
        (CallClosed(), False),
        (NotFound(at=at), False),
    ]
    for reason, is_signed in reasons:
        attempt = attempts.write(db, press(db, case.reference, reason.code, person_id=actor.person_id))
        assert attempt is not None
        signed = refusals.sign(db, attempt, reason.extra.get("at"), signer, make.ISSUER)
        assert (signed is not None) is is_signed, reason
        if signed:
            assert (signed.body["at"], signed.body["refused_local"]) == (at, "20 June 2027, 17:00:27 CEST")


def test_nobody_who_is_not_signed_in_gets_a_signed_refusal(db: Session, signer: Signer) -> None:
    case, _ = make.submission(db)
    attempt = attempts.write(db, press(db, case.reference))
    assert attempt is not None
    assert refusals.sign(db, attempt, "2027-06-20T15:00:27Z", signer, make.ISSUER) is None


@pytest.mark.parametrize("change", ["update refusal set jws = 'x'", "delete from refusal", "truncate refusal cascade"])
def test_a_signed_refusal_is_never_changed(db: Session, signer: Signer, change: str) -> None:
    case, actor = make.submission(db)
    attempt = attempts.write(db, press(db, case.reference, person_id=actor.person_id))
    assert attempt is not None
    refusals.sign(db, attempt, "2027-06-20T15:00:27Z", signer, make.ISSUER)
    with pytest.raises(DBAPIError), db.begin_nested():
        db.execute(text(change))
    assert db.scalar(select(func.count()).select_from(Refusal)) == 1


def test_what_was_typed_holds_what_could_not_be_read(db: Session) -> None:
    case, actor = make.submission(db)
    drafts.save_step(db, actor, case, "finance", 1, {}, {"capex_total": {"text": "4 billion"}})
    typed = refusals.typed(case, drafts.content(db, case))
    assert typed["unread"] == {"capex_total": {"text": "4 billion"}}
    assert statements.canonical(typed)


@pytest.mark.parametrize(("opens_in", "closes_in"), [(-3600, 3600), (-3600, 0), (5, 3600)])
def test_what_is_foretold_is_what_the_database_decides(db: Session, opens_in: float, closes_in: float) -> None:
    case, _ = make.submission(db)
    with make.owner(db):
        db.execute(
            text(
                "update call set opens_at = clock_timestamp() + make_interval(secs => :o),"
                " closes_at = clock_timestamp() + make_interval(secs => :c) where id = :id"
            ),
            {"o": opens_in, "c": closes_in, "id": case.call_id},
        )
    db.expire(case.call)
    foretold = decided = None
    try:
        exemptions.foretell(db, case)
    except Refused as refused:
        foretold = refused.code
        assert refused.extra["at"] <= calls.clock(db).isoformat().replace("+00:00", "Z")
    try:
        with db.begin_nested():
            db.execute(text("update draft set revision = revision where submission_id = :s"), {"s": case.id})
    except DBAPIError as failure:
        refusal = refusal_of(failure)
        decided = refusal.code if refusal else "?"
    assert foretold == decided


def test_somebody_let_in_after_the_seal_is_told_what_is_missing_not_that_it_is_late(
    db: Session, signer: Signer
) -> None:
    case, actor = make.submission(db, title=None)
    make.move_deadline(db, case.call, 0)
    with pytest.raises(CallClosed):
        submissions.submit(db, actor, case.reference, "k", "en", signer, make.ISSUER)
    db.execute(select(func.seal_call(case.call_id)))
    first, second = (make.person(db, f"{n}@rvo.example", staff="coordinator").person_id for n in "ab")
    exemption = Exemption(
        submission_id=case.id, reason="outage", until=calls.clock(db) + timedelta(hours=1), proposed_by=first
    )
    db.add(exemption)
    db.flush()
    with pytest.raises(CallClosed):
        submissions.submit(db, actor, case.reference, "k", "en", signer, make.ISSUER)
    db.execute(select(func.confirm_exemption(exemption.id, second)))
    db.expire_all()
    with pytest.raises(NotReady):
        submissions.submit(db, actor, case.reference, "k", "en", signer, make.ISSUER)
