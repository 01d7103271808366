"""What a call file says of disclosure and retention: grounds and terms of open-government requests, and how long data stay."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

NAME = "_name"  # stands for title, organisation and members among the sections of a dossier; no step is called so
SORTS = ("drafts", "submissions", "reviews", "withdrawn", "attempts", "mails", "sign_ins", "support")


@dataclass(frozen=True)
class Ground:
    """A ground on which something is withheld."""

    value: str
    label: dict[str, str]


@dataclass(frozen=True)
class Disclosure:
    """How requests are dealt with.

    `weeks` to answer and `longer` at most on extension, days for the submitter's view; steps and questions that hold
    `personal` data and are never disclosed; questions whose answers are `names` as the title is; and what each answer to `uses.disclosure` opens (`_name` and steps).
    """

    weeks: int = 4
    longer: int = 2
    view_days: int = 14
    contact: str | None = None
    personal: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    personal_ground: str | None = None
    opens: dict[str, tuple[str, ...]] = field(default_factory=dict)
    grounds: tuple[Ground, ...] = ()

    def ground(self, value: str | None) -> Ground | None:
        """The ground of this name."""
        return next((g for g in self.grounds if g.value == value), None)


def disclosure(body: dict[str, Any]) -> Disclosure:
    """The part `disclosure` of a checked definition."""
    given = {
        name: body[name] for name in ("weeks", "longer", "view_days", "contact", "personal_ground") if name in body
    }
    return Disclosure(
        **given,
        personal=tuple(body.get("personal", ())),
        names=tuple(body.get("names", ())),
        opens={answer: tuple(parts) for answer, parts in body.get("opens", {}).items()},
        grounds=tuple(Ground(g["value"], g["label"]) for g in body.get("grounds", ())),
    )


def problems(
    part: Disclosure, terms: dict[str, int], steps: set[str], has: Callable[[str], bool]
) -> dict[str, list[str]]:
    """What does not fit the rest of the file, by part; `has` tells whether there is a question of a name."""
    grounds, found = {g.value for g in part.grounds}, []
    if strange := sorted(name for name in part.personal if name not in steps and not has(name)):
        found.append(f"Disclosure: `personal` names no step or question: '{strange[0]}'.")
    if strange := sorted(name for name in part.names if not has(name)):
        found.append(f"Disclosure: `names` names no question: '{strange[0]}'.")
    if part.contact and not has(part.contact):
        found.append(f"Disclosure: `contact` names no question: '{part.contact}'.")
    if part.personal_ground and part.personal_ground not in grounds:
        found.append(f"Disclosure: `personal_ground` is none of the grounds: '{part.personal_ground}'.")
    if not all(1 <= number <= 366 for number in (part.weeks, part.longer, part.view_days)):
        found.append("Disclosure: `weeks`, `longer` and `view_days` are 1 to 366.")
    if strange := sorted(answer for answer, opened in part.opens.items() if not set(opened) <= steps | {NAME}):
        found.append(f"Disclosure: what '{strange[0]}' opens is a list of steps and {NAME}.")
    wrong = [f"Retention: the term of {sort} is 1 to 1200 months." for sort, m in terms.items() if not 1 <= m <= 1200]
    return {"disclosure": found, "retention": wrong}
