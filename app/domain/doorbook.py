"""The words of the door: signing in, second factors, and roles of staff."""

from app.infra.i18n import N_

EVENTS = {
    "factor.added": N_("took a second factor into use"),
    "factor.codes_renewed": N_("made new recovery codes"),
    "factor.ended": N_("ended a second factor"),
    "factor.given": N_("gave the second factor"),
    "factor.refused": N_("gave a wrong second factor"),
    "factor.reset": N_("ended all second factors of a person"),
    "factor.reset_agreed": N_("agreed to end all second factors of a person"),
    "person.erased": N_("erased a person"),
    "person.exported": N_("exported all data on a person"),
    "person.profile_changed": N_("changed name or language"),
    "person.signed_in": N_("signed in"),
    "person.signed_out": N_("signed out, or ended a session"),
    "person.signed_out_everywhere": N_("signed out everywhere"),
    "person.staff_role_ended": N_("took a staff role away"),
    "person.staff_role_given": N_("gave a staff role"),
    "appointment.confirmed": N_("confirmed a staff role"),
    "appointment.dropped": N_("dropped a proposed staff role"),
    "appointment.proposed": N_("proposed a staff role"),
}
REFUSALS = {
    "factor_needed": N_("the second factor was to be given again"),
    "factor_spent": N_("the code was used before"),
    "last_factor": N_("a second factor has to remain"),
    "appointment_settled": N_("the role was given or dropped already"),
}
PURPOSES = {
    "factor": N_("second factor changed"),
    "new_device": N_("signed in with another browser"),
}
FACTORS = {"app": N_("authenticator app"), "passkey": N_("passkey")}
ASSURANCES = {"e-mail link": N_("e-mail link")}
WORDS = {"factor": FACTORS, "assurance": ASSURANCES}
