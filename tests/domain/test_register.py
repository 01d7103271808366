"""The register: every filter counts what it finds, pages neither repeat nor skip, and nothing of a conflict is counted."""

from collections.abc import Iterator
from decimal import Decimal
from itertools import product

import pytest
from sqlalchemy import Text, event, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.deps import Portal
from app.domain import (
    calls,
    columns,
    conflicts,
    drafts,
    entries,
    facets,
    register,
    searches,
    surroundings,
    traits,
    views,
    withdrawals,
)
from app.domain.access import Actor
from app.domain.errors import NotFound
from app.domain.objections import NameMissing, NameTaken
from app.domain.register import Query
from app.infra.signing import Signer
from app.models import Call, Entry, Listing, Submission
from tests import make

MONEY = ["500000000.00", "1000000000.00", "2999999999.99", "3000000000.00", "4000000000.00"]


@pytest.fixture
def staff(db: Session) -> Actor:
    return make.person(db, "jo@rvo.example", staff="reviewer")


@pytest.fixture
def cases(db: Session, signer: Signer) -> list[Submission]:
    """Five submissions of a sealed call, of which one is withdrawn; the money differs, two titles are the same."""
    call, made = make.call(db), []
    for number, money in enumerate(MONEY):
        email = f"p{number}@firm.example"
        members = [{"legal_name": f"Firm {number % 3} B.V.", "country": "NL", "owners": []}]
        case, actor = make.submission(
            db,
            call,
            make.person(db, email),
            contact_email=email,
            title="Same title" if number < 2 else f"Plan {number}",
            abstract="Koeling met zeewater" if number == 1 else "Cooling towers",
            capex_total=money,
            public_money="0.00",
            consent_eurohpc=number != 2,
            members=members,
        )
        drafts.save_step(db, actor, case, drafts.CHECK, 0, {"capex_usual": "It grows."}, {})
        make.send(db, actor, case, signer)
        if number == 4:
            withdrawals.withdraw(db, actor, case, "Changed our mind.", make.ISSUER)
        made.append(case)
    make.close(db, call)
    return made


def found(db: Session, actor: Actor, call: Call, query: Query, limit: int = 2) -> Iterator[str]:
    """The references of all pages, forwards."""
    after = None
    while True:
        page = register.page(db, actor, call, query, limit, after)
        yield from (row["reference"] for row in page.rows)
        if (after := page.after) is None:
            return


def test_each_filter_finds_what_it_counts(db: Session, staff: Actor, cases: list[Submission]) -> None:
    call = cases[0].call
    counted = register.counts(register.narrow(db, staff, call, Query()))
    assert counted["fact.capex"] == {"0": 1, "1": 2, "2": 2}
    assert counted["is_withdrawn"] == {"yes": 1, "no": 4}
    assert counted["is_released"]["yes"] + counted["is_released"]["no"] == 5
    for facet, values in counted.items():
        for value, number in values.items():
            query = Query(chosen={facet: (value,)})
            assert len(list(found(db, staff, call, query))) == number, (facet, value)
            assert register.totals(db, staff, call, query).count == number
    together: list[dict[str, tuple[str, ...]]] = [
        {"fact.capex": ("1", "2"), "is_withdrawn": ("no",)},
        {"is_consented": ("yes",), "warning": ("*",)},
    ]
    for chosen in together:
        query = Query(chosen=chosen)
        assert len(list(found(db, staff, call, query))) == register.totals(db, staff, call, query).count


def test_a_dossier_is_found_by_each_country_that_it_has_a_site_in(
    db: Session, staff: Actor, signer: Signer, cases: list[Submission]
) -> None:
    body = make.definition()
    body["parts"]["sites"] = {"list": "members", "name": "legal_name", "country": "country"}  # a list with a country
    call = make.call(db, of=body)
    members: list[dict[str, object]] = [
        {"legal_name": f"Firm {country}", "country": country, "owners": []} for country in ("NL", "BE", "NL")
    ]
    case, _ = make.submission(db, call, sent=True, signer=signer, members=members)
    state, _ = make.submission(db, call, make.person(db, "ms@state.example"), kind="MS", sent=True, signer=signer)
    make.close(db, call)
    counted = register.counts(register.narrow(db, staff, call, Query()))
    assert counted["site"] == {"BE": 1, "NL": 1, "-": 1}
    for value, only in (("NL", case), ("BE", case), ("-", state)):
        assert list(found(db, staff, call, Query(chosen={"site": (value,)}))) == [only.reference]
    assert "site" not in register.counts(register.narrow(db, staff, cases[0].call, Query()))  # has no sites


