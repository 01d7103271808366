"""Money to the cent, milestones in order, sites on the map: what a dossier's pictures and tables say."""

from decimal import Decimal
from functools import cache
from typing import Any

import pytest

from app import demo
from app.domain import definitions, funding, geography, identifiers, locations, portrait, timeline
from app.domain.parts import Sites
from app.domain.questionnaire import Questionnaire
from app.web import drawing
from tests import make


@cache
def call() -> Questionnaire:
    return definitions.build(make.definition("aigf-eoi"))


def sample(kind: str = "FC", **changes: Any) -> dict[str, Any]:
    return {n: v for step in demo.samples()[kind].values() for n, v in step.items()} | changes


def test_sources_follow_each_other_up_to_the_total() -> None:
    found = funding.of(call(), sample())
    assert found is not None
    assert [(s.is_public, s.amount, s.begins_at) for s in found.sources] == [
        (False, Decimal("1600000000.00"), Decimal("0.00")),
        (False, Decimal("1000000000.00"), Decimal("1600000000.00")),
        (True, Decimal("500000000.00"), Decimal("2600000000.00")),
        (True, Decimal("900000000.00"), Decimal("3100000000.00")),
        (True, Decimal("0.00"), Decimal("4000000000.00")),
    ]
    assert [found.private, found.public, found.missing] == [Decimal("2600000000.00"), Decimal("1400000000.00"), 0]
    whole: Any
    of_eu: Any
    whole, of_eu = found.ceilings
    assert (whole.share, whole.room, whole.is_kept) == (Decimal("35.0000"), 0, True)
    assert (of_eu.share, of_eu.base, of_eu.room) == (
        Decimal("16.6666"),
        Decimal("3000000000.00"),
        Decimal("10000000.00"),
    )


def test_one_cent_more_breaks_the_ceiling_and_is_seen_to() -> None:
    found = funding.of(call(), sample(other_public="0.01"))
    assert found is not None
    assert (found.ceilings[0].is_kept, found.ceilings[0].share, found.ceilings[0].room) == (
        False, Decimal("35.0001"), Decimal("-0.01"),
    )  # fmt: skip
    assert found.missing == Decimal("-0.01")
    table = portrait.money(found, "en")
    assert table.rows[-1][:3] == ("Sources exceed the total by", "", "0.01")
    assert table.notes[0].endswith("at most 35\u00a0%; 0.01 euros above the limit.")


def test_money_that_was_not_given_is_no_fault() -> None:
    assert funding.of(call(), {}) is None
    assert funding.of(definitions.build({k: v for k, v in make.definition().items() if k != "parts"}), sample()) is None
    only = funding.of(call(), {"private_equity": "5.00", "ms_requested": [{"member_state": "NL"}]})
    assert only is not None
    assert (only.total, only.sum, only.missing, only.ceilings) == (None, Decimal("5.00"), Decimal("-5.00"), ())
    zero = funding.of(call(), {"capex_total": "0.00", "eu_requested": "1.00"})
    assert zero is not None
    assert (zero.share_of(Decimal(1)), zero.ceilings) == (None, ())
    huge = funding.of(call(), sample(capex_total="100000000000.00", eu_requested="99999999999.99"))
    assert huge is not None
    assert drawing.waterfall(huge, "en").bars[-1].width < 100


def test_milestones_come_in_order_with_their_months() -> None:
    rows = [
        {"sort": "phase_1", "on_date": "2028-10-01"},
        {"sort": "other", "name": "A permit", "on_date": "2027-06-30"},
        {"sort": "close", "on_date": None},
    ]
    found = timeline.of(call(), {"milestones": rows})
    assert [(portrait.called(m, "en"), m.months, m.along) for m in found] == [
        ("Other: A permit", 0, 0.0),
        ("Operation of phase 1", 15, 1.0),
    ]
    assert timeline.of(call(), {}) == timeline.of(call(), {"milestones": []}) == []
    (alone,) = timeline.of(call(), {"milestones": rows[:1]})
    assert alone.along == 0


