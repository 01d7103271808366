"""The glossary: what people call the codes that stand in the data. A code never changes; its words may.

Whoever records a new event, queues a mail for a new purpose or adds a refusal writes its words here; a test asks for them.
"""

from app.infra.i18n import N_, translate

EVENTS = {
    "attachment.attached": N_("added a file"),
    "attachment.detached": N_("removed a file from the draft"),
    "attachment.read": N_("opened a file"),
    "call.published": N_("published a call"),
    "call.sealed": N_("sealed a call"),
    "deadline.confirmed": N_("confirmed a new deadline"),
    "deadline.dropped": N_("dropped a proposed deadline"),
    "deadline.proposed": N_("proposed a new deadline"),
    "dossier.read": N_("opened a dossier"),
    "draft.saved": N_("saved a page of the draft"),
    "exemption.confirmed": N_("confirmed an exemption"),
    "exemption.dropped": N_("dropped a proposed exemption"),
    "exemption.proposed": N_("proposed an exemption"),
    "export.made": N_("made an export"),
    "key.issued": N_("issued an API key"),
    "key.revoked": N_("revoked an API key"),
    "message.sent_again": N_("put a mail back into the queue"),
    "organisation.changed": N_("changed the description of an organisation"),
    "organisation.colleague_invited": N_("invited a colleague"),
    "organisation.colleague_removed": N_("took a colleague's role away"),
    "organisation.described": N_("described an organisation"),
    "organisation.state_invited": N_("invited a member state"),
    "person.erased": N_("erased a person"),
    "person.profile_changed": N_("changed name or language"),
    "person.signed_in": N_("signed in"),
    "person.signed_out": N_("signed out, or ended a session"),
    "person.staff_role_ended": N_("took a staff role away"),
    "person.staff_role_given": N_("gave a staff role"),
    "register.read": N_("opened the register"),
    "submission.restored": N_("restored a submission"),
    "submission.started": N_("started a submission"),
    "submission.submitted": N_("submitted a version"),
    "submission.withdrawn": N_("withdrew a submission"),
}
DETAILS = {
    "question": N_("question"),
    "step": N_("page"),
    "call": N_("call"),
    "events": N_("lines"),
    "reason": N_("reason"),
    "calls": N_("calls"),
    "closes_at": N_("closes"),
    "closes_from": N_("old deadline"),
    "closes_to": N_("new deadline"),
    "code": N_("code"),
    "digest": N_("SHA-256 of the definition"),
    "format": N_("format"),
    "key": N_("key"),
    "key_name": N_("name of the key"),
    "mails": N_("mails"),
    "message": N_("mail"),
    "organisation": N_("organisation"),
    "person": N_("person"),
    "revision": N_("times saved"),
    "role": N_("role"),
    "rows": N_("rows"),
    "scopes": N_("scopes"),
    "sha256": N_("SHA-256"),
    "state": N_("member state"),
    "until": N_("until"),
    "version": N_("version"),
}
OUTCOMES = {
    "accepted": N_("accepted"),
    "invalid": N_("not complete"),
    "refused": N_("refused"),
}
REFUSALS = {
    "accepted": N_("received and stamped"),
    "already_withdrawn": N_("was withdrawn already"),
    "call_closed": N_("the call had closed"),
    "call_not_closed": N_("the call had not closed yet"),
    "call_sealed": N_("the call was sealed"),
    "call_still_open": N_("the call was not sealed yet"),
    "call_not_open": N_("the call had not opened yet"),
    "cross_site": N_("the form was too old, or of another site"),
    "deadline_refused": N_("the deadline could not move there"),
    "file_refused": N_("a file could not be taken"),
    "forbidden": N_("the role does not allow it"),
    "immutable": N_("what was submitted is never changed"),
    "internal_error": N_("a fault of the portal"),
    "invalid": N_("the request could not be read"),
    "kind_not_open": N_("not open to this kind of respondent"),
    "last_owner": N_("an organisation would have had no owner"),
    "link_invalid": N_("the sign-in link was too old or used"),
    "method_not_allowed": N_("no such kind of request at this address"),
    "needs_second_person": N_("two people must agree"),
    "not_found": N_("not there, or not theirs to see"),
    "not_ready": N_("answers were missing or wrong"),
    "not_withdrawn": N_("was not withdrawn"),
    "nothing_submitted": N_("nothing was submitted yet"),
    "one_live_submission_per_state": N_("the member state had one already"),
    "proposal_pending": N_("there was a proposal already"),
    "reason_missing": N_("no reason was given"),
    "refused": N_("could not be done"),
    "stale_step": N_("a colleague had saved the page meanwhile"),
    "throttled": N_("too many requests in a short time"),
    "too_large": N_("too large"),
    "too_many_files": N_("too many files"),
    "unauthenticated": N_("not signed in"),
}
PURPOSES = {
    "deadline": N_("deadline changed"),
    "exemption": N_("exemption granted"),
    "invitation": N_("invitation"),
    "receipt": N_("receipt"),
    "seal": N_("seal of a call"),
    "restoration": N_("submission restored"),
    "sign_in": N_("sign-in link"),
    "withdrawal": N_("submission withdrawn"),
}
ROLES = {
    "owner": N_("owner"),
    "editor": N_("editor"),
    "viewer": N_("viewer"),
    "reviewer": N_("reviewer"),
    "coordinator": N_("coordinator"),
    "admin": N_("administrator"),
}
STATES = {
    "upcoming": N_("opens soon"),
    "open": N_("open"),
    "closed": N_("closed"),
}
ASSURANCES = {"e-mail link": N_("e-mail link")}
SCOPES = {
    "submissions:read": N_("read submissions and exports"),
    "attachments:read": N_("read files"),
    "deliveries:write": N_("confirm what was received"),
}
WORDS = {
    "event": EVENTS,
    "detail": DETAILS,
    "outcome": OUTCOMES,
    "refusal": REFUSALS,
    "purpose": PURPOSES,
    "role": ROLES,
    "state": STATES,
    "assurance": ASSURANCES,
    "scope": SCOPES,
}


def words(sort: str, code: str, language: str) -> str:
    """What a code of one of the sorts above is called; the code itself where data hold one that is older than its words."""
    known = WORDS[sort].get(code)
    return translate(language, known) if known else code
