"""What a server process watches: whether it could take a submit, minute by minute; and what it could not write down.

A thread of its own, beside the background work: a mail server that hangs or a seal that waits must not look like an outage.
"""

import logging
import threading
from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from app.deps import Portal
from app.domain import availability, maintenance, refusals

log = logging.getLogger(__name__)

PAUSE = 5.0  # seconds between looks
THIN = timedelta(hours=1)


class Watchman:
    """One thread a process, from its start to its end."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self.thinned_at = datetime.min.replace(tzinfo=UTC)

    def start(self) -> None:
        """Begin. The minute at hand was not served from its beginning."""
        self.portal.watch.see(self.portal.now(), {availability.STARTING: False})
        self.thread.start()

    def stop(self) -> None:
        """Note the minute at hand as one that was not served to its end, and stop."""
        self.stopping.set()
        self.thread.join(timeout=10)
        self.portal.watch.see(self.portal.now(), {availability.STOPPING: False})
        self.portal.watch.close()
        write_down(self.portal)

    def _run(self) -> None:
        while not self.stopping.is_set():
            self.portal.watch.see(self.portal.now(), self.portal.checks())
            if write_down(self.portal) and self.portal.now() - self.thinned_at > THIN:
                with self.portal.sessions.begin() as db:
                    availability.thin(db)
                self.thinned_at = self.portal.now()
            look_ahead(self.portal)
            self.stopping.wait(PAUSE)


def write_down(portal: Portal) -> bool:
    """Note the minutes and the presses on submit that wait; False where the database is away, and they go on waiting."""
    try:
        availability.note(portal.watch, portal.sessions)
        if waiting := list(portal.presses):
            with portal.sessions.begin() as db:
                refusals.write_late(db, waiting, portal.signer, portal.settings.base_url)
            for _ in waiting:
                portal.presses.popleft()
    except SQLAlchemyError as failure:
        log.warning("what was seen waits for the database: %s", failure)
        return False
    return True


def look_ahead(portal: Portal) -> None:
    """Read what maintenance is announced; while the database is away, as it may then be, what was read before stands."""
    try:
        with portal.sessions.begin() as db:
            portal.announced = maintenance.windows(db, portal.now())
    except SQLAlchemyError as failure:
        log.warning("what is announced cannot be read: %s", failure)
