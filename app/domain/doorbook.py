"""The words of the door: signing in, second factors, roles of staff, and files that a scanner looks at."""

from app.infra.i18n import N_

EVENTS = {
    "file.infected": N_("found a virus in a file"),
    "factor.added": N_("took a second factor into use"),
    "factor.codes_renewed": N_("made new recovery codes"),
    "factor.ended": N_("ended a second factor"),
    "factor.given": N_("gave the second factor"),
    "factor.refused": N_("gave a wrong second factor"),
    "factor.reset": N_("ended all second factors of a person"),
    "factor.reset_agreed": N_("agreed to end all second factors of a person"),
    "root_key.moved": N_("wrapped the root key under another SECRET_KEY"),
    "root_key.replaced": N_("replaced the root key"),
    "person.erased": N_("erased a person"),
    "person.exported": N_("exported all data on a person"),
    "organisation.joined": N_("joined an organisation that they represent"),
    "organisation.verified": N_("had an organisation vouched for"),
    "person.identity_connected": N_("connected a way to sign in"),
    "person.profile_changed": N_("changed name or language"),
    "person.sessions_ended": N_("ended all sessions of a person"),
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
    "file_waits": N_("a file had not been looked at yet"),
    "file_infected": N_("a virus was found in a file"),
    "too_slow": N_("did not arrive in time"),
    "reply_invalid": N_("the sign-in was too old or used"),
    "provider_away": N_("the way to sign in could not be reached"),
    "identity_unknown": N_("no e-mail address was known"),
    "identity_taken": N_("the way to sign in belonged to another account"),
    "level_too_low": N_("signed in with too low a level of assurance"),
    "number_verified": N_("the number was vouched for"),
    "appointment_settled": N_("the role was given or dropped already"),
}
PURPOSES = {
    "factor": N_("second factor changed"),
    "new_device": N_("signed in with another browser"),
}
FACTORS = {"app": N_("authenticator app"), "passkey": N_("passkey")}
ASSURANCES = {"e-mail link": N_("e-mail link")}
SCANS = {
    "not_scanned": N_("not scanned: no scanner is connected"),
    "pending": N_("being checked for viruses"),
    "clean": N_("scanned, nothing found"),
    "infected": N_("infected"),
}
WORDS = {"scan": SCANS, "factor": FACTORS, "assurance": ASSURANCES}
