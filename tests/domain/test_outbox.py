"""The outbox over a real mail server: what was committed is sent once, later if it must be, and giving up is seen."""

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from email.message import EmailMessage

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.background import Background
from app.deps import Portal
from app.domain import calls, outbox
from app.infra.mailer import Mailer
from app.models import OutboxMessage
from tests import make, sink

SENDER = "noreply@eoi.example"
SignIn = Callable[..., str]


def to(got: sink.Sink) -> Mailer:
    return Mailer.from_url(f"smtp://127.0.0.1:{got.port}")


def queue(db: Session, recipient: str = "lead@firm.example", purpose: str = "receipt") -> OutboxMessage:
    outbox.enqueue(db, purpose, recipient, "Received", "Your link")
    db.flush()
    return db.scalars(select(OutboxMessage).where(OutboxMessage.recipient == recipient)).one()


def make_due(db: Session) -> None:
    """Let the time of the next try have come."""
    db.execute(update(OutboxMessage).values(next_attempt_at=func.clock_timestamp() - timedelta(seconds=1)))
    db.expire_all()


def deliver(db: Session, got: sink.Sink) -> int:
    taken = outbox.deliver_due(db, to(got), SENDER)
    db.flush()
    db.expire_all()
    return taken


def test_what_is_queued_arrives_once_and_a_sign_in_link_is_not_kept(db: Session) -> None:
    receipt, link = queue(db), queue(db, "new@firm.example", outbox.SIGN_IN)
    with sink.listening() as got:
        assert [deliver(db, got), deliver(db, got)] == [2, 0]
    assert sorted(got.recipients) == ["lead@firm.example", "new@firm.example"]
    assert {(m["From"], m["Subject"], m["Auto-Submitted"]) for m in got.mails} == {
        (SENDER, "Received", "auto-generated")
    }
    assert len({m["Message-ID"] for m in got.mails}) == 2
    assert [m.get_content().strip() for m in got.mails] == ["Your link"] * 2
    assert (receipt.text, link.text) == ("Your link", "")
    assert all(m.sent_at and m.attempts == 1 and m.last_error is None for m in (receipt, link))


def test_a_server_that_says_later_is_tried_again_after_longer_and_longer(db: Session) -> None:
    message = queue(db)
    waits = []
    with sink.listening("451 4.7.1 try again later") as got:
        for _ in range(outbox.MAX_ATTEMPTS - 1):
            make_due(db)
            before = calls.clock(db)
            assert deliver(db, got) == 1
            waits.append(round((message.next_attempt_at - before).total_seconds(), -1))
            assert deliver(db, got) == 0  # not yet
        assert waits == [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]
        assert "451" in (message.last_error or "")
        got.refusal = ""
        make_due(db)
        assert deliver(db, got) == 1
    assert got.recipients == ["lead@firm.example"]
    assert (message.attempts, message.failed_at, message.last_error) == (outbox.MAX_ATTEMPTS, None, None)


def test_one_refused_recipient_keeps_nobody_else_waiting(db: Session) -> None:
    refused, welcome = queue(db, "nobody@firm.example"), queue(db, "welcome@firm.example")
    with sink.listening("550 no such user") as got:
        assert deliver(db, got) == 2
    assert got.recipients == ["welcome@firm.example"]
    assert (refused.sent_at, welcome.sent_at is not None) == (None, True)


def test_an_address_that_is_none_is_an_error_of_its_mail_and_no_header_comes_in_by_it(db: Session) -> None:
    odd, good = queue(db, "a@b.example\nBcc: evil@x.example"), queue(db)
    with sink.listening() as got:
        assert deliver(db, got) == 2
    assert got.recipients == ["lead@firm.example"]
    assert (odd.sent_at, odd.attempts, good.sent_at is not None) == (None, 1, True)


def test_a_server_that_is_away_is_tried_again(db: Session) -> None:
    message = queue(db)
    with sink.listening() as got:
        pass
    assert deliver(db, got) == 1
    assert (message.attempts, message.sent_at, (message.last_error or "")[:22]) == (1, None, "ConnectionRefusedError")


def test_giving_up_is_seen_and_a_coordinator_sends_it_again(client: TestClient, db: Session, sign_in: SignIn) -> None:
    make.person(db, "jo@rvo.example", staff="coordinator")
    token = sign_in(client, "jo@rvo.example")
    message = queue(db)
    here = f"/manage/mail/{message.id}/retry"
    with sink.listening("451 4.7.1 try again later") as got:
        for _ in range(outbox.MAX_ATTEMPTS):
            assert message.failed_at is None
            make_due(db)
            deliver(db, got)
        make_due(db)
        assert (message.attempts, message.failed_at is not None, deliver(db, got)) == (outbox.MAX_ATTEMPTS, True, 0)
        page = client.get("/manage/mail?state=failed").text
        assert re.findall(r'action="([^"]+/retry)"', page) == [here]
        assert "451" in page
        got.refusal = ""
        assert client.post(here, data={"csrf_token": token}).status_code == 303
        db.expire_all()
        assert deliver(db, got) == 1
    assert got.recipients == ["lead@firm.example"]
    assert client.post(here, data={"csrf_token": token}).status_code == 404  # it was sent
    assert "451" not in client.get("/manage/mail").text


class Held:
    """A real mailer that waits before its first mail until it is let go; so a worker stands with its rows locked."""

    def __init__(self, mailer: Mailer) -> None:
        self.mailer, self.reached, self.release = mailer, threading.Event(), threading.Event()

    def send(self, message: EmailMessage) -> None:
        self.reached.set()
        assert self.release.wait(30)
        self.mailer.send(message)


@pytest.mark.committed
def test_two_workers_at_once_never_send_the_same_mail(committed_portal: Portal) -> None:
    everybody = {f"n{i}@firm.example" for i in range(outbox.BATCH + 7)}
    with committed_portal.sessions.begin() as db:
        for address in everybody:
            outbox.enqueue(db, "receipt", address, "Received", "text")
    with sink.listening() as got, ThreadPoolExecutor(1) as pool:
        held = Held(to(got))

        def first() -> int:
            with committed_portal.sessions.begin() as db:
                return outbox.deliver_due(db, held, SENDER)

        working = pool.submit(first)
        assert held.reached.wait(30)
        with committed_portal.sessions.begin() as db:
            second = outbox.deliver_due(db, to(got), SENDER)
        held.release.set()
        assert (working.result(30), second) == (outbox.BATCH, 7)
    assert sorted(got.recipients) == sorted(everybody)


@pytest.mark.committed
def test_a_mail_leaves_as_soon_as_its_transaction_commits_and_never_when_it_does_not(committed_portal: Portal) -> None:
    with sink.listening() as got:
        worker = Background(replace(committed_portal, mailer=to(got)))
        worker.start()
        with committed_portal.sessions() as db:
            outbox.enqueue(db, "receipt", "never@firm.example", "Received", "text")
            db.rollback()
        with committed_portal.sessions.begin() as db:
            outbox.enqueue(db, "receipt", "lead@firm.example", "Received", "text")
        assert got.arrived.wait(30)
        worker.stop()
    assert got.recipients == ["lead@firm.example"]
    with committed_portal.engine.connect() as connection:
        assert connection.execute(text("select count(*) from message where sent_at is null")).scalar_one() == 0
