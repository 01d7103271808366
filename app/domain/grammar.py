"""The grammar of call files: which keys each part holds, and of what shape each value is."""

import re
from collections.abc import Iterator
from typing import Any

from app.domain import clauses, kinds, pledges, rules
from app.infra.i18n import LANGUAGES

Found = Iterator[tuple[int, str]]

TEXT = object()  # stands for {en: ..., nl: ...}
TOP = {
    "code": str, "title": TEXT, "summary": TEXT, "closes": str, "zone": str, "respondents": dict, "headings": dict,
    "limits": dict, "uses": dict, "steps": list, "rules": list, "register": list,
    "release": str, "assurance": str, "confirmation": str, "mandates": str,
    "clarifications": list,
    "notice": TEXT, "help": TEXT, "privacy": TEXT,
    "parts": dict,
    "review": dict,
    "disclosure": dict,
    "retention": dict,
    "support": dict,
}  # fmt: skip
STEP = {
    "name": str, "title": TEXT, "hint": TEXT, "heading": str, "for": list, "confidential": bool, "anew": bool,
    "questions": list,
}  # fmt: skip
QUESTION = {
    "name": str, "kind": str, "label": TEXT, "hint": TEXT, "for": list, "required": object, "required_when": str,
    "max_length": int, "unit": TEXT, "min": str, "max": str, "places": int, "options": list, "default": object,
    "item": TEXT, "min_items": object, "max_items": int, "questions": list,
}  # fmt: skip
RULE = {
    "name": str, "level": str, "for": list, "each": str, "at": str, "needs": list, "check": str, "message": TEXT,
}  # fmt: skip
COLUMN = {"name": str, "label": TEXT, "kind": str, "value": str, "sum": bool, "facet": bool, "ranges": list}
RESPONDENT = {"title": TEXT, "hint": TEXT, "open_to": str}
OPTION = {"value": str, "label": TEXT}
LIMIT = {"kind": str, "value": str}
# Which question holds what the desk draws and compares; see parts.py.
PARTS = {"entities": dict, "sites": dict, "milestones": dict, "funding": dict, "spreads": list}
ENTITIES = {
    "list": str,
    "name": str,
    "role": str,
    "lead": str,
    "country": str,
    "address": str,
    "registration": str,
    "incorporated": str,
    "owners": dict,
}
OWNERS = {"list": str, "name": str, "country": str, "share": str, "votes": str, "via": str}
SITES = {
    "list": str, "name": str, "country": str, "nuts": str, "latitude": str, "longitude": str, "address": str,
}  # fmt: skip
MILESTONES = {"list": str, "name": str, "day": str, "sort": str}
FUNDING = {"total": str, "private": list, "public": list, "ceilings": list}
CEILING = {"label": TEXT, "amounts": list, "of": str, "most": str}
SPREAD = {"name": str, "label": TEXT, "column": str, "share_of": str, "edges": list}
# What reviewers work by; see yardsticks.py.
REVIEW = {"language": str, "checklist": list, "criteria": list, "recommendations": list}
LINE = {"name": str, "part": str, "for": list, "needs": list, "label": TEXT, "check": str, "evidence": list}
CRITERION = {"name": str, "heading": str, "for": list, "weight": str, "most": int, "label": TEXT, "guide": TEXT}
DISCLOSURE = {
    "weeks": int, "longer": int, "view_days": int, "contact": str, "personal": list, "names": list, "personal_ground": str,
    "opens": dict, "grounds": list,
}  # fmt: skip
RETENTION = dict.fromkeys(clauses.SORTS, int)
OPTIONAL = frozenset(
    [
        *("hint", "for", "confidential", "anew", "required", "required_when"),
        "max_length",
        "unit",
        "min",
        "max",
        "places",
        "options",
        "default",
        "item",
        "min_items",
        "max_items",
        "each",
        "needs",
        "sum",
        "limits",
        "rules",
        *("register", "release", "assurance", "confirmation", "mandates", "notice", "help", "privacy"),
        "questions",
        "parts",
        *PARTS,
        "review",
        *REVIEW,
        "disclosure",
        "retention",
        *DISCLOSURE,
        *RETENTION,
        *("support", *pledges.OPTIONAL),
        *(
            "facet",
            "ranges",
            "role",
            "lead",
            "country",
            "address",
            "registration",
            "incorporated",
            "owners",
            "share",
            "votes",
            "via",
            "nuts",
            "latitude",
            "longitude",
        ),
        *("sort", "ceilings", "share_of"),
    ]
)
# What stands in each part, and in each item of its lists.
INNER: dict[str, dict[str, Any]] = {"entities": ENTITIES, "sites": SITES, "milestones": MILESTONES, "funding": FUNDING}


