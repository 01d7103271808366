"""Second factors: a code opens once, a copy of the database opens nothing, two others end what somebody lost."""

import re
from concurrent.futures import ThreadPoolExecutor

import pyotp
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.deps import Portal
from app.domain import accounts, factors, sign_ins
from app.domain.access import Actor
from app.domain.barriers import FactorNeeded, FactorSpent, LastFactor
from app.domain.errors import Forbidden, NeedsSecondPerson, ReasonMissing, Throttled, refusal_of
from app.models import Event, Factor, OutboxMessage, Person, RecoveryCode
from tests import make

BASE, KEY = "https://eoi.example", b"k" * 40
EMAIL = "jo@rvo.example"


def halfway(db: Session, email: str = EMAIL) -> tuple[Actor, str]:
    """Staff who are signed in by link, before their second factor; with the session's secret."""
    make.person(db, email, staff="coordinator")
    person = accounts.find_person(db, email)
    assert person
    secret = sign_ins.open_session(db, person, "browser", "agent", BASE)
    return sign_ins.actor_of(db, secret), secret


def code(db: Session, app: Factor, step: int = 0) -> str:
    return pyotp.TOTP(factors.shared_secret(app, KEY)).generate_otp(factors._step(db) + step)


def with_app(db: Session) -> tuple[Actor, str, Factor]:
    actor, secret = halfway(db)
    assert actor.person_id
    return actor, secret, factors.issue_app(db, actor.person_id, "phone")


def test_staff_can_do_nothing_before_their_second_factor_and_go_on_under_another_secret_after_it(db: Session) -> None:
    actor, before, app = with_app(db)
    assert actor.owes_factor
    assert (actor.staff_role, actor.memberships, actor.is_proven) == (None, (), False)
    after = factors.enter(db, actor, code(db, app), KEY, BASE)
    assert after
    assert after != before
    assert sign_ins.actor_of(db, before).kind == "anonymous"
    proven = sign_ins.actor_of(db, after)
    assert (proven.owes_factor, proven.staff_role, proven.is_proven) == (False, "coordinator", True)
    with make.owner(db):
        db.execute(text("update sign_in set factor_at = factor_at - :by"), {"by": sign_ins.PROOF_HOLDS})
    later = sign_ins.actor_of(db, after)
    assert (later.staff_role, later.is_proven) == ("coordinator", False)


def test_a_code_is_taken_once_and_none_of_an_earlier_half_minute_after_it(db: Session) -> None:
    actor, _, app = with_app(db)
    used = code(db, app)
    assert factors.enter(db, actor, used, KEY, BASE)
    assert factors.enter(db, actor, used, KEY, BASE) is None
    assert factors.enter(db, actor, code(db, app, -1), KEY, BASE) is None
    assert factors.enter(db, actor, code(db, app, 2), KEY, BASE) is None
    with pytest.raises(DBAPIError) as failure, db.begin_nested():
        db.execute(text("update factor set last_step = last_step"))
    assert isinstance(refusal_of(failure.value), FactorSpent)


def test_what_a_demonstration_shows_is_good_for_a_half_minute_more_and_was_not_taken(
    db: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor, _, app = with_app(db)
    shown, now = factors.shown_code(db, app, KEY), factors._step(db)
    assert shown
    monkeypatch.setattr(factors, "_step", lambda _: now + 1)
    assert factors.enter(db, actor, shown, KEY, BASE)
    db.refresh(app)
    assert factors.shown_code(db, app, KEY) == pyotp.TOTP(factors.shared_secret(app, KEY)).generate_otp(now + 1)


@pytest.mark.committed
def test_of_eight_who_give_the_same_code_at_once_one_gets_in(committed_portal: Portal) -> None:
    with committed_portal.sessions.begin() as db:
        actor, _, app = with_app(db)
        given = code(db, app)

    def one(_: int) -> bool:
        with committed_portal.sessions.begin() as db:
            return factors.enter(db, actor, given, KEY, BASE) is not None

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(one, range(8))) == 1


def test_wrong_codes_are_counted_and_then_refused_even_when_right(db: Session) -> None:
    actor, _, app = with_app(db)
    right = code(db, app)
    for _ in range(factors.TRIES[0][0]):
        assert factors.enter(db, actor, "000000" if right != "000000" else "111111", KEY, BASE) is None
    with pytest.raises(Throttled):
        factors.enter(db, actor, right, KEY, BASE)
    assert db.scalars(select(Event.name).where(Event.name == "factor.refused")).all() == ["factor.refused"] * 10


@pytest.mark.parametrize("odd", ["", "12345", "１２３４５６", "é", "0" * 60, "' or 1=1 --"])
def test_what_is_no_code_opens_nothing(db: Session, odd: str) -> None:
    actor, _, _ = with_app(db)
    assert factors.enter(db, actor, odd, KEY, BASE) is None


