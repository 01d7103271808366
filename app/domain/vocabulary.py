"""What people call the codes of the review desk: how far a dossier is, who reads it, what is said of it, what is next."""

from app.infra.i18n import N_

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
