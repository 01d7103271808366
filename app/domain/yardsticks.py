"""What a call file gives reviewers to work by: checklist lines, criteria with weights, and RVO's own words to recommend in."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

Text = dict[str, str]
PARTS = ("eligibility", "completeness")


@dataclass(frozen=True)
class Line:
    """A line of the checklist. `check` comes to true, false or null (cannot tell), as it does where a need is unanswered.

    `evidence` names the answers to show beside it: a question, or a question of a list as `list.question`.
    """

    name: str
    part: str
    for_: frozenset[str]
    needs: tuple[str, ...]
    check: str
    label: Text
    evidence: tuple[str, ...]


@dataclass(frozen=True)
class Criterion:
    """What readers score, from 0 to `most` points; the weights, in percent, of a kind of respondent add up to 100."""

    name: str
    heading: str
    for_: frozenset[str]
    weight: Decimal
    most: int
    label: Text
    guide: Text

    def weighted(self, points: Decimal) -> Decimal:
        """What the points add to a total of at most 100, exactly: `most` divides without a remainder."""
        return points * self.weight / self.most


@dataclass(frozen=True)
class Word:
    """A recommendation to choose from."""

    value: str
    label: Text


@dataclass(frozen=True)
class Yardsticks:
    """All of it. `language` names the question that tells in which language the answers are written."""

    checklist: tuple[Line, ...] = ()
    criteria: tuple[Criterion, ...] = ()
    recommendations: tuple[Word, ...] = ()
    language: str | None = None

    def lines_for(self, kind: str) -> tuple[Line, ...]:
        """The checklist of a kind of respondent."""
        return tuple(line for line in self.checklist if kind in line.for_)

    def criteria_for(self, kind: str) -> tuple[Criterion, ...]:
        """What a kind of respondent is scored on; empty where it is not scored."""
        return tuple(criterion for criterion in self.criteria if kind in criterion.for_)


def build(body: dict[str, Any], everybody: frozenset[str]) -> Yardsticks:
    """The yardsticks of a checked definition."""
    return Yardsticks(
        checklist=tuple(_line(line, everybody) for line in body.get("checklist", [])),
        criteria=tuple(_criterion(criterion, everybody) for criterion in body.get("criteria", [])),
        recommendations=tuple(Word(word["value"], word["label"]) for word in body.get("recommendations", [])),
        language=body.get("language"),
    )


def _line(body: dict[str, Any], everybody: frozenset[str]) -> Line:
    return Line(
        name=body["name"],
        part=body["part"],
        for_=frozenset(body.get("for", everybody)),
        needs=tuple(body.get("needs", [])),
        check=body["check"],
        label=body["label"],
        evidence=tuple(body["evidence"]),
    )


def _criterion(body: dict[str, Any], everybody: frozenset[str]) -> Criterion:
    return Criterion(
        name=body["name"],
        heading=body["heading"],
        for_=frozenset(body.get("for", everybody)),
        weight=Decimal(body["weight"]),
        most=body["most"],
        label=body["label"],
        guide=body["guide"],
    )
