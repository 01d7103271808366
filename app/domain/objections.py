"""What a refusal is, and those of the work on dossiers after the seal; `errors` has the others and knows the database's."""

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


class AlreadyReleased(Refused):
    code = "already_released"
    msgid = N_("This dossier is with EuroHPC already. Nothing was changed.")


class AlreadyConcluded(Refused):
    code = "already_concluded"
    msgid = N_("The work on this call was finished already. Nothing was changed.")


class NotReleased(Refused):
    code = "not_released"
    msgid = N_("This dossier is not with EuroHPC, so there is nothing to take back. Nothing was changed.")


class ClarificationOverdue(Refused):
    code = "clarification_overdue"
    msgid = N_(
        "The time to answer this question has passed. Nothing was sent, and what you submitted stands as it was. What you "
        "typed is shown below, so that you can keep a copy. Ask RVO for more time and send it again."
    )


class ClarificationWithdrawn(Refused):
    code = "clarification_withdrawn"
    msgid = N_("RVO withdrew this question: no answer is needed. Nothing was changed.")


class ClarificationAnswered(Refused):
    code = "clarification_answered"
    msgid = N_(
        "This question has been answered: the answer that was received first stands. Nothing was changed. If there is "
        "more to say, RVO can ask again."
    )


class DuePassed(Refused):
    status = 422
    code = "due_passed"
    msgid = N_("That day has passed, or is not later than the day it was due. Nothing was changed. Choose a later day.")
