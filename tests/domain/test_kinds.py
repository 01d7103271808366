"""Every kind of question: what it reads, what it refuses and where the border lies, as domain.md's traps have it."""

from dataclasses import dataclass
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import identifiers, kinds, texts
from app.domain.answers import Unreadable
from app.domain.kinds import KINDS
from app.infra.i18n import LANGUAGES, sort_key


@dataclass(frozen=True)
class Choice:
    value: str
    label: dict[str, str]


@dataclass(frozen=True)
class Asked:
    """A question, as far as a kind looks at it."""

    places: int = 2
    min: str | None = None
    max: str | None = None
    max_length: int = 20
    options: tuple[Choice, ...] = (Choice("a", {"en": "Apple", "nl": "Appel"}), Choice("b", {"en": "Bee", "nl": "Bij"}))


GOOD: dict[str, list[tuple[str, str, Any]]] = {
    "text": [("Delta BV", "nl", "Delta BV"), ("two\nlines", "en", "two lines"), ("x" * 20, "en", "x" * 20)],
    "long_text": [("two\nlines", "en", "two\nlines"), ("👩‍🚀 naïve", "en", "👩‍🚀 naïve")],
    "choice": [("a", "en", "a")],
    "yes_no": [("yes", "nl", True), ("no", "en", False)],
    "integer": [
        ("1.234", "nl", 1234), ("1,234", "en", 1234), ("1 234", "nl", 1234), ("-5", "en", -5), ("0", "nl", 0),
        ("9007199254740992", "en", 2**53),
    ],
    "decimal": [
        ("1.234,5", "nl", "1234.5"), ("1,234.5", "en", "1234.5"), ("1,50", "nl", "1.5"), ("0,00", "nl", "0"),
        ("-0", "en", "0"), ("12", "nl", "12"), ("1.000", "nl", "1000"),
        # pasted from elsewhere, and to be read in one way only
        ("1.5", "nl", "1.5"), ("1,5", "en", "1.5"), ("12.34", "nl", "12.34"), ("-53.2", "nl", "-53.2"),
        ("0.50", "nl", "0.5"), ("1500.25", "nl", "1500.25"),
    ],
    "percent": [("35", "nl", "35"), ("12,5 %", "nl", "12.5"), ("12.5%", "en", "12.5")],
    "money": [
        ("1.234,50", "nl", "1234.50"), ("1,234.50", "en", "1234.50"), ("€ 3.000.000.000", "nl", "3000000000.00"),
        ("3 000 000 000", "nl", "3000000000.00"), ("3’000,5", "nl", "3000.50"), ("1234,5 EUR", "nl", "1234.50"),
        ("0,01", "nl", "0.01"), ("4000000000.00", "nl", "4000000000.00"), ("€ 1,5", "en", "1.50"),
    ],
    "time": [("14:20", "en", "14:20"), ("9.05", "nl", "09:05")],
    "date": [("2028-02-29", "en", "2028-02-29"), ("2028-1-2", "en", "2028-01-02")],
    "country": [("GR", "en", "GR"), ("Nederland", "en", "NL"), ("austria", "nl", "AT"), ("us", "nl", "US")],
    "nuts": [("NL366", "en", "NL366"), ("nl366", "nl", "NL366"), (" EL 303 ", "en", "EL303")],
    "email": [("a.b+c@firm.example", "en", "a.b+c@firm.example"), ("x@y.eu", "nl", "x@y.eu")],
    "phone": [("+31 70 123 45 67", "en", "+31701234567"), ("0031 (70) 123-4567", "nl", "+31701234567")],
    "url": [("https://firm.example/a?b#c", "en", "https://firm.example/a?b#c"), ("http://a.eu", "en", "http://a.eu")],
    "kvk": [("12345678", "nl", "12345678"), ("1234 5678", "en", "12345678")],
    "vat": [
        ("NL810433941B01", "en", "NL810433941B01"), ("nl 8104.33.941.B01", "nl", "NL810433941B01"),
        ("EL094259216", "en", "EL094259216"), ("BE 0403.019.261", "en", "BE0403019261"),
    ],
    "lei": [("506700GE1G29325QX363", "en", "506700GE1G29325QX363"), ("5067 00ge1g29325qx3 63", "nl", "506700GE1G29325QX363")],
    "euid": [
        ("NLNHR.12345678", "en", "NLNHR.12345678"), ("ROONRC.J40/12487/1998", "en", "ROONRC.J40/12487/1998"),
        ("ELGEMI.123", "en", "ELGEMI.123"), ("NOFOR.1", "en", "NOFOR.1"),
    ],
    "pic": [("999991234", "en", "999991234"), ("999 991 234", "nl", "999991234")],
    "nace": [("63.10", "en", "63.10"), ("62.10", "nl", "62.10")],
}  # fmt: skip
NUMBER = "Type a number in digits, such as %(sample)s."
TWO_WAYS = (
    "This could be read in two ways. Use “%(comma)s” before decimals and “%(group)s” between thousands: %(sample)s."
)
TOO_LONG = "This number is too long."
PLACES = "Give at most %(places)s decimals."
CONTROLS = "This has a character that cannot be shown or stored. Type it again without."
DATE = "Give a date that exists, such as 27 3 2028."
EMAIL = "Give an e-mail address such as name@example.eu."
PHONE = "Give a telephone number with its country code, such as +31 70 123 45 67."
URL = "Give a web address that begins with https://."
TIME = kinds.TIME_HINT
COUNTRY = "Choose a country from the list."
BAD: dict[str, list[tuple[str, str, str]]] = {
    "text": [
        ("x" * 21, "en", "Shorten this to %(most)s characters; it has %(length)s."), ("a\x00b", "en", CONTROLS),
        ("\ud800", "en", CONTROLS), ("a\tb", "en", CONTROLS), ("\ue000", "en", CONTROLS),
    ],
    "long_text": [("a\x1bb", "en", CONTROLS), ("\ufffe", "en", CONTROLS)],
    "choice": [("c", "en", "Choose one of the options."), ("A", "en", "Choose one of the options.")],
    "choices": [("a", "en", "Choose one of the options.")],
    "yes_no": [("ja", "nl", "Choose yes or no."), ("true", "en", "Choose yes or no.")],
    "integer": [
        ("1.5", "en", PLACES), ("1.5", "nl", PLACES), ("1,5", "nl", PLACES), ("ten", "en", NUMBER),
        ("9007199254740993", "en", TOO_LONG), ("1e5", "en", NUMBER), ("١٢", "en", NUMBER),
    ],
    "decimal": [
        ("1.234.5", "nl", TWO_WAYS), ("1234.500", "nl", TWO_WAYS), ("1.234.50", "nl", TWO_WAYS), ("1,234.5", "nl", TWO_WAYS),
        ("1,234,5", "en", TWO_WAYS), ("1.2345", "nl", PLACES), ("1234,500", "en", TWO_WAYS), ("1.234", "en", PLACES), ("NaN", "en", NUMBER), ("-", "en", NUMBER),
        ("9" * 19, "en", TOO_LONG), ("1 23", "nl", TWO_WAYS),
    ],
    "percent": [("a%", "en", NUMBER), ("12,345", "nl", PLACES)],
    "money": [
        ("0.125", "nl", PLACES), ("1,234", "nl", PLACES), ("0.001", "en", PLACES), ("3 mln", "nl", NUMBER),
        ("$5", "en", NUMBER), ("Infinity", "en", NUMBER), ("9" * 400, "en", TOO_LONG),
    ],
    "time": [(text, "en", TIME) for text in ("24:00", "12:60", "noon", "1:2", "٠٩:٠٠")],
    "date": [
        ("2027-02-29", "en", DATE), ("20-6-2027", "nl", DATE), ("2027-06", "en", DATE), ("tomorrow", "en", DATE),
        ("2027-00-01", "en", DATE), ("٢٠٢٧-01-01", "en", DATE),
    ],
    "country": [("EL", "en", COUNTRY), ("XI", "en", COUNTRY), ("EU", "en", COUNTRY), ("Atlantis", "en", COUNTRY)],
    "nuts": [
        (code, "en", kinds.NUTS_HINT) for code in ("GR303", "NL36", "NL", "NLZZZ", "UKI31", "NL3666", "CH011")
    ],
    "email": [
        (text, "en", EMAIL)
        for text in ("a@b", "a b@c.eu", "a@b..eu", "a@@b.eu", "@b.eu", "a@-b.eu", "a" * 65 + "@b.eu", "a@b.eu\nc", "é@b.eu")
    ],
    "phone": [(text, "en", PHONE) for text in ("070 1234567", "+31", "+0701234567", "+31 70 CALL ME", "+" + "1" * 16)],
    "url": [(text, "en", URL) for text in ("firm.example", "javascript:alert(1)", "https://", "ftp://a.eu", "https://a b.eu")],
    "kvk": [(text, "en", kinds.KVK_HINT) for text in ("1234567", "123456789", "1234567a", "٣٤٥٦٧٨٩٠")],
    "vat": [
        (text, "en", kinds.VAT_HINT)
        for text in ("XI432525179", "GR094259216", "EL094259217", "NL810433942B01", "810433941B01", "GB434031494", "NL")
    ],
    "lei": [(text, "en", kinds.LEI_HINT) for text in ("98", "1", "1262", "506700GE1G29325QX364", "506700GE1G29325QX3633")],
    "euid": [
        (text, "en", kinds.EUID_HINT)
        for text in ("NLNHR12345678", "GRGEMI.123", "GBCH.1", "XXNHR.1", "NLNHR.", "NL.1", "NLNHR." + "1" * 61)
    ],
    "pic": [(text, "en", kinds.PIC_HINT) for text in ("12345678", "1234567890", "12345678a")],
    "nace": [(text, "en", kinds.NACE_HINT) for text in ("62.01", "99.99", "A", "63-10", "6210", "63.")],
    "file": [("a.pdf", "en", "Choose one of the options.")],
}  # fmt: skip


