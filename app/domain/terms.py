"""The terms that people meet in the portal, each with what it means: one word for one thing, in every language."""

from app.infra.i18n import N_, sort_key, translate

TERMS: dict[str, tuple[str, str]] = {
    "call": (N_("Call"), N_("A round in which one can respond, with its own questions and its own closing instant.")),
    "cutoff": (
        N_("Cutoff"),
        N_(
            "The instant at which a call closes. What is submitted before it counts; what comes at it or later does not."
        ),
    ),
    "respondent": (
        N_("Respondent"),
        N_("The organisation that responds: a member state, a firm or consortium, or another."),
    ),
    "submission": (
        N_("Submission"),
        N_(
            "All that one organisation does in one call, under one reference: its draft, its versions and its receipts."
        ),
    ),
    "reference": (
        N_("Reference"),
        N_(
            "The 14 letters and digits by which a submission is found, such as 0KQ3V-9XM2T-7RWC. It says nothing of what is in it."
        ),
    ),
    "draft": (N_("Draft"), N_("What you saved. It counts for nothing until you submit it.")),
    "version": (
        N_("Version"),
        N_("What you submitted at one moment. It never changes; you can submit again, and the last one counts."),
    ),
    "receipt": (
        N_("Receipt"),
        N_("The signed proof of what was received and when. Anyone can check it, also without this portal."),
    ),
    "attempt": (N_("Attempt"), N_("A press on submit, whatever came of it. Each one is on record.")),
    "refusal": (
        N_("Refusal"),
        N_("The signed proof that you tried to submit after the cutoff: when that was, and which version counts."),
    ),
    "remark": (
        N_("Remark"),
        N_("Something that the portal finds unlikely. It does not stop you: you give a reason, and reviewers read it."),
    ),
    "attachment": (N_("File"), N_("A document added as an answer. It is known by its digest.")),
    "digest": (
        N_("Digest (SHA-256)"),
        N_("A fingerprint of a file or text: 64 characters that change wholly when anything in it changes."),
    ),
    "partner": (
        N_("Partner"),
        N_(
            "An organisation that takes part in the submission of another, the lead. Its people fill in what is said of it, and see nothing else."
        ),
    ),
    "mandate": (
        N_("Mandate"),
        N_(
            "What a partner signs, so that the lead may submit in its name. When its answers change it is outdated, until it is signed again."
        ),
    ),
    "withdrawal": (
        N_("Withdrawal"),
        N_("You let your submission count no longer. Until the cutoff you can restore it; nothing is deleted."),
    ),
    "seal": (
        N_("Seal"),
        N_("The signed statement of everything that a call held at its cutoff. It gives away no names and no content."),
    ),
    "exemption": (
        N_("Exemption"),
        N_(
            "After the cutoff one submitter is let in for a while by two coordinators. What comes in so stays outside the sealed set."
        ),
    ),
    "dossier": (N_("Dossier"), N_("A version as reviewers read it, after the cutoff and not before.")),
    "reviewer": (
        N_("Reviewer"),
        N_("Somebody of RVO who reads dossiers, after stating that they have no conflict of interest."),
    ),
    "forwarding": (
        N_("Forwarded to EuroHPC"),
        N_("A dossier was passed on, as its respondent allows. It can be taken back."),
    ),
    "disclosure": (
        N_("Request to disclose"),
        N_("Somebody asks to see documents under the open-government act. You are heard before anything is decided."),
    ),
    "letter": (
        N_("Letter of support or commitment"),
        N_("What a member state promises to a consortium. The last one given before the cutoff counts."),
    ),
    "interest": (
        N_("Offer of interest"),
        N_(
            "An organisation offers to invest, supply, use or host. It is in both dossiers once the consortium accepts."
        ),
    ),
    "workbook": (
        N_("Workbook"),
        N_("The form as a spreadsheet, to fill in with others and bring back. It changes only what you tick."),
    ),
}


def listed(language: str) -> list[tuple[str, str, str]]:
    """Name, word and meaning of each term, in the order of the language."""
    said = [(name, translate(language, word), translate(language, means)) for name, (word, means) in TERMS.items()]
    return sorted(said, key=lambda one: sort_key(one[1]))
