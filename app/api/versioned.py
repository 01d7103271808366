"""Which version of the API this is, how long it is kept as it is, and the header that says so on each answer."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

VERSION = "1.2.0"
SUPPORTED_UNTIL = "2029-12-31"
SUPPORT = (
    f"Version {VERSION}, as each answer says in `API-Version`. Within version 1 there are only additions: new routes, new members, new "
    f"values of a code list. It is kept until {SUPPORTED_UNTIL} at least, and a year beyond the day on which a successor is announced; "
    "from then on each answer tells so in `Deprecation` and `Sunset`. What was changed when: docs/api-changes.md. The codes in documents have their words at `/codes`."
)

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]


class Versioned:
    """Adds the header to each answer, refusals included."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: Callable[[], Awaitable[Message]], send: Send
    ) -> None:
        """Pass on; name the version."""

        async def send_with_version(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"api-version", VERSION.encode())]
            await send(message)

        await self.app(scope, receive, send_with_version)
