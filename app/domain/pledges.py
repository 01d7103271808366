"""What a call file says of member states' letters and budgets, of who may see what names a state, and of others' interest."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

MUST = ("amount", "phase", "source", "document", "condition")  # what a sort of letter may need beside what all need
MOST_A_DAY = 10


@dataclass(frozen=True)
class Choice:
    """One thing to choose: `dates` names the reference data that bear on it; see almanac."""

    value: str
    label: dict[str, str]
    dates: str | None = None


@dataclass(frozen=True)
class Sort:
    """A sort of letter: only one that is a commitment promises anything in law. `needs`: what must be in it when given."""

    value: str
    label: dict[str, str]
    is_commitment: bool
    needs: tuple[str, ...]


@dataclass(frozen=True)
class Pledges:
    """Whom letters and interest go to (kinds of respondent), and all that can be chosen in them.

    `names` are the questions that name member states; a state sees a dossier that names it where the question under
    `own` (for its own organisations) or `others` is answered with yes.
    """

    for_: frozenset[str] = frozenset()
    letters: tuple[Sort, ...] = ()
    phases: tuple[Choice, ...] = ()
    sources: tuple[Choice, ...] = ()
    statuses: tuple[Choice, ...] = ()
    names: tuple[str, ...] = ()
    own: str | None = None
    others: str | None = None
    interests: tuple[Choice, ...] = ()
    a_day: int = MOST_A_DAY

    def sort(self, value: str | None) -> Sort | None:
        """The sort of letter of this name."""
        return next((s for s in self.letters if s.value == value), None)

    def label(self, part: str, value: str | None) -> dict[str, str]:
        """What a value of a part is called; the value itself where the call does not know it."""
        known = next((c.label for c in getattr(self, part) if c.value == value), None)
        return known or {"en": value or "–"}

    def has(self, part: str, value: str | None) -> bool:
        """Whether a value of a part can be chosen."""
        return any(c.value == value for c in getattr(self, part))


CHOICES = ("phases", "sources", "statuses", "interests")
SHAPE = {
    "for": list, "letters": list, "phases": list, "sources": list, "statuses": list, "names": list, "consent": dict,
    "interests": list, "a_day": int,
}  # fmt: skip
CONSENT = {"own": str, "others": str}
LETTER: dict[str, Any] = {"value": str, "label": dict, "is_commitment": bool, "needs": list}
OPTION: dict[str, Any] = {"value": str, "label": dict}
SOURCE: dict[str, Any] = OPTION | {"dates": str}
OPTIONAL = (*SHAPE, *CONSENT, "is_commitment", "dates")


def build(body: dict[str, Any]) -> Pledges:
    """The part `support` of a checked definition."""
    some = {part: tuple(Choice(**one) for one in body.get(part, ())) for part in CHOICES}
    letters = (
        Sort(one["value"], one["label"], one.get("is_commitment", False), tuple(one.get("needs", ())))
        for one in body.get("letters", ())
    )
    consent = body.get("consent", {})
    return Pledges(
        for_=frozenset(body.get("for", ())),
        letters=tuple(letters),
        names=tuple(body.get("names", ())),
        own=consent.get("own"),
        others=consent.get("others"),
        a_day=body.get("a_day", MOST_A_DAY),
        **some,
    )


def shapes(body: Any, text: object) -> Iterator[tuple[Any, dict[str, Any], str]]:
    """Each part of `support` with the keys that it may have and what it is called; `text` stands for a text."""
    if not isinstance(body, dict):
        return
    yield body, SHAPE, "`support`"
    if isinstance(body.get("consent"), dict):
        yield body["consent"], CONSENT, "`consent` of support"
    for part in (*CHOICES, "letters"):
        keys = {"letters": LETTER, "sources": SOURCE}.get(part, OPTION) | {"label": text}
        given = body.get(part)
        for one in given if isinstance(given, list) else ():
            yield one, keys, f"one of `{part}` of support"


def problems(part: Pledges, kinds: set[str], almanac: set[str], has: Callable[[str], bool]) -> list[str]:
    """What does not fit the rest of the file; `has` tells whether there is a question, or one of a list as `list.name`."""
    found = []
    if strange := sorted(part.for_ - kinds):
        found.append(f"Support: `for` names no kind of respondent: '{strange[0]}'.")
    if strange := sorted(name for name in (*part.names, *filter(None, (part.own, part.others))) if not has(name)):
        found.append(f"Support: there is no question '{strange[0]}'.")
    if part.names and not (part.own and part.others):
        found.append("Support: `consent` names the questions `own` and `others` where `names` tells of states.")
    if strange := sorted(need for sort in part.letters for need in sort.needs if need not in MUST):
        found.append(f"Support: a letter can need {', '.join(MUST)}, not '{strange[0]}'.")
    for name in ("letters", *CHOICES):
        values = [one.value for one in getattr(part, name)]
        if len(set(values)) < len(values):
            found.append(f"Support: a value of `{name}` is given twice.")
    if part.letters and not (part.phases and part.sources and part.statuses and part.for_):
        found.append("Support: `letters` need `for`, `phases`, `sources` and `statuses`.")
    if strange := sorted(c.dates for c in part.sources if c.dates and c.dates not in almanac):
        found.append(f"Support: there are no reference data '{strange[0]}'; there are {', '.join(sorted(almanac))}.")
    if not 1 <= part.a_day <= 1000:
        found.append("Support: `a_day` is 1 to 1000.")
    return found