def test_a_facet_counts_what_the_others_leave(db: Session, staff: Actor, cases: list[Submission]) -> None:
    query = Query(chosen={"fact.capex": ("1",), "is_withdrawn": ("no",)})
    counted = register.counts(register.narrow(db, staff, cases[0].call, query))
    assert counted["fact.capex"] == {"0": 1, "1": 2, "2": 1}
    assert counted["is_withdrawn"] == {"yes": 0, "no": 2}


def test_pages_neither_repeat_nor_skip_whatever_they_are_sorted_by(
    db: Session, staff: Actor, cases: list[Submission]
) -> None:
    call = cases[0].call
    every = {case.reference for case in cases}
    names = [c.name for c in columns.columns(calls.questions(call)) if c.is_sorted]
    for name, descending in product(names, (True, False)):
        query = Query(sort=name, descending=descending)
        forwards = list(found(db, staff, call, query))
        assert (len(forwards), set(forwards)) == (5, every), name
        last = register.page(db, staff, call, query, 2, forwards[3])
        assert ([row["reference"] for row in last.rows], last.after, last.before) == (forwards[4:], None, forwards[4])
        back = register.page(db, staff, call, query, 2, before=forwards[4])
        assert ([row["reference"] for row in back.rows], back.before) == (forwards[2:4], forwards[2])
    by_money = list(found(db, staff, call, Query(sort="fact.capex", descending=False)))
    assert by_money == [case.reference for case in cases]


def test_sums_are_exact(db: Session, staff: Actor, signer: Signer) -> None:
    body = make.definition()
    next(column for column in body["register"] if column["name"] == "capex")["sum"] = True
    call = make.call(db, of=body)
    for number, money in enumerate(["0.01", "99999999999.99", "0.10"]):
        email = f"s{number}@firm.example"
        person = make.person(db, email)
        case, actor = make.submission(db, call, person, contact_email=email, capex_total=money, public_money="0.00")
        drafts.save_step(db, actor, case, drafts.CHECK, 0, {"capex_usual": "It grows."}, {})
        make.send(db, actor, case, signer)
    make.close(db, call)
    assert register.totals(db, staff, call, Query()).sums == {"fact.capex": Decimal("100000000000.10")}
    low = register.totals(db, staff, call, Query(chosen={"fact.capex": ("0",)}))
    assert (low.count, low.sums) == (2, {"fact.capex": Decimal("0.11")})


def test_what_one_has_a_conflict_with_is_in_no_count_page_or_search(
    db: Session, staff: Actor, cases: list[Submission]
) -> None:
    call, hidden = cases[0].call, cases[1]
    conflicts.state(db, staff, hidden, "conflict", "My sister works there.")
    assert register.totals(db, staff, call, Query()).count == 4
    assert hidden.reference not in list(found(db, staff, call, Query(sort="title")))
    counted = register.counts(register.narrow(db, staff, call, Query()))
    assert sum(counted["fact.capex"].values()) == sum(counted["is_released"].values()) == 4
    for query in (Query(search="zeewater"), Query(search=hidden.reference), Query(chosen={"fact.capex": ("1",)})):
        assert hidden.reference not in list(found(db, staff, call, query))
    other = make.person(db, "other@rvo.example", staff="reviewer")
    assert register.totals(db, other, call, Query()).count == 5
    assert traits.shared(db, staff, hidden.id) == []
    assert hidden.reference not in [one.reference for one in traits.shared(db, staff, cases[4].id)]


@pytest.mark.parametrize(
    "search, number",
    [("zeewater", 1), ("koelen", 1), ("tower", 4), ("same", 2), ("cooling -plan", 1), ('"cooling towers"', 4),
     ("plan or zeewater", 4), ("gone", 0), ("Fir", 5), ("'", 5), ("\x00 & | ! :* <->", 5)],
)  # fmt: skip
def test_words_are_found_in_both_languages(
    db: Session, staff: Actor, cases: list[Submission], search: str, number: int
) -> None:
    got = len(list(found(db, staff, cases[0].call, Query(search=search))))
    assert got == number or (not any(c.isalnum() for c in search) and got in (0, 5))


