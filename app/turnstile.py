"""The turnstile: presses on submit go through a few at a time and in order of arrival, so that nobody waits far longer
than others. Many at once only wait for each other inside, for the interpreter and for the lock of the call.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from app.deps import Portal
from app.domain.errors import TooLarge

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SUBMIT = re.compile(r"/apply/[^/]+/receipts")
PLACES = 4  # a process
SMALL = 64 * 1024  # bytes; a press sends a few hundred


class Turnstile:
    """Lets a press in once it has arrived whole, so that a slow network holds no place, and out with its answer."""

    def __init__(self, app: Any, portal: Portal) -> None:
        self.app = app
        self.portal = portal
        self.places = asyncio.Semaphore(PLACES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not SUBMIT.fullmatch(scope["path"]):
            await self.app(scope, receive, send)
            return
        arrived: list[Message] = []
        with suppress(TooLarge):  # the body refuses again when it is read on inside
            while sum(len(part.get("body", b"")) for part in arrived) < SMALL:
                arrived.append(await receive())
                if not arrived[-1].get("more_body"):
                    break
        arrived.reverse()

        async def again() -> Message:
            return arrived.pop() if arrived else await receive()

        self.portal.waiting += 1
        try:
            await self.places.acquire()
        finally:
            self.portal.waiting -= 1
        is_inside = True

        async def leaving(message: Message) -> None:
            nonlocal is_inside
            if is_inside:
                is_inside = False
                self.places.release()
            await send(message)

        try:
            await self.app(scope, again, leaving)
        finally:
            if is_inside:
                self.places.release()
