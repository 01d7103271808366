"""Each export of each call fits the schema of its definition, and nothing that is not in the schema can slip by."""

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import budgets, callfile, calls, drafts, submissions, support, withdrawals
from app.domain.identifiers import EU27
from app.domain.undertakings import Wish
from app.infra.places import place
from app.models import Call, Submission
from tests import make
from tests.test_four_calls import FILES, INVENTED

Lines = list[dict[str, Any]]


def samples(name: str) -> dict[str, Any]:
    if name == "invented":
        return {"OO": INVENTED, "files": {"OO": {"score": ["score.pdf"]}}}
    found: dict[str, Any] = yaml.safe_load((place("calls") / "samples" / f"{name}.yaml").read_text(encoding="utf-8"))
    return found


def submitted(db: Session, portal: Portal, call: Call, kind: str, given: dict[str, Any], **more: Any) -> Submission:
    """A submission of sample answers with their files; with `changes` to them, and `reasons` for warnings."""
    questions, email = calls.questions(call), f"{kind}{more.get('place', '')}@firm.example".lower()
    is_state = questions.respondents[kind].open_to == "state"
    country = sorted(EU27)[more.get("place", 0)] if is_state else "NL"
    body, actor = make.organisation(db, make.person(db, email), f"Org {email}", country, is_state)
    case = submissions.start(db, actor, call, body.id, kind)
    changes = more.get("changes", {}) | {
        questions.uses["contact_email"]: email,
        questions.uses.get("consent", ""): True,
    }
    for step, answers in given[kind].items():
        changed = {name: value for name, value in changes.items() if name in answers}
        drafts.save_step(db, actor, case, step, 0, answers | changed, {})
    drafts.save_step(db, actor, case, drafts.CHECK, 0, more.get("reasons", {}), {})
    for question in given["files"].get(kind, {}):
        make.attach(db, portal.files, actor, case, question)
    make.send(db, actor, case, portal.signer)
    if more.get("withdrawn"):
        withdrawals.withdraw(db, actor, case, "So.", make.ISSUER)
    return case


def lettered(db: Session, portal: Portal, case: Submission) -> None:
    """Two letters of a member state to a consortium, one with a file, and one that was taken back."""
    questions = calls.questions(case.call)
    _, state = make.organisation(db, make.person(db, "min@state.example"), "Ministry", "SE", state=True)
    at = budgets.workspace(db, state, case.call.code, "SE")
    source = questions.support.sources[0].value if questions.support.sources else None
    phase = questions.support.phases[0].value if questions.support.phases else None
    wish = Wish("support", None, None, None, None, "", "M. Inister", "Minister", date(2027, 5, 2))
    more = replace(wish, sort="commitment", amount=Decimal("5.00"), phase=phase, source=source, status="reserved")
    full = replace(more, files=(vars(make.taken(db, portal.files, "letter.pdf")),))
    for key, one in (("a", wish), ("b", full)):
        support.begin(db, state, at, case, key, one, True, make.ISSUER)
    gone = support.begin(db, state, at, case, "c", wish, True, make.ISSUER)
    support.withdraw(db, state, at, gone, "Elections.", make.ISSUER)


def exported(client: TestClient, db: Session, portal: Portal, name: str) -> tuple[Any, Lines, Lines]:
    """The schema of a call, all that is exported of it in each way, and the documents among that."""
    call, given = make.call(db, of=callfile.load(FILES[name]), code=f"lines-{name}"), samples(name)
    kinds = [kind for kind in calls.questions(call).respondents if kind in given]
    made = [submitted(db, portal, call, kind, given) for kind in kinds]
    for variant in given.get("variants", []):
        more = {name: variant[name] for name in ("changes", "reasons") if name in variant}
        made.append(submitted(db, portal, call, variant["kind"], given, place=len(made), **more))
    submitted(db, portal, call, kinds[-1], given, place=3, withdrawn=True)
    if calls.questions(call).support.letters:
        lettered(db, portal, made[kinds.index("FC")])
    make.close(db, call)
    for case in made:
        if calls.questions(call).definition.get("release") == "by_coordinator":
            make.release(db, case)
    make.number(db)
    key = {"Authorization": f"Bearer {make.key(db, call)}"}

    def ask(path: str) -> Any:
        answer = client.get(f"/api/v1{path}", headers=key)
        assert answer.status_code == 200, (path, answer.text)
        return answer

    lines: Lines = [json.loads(line) for line in ask(f"/calls/{call.code}/export.ndjson").text.splitlines()]
    documents = lines[:-1]
    assert {one["kind"] for one in documents} == set(kinds)
    whole = ask(f"/calls/{call.code}/export.json").json()
    after = ask(f"/calls/{call.code}/export.ndjson?after={documents[0]['reference']}").text.splitlines()
    single = [ask(f"/submissions/{one['reference']}").json() for one in documents]
    every = [*lines, *whole["submissions"], whole["manifest"], *map(json.loads, after), *single]
    return ask(f"/calls/{call.code}/export.schema.json").json(), every, documents


def changed(part: Any, whole: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The document with one more member, once for each object in it."""
    for path, _ in list(_objects(part, ())):
        copied = deepcopy(whole)
        at: Any = copied
        for step in path:
            at = at[step]
        at["surprise"] = "new"
        yield "/".join(map(str, path)), copied


def _objects(part: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(part, dict):
        yield path, part
    for name, value in part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ():
        yield from _objects(value, (*path, name))


@pytest.mark.parametrize("name", FILES)
def test_every_line_of_every_export_fits_the_schema_of_its_call_and_nothing_else_does(
    client: TestClient, db: Session, portal: Portal, name: str
) -> None:
    schema, every, documents = exported(client, db, portal, name)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    for line in every:
        validator.validate(line)
    assert any(one["files"] for one in documents)
    assert all(any(one[heading] for heading in ("envelope", "other")) for one in documents)
    if "support" in yaml.safe_load(Path(FILES[name]).read_text()):
        assert max(len(one["support_letters"]) for one in documents) == 2
    slipped = [
        (one["kind"], where) for one in documents for where, more in changed(one, one) if validator.is_valid(more)
    ]
    assert slipped == []
    assert not validator.is_valid(every[len(documents)] | {"surprise": 1})
    for heading in ("envelope", "technical", "facts", "receipt"):
        assert not validator.is_valid({n: v for n, v in documents[0].items() if n != heading})