def cases(table: dict[str, list[tuple[str, str, Any]]]) -> list[Any]:
    return [
        pytest.param(kind, *case, id=f"{kind}-{number}")
        for kind, some in table.items()
        for number, case in enumerate(some)
    ]


def read(kind: str, text: str, language: str = "en", asked: Asked | None = None) -> Any:
    return KINDS[kind].read(texts.clean(text), asked or Asked(), language)


def refusal(kind: str, text: str, language: str = "en", asked: Asked | None = None) -> str:
    with pytest.raises(Unreadable) as refused:
        read(kind, text, language, asked)
    refused.value.message.text("nl")  # every place in the sentence can be filled in
    return refused.value.message.msgid


def test_every_kind_stands_in_the_tables() -> None:
    assert set(GOOD) | {"choices", "file"} == set(BAD) == set(KINDS)


@pytest.mark.parametrize(("kind", "text", "language", "value"), cases(GOOD))
def test_what_fits_is_read_and_fits_the_schema(kind: str, text: str, language: str, value: Any) -> None:
    assert read(kind, text, language) == value
    jsonschema.validate(value, KINDS[kind].schema(Asked()), format_checker=jsonschema.FormatChecker())
    assert KINDS[kind].show(value, Asked(), language)


@pytest.mark.parametrize(("kind", "text", "language", "problem"), cases(BAD))
def test_what_does_not_fit_is_refused_with_what_would(kind: str, text: str, language: str, problem: str) -> None:
    assert refusal(kind, text, language) == problem


