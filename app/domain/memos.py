"""What the portal writes to staff about their work: that there is something, and where; never what stands in a dossier."""

from datetime import date

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import Session

from app.domain import outbox
from app.infra.i18n import N_, translate
from app.infra.times import calendar_day
from app.models import Conflict, Person, Submission

GIVEN_SUBJECT = N_("To read: %(count)s dossiers")
GIVEN_TEXT = N_(
    "%(who)s asks you to read:\n\n%(references)s\n\nReady by: %(due)s\n\n"
    "First say of each dossier whether you have an interest in it. Your work, with what is next:\n%(link)s\n"
)
NO_DAY = N_("no day was set")
TAKEN_SUBJECT = N_("No longer yours to read: %(reference)s")
TAKEN_TEXT = N_(
    "%(who)s gave the dossier %(reference)s to somebody else. What you wrote is kept.\n\nYour work:\n%(link)s\n"
)
LEFT_SUBJECT = N_("A reader stated a conflict: %(reference)s")
LEFT_TEXT = N_(
    "%(who)s stated a conflict about the dossier %(reference)s, so they read it no longer. A seat is free:\n%(link)s\n"
)
MENTIONED_SUBJECT = N_("%(who)s mentions you at %(reference)s")
MENTIONED_TEXT = N_("%(who)s wrote a note that is meant for you. It stands with the dossier:\n%(link)s\n")
RETURNED_SUBJECT = N_("Your scores came back: %(reference)s")
RETURNED_TEXT = N_(
    "%(who)s returned your scores of the dossier %(reference)s. The reason stands beside them:\n%(link)s\n"
)
REOPENED_SUBJECT = N_("Reopened: %(reference)s")
REOPENED_TEXT = N_("%(who)s reopened the dossier %(reference)s. The reason stands with its work:\n%(link)s\n")


def given(db: Session, person: Person, who: str, references: list[str], due_on: date | None, base_url: str) -> None:
    """Tell a reader what was assigned to them, in one mail."""
    due = calendar_day(due_on, person.language) if due_on else translate(person.language, NO_DAY)
    words = {"who": who, "count": len(references), "references": "\n".join(references), "due": due}
    subject, body = _words(person, GIVEN_SUBJECT, GIVEN_TEXT, link=f"{base_url}/review/mine", **words)
    outbox.enqueue(db, "assignment", person.email, subject, body)


def taken(db: Session, person: Person, who: str, submission: Submission, base_url: str) -> None:
    """Tell a reader that a dossier is no longer theirs."""
    words = {"who": who, "reference": submission.reference, "link": f"{base_url}/review/mine"}
    subject, body = _words(person, TAKEN_SUBJECT, TAKEN_TEXT, **words)
    outbox.enqueue(db, "assignment", person.email, subject, body, submission.id)


def left(db: Session, who: str, submission: Submission, base_url: str) -> None:
    """Tell the coordinators who may know of the dossier that a reader has a conflict about it."""
    for person in db.scalars(
        select(Person)
        .where(Person.staff_role.in_(("coordinator", "admin")), ~_hides(submission))
        .order_by(Person.email)
    ):
        link = f"{base_url}/review/{submission.reference}/assignments"
        subject, body = _words(person, LEFT_SUBJECT, LEFT_TEXT, who=who, reference=submission.reference, link=link)
        outbox.enqueue(db, "assignment", person.email, subject, body, submission.id)


def mentioned(db: Session, person: Person, who: str, submission: Submission, base_url: str) -> None:
    """Tell a colleague that a note is meant for them."""
    words = {"who": who, "reference": submission.reference, "link": f"{base_url}/review/{submission.reference}/notes"}
    subject, body = _words(person, MENTIONED_SUBJECT, MENTIONED_TEXT, **words)
    outbox.enqueue(db, "mention", person.email, subject, body, submission.id)


def returned(db: Session, person: Person, who: str, submission: Submission, base_url: str) -> None:
    """Tell a reader that their scores are theirs to change again."""
    words = {"who": who, "reference": submission.reference, "link": f"{base_url}/review/{submission.reference}/scores"}
    subject, body = _words(person, RETURNED_SUBJECT, RETURNED_TEXT, **words)
    outbox.enqueue(db, "review", person.email, subject, body, submission.id)


def reopened(db: Session, person: Person, who: str, submission: Submission, base_url: str) -> None:
    """Tell a reader that a dossier that was signed off is open again."""
    words = {"who": who, "reference": submission.reference, "link": f"{base_url}/review/{submission.reference}/work"}
    subject, body = _words(person, REOPENED_SUBJECT, REOPENED_TEXT, **words)
    outbox.enqueue(db, "review", person.email, subject, body, submission.id)


def _hides(submission: Submission) -> ColumnElement[bool]:
    return exists().where(
        Conflict.submission_id == submission.id,
        Conflict.person_id == Person.id,
        Conflict.level == "conflict",
        Conflict.replaced_at.is_(None),
    )


def _words(person: Person, subject: str, body: str, **values: object) -> tuple[str, str]:
    return translate(person.language, subject, **values), translate(person.language, body, **values)
