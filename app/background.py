"""What a server process does beside answering: send the outbox, measure the database's clock, forget old counters."""

import logging
import threading
import time
from datetime import UTC, datetime, timedelta

import psycopg
from sqlalchemy.exc import SQLAlchemyError

from app.deps import Portal
from app.domain import calls, outbox, throttle

log = logging.getLogger(__name__)

IDLE = 5.0  # seconds between looks at the outbox when nothing was announced
SWEEP = timedelta(hours=1)


class Background:
    """One thread a process. It wakes when mail is queued, and stops when told to."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, name="background", daemon=True)
        self.swept_at = datetime.min.replace(tzinfo=UTC)

    def start(self) -> None:
        """Begin; the clock is measured before this returns, so that the first page shows the database's time."""
        measure_clock(self.portal)
        self.thread.start()

    def stop(self) -> None:
        """Finish the mail in hand and end."""
        self.stopping.set()
        self.thread.join(timeout=10)

    def _run(self) -> None:
        while not self.stopping.is_set():
            try:
                self._listen()
            except (psycopg.Error, SQLAlchemyError) as failure:
                log.warning("background work lost the database, trying again: %s", failure)
                self.stopping.wait(1)

    def _listen(self) -> None:
        with self.portal.engine.connect() as held:
            held = held.execution_options(isolation_level="AUTOCOMMIT")
            raw = held.connection.driver_connection
            if not isinstance(raw, psycopg.Connection):
                raise TypeError("the outbox listens through psycopg")
            raw.execute(f"listen {outbox.CHANNEL}")
            while not self.stopping.is_set():
                self._work()
                for _ in raw.notifies(timeout=IDLE if not self.stopping.is_set() else 0, stop_after=1):
                    break

    def _work(self) -> None:
        measure_clock(self.portal)
        while not self.stopping.is_set():
            with self.portal.sessions.begin() as db:
                if not outbox.deliver_due(db, self.portal.mailer, self.portal.settings.mail_sender):
                    break
        if self.portal.now() - self.swept_at > SWEEP:
            with self.portal.sessions.begin() as db:
                throttle.sweep(db)
            self.swept_at = self.portal.now()


def measure_clock(portal: Portal) -> None:
    """Take the difference between the database's clock and this host's, halving the round trip."""
    with portal.sessions.begin() as db:
        db.connection()  # connected before the watch starts
        before, started = datetime.now(UTC), time.monotonic()
        theirs = calls.clock(db)
        portal.clock_offset = theirs - before - timedelta(seconds=(time.monotonic() - started) / 2)
