"""Refusals: what the portal says when it will not do something, with a stable code and a status for each."""

from datetime import datetime

from sqlalchemy.exc import DBAPIError

from app.domain import admissions, barriers, denials, objections, reservations
from app.domain.objections import ConflictNotStated as ConflictNotStated
from app.domain.refused import Refused as Refused
from app.domain.reservations import LetterChanged as LetterChanged
from app.infra.i18n import N_


class NotFound(Refused):
    status = 404
    code = "not_found"
    msgid = N_("There is nothing here, or you may not see it. Check the address, or sign in with another account.")


class Unauthenticated(Refused):
    status = 401
    code = "unauthenticated"
    msgid = N_("Sign in to continue.")


class Forbidden(Refused):
    status = 403
    code = "forbidden"
    msgid = N_("Your role does not allow this. Ask an owner of your organisation, or the help desk.")


class CrossSite(Refused):
    status = 403
    code = "cross_site"
    msgid = N_(
        "This form did not come from this portal, or the page is too old. Nothing was changed. Open the page again and retry."
    )


class CallClosed(Refused):
    code = "call_closed"
    msgid = N_(
        "The call has closed. Nothing was changed: what you submitted before the cutoff stands as it was. "
        "What you typed here is shown below, so that you can keep a copy."
    )


class CallNotOpen(Refused):
    code = "call_not_open"
    msgid = N_("This call has not opened yet. Nothing was changed.")


class CallNotClosed(Refused):
    status = 403
    code = "call_not_closed"
    msgid = N_("Content is sealed until the call closes. Until then only counts are shown.")

    def __init__(self, releases_at: datetime) -> None:
        super().__init__(releases_at=releases_at)
        self.releases_at = releases_at


class NothingToRelease(Refused):
    code = "nothing_to_release"
    msgid = N_(
        "This dossier cannot go to EuroHPC: its respondent did not consent, withdrew it, or the call is not sealed. "
        "It stays at RVO."
    )


class CallSealed(Refused):
    code = "call_sealed"
    msgid = N_("The call is sealed: its accepted set and its deadline never change again.")


class CallStillOpen(Refused):
    code = "call_still_open"
    msgid = N_("The call has not been sealed yet, so this cannot be done. Wait until it has closed.")


class NeedsSecondPerson(Refused):
    status = 403
    code = "needs_second_person"
    msgid = N_("Two different coordinators must agree to this. Nothing was changed: ask a colleague to confirm it.")


class DeadlineRefused(Refused):
    status = 422
    code = "deadline_refused"
    msgid = N_(
        "The deadline cannot move there. It must lie after now and after every receipt already given, and must not have "
        "moved since this was proposed. Nothing was changed."
    )


class ProposalPending(Refused):
    code = "proposal_pending"
    msgid = N_("There is a proposal already. Confirm or drop that one first.")


class LastOwner(Refused):
    code = "last_owner"
    msgid = N_("This person is the only owner of an organisation. Give somebody else that role first.")


class StaleStep(Refused):
    code = "stale_step"
    msgid = N_(
        "A colleague saved this step after you opened it. Nothing was overwritten: both texts are shown below. "
        "Choose what to keep and save again."
    )


class NotReady(Refused):
    status = 422
    code = "not_ready"
    msgid = N_("This cannot be submitted yet. The page lists what is missing; your answers are kept.")


class ClassifiedInformation(NotReady):
    """Not ready either, and of its own sort: what the portal may not take in."""

    code = "classified_information"


class NothingSubmitted(Refused):
    code = "nothing_submitted"
    msgid = N_("Nothing has been submitted yet, so there is nothing to withdraw.")


class AlreadyWithdrawn(Refused):
    code = "already_withdrawn"
    msgid = N_("This submission is already withdrawn.")


class NotWithdrawn(Refused):
    code = "not_withdrawn"
    msgid = N_("This submission is not withdrawn, so there is nothing to restore.")


class ReasonMissing(Refused):
    status = 422
    code = "reason_missing"
    msgid = N_("Give a reason. It is kept with the submission.")


class WordsMissing(Refused):
    status = 422
    code = "words_missing"
    msgid = N_("Nothing was sent: the field is empty. Say what there is to say in a few words.")


class AlreadyAnswered(Refused):
    code = "already_answered"
    msgid = N_("This problem was answered already, by a colleague. Nothing was sent again.")


class KindNotOpen(Refused):
    status = 422
    code = "kind_not_open"
    msgid = N_("Your organisation cannot respond to this call in this way. Choose another kind of respondent.")


class StateAlreadyResponds(Refused):
    code = "one_live_submission_per_state"
    msgid = N_(
        "Your member state already has an expression of interest in this call. Open it to change or resubmit it."
    )


class FileRefused(Refused):
    status = 422
    code = "file_refused"