@pytest.mark.parametrize(
    "search, asked",
    [
        ("Road 777", "'road':* & '777':*"),
        ("water", "'water':*"),
        ("warmte", "'warmte':* | 'warmt'"),
        ("grids", "'grids':* | 'grid'"),
        ("of EU-grids", "'of' & 'eu-grids' <-> 'eu' <-> 'grids' | 'eu-grid' <-> 'eu' <-> 'grid'"),
        ("", ""),
    ],
)
def test_the_database_is_asked_for_nothing_twice(db: Session, search: str, asked: str) -> None:
    """Each part of a query that all entries answer to is read in full, so what another part includes is left out."""
    said = db.scalar(select(searches.tsquery(search).cast(Text)))
    assert said == asked


def test_a_search_finds_nothing_of_another_call(
    db: Session, staff: Actor, signer: Signer, cases: list[Submission]
) -> None:
    other, _ = make.submission(db, sent=True, signer=signer, abstract="Koeling met zeewater")
    make.close(db, other.call)
    assert list(found(db, staff, other.call, Query(search="zeewater"))) == [other.reference]
    assert list(found(db, staff, cases[0].call, Query(search="zeewater"))) == [cases[1].reference]


def test_of_a_large_call_common_words_are_told_by_its_first_entries(
    db: Session, staff: Actor, cases: list[Submission], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading a tenth of a large call to learn that there are more took longer than the page."""
    monkeypatch.setattr(register, "LIMIT", 2)
    monkeypatch.setattr(register, "RARE", 1)
    monkeypatch.setattr(register, "SAMPLE", 4)
    call = cases[0].call
    cooling, rare = Query(search="cooling"), Query(search="zeewater")
    assert register.totals(db, staff, call, cooling) == register.Totals(2, {}, True)
    assert len(list(found(db, staff, call, cooling))) == 4
    assert register.totals(db, staff, call, rare).count == 1
    assert list(found(db, staff, call, rare)) == [cases[1].reference]


def test_beyond_the_limit_counts_say_more_and_pages_go_on(
    db: Session, staff: Actor, cases: list[Submission], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register, "LIMIT", 2)
    call = cases[0].call
    query = Query(search="cooling")
    assert register.totals(db, staff, call, query) == register.Totals(2, {}, True)
    assert register.counts(register.narrow(db, staff, call, query)) == {}
    assert len(list(found(db, staff, call, query))) == 4
    both = Query(search="cooling", chosen={"fact.capex": ("0",)})
    assert register.totals(db, staff, call, both).count == 1
    assert list(found(db, staff, call, both)) == [cases[0].reference]
    released = Query(chosen={"is_released": ("yes",)})
    number = 3  # of five one is withdrawn and one is without consent
    assert len(list(found(db, staff, call, released))) == number


def test_members_and_sites_are_pointed_out_once_another_has_them(
    db: Session, staff: Actor, cases: list[Submission]
) -> None:
    call = cases[0].call
    query = Query(sort="fact.capex", descending=False)
    rows = register.page(db, staff, call, query, 10).rows
    assert [row["flags"] for row in rows] == [
        ["shared_member"],
        ["shared_member"],
        [],
        ["shared_member"],
        ["shared_member"],
    ]
    (one,) = traits.shared(db, staff, cases[0].id)
    assert (one.what, one.name, one.reference) == ("shared_member", "Firm 0 B.V.", cases[3].reference)


def test_what_surrounds_a_dossier_is_known_at_once(db: Session, staff: Actor, cases: list[Submission]) -> None:
    entries.prepared(db, cases[0].call)
    around = [surroundings.of(db, case) for case in cases]
    assert [(one.versions, one.withdrawals, one.flags) for one in around] == [
        (1, False, True),
        (1, False, True),
        (1, False, False),
        (1, False, True),
        (1, True, True),
    ]
    assert not any(any((one.clarifications, one.deliveries, one.letters, one.interests)) for one in around)


def test_two_kilometres_are_near_and_three_are_not() -> None:
    def site(latitude: float, longitude: float, region: str = "NL333") -> traits.Mark:
        square = traits._square(latitude, longitude)
        return traits.Mark("site", f"{region} {square}", "", latitude, longitude)

    here, step = (52.0, 4.3), 1 / 111.2
    for latitude, longitude in (here, (-33.9, 151.2), (69.6, 18.9), (0.0001, 179.9)):
        near = {0: [site(latitude, longitude)], 1: [site(latitude + 1.9 * step, longitude)]}
        assert traits.flags_of(near) == {0: {"same_site"}, 1: {"same_site"}}, latitude
        far = {0: [site(latitude, longitude)], 1: [site(latitude + 2.1 * step, longitude)]}
        assert traits.flags_of(far) == {}
    assert traits.flags_of({0: [site(*here)], 1: [site(*here, region="NL332")]}) == {}
    assert traits.flags_of({0: [site(*here), site(*here)]}) == {}


def test_preparing_twice_changes_nothing(db: Session, staff: Actor, cases: list[Submission]) -> None:
    call = cases[0].call
    first = entries.prepared(db, call)
    assert entries.prepare(db, call)
    assert entries.prepared(db, call).prepared_at == first.prepared_at
    assert db.scalar(select(func.count()).select_from(Entry)) == 5


def test_preparing_in_small_steps_comes_to_the_same(
    db: Session, staff: Actor, cases: list[Submission], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "BATCH", 2)
    steps = [entries.prepare(db, cases[0].call) for _ in range(4)]
    assert steps == [False, False, False, True]
    assert register.totals(db, staff, cases[0].call, Query()).count == 5


def test_the_serving_role_rewrites_no_entry(db: Session, cases: list[Submission]) -> None:
    entries.prepared(db, cases[0].call)
    for attack in (
        "delete from entry",
        "update entry set title = 'x'",
        "delete from listing",
        "update place set up = 1",
    ):
        with pytest.raises(DBAPIError, match="permission denied"), db.begin_nested():
            db.execute(text(attack))


def test_a_page_asks_as_often_for_five_rows_as_for_one(
    db: Session, portal: Portal, staff: Actor, cases: list[Submission]
) -> None:
    call = cases[0].call
    register.page(db, staff, call, Query(), 1)
    asked: list[list[str]] = []
    for limit in (1, 5):
        heard: list[str] = []
        listener = lambda *a, heard=heard: heard.append(a[2])  # noqa: E731
        event.listen(db.get_bind().engine, "before_cursor_execute", listener)
        register.page(db, staff, call, Query(chosen={"kind": ("FC",)}), limit)
        event.remove(db.get_bind().engine, "before_cursor_execute", listener)
        asked.append(heard)
    assert len(asked[0]) == len(asked[1])


def test_sets_know_their_positions() -> None:
    for some in ([], [0], [7, 8], [0, 63, 64, 999]):
        assert facets.positions(facets.of_positions(some, 1000)) == some


def test_a_view_is_ones_own(db: Session, staff: Actor, cases: list[Submission]) -> None:
    call = cases[0].call
    other = make.person(db, "other@rvo.example", staff="reviewer")
    mine = views.save(db, staff, call, " My  view ", "kind=FC", False)
    db.flush()
    assert (mine.name, views.listed(db, other, call)) == ("My view", [])
    with pytest.raises(NameTaken):
        views.save(db, staff, call, "My view", "kind=OO", False)
    with pytest.raises(NameMissing):
        views.save(db, staff, call, " ", "kind=OO", False)
    views.rename(db, staff, str(mine.id), "Ours", True)
    db.flush()
    assert [view.name for view in views.listed(db, other, call)] == ["Ours"]
    for attempt in (lambda: views.rename(db, other, str(mine.id), "Theirs", True), lambda: views.remove(db, other, str(mine.id)), lambda: views.own(db, staff, "x")):  # fmt: skip
        with pytest.raises(NotFound):
            attempt()
    views.remove(db, staff, str(mine.id))
    assert views.listed(db, staff, call) == []


def test_nothing_is_prepared_before_the_seal(db: Session, signer: Signer) -> None:
    case, _ = make.submission(db, sent=True, signer=signer)
    assert db.scalar(select(func.count()).select_from(Listing)) == 0
    assert entries.due(db) == []
    make.close(db, case.call)
    assert entries.prepared(db, case.call).size == 1
