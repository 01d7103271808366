"""Slow work that must hold nobody up: having files scanned, asking other registers, deleting the files of what was
destroyed, looking who must be reminded.

A thread of its own, as the background work seals calls and must be on time for that.
"""

import logging
import threading
from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from app.deps import Portal
from app.domain import calls, lookups, reminders, scans, sweeping
from app.domain.errors import Throttled
from app.infra.scanner import ScannerAway

log = logging.getLogger(__name__)

AT_ONCE = 20  # files in one round
PAUSE = 2.0  # seconds between two look-ups of one process
REST = timedelta(minutes=10)  # until the next look when there was nothing to do


class Clerk:
    """One thread a process, from its start to its end."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, name="clerk", daemon=True)
        self.is_first = True
        self.rests_until = datetime.min.replace(tzinfo=UTC)

    def start(self) -> None:
        """Begin."""
        self.thread.start()

    def stop(self) -> None:
        """End after what is in hand."""
        self.stopping.set()
        self.thread.join(timeout=10)

    def _run(self) -> None:
        while not self.stopping.wait(PAUSE):
            try:
                sweeping.sweep(self.portal.sessions, self.portal.files)
                self._remind()
                self.look_at_files()
                if self.portal.settings.lookups and self.portal.now() >= self.rests_until:
                    self._look_up()
            except SQLAlchemyError as failure:
                log.warning("slow work lost the database, trying again: %s", failure)
            except Exception:
                log.exception("a round of the slow work failed, trying again")

    def _remind(self) -> None:
        looked = 1
        while looked and not self.stopping.is_set():
            with self.portal.sessions.begin() as db:
                looked = reminders.remind(db, self.portal.settings.base_url)

    def look_at_files(self) -> None:
        """Have the scanner look at files that wait; where it is away they wait on."""
        portal = self.portal
        if portal.scanner is None:
            return
        with portal.sessions.begin() as db:
            if self.is_first:
                scans.shut_away_again(db, portal.files)
            listed = scans.waiting(db, AT_ONCE)
        self.is_first = False
        for sha256 in listed:
            try:
                finding = portal.scanner.scan(portal.files.evidence(sha256))
            except (ScannerAway, FileNotFoundError) as failure:
                log.warning("file %s was not scanned: %s", sha256, failure)
                with portal.sessions.begin() as db:
                    scans.put_off(db, sha256)
                return
            with portal.sessions.begin() as db:
                scans.record(db, portal.files, sha256, finding)

    def _look_up(self) -> None:
        try:
            with self.portal.sessions.begin() as db:
                found = lookups.look_up_next(
                    db, lambda version: calls.questions_of(db, version.definition_digest), self.portal.registers
                )
        except Throttled:
            found = True
        if not found:
            self.rests_until = self.portal.now() + REST