class TooLarge(Refused):
    status = 413
    code = "too_large"
    msgid = N_("What you sent is too large. Nothing was changed. A file may be 25 MB at most.")


class TooManyFiles(Refused):
    status = 422
    code = "too_many_files"
    msgid = N_("The file was not added: a submission may hold 20 files and 200 MB in all. Remove a file first.")


class Throttled(Refused):
    status = 429
    code = "throttled"
    msgid = N_("Too many requests in a short time. Nothing was changed. Wait a moment and try again.")

    def __init__(self, retry_after: int) -> None:
        super().__init__(retry_after=retry_after)
        self.retry_after = retry_after


class Invalid(Refused):
    status = 422
    code = "invalid"
    msgid = N_("The request could not be read. Nothing was changed.")


class Unavailable(Refused):
    """The database cannot be reached."""

    status = 503
    code = "unavailable"
    msgid = N_(
        "The portal cannot reach its database at this moment. What was saved before is kept, and what you typed is shown "
        "below, so that you can keep a copy. Wait a minute, look whether your last step was taken in, and try again if "
        "it was not."
    )


class LinkInvalid(Refused):
    status = 422
    code = "link_invalid"
    msgid = N_(
        "This sign-in link cannot be used: it is older than 10 minutes, was used before, or was asked for in another "
        "browser. Ask for a new link in this browser."
    )


class Immutable(Refused):
    code = "immutable"
    msgid = N_("What has been submitted is never changed or deleted.")


SQLSTATES: dict[str, type[Refused]] = {
    "P0C01": CallClosed,
    "P0C02": CallNotOpen,
    "P0C03": NotFound,
    "P0C04": Immutable,
    "P0C05": CallSealed,
    "P0C06": CallStillOpen,
    "P0C07": NeedsSecondPerson,
    "P0C08": DeadlineRefused,
    "P0C09": NothingToRelease,
    "P0C25": ReasonMissing,
    **objections.SQLSTATES,
    "P0C96": NotReady,
    **denials.SQLSTATES,
    **reservations.SQLSTATES,
    **barriers.SQLSTATES,
    **admissions.SQLSTATES,
    **dict.fromkeys(("P0C26", "P0C34", *reservations.NOT_THEIRS, *admissions.NOT_THEIRS), Forbidden),
}


CONSTRAINTS: dict[str, type[Refused]] = {
    "one_live_submission_per_state": StateAlreadyResponds,
    "submission_is_withdrawn_once": AlreadyWithdrawn,
    "call_opens_before_it_closes": DeadlineRefused,
    "deadline_change_needs_two_people": NeedsSecondPerson,
    "deadline_change_has_a_reason": ReasonMissing,
    "one_deadline_change_at_a_time": ProposalPending,
    "exemption_needs_two_people": NeedsSecondPerson,
    "key_needs_two_people": NeedsSecondPerson,
    "webhook_needs_two_people": NeedsSecondPerson,
    "exemption_has_a_reason": ReasonMissing,
    "conflict_has_a_reason": ReasonMissing,
    "release_is_taken_back_with_a_reason": ReasonMissing,
    "clarification_says_something": WordsMissing,
    "clarification_is_withdrawn_with_a_reason": ReasonMissing,
    "answer_says_something": WordsMissing,
    "one_exemption_at_a_time": ProposalPending,
    "verdict_has_a_reason": ReasonMissing,
    "assignment_ends_with_a_reason": ReasonMissing,
    "scores_are_returned_with_a_reason": ReasonMissing,
    "reopening_has_a_reason": ReasonMissing,
    "recommendation_has_a_text": WordsMissing,
    "note_is_not_empty": WordsMissing,
    "tag_is_a_short_word": Invalid,
    "points_are_in_range": Invalid,
    **objections.CONSTRAINTS,
    **denials.CONSTRAINTS,
    **reservations.CONSTRAINTS,
    **admissions.CONSTRAINTS,
    **dict.fromkeys((*denials.WITHOUT_REASON, *reservations.WITHOUT_REASON), ReasonMissing),
    **dict.fromkeys((*denials.BY_ONE_PERSON, *barriers.BY_ONE_PERSON), NeedsSecondPerson),
    **dict.fromkeys((*denials.PENDING, *barriers.PENDING), ProposalPending),
}


def refusal_of(failure: DBAPIError) -> Refused | None:
    """The refusal that a database error stands for, or None where it is a fault of ours.

    Where the window refused, `extra["at"]` is the instant (RFC 3339, UTC) that the database read and judged by.
    """
    cause = failure.orig
    said = getattr(cause, "diag", None)
    if kind := SQLSTATES.get(getattr(cause, "sqlstate", None) or ""):
        at = getattr(said, "message_detail", None)
        return kind(at=at) if at else kind()
    constraint = getattr(said, "constraint_name", None)
    if kind := CONSTRAINTS.get(constraint or ""):
        return kind()
    return None
