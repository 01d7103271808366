"""Call files: YAML checked to the last name, each problem with its line and what to do."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from app.domain import kinds, questionnaire, rules
from app.domain.questionnaire import Question, Questionnaire
from app.infra.i18n import LANGUAGES

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
CLOSES = re.compile(r"(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]) ([01][0-9]|2[0-3]):[0-5][0-9]")
RESERVED = frozenset({"check", "receipts", "attachments", "versions", "withdrawal", "restoration", "draft", "copy"})
TEXT = object()  # stands for {en: ..., nl: ...}
TOP = {
    "code": str, "title": TEXT, "summary": TEXT, "closes": str, "zone": str, "respondents": dict, "headings": dict,
    "limits": dict, "uses": dict, "steps": list, "rules": list, "register": list,
}  # fmt: skip
STEP = {"name": str, "title": TEXT, "hint": TEXT, "heading": str, "for": list, "confidential": bool, "questions": list}
QUESTION = {
    "name": str, "kind": str, "label": TEXT, "hint": TEXT, "for": list, "required": object, "required_when": str,
    "max_length": int, "unit": TEXT, "min": str, "max": str, "places": int, "options": list, "default": object,
    "item": TEXT, "min_items": object, "max_items": int, "questions": list,
}  # fmt: skip
RULE = {
    "name": str, "level": str, "for": list, "each": str, "at": str, "needs": list, "check": str, "message": TEXT,
}  # fmt: skip
COLUMN = {"name": str, "label": TEXT, "kind": str, "value": str, "sum": bool}
RESPONDENT = {"title": TEXT, "hint": TEXT, "open_to": str}
OPTION = {"value": str, "label": TEXT}
LIMIT = {"kind": str, "value": str}
OPTIONAL = frozenset(
    [
        "hint",
        "for",
        "confidential",
        "required",
        "required_when",
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
        "register",
        "questions",
    ]
)


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a call file, where, and what to do about it."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class CallFileInvalid(Exception):
    """The file cannot be published; `problems` says why."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("; ".join(str(p) for p in problems))


class Marked(dict[str, Any]):
    """A mapping that remembers on which line it began."""

    line = 0


