"""The AI factory call and the Dutch poll: from their files alone, with the Groningen case as the worked example."""

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import yaml
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.domain import definitions, drafts, findings, questionnaire, submissions
from app.domain.answers import Unreadable
from app.domain.kinds import KINDS
from app.domain.questionnaire import Questionnaire
from app.infra.places import place
from app.infra.signing import Signer
from app.models import Version
from tests import make, paper

SignIn = Callable[..., str]


@cache
def call(code: str) -> Questionnaire:
    return definitions.build(make.definition(code))


@cache
def samples(code: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((place("calls") / "samples" / f"{code}.yaml").read_text(encoding="utf-8"))
    return found


def answers(code: str, kind: str, **changes: Any) -> dict[str, Any]:
    return {name: value for step in samples(code)[kind].values() for name, value in step.items()} | changes


def judged(code: str, kind: str, without: str = "", **changes: Any) -> set[str]:
    """Levels and codes found on a sample with changes, and with one file left out."""
    given: dict[str, list[dict[str, Any]]] = {
        q: [{}] * len(names) for q, names in samples(code)["files"].get(kind, {}).items() if q != without
    }
    found = findings.check(call(code), kind, answers(code, kind, **changes), {}, given)
    return {f"{f.level} {f.code} {f.path}" for f in found}


@pytest.mark.parametrize(
    ("code", "kind"), [("ai-factory", "FC"), ("ai-factory", "MS"), ("nl-poll", "FC"), ("nl-poll", "OO")]
)
def test_each_sample_can_be_submitted(code: str, kind: str) -> None:
    assert judged(code, kind) == set()


def national(*amounts: str, status: str = "committed") -> list[dict[str, Any]]:
    return [{"authority": "A", "level": "state", "amount": amount, "status": status} for amount in amounts]


GRONINGEN: list[tuple[str, dict[str, Any]]] = [
    ("error eu_at_most_50 eu_requested", {"eu_requested": "100000000.01", "national_funding": national("99999999.99")}),
    ("error sources_equal_tco eu_requested", {"eu_requested": "70000000.01"}),
    ("error tco_sum tco_total", {"opex_total": "80000000.01"}),
    ("error commitment_covers commitment_amount", {"commitment_amount": "129999999.99"}),
    (
        "warning funding_firm national_funding-0-status",
        {"national_funding": national("130000000.00", status="reserved")},
    ),
    ("warning specification_met meets_specification", {"meets_specification": False}),
    ("warning operation_usual operation_years", {"operation_years": 4}),
    ("error nothing_classified classified_information", {"classified_information": True}),
]


@pytest.mark.parametrize(("said", "changes"), GRONINGEN)
def test_each_limit_of_the_ai_factory_call_holds_to_the_cent(said: str, changes: dict[str, Any]) -> None:
    assert judged("ai-factory", "FC", **changes) == {said}


def test_exactly_half_of_the_union_passes() -> None:
    assert judged("ai-factory", "FC", eu_requested="100000000.00", national_funding=national("100000000.00")) == set()


def test_nothing_is_filed_without_the_letter_of_commitment() -> None:
    assert judged("ai-factory", "FC", without="commitment_letter") == {"error required commitment_letter"}
    assert judged("ai-factory", "MS", without="commitment_letter") == {"error required commitment_letter"}


def test_a_delivery_on_paper_needs_the_scan_of_its_signature() -> None:
    assert judged("ai-factory", "FC", without="signature_scan") == {"error required signature_scan"}
    assert judged("ai-factory", "FC", without="signature_scan", paper_deliveries=[]) == set()


def test_the_desk_finds_what_it_draws() -> None:
    facts = questionnaire.facts(call("ai-factory"), "FC", answers("ai-factory", "FC"))
    assert facts == {
        "host": "Cooperative for research computing",
        "site_country": "NL",
        "it_load_mw": "8",
        "tco": "200000000.00",
        "eu_requested": "70000000.00",
        "committed": "130000000.00",
        "on_paper": 1,
    }


def test_a_time_is_read_and_nothing_else() -> None:
    read = KINDS["time"].read
    assert [read(text, None, "nl") for text in ("14:20", "9.05", " 0:00 ")] == ["14:20", "09:05", "00:00"]  # type: ignore[arg-type]
    for text in ("24:00", "12:60", "12", "noon", "1:2", "\u0661\u0662:\u0663\u0660"):
        with pytest.raises(Unreadable):
            read(text, None, "en")  # type: ignore[arg-type]


def test_questions_of_the_poll_that_the_expression_of_interest_asks_too_are_of_the_same_kind() -> None:
    poll, interest = call("nl-poll"), call("aigf-eoi")
    shared = {q.name: q.kind for s in poll.steps for q in s.questions if interest.has(q.name)}
    assert len(shared) > 25
    assert shared == {name: interest.question(name).kind for name in shared}


@pytest.mark.parametrize("code", ["ai-factory", "nl-poll"])
def test_the_notice_stands_on_every_page_and_on_paper(
    client: TestClient, sign_in: SignIn, db: Session, signer: Signer, code: str
) -> None:
    actor = make.person(db)
    body, actor = make.organisation(db, actor)
    case = submissions.start(db, actor, make.call(db, of=make.definition(code)), body.id, "FC")
    drafts.save_step(db, actor, case, "summary", 0, samples(code)["FC"]["summary"], {})
    sign_in(client)
    client.cookies.set("language", "nl")
    notice = call(code).notice
    assert notice
    here = f"/apply/{case.reference}"
    for path in (f"/calls/{case.call.code}", here, f"{here}/summary", f"{here}/check"):
        assert client.get(path).text.count(notice["nl"]) == 1, path
    printed = paper.words(client.get(f"/calls/{case.call.code}/form.pdf?kind=FC").content)
    assert " ".join(notice["nl"].split()[:6]) in printed
    assert db.scalars(select(Version)).all() == []


@pytest.mark.parametrize("code", ["aigf-eoi", "ai-factory", "nl-poll"])
def test_a_cutoff_may_fall_on_a_weekend_so_every_call_says_who_is_there_on_its_last_day(code: str) -> None:
    said = make.definition(code)["help"]
    assert (
        "On the last day the help desk is there" in said["en"],
        "Op de laatste dag is de helpdesk er" in said["nl"],
    ) == (
        True,
        True,
    )
