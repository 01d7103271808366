"""Reminders before a cutoff, by mail: only where a change is not submitted, decided again when the mail leaves, never twice."""

from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import exists, func, literal, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.domain import audit, calls, deadlines, drafts, outbox, participations, submissions
from app.domain.access import EDITORS, SYSTEM
from app.infra.i18n import N_, translate
from app.infra.times import brussels_and_utc
from app.models import Call, Membership, OutboxMessage, Participation, Person, Reminder, Submission

LEADS = (timedelta(hours=3), timedelta(days=1), timedelta(days=3), timedelta(days=14))
AT_ONCE = 50  # cases that are decided on in one transaction

SUBJECT = N_("Not submitted yet: %(reference)s, the call closes at %(closes)s")
NOTHING_STANDS = N_("Nothing of it was submitted yet: a draft does not count.")
CHANGES_WAIT = N_(
    "Version %(number)s stands. The draft holds changes that were not submitted: they count only after you submit again."
)
TEXT = N_(
    "The call %(title)s closes at %(closes)s.\n\n%(standing)s\n\n"
    "Submit what is complete now; you can change it and submit again until the cutoff, and the last version counts. "
    "The page shows what is still missing:\n%(link)s\n\n"
    "You get this mail because you may submit %(reference)s for %(organisation)s. Once it is submitted no more mails follow.\n"
)


def _due(db: Session) -> Iterator[tuple[Call, timedelta]]:
    """Open calls with the shortest lead time whose moment has come.

    A moment before the last change of the deadline is none: of that change everybody had a mail.
    """
    now = calls.clock(db)
    for call in calls.all_calls(db):
        if not calls.is_open(call, now):
            continue
        moved = [change.confirmed_at for change in deadlines.confirmed(db, call)[:1] if change.confirmed_at]
        for lead in LEADS:
            if call.closes_at - lead <= now:
                if call.closes_at - lead > max([call.opens_at, *moved]):
                    yield call, lead
                break


def remind(db: Session, base_url: str) -> int:
    """Decide on some cases whose moment has come, and queue their mails; how many cases were looked at."""
    for call, lead in _due(db):
        if cases := _undecided(db, call, lead):
            for case in cases:
                _decide(db, case, lead, base_url)
            return len(cases)
    return 0


def _undecided(db: Session, call: Call, lead: timedelta) -> list[Submission]:
    """Cases that were there at the moment, and on which nothing was decided for this deadline and lead time."""
    decided = exists().where(
        Reminder.submission_id == Submission.id,
        Reminder.closes_at == call.closes_at,
        Reminder.lead_minutes == _minutes(lead),
    )
    there = (Submission.call_id == call.id, Submission.created_at <= call.closes_at - lead)
    return list(db.scalars(select(Submission).where(*there, ~decided).order_by(Submission.id).limit(AT_ONCE)))


def _minutes(lead: timedelta) -> int:
    return int(lead.total_seconds()) // 60


def _decide(db: Session, case: Submission, lead: timedelta, base_url: str) -> None:
    """Write down whether a reminder is needed; where another process was faster, it did the rest too."""
    standing, is_needed = _standing(db, case)
    made = select(literal(case.id), Call.closes_at, literal(_minutes(lead)), literal(is_needed)).where(
        Call.id == case.call_id, Call.closes_at == case.call.closes_at, Call.closes_at > func.clock_timestamp()
    )
    names = [Reminder.submission_id, Reminder.closes_at, Reminder.lead_minutes, Reminder.is_needed]
    reminder = db.scalar(insert(Reminder).from_select(names, made).on_conflict_do_nothing().returning(Reminder.id))
    if reminder is None or not is_needed:
        return
    members = select(Membership.person_id).where(
        Membership.organisation_id == case.organisation_id,
        Membership.ended_at.is_(None),
        Membership.role.in_(EDITORS),
    )
    invited = participations.people("owner").where(Participation.submission_id == case.id)
    may_submit = or_(Person.id.in_(members), Person.id.in_(invited))
    people = db.scalars(select(Person).where(may_submit).order_by(Person.email)).all()
    for person in people:
        subject, body = _words(case, standing, person.language, base_url)
        outbox.enqueue(db, "reminder", person.email, subject, body, case.id, reminder)
    audit.record(db, SYSTEM, "draft.reminded", case, mails=len(people))


def _standing(db: Session, case: Submission) -> tuple[submissions.Standing, bool]:
    """Where a case stands, and whether it holds something that was not submitted."""
    draft = drafts.content(db, case)
    standing = submissions.standing(db, case, draft)
    holds = bool(draft.answers or draft.unread or draft.files)
    return standing, standing.is_changed if standing.latest else holds


def _words(case: Submission, standing: submissions.Standing, language: str, base_url: str) -> tuple[str, str]:
    title = calls.questions(case.call).title
    says = (
        translate(language, CHANGES_WAIT, number=standing.version.number)
        if standing.version and not standing.withdrawal
        else translate(language, NOTHING_STANDS)
    )
    values = {
        "reference": case.reference,
        "closes": brussels_and_utc(case.call.closes_at, language),
        "title": title.get(language) or title["en"],
        "organisation": case.organisation.name,
        "standing": says,
        "link": f"{base_url}/apply/{case.reference}/check",
    }
    return translate(language, SUBJECT, **values), translate(language, TEXT, **values)


def is_wanted(db: Session, message: OutboxMessage) -> bool:
    """Whether a mail that leaves now still says what is so; of mails that are no reminders it does."""
    reminder = db.get(Reminder, message.reminder_id) if message.reminder_id else None
    if reminder is None:
        return True
    case = db.get_one(Submission, reminder.submission_id)
    db.refresh(case.call)
    is_same = case.call.closes_at == reminder.closes_at and calls.is_open(case.call, calls.clock(db))
    return is_same and _standing(db, case)[1]
