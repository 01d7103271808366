"""What sends notices to webhooks: a thread of its own, beside the background work, so that a slow address never delays a seal."""

import logging
import threading
import uuid

from sqlalchemy.exc import SQLAlchemyError

from app.deps import Portal
from app.domain import notices
from app.infra.poster import Poster, PostFailed, PostRefused

log = logging.getLogger(__name__)

AT_ONCE = 4  # notices under way, in each process
PAUSE = 1.0  # seconds between looks
ERROR_LENGTH = 300


class Courier:
    """One thread a process that claims notices, and a few that send them."""

    def __init__(self, portal: Portal) -> None:
        self.portal = portal
        settings = portal.settings
        self.poster = Poster(settings.webhook_networks, may_be_plain=settings.demo)
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, name="courier", daemon=True)
        self.lock = threading.Lock()
        self.under_way: set[uuid.UUID] = set()

    def start(self) -> None:
        """Begin."""
        self.thread.start()

    def stop(self) -> None:
        """Claim nothing more. What is under way is sent again by another process when its minute has passed."""
        self.stopping.set()
        self.thread.join(timeout=5)

    def _run(self) -> None:
        while not self.stopping.is_set():
            try:
                for letter in self.claim():
                    threading.Thread(target=self.send, args=(letter,), name="courier sends", daemon=True).start()
            except SQLAlchemyError as failure:
                log.warning("the courier lost the database, trying again: %s", failure)
            except Exception:  # a fault of ours: the next round must come all the same
                log.exception("a round of the courier failed, trying again")
            self.stopping.wait(PAUSE)

    def claim(self) -> list[notices.Letter]:
        """What is due, for as many senders as are free; nothing more to an address that has not answered yet."""
        with self.lock:
            busy = set(self.under_way)
        if len(busy) >= AT_ONCE:
            return []
        with self.portal.sessions.begin() as db:
            letters = notices.claim(db, self.portal.root_key, AT_ONCE - len(busy), busy)
        with self.lock:
            self.under_way |= {letter.webhook_id for letter in letters}
        return letters

    def send(self, letter: notices.Letter) -> None:
        """Send one notice and write down how that ended."""
        try:
            outcome = self._posted(letter)
            with self.portal.sessions.begin() as db:
                notices.settle(db, letter, outcome)
        except SQLAlchemyError as failure:  # its minute passes, and it is sent again under the same id
            log.warning("a notice was sent and could not be written down: %s", failure)
        finally:
            with self.lock:
                self.under_way.discard(letter.webhook_id)

    def _posted(self, letter: notices.Letter) -> notices.Outcome:
        try:
            return notices.Outcome(self.poster.post(letter.url, letter.body, letter.headers))
        except (PostRefused, PostFailed) as failure:
            log.warning("notice %s was not taken: %s", letter.notice_id, failure)
            return notices.Outcome(None, str(failure)[:ERROR_LENGTH])
        except Exception as failure:  # a fault of ours is one of the attempts, else it would be tried without end
            log.exception("notice %s could not be sent", letter.notice_id)
            return notices.Outcome(None, type(failure).__name__)
