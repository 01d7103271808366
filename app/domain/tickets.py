"""Problem tickets: somebody says what went wrong, and has a stamped, signed proof of it at once; the desk answers once."""

import hashlib
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.domain import audit, calls, mails, references, statements
from app.domain.access import Actor
from app.domain.errors import AlreadyAnswered, NotFound, WordsMissing
from app.infra import times
from app.infra.signing import Signer
from app.models import Person, Submission, Ticket

WORDS_LENGTH = 5000
PAGE_LENGTH = 300
LISTED = 200


def report(
    db: Session, actor: Actor, words: str, page: str, submission: str | None, signer: Signer, issuer: str
) -> Ticket:
    """Take a problem in and sign for it. `submission` is a reference as the reporter gives it; whose it is, is not asked.

    The mail that confirms it waits in the outbox, and nothing waits for the mail.
    """
    if not (words := words.strip()[:WORDS_LENGTH]):
        raise WordsMissing
    now = calls.clock(db)
    case = db.scalar(select(Submission).where(Submission.reference == submission)) if submission else None
    body = {
        "format": statements.TICKET,
        "issuer": issuer,
        "reference": references.new(now),
        "at": times.iso(now),
        "reported_local": times.brussels(now, "en", seconds=True),
        "page": page[:PAGE_LENGTH],
        "submission": submission,
        "words_sha256": hashlib.sha256(words.encode()).hexdigest(),
    }
    ticket = Ticket(
        reference=body["reference"],
        at=now,
        person_id=actor.person_id,
        submission_id=case.id if case else None,
        page=body["page"],
        words=words,
        body=body,
        jws=statements.sign(signer, body),
    )
    db.add(ticket)
    db.flush()
    audit.record(db, actor, "ticket.reported", case, ticket=ticket.reference)
    if actor.email:
        mails.reported(db, actor.email, ticket, issuer)
    return ticket


def load(db: Session, actor: Actor, reference: str) -> Ticket:
    """A ticket for the one who reported it; one that nobody signed for is for anybody who knows its reference.

    NotFound otherwise.
    """
    wanted = references.normalised(reference)
    ticket = db.scalar(select(Ticket).where(Ticket.reference == wanted)) if wanted else None
    if ticket is None or ticket.person_id not in (None, actor.person_id):
        raise NotFound
    return ticket


def listed(db: Session) -> list[tuple[Ticket, str | None, str | None]]:
    """The tickets, those without an answer first, then the latest: (ticket, who reported it, submission's reference)."""
    rows = db.execute(
        select(Ticket, Person.email, Submission.reference)
        .outerjoin(Person, Person.id == Ticket.person_id)
        .outerjoin(Submission, Submission.id == Ticket.submission_id)
        .order_by(Ticket.closed_at.is_not(None), Ticket.at.desc(), Ticket.id)
        .limit(LISTED)
    )
    return [(ticket, email, reference) for ticket, email, reference in rows]


def answer(db: Session, actor: Actor, reference: str, words: str, issuer: str) -> Ticket:
    """Close a ticket with an answer, once, and mail it to the reporter where there is an address."""
    if not (words := words.strip()[:WORDS_LENGTH]):
        raise WordsMissing
    ticket = db.scalar(select(Ticket).where(Ticket.reference == reference).with_for_update())
    if ticket is None:
        raise NotFound
    if ticket.closed_at is not None:
        raise AlreadyAnswered
    db.execute(
        update(Ticket)
        .where(Ticket.id == ticket.id)
        .values(answer=words, closed_by=actor.person_id)
        .execution_options(synchronize_session=False)
    )
    db.refresh(ticket)
    case = db.get(Submission, ticket.submission_id) if ticket.submission_id else None
    audit.record(db, actor, "ticket.closed", case, ticket=ticket.reference)
    reporter = db.get(Person, ticket.person_id) if ticket.person_id else None
    if reporter is not None:
        mails.answered(db, reporter.email, ticket, issuer)
    return ticket


def document(ticket: Ticket) -> dict[str, Any]:
    """The signed ticket as it is handed out."""
    return statements.document(ticket.body, ticket.jws)
