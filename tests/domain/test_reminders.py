"""Reminders before a cutoff: to whom, when, in which language, and never twice, too late or for nothing."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from app.deps import Portal
from app.domain import accounts, calls, drafts, outbox, reminders, submissions
from app.domain.access import Actor
from app.domain.participations import Wish
from app.infra.signing import Signer
from app.models import Call, DeadlineChange, OutboxMessage, Reminder, Submission
from tests import make

HOUR, DAY = 3600, 24 * 3600


@pytest.fixture
def case(db: Session) -> tuple[Submission, Actor]:
    """A draft of a call that has been open for long."""
    return make.submission(db)


def at(db: Session, call: Call, left: float) -> list[str]:
    """Who is reminded when that many seconds are left; everything there is was begun long before."""
    with make.owner(db):
        moved = calls.clock(db) + timedelta(seconds=left)
        began = func.clock_timestamp() - timedelta(days=60)
        db.execute(update(Call).where(Call.id == call.id).values(closes_at=moved, opens_at=began))
        db.execute(text("alter table submission disable trigger user"))
        db.execute(update(Submission).where(Submission.call_id == call.id).values(created_at=began))
        db.execute(text("alter table submission enable trigger user"))
    db.expire_all()
    before = set(db.scalars(select(OutboxMessage.id)))
    while reminders.remind(db, make.ISSUER):
        pass
    return sorted(m.recipient for m in queued(db) if m.id not in before)


def queued(db: Session) -> list[OutboxMessage]:
    return list(db.scalars(select(OutboxMessage).where(OutboxMessage.purpose == "reminder")))


def test_each_moment_reminds_once_and_the_time_between_nobody(db: Session, case: tuple[Submission, Actor]) -> None:
    call = case[0].call
    assert at(db, call, 15 * DAY) == []
    assert at(db, call, 14 * DAY - 1) == ["lead@firm.example"]
    assert reminders.remind(db, make.ISSUER) == 0
    decided = select(Reminder.lead_minutes).order_by(Reminder.lead_minutes)
    for left in (3 * DAY - 1, DAY - 1, 3 * HOUR - 1):
        assert at(db, call, left) == ["lead@firm.example"]
    assert db.scalars(decided).all() == [180, 24 * 60, 3 * 24 * 60, 14 * 24 * 60]
    assert at(db, call, -1) == []


def test_who_submitted_everything_is_not_reminded_and_who_changed_it_since_is(
    db: Session, case: tuple[Submission, Actor], signer: Signer
) -> None:
    submission, actor = case
    make.send(db, actor, submission, signer)
    assert at(db, submission.call, 14 * DAY - 1) == []
    drafts.save_step(db, actor, submission, "summary", 1, {"title": "Another title", "contact_email": actor.email}, {})
    assert reminders.remind(db, make.ISSUER) == 0  # decided at the moment, not after it
    assert at(db, submission.call, 3 * DAY - 1) == [actor.email]
    assert "Version 1 stands. The draft holds changes" in queued(db)[0].text


def test_those_who_may_submit_are_reminded_in_their_language(db: Session, case: tuple[Submission, Actor]) -> None:
    submission, owner = case
    for name, role in (("editor", "editor"), ("viewer", "viewer")):
        make.person(db, f"{name}@firm.example")
        make.invite(db, owner, submission.organisation_id, f"{name}@firm.example", role)
    accounts.person_named(db, "editor@firm.example").language = "nl"
    assert at(db, submission.call, DAY - 1) == ["editor@firm.example", "lead@firm.example"]
    subjects = {m.recipient: m.subject for m in queued(db)}
    assert subjects["editor@firm.example"].startswith(f"Nog niet ingediend: {submission.reference}")
    assert subjects["lead@firm.example"].startswith(f"Not submitted yet: {submission.reference}")


def test_an_invited_owner_is_reminded_and_an_invited_editor_is_not(db: Session, case: tuple[Submission, Actor]) -> None:
    for email, role in (("own@else.example", "owner"), ("edit@else.example", "editor")):
        make.takes_part(db, case[1], case[0], Wish(email, role))
    assert at(db, case[0].call, 3 * DAY - 1) == ["lead@firm.example", "own@else.example"]


def test_a_case_begun_after_the_moment_or_with_nothing_in_it_is_not_reminded(db: Session) -> None:
    call = make.call(db, closes_in=DAY - HOUR)
    make.submission(db, call)
    assert reminders.remind(db, make.ISSUER) == 0
    empty = make.call(db)
    actor = make.person(db, "empty@firm.example")
    body, actor = make.organisation(db, actor)
    submissions.start(db, actor, empty, body.id, "FC")
    assert at(db, empty, 3 * DAY - 1) == []


def test_a_moment_before_a_change_of_the_deadline_is_none(db: Session, case: tuple[Submission, Actor]) -> None:
    submission, actor = case
    assert at(db, submission.call, 3 * DAY - 1) == [actor.email]
    staff = [make.person(db, f"c{n}@rvo.example", staff="coordinator") for n in (1, 2)]
    moved = DeadlineChange(
        call_id=submission.call_id, closes_from=submission.call.closes_at,
        closes_to=submission.call.closes_at + timedelta(days=4), reason={"en": "r", "nl": "r"},
        proposed_by=accounts.require_id(staff[0]),
    )  # fmt: skip
    db.add(moved)
    db.flush()
    db.execute(select(func.confirm_deadline(moved.id, staff[1].person_id)))
    db.expire_all()
    assert reminders.remind(db, make.ISSUER) == 0  # seven days are left: they had the mail about the new deadline
    assert at(db, submission.call, 3 * DAY + 1) == []


def test_a_mail_that_leaves_late_is_looked_at_again(
    db: Session, case: tuple[Submission, Actor], portal: Portal, signer: Signer
) -> None:
    submission, actor = case
    assert at(db, submission.call, 3 * HOUR - 1) == [actor.email]
    make.send(db, actor, submission, signer)  # submitted before the mail server was there
    outbox.deliver_due(db, portal.mailer, "noreply@eoi.example", reminders.is_wanted)
    mail = queued(db)[0]
    assert (mail.sent_at, mail.last_error) == (None, outbox.NOT_NEEDED)
    drafts.save_step(db, actor, submission, "summary", 1, {"title": "Changed", "contact_email": actor.email}, {})
    make.move_deadline(db, submission.call, HOUR)
    db.execute(update(OutboxMessage).values(failed_at=None))
    db.expire_all()
    outbox.deliver_due(db, portal.mailer, "noreply@eoi.example", reminders.is_wanted)
    assert queued(db)[0].sent_at is None  # it names another deadline


def test_a_wanted_mail_leaves_and_after_the_cutoff_none_does(
    db: Session, case: tuple[Submission, Actor], portal: Portal
) -> None:
    submission, _ = case
    at(db, submission.call, 3 * HOUR - 1)
    mail = queued(db)[0]
    assert reminders.is_wanted(db, mail)
    with make.owner(db):
        db.execute(
            update(Call).values(closes_at=func.clock_timestamp(), opens_at=func.clock_timestamp() - timedelta(days=1))
        )
    db.expire_all()
    assert not reminders.is_wanted(db, mail)
