"""Refusals of disclosure, retention and planned maintenance: what must come first, what is over, and what is gone."""

from app.domain.refused import Refused
from app.infra.i18n import N_


class TermRuns(Refused):
    code = "term_runs"
    msgid = N_(
        "Nothing was destroyed: nothing of this sort is beyond its term, or what is must be kept for another reason."
    )


class HearingOver(Refused):
    code = "hearing_over"
    msgid = N_(
        "The time in which you could give your view is over, or the decision was taken. What you answered before stands."
    )


class NotHeard(Refused):
    code = "not_heard"
    msgid = N_(
        "First propose what to disclose, and hear the submitter: a decision waits until they have answered on every "
        "section, or until their time is over."
    )


class NotDecided(Refused):
    code = "not_decided"
    msgid = N_("Nothing was produced: decide on every dossier of this request first, each by two people.")


class ContentDestroyed(Refused):
    status = 410
    code = "content_destroyed"
    msgid = N_(
        "The term for keeping this content has passed, and it was destroyed. Its receipt, its digest and the certificate "
        "of the destruction are kept."
    )


class GroundMissing(Refused):
    status = 422
    code = "ground_missing"
    msgid = N_(
        "Choose for each section whether it is disclosed, and a ground for each that is withheld. Nothing was changed."
    )


class WithheldFound(Refused):
    code = "withheld_content_found"
    msgid = N_(
        "Nothing was produced: something that is withheld still stood in the redacted dossier. This was written down; tell "
        "the help desk."
    )


class MaintenanceRefused(Refused):
    status = 422
    code = "maintenance_refused"
    msgid = N_(
        "Maintenance must be announced before it begins and end within seven days. What was announced can only become "
        "shorter. Nothing was changed."
    )


class MaintenanceTouchesCall(Refused):
    status = 422
    code = "maintenance_touches_call"
    msgid = N_(
        "Maintenance may not touch the first hour of a call or its last 24. Nothing was announced: choose another time."
    )


class MaintenanceOver(Refused):
    code = "maintenance_over"
    msgid = N_(
        "This maintenance is over, was called off, or is announced already. Nothing was changed: look at the page again."
    )


SQLSTATES: dict[str, type[Refused]] = {
    "P0C93": MaintenanceRefused,
    "P0C94": MaintenanceTouchesCall,
    "P0C95": MaintenanceOver,
    "P0C81": TermRuns,
    "P0C82": HearingOver,
    "P0C83": NotHeard,
    "P0C84": NotDecided,
    "P0C85": ContentDestroyed,
}
CONSTRAINTS: dict[str, type[Refused]] = {
    "maintenance_says_something": MaintenanceRefused,
    "maintenance_ends_within_a_week": MaintenanceRefused,
    "maintenance_is_announced_once": MaintenanceOver,
}
# Constraints that stand for a refusal of everybody's; errors knows which.
WITHOUT_REASON = (
    "disclosure_decision_has_a_reason",
    "extension_has_a_reason",
    "closing_has_a_reason",
    "item_is_left_out_with_a_reason",
    "objection_has_reasons",
)
BY_ONE_PERSON = ("disclosure_decision_needs_two_people", "destruction_needs_two_people")
PENDING = ("dossier_is_decided_once", "one_destruction_at_a_time")
