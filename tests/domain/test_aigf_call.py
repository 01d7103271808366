"""The gigafactory call file: clean, its samples complete, each limit exact to the cent, and safe for any mix of answers."""

import random
from functools import cache
from typing import Any

import pytest

from app import demo
from app.domain import callfile, checklists, definitions, findings, questionnaire
from app.domain.questionnaire import Questionnaire
from app.models import Version
from tests import make


@cache
def call() -> Questionnaire:
    return definitions.build(make.definition("aigf-eoi"))


def sample(kind: str) -> dict[str, Any]:
    return {name: value for answers in demo.samples()[kind].values() for name, value in answers.items()}


def files(kind: str) -> dict[str, list[dict[str, Any]]]:
    return {question: [{}] * len(names) for question, names in demo.samples()["files"][kind].items()}


def version(kind: str, answers: dict[str, Any], attached: bool = True) -> Version:
    """The answers as a version, with the files of the sample or without."""
    given = [{"question": q} for q, names in files(kind).items() for _ in names] if attached else []
    return Version(kind=kind, answers=answers, files=given)


def judged(kind: str, **changes: Any) -> set[str]:
    """Levels and codes found on the sample with changes."""
    found = findings.check(call(), kind, sample(kind) | changes, {}, files(kind))
    return {f"{f.level} {f.code}" for f in found}


def test_the_file_has_no_problem() -> None:
    assert callfile.check(demo.CALL) == []


@pytest.mark.parametrize("kind", ["FC", "MS", "OO"])
def test_each_sample_can_be_submitted(kind: str) -> None:
    assert judged(kind) == set()


def test_every_variant_has_no_error_and_a_reason_for_each_warning() -> None:
    given = demo.samples()
    for variant in given["variants"]:
        kind = variant["kind"]
        answers = {
            name: variant["changes"].get(name, value) for step in given[kind].values() for name, value in step.items()
        }
        found = findings.check(call(), kind, answers, {}, files(kind))
        assert {f.key for f in found} == set(variant["reasons"]), variant["organisation"]


def member(**changes: Any) -> list[dict[str, Any]]:
    first, *others = sample("FC")["members"]
    return [first | changes, *others]


def site(**changes: Any) -> list[dict[str, Any]]:
    first, *others = sample("FC")["sites"]
    return [first | changes, *others]


