"""docs/calls.md cannot rot: its tables are the sentences of the portal, and each of its examples is published."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from app.cli import app as command_line
from app.domain import callfile, calls, callschema, definitions, findings, grammar, manual, questionnaire, rules
from app.domain.grammar import Marked
from tests import make

ROOT = make.HERE.parent
PAGE = (ROOT / "docs" / "calls.md").read_text()
BLOCKS: list[tuple[str, str]] = re.findall(r"```yaml (\w+)\n(.*?)\n```", PAGE, re.DOTALL)
SHIPPED = ROOT / "docs" / "call.schema.json"
EXAMPLES = range(len(BLOCKS))
FILES = sorted((ROOT / "calls").glob("*.yaml"))
ANSWERS: dict[str, Any] = {
    "title": "T", "starts_on": "2028-01-01", "ends_on": "2031-01-01", "capex_total": "1000000000.00", "public_money": "1.00",
    "members": [
        {"legal_name": "Delta BV", "country": "NL", "kvk": "12345678", "euid": "NLNHR.12345678", "owners": [{"name": "A", "share": "60"}]}
    ],
    "sites": [{"country": "NL", "nuts": "NL366", "postcode": "3011 AA", "latitude": "51.9", "longitude": "4.4"}],
}  # fmt: skip


def merged(base: Any, more: Any) -> Any:
    """An example put into a call: mappings join, lists grow, all else is replaced."""
    if isinstance(base, dict) and isinstance(more, dict):
        return base | {k: merged(base[k], v) if k in base else v for k, v in more.items()}
    return base + more if isinstance(base, list) and isinstance(more, list) else more


def whole(number: int) -> dict[str, Any]:
    """An example as a whole call: the first one of the page with what it adds."""
    (first, text), (sort, more) = BLOCKS[0], BLOCKS[number]
    assert first == "call"
    base: dict[str, Any] = yaml.safe_load(text)
    if sort == "call":
        return base
    given = yaml.safe_load(more)
    step = {"name": "further", "title": {"en": "More", "nl": "Meer"}, "heading": "envelope"}
    into = {"keys": given, "questions": {"steps": [step | {"questions": given}]}, "rules": {"rules": given}}
    made: dict[str, Any] = merged(base, into[sort])
    return made


def written(tmp_path: Path, body: dict[str, Any]) -> Path:
    path = tmp_path / "call.yaml"
    path.write_text(yaml.safe_dump(body, allow_unicode=True, sort_keys=False))
    return path


def complaints(body: Any) -> list[str]:
    """What the schema says of a call file, as an editor would."""
    validator = jsonschema.Draft7Validator(json.loads(SHIPPED.read_text()))
    return [f"{'.'.join(map(str, e.absolute_path))}: {e.message[:80]}" for e in validator.iter_errors(body)]


@pytest.mark.parametrize("number", EXAMPLES)
def test_every_example_can_be_published_and_an_editor_finds_nothing_wrong(number: int, tmp_path: Path) -> None:
    body = whole(number)
    assert callfile.check(written(tmp_path, body)) == []
    assert complaints(body) == []


def test_every_example_is_published_and_asks_what_it_says(db: Session, tmp_path: Path) -> None:
    for number in EXAMPLES:
        body = callfile.load(written(tmp_path, whole(number)))
        found = calls.questions(make.call(db, of=body))
        assert [s.name for s in found.steps] == [s["name"] for s in body["steps"]]


def test_no_expression_of_the_page_can_fail_on_answers_or_on_none() -> None:
    for number in EXAMPLES:
        q = definitions.build(whole(number))
        for answers in (ANSWERS, {"title": "T"}):
            said = {f.code for f in findings.check(q, "FC", answers, {}, {}) if f.level == "error"}
            assert {code for code in said if code.startswith("rule_")} == set(), number
            questionnaire.facts(q, "FC", answers)
            scope, _ = questionnaire.scope(q, "FC", answers, {})
            assert {type(scope.value(line.check)) for line in q.review.checklist} <= {bool, type(None)}


def test_every_kind_and_every_function_has_an_example() -> None:
    asked = {q.kind for n in EXAMPLES for s in definitions.build(whole(n)).steps for q in _all(s.questions)}
    assert asked == {*manual.KINDS}
    called = {f for n in EXAMPLES for r in whole(n)["rules"] for f in rules.names(r["check"])[1]}
    assert called == {*rules.FUNCTIONS}
    for line in (text for _, text in rules.FUNCTIONS.values()):
        call, _, said = line.partition(": ")
        assert f"**`{call}`**: {said}." in PAGE


def _all(questions: Any) -> Iterator[Any]:
    for question in questions:
        yield question
        yield from _all(question.questions)


def test_every_key_is_explained_and_stands_in_an_example() -> None:
    listed = {part: {*keys} for part, keys in callschema.PARTS.items()} | {"uses": {*manual.KEYS["uses"]}}
    assert {part: {*keys} for part, keys in manual.KEYS.items()} == listed
    used = {key for n in EXAMPLES for key in _keys(whole(n))}
    assert sorted({key for keys in manual.KEYS.values() for key in keys} - used) == [
        "incorporated",
        "sort",
        "via",
        "votes",
    ]
    for part, keys in manual.KEYS.items():
        rows = "\n".join(f"| `{key}` | {said} |" for key, said in keys.items())
        assert f"| key | what |\n|---|---|\n{rows}\n" in PAGE, part
    for kind, said in manual.KINDS.items():
        assert f"**`{kind}`**: {said}\n" in PAGE


def _keys(body: Any) -> Iterator[str]:
    if isinstance(body, list):
        for one in body:
            yield from _keys(one)
    elif isinstance(body, dict):
        yield from body
        for value in body.values():
            yield from _keys(value)


def test_names_that_no_step_may_have_are_listed() -> None:
    (line,) = re.findall(r"^These names are taken, .*: (.*)\.$", PAGE, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", line)) == callfile.RESERVED


def test_the_shipped_schema_is_what_the_command_prints() -> None:
    done = CliRunner().invoke(command_line, ["call", "schema"])
    assert done.exit_code == 0
    assert done.stdout == SHIPPED.read_text()
    jsonschema.Draft7Validator.check_schema(json.loads(done.stdout))


@pytest.mark.parametrize("path", [*FILES, make.HERE / "small.yaml"], ids=lambda p: p.name)
def test_every_call_of_the_house_fits_the_schema_and_names_it_to_editors(path: Path) -> None:
    assert complaints(yaml.safe_load(path.read_text())) == []
    if path in FILES:
        assert path.read_text().startswith("# yaml-language-server: $schema=../docs/call.schema.json\n")


def marked(value: Any) -> Any:
    if isinstance(value, dict):
        return Marked({k: marked(v) for k, v in value.items()})
    return [marked(v) for v in value] if isinstance(value, list) else value


def changed(value: Any) -> Iterator[Any]:
    """A call file with one key less, one more, or a value of another sort, at every place of it."""
    if isinstance(value, dict):
        yield value | {"colour": "blue"}
        for key in value:
            yield {k: v for k, v in value.items() if k != key}
            yield value | {key: 5}
            yield value | {key: [None]}
            yield from (value | {key: inner} for inner in changed(value[key]))
    elif isinstance(value, list):
        for place, one in enumerate(value):
            yield from ([*value[:place], inner, *value[place + 1 :]] for inner in changed(one))


def test_editor_and_checker_agree_on_shapes() -> None:
    """Neither passes over what the other complains of, but for names that need the rest of the file."""
    validator = jsonschema.Draft7Validator(json.loads(SHIPPED.read_text()))
    lenient, strict, count = [], [], 0
    uses = make.definition()["uses"]  # the checker looks into it later than at the shapes
    for body in (one for one in changed(make.definition()) if one.get("uses", uses) in (uses, 5, [None])):
        count += 1
        said = next(grammar.problems(marked(body)), None)
        fits = validator.is_valid(body)
        if said and fits:
            lenient.append(said[1])
        if not said and not fits:
            strict.append([e.message[:90] for e in validator.iter_errors(body)])
    assert count > 1000
    assert sorted({re.sub(r"[A-Z]?\w+:", "", said) for said in lenient}) == []
    assert strict == []