NAMES = (
    "for",
    "needs",
    "private",
    "public",
    "amounts",
    "edges",
    "ranges",
    "evidence",
    "personal",
    "names",
)


WEIGHT = re.compile(r"[0-9]{1,3}(\.[0-9]{1,2})?")


class Marked(dict[str, Any]):
    """A mapping that remembers on which line it began."""

    line = 0


def problems(body: Marked) -> Found:
    """What has not the shape of a call file: line and sentence each."""
    yield from _shape(body, TOP, "the call file")
    yield from _inner_shapes(body)


def _shape(body: Any, wanted: dict[str, Any], what: str) -> Found:
    if not isinstance(body, Marked):
        yield 1, f"{what} is a mapping."
        return
    for key in body:
        if key not in wanted:
            yield body.line, f"{what} has no key '{key}'; there are {', '.join(wanted)}."
    for key, kind in wanted.items():
        if key not in body:
            if key not in OPTIONAL:
                yield body.line, f"{what} lacks '{key}': add it."
        elif kind is TEXT:
            yield from _text(body[key], body.line, f"'{key}' of {what}")
        elif kind is not object and not (isinstance(body[key], kind) and (kind is not int or body[key] is not True)):
            yield body.line, f"'{key}' of {what} is a {kind.__name__}: quote texts and numbers that are texts."
        elif key in NAMES and not _are(body[key], str):
            yield body.line, f"'{key}' of {what} is a list of names."


def _are(found: Any, sort: type) -> bool:
    """Whether it is a list, or a mapping to values, of one sort."""
    held = found.values() if isinstance(found, dict) else found
    return isinstance(found, list | dict) and all(isinstance(one, sort) for one in held)


def _text(value: Any, line: int, what: str) -> Found:
    if not isinstance(value, dict) or set(value) != set(LANGUAGES):
        yield line, f"{what} is a text in {' and '.join(LANGUAGES)}."
    elif not all(isinstance(v, str) and v.strip() for v in value.values()):
        yield line, f"{what} is empty in one language: write it."


def _inner_shapes(body: Marked) -> Found:
    for name, respondent in _inside_of(body, "respondents", dict).items():
        yield from _shape(respondent, RESPONDENT, f"respondent {name}")
    for name, heading in _inside_of(body, "headings", dict).items():
        yield from _text(heading, body.line, f"heading {name}")
    for name, limit in _inside_of(body, "limits", dict).items():
        yield from _shape(limit, LIMIT, f"limit {name}")
        if isinstance(limit, dict) and limit.get("kind") not in ("money", "decimal", "percent", "integer"):
            yield getattr(limit, "line", body.line), f"limit {name} is money, decimal, percent or integer."
    if not _are(_inside_of(body, "uses", dict), str):
        yield body["uses"].line, "`uses` names one question for each part."
    for step in _inside_of(body, "steps", list):
        yield from _shape(step, STEP, "a step")
        for question in _inside_of(step, "questions", list):
            yield from _question_shape(question, depth=0)
    for rule in _inside_of(body, "rules", list):
        yield from _shape(rule, RULE, "a rule")
    for column in _inside_of(body, "register", list):
        yield from _shape(column, COLUMN, "a register column")
    for topic in _inside_of(body, "clarifications", list):
        yield from _shape(topic, OPTION, "a topic of clarifications")
    for name, wanted in (("disclosure", DISCLOSURE), ("retention", RETENTION)):
        if name in body:
            yield from _shape(body[name], wanted, f"`{name}`")
    for part, keys, what in pledges.shapes(body.get("support"), TEXT):
        yield from _shape(part, keys, what)
    for answer, opened in _inside_of(body.get("disclosure"), "opens", dict).items():
        if not isinstance(opened, list) or not _are(opened, str):
            yield body["disclosure"].line, f"What '{answer}' opens is a list of names."
    for ground in _inside_of(body.get("disclosure"), "grounds", list):
        yield from _shape(ground, OPTION, "a ground")
    if "parts" in body and isinstance(body["parts"], dict):
        yield from _parts_shape(body["parts"])
    if isinstance(body.get("review"), dict):
        yield from _review_shape(body["review"])


