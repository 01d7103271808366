"""Refusals at the door: a second factor that is asked, one that was used before, a grant that was settled."""

from app.domain.refused import Refused
from app.infra.i18n import N_


class FactorNeeded(Refused):
    status = 401
    code = "factor_needed"
    msgid = N_("For this we ask you to show again that it is you, with your second factor. Nothing was changed yet.")


class FactorSpent(Refused):
    code = "factor_spent"
    msgid = N_("This code or second factor was used or ended before. Nothing was changed: use a new code.")


class LastFactor(Refused):
    code = "last_factor"
    msgid = N_("This is your only second factor. Nothing was changed: add another one first.")


class AppointmentSettled(Refused):
    code = "appointment_settled"
    msgid = N_("This role was given or dropped already. Nothing was changed: look at the page again.")


SQLSTATES: dict[str, type[Refused]] = {"P0C75": FactorSpent, "P0C76": AppointmentSettled}
BY_ONE_PERSON = ("appointment_needs_two_people",)
PENDING = ("one_appointment_at_a_time",)