def test_recovery_codes_are_kept_as_hashes_and_stand_in_once_each(db: Session) -> None:
    actor, _, _ = with_app(db)
    codes = factors.first_codes(db, actor)
    assert len(set(codes)) == factors.CODES
    assert all(re.fullmatch(r"(\w{4}-){5}\w{4}", one) for one in codes)
    assert factors.first_codes(db, actor) == []
    kept = db.scalars(select(RecoveryCode.code_hash)).all()
    assert not set(kept) & {one.replace("-", "") for one in codes}
    assert factors.enter(db, actor, codes[0].lower(), KEY, BASE)
    assert factors.enter(db, actor, codes[0], KEY, BASE) is None
    assert factors.codes_left(db, accounts.require_id(actor)) == factors.CODES - 1
    with pytest.raises(DBAPIError) as failure, db.begin_nested():
        db.execute(text("update recovery_code set used_at = null where used_at is not null"))
    assert isinstance(refusal_of(failure.value), FactorSpent)
    assert "factor" in db.scalars(select(OutboxMessage.purpose).where(OutboxMessage.recipient == EMAIL)).all()


def test_a_copy_of_the_database_holds_no_secret_of_an_app(db: Session) -> None:
    actor, _, app = with_app(db)
    row = str(db.execute(text("select row_to_json(f) from factor f")).scalar_one())
    assert factors.shared_secret(app, KEY) not in row
    assert factors.shared_secret(app, KEY) != factors.shared_secret(app, b"other" * 10)
    assert factors.enter(db, actor, pyotp.TOTP(factors.shared_secret(app, b"other" * 10)).now(), KEY, BASE) is None


def test_whoever_has_a_factor_adds_or_ends_one_only_after_giving_it(db: Session) -> None:
    actor, _, app = with_app(db)
    for change in (
        lambda: factors.begin_app(db, actor),
        lambda: factors.renew_codes(db, actor),
        lambda: factors.end(db, actor, app.id, BASE),
    ):
        with pytest.raises(FactorNeeded):
            change()
    proven = sign_ins.actor_of(db, factors.enter(db, actor, code(db, app), KEY, BASE))
    with pytest.raises(LastFactor):
        factors.end(db, proven, app.id, BASE)
    second = factors.begin_app(db, proven)
    assert factors.begin_app(db, proven).id == second.id
    assert factors.confirm_app(db, proven, "tablet", code(db, second, 1), KEY, BASE)
    factors.end(db, proven, app.id, BASE)
    assert [one.name for one in factors.listed(db, accounts.require_id(proven))] == ["tablet"]
    assert factors.enter(db, proven, code(db, app, 1), KEY, BASE) is None
    with pytest.raises(Forbidden):
        factors.begin_app(db, make.person(db, "lead@firm.example"))


def test_two_others_end_the_factors_of_somebody_who_lost_them(db: Session) -> None:
    actor, secret, app = with_app(db)
    factors.first_codes(db, actor)
    admin = make.person(db, "admin@rvo.example", staff="admin")
    other = make.person(db, "other@rvo.example", staff="coordinator")
    reviewer = make.person(db, "reviewer@rvo.example", staff="reviewer")
    person = db.get_one(Person, actor.person_id)
    for first, second in ((admin, admin), (admin, accounts.actor_for(db, person))):
        with pytest.raises(NeedsSecondPerson):
            factors.reset(db, first, second, person, "Lost phone.", BASE)
    for first, second in ((other, admin), (admin, reviewer)):
        with pytest.raises(Forbidden):
            factors.reset(db, first, second, person, "Lost phone.", BASE)
    with pytest.raises(ReasonMissing):
        factors.reset(db, admin, other, person, " ", BASE)
    factors.reset(db, admin, other, person, "Lost phone.", BASE)
    assert factors.listed(db, person.id) == []
    assert factors.codes_left(db, person.id) == 0
    assert sign_ins.actor_of(db, secret).kind == "anonymous"
    told = select(Event.name, Event.person_id).where(Event.name.like("factor.reset%")).order_by(Event.name)
    assert [tuple(row) for row in db.execute(told)] == [
        ("factor.reset", admin.person_id),
        ("factor.reset_agreed", other.person_id),
    ]
    db.refresh(app)
    assert app.ended_at


def test_whoever_is_erased_has_no_factor_left(db: Session) -> None:
    actor, _, _ = with_app(db)
    factors.first_codes(db, actor)
    db.execute(text("select erase_person(:id)"), {"id": actor.person_id})
    assert db.execute(text("select count(*) from factor")).scalar_one() == 0
    assert db.execute(text("select count(*) from recovery_code")).scalar_one() == 0
