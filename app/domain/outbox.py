"""Mail that must go out because something was committed: queued in that transaction, sent after it, retried, visible."""

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Protocol

from sqlalchemy import Insert, func, insert, select
from sqlalchemy.orm import Session

from app.models import OutboxMessage

log = logging.getLogger(__name__)

SIGN_IN = "sign_in"
MAX_ATTEMPTS = 12
BATCH = 20
NOT_NEEDED = "not needed any more: submitted meanwhile, or the deadline moved or passed"


@dataclass(frozen=True)
class Mail:
    """One plain-text mail."""

    recipient: str
    subject: str
    text: str


class Sends(Protocol):
    """What can deliver a mail."""

    def send(self, message: EmailMessage) -> None:
        """Deliver, or raise OSError / smtplib.SMTPException."""


Wanted = Callable[[Session, OutboxMessage], bool]


def enqueue(
    db: Session,
    purpose: str,
    recipient: str,
    subject: str,
    body: str,
    submission_id: uuid.UUID | None = None,
    reminder_id: uuid.UUID | None = None,
) -> None:
    """Queue one plain-text mail; it leaves only if this transaction commits, and a reminder only while it is needed."""
    statement = message(purpose, recipient, subject, body, submission_id)
    db.execute(statement.values(reminder_id=reminder_id) if reminder_id else statement)


def enqueue_all(db: Session, purpose: str, mails: list[Mail], deadline_change_id: uuid.UUID) -> None:
    """Queue many mails about a change of a deadline in one statement: a call's row is locked meanwhile."""
    about = {"purpose": purpose, "deadline_change_id": deadline_change_id}
    rows = [{**about, "recipient": mail.recipient, "subject": mail.subject, "text": mail.text} for mail in mails]
    if rows:
        db.execute(insert(OutboxMessage), rows)


def enqueue_each(db: Session, purpose: str, mails: list[tuple[uuid.UUID, Mail]]) -> None:
    """Queue many mails, each about a case of its own, in one statement."""
    rows = [
        {
            "purpose": purpose,
            "recipient": mail.recipient,
            "subject": mail.subject,
            "text": mail.text,
            "submission_id": of,
        }
        for of, mail in mails
    ]
    if rows:
        db.execute(insert(OutboxMessage), rows)


def message(purpose: str, recipient: str, subject: str, body: str, submission_id: uuid.UUID | None = None) -> Insert:
    """The statement that queues one plain-text mail."""
    values = {"purpose": purpose, "recipient": recipient, "subject": subject, "text": body}
    return insert(OutboxMessage).values(**values, submission_id=submission_id)


def _always(db: Session, message: OutboxMessage) -> bool:
    return True


def deliver_due(db: Session, mailer: Sends, sender: str, is_wanted: Wanted = _always) -> int:
    """Send what is due, each row locked so that no two workers send the same; returns how many were taken up.

    A mail that `is_wanted` turns down is given up.
    """
    due = db.scalars(
        select(OutboxMessage)
        .where(
            OutboxMessage.sent_at.is_(None),
            OutboxMessage.failed_at.is_(None),
            OutboxMessage.next_attempt_at <= func.clock_timestamp(),
        )
        .order_by(OutboxMessage.next_attempt_at)
        .limit(BATCH)
        .with_for_update(skip_locked=True)
    ).all()
    for message in due:
        if is_wanted(db, message):
            _deliver(message, mailer.send, sender)
        else:
            message.failed_at, message.last_error = func.clock_timestamp(), NOT_NEEDED
    return len(due)


def _deliver(message: OutboxMessage, send: Callable[[EmailMessage], None], sender: str) -> None:
    message.attempts += 1
    try:
        send(_as_mail(message, sender))
    except (OSError, ValueError) as failure:  # smtplib's exceptions are OSErrors
        message.last_error = f"{type(failure).__name__}: {failure}"[:500]
        log.warning("mail %s failed for the %d. time: %s", message.id, message.attempts, message.last_error)
        if message.attempts >= MAX_ATTEMPTS:
            message.failed_at = func.clock_timestamp()
        else:
            message.next_attempt_at = func.clock_timestamp() + timedelta(seconds=min(5 * 2**message.attempts, 3600))
    else:
        message.sent_at = func.clock_timestamp()
        if message.purpose == SIGN_IN:
            message.text = ""  # a link that lets somebody in is not kept
        message.last_error = None


def _as_mail(message: OutboxMessage, sender: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = message.recipient
    mail["Subject"] = message.subject
    mail["Date"] = formatdate(usegmt=True)
    mail["Message-ID"] = make_msgid(idstring=str(message.id), domain=sender.rpartition("@")[2].strip("> "))
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text)
    return mail
