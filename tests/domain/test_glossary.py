"""Every code that the portal writes into its data has words, in both languages."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.domain import acceptances, access, attempts, glossary, keys
from app.domain.errors import Refused
from app.infra import i18n
from app.models import Base

APP = Path(__file__).parents[2] / "app"


def calls_of(*verbs: str) -> Iterator[ast.Call]:
    """Every call of a verb such as `audit.record` in the portal's own code."""
    for path in APP.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in verbs:
                yield node


def literal(node: ast.expr) -> str:
    """A code as it is written; `outbox.SIGN_IN` by its value."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    room, _, name = ast.unparse(node).rpartition(".")
    return str(getattr(importlib.import_module(f"app.domain.{room}"), name))


def test_every_event_has_words() -> None:
    recorded = {literal(call.args[2]) for call in calls_of("audit.record", "audit.record_each", "audit.record_call")}
    recorded |= {literal(call.args[1]) for call in calls_of("audit.line")}
    recorded |= set(re.findall(r"'(submission\.\w+)'", acceptances.HAND_OUT))  # written out as SQL
    assert len(recorded) > 20
    assert recorded == set(glossary.EVENTS)


def test_every_detail_of_an_event_has_words() -> None:
    written = {
        word.arg
        for call in calls_of("audit.record", "audit.record_each", "audit.record_call", "audit.line")
        for word in call.keywords
        if word.arg
    }
    assert written - set(glossary.DETAILS) == set()


def test_every_mail_has_a_purpose_with_words() -> None:
    verbs = ("outbox.enqueue", "outbox.enqueue_all", "_tell", "_tell_each")
    queued = {literal(call.args[1]) for call in calls_of(*verbs)}
    queued |= {literal(call.args[0]) for call in calls_of("outbox.message")}
    queued |= set(re.findall(r"^select '(\w+)', mail", acceptances.HAND_OUT, flags=re.M))  # written out as SQL
    assert queued == set(glossary.PURPOSES)


def known_to_the_database(constraint: str) -> set[str]:
    """The codes that a check constraint of the models allows."""
    found = next(
        c for t in Base.metadata.sorted_tables for c in t.constraints if str(c.name or "").endswith(constraint)
    )
    return set(str(found.sqltext).split("'")[1::2])  # type: ignore[attr-defined]


def test_every_outcome_and_role_has_words() -> None:
    assert known_to_the_database("attempt_outcome_is_known") == set(glossary.OUTCOMES)
    roles = known_to_the_database("membership_role_is_known") | known_to_the_database("participation_role_is_known")
    roles |= set(access.STAFF_RANK)
    assert roles == set(glossary.ROLES)


def refusals(kind: type[Refused]) -> Iterator[type[Refused]]:
    yield kind
    for inner in kind.__subclasses__():
        yield from refusals(inner)


def test_every_refusal_of_a_page_has_words() -> None:
    importlib.import_module("app.main")
    codes = {
        kind.code
        for kind in refusals(Refused)
        if kind.__module__
        in (
            "app.main",
            *(
                f"app.domain.{n}"
                for n in ("refused", "errors", "objections", "denials", "reservations", "barriers", "admissions")
            ),
        )
    }
    assert codes | {attempts.ACCEPTED, attempts.AGAIN} == set(glossary.REFUSALS)


def test_every_scope_has_words() -> None:
    assert set(keys.SCOPES) == set(glossary.SCOPES)


@pytest.mark.parametrize("sort", sorted(glossary.WORDS))
def test_the_words_are_translated(sort: str) -> None:
    assert [code for code, said in glossary.WORDS[sort].items() if said not in i18n.catalogue("nl")._catalog] == []  # type: ignore[attr-defined]


def test_a_code_without_words_is_shown_as_it_is() -> None:
    assert glossary.words("event", "submission.submitted", "nl") == "diende een versie in"
    assert glossary.words("event", "submission.submitted", "en") == "submitted a version"
    assert glossary.words("event", "case.reopened", "nl") == "case.reopened"