def test_the_hint_at_a_number_shows_one_as_the_language_writes_it() -> None:
    with pytest.raises(Unreadable) as dutch:
        read("money", "1,234.5", "nl")
    assert dutch.value.message.params == {"comma": ",", "group": ".", "sample": "1.234,5"}


@pytest.mark.parametrize(
    ("kind", "text", "problem"),
    [
        ("money", "99,99", "Give %(least)s or more."), ("money", "100", None), ("money", "200", None),
        ("money", "200,01", "Give %(most)s or less."), ("integer", "99", "Give %(least)s or more."),
        ("integer", "200", None), ("percent", "200,1", "Give %(most)s or less."), ("decimal", "100,0", None),
    ],
)  # fmt: skip
def test_bounds_hold_at_the_cent(kind: str, text: str, problem: str | None) -> None:
    asked = Asked(min="100", max="200")
    if problem is None:
        read(kind, text, "nl", asked)
    else:
        assert refusal(kind, text, "nl", asked) == problem


def test_bounds_of_dates_are_days_that_count() -> None:
    asked = Asked(min="2027-01-02", max="2027-12-30")
    assert [read("date", day, asked=asked) for day in ("2027-01-02", "2027-12-30")] == ["2027-01-02", "2027-12-30"]
    assert refusal("date", "2027-01-01", asked=asked) == "Give %(least)s or a later date."
    assert refusal("date", "2027-12-31", asked=asked) == "Give %(most)s or an earlier date."


