"""A call file that is wrong says on which line and what to do; a right one derives everything."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.domain import callfile, definitions, grammar
from app.domain.callfile import CallFileInvalid
from app.domain.parts import Entities, Owners, Parts, Spread
from tests import make

SMALL = (make.HERE / "small.yaml").read_text()
OWNERS = Owners("owners", "name", share="share")
CALLS = sorted((make.HERE.parent / "calls").glob("*.yaml"))
Check = Callable[[str], list[str]]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """The problems of a text as a call file, as `line: message`."""

    def go(text: str) -> list[str]:
        (tmp_path / "call.yaml").write_text(text)
        problems = callfile.check(tmp_path / "call.yaml")
        assert all(str(p) == f"{tmp_path}/call.yaml:{p.line}: {p.message}" for p in problems)
        return [f"{p.line}: {p.message}" for p in problems]

    return go


@pytest.mark.parametrize("path", CALLS, ids=lambda path: path.name)
def test_every_call_of_the_house_is_in_order(path: Path) -> None:
    assert callfile.check(path) == []


def line_of(words: str) -> int:
    """The line of the small call in which words stand, counted from 1."""
    return next(number for number, line in enumerate(SMALL.splitlines(), 1) if words in line)


KINDS = "text, long_text, choice, choices, yes_no, integer, decimal, percent, money, date, time, country, nuts, email, phone, url, kvk, vat, lei, euid, pic, nace, file, list"
# The words replaced in the small call, what by, and what is said at that line.
WRONG: list[tuple[str, str, str]] = [
    ("kind: long_text, label", "kind: longtext, label", f"Question abstract is of kind 'longtext'; there are {KINDS}."),
    ("name: abstract", "name: Abstract", "Question name 'Abstract' is taken, reserved or not of the form a_b: choose another."),
    ("name: abstract", "name: title", "Question name 'title' is taken, reserved or not of the form a_b: choose another."),
    ("name: abstract", "name: limits", "Question name 'limits' is taken, reserved or not of the form a_b: choose another."),
    ("name: abstract", "named: abstract", "a question lacks 'name': add it."),
    ("max_length: 500", "max_length: many", "'max_length' of a question is a int: quote texts and numbers that are texts."),
    ("max_length: 500", "max_length: true", "'max_length' of a question is a int: quote texts and numbers that are texts."),
    ("max_length: 500", "min: 5", "'min' of a question is a str: quote texts and numbers that are texts."),
    ('{en: "Abstract", nl: "Samenvatting"}', '{en: "Abstract"}', "'label' of a question is a text in nl and en."),
    ('{en: "Abstract", nl: "Samenvatting"}', '{en: "Abstract", nl: " "}', "'label' of a question is empty in one language: write it."),
    ("label: {en: \"CAPEX\", nl: \"CAPEX\"}, required: [FC]", "label: {en: \"CAPEX\", nl: \"CAPEX\"}, required: [XX]",
     "Question capex_total: 'XX' is no kind of respondent."),
    ("max_length: 500", "required: soon", "Question abstract: `required` is true or a list of kinds of respondent."),
    ("max_length: 500", "min_items: few", "Question abstract: `min_items` is a number, or one for each kind of respondent."),
    ("max_length: 500", "for: [[FC]]", "'for' of a question is a list of names."),
    ("kind: date, label", "kind: choice, label", "Question starts_on: `options` belong to choice and choices, and those need them."),
    ("kind: date, label", "kind: list, label", "Question starts_on: `questions` belong to a list, and a list needs them."),
    ("{name: lei, kind: lei", "{name: lei, kind: file", "Question lei: files are asked at the top of a step, not inside a list."),
]  # fmt: skip


@pytest.mark.parametrize(("words", "instead", "said"), WRONG)
def test_a_question_that_is_wrong_is_named_with_its_line_and_what_to_do(
    check: Check, words: str, instead: str, said: str
) -> None:
    assert f"{line_of(words)}: {said}" in check(SMALL.replace(words, instead, 1))


PLACES: list[tuple[str, str, str]] = [
    ("closes: \"06-20 17:00\"", "closes: \"20 June\"", '`closes` is month-day hour:minute, such as "06-20 17:00".'),
    ("heading: technical", "heading: beauty", "Step members: heading 'beauty' is not among `headings`."),
    ("for: [FC, OO]", "for: [FC, ZZ]", "Step members: ZZ is no kind of respondent."),
    ("- name: finance", "- name: check", "Step name 'check' is taken, reserved or not of the form a_b: choose another."),
    ("open_to: other", "open_to: anybody", "`open_to` is state, firm or other."),
    ("  OO: {title", "  LAB: {title", "Respondents are MS, open to state, and FC and OO, open to firm or other: 'LAB' is not."),
    ("open_to: other", "open_to: state", "Respondents are MS, open to state, and FC and OO, open to firm or other: 'OO' is not."),
    ("  title: title", "  title: titel", "`uses`: there is no question 'titel'."),
    ("  title: title", "  title: [title]", "`uses` names one question for each part."),
    ("  title: title", "  naam: title", "`uses` knows no part 'naam'."),
    ("default: [finance]", "default: [money]", "Question confidential_sections: the default is not among the options."),
    ("at: public_money", "at: nothing", "Rule public_at_most_35: `at` names no question there: 'nothing'."),
    ("needs: [capex_total, public_money]", "needs: [capex]", "Rule public_at_most_35: `needs` names no question: 'capex'."),
    ("public_money * 100 <= capex_total * 35", "publik * 100 <= capex_total * 35",
     "Rule public_at_most_35: the expression names publik, which is no question."),
    ("each: members", "each: finance", "Rule owners_sum: `each` names no list: 'finance'."),
    ("name: capex_usual", "name: public_at_most_35", "Rule name 'public_at_most_35' is taken or not of the form a_b: choose another."),
    ("level: warning", "level: hint", "Rule capex_usual: the level is error or warning."),
    ("kind: money, value: \"3000000000.00\"", "kind: text, value: \"3\"", "limit capex_low is money, decimal, percent or integer."),
    ("code: small", "code: small\ncolour: blue", f"the call file has no key 'colour'; there are {', '.join(grammar.TOP)}."),
    ("zone: Europe/Brussels", "zone: Europe/Brussels\nassurance: 3", "'assurance' of the call file is a str: quote texts and numbers that are texts."),
    ("zone: Europe/Brussels", "zone: Europe/Brussels\nassurance: top", "`assurance` is low, substantial or high."),
    ("zone: Europe/Brussels", "zone: Europe/Brussels\nrelease: never", "`release` is at_seal or by_coordinator."),
    ("entities: {list: members", "entities: {list: member", "Part entities: there is no list 'member'."),
    ("name: legal_name, country: country,", "name: title, country: country,", "Part entities: `name` names no question of members: 'title'."),
    ("name: legal_name, country: country,", "name: legal_name, role: country, lead: NL,", "Part entities: `lead` is no answer to `role`: 'NL'."),
    ("{list: owners, name: name, share: share}", "{list: owners, name: name, share: shares}", "Part owners: `share` names no question of owners: 'shares'."),
    ("public: [public_money]", "public: [starts_on]", "Part funding: there is no question about money 'starts_on'."),
    ("public: [public_money]", "public: [members.share]", "Part funding: there is no question about money 'members.share'."),
    ("public: [public_money]", "public: public_money", "'public' of part funding is a list: quote texts and numbers that are texts."),
    ("of: capex_total, most: public_most", "of: capex_total, most: capex_low", "Part funding: there is no limit in percent 'capex_low'."),
    ("column: capex, edges", "column: money, edges", "Spread capex: there is no register column 'money'."),
    ('["0", "3000000000"]', '["3000000000", "0"]', "Spread capex: `edges` are numbers, each greater than the one before."),
    ('["0", "3000000000"]', '["NaN"]', "Spread capex: `edges` are numbers, each greater than the one before."),
    ('["0", "3000000000"]', "[0]", "'edges' of a spread is a list of names."),
    ("    total: capex_total", "    sum: capex_total", "part funding lacks 'total': add it."),
]  # fmt: skip


@pytest.mark.parametrize(("words", "instead", "said"), PLACES)
def test_what_is_wrong_elsewhere_is_said_too(check: Check, words: str, instead: str, said: str) -> None:
    assert words in SMALL
    assert said in [problem.partition(": ")[2] for problem in check(SMALL.replace(words, instead, 1))]


def test_an_expression_that_does_not_parse_or_calls_what_is_not_there_says_so(check: Check) -> None:
    words = "public_money * 100 <= capex_total * 35"
    (broken,) = check(SMALL.replace(words, "public_money * (", 1))
    assert "Rule public_at_most_35: the expression does not parse: " in broken
    (called,) = check(SMALL.replace(words, "system(public_money)", 1))
    assert "Rule public_at_most_35: the expression calls system; there are " in called


def test_all_problems_come_at_once_in_order_of_lines(check: Check) -> None:
    text = (
        SMALL.replace("kind: long_text", "kind: longtext")
        .replace("kind: date", "kind: day")
        .replace("kind: lei", "kind: ley")
    )
    lines = [int(problem.partition(":")[0]) for problem in check(text)]
    assert lines == [line_of("name: abstract"), line_of("name: lei"), line_of("name: starts_on")]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("code: [", 1), ("code: small\n\ttitle: x", 2), ("- a\n- b", 1), ("", 1), ("just words", 1), ("code: small\ncode: big", 2),
        ("code: !!python/object/apply:os.system [ls]", 1), ("a: &x [*x]", 1), ("? [a]\n: b", 1), ("? {a: b}\n: c", 1), ("1: 2", 1),
    ],
)  # fmt: skip
def test_what_is_no_call_file_at_all_is_refused_with_its_line(check: Check, text: str, line: int) -> None:
    problems = check(text)
    assert problems
    assert {problem.partition(":")[0] for problem in problems} == {str(line)}


def test_a_file_that_cannot_be_read_is_a_problem_too(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"code: \xe9")
    for name in ("missing.yaml", "latin.yaml", "."):
        (problem,) = callfile.check(tmp_path / name)
        assert (problem.line, problem.message[:26]) == (
            1,
            "The file cannot be read: [" if name != "latin.yaml" else "The file cannot be read: '",
        )


def test_any_part_left_out_or_of_another_sort_is_a_problem_and_not_a_fault(check: Check) -> None:
    parts = SMALL.split("\n")
    silent = []
    for number, line in enumerate(parts):
        for instead in ("", line.partition(":")[0] + ": 5", line.partition(":")[0] + ": [null]", "  - x"):
            found = check("\n".join([*parts[:number], instead, *parts[number + 1 :]]))
            if not found and instead == "  - x":
                silent.append(line)
    assert [line for line in silent if not line.lstrip().startswith(("#", "default"))] == []


def test_a_right_file_comes_as_plain_data(tmp_path: Path) -> None:
    made = callfile.load(make.HERE / "small.yaml")
    assert type(made) is type(made["steps"][0]) is dict
    with pytest.raises(CallFileInvalid) as refused:
        callfile.load(tmp_path)
    assert len(refused.value.problems) == 1


def test_the_parts_that_the_desk_draws_are_typed_and_a_call_may_have_none() -> None:
    made = definitions.build(callfile.load(make.HERE / "small.yaml")).parts
    assert made.entities == Entities("members", "legal_name", country="country", owners=OWNERS)
    assert (made.sites, made.milestones) == (None, None)
    assert made.funding is not None
    assert (made.funding.total, made.funding.sources) == ("capex_total", ("public_money",))
    assert made.spreads == (Spread("capex", {"en": "CAPEX", "nl": "CAPEX"}, "capex", ("0", "3000000000")),)
    bare = {k: v for k, v in make.definition().items() if k != "parts"}
    assert definitions.build(bare).parts == Parts()


REVIEWS: list[tuple[str, str, str]] = [
    ("part: eligibility, for: [FC], needs: [starts_on]", "part: beauty, for: [FC], needs: [starts_on]", "Checklist line start_known: `part` is eligibility or completeness."),
    ("evidence: [starts_on]", "evidence: [starts_off]", "Checklist line start_known: `evidence` names no question: 'starts_off'."),
    ("evidence: [members.legal_name", "evidence: [members.nobody", "Checklist line members_in_eu: `evidence` names no question: 'members.nobody'."),
    ("needs: [starts_on], check", "needs: [starts_off], check", "Checklist line start_known: `needs` names no question: 'starts_off'."),
    ("check: \"starts_on <", "check: \"starts_off <", "Checklist line start_known: the expression names starts_off, which is no question."),
    ("- {name: start_known", "- {name: private_65", "`checklist`: 'private_65' is taken or not of the form a_b: choose another."),
    ("- {name: quality, heading: technical, for: [FC]", "- {name: quality, heading: technical, for: [ZZ]", "`criteria` quality: ZZ is no kind of respondent."),
    ("- {name: quality, heading: technical", "- {name: quality, heading: beauty", "Criterion quality: heading 'beauty' is not among `headings`."),
    ("weight: \"40\"", "weight: \"41\"", "`criteria`: the weights for FC add up to 101, not to 100."),
    ("weight: \"40\"", "weight: \"much\"", "The `weight` of a criterion is a percentage, such as \"12.5\"."),
    ("weight: \"40\", most: 5", "weight: \"40\", most: 7", "Criterion quality: `most` is 1, 2, 4, 5, 8, 10, 20, 100 or the like, so that totals are exact."),
    ("weight: \"40\", most: 5", "weight: \"40\", most: 0", "Criterion quality: `most` is 1, 2, 4, 5, 8, 10, 20, 100 or the like, so that totals are exact."),
    ("label: {en: \"Keep on file\"", "label: {en: \"Rejected\"", "Recommendation keep: an expression of interest is not decided on; choose words that grant and refuse nothing."),
    ("- {value: keep", "- {value: pass_on", "`recommendations`: 'pass_on' is taken or not of the form a_b: choose another."),
]  # fmt: skip


@pytest.mark.parametrize(("words", "instead", "said"), REVIEWS)
def test_what_is_wrong_in_the_review_is_named_with_its_line(check: Check, words: str, instead: str, said: str) -> None:
    text = SMALL.replace(words, instead, 1)
    assert words in SMALL
    assert said in [problem.partition(": ")[2] for problem in check(text)]
