"""Shares along chains: multiplied and added exactly, circles followed once, what nobody told said to be unknown."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import ownership
from app.domain.ownership import Ownership
from app.domain.parts import Entities, Owners

PARTS = Entities(
    "members", "name", "role", "lead", "country", owners=Owners("owners", "name", "country", "share", "votes", "via")
)


def owner(name: str, share: str | None, via: str | None = None, **more: Any) -> dict[str, Any]:
    return {"name": name, "share": share, "via": via, "country": "NL", **more}


def owned(*owners: dict[str, Any]) -> Ownership:
    (found,) = ownership.of(PARTS, {"members": [{"name": "Delta", "role": "lead", "owners": list(owners)}]})
    return found


def held(found: Ownership) -> dict[str, Any]:
    return {holding.holder.name: holding for holding in found.holdings}


def test_shares_are_multiplied_along_a_chain_and_chains_added() -> None:
    found = owned(
        owner("H", "60"), owner("P", "40"), owner("W", "30", "H"), owner("P", "20", "W"), owner("V", "80", "W")
    )
    shares = {name: (h.share, h.line, h.is_ultimate) for name, h in held(found).items()}
    assert shares == {
        "P": (Fraction("43.6"), "interest", True),
        "V": (Fraction("14.4"), None, True),
        "H": (Fraction(60), "control", False),
        "W": (Fraction(18), None, False),
    }
    assert held(found)["P"].chains == ((), ("W", "H"))
    assert found.unexplained == 0
    assert not found.is_circular


@pytest.mark.parametrize(
    ("share", "line"),
    [
        ("24.9999", None),
        ("25", "interest"),
        ("50", "interest"),
        ("50.0001", "control"),
        ("100", "control"),
        ("0", None),
    ],
)
def test_the_lines_are_at_25_and_beyond_50_to_the_last_decimal(share: str, line: str | None) -> None:
    assert held(owned(owner("A", share)))["A"].line == line


def test_a_chain_that_ends_a_hair_below_a_line_does_not_cross_it_and_is_not_shown_at_it() -> None:
    found = held(owned(owner("H", "50"), owner("A", "49.9999", "H"), owner("B", "33.3333", "A")))
    assert (found["A"].share, found["A"].line) == (Fraction("24.99995"), None)
    assert str(ownership.in_percent(found["A"].share)) == "24.9999"
    assert found["B"].share == Fraction("8.33330833335")


def test_the_greater_of_shares_and_votes_counts_and_votes_not_given_are_the_shares() -> None:
    found = held(owned(owner("A", "10", votes="51"), owner("B", "30"), owner("C", "50", "A", votes="100")))
    assert (found["A"].votes, found["A"].line) == (51, "control")
    assert (found["B"].votes, found["B"].line) == (30, "interest")
    assert (found["C"].share, found["C"].votes, found["C"].line) == (5, 51, "control")


def test_owners_that_own_each_other_are_followed_once_around() -> None:
    found = owned(owner("X", "40"), owner("Y", "60"), owner("X", "30", "Y"), owner("Y", "20", "X"))
    assert found.is_circular
    assert {n: (h.share, h.is_ultimate) for n, h in held(found).items()} == {"X": (58, True), "Y": (68, True)}


def test_who_owns_itself_owns_nothing_by_that() -> None:
    found = owned(owner("Delta", "10"), owner("A", "90"), owner("A", "5", "A"))
    assert {n: h.share for n, h in held(found).items()} == {"A": 90}
    assert ownership.of(PARTS, {"members": [{"name": "Delta", "owners": [owner("Delta", "100")]}]}) == []


def test_a_chain_of_which_a_link_is_missing_is_unknown_and_says_so() -> None:
    found = owned(owner("A", "100", "Nobody told"), owner("B", "20"), owner("B", "100", "Nobody told"))
    assert {n: (h.share, h.is_least, h.line) for n, h in held(found).items()} == {
        "B": (20, True, None),
        "A": (None, True, None),
        "Nobody told": (None, True, None),
    }
    assert found.unexplained == 80
    assert held(owned(owner("A", None)))["A"].share is None


def test_names_are_compared_without_regard_to_capitals_and_spaces() -> None:
    found = owned(owner("Delta  Holding", "100"), owner("A", "50", "DELTA holding "))
    assert {n: h.share for n, h in held(found).items()} == {"Delta  Holding": 100, "A": 50}


def test_a_member_that_owns_another_brings_its_own_owners() -> None:
    members = [
        {"name": "Host", "role": "host", "owners": [owner("Delta", "50")]},
        {"name": "Delta", "role": "lead", "owners": [owner("A", "80"), owner("A", "10"), owner("Z", "100", "A")]},
    ]
    delta, host = ownership.of(PARTS, {"members": members})
    assert (delta.entity.name, delta.entity.is_lead) == ("Delta", True)
    assert {n: h.share for n, h in held(delta).items()} == {"A": 90, "Z": 90}
    assert {n: h.share for n, h in held(host).items()} == {"Delta": 50, "A": 45, "Z": 45}


@pytest.mark.parametrize(
    "answers", [{}, {"members": None}, {"members": []}, {"members": [{}]}, {"members": [{"name": "A", "owners": [{}]}]}]
)
def test_where_nothing_was_given_there_is_nothing(answers: dict[str, Any]) -> None:
    assert ownership.of(PARTS, answers) == []
    assert ownership.of(None, {"members": [{"name": "A", "owners": [owner("B", "1")]}]}) == []


def test_a_web_of_owners_too_large_to_follow_gives_what_was_found_as_the_least() -> None:
    names = [f"N{n}" for n in range(30)]
    web = [owner(a, "1", b) for a in names for b in names if a != b][:800]
    found = owned(*(owner(n, "3") for n in names), *web)
    assert all(h.is_least and (h.share or 0) >= 3 for h in found.holdings)
    rope = owned(owner("N0", "100"), *(owner(f"N{n + 1}", "100", f"N{n}") for n in range(1500)))
    assert len(rope.parties) == 1502


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6), st.integers(0, 100)), max_size=12))
def test_no_list_of_owners_is_too_odd(rows: list[tuple[int, int, int]]) -> None:
    owners = [owner(f"N{a}", str(share), None if b == 6 else f"N{b}") for a, b, share in rows]
    for found in ownership.of(PARTS, {"members": [{"name": "Delta", "owners": owners}]}):
        assert all(h.share is None or h.share >= 0 for h in found.holdings)
        assert len({h.holder.key for h in found.holdings}) == len(found.holdings)
