"""From a posted form to answers: lists closed up, dates put together, and nothing typed lost."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.domain import definitions, reading
from app.domain.reading import Reading
from app.domain.texts import clean
from tests import make

QUESTIONS = definitions.build(make.definition())


def read(step: str, form: list[tuple[str, str]] | dict[str, str], kind: str = "FC", language: str = "nl") -> Reading:
    pairs = list(form.items()) if isinstance(form, dict) else form
    found = QUESTIONS.step(step)
    assert found is not None
    return reading.read(found, kind, pairs, language)


def test_answers_are_canonical_and_unknown_names_ignored() -> None:
    form = {"title": "  Delta  ", "contact_email": "a@b.example", "evil": "x", "__proto__": "y", "title-0-x": "z"}
    assert read("summary", form) == Reading({"title": "Delta", "contact_email": "a@b.example"}, {})


def test_an_empty_field_is_no_answer_and_of_a_name_given_twice_the_last_counts() -> None:
    assert read("summary", [("title", "one"), ("title", "two"), ("abstract", " \r\n ")]).answers == {"title": "two"}


def test_line_ends_become_one_and_accents_are_composed() -> None:
    assert read("summary", {"abstract": "a\r\nb\rc", "title": "e\u0301"}).answers == {
        "abstract": "a\nb\nc",
        "title": "é",
    }


def test_items_keep_their_order_and_close_up_over_gaps() -> None:
    form = {"members-7-legal_name": "Second", "members-2-legal_name": "First", "members-2-owners-5-name": "A"}
    assert read("members", form).answers["members"] == [
        {"legal_name": "First", "owners": [{"name": "A"}]},
        {"legal_name": "Second", "owners": []},
    ]


def test_what_cannot_be_read_stays_with_its_item_when_items_close_up() -> None:
    form = {"members-4-lei": "98", "members-4-owners-3-share": "1,234.5", "members-1-legal_name": "First"}
    found = read("members", form)
    assert found.answers["members"] == [{"legal_name": "First", "owners": []}, {"owners": [{}]}]
    assert {path: entry["text"] for path, entry in found.unread.items()} == {
        "members-1-lei": "98",
        "members-1-owners-0-share": "1,234.5",
    }


def test_an_item_without_text_stays_as_somebody_just_added_it() -> None:
    assert read("members", {"members-0-legal_name": ""}).answers["members"] == [{"owners": []}]


def test_no_more_items_than_the_call_allows_and_no_numbers_beyond_reason() -> None:
    form = {f"members-{i}-legal_name": str(i) for i in range(15)} | {
        "members-99999-legal_name": "no",
        "members-²-lei": "x",
    }
    assert [m["legal_name"] for m in read("members", form).answers["members"]] == [str(i) for i in range(10)]


def test_a_number_in_the_other_languages_writing_is_kept_as_typed_with_its_problem() -> None:
    found = read("finance", {"capex_total": "1,234.5", "public_money": "1.234,50"})
    assert found.answers == {"public_money": "1234.50"}
    assert found.unread == {
        "capex_total": {
            "text": "1,234.5",
            "language": "nl",
            "problem": "This could be read in two ways. Use “%(comma)s” before decimals and “%(group)s” between thousands: %(sample)s.",
            "params": {"comma": ",", "group": ".", "sample": "1.234,5"},
        }
    }
    assert read("finance", {"capex_total": "1,234.5"}, language="en").answers == {"capex_total": "1234.50"}


def test_a_date_comes_in_three_parts_and_stays_so_where_it_does_not_exist() -> None:
    parts = {"starts_on-day": "1", "starts_on-month": "2", "starts_on-year": "2028"}
    assert read("finance", parts).answers == {"starts_on": "2028-02-01"}
    wrong = read("finance", parts | {"starts_on-day": "30"}).unread["starts_on"]
    assert (wrong["text"], wrong["parts"]) == ("30-2-2028", ["30", "2", "2028"])
    half = read("finance", {"starts_on-day": "", "starts_on-month": "2", "starts_on-year": ""}).unread["starts_on"]
    assert half["parts"] == ["", "2", ""]
    assert read("finance", dict.fromkeys(parts, "")) == Reading()


def test_choices_are_those_of_the_call_in_its_order_and_none_is_an_empty_form() -> None:
    name = "confidential_sections"
    form = [(name, "finance"), (name, "members"), (name, "everything")]
    assert read("declarations", form).answers == {name: ["members", "finance"]}
    assert read("declarations", []).answers == {}


def test_yes_and_no_are_answers_and_anything_else_is_not() -> None:
    assert read("declarations", {"consent_eurohpc": "no"}).answers == {"consent_eurohpc": False}
    assert read("declarations", {"consent_eurohpc": "maybe"}).unread["consent_eurohpc"]["text"] == "maybe"


def test_a_kind_is_asked_its_own_questions_only() -> None:
    assert read("declarations", {"consent_eurohpc": "yes"}, kind="MS") == Reading()


def test_a_file_is_never_read_from_text() -> None:
    assert read("documents", {"proposal": "proposal.pdf"}) == Reading()


def test_characters_that_cannot_be_stored_are_taken_out_of_what_is_kept() -> None:
    entry = read("summary", {"title": "a\x00b\u202ec" + "x" * 30_000}).unread["title"]
    assert entry["text"][:10] == "abcxxxxxxx"
    assert len(entry["text"]) == reading.MAX_UNREAD


FIELDS = [
    "members-0-legal_name",
    "members-1-owners-2-share",
    "members-1-lei",
    "members-x-lei",
    "members--1-lei",
    "members",
]


@given(st.lists(st.tuples(st.sampled_from(FIELDS), st.text(max_size=30)), max_size=12))
def test_every_text_that_is_typed_is_answered_or_kept(form: list[tuple[str, str]]) -> None:
    found = read("members", form)
    last = dict(form)
    given_texts = {n: t for n, t in last.items() if n in FIELDS[:3] and clean(t)}
    assert found == read("members", form)
    kept = texts(found.answers) + list(found.unread)
    assert len(kept) == len(given_texts)


def texts(value: Any) -> list[str]:
    """Every text in nested answers."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value
    return [text for one in inner for text in texts(one)]
