"""Call files: YAML checked to the last name, each problem with its line and what to do."""

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from app.domain import almanac, calibration, clauses, definitions, grammar, kinds, pledges
from app.domain.grammar import Found, Marked
from app.domain.questionnaire import Question, Questionnaire

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
CLOSES = re.compile(r"(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01]) ([01][0-9]|2[0-3]):[0-5][0-9]")
CHOICES = {"release": ("at_seal", "by_coordinator"), "assurance": ("low", "substantial", "high")}
CHOICES |= {"confirmation": ("lead",), "mandates": ("required",)}
RESERVED = {"check", "receipts", "attachments", "versions", "withdrawal", "restoration", "draft", "copy"}
RESERVED |= {"clarifications", "disclosures", "letters", "interests", "answers"}
RESERVED |= {"participants", "partner", "confirmation"}


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


def _problems(body: Any) -> Found:
    if not isinstance(body, Marked):
        yield 1, "A call file is a mapping: begin with `code: ...`."
        return
    shape = list(grammar.problems(body))
    yield from shape
    if shape:
        return  # what follows relies on the shape
    if not CLOSES.fullmatch(body["closes"]):
        yield body.line, '`closes` is month-day hour:minute, such as "06-20 17:00".'
    for name, known in CHOICES.items():
        if name in body and body[name] not in known:
            yield body.line, f"`{name}` is {' or '.join(', '.join(known).rsplit(', ', 1))}."
    built = definitions.build(_plain(body))
    yield from _names(body)
    yield from _uses(body, built)
    yield from _topics(body.get("clarifications", []))
    yield from _rules(body, built)
    yield from _parts(body.get("parts", Marked()), built)
    yield from calibration.problems(body, built)
    steps = {step.name for step in built.steps}
    for name, found in clauses.problems(built.disclosure, built.retention, steps, built.has).items():
        yield from ((body[name].line, wrong) for wrong in found)
    for wrong in pledges.problems(built.support, set(built.respondents), set(almanac.NAMES), built.reaches):
        yield body["support"].line, wrong


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
    for kind, one in body["respondents"].items():
        if one["open_to"] not in ("state", "firm", "other"):
            yield one.line, "`open_to` is state, firm or other."
        elif kind not in ("MS", "FC", "OO") or (one["open_to"] == "state") != (kind == "MS"):
            yield one.line, f"Respondents are MS, open to state, and FC and OO, open to firm or other: '{kind}' is not."


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


def _topics(topics: list[Marked]) -> Found:
    seen: set[str] = set()
    for topic in topics:
        if not NAME.fullmatch(topic["value"]) or topic["value"] in seen:
            yield topic.line, f"Topic '{topic['value']}' is taken or not of the form a_b: choose another."
        seen.add(topic["value"])


def _parts(parts: Marked, q: Questionnaire) -> Found:
    top = {question.name: question for step in q.steps for question in step.questions}
    for name in ("entities", "sites", "milestones"):
        if name in parts:
            yield from _part(name, parts[name], top)
    if "funding" in parts:
        yield from _funding(parts["funding"], top, q)
    columns = {column.name for column in q.register}
    for spread in parts.get("spreads", []):
        for column in (spread[key] for key in ("column", "share_of") if key in spread):
            if column not in columns:
                yield spread.line, f"Spread {spread['name']}: there is no register column '{column}'."
        if not NAME.fullmatch(spread["name"]):
            yield spread.line, f"Spread name '{spread['name']}' is not of the form a_b: choose another."
        if not _rises(spread["edges"]):
            yield spread.line, f"Spread {spread['name']}: `edges` are numbers, each greater than the one before."


def _part(name: str, part: Marked, top: dict[str, Question]) -> Found:
    """Each key names a question of the list, but `lead`, which is an answer to the question of the role."""
    inside = {q.name: q for q in _inside(part["list"], top) or ()}
    if not inside:
        yield part.line, f"Part {name}: there is no list '{part['list']}'."
        return
    for key, named in part.items():
        if key not in ("list", "lead", "owners") and named not in inside:
            yield part.line, f"Part {name}: `{key}` names no question of {part['list']}: '{named}'."
    role = inside.get(part.get("role", ""))
    if "lead" in part and part["lead"] not in {o.value for o in (role.options if role else ())}:
        yield part.line, f"Part {name}: `lead` is no answer to `role`: '{part['lead']}'."
    if "owners" in part:
        yield from _part("owners", part["owners"], inside)


def _funding(funding: Marked, top: dict[str, Question], q: Questionnaire) -> Found:
    ceilings = funding.get("ceilings", [])
    named = [(funding.line, funding["total"]), *((funding.line, n) for n in funding["private"] + funding["public"])]
    named += [(c.line, name) for c in ceilings for name in (c["of"], *c["amounts"])]
    for line, name in named:
        whole, _, part = name.partition(".")
        found = top.get(whole)
        if part and found:
            found = next((i for i in found.questions if i.name == part), None)
        if found is None or found.kind != "money":
            yield line, f"Part funding: there is no question about money '{name}'."
    for ceiling in ceilings:
        if q.limit_texts.get(ceiling["most"], ("",))[0] != "percent":
            yield ceiling.line, f"Part funding: there is no limit in percent '{ceiling['most']}'."


def _rises(edges: list[str]) -> bool:
    try:
        numbers = [Decimal(edge) for edge in edges]
    except InvalidOperation:
        return False
    return bool(numbers) and all(n.is_finite() for n in numbers) and all(a < b for a, b in pairwise(numbers))


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
        yield from grammar.expression(rule["check"], everything | bound, line, f"Rule {name}")
    for column in body.get("register", []):
        yield from grammar.expression(column["value"], everything, column.line, f"Register column {column['name']}")
        yield from _facet(column)
    for step in body["steps"]:
        yield from _conditions(step["questions"], everything)


def _facet(column: Marked) -> Found:
    name, numeric = column["name"], column["kind"] in ("integer", "decimal", "percent", "money")
    if "ranges" in column and not (numeric and column["ranges"] and _rises(column["ranges"])):
        yield (
            column.line,
            f"Register column {name}: `ranges` are numbers, each greater than the one before, of a column of numbers.",
        )
    if column.get("facet") and not (column["kind"] in ("country", "yes_no") or "ranges" in column):
        yield column.line, f"Register column {name}: a `facet` is of kind country or yes_no, or a number with `ranges`."


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
            yield from grammar.expression(
                question["required_when"], names, question.line, f"Question {question['name']}"
            )
        yield from _conditions(question.get("questions", []), known, inside=True)