def test_a_site_without_a_point_is_named_and_one_outside_its_country_doubted() -> None:
    parts = call().parts.sites
    rows = [
        {"site_name": "Maasvlakte", "member_state": "NL", "latitude": "51.95", "longitude": "4.03"},
        {"site_name": "Swapped", "member_state": "NL", "latitude": "4.03", "longitude": "51.95"},
        {"site_name": "Secret", "member_state": "DE"},
    ]
    table = portrait.sites(locations.of(parts, {"sites": rows}), "en")
    assert table.notes == ("Site 2 seems to lie outside its country.", "No coordinates were given for: 3.")
    assert locations.of(None, {"sites": rows}) == locations.of(parts, {}) == []
    bare = locations.of(Sites("sites", "site_name"), {"sites": rows})
    assert (bare[0].name, bare[0].latitude, bare[0].is_doubtful) == ("Maasvlakte", None, False)


def test_every_member_state_is_on_the_map_and_points_fall_inside_their_own() -> None:
    assert geography.members().keys() == identifiers.EU27
    places = {
        "NL": (52.1, 5.2),
        "MT": (35.9, 14.4),
        "CY": (35.1, 33.2),
        "FI": (65.0, 26.0),
        "PT": (39.5, -8.2),
        "GR": (39.2, 22.0),
    }
    for country, point in places.items():
        x, y = geography.project(*point)
        frame = geography.extent(country, is_mainland=True)
        assert frame is not None
        assert frame.left <= x <= frame.left + frame.width, country
        assert frame.top <= y <= frame.top + frame.height, country
        whole = geography.EUROPE
        assert whole.left < x < whole.left + whole.width
        assert whole.top < y < whole.top + whole.height
    assert geography.extent("XX") is None
    assert geography.around_all(set(), []) == geography.EUROPE
    assert geography.DATA.stat().st_size < 80_000


@pytest.mark.parametrize("latitude", [-90.0, 0.0, 90.0])
def test_no_point_of_the_globe_is_too_far(latitude: float) -> None:
    assert all(
        abs(part) < 1e9
        for longitude in (-180.0, -170.0, 10.0, 180.0)
        for part in geography.project(latitude, longitude)
    )


def test_no_row_of_the_graph_is_empty_and_all_of_it_fits() -> None:
    rows = [
        ("A", "70", None),
        ("B", "30", None),
        ("B", "20", "A"),
        ("A", "10", "B"),
        ("C", "80", "A"),
        ("D", "1", None),
    ]
    owners = [{"name": n, "share": s, "via": v} for n, s, v in rows]
    members = [{"legal_name": "Delta", "role": "lead", "owners": owners}]
    (owned,) = portrait.of(call(), {"members": members}).owned
    made = drawing.graph(owned, "en")
    depths = sorted({box.y for box in made.boxes})
    assert depths == [n * (drawing.TALL + drawing.RISE) for n in range(len(depths))]
    assert len({(box.x, box.y) for box in made.boxes}) == len(made.boxes) == 5
    assert len(made.arrows) == 6
    places = [tuple(map(int, p.split(","))) for a in made.arrows for p in a.points.split()]
    assert all(0 <= x <= made.width and 0 <= y <= made.height for x, y in places)


@pytest.mark.parametrize("kind", ["FC", "MS", "OO"])
def test_each_sample_can_be_drawn_and_each_table_is_rectangular(kind: str) -> None:
    for variant in [{}, *(v["changes"] for v in demo.samples()["variants"] if v["kind"] == kind)]:
        found = portrait.of(call(), sample(kind, **variant))
        for language in ("en", "nl"):
            for table, drawn in drawing.dossier(found, language):
                assert drawn is not None
                assert {len(row) for row in table.rows} == {len(table.head)}
