"""Four calls side by side from their files alone: the three of the house, and one that nobody of the house thought of."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import callfile, calls, definitions, questionnaire, schema, submissions, verification
from app.domain.kinds import LIST
from app.domain.questionnaire import Question, Questionnaire
from app.infra.places import place
from app.models import Submission
from tests import make, paper

SignIn = Callable[..., str]
FILES = {path.stem: path for path in [*sorted(place("calls").glob("*.yaml")), make.HERE / "invented.yaml"]}
INVENTED: dict[str, dict[str, Any]] = {
    "tower": {
        "tower_name": "Long John", "keeper_email": "lead@firm.example", "built_on": "1561-08-01", "strikes_at": "16:45", "tuning": "mean",
    },
    "bells": {"bell_count": 49, "repair": "120000.50", "bells": [{"note": "Bes", "mass": "6200.5"}, {"note": "C"}]},
}  # fmt: skip


@dataclass(frozen=True)
class Side:
    """One of the calls, with a case that was typed into its pages and submitted."""

    case: Submission
    questions: Questionnaire
    answers: dict[str, Any]


def sample(name: str) -> tuple[str, dict[str, dict[str, Any]], dict[str, list[str]]]:
    """A kind of respondent, its answers by step, and the files that go with them by question."""
    if name == "invented":
        return "OO", INVENTED, {"score": ["score.pdf"]}
    given = yaml.safe_load((place("calls") / "samples" / f"{name}.yaml").read_text(encoding="utf-8"))
    return "FC", given["FC"], given["files"].get("FC", {})


def typed(question: Question, path: str, value: Any) -> Iterator[tuple[str, str]]:
    """What a person types into the fields of a question, in English."""
    if question.kind == LIST:
        for index, item in enumerate(value):
            for inner in question.questions:
                if inner.name in item:
                    yield from typed(inner, f"{path}-{index}-{inner.name}", item[inner.name])
    elif question.kind == "choices":
        yield from ((path, one) for one in value)
    elif question.kind == "date":
        yield from zip((f"{path}-{part}" for part in ("year", "month", "day")), value.split("-"), strict=True)
    else:
        yield path, {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def fill(client: TestClient, token: str, side: Side, given: dict[str, dict[str, Any]]) -> None:
    """Type the answers into the pages of the form."""
    for step in side.questions.steps_for(side.case.kind):
        form: dict[str, Any] = {"csrf_token": token, "revision": "0"}
        for question in step.questions_for(side.case.kind):
            if question.name in given.get(step.name, {}):
                for field, text in typed(question, question.name, given[step.name][question.name]):
                    form.setdefault(field, []).append(text)
        answer = client.post(f"/apply/{side.case.reference}/{step.name}", data=form)
        assert answer.status_code == 303, (step.name, re.findall(r"error-message.*", answer.text))


@pytest.fixture
def sides(client: TestClient, db: Session, portal: Portal, sign_in: SignIn) -> dict[str, Side]:
    """All four published in one portal, each with one submission of one person."""
    actor = make.person(db)
    body, actor = make.organisation(db, actor)
    token, made = sign_in(client), {}
    for name, path in FILES.items():
        call = make.call(db, of=callfile.load(path), code=f"side-{name}")
        kind, given, files = sample(name)
        case = submissions.start(db, actor, call, body.id, kind)
        answers = {question: value for step in given.values() for question, value in step.items()}
        made[name] = Side(case, calls.questions(call), answers)
        fill(client, token, made[name], given)
        make.person(db, str(answers[calls.questions(call).uses["contact_email"]]))
        for question in (q for q, names in files.items() for _ in names):
            make.attach(db, portal.files, actor, case, question)
        page = client.get(f"/apply/{case.reference}/check").text
        assert ("govuk-error-summary" in page, f'action="/apply/{case.reference}/receipts"' in page) == (False, True), (
            name
        )
        sent = client.post(f"/apply/{case.reference}/receipts", data={"csrf_token": token, "key": name})
        assert sent.status_code == 303, name
    return made


def test_each_call_works_from_form_to_machine_beside_the_others(
    client: TestClient, db: Session, portal: Portal, sign_in: SignIn, sides: dict[str, Side]
) -> None:
    for name, side in sides.items():
        code, here = side.case.call.code, f"/apply/{side.case.reference}"
        document = client.get(f"{here}/versions/1.json").json()
        given = {q: a for q, a in document["answers"].items() if a != []}
        assert set(given) == {q for q, a in side.answers.items() if a != []}, name
        assert client.get(f"{here}/receipts/1.pdf").content.startswith(b"%PDF-")
        blank = paper.words(client.get(f"/calls/{code}/form.pdf?kind={side.case.kind}").content)
        first = side.questions.steps[0].questions[0]
        assert first.label["en"] in blank
        jsonschema.Draft202012Validator(schema.json_schema(side.questions, side.case.kind)).validate(
            document["answers"]
        )
    jo = make.person(db, "jo@rvo.example", staff="reviewer")
    for side in sides.values():
        make.move_deadline(db, side.case.call, 0)
        make.seal(db, side.case.call, portal.signer)
        make.free(db, jo, side.case)
    token = sign_in(client, "jo@rvo.example")
    assert token
    for name, side in sides.items():
        code, title = side.case.call.code, side.answers[side.questions.uses["title"]]
        printed = paper.words(client.get(f"/review/{side.case.reference}/dossier.pdf").content)
        assert title in printed, name
        lines = client.get(f"/review/register.csv?call={code}").content.decode("utf-8-sig")
        (row,) = csv.DictReader(io.StringIO(lines), delimiter=";")
        for column in side.questions.register:
            assert column.label["en"] in row, (name, column.name)
        if side.questions.definition.get("release") == "by_coordinator":
            make.release(db, side.case)
        make.number(db)
        key = {"Authorization": f"Bearer {make.key(db, side.case.call)}"}
        answer = client.get(f"/api/v1/submissions/{side.case.reference}", headers=key)
        assert title in json.dumps(answer.json(), ensure_ascii=False), name
        asked = client.get(f"/api/v1/calls/{code}/schema.json?kind={side.case.kind}", headers=key).json()
        assert first_of(side) in asked["properties"]
    assert verification.run(db) == []


def first_of(side: Side) -> str:
    return side.questions.steps[0].questions[0].name


def test_nothing_of_one_call_stands_in_another(client: TestClient, db: Session, sides: dict[str, Side]) -> None:
    titles = {name: side.questions.title["en"] for name, side in sides.items()}
    for name, side in sides.items():
        page = client.get(f"/apply/{side.case.reference}").text
        assert [other for other, title in titles.items() if title in page] == [name]


def test_the_portal_knows_no_call_by_name_but_as_an_example() -> None:
    """What tells one call from another stands in its file: app/ names no question that one call alone has."""
    asked = {name: set(_names(callfile.load(path)["steps"])) for name, path in FILES.items()}
    own = {q for name, given in asked.items() for q in given if sum(q in other for other in asked.values()) == 1}
    rooms = [p for p in (make.HERE.parent / "app").rglob("*.py") if p.name not in ("demo.py", "rehearsed.py")]
    words = {word for room in rooms for word in re.findall(r"[\"']([a-z]+_[a-z_0-9]+)[\"']", room.read_text())}
    assert len(own) > 100
    assert sorted(own & words) == [
        "delivered_at"
    ]  # when a mail or webhook was; a question of one call is called so, too


def _names(steps: list[Any]) -> Iterator[str]:
    for one in steps:
        if "kind" in one:
            yield one["name"]
        yield from _names(one.get("questions", []))


def test_a_fourth_file_needs_no_line_of_python(tmp_path: Path) -> None:
    """And one that is wrong is told so before it is published."""
    text = FILES["invented"].read_text()
    assert callfile.check(FILES["invented"]) == []
    (tmp_path / "wrong.yaml").write_text(text.replace("tower_name, kind: text", "tower_name, kind: bell"))
    assert len(callfile.check(tmp_path / "wrong.yaml")) == 1
    facts = questionnaire.facts(definitions.build(callfile.load(FILES["invented"])), "OO", INVENTED["bells"])
    assert facts == {"bells": 49}
