"""Definitions: a call file as published, named by its digest, and the questionnaire that is built of it."""

import hashlib
from typing import Any

import rfc8785

from app.domain import clauses, kinds, parts, pledges, yardsticks
from app.domain.questionnaire import Option, Question, Questionnaire, RegisterColumn, Respondent, Rule, Step

DEFAULT_LENGTH = {"text": 200, "long_text": 3000}
# Beyond these a typing error is certain, and rules stay within 64 bits: 100 billion EUR, a billion of anything.
DEFAULT_MAX = {"percent": "100", "money": "100000000000.00", "decimal": "1000000000", "integer": "1000000000000"}
DEFAULT_FILES = 5
DEFAULT_ITEMS = 50


def digest(definition: dict[str, Any]) -> str:
    """SHA-256 (hex) of a definition's canonical JSON (RFC 8785): its name for ever."""
    return hashlib.sha256(rfc8785.dumps(definition)).hexdigest()


def build(body: dict[str, Any], name: str | None = None) -> Questionnaire:
    """The questionnaire of a checked definition; `name` is its digest where that is known already."""
    everybody = frozenset(body["respondents"])
    limits = body.get("limits", {})
    return Questionnaire(
        definition=body,
        digest=name or digest(body),
        code=body["code"],
        title=body["title"],
        summary=body["summary"],
        notice=body.get("notice"),
        help=body.get("help"),
        privacy=body.get("privacy"),
        respondents={k: Respondent(k, r["title"], r["hint"], r["open_to"]) for k, r in body["respondents"].items()},
        headings=body["headings"],
        limits={k: _limit(v["kind"], v["value"]) for k, v in limits.items()},
        limit_texts={k: (v["kind"], v["value"]) for k, v in limits.items()},
        uses=body["uses"],
        steps=tuple(_step(s, everybody) for s in body["steps"]),
        rules=tuple(_rule(r, everybody) for r in body.get("rules", [])),
        register=tuple(_column(c) for c in body.get("register", [])),
        parts=parts.build(body.get("parts", {})),
        review=yardsticks.build(body.get("review", {}), everybody),
        topics=tuple(Option(o["value"], o["label"]) for o in body.get("clarifications", [])),
        disclosure=clauses.disclosure(body.get("disclosure", {})),
        retention=dict(body.get("retention", {})),
        support=pledges.build(body.get("support", {})),
    )


def _limit(kind: str, value: str) -> Any:
    """A limit as rules see it; in the file every limit is a text, so that no digit of it is lost."""
    return int(value) if kind == "integer" else kinds.KINDS[kind].to_cel(value)


def _column(body: dict[str, Any]) -> RegisterColumn:
    ranges = tuple(body.get("ranges", []))
    is_facet = bool(body.get("facet", False) or ranges)
    return RegisterColumn(
        body["name"], body["label"], body["kind"], body["value"], body.get("sum", False), is_facet, ranges
    )


def _kinds_of(value: Any, everybody: frozenset[str]) -> frozenset[str]:
    if value is True:
        return everybody
    return frozenset(value or ())


def _step(body: dict[str, Any], everybody: frozenset[str]) -> Step:
    for_ = frozenset(body.get("for", everybody))
    return Step(
        name=body["name"],
        title=body["title"],
        hint=body.get("hint"),
        heading=body["heading"],
        for_=for_,
        confidential=body.get("confidential", False),
        anew=body.get("anew", False),
        questions=tuple(_question(q, for_) for q in body["questions"]),
    )


def _question(body: dict[str, Any], asked: frozenset[str]) -> Question:
    kind = body["kind"]
    for_ = frozenset(body.get("for", asked))
    least = body.get("min_items", 0)
    return Question(
        name=body["name"],
        kind=kind,
        label=body["label"],
        hint=body.get("hint"),
        for_=for_,
        required=_kinds_of(body.get("required", False), for_) & for_,
        required_when=body.get("required_when"),
        max_length=body.get("max_length", DEFAULT_LENGTH.get(kind, 200)),
        places=body.get("places", 2),
        min=body.get("min", "0" if kind in ("percent", "money") else None),
        max=body.get("max", DEFAULT_MAX.get(kind)),
        unit=body.get("unit"),
        options=tuple(Option(o["value"], o["label"]) for o in body.get("options", [])),
        default=body.get("default"),
        item=body.get("item", body["label"]),
        min_items=dict.fromkeys(for_, least) if isinstance(least, int) else dict(least),
        max_items=body.get("max_items", DEFAULT_FILES if kind == "file" else DEFAULT_ITEMS),
        questions=tuple(_question(q, for_) for q in body.get("questions", [])),
    )


def _rule(body: dict[str, Any], everybody: frozenset[str]) -> Rule:
    return Rule(
        name=body["name"],
        level=body["level"],
        for_=frozenset(body.get("for", everybody)),
        each=tuple(body["each"].split(".")) if "each" in body else (),
        at=body["at"],
        needs=tuple(body.get("needs", [])),
        check=body["check"],
        message=body["message"],
    )
