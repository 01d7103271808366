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


class TooSlow(Refused):
    status = 408
    code = "too_slow"
    msgid = N_("What you sent did not arrive in time. Nothing was changed. Try again over a better connection.")


class FileWaits(Refused):
    code = "file_waits"
    msgid = N_("The virus scanner has yet to look at this file. Try again in a moment.")


class FileInfected(Refused):
    status = 403
    code = "file_infected"
    msgid = N_("A virus was found in this file, so it is given to nobody.")


class ReplyInvalid(Refused):
    status = 422
    code = "reply_invalid"
    msgid = N_(
        "This sign-in cannot be used: it took longer than 10 minutes, was used before, was begun in another browser, or was "
        "broken off. Nobody was signed in. Begin again."
    )


class ProviderAway(Refused):
    status = 503
    code = "provider_away"
    msgid = N_("This way to sign in cannot be reached at this moment. Try again later, or sign in by an e-mail link.")


class IdentityUnknown(Refused):
    status = 403
    code = "identity_unknown"
    msgid = N_(
        "We do not know yet to which e-mail address to write to you. Sign in with your e-mail address first, then connect "
        "this way to sign in at “My account”: from then on it brings you in."
    )


class IdentityTaken(Refused):
    code = "identity_taken"
    msgid = N_("This way to sign in belongs to another account already. Nothing was changed: sign in with it instead.")


class LevelTooLow(Refused):
    status = 403
    code = "level_too_low"
    msgid = N_(
        "This call asks that you sign in on behalf of your organisation with a higher level of assurance, such as "
        "eHerkenning or eIDAS. Nothing was submitted; your answers are kept. Go to “My account”, sign in that way, and "
        "submit again."
    )


class NumberVerified(Refused):
    code = "number_verified"
    msgid = N_("This registration number was vouched for, so it cannot be changed. Nothing was changed.")


SQLSTATES: dict[str, type[Refused]] = {
    "P0C75": FactorSpent,
    "P0C76": AppointmentSettled,
    "P0C77": NumberVerified,
    "P0C78": FileInfected,
}
BY_ONE_PERSON = ("appointment_needs_two_people",)
PENDING = ("one_appointment_at_a_time",)
