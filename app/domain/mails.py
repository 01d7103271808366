"""What the portal writes to people about their submission: plain text, in their language, times with zone."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from app.domain import outbox, participations
from app.domain.accounts import known
from app.domain.outbox import Mail
from app.infra.i18n import N_, translate
from app.infra.times import brussels_and_utc, to_the_end
from app.models import (
    Call,
    DeadlineChange,
    Exemption,
    Membership,
    Person,
    Submission,
    Ticket,
    Version,
    Withdrawal,
)

RECEIVED_SUBJECT = N_("Received: %(reference)s, version %(number)s")
RECEIVED_TEXT = N_(
    "Your expression of interest was received and counts.\n\n"
    "Reference: %(reference)s\nVersion: %(number)s\nReceived: %(received)s\nSHA-256 of the content: %(digest)s\n\n"
    "The receipt, with the SHA-256 of each file, as page, PDF and signed JSON:\n%(link)s\n\n"
    "You can change and resubmit it until %(closes)s. The last version received before then counts.\n"
    "An expression of interest is not an application: no rights follow from it and no decision is taken on it.\n"
)
EXCEPTIONAL_TEXT = N_(
    "What you submitted was received exceptionally, outside the sealed set: the call had closed, and the sealed set does "
    "not change.\n\n"
    "Reference: %(reference)s\nVersion: %(number)s\nReceived: %(received)s\nSHA-256 of the content: %(digest)s\n\n"
    "The receipt, with the SHA-256 of each file, as page, PDF and signed JSON:\n%(link)s\n\n"
    "You can change and resubmit it until %(closes)s.\n"
    "An expression of interest is not an application: no rights follow from it and no decision is taken on it.\n"
)
WITHDRAWN_SUBJECT = N_("Withdrawn: %(reference)s")
WITHDRAWN_TEXT = N_(
    "The expression of interest %(reference)s was withdrawn at %(at)s. No version counts now.\n\n"
    "Nothing was deleted. You can restore it until %(closes)s:\n%(link)s\n"
)
RESTORED_SUBJECT = N_("Restored: %(reference)s")
RESTORED_TEXT = N_(
    "The expression of interest %(reference)s was restored: its last version counts again.\n\n%(link)s\n"
)

SEALED_SUBJECT = N_("Sealed: %(call)s, %(count)s submissions")
SEALED_TEXT = N_(
    "The call %(call)s closed at %(closes)s and was sealed at %(sealed)s.\n\n"
    "Submissions that count: %(count)s\nWithdrawn: %(withdrawn)s\nAttempts after the cutoff: %(late)s\n"
    "Root: %(root)s\n\nThe signed seal, which anyone can check:\n%(link)s\n"
)
DEADLINE_SUBJECT = N_("New deadline: %(title)s")
DEADLINE_TEXT = N_(
    "The deadline of this call has changed: %(title)s (%(call)s).\n\n"
    "Old deadline: %(old)s\nNew deadline: %(new)s\n\nReason: %(reason)s\n\n"
    "You get this mail because your organisation has a draft or a submission in this call. What you submitted stands; "
    "you can change and resubmit it until the new deadline. A draft counts only once it is submitted.\n\n"
    "All changes of the deadline are on the page of the call:\n%(link)s\n\n"
    "The new deadline for your calendar:\n%(link)s/deadline.ics\n"
)
EXEMPTED_SUBJECT = N_("You may still submit: %(reference)s")
EXEMPTED_TEXT = N_(
    "The call has closed, and two coordinators have agreed to let %(organisation)s in exceptionally.\n\n"
    "Reference: %(reference)s\nUntil: %(until)s\n\n"
    "Until then you can change answers, add files and submit. What you submit is marked as exceptional: it stays outside "
    "the sealed set, which does not change. You cannot withdraw or restore.\n\n%(link)s\n"
)

REPORTED_SUBJECT = N_("Problem reported: %(reference)s")
REPORTED_TEXT = N_(
    "Your report was received at %(at)s under the number %(reference)s.\n\n"
    "The signed proof of it, and later the answer:\n%(link)s\n"
)
ANSWERED_SUBJECT = N_("Answer to the problem %(reference)s")
ANSWERED_TEXT = N_(
    "You reported the problem %(reference)s at %(at)s. The help desk answers:\n\n%(answer)s\n\n%(link)s\n"
)
VIEW_SUBJECT = N_("Your view is asked: request to disclose, %(reference)s")
VIEW_TEXT = N_(
    "Somebody asked to see documents under the open-government act, and your expression of interest %(reference)s is among "
    "them. Nothing is disclosed yet.\n\n"
    "Here you see what is proposed, section by section. Say of each whether you agree or object, and why:\n%(link)s\n\n"
    "Until: %(until)s\n\n"
    "If you say nothing by then, that is written down, and a decision follows without your view.\n"
)


def receipt(
    recipients: dict[str, str],
    submission: Submission,
    version: Version,
    base_url: str,
    exemption: Exemption | None = None,
) -> Iterator[Mail]:
    """The mails that tell each recipient (address and language), once, that this version was received.

    They say so where an exemption let it in.
    """
    wording = EXCEPTIONAL_TEXT if exemption else RECEIVED_TEXT
    closes_at = exemption.until if exemption else submission.call.closes_at
    for email, language in {address.lower(): language for address, language in recipients.items()}.items():
        values = {
            "reference": submission.reference,
            "number": version.number,
            "received": brussels_and_utc(version.received_at, language, seconds=True),
            "digest": version.payload_sha256,
            "closes": brussels_and_utc(closes_at, language),
            "link": f"{base_url}/apply/{submission.reference}/receipts/{version.number}",
        }
        subject, body = (translate(language, text, **values) for text in (RECEIVED_SUBJECT, wording))
        yield Mail(email, subject, body)


def withdrawn(db: Session, email: str, submission: Submission, withdrawal: Withdrawal, base_url: str) -> None:
    """Confirm a withdrawal."""
    language = known(db, email)[email].language
    values = {
        "reference": submission.reference,
        "at": brussels_and_utc(withdrawal.withdrawn_at, language, seconds=True),
        "closes": brussels_and_utc(submission.call.closes_at, language),
        "link": f"{base_url}/apply/{submission.reference}",
    }
    subject, body = (translate(language, text, **values) for text in (WITHDRAWN_SUBJECT, WITHDRAWN_TEXT))
    outbox.enqueue(db, "withdrawal", email, subject, body, submission.id)


def restored(db: Session, email: str, submission: Submission, base_url: str) -> None:
    """Confirm that a withdrawal was undone."""
    language = known(db, email)[email].language
    values = {"reference": submission.reference, "link": f"{base_url}/apply/{submission.reference}"}
    subject, body = (translate(language, text, **values) for text in (RESTORED_SUBJECT, RESTORED_TEXT))
    outbox.enqueue(db, "restoration", email, subject, body, submission.id)


def sealed(db: Session, call: Call, seal: dict[str, Any], contact: str | None, base_url: str) -> None:
    """Tell RVO's coordinators, and EuroHPC's contact if there is one, what was sealed."""
    staff = db.scalars(select(Person.email).where(Person.staff_role.in_(("coordinator", "admin"))))
    for email, of in sorted(known(db, *{*staff, *filter(None, [contact])}).items()):
        language = of.language
        values = {
            "call": call.code,
            "closes": brussels_and_utc(call.closes_at, language),
            "sealed": brussels_and_utc(datetime.fromisoformat(seal["sealed_at"]), language, seconds=True),
            "count": seal["count"],
            "withdrawn": seal["withdrawn"],
            "late": seal["late_attempts"],
            "root": seal["root"],
            "link": f"{base_url}/calls/{call.code}/seal",
        }
        subject, body = (translate(language, words, **values) for words in (SEALED_SUBJECT, SEALED_TEXT))
        outbox.enqueue(db, "seal", email, subject, body)


def audience(db: Session, call: Call) -> list[Person]:
    """Everybody with a draft or a submission in a call: members of those organisations and who takes part, each once, by address."""
    concerned = select(Submission.organisation_id).where(Submission.call_id == call.id)
    members = select(Membership.person_id).where(
        Membership.organisation_id.in_(concerned), Membership.ended_at.is_(None)
    )
    invited = participations.people(*participations.ROLES).join(Submission).where(Submission.call_id == call.id)
    is_there = or_(Person.id.in_(members), Person.id.in_(invited))
    return list(db.scalars(select(Person).where(is_there).order_by(Person.email)))


def deadline_moved(db: Session, call: Call, change: DeadlineChange, base_url: str) -> int:
    """Tell everybody concerned, in their language, that the deadline moved and why; how many there are."""
    people = audience(db, call)
    words = {language: _deadline_words(call, change, base_url, language) for language in {p.language for p in people}}
    outbox.enqueue_all(db, "deadline", [Mail(p.email, *words[p.language]) for p in people], change.id)
    return len(people)


def _deadline_words(call: Call, change: DeadlineChange, base_url: str, language: str) -> tuple[str, str]:
    """Subject and text, the same for everybody: made once, as the call's row is locked meanwhile."""
    title: dict[str, str] = call.definition.body["title"]
    values = {
        "title": title[language],
        "call": call.code,
        "old": brussels_and_utc(change.closes_from, language),
        "new": brussels_and_utc(change.closes_to, language),
        "reason": change.reason[language],
        "link": f"{base_url}/calls/{call.code}",
    }
    return translate(language, DEADLINE_SUBJECT, **values), translate(language, DEADLINE_TEXT, **values)


