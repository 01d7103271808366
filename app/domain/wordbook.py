"""The words of the review desk and of machines: reading and judging, disclosure, look-ups, keys, notices, deliveries."""

from app.infra.i18n import N_

EVENTS = {
    "draft.reminded": N_("reminded of an unsubmitted change"),
    "budget.written": N_("wrote down a budget"),
    "letter.drafted": N_("drafted a letter"),
    "letter.given": N_("gave a letter"),
    "letter.withdrawn": N_("withdrew a letter"),
    "interest.accepted": N_("accepted an offer of interest"),
    "interest.declined": N_("declined an offer of interest"),
    "interest.offered": N_("offered interest"),
    "interest.withdrawn": N_("withdrew interest"),
    "confirmation.asked": N_("asked the lead to confirm what is to be submitted"),
    "intermediary.stated": N_("said for whom they act"),
    "mandate.signed": N_("signed a mandate"),
    "participation.accepted": N_("accepted an invitation to a submission"),
    "participation.ended": N_("ended somebody's part in a submission"),
    "participation.invited": N_("invited somebody to a submission"),
    "submission.confirmed": N_("confirmed what is to be submitted"),
    "state.dossiers_listed": N_("listed the submissions that name a member state"),
    "destruction.confirmed": N_("destroyed data beyond their term"),
    "destruction.dropped": N_("dropped a proposed destruction"),
    "destruction.proposed": N_("proposed to destroy data beyond their term"),
    "disclosure.closed": N_("closed a request to disclose"),
    "disclosure.confirmed": N_("confirmed what is disclosed of a dossier"),
    "disclosure.decided": N_("decided what is disclosed of a dossier"),
    "disclosure.decision_dropped": N_("took back a decision on disclosure"),
    "disclosure.dossier_added": N_("added a dossier to a request to disclose"),
    "disclosure.dossier_left_out": N_("left a dossier out of a request to disclose"),
    "disclosure.extended": N_("extended the time for a request to disclose"),
    "disclosure.produced": N_("produced the set of a request to disclose"),
    "disclosure.proposed": N_("proposed what to disclose of a dossier"),
    "disclosure.registered": N_("registered a request to disclose"),
    "disclosure.set_read": N_("took away the set of a request to disclose"),
    "disclosure.view_asked": N_("asked the submitter's view on disclosure"),
    "disclosure.view_given": N_("gave the submitter's view on disclosure"),
    "identifiers.looked_up": N_("had identifiers looked up"),
}
REFUSALS = {
    "invitation_unusable": N_("the invitation could not be used"),
    "lead_must_confirm": N_("the lead had not confirmed it"),
    "part_changed": N_("it had changed since it was read"),
    "part_removed": N_("the organisation was taken off the list"),
    "participation_over": N_("that part was ended or accepted already"),
    "case_withdrawn": N_("the consortium had withdrawn"),
    "interest_answered": N_("the interest was answered or withdrawn already"),
    "letter_changed": N_("a colleague had changed the letter meanwhile"),
    "letter_withdrawn": N_("the letter was withdrawn"),
}
PURPOSES = {
    "confirmation": N_("confirmation asked of the lead"),
    "participation": N_("invitation to a submission"),
    "letter": N_("letter of a member state"),
    "interest": N_("interest of an organisation"),
    "reminder": N_("reminder before a cutoff"),
}
MANDATES = {
    "lead": N_("leads"),
    "signed": N_("mandate signed"),
    "outdated": N_("mandate outdated: its answers changed since"),
    "waiting": N_("mandate not signed yet"),
    "invited": N_("invited, not accepted yet"),
    "nobody": N_("no partner invited"),
}
PROGRESS = {
    "to_assign": N_("to assign"),
    "assigned": N_("assigned"),
    "in_review": N_("in review"),
    "both_in": N_("both in"),
    "reconciled": N_("reconciled"),
    "signed_off": N_("signed off"),
    "reopened": N_("reopened"),
}
SEATS = {"first": N_("first reader"), "second": N_("second reader")}
VERDICTS = {"yes": N_("yes"), "no": N_("no"), "unclear": N_("cannot tell")}
CHECKLIST_PARTS = {"eligibility": N_("Eligibility"), "completeness": N_("Completeness")}
NEXT = {
    "state": N_("say whether you have an interest"),
    "score": N_("score and hand in"),
    "wait": N_("wait for the other reader"),
    "reconcile": N_("reconcile the scores"),
    "agree": N_("agree to the reconciled scores"),
    "recommend": N_("write the recommendation"),
    "sign": N_("sign off"),
    "done": N_("nothing: signed off"),
}
READS = {"nl": N_("Dutch"), "en": N_("English"), "other": N_("another language")}
ENDINGS = {
    "conflict": N_("stated a conflict"),
    "reassigned": N_("given to somebody else"),
    "undone": N_("undone"),
}
CLARIFICATIONS = {
    "open": N_("waits for an answer"),
    "overdue": N_("time has passed, no answer"),
    "answered": N_("answered"),
    "withdrawn": N_("withdrawn"),
}
RELEASE = {
    "ready": N_("can go"),
    "released": N_("with EuroHPC"),
    "taken_back": N_("taken back"),
    "no_consent": N_("no consent"),
    "withdrawn": N_("withdrawn"),
    "exceptional": N_("exceptional"),
}
AFTERWARDS = {
    "received": N_("received"),
    "in_review": N_("in review"),
    "forwarded": N_("forwarded to EuroHPC"),
    "not_forwarded": N_("not forwarded to EuroHPC"),
    "closed": N_("closed"),
}
CLASSES = {
    "drafts": N_("drafts that were never submitted"),
    "submissions": N_("submissions"),
    "reviews": N_("what readers wrote about dossiers"),
    "withdrawn": N_("withdrawn submissions"),
    "attempts": N_("attempts to submit that were refused"),
    "mails": N_("mails"),
    "sign_ins": N_("sign-ins"),
    "support": N_("letters of member states, their budgets, and interest of others"),
}
KEPT = {
    "term": N_("the term has not passed"),
    "disclosure": N_("a request to disclose is pending"),
    "exemption": N_("the submitter may still submit"),
    "evidence": N_("evidence of what was accepted"),
    "waiting": N_("still to be sent"),
}
VIEWS = {
    "agreed": N_("agrees"),
    "objected": N_("objects"),
    "silent": N_("said nothing in the time given"),
}
DISCLOSING = {
    "added": N_("to be proposed"),
    "proposed": N_("the submitter is to be asked"),
    "asked": N_("the submitter is asked"),
    "heard": N_("to be decided"),
    "decided": N_("waits for a second person"),
    "confirmed": N_("decided"),
}
LOOKUPS = {
    "valid": N_("valid"),
    "invalid": N_("not valid"),
    "unknown": N_("unknown"),
}
EVIDENCE = {
    "name": N_("Name"),
    "address": N_("Address"),
    "consultation": N_("Consultation number"),
    "problem": N_("Because"),
}
PROBLEMS = {
    "down": N_("the register could not be reached"),
    "slow": N_("the register took too long"),
    "too_large": N_("the answer was too large"),
    "not_an_answer": N_("the answer could not be read"),
    "MS_UNAVAILABLE": N_("the register of the member state is away"),
}
IDENTIFIERS = {
    "vat": N_("VAT number"),
    "lei": N_("LEI"),
    "euid": N_("EUID"),
    "kvk": N_("KvK number"),
    "pic": N_("PIC"),
    "registration": N_("Number in the national register"),
}
KEY_REFUSALS = {
    "insufficient_scope": N_("the key does not cover it"),
    "invalid_client": N_("the client did not prove who it is"),
    "invalid_request": N_("the request for a token was not as described"),
    "invalid_scope": N_("asked for a scope that it has not"),
    "key_expired": N_("the key or token had expired"),
    "key_needs_a_token": N_("a client's secret, where a token belongs"),
    "key_revoked": N_("the key was revoked"),
    "network_not_allowed": N_("not from this network"),
    "throttled": N_("too many requests in a short time"),
    "unauthenticated": N_("a wrong secret"),
    "unauthorized_client": N_("the client may not be used so, or not from there"),
    "unsupported_grant_type": N_("asked for a token in a way that is not offered"),
}
KEY_KINDS = {
    "key": N_("key"),
    "client_secret": N_("OAuth client with a secret"),
    "client_key": N_("OAuth client with a key pair"),
}
KEY_STATES = {
    "proposed": N_("waits for a second person"),
    "dropped": N_("dropped"),
    "approved": N_("agreed to, not collected yet"),
    "live": N_("live"),
    "expired": N_("expired"),
    "revoked": N_("revoked"),
    "ended": N_("ended"),
    "paused": N_("paused"),
}
ROUTE_GROUPS = {
    "calls": N_("calls"),
    "submissions": N_("submissions and files"),
    "proof": N_("proof"),
    "feed": N_("feed"),
    "deliveries": N_("deliveries"),
    "public": N_("public"),
    "other": N_("other"),
}
NOTICES = {
    "call.sealed": N_("a call was sealed"),
    "feed.advanced": N_("there is something new to fetch"),
}
DELIVERIES = {
    "delivered": N_("received whole"),
    "partly": N_("received, some files not yet"),
    "waiting": N_("nothing heard of yet"),
    "taken_back_after": N_("taken back after it was received"),
    "taken_back": N_("taken back"),
    "not_released": N_("not released"),
    "withdrawn": N_("withdrawn"),
}
CHECKS = {
    "clock": N_("clock differs from the database's"),
    "connections": N_("no connection to the database was free"),
    "database": N_("database away"),
    "files": N_("file store away"),
    "hung": N_("a server or the database hung"),
    "silent": N_("no server said anything"),
    "starting": N_("a server started"),
    "stopping": N_("a server stopped"),
}
WORDS = {
    "mandate": MANDATES,
    "check": CHECKS,
    "key_refusal": KEY_REFUSALS,
    "key_kind": KEY_KINDS,
    "key_state": KEY_STATES,
    "route_group": ROUTE_GROUPS,
    "notice": NOTICES,
    "delivery": DELIVERIES,
    "progress": PROGRESS,
    "seat": SEATS,
    "verdict": VERDICTS,
    "checklist_part": CHECKLIST_PARTS,
    "next": NEXT,
    "reads": READS,
    "ending": ENDINGS,
    "clarification": CLARIFICATIONS,
    "release": RELEASE,
    "afterwards": AFTERWARDS,
    "class": CLASSES,
    "kept": KEPT,
    "view": VIEWS,
    "disclosing": DISCLOSING,
    "lookup": LOOKUPS,
    "evidence": EVIDENCE,
    "problem": PROBLEMS,
    "identifier": IDENTIFIERS,
}
