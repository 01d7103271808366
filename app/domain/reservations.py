"""Refusals about letters of member states and interest of others: not theirs to give, withdrawn, or changed meanwhile."""

from app.domain.refused import Refused
from app.infra.i18n import N_


class CaseWithdrawn(Refused):
    code = "case_withdrawn"
    msgid = N_(
        "The consortium has withdrawn its submission, so nothing can be tied to it. Nothing was changed. Ask the consortium "
        "to restore it, or take back what you gave."
    )


class LetterWithdrawn(Refused):
    code = "letter_withdrawn"
    msgid = N_("This letter was withdrawn, so it cannot be changed. Nothing was changed: write a new letter.")


class LetterChanged(Refused):
    code = "letter_changed"
    msgid = N_(
        "A colleague changed this letter after you opened it. Nothing was overwritten. Open the letter again, look what it "
        "says now, and copy from below what you typed."
    )


class InterestAnswered(Refused):
    code = "interest_answered"
    msgid = N_("This interest was answered or withdrawn already. Nothing was changed: look at the page again.")


SQLSTATES: dict[str, type[Refused]] = {
    "P0C61": CaseWithdrawn,
    "P0C62": LetterWithdrawn,
    "P0C63": LetterChanged,
    "P0C64": InterestAnswered,
}
CONSTRAINTS: dict[str, type[Refused]] = {"letter_version_is_written_once": LetterChanged}
NOT_THEIRS = ("P0C60",)
WITHOUT_REASON = ("letter_is_withdrawn_with_a_reason", "interest_is_withdrawn_with_a_reason")
