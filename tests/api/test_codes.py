"""Code lists: whole, in both languages, with version and source; and every code that an export holds is in one."""

from typing import Any, get_args

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.api import codes, problems
from app.api.codes import Name
from app.domain import calls, identifiers, questionnaire, shapes
from app.models import FeedEntry
from tests import make


def listed(client: TestClient, name: str) -> dict[str, Any]:
    answer = client.get(f"/api/v1/codes/{name}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_the_lists_are_those_that_are_promised_and_say_where_they_come_from(client: TestClient) -> None:
    items = client.get("/api/v1/codes").json()["items"]
    assert [one["list"] for one in items] == list(get_args(Name))
    for one in items:
        whole = listed(client, one["list"])
        assert one["url"] == f"/api/v1/codes/{one['list']}"
        assert one["count"] == len(whole["codes"]) == len({entry["code"] for entry in whole["codes"]})
        assert {name: whole[name] for name in ("title", "version", "source")} == {
            name: one[name] for name in ("title", "version", "source")
        }
        assert all(words["label"][language] for words in whole["codes"] for language in ("en", "nl"))
    assert client.get("/api/v1/codes/nowhere").json()["code"] == "invalid"


def test_a_list_holds_the_codes_that_the_portal_knows(client: TestClient, db: Session) -> None:
    held = {name: {entry["code"]: entry["label"] for entry in listed(client, name)["codes"]} for name in get_args(Name)}
    assert held["countries"]["GR"] == {"en": "Greece", "nl": "Griekenland"}
    assert set(held["member_states"]) == set(identifiers.EU27)
    assert set(held["nuts"]) == identifiers.nuts3_codes()
    assert held["nuts"]["NL366"] == {"en": "NL366 (Netherlands)", "nl": "NL366 (Nederland)"}
    assert tuple(held["headings"]) == (*shapes.HEADINGS, shapes.OTHER)
    assert set(held["problems"]) == set(problems.TITLES)
    assert held["respondents"]["MS"] == {"en": "Member state", "nl": "Lidstaat"}
    assert set(held["states"]) == {"upcoming", "open", "closed"}
    table: Any = FeedEntry.__table__
    kinds = next(c for c in table.constraints if "kind" in str(getattr(c, "sqltext", "")))
    assert all(f"'{kind}'" in str(getattr(kinds, "sqltext", "")) for kind in held["feed"])


@pytest.mark.parametrize("path", ["/api/v1/codes", "/api/v1/codes/nuts"])
def test_an_etag_spares_the_next_read(client: TestClient, path: str) -> None:
    first = client.get(path)
    again = client.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_all_that_can_be_chosen_in_a_call_stands_in_its_lists(client: TestClient, db: Session) -> None:
    call, other = make.call(db), make.call(db)
    key = {"Authorization": f"Bearer {make.key(db, call)}"}
    answer = client.get(f"/api/v1/calls/{call.code}/codes", headers=key)
    held = {one["list"]: {entry["code"]: entry["label"] for entry in one["codes"]} for one in answer.json()["items"]}
    assert {one["version"] for one in answer.json()["items"]} == {call.definition_digest}
    questions = calls.questions(call)
    asked = {
        question.name: {option.value for option in question.options}
        for kind in questions.respondents
        for _, question, path, _ in questionnaire.walk(questions, kind, {})
        if question.options
    }
    assert asked
    assert {name: set(held[f"answers.{name}"]) for name in asked} == asked
    assert held["letters"] == {sort.value: sort.label for sort in questions.support.letters}
    assert held["sections"] == {step.name: step.title for step in questions.steps}
    assert client.get(f"/api/v1/calls/{other.code}/codes", headers=key).status_code == 404
    assert client.get(f"/api/v1/calls/{call.code}/codes").status_code == 401


def test_the_names_that_are_described_are_the_lists_that_are_there() -> None:
    assert list(codes.every()) == list(get_args(Name))
