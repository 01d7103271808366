"""Refusals about who takes part: an invitation of somebody else, a part that is over, a text that was not the one seen."""

from app.domain.refused import Refused
from app.infra.i18n import N_


class InvitationUnusable(Refused):
    status = 404
    code = "invitation_unusable"
    msgid = N_(
        "This invitation cannot be used: it was taken back, the call has closed, or it was sent to another e-mail address "
        "than the one you signed in with. Sign in with the address that the mail came to, or ask for a new invitation."
    )


class ParticipationOver(Refused):
    code = "participation_over"
    msgid = N_(
        "This part in the submission was ended, accepted or changed already. Nothing was changed: look at the page again."
    )


class PartChanged(Refused):
    code = "part_changed"
    msgid = N_(
        "What stands here was changed after you opened the page. Nothing was signed or confirmed: read it again first."
    )


class PartRemoved(Refused):
    code = "part_removed"
    msgid = N_(
        "Your organisation is no longer in the submission. Nothing was changed: ask the lead to invite you again."
    )


class LeadMustConfirm(Refused):
    code = "lead_must_confirm"
    msgid = N_(
        "This call asks that the lead confirms what is submitted in its name. Nothing was submitted; your answers are kept. "
        "An owner of the leading organisation confirms, and then you submit again."
    )


SQLSTATES: dict[str, type[Refused]] = {"P0C80": ParticipationOver, "P0C97": LeadMustConfirm}
CONSTRAINTS: dict[str, type[Refused]] = {"one_participation_at_a_time": ParticipationOver}
NOT_THEIRS = ("P0C86",)