def test_rules_count_money_in_cents_and_fractions_in_ten_thousandths() -> None:
    assert KINDS["money"].to_cel("35.01") == 3501
    assert KINDS["percent"].to_cel("0.1") + KINDS["percent"].to_cel("0.2") == KINDS["percent"].to_cel("0.3") == 3000


def test_answers_are_shown_as_the_language_writes_them() -> None:
    shown = {
        (kind, language): KINDS[kind].show(value, Asked(), language)
        for kind, value in [("money", "1234.50"), ("percent", "12.5"), ("date", "2027-06-20"), ("country", "GR"),
                            ("yes_no", True), ("choice", "a"), ("choices", ["b", "a"]), ("integer", 1234)]
        for language in ("nl", "en")
    }  # fmt: skip
    assert shown == {
        ("money", "nl"): "€\u00a01.234,50", ("money", "en"): "€\u00a01,234.50",
        ("percent", "nl"): "12,5\u00a0%", ("percent", "en"): "12.5\u00a0%",
        ("date", "nl"): "20 juni 2027", ("date", "en"): "20 June 2027",
        ("country", "nl"): "Griekenland", ("country", "en"): "Greece",
        ("yes_no", "nl"): "Ja", ("yes_no", "en"): "Yes",
        ("choice", "nl"): "Appel", ("choice", "en"): "Apple",
        ("choices", "nl"): "Bij, Appel", ("choices", "en"): "Bee, Apple",
        ("integer", "nl"): "1.234", ("integer", "en"): "1,234",
    }  # fmt: skip


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"choices", "file"}))
def test_whatever_is_typed_is_read_or_refused_with_a_sentence(kind: str) -> None:
    @given(st.text(max_size=60).filter(texts.clean), st.sampled_from(["nl", "en"]))
    def once(text: str, language: str) -> None:
        try:
            value = read(kind, text, language)
        except Unreadable as refused:
            assert refused.message.text(language)
        else:
            assert KINDS[kind].show(value, Asked(), language) is not None
            jsonschema.validate(value, KINDS[kind].schema(Asked()))
            KINDS[kind].to_cel(value)

    once()


@pytest.mark.parametrize("language", ["nl", "en"])
@pytest.mark.parametrize("kind", ["money", "decimal"])
def test_a_number_that_is_shown_is_read_as_the_same_number(kind: str, language: str) -> None:
    @given(st.decimals(min_value=0, max_value=10**11, places=2))
    def once(number: Any) -> None:
        value = f"{number:.2f}" if kind == "money" else read("decimal", f"{number:f}")
        assert read(kind, KINDS[kind].show(value, Asked(), language), language) == value

    once()


def test_no_name_of_a_country_means_two_of_them() -> None:
    codes: dict[str, set[str]] = {}
    for language in LANGUAGES:
        for code, name in identifiers.country_names(language).items():
            codes.setdefault(sort_key(name), set()).add(code)
    assert {name: found for name, found in codes.items() if len(found) > 1} == {}
