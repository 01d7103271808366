"""The bell: one connection a process that listens to the database and wakes whoever waits for what was committed.

Waiting costs a task, not a connection or a thread. Who waits looks again by themselves every few seconds too, so that a
connection that was lost, or a pooler that does not pass notifications on, makes the news late and never lost.
"""

import asyncio
import logging
from contextlib import suppress

import psycopg
from sqlalchemy import URL

CHANNEL = "feed"
LOOK_AGAIN = 5.0  # seconds after which who waits looks by themselves
RECONNECT = 1.0  # seconds

log = logging.getLogger(__name__)


class Bell:
    """Rings for a name when the database notifies of it. Until it is started, and once it is silenced, nobody waits."""

    def __init__(self, url: URL) -> None:
        self.conninfo = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self.loop: asyncio.AbstractEventLoop | None = None
        self.task: asyncio.Task[None] | None = None
        self.waiting: dict[str, asyncio.Event] = {}

    async def start(self) -> None:
        """Begin to listen, in the event loop of the server."""
        self.loop = asyncio.get_running_loop()
        self.task = asyncio.create_task(self._listen())

    async def stop(self) -> None:
        """Let everybody go and give the connection back."""
        self._let_go()
        if self.task is not None:
            self.task.cancel()
            with suppress(asyncio.CancelledError):
                await self.task
            self.task = None

    def silence(self) -> None:
        """Let everybody go, now and from now on. May be called from a signal handler or another thread."""
        if self.loop is not None:
            with suppress(RuntimeError):  # the loop has ended already
                self.loop.call_soon_threadsafe(self._let_go)

    def _let_go(self) -> None:
        self.loop = None
        self._ring_all()

    def ticket(self, name: str) -> asyncio.Event:
        """Taken before one looks, so that nothing is missed between looking and waiting."""
        return self.waiting.setdefault(name, asyncio.Event())

    async def wait(self, ticket: asyncio.Event, seconds: float) -> bool:
        """Wait until it rings, or for so long, or until it is time to look again. False when nobody may wait any more."""
        if self.loop is None or seconds <= 0:
            return False
        with suppress(TimeoutError):
            await asyncio.wait_for(ticket.wait(), min(seconds, LOOK_AGAIN))
        return True

    def ring(self, name: str) -> None:
        """Wake who waits for a name."""
        if (ticket := self.waiting.pop(name, None)) is not None:
            ticket.set()

    def _ring_all(self) -> None:
        for name in list(self.waiting):
            self.ring(name)

    async def _listen(self) -> None:
        while True:
            try:
                made = await psycopg.AsyncConnection.connect(
                    self.conninfo,
                    autocommit=True,
                    application_name="eoi-bell",
                    connect_timeout=10,
                    keepalives_idle=30,
                    keepalives_interval=10,
                    keepalives_count=3,
                )
                async with made as connection:
                    await connection.execute(f"listen {CHANNEL}")
                    self._ring_all()  # whatever was committed while nobody listened
                    async for notice in connection.notifies():
                        self.ring(notice.payload)
            except psycopg.Error as failure:
                log.warning("the bell lost the database, trying again: %s", failure)
            await asyncio.sleep(RECONNECT)
