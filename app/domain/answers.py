"""An answer as typed: what reading it needs to know of its question, and how it says that it cannot be read."""

from typing import Any, Protocol

from app.infra.i18n import Message


class Unreadable(Exception):
    """What was typed is not of the kind asked for; the message says what is."""

    def __init__(self, msgid: str, **params: Any) -> None:
        self.message = Message(msgid, params)
        super().__init__(msgid)


class Asks(Protocol):
    """What a kind needs to know of its question."""

    @property
    def places(self) -> int: ...
    @property
    def min(self) -> str | None: ...
    @property
    def max(self) -> str | None: ...
    @property
    def max_length(self) -> int: ...
    @property
    def options(self) -> tuple[Any, ...]: ...