FIRES: list[tuple[str, str, dict[str, Any]]] = [
    ("error exactly_one_lead", "FC", {"members": member(role="member")}),
    ("error lead_incorporated_in_eu", "FC", {"members": member(country_of_incorporation="US")}),
    ("error lead_headquartered_in_eu", "FC", {"members": member(hq_country="GB")}),
    ("error register_number_valid", "FC", {"members": member(national_reg_no="1234567")}),
    ("error euid_fits_kvk", "FC", {"members": member(euid="NLNHR.87654321")}),
    ("error postcode_valid", "FC", {"members": member(registered_postcode="0594 AC")}),
    ("error lead_controlled_in_eu", "FC", {"eu_controlled": "no"}),
    ("warning control_unsure", "FC", {"eu_controlled": "unsure"}),
    ("warning language_read", "FC", {"language": "other"}),
    ("error site_in_eu", "FC", {"sites": site(member_state="NO")}),
    ("error nuts_fits_state", "FC", {"sites": site(nuts3="NL366")}),
    ("warning point_in_state", "FC", {"sites": site(latitude="4.1", longitude="51.9")}),
    ("error one_site_at_scale", "FC", {"sites": site(multi_site_role="satellite")}),
    ("error host_in_each_country", "FC", {"sites": site(member_state="FR", nuts3="FRF11")}),
    ("error phase_2_not_less", "FC", {"sites": site(it_load_1="131")}),
    ("error load_fits_grid", "FC", {"sites": site(grid_capacity_mva="129.99")}),
    ("warning load_share_usual", "FC", {"sites": site(grid_capacity_mva="144")}),
    ("warning load_in_mw", "FC", {"sites": site(it_load_2="5000.01", grid_capacity_mva="5600")}),
    ("error energy_mix_sum", "FC", {"sites": site(energy_mix=[{"source": "Wind", "share": "99.99"}])}),
    ("error renewable_parts", "FC", {"sites": site(renewable_go="19.99")}),
    ("warning pue_usual", "FC", {"sites": site(pue_design="1.251")}),
    ("warning backup_usual", "FC", {"sites": site(backup_hours="47.9")}),
    ("error shares_of_use_sum", "FC", {"share_training": "60.01"}),
    ("warning storage_usual", "FC", {"storage_pb": "19.99"}),
    ("error nothing_classified", "FC", {"classified_information": True}),
    ("error milestones_in_order", "FC", {"milestones": list(reversed(sample("FC")["milestones"]))}),
    ("error milestones_complete", "FC", {"milestones": sample("FC")["milestones"][:3]}),
    ("error operation_five_years", "FC", {"operation_years": 4}),
    ("error capex_parts_sum", "FC", {"capex_energy": "400000000.01"}),
    ("error sources_equal_capex", "FC", {"private_debt": "1000000000.01"}),
    ("error public_at_most_35", "FC", {"other_public": "0.01"}),
    ("error asked_of_member_states", "FC", {"ms_requested": [{"member_state": "CH", "amount": "1.00"}]}),
    ("error opex_five_years", "FC", {"opex_years": 4}),
    ("warning capex_usual", "FC", {"capex_total": "5000000000.01"}),
    ("warning committed_usual", "FC", {"private_commitments": []}),
    ("warning access_follows_money", "FC", {"public_access_share": "34"}),
    ("warning eu_share_2026", "FC", {"eu_requested": "510000000.01"}),
    ("warning states_in_joint_procurement", "FC", {"sites": site(member_state="NL", nuts3="NL366")}),
    ("error truth_declared", "FC", {"declares_truth": False}),
    ("error authority_declared", "FC", {"declares_authority": False}),
    ("error non_binding_understood", "FC", {"understands_non_binding": False}),
    ("error privacy_read", "FC", {"read_privacy": False}),
    ("warning rrf_in_time", "MS", {"budget_source": "rrf", "budget_transfer_on": "2026-09-01"}),
    (
        "error state_is_member_state",
        "MS",
        {"members": [sample("MS")["members"][0] | {"country_of_incorporation": "CH"}]},
    ),
    (
        "error coordinator_outside_eu",
        "OO",
        {"members": [sample("OO")["members"][0] | {"role": "lead", "hq_country": "US"}]},
    ),
    ("error appetite_in_order", "OO", {"appetite_min": "2000000.01"}),
]


@pytest.mark.parametrize(("expected", "kind", "changes"), FIRES, ids=[f"{row[0]}-{row[1]}" for row in FIRES])
def test_a_rule_fires_just_beyond_its_limit(expected: str, kind: str, changes: dict[str, Any]) -> None:
    if expected == "warning committed_usual":
        changes = {"private_commitments": [sample("FC")["private_commitments"][1]]}
    assert expected in judged(kind, **changes)


def test_thirty_five_percent_exactly_passes_and_one_cent_more_fails() -> None:
    assert judged("FC") == set()
    one_cent = {"eu_requested": "500000000.01", "private_debt": "999999999.99", "public_access_share": "35"}
    assert "error public_at_most_35" in judged("FC", **one_cent)


def test_any_mix_of_answers_is_judged_without_failing() -> None:
    dice = random.Random(20270620)
    for kind in ("FC", "MS", "OO"):
        whole = sample(kind)
        for _ in range(150):
            some = {name: value for name, value in whole.items() if dice.random() < 0.6}
            for name, value in some.items():
                if isinstance(value, list) and value and isinstance(value[0], dict):
                    some[name] = [{k: v for k, v in item.items() if dice.random() < 0.6} for item in value]
            findings.check(call(), kind, some, {}, {})
            questionnaire.facts(call(), kind, some)
            assert set(checklists.computed(call(), version(kind, some)).values()) <= set(checklists.VERDICTS)


