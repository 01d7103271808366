"""JSON Schema of call files, generated from their grammar: completion and checks while one is written in an editor."""

from typing import Any

from app.domain import clauses, grammar, kinds, manual, pledges, yardsticks
from app.infra.i18n import LANGUAGES

DIALECT = "http://json-schema.org/draft-07/schema#"  # what editors of YAML understand
NAME = "^[a-z][a-z0-9_]{0,62}$"
NUMERIC = ["money", "decimal", "percent", "integer"]
# Each part of the grammar by the name that the manual gives it.
PARTS: dict[str, dict[str, Any]] = {
    "call": grammar.TOP, "respondent": grammar.RESPONDENT, "limit": grammar.LIMIT, "step": grammar.STEP,
    "question": grammar.QUESTION, "option": grammar.OPTION, "rule": grammar.RULE, "column": grammar.COLUMN,
    "parts": grammar.PARTS, "entities": grammar.ENTITIES, "owners": grammar.OWNERS, "sites": grammar.SITES,
    "milestones": grammar.MILESTONES, "funding": grammar.FUNDING, "ceiling": grammar.CEILING, "spread": grammar.SPREAD,
    "review": grammar.REVIEW, "line": grammar.LINE, "criterion": grammar.CRITERION, "disclosure": grammar.DISCLOSURE,
    "retention": grammar.RETENTION, "support": pledges.SHAPE, "sharing": pledges.CONSENT,
    "letter": pledges.LETTER | {"label": grammar.TEXT}, "source": pledges.SOURCE | {"label": grammar.TEXT},
}  # fmt: skip
# Which part the items of a list, or the values of a mapping, are.
ITEMS = {
    "call.steps": "step", "call.rules": "rule", "call.register": "column", "call.clarifications": "option",
    "step.questions": "question", "question.questions": "question", "question.options": "option",
    "parts.spreads": "spread", "funding.ceilings": "ceiling", "review.checklist": "line", "review.criteria": "criterion",
    "review.recommendations": "option", "disclosure.grounds": "option", "support.letters": "letter", "support.phases": "option",
    "support.sources": "source", "support.statuses": "option", "support.interests": "option",
}  # fmt: skip
VALUES = {"call.limits": "limit", "call.headings": "text"}
WHOLE = {
    "call.parts": "parts", "call.review": "review", "call.disclosure": "disclosure", "call.retention": "retention",
    "parts.entities": "entities", "parts.sites": "sites", "parts.milestones": "milestones", "parts.funding": "funding",
    "entities.owners": "owners", "call.support": "support", "support.consent": "sharing",
}  # fmt: skip
TEXTS: dict[str, Any] = {"type": "array", "items": {"type": "string"}}
# What the grammar leaves to later checks, said here so that an editor can offer it.
NARROWER: dict[str, dict[str, Any]] = {
    "call.closes": {
        "type": "string",
        "pattern": "^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]) ([01][0-9]|2[0-3]):[0-5][0-9]$",
    },
    "call.respondents": {
        "type": "object",
        "additionalProperties": False,
        "properties": {kind: {"$ref": "#/definitions/respondent"} for kind in ("MS", "FC", "OO")},
    },
    "call.release": {"enum": ["at_seal", "by_coordinator"]},
    "call.assurance": {"enum": ["low", "substantial", "high"]},
    "call.confirmation": {"enum": ["lead"]},
    "call.mandates": {"enum": ["required"]},
    "call.uses": {
        "type": "object",
        "additionalProperties": False,
        "required": ["title"],
        "properties": {name: {"type": "string", "description": said} for name, said in manual.KEYS["uses"].items()},
    },
    "respondent.open_to": {"enum": ["state", "firm", "other"]},
    "limit.kind": {"enum": NUMERIC},
    "step.name": {"type": "string", "pattern": NAME},
    "question.name": {"type": "string", "pattern": NAME},
    "question.kind": {"oneOf": [{"const": name, "description": said} for name, said in manual.KINDS.items()]},
    "question.required": {"oneOf": [{"type": "boolean"}, TEXTS]},
    "question.default": {"oneOf": [{"type": "string"}, TEXTS]},
    "question.min_items": {
        "oneOf": [{"type": "integer"}, {"type": "object", "additionalProperties": {"type": "integer"}}]
    },
    "rule.name": {"type": "string", "pattern": NAME},
    "rule.level": {"enum": ["error", "warning"]},
    "column.kind": {"enum": [*kinds.KINDS]},
    "line.part": {"enum": [*yardsticks.PARTS]},
    "criterion.weight": {"type": "string", "pattern": f"^{grammar.WEIGHT.pattern}$"},
    "disclosure.opens": {"type": "object", "additionalProperties": TEXTS},
    "letter.needs": {"type": "array", "items": {"enum": [*pledges.MUST]}},
    "support.a_day": {"type": "integer", "minimum": 1, "maximum": 1000},
    **{f"retention.{sort}": {"type": "integer", "minimum": 1, "maximum": 1200} for sort in clauses.SORTS},
    **{f"disclosure.{name}": {"type": "integer", "minimum": 1, "maximum": 366} for name in ("weeks", "longer", "view_days")},
}  # fmt: skip
# Options belong to choices and questions to lists, and those need them.
BELONGING = [
    {
        "if": {"required": ["kind"], "properties": {"kind": {"enum": sorts}}},
        "then": {"required": [key], "properties": {key: {"minItems": 1}}},
        "else": {"properties": {key: {"maxItems": 0}}},
    }
    for key, sorts in (("options", ["choice", "choices"]), ("questions", [kinds.LIST]))
]
PLAIN = {str: "string", int: "integer", bool: "boolean", list: "array", dict: "object"}


def json_schema() -> dict[str, Any]:
    """The schema of a whole call file. What needs more than one place of the file is left to `call check`."""
    text = {
        "type": "object",
        "description": "A text in each language.",
        "additionalProperties": False,
        "required": [*LANGUAGES],
        "properties": {language: {"type": "string", "pattern": r"\S"} for language in LANGUAGES},
    }
    made = {name: _part(name, keys) for name, keys in PARTS.items()}
    made["question"]["allOf"] = BELONGING
    return {
        "$schema": DIALECT,
        "$id": "urn:eoi:call-file",
        "title": "A call file of the expression of interest portal",
        **made.pop("call"),
        "definitions": {"text": text, **made},
    }


def _part(name: str, keys: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [key for key in keys if key not in grammar.OPTIONAL],
        "properties": {
            key: {"description": manual.KEYS[name][key], **_value(f"{name}.{key}", kind)} for key, kind in keys.items()
        },
    }


def _value(place: str, kind: Any) -> dict[str, Any]:
    """The shape of one value. A reference stands in `allOf`, as beside it a description would be passed over."""
    if place in NARROWER:
        return NARROWER[place]
    if kind is grammar.TEXT:
        return {"allOf": [_reference("text")]}
    if place in WHOLE:
        return {"allOf": [_reference(WHOLE[place])]}
    if place in ITEMS:
        return {"type": "array", "items": _reference(ITEMS[place])}
    if place in VALUES:
        return {"type": "object", "additionalProperties": _reference(VALUES[place])}
    return TEXTS if place.split(".")[1] in grammar.NAMES else {"type": PLAIN[kind]}


def _reference(part: str) -> dict[str, str]:
    return {"$ref": f"#/definitions/{part}"}