class _Loader(yaml.SafeLoader):
    """Plain YAML, with lines, and with a key given twice refused."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> Marked:
    made = Marked()
    made.line = node.start_mark.line + 1
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            raise yaml.MarkedYAMLError(problem=f"'{key}' is no name: quote it", problem_mark=key_node.start_mark)
        if key in made:
            raise yaml.MarkedYAMLError(problem=f"'{key}' is given twice: keep one", problem_mark=key_node.start_mark)
        made[key] = loader.construct_object(value_node, deep=True)
    return made


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def load(path: Path) -> dict[str, Any]:
    """The definition in a call file, as plain data; CallFileInvalid with every problem when there is one."""
    try:
        body = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506  (a SafeLoader)
    except yaml.MarkedYAMLError as failure:
        line = failure.problem_mark.line + 1 if failure.problem_mark else 1
        raise CallFileInvalid([Problem(str(path), line, f"{failure.problem}.")]) from failure
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as failure:
        raise CallFileInvalid([Problem(str(path), 1, f"The file cannot be read: {failure}.")]) from failure
    problems = [Problem(str(path), line, message) for line, message in _problems(body)]
    if problems:
        raise CallFileInvalid(sorted(problems, key=lambda p: p.line))
    plain: dict[str, Any] = _plain(body)
    return plain


def check(path: Path) -> list[Problem]:
    """Every problem of a call file; empty when it can be published."""
    try:
        load(path)
    except CallFileInvalid as failure:
        return failure.problems
    return []


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list) else value


Found = Iterator[tuple[int, str]]


def _problems(body: Any) -> Found:
    if not isinstance(body, Marked):
        yield 1, "A call file is a mapping: begin with `code: ...`."
        return
    shape = list(_shape(body, TOP, "the call file")) + list(_inner_shapes(body))
    yield from shape
    if shape:
        return  # what follows relies on the shape
    if not CLOSES.fullmatch(body["closes"]):
        yield body.line, '`closes` is month-day hour:minute, such as "06-20 17:00".'
    built = questionnaire.build(_plain(body))
    yield from _names(body)
    yield from _uses(body, built)
    yield from _rules(body, built)


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
        elif key in ("for", "needs") and not _are(body[key], str):
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


def _names(body: Marked) -> Found:
    kinds_of = set(body["respondents"])
    seen: set[str] = set()
    steps: set[str] = set()
    for step in body["steps"]:
        if not NAME.fullmatch(step["name"]) or step["name"] in RESERVED or step["name"] in steps:
            yield step.line, f"Step name '{step['name']}' is taken, reserved or not of the form a_b: choose another."
        steps.add(step["name"])
        if step["heading"] not in body["headings"]:
            yield step.line, f"Step {step['name']}: heading '{step['heading']}' is not among `headings`."
        if wrong := set(step.get("for", [])) - kinds_of:
            yield step.line, f"Step {step['name']}: {', '.join(sorted(wrong))} is no kind of respondent."
        yield from _question_names(step["questions"], seen, kinds_of)
    for unknown in (r for r in body["respondents"].values() if r["open_to"] not in ("state", "firm", "other")):
        yield unknown.line, "`open_to` is state, firm or other."


def _question_names(questions: list[Marked], seen: set[str], kinds_of: set[str]) -> Found:
    for question in questions:
        name = question["name"]
        if not NAME.fullmatch(name) or name in seen or name in ("kind", "limits", "item", "parent", "index"):
            yield question.line, f"Question name '{name}' is taken, reserved or not of the form a_b: choose another."
        seen.add(name)
        least = question.get("min_items", 0)
        listed = [question.get("for"), question.get("required"), least if isinstance(least, dict) else None]
        for wrong in (k for group in listed if isinstance(group, list | dict) for k in group if k not in kinds_of):
            yield question.line, f"Question {name}: '{wrong}' is no kind of respondent."
        yield from _question_names(question.get("questions", []), set(), kinds_of)


def _uses(body: Marked, q: Questionnaire) -> Found:
    known = {question.name for step in q.steps for question in step.questions}
    for part, name in body["uses"].items():
        if part not in ("title", "contact_email", "consent", "confidentiality", "disclosure"):
            yield body["uses"].line, f"`uses` knows no part '{part}'."
        if name not in known:
            yield body["uses"].line, f"`uses`: there is no question '{name}'."
    if "title" not in body["uses"]:
        yield body["uses"].line, "`uses` names the question that holds the `title`."


def _rules(body: Marked, q: Questionnaire) -> Found:
    top = {question.name: question for step in q.steps for question in step.questions}
    everything = set(top) | {"kind", "limits"}
    names: set[str] = set()
    for rule in body.get("rules", []):
        name, line = rule["name"], rule.line
        if name in names or not NAME.fullmatch(name):
            yield line, f"Rule name '{name}' is taken or not of the form a_b: choose another."
        names.add(name)
        if rule["level"] not in ("error", "warning"):
            yield line, f"Rule {name}: the level is error or warning."
        inside = _inside(rule.get("each"), top)
        if inside is None:
            yield line, f"Rule {name}: `each` names no list: '{rule['each']}'."
            continue
        places = {i.name for i in inside} if "each" in rule else set(top)
        if rule["at"] not in places:
            yield line, f"Rule {name}: `at` names no question there: '{rule['at']}'."
        for need in rule.get("needs", []):
            whole, _, part = need.partition(".")
            if not (part in places if whole == "item" else whole == "parent" or need in top):
                yield line, f"Rule {name}: `needs` names no question: '{need}'."
        bound = {"item", "parent", "index"} if "each" in rule else set()
        yield from _expression(rule["check"], everything | bound, line, f"Rule {name}")
    for column in body.get("register", []):
        yield from _expression(column["value"], everything, column.line, f"Register column {column['name']}")
    for step in body["steps"]:
        yield from _conditions(step["questions"], everything)


def _inside(each: str | None, top: dict[str, Question]) -> tuple[Question, ...] | None:
    """The questions that `each` reaches; None when it reaches no list."""
    if each is None:
        return ()
    found: Question | None = None
    for depth, part in enumerate(each.split(".")):
        found = (
            top.get(part)
            if depth == 0
            else next((i for i in found.questions if i.name == part), None)
            if found
            else None
        )
        if found is None or found.kind != kinds.LIST or depth > 1:
            return None
    return found.questions if found else None


def _conditions(questions: list[Marked], known: set[str], inside: bool = False) -> Found:
    for question in questions:
        if "required_when" in question:
            names = known | ({"item"} if inside else set())
            yield from _expression(question["required_when"], names, question.line, f"Question {question['name']}")
        yield from _conditions(question.get("questions", []), known, inside=True)


def _expression(source: str, known: set[str], line: int, what: str) -> Found:
    try:
        variables, functions = rules.names(source)
    except rules.RuleInvalid as failure:
        yield line, f"{what}: the expression does not parse: {failure}."
        return
    if unknown := sorted(variables - known - set(rules.FUNCTIONS)):
        yield line, f"{what}: the expression names {', '.join(unknown)}, which is no question."
    if strange := sorted(functions - set(rules.FUNCTIONS)):
        yield line, f"{what}: the expression calls {', '.join(strange)}; there are {', '.join(rules.FUNCTIONS)}."
