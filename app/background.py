"""What a server process does beside answering: seal what has closed, prepare its register, chain the audit trail, send mail, measure the clock."""

import logging
import threading
import time
from datetime import UTC, datetime, timedelta

import psycopg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from app.deps import Portal
from app.domain import calls, entries, grants, heads, notices, outbox, reminders, seals, throttle, usage
from app.domain.errors import CallSealed, refusal_of
from app.infra import clock

log = logging.getLogger(__name__)

IDLE = 1.0  # seconds between rounds; NOTIFY would be quicker, but commits that notify wait for one another
MOMENT = 0.05  # seconds after a cutoff at which its seal is tried
SOME = 5.0  # seconds
SWEEP = timedelta(hours=1)


class Background:
    """One thread a process. It makes its round each second, and stops when told to."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, name="background", daemon=True)
        self.swept_at = datetime.min.replace(tzinfo=UTC)

    def start(self) -> None:
        """Begin; the clock is measured before this returns, so that the first page shows the database's time.

        While the database is away it begins all the same: a worker that ended here would end the whole server.
        """
        try:
            measure_clock(self.portal)
        except SQLAlchemyError as failure:
            log.warning("the database is away at the start, trying again: %s", failure)
        self.thread.start()

    def stop(self) -> None:
        """Finish the mail in hand, write down what keys asked for, and end."""
        self.stopping.set()
        self.thread.join(timeout=10)
        try:
            self.portal.meter.flush(self.portal.sessions, self.portal.now())
        except SQLAlchemyError as failure:
            log.warning("what keys asked for last was not written down: %s", failure)

    def _run(self) -> None:
        while not self.stopping.is_set():
            try:
                self._work()
                self.stopping.wait(self._pause())
            except SQLAlchemyError as failure:
                log.warning("background work lost the database, trying again: %s", failure)
                self.stopping.wait(1)
            except Exception:  # a fault of ours: the next round must come all the same, as nothing else seals
                log.exception("a round of the background work failed, trying again")
                self.stopping.wait(1)

    def _pause(self) -> float:
        """Seconds until the next round: until a call closes, where that is soon."""
        with self.portal.sessions.begin() as db:
            closes_at = calls.next_to_close(db)
            left = (closes_at - calls.clock(db)).total_seconds() + MOMENT if closes_at else IDLE
        return max(0, min(left, IDLE))

    def _work(self) -> None:
        measure_clock(self.portal)
        seal_due(self.portal)
        write_letters(self.portal)
        prepare_registers(self.portal)
        self.portal.meter.flush(self.portal.sessions, self.portal.now())
        signer, issuer = self.portal.signer, self.portal.settings.base_url
        with self.portal.sessions.begin() as db:
            heads.link(db)
            heads.publish_daily(db, signer, issuer)
        while not self.stopping.is_set():
            with self.portal.sessions.begin() as db:
                sender = self.portal.settings.mail_sender
                sent = outbox.deliver_due(db, self.portal.mailer, sender, reminders.is_wanted)
            if not sent or self.portal.waiting:  # while people wait for a receipt, one batch of mails a round
                break
        if self.portal.now() - self.swept_at > SWEEP:
            with self.portal.sessions.begin() as db:
                throttle.sweep(db)
                usage.sweep(db)
                grants.sweep(db)
                notices.sweep(db)
            self.swept_at = self.portal.now()


def seal_due(portal: Portal) -> list[str]:
    """Seal every call that has closed, however many processes try; the codes of those that have a seal now.

    Where sessions hold a call's lock beyond the seal's patience they are ended, and the next round seals.
    """
    setting = seals.Setting(portal.settings.base_url, clock.chrony(), portal.settings.eurohpc_contact)
    with portal.sessions.begin() as db:
        codes = [call.code for call in seals.due(db)]
    sealed = []
    for code in codes:
        try:
            with portal.sessions.begin() as db:
                call = calls.by_code(db, code)
                if not seals.claim(db, call):
                    continue
                seals.seal(db, call, portal.signer, setting)
            sealed.append(code)
            log.info("call %s is sealed", code)
        except DBAPIError as failure:
            if isinstance(failure.orig, psycopg.errors.LockNotAvailable):
                with portal.sessions.begin() as db:
                    log.warning("call %s: ended %d sessions that held its lock", code, seals.end_holders(db))
            elif not isinstance(refusal_of(failure), CallSealed):  # sealed by another process meanwhile
                raise
    return sealed


def write_letters(portal: Portal) -> None:
    """Write the letters about what was sealed, some at a time and for some seconds: sealing may not wait for them."""
    until = time.monotonic() + SOME
    while time.monotonic() < until:
        with portal.sessions.begin() as db:
            if not seals.write_letters(db, portal.settings.base_url):
                break


def prepare_registers(portal: Portal) -> None:
    """Prepare the registers of sealed calls, step by step, for some seconds at a time: sealing may not wait for it."""
    until = time.monotonic() + SOME
    with portal.sessions.begin() as db:
        codes = [call.code for call in entries.due(db)]
    for code in codes:
        while time.monotonic() < until:
            with portal.sessions.begin() as db:
                call = calls.by_code(db, code)
                if not entries.turn(db, call) or entries.prepare(db, call):
                    break


def measure_clock(portal: Portal) -> None:
    """Take the difference between the database's clock and this host's, halving the round trip."""
    with portal.sessions.begin() as db:
        db.connection()  # connected before the watch starts
        before, started = datetime.now(UTC), time.monotonic()
        theirs = calls.clock(db)
        portal.clock_offset = theirs - before - timedelta(seconds=(time.monotonic() - started) / 2)
