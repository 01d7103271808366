"""JSON Schema (2020-12) of the answers to a call and of what is exported of it, generated from its definition."""

from typing import Any

from app.domain import kinds, shapes
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


def sections(q: Questionnaire, kind: str, language: str = "en") -> dict[str, Any]:
    """What stands under each heading of a document of one kind of respondent: its sections, and nothing else."""
    found: dict[str, Any] = {
        heading: {"type": "object", "additionalProperties": False, "required": [], "properties": {}}
        for heading in (*shapes.HEADINGS, shapes.OTHER)
    }
    for step in q.steps_for(kind):
        questions = [question for question in step.questions_for(kind) if question.kind != "file"]
        answers = _object(questions, kind, language) | {"minProperties": 1}
        heading = found[shapes.heading_of(step)]
        heading["properties"][step.name] = {
            "type": "object",
            "additionalProperties": False,
            "required": ["title", "confidential", "answers"],
            "properties": {
                "title": {"const": step.title},
                "confidential": {"type": "boolean"},
                "answers": answers,
            },
        }
        if answers["required"]:
            heading["required"].append(step.name)
    return found


def facts(q: Questionnaire) -> dict[str, Any]:
    """What a call computes from the answers: a value for each column of its register, null where there is none."""
    values = {
        "money": {"type": "string", "pattern": r"^-?[0-9]+\.[0-9]{2}$"},
        "decimal": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,4})?$"},
        "integer": {"type": "integer"},
        "yes_no": {"type": "boolean"},
    }
    values["percent"] = values["decimal"]
    columns = {
        c.name: {
            "anyOf": [values.get(c.kind, {"type": "string"}), {"type": "null"}],
            "title": c.label["en"],
        }
        for c in q.register
    }
    return {"type": "object", "additionalProperties": False, "required": list(columns), "properties": columns}


def names(q: Questionnaire, kind: str) -> dict[str, list[str]]:
    """What the parts of a document may name: its questions of files, its sections, its rules that warn."""
    steps = q.steps_for(kind)
    return {
        "files": [question.name for step in steps for question in step.questions_for(kind) if question.kind == "file"],
        "sections": [step.name for step in steps],
        "warnings": [rule.name for rule in q.rules if rule.level == "warning"],
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
