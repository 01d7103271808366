"""The milestones of a version in order of time, each with its place between the first and the last."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from app.domain.questionnaire import Questionnaire, Text


@dataclass(frozen=True)
class Milestone:
    """A milestone: its own name, what sort it is, its day, and how far along it lies (0 to 1)."""

    name: str | None
    sort: Text | None
    on: date
    along: float
    months: int


def of(questions: Questionnaire, answers: dict[str, Any]) -> list[Milestone]:
    """The milestones that have a day, the earliest first; `months` counts whole months since the first."""
    part = questions.parts.milestones
    given = [] if part is None else [m for m in answers.get(part.list) or [] if m.get(part.day)]
    if part is None or not given:
        return []
    sorts = next((q.options for q in questions.question(part.list).questions if q.name == part.sort), ())
    labels = {option.value: option.label for option in sorts}
    dated = sorted(((date.fromisoformat(m[part.day]), m) for m in given), key=lambda pair: pair[0])
    first, last = dated[0][0], dated[-1][0]
    days = max((last - first).days, 1)
    return [
        Milestone(
            m.get(part.name) or None,
            labels.get(m.get(part.sort or "")),
            on,
            (on - first).days / days,
            _months(first, on),
        )
        for on, m in dated
    ]


def _months(a: date, b: date) -> int:
    return (b.year - a.year) * 12 + b.month - a.month - (b.day < a.day)
