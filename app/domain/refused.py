"""What every refusal is: something understood and not granted, with a code, a status and a sentence."""

from typing import Any, ClassVar

from app.infra.i18n import N_, Message


class Refused(Exception):
    """A request that is understood and not granted. One handler shows it as a page or as problem+json.

    `status` is the HTTP status, `code` never changes once published, `message` says what happened, what was kept
    and what to do next, `extra` holds further members of the problem document.
    """

    status: ClassVar[int] = 409
    code: ClassVar[str] = "refused"
    msgid: ClassVar[str] = N_("This cannot be done.")

    def __init__(self, message: Message | None = None, **extra: Any) -> None:
        self.message = message or Message(self.msgid, {})
        self.extra = extra
        super().__init__(self.code)