def exempted(db: Session, submission: Submission, exemption: Exemption, base_url: str) -> None:
    """Tell the members of the organisation that they, and they alone, may still submit."""
    members = select(Membership.person_id).where(
        Membership.organisation_id == submission.organisation_id, Membership.ended_at.is_(None)
    )
    for person in db.scalars(select(Person).where(Person.id.in_(members)).order_by(Person.email)):
        values = {
            "organisation": submission.organisation.name,
            "reference": submission.reference,
            "until": brussels_and_utc(exemption.until, person.language),
            "link": f"{base_url}/apply/{submission.reference}",
        }
        subject, body = (translate(person.language, words, **values) for words in (EXEMPTED_SUBJECT, EXEMPTED_TEXT))
        outbox.enqueue(db, "exemption", person.email, subject, body, submission.id)


def reported(db: Session, email: str, ticket: Ticket, base_url: str) -> None:
    """Confirm that a problem was reported. What was said stays out of the mail."""
    subject, body = _of_ticket(db, email, ticket, base_url, (REPORTED_SUBJECT, REPORTED_TEXT))
    outbox.enqueue(db, "ticket", email, subject, body, ticket.submission_id)


def answered(db: Session, email: str, ticket: Ticket, base_url: str) -> None:
    """Send the answer to a problem to the one who reported it."""
    subject, body = _of_ticket(db, email, ticket, base_url, (ANSWERED_SUBJECT, ANSWERED_TEXT))
    outbox.enqueue(db, "answer", email, subject, body, ticket.submission_id)


def _of_ticket(db: Session, email: str, ticket: Ticket, base_url: str, words: tuple[str, str]) -> tuple[str, str]:
    language = known(db, email)[email].language
    values = {
        "reference": ticket.reference,
        "at": brussels_and_utc(ticket.at, language, seconds=True),
        "answer": ticket.answer,
        "link": f"{base_url}/problems/{ticket.reference}",
    }
    subject, body = (translate(language, text, **values) for text in words)
    return subject, body


def view_asked(
    db: Session, addresses: set[str], submission: Submission, number: int, until: datetime, base_url: str
) -> None:
    """Ask each address for the submitter's view on a request to disclose."""
    for email, of in sorted(known(db, *addresses).items()):
        values = {
            "reference": submission.reference,
            "until": to_the_end(until, of.language),
            "link": f"{base_url}/apply/{submission.reference}/disclosures/{number}",
        }
        subject, body = (translate(of.language, words, **values) for words in (VIEW_SUBJECT, VIEW_TEXT))
        outbox.enqueue(db, "view", email, subject, body, submission.id)
