"""Problem tickets: stamped and signed at once, closed once, with mails that nothing waits for."""

import hashlib
from datetime import datetime

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.domain import proofs, tickets
from app.domain.access import ANONYMOUS, Actor
from app.domain.errors import AlreadyAnswered, NotFound, WordsMissing
from app.infra.signing import Signer
from app.models import OutboxMessage, Ticket
from tests import make


def report(
    db: Session, signer: Signer, actor: Actor, submission: str | None = None, words: str = "It hangs."
) -> Ticket:
    """A problem, told from the check page."""
    return tickets.report(db, actor, words, "/apply/x/check", submission, signer, make.ISSUER)


def mails(db: Session, purpose: str) -> list[OutboxMessage]:
    return list(db.scalars(select(OutboxMessage).where(OutboxMessage.purpose == purpose)))


def test_a_ticket_is_signed_with_the_instant_that_the_database_keeps(db: Session, signer: Signer) -> None:
    case, actor = make.submission(db)
    ticket = report(db, signer, actor, case.reference)
    said = tickets.document(ticket)["statement"]
    assert datetime.fromisoformat(said["at"]) == ticket.at
    assert said["submission"] == case.reference
    assert ticket.submission_id == case.id
    assert said["words_sha256"] == hashlib.sha256(b"It hangs.").hexdigest()
    assert "It hangs" not in str(said)
    assert proofs.verify(tickets.document(ticket), signer.jwks()).outcome == "valid"
    changed = tickets.document(ticket) | {"statement": said | {"page": "/elsewhere"}}
    assert proofs.verify(changed, signer.jwks()).outcome == "invalid"


def test_the_confirmation_waits_in_the_outbox_and_holds_nothing_of_what_was_said(db: Session, signer: Signer) -> None:
    ticket = report(db, signer, make.person(db), words="A secret of the firm")
    (mail,) = mails(db, "ticket")
    assert mail.recipient == "lead@firm.example"
    assert f"/problems/{ticket.reference}" in mail.text
    assert "secret" not in mail.text + mail.subject


def test_somebody_not_signed_in_gets_a_ticket_and_no_mail_is_queued(db: Session, signer: Signer) -> None:
    ticket = report(db, signer, ANONYMOUS, "0KQ3V-9XM2T-0000")
    assert (ticket.person_id, ticket.submission_id) == (None, None)
    assert ticket.body["submission"] == "0KQ3V-9XM2T-0000"
    assert mails(db, "ticket") == []
    assert tickets.load(db, ANONYMOUS, ticket.reference.lower()).id == ticket.id


def test_a_ticket_of_a_person_is_for_that_person(db: Session, signer: Signer) -> None:
    mine, other = make.person(db), make.person(db, "other@else.example")
    ticket = report(db, signer, mine)
    assert tickets.load(db, mine, ticket.reference).id == ticket.id
    for stranger in (other, ANONYMOUS):
        with pytest.raises(NotFound):
            tickets.load(db, stranger, ticket.reference)


def test_a_ticket_is_answered_once_and_the_reporter_is_told(db: Session, signer: Signer) -> None:
    desk = make.person(db, "desk@rvo.example", staff="coordinator")
    ticket = report(db, signer, make.person(db))
    with pytest.raises(WordsMissing):
        tickets.answer(db, desk, ticket.reference, "  ", make.ISSUER)
    tickets.answer(db, desk, ticket.reference, "It works again.", make.ISSUER)
    assert ticket.closed_at is not None
    assert (ticket.closed_by, ticket.answer) == (desk.person_id, "It works again.")
    (mail,) = mails(db, "answer")
    assert "It works again." in mail.text
    with pytest.raises(AlreadyAnswered):
        tickets.answer(db, desk, ticket.reference, "No it does not.", make.ISSUER)
    assert ticket.answer == "It works again."
    events = db.execute(text("select name from event where name like 'ticket.%' order by id")).scalars().all()
    assert events == ["ticket.reported", "ticket.closed"]


@pytest.mark.parametrize(
    "change",
    [
        "update ticket set words = 'something else'",
        "update ticket set at = at - interval '1 day'",
        "delete from ticket",
        "truncate ticket",
    ],
)
def test_what_was_reported_is_never_changed(db: Session, signer: Signer, change: str) -> None:
    report(db, signer, make.person(db))
    kept = db.execute(text("select words, at, jws from ticket")).one()
    with pytest.raises(DBAPIError), db.begin_nested():
        db.execute(text(change))
    assert db.execute(text("select words, at, jws from ticket")).one() == kept


def test_those_without_an_answer_come_first(db: Session, signer: Signer) -> None:
    desk = make.person(db, "desk@rvo.example", staff="coordinator")
    first, second, third = (report(db, signer, make.person(db)) for _ in range(3))
    tickets.answer(db, desk, third.reference, "Done.", make.ISSUER)
    assert [t.reference for t, _, _ in tickets.listed(db)] == [second.reference, first.reference, third.reference]