def test_the_largest_numbers_a_form_takes_do_not_overflow_a_rule() -> None:
    money = "100000000000.00"
    huge = {name: money for name, value in sample("FC").items() if isinstance(value, str) and value.endswith(".00")}
    huge["ms_requested"] = [{"member_state": "DE", "amount": money}] * 27  # type: ignore[assignment]
    huge["processors"] = [{"phase": "1", "count": 10_000_000, "h100_factor": "1000"}] * 20  # type: ignore[assignment]
    huge["private_commitments"] = [{"amount": money, "firmness": "committed"}] * 60  # type: ignore[assignment]
    assert "error sources_equal_capex" in judged("FC", **huge)
    questionnaire.facts(call(), "FC", sample("FC") | huge)


# A line of the checklist, what is changed in the sample of a consortium, and the verdict of the rules.
LINES: list[tuple[str, dict[str, Any], str]] = [
    ("lead_incorporated", {}, "yes"),
    ("lead_incorporated", {"members": member(country_of_incorporation="US")}, "no"),
    ("lead_incorporated", {"members": member(role="member")}, "unclear"),
    ("lead_headquartered", {"members": member(hq_country="CH")}, "no"),
    ("lead_controlled", {}, "yes"),
    ("lead_controlled", {"eu_controlled": "unsure"}, "unclear"),
    ("lead_controlled", {"eu_controlled": "no"}, "no"),
    ("lead_controlled", {"control_by_other_means": True}, "unclear"),
    ("members_in_eu", {"members": member(hq_country="CH")}, "unclear"),
    ("sites_in_eu", {"sites": site(member_state="NO")}, "no"),
    ("private_65", {}, "yes"),
    ("private_65", {"other_public": "99000000000.00"}, "no"),
    ("private_65", {"capex_total": None}, "unclear"),
    ("sources_add_up", {"private_debt": "0.01"}, "no"),
    ("eu_17", {"eu_requested": "99000000000.00"}, "no"),
    ("states_match", {"ms_requested": []}, "no"),
    ("state_committed", {"letter_type": "commitment"}, "yes"),
    ("state_committed", {"letter_type": "support"}, "unclear"),
    ("state_committed", {"letter_type": "none"}, "no"),
    ("operates_five_years", {"operation_years": 4}, "no"),
    ("may_be_passed_on", {"consent_eurohpc": False}, "no"),
    ("contact_there", {"contact_phone": None}, "no"),
    ("declarations_made", {"declares_truth": None}, "no"),
]


@pytest.mark.parametrize(("line", "changes", "verdict"), LINES)
def test_the_checklist_says_yes_no_or_cannot_tell(line: str, changes: dict[str, Any], verdict: str) -> None:
    assert checklists.computed(call(), version("FC", sample("FC") | changes))[line] == verdict


def test_the_checklist_sees_which_files_are_there() -> None:
    said = [checklists.computed(call(), version("FC", sample("FC"), there)) for there in (True, False)]
    assert [(s["proposal_there"], s["ownership_there"]) for s in said] == [("yes", "yes"), ("no", "no")]


@pytest.mark.parametrize("kind", ["FC", "MS", "OO"])
def test_each_kind_has_a_checklist_and_only_consortia_are_scored(kind: str) -> None:
    review = call().review
    assert {line.part for line in review.lines_for(kind)} == {"eligibility", "completeness"} - (
        {"eligibility"} if kind == "OO" else set()
    )
    assert sum(c.weight for c in review.criteria_for(kind)) == (100 if kind == "FC" else 0)
    assert {c.heading for c in review.criteria} == {"technical", "impact", "financial"}
