"""What differs between two sets of answers, question by question."""

from dataclasses import dataclass
from typing import Any

from app.domain import kinds, questionnaire
from app.domain.questionnaire import Question, Questionnaire, Step


@dataclass(frozen=True)
class Change:
    """One question answered differently; None where there is no answer."""

    step: Step
    question: Question
    path: str
    before: Any
    after: Any

    @property
    def numbers(self) -> str:
        """The numbers of the list items it stands in, such as `2.1`; empty at the top."""
        return ".".join(str(int(part) + 1) for part in self.path.split("-") if part.isdigit())


def between(q: Questionnaire, kind: str, before: dict[str, Any], after: dict[str, Any]) -> list[Change]:
    """The changes from one set of answers (files among them) to another, in order of the form."""
    old, new = _flat(q, kind, before), _flat(q, kind, after)
    found = []
    for path in [*new, *(p for p in old if p not in new)]:
        step, question, _ = new.get(path) or old[path]
        values = [side[path][2] if path in side else None for side in (old, new)]
        if question.kind == "file":
            values = [[{"name": f["name"], "sha256": f["sha256"]} for f in v or []] or None for v in values]
        if values[0] != values[1]:
            found.append(Change(step, question, path, *values))
    return found


def _flat(q: Questionnaire, kind: str, answers: dict[str, Any]) -> dict[str, tuple[Step, Question, Any]]:
    return {
        path: (step, question, value)
        for step, question, path, value in questionnaire.walk(q, kind, answers)
        if question.kind != kinds.LIST and value not in (None, "", [])
    }
