"""Where the money comes from: sources up to the total, what is private and public, and how far below each ceiling."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from fractions import Fraction
from typing import Any

from app.domain.parts import Ceiling
from app.domain.questionnaire import Questionnaire, Text

CENT, FOUR_PLACES = Decimal("0.01"), Decimal("0.0001")
NOTHING = Decimal("0.00")


@dataclass(frozen=True)
class Source:
    """One source; `amount` in EUR is None where it was not answered, `begins_at` is what the sources before it add up to."""

    label: Text
    is_public: bool
    amount: Decimal | None
    begins_at: Decimal


@dataclass(frozen=True)
class Held:
    """A ceiling and what was given: `share` in percent of the base, rounded away from the limit that it keeps or breaks."""

    label: Text
    base_label: Text
    amount: Decimal
    base: Decimal
    most: Decimal
    share: Decimal
    room: Decimal
    is_kept: bool


@dataclass(frozen=True)
class Waterfall:
    """The sources of a total, in EUR to the cent; `missing` is what they lack (or, below zero, exceed)."""

    label: Text
    total: Decimal | None
    sources: tuple[Source, ...]
    private: Decimal
    public: Decimal
    ceilings: tuple[Held, ...]

    @property
    def sum(self) -> Decimal:
        """All sources together."""
        return self.private + self.public

    @property
    def missing(self) -> Decimal:
        """What the sources lack to make up the total."""
        return (self.total or NOTHING) - self.sum

    def share_of(self, amount: Decimal) -> Decimal | None:
        """An amount in percent of the total, with four decimals cut off."""
        return _percent(amount, self.total, ROUND_FLOOR) if self.total else None


def of(questions: Questionnaire, answers: dict[str, Any]) -> Waterfall | None:
    """The waterfall of a version; None when the call does not ask for it or nothing of it was answered."""
    asked = questions.parts.funding
    if asked is None:
        return None
    total = _amount(asked.total, answers)
    amounts = {name: _amount(name, answers) for name in asked.sources}
    if total is None and all(amount is None for amount in amounts.values()):
        return None
    sources, reached = [], NOTHING
    for name, amount in amounts.items():
        sources.append(Source(label(questions, name), name in asked.public, amount, reached))
        reached += amount or NOTHING
    private, public = (sum((amounts[n] or NOTHING for n in names), NOTHING) for names in (asked.private, asked.public))
    held = tuple(h for h in (_held(questions, c, answers) for c in asked.ceilings) if h)
    return Waterfall(label(questions, asked.total), total, tuple(sources), private, public, held)


def label(questions: Questionnaire, name: str) -> Text:
    """What a source is called: its question, or the list whose amounts are added."""
    return questions.question(name.partition(".")[0]).label


def _amount(name: str, answers: dict[str, Any]) -> Decimal | None:
    """The amount of a question; of `list.question` the sum over the list, which is None where no list was given."""
    whole, _, part = name.partition(".")
    given = answers.get(whole)
    if given is None:
        return None
    if not part:
        return Decimal(given)
    return sum((Decimal(item[part]) for item in given if item.get(part) is not None), NOTHING)


def _held(questions: Questionnaire, ceiling: Ceiling, answers: dict[str, Any]) -> Held | None:
    base = _amount(ceiling.of, answers)
    given = [amount for name in ceiling.amounts if (amount := _amount(name, answers)) is not None]
    if not base or not given:
        return None
    amount, most = sum(given, NOTHING), Decimal(questions.limit_texts[ceiling.most][1])
    allowed = (base * most / 100).quantize(CENT, ROUND_FLOOR)
    is_kept = amount * 100 <= base * most
    share = _percent(amount, base, ROUND_FLOOR if is_kept else ROUND_CEILING)
    return Held(ceiling.label, label(questions, ceiling.of), amount, base, most, share, allowed - amount, is_kept)


def _percent(amount: Decimal, base: Decimal | None, rounding: str) -> Decimal:
    exact = Fraction(amount) * 100 / Fraction(base or 1)
    scaled = exact * 10_000
    whole = scaled.numerator // scaled.denominator
    return Decimal(whole + (rounding == ROUND_CEILING and whole != scaled)) * FOUR_PLACES
