"""JSON Schema (2020-12) of the answers to a call, generated from its definition."""

from typing import Any

from app.domain import kinds
from app.domain.questionnaire import Question, Questionnaire

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(q: Questionnaire, kind: str, language: str = "en") -> dict[str, Any]:
    """What the `answers` of an accepted version look like for one kind of respondent.

    Money is a string with two decimals in EUR, decimals and percentages are strings, dates are ISO 8601.
    """
    questions = [s for step in q.steps_for(kind) for s in step.questions_for(kind) if s.kind != "file"]
    return {
        "$schema": DIALECT,
        "$id": f"urn:eoi:{q.digest}:{kind}",
        "title": f"{q.title.get(language, q.title['en'])} ({kind})",
        **_object(questions, kind, language),
    }


def _object(questions: list[Question], kind: str, language: str) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [q.name for q in questions if kind in q.required or q.min_items.get(kind, 0) > 0],
        "properties": {q.name: _property(q, kind, language) for q in questions},
    }


def _property(question: Question, kind: str, language: str) -> dict[str, Any]:
    words = {"title": question.label.get(language, question.label["en"])}
    if question.hint:
        words["description"] = question.hint.get(language, question.hint["en"])
    if question.unit:
        words["$comment"] = f"unit: {question.unit['en']}"
    if question.kind != kinds.LIST:
        return kinds.KINDS[question.kind].schema(question) | words
    inner = [q for q in question.questions_for(kind) if q.kind != "file"]
    bounds = {"minItems": question.min_items.get(kind, 0), "maxItems": question.max_items}
    return {"type": "array", **bounds, "items": _object(inner, kind, language), **words}
