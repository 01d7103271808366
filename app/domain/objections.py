"""Refusals after the seal: who may work on a dossier and in which order, questions, releases, and the register."""

from app.domain.refused import Refused
from app.infra.i18n import N_


class ConflictNotStated(Refused):
    status = 403
    code = "conflict_not_stated"
    msgid = N_("First say whether you have an interest in this dossier. It opens when you have none.")


class SignedOff(Refused):
    code = "signed_off"
    msgid = N_(
        "This dossier was signed off, so its checklist, scores and recommendation stand. Nothing was changed. "
        "A coordinator can reopen it with a reason. Notes and tags can still be added."
    )


class ReaderHasConflict(Refused):
    code = "reader_has_conflict"
    msgid = N_(
        "This person stated a conflict about the dossier, so they cannot work on it. Nothing was changed: choose somebody else."
    )


class NotAssigned(Refused):
    status = 403
    code = "not_assigned"
    msgid = N_(
        "This is for the reader whom a coordinator assigned to the dossier. Nothing was changed. Ask a coordinator if you "
        "should have this task."
    )


class AlreadyHandedIn(Refused):
    code = "already_handed_in"
    msgid = N_(
        "These scores were handed in, so they stand as they are. Nothing was changed. A coordinator can return them with a "
        "reason."
    )


class TooEarly(Refused):
    code = "too_early"
    msgid = N_(
        "Something comes before this: both readers hand in complete scores, these are reconciled and agreed to, then the "
        "recommendation follows, then the sign-off. Nothing was changed; the page of the dossier's work shows what is next."
    )


class SamePerson(Refused):
    status = 403
    code = "same_person"
    msgid = N_("The person who wrote this cannot also agree to it. Nothing was changed: ask a colleague.")


class SeatTaken(Refused):
    code = "seat_taken"
    msgid = N_(
        "This seat has a reader already, or this person has the other seat. Nothing was changed: look at the page again, "
        "a colleague may have been quicker."
    )


class PlanChanged(Refused):
    code = "plan_changed"
    msgid = N_(
        "Something changed since this list was shown, so nothing was applied. Look at the new list and confirm it again."
    )


class AlreadyReleased(Refused):
    code = "already_released"
    msgid = N_("This dossier is with EuroHPC already. Nothing was changed.")


class AlreadyConcluded(Refused):
    code = "already_concluded"
    msgid = N_("The work on this call was finished already. Nothing was changed.")


class NotReleased(Refused):
    code = "not_released"
    msgid = N_("This dossier is not with EuroHPC, so there is nothing to take back. Nothing was changed.")


class ClarificationOverdue(Refused):
    code = "clarification_overdue"
    msgid = N_(
        "The time to answer this question has passed. Nothing was sent, and what you submitted stands as it was. What you "
        "typed is shown below, so that you can keep a copy. Ask RVO for more time and send it again."
    )


class ClarificationWithdrawn(Refused):
    code = "clarification_withdrawn"
    msgid = N_("RVO withdrew this question: no answer is needed. Nothing was changed.")


class ClarificationAnswered(Refused):
    code = "clarification_answered"
    msgid = N_(
        "This question has been answered: the answer that was received first stands. Nothing was changed. If there is "
        "more to say, RVO can ask again."
    )


class DuePassed(Refused):
    status = 422
    code = "due_passed"
    msgid = N_("That day has passed, or is not later than the day it was due. Nothing was changed. Choose a later day.")


SQLSTATES: dict[str, type[Refused]] = {
    "P0C20": SignedOff,
    "P0C21": ReaderHasConflict,
    "P0C22": NotAssigned,
    "P0C23": AlreadyHandedIn,
    "P0C24": TooEarly,
    "P0C27": ConflictNotStated,
    "P0C28": SamePerson,
    "P0C30": ClarificationOverdue,
    "P0C31": ClarificationWithdrawn,
    "P0C32": ClarificationAnswered,
    "P0C33": DuePassed,
}


class RegisterNotPrepared(Refused):
    status = 503
    code = "register_not_prepared"
    msgid = N_(
        "The call is sealed, and its register is being prepared. That takes some minutes at most: open this page again."
    )


class TooFewToCompare(Refused):
    status = 422
    code = "too_few_to_compare"
    msgid = N_("Two to four dossiers can be compared. Go back to the register and tick two, three or four.")


class NameTaken(Refused):
    code = "name_taken"
    msgid = N_(
        "You have a view of that name already. Nothing was changed. Choose another name, or delete the old view."
    )


class NameMissing(Refused):
    status = 422
    code = "name_missing"
    msgid = N_("Nothing was saved: give the view a name.")


class ListTooLong(Refused):
    status = 422
    code = "list_too_long"
    msgid = N_(
        "A list on paper has at most %(most)s rows. Choose fewer dossiers, or take the CSV or XLSX, which hold all."
    )


CONSTRAINTS: dict[str, type[Refused]] = {
    "one_reader_a_seat": SeatTaken,
    "one_seat_a_reader": SeatTaken,
    "scores_are_handed_in_once": AlreadyHandedIn,
    "reconciliation_needs_two_people": SamePerson,
    "dossier_is_signed_off_once": SignedOff,
    "submission_is_released_once": AlreadyReleased,
    "pk_conclusion": AlreadyConcluded,
    "pk_answer": ClarificationAnswered,
    "view_name_is_unique": NameTaken,
    "view_has_a_name": NameMissing,
}
