"""Undertakings: what somebody wants a letter to say, and what it lacks to be given."""

from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

from app.domain.pledges import Pledges
from app.infra.i18n import N_, Message

MISSING = {
    "sort": N_("Choose what sort of letter it is."),
    "amount": N_("Give the amount of this letter in euros."),
    "phase": N_("Choose the phase that the letter is for."),
    "source": N_("Choose the source of the money, and its status."),
    "status": N_("Choose the status of the source."),
    "document": N_("Add the letter itself as a file: this sort of letter needs it."),
    "condition": N_("Say under which condition."),
    "signatory": N_("Give the name of who signs."),
    "signatory_role": N_("Give the function of who signs."),
    "dated_on": N_("Give the date of the letter: day, month and year in numbers, such as 12 11 2027."),
}


@dataclass(frozen=True)
class Wish:
    """What somebody wants a letter to say. `files` are those that it keeps or gets."""

    sort: str = ""
    amount: Decimal | None = None
    phase: str | None = None
    source: str | None = None
    status: str | None = None
    condition: str = ""
    signatory: str = ""
    signatory_role: str = ""
    dated_on: date | None = None
    files: tuple[dict[str, Any], ...] = ()


def lacks(pledges: Pledges, wish: Wish, is_given: bool) -> dict[str, Message]:
    """What a letter lacks, by field. A draft needs its sort only; what is not among the choices is as good as absent."""
    sort = pledges.sort(wish.sort)
    if sort is None:
        return {"sort": Message(MISSING["sort"])}
    if not is_given:
        return {}
    held = {
        "amount": wish.amount is not None,
        "phase": pledges.has("phases", wish.phase),
        "source": pledges.has("sources", wish.source),
        "status": pledges.has("statuses", wish.status),
        "document": bool(wish.files),
        "condition": bool(wish.condition),
        "signatory": bool(wish.signatory),
        "signatory_role": bool(wish.signatory_role),
        "dated_on": wish.dated_on is not None,
    }
    needed = {"signatory", "signatory_role", "dated_on", *sort.needs}
    if wish.amount:  # money comes from somewhere, and for something
        needed |= {"phase", "source"}
    if "source" in needed:
        needed.add("status")
    return {name: Message(MISSING[name]) for name, there in held.items() if name in needed and not there}


def kept(pledges: Pledges, wish: Wish) -> Wish:
    """Only what can be chosen is kept."""
    return replace(
        wish,
        phase=wish.phase if pledges.has("phases", wish.phase) else None,
        source=wish.source if pledges.has("sources", wish.source) else None,
        status=wish.status if pledges.has("statuses", wish.status) else None,
    )