def _parts_shape(parts: Any) -> Found:
    yield from _shape(parts, PARTS, "`parts`")
    for name, wanted in INNER.items():
        if name in parts:
            yield from _shape(parts[name], wanted, f"part {name}")
    owners = _inside_of(parts.get("entities"), "owners", dict)
    if owners:
        yield from _shape(owners, OWNERS, "part owners")
    for ceiling in _inside_of(parts.get("funding"), "ceilings", list):
        yield from _shape(ceiling, CEILING, "a ceiling")
    for spread in _inside_of(parts, "spreads", list):
        yield from _shape(spread, SPREAD, "a spread")


def _review_shape(review: Any) -> Found:
    yield from _shape(review, REVIEW, "`review`")
    for line in _inside_of(review, "checklist", list):
        yield from _shape(line, LINE, "a checklist line")
    for criterion in _inside_of(review, "criteria", list):
        yield from _shape(criterion, CRITERION, "a criterion")
        if not WEIGHT.fullmatch(str(criterion.get("weight") if isinstance(criterion, Marked) else "")):
            yield (
                getattr(criterion, "line", review.line),
                'The `weight` of a criterion is a percentage, such as "12.5".',
            )
    for word in _inside_of(review, "recommendations", list):
        yield from _shape(word, OPTION, "a recommendation")


def _inside_of(body: Any, key: str, sort: type) -> Any:
    """What stands under a key, or nothing where that is of another sort: its shape is complained about already."""
    found = body.get(key) if isinstance(body, Marked) else None
    return found if isinstance(found, sort) else sort()


def _question_shape(body: Any, depth: int) -> Found:
    yield from _shape(body, QUESTION, "a question")
    if not isinstance(body, Marked):
        return
    kind, name, line = body.get("kind"), body.get("name"), body.line
    if kind not in (*kinds.KINDS, kinds.LIST):
        yield line, f"Question {name} is of kind '{kind}'; there are {', '.join((*kinds.KINDS, kinds.LIST))}."
    required, least = body.get("required", False), body.get("min_items", 0)
    if not (isinstance(required, bool) or (isinstance(required, list) and _are(required, str))):
        yield line, f"Question {name}: `required` is true or a list of kinds of respondent."
    if not (isinstance(least, int) or (isinstance(least, dict) and _are(least, int))):
        yield line, f"Question {name}: `min_items` is a number, or one for each kind of respondent."
    for option in _inside_of(body, "options", list):
        yield from _shape(option, OPTION, f"an option of {name}")
    if (kind in ("choice", "choices")) != bool(body.get("options")):
        yield line, f"Question {name}: `options` belong to choice and choices, and those need them."
    if (kind == kinds.LIST) != bool(body.get("questions")):
        yield line, f"Question {name}: `questions` belong to a list, and a list needs them."
    if depth and kind == "file":
        yield line, f"Question {name}: files are asked at the top of a step, not inside a list."
    if depth > 1 and kind == kinds.LIST:
        yield line, f"Question {name}: a list inside a list inside a list cannot be shown; put it one level up."
    values = [o.get("value") for o in _inside_of(body, "options", list) if isinstance(o, dict)]
    given = body.get("default")
    if given is not None and any(one not in values for one in (given if isinstance(given, list) else [given])):
        yield line, f"Question {name}: the default is not among the options."
    for inner in _inside_of(body, "questions", list):
        yield from _question_shape(inner, depth + 1)


def expression(source: str, known: set[str], line: int, what: str) -> Found:
    """What is wrong with an expression that may name `known`."""
    try:
        variables, functions = rules.names(source)
    except rules.RuleInvalid as failure:
        yield line, f"{what}: the expression does not parse: {failure}."
        return
    if unknown := sorted(variables - known - set(rules.FUNCTIONS)):
        yield line, f"{what}: the expression names {', '.join(unknown)}, which is no question."
    if strange := sorted(functions - set(rules.FUNCTIONS)):
        yield line, f"{what}: the expression calls {', '.join(strange)}; there are {', '.join(rules.FUNCTIONS)}."
