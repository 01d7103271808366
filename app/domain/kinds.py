"""Kinds of question: how each reads what a person typed, shows it again, and looks in a rule and in JSON Schema."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from stdnum.eu import vat

from app.domain import amounts, identifiers, texts
from app.domain.answers import Asks, Unreadable
from app.infra import times
from app.infra.i18n import N_, translate


@dataclass(frozen=True)
class Kind:
    """One kind. `read` gives the canonical value of a typed text or raises Unreadable; `example` shows what is meant."""

    read: Callable[[str, Asks, str], Any]
    show: Callable[[Any, Asks, str], str]
    to_cel: Callable[[Any], Any]
    schema: Callable[[Asks], dict[str, Any]]


def _read_choice(text: str, question: Asks, language: str) -> str:
    if text not in {option.value for option in question.options}:
        raise Unreadable(N_("Choose one of the options."))
    return text


def _read_yes_no(text: str, question: Asks, language: str) -> bool:
    if text not in ("yes", "no"):
        raise Unreadable(N_("Choose yes or no."))
    return text == "yes"


def read_date(day: str, month: str, year: str, question: Asks) -> str:
    """A date from its three parts, as `2027-06-20`."""
    wrong = N_("Give a date that exists, such as 27 3 2028.")
    if not all(part.isascii() and part.isdigit() and len(part) <= 4 for part in (day, month, year)) or len(year) != 4:
        raise Unreadable(wrong)
    try:
        value = date(int(year), int(month), int(day)).isoformat()
    except ValueError as failure:
        raise Unreadable(wrong) from failure
    if question.min is not None and value < question.min:
        raise Unreadable(N_("Give %(least)s or a later date."), least=question.min)
    if question.max is not None and value > question.max:
        raise Unreadable(N_("Give %(most)s or an earlier date."), most=question.max)
    return value


def _read_iso_date(text: str, question: Asks, language: str) -> str:
    parts = text.split("-")
    if len(parts) != 3:
        raise Unreadable(N_("Give a date that exists, such as 27 3 2028."))
    return read_date(parts[2], parts[1], parts[0], question)


def _read_time(text: str, question: Asks, language: str) -> str:
    found = re.fullmatch(r"([0-9]{1,2})[:.]([0-5][0-9])", re.sub(r"\s", "", text))
    if found is None or int(found[1]) > 23:
        raise Unreadable(TIME_HINT)
    return f"{int(found[1]):02d}:{found[2]}"


def _read_country(text: str, question: Asks, language: str) -> str:
    code = identifiers.country_of(text)
    if code is None:
        raise Unreadable(N_("Choose a country from the list."))
    return code


def _identifier(
    check: Callable[[str], bool], msgid: str, tidy: Callable[[str], str] = str.upper
) -> Callable[[str, Asks, str], str]:
    def read(text: str, question: Asks, language: str) -> str:
        tidied = tidy(re.sub(r"\s", "", text))
        if len(tidied) > 100 or not check(tidied):
            raise Unreadable(msgid)
        return tidied

    return read


def _tidy_vat(text: str) -> str:
    upper = re.sub(r"[.\-]", "", text.upper())
    try:
        return str(vat.compact(upper))
    except ValueError:  # stdnum refuses what it does not know; the check that follows says so to the person
        return upper


def _show_text(value: Any, question: Asks, language: str) -> str:
    return str(value)


def _show_choice(value: Any, question: Asks, language: str) -> str:
    return next((o.label.get(language, o.label["en"]) for o in question.options if o.value == value), str(value))


def _show_choices(value: Any, question: Asks, language: str) -> str:
    return ", ".join(_show_choice(one, question, language) for one in value)


def _show_yes_no(value: Any, question: Asks, language: str) -> str:
    return translate(language, N_("Yes")) if value else translate(language, N_("No"))


def _show_date(value: Any, question: Asks, language: str) -> str:
    return times.calendar_day(date.fromisoformat(value), language)


def _show_country(value: Any, question: Asks, language: str) -> str:
    return str(identifiers.country_names(language).get(value, value))


def _same(value: Any) -> Any:
    return value


def _options_schema(question: Asks) -> dict[str, Any]:
    return {"type": "string", "enum": [option.value for option in question.options]}


def _choices_schema(question: Asks) -> dict[str, Any]:
    return {"type": "array", "items": _options_schema(question), "uniqueItems": True}


def _pattern(pattern: str) -> Callable[[Asks], dict[str, Any]]:
    return lambda question: {"type": "string", "pattern": pattern}


def _format(name: str) -> Callable[[Asks], dict[str, Any]]:
    return lambda question: {"type": "string", "format": name}


def _file_schema(question: Asks) -> dict[str, Any]:
    entry = {
        "type": "object",
        "required": ["name", "sha256", "size", "media_type"],
        "properties": {
            "id": {"type": "string"},
            "name": {"type": "string"},
            "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            "size": {"type": "integer", "minimum": 1},
            "media_type": {"type": "string"},
        },
    }
    return {"type": "array", "items": entry}


def _never(text: str, question: Asks, language: str) -> Any:
    raise Unreadable(N_("Choose one of the options."))


TIME_HINT = N_("Give a time of 24 hours, such as 16:45.")
LEI_HINT = N_("An LEI has 18 letters or digits and 2 check digits; at least one character is wrong.")
KVK_HINT = N_("A KvK number has 8 digits, for example 12345678.")
VAT_HINT = N_("Give a VAT number of a member state with its country letters, such as NL810433941B01 (EL for Greece).")
EUID_HINT = N_("An EUID has a country, a register, a point and a number, such as NLNHR.12345678.")
PIC_HINT = N_("A PIC has 9 digits.")
NACE_HINT = N_("Give a code of NACE revision 2.1, such as 63.10.")
NUTS_HINT = N_("Give a NUTS 3 code of 5 characters (2024 edition), such as NL366 for Groot-Rijnmond.")

KINDS: dict[str, Kind] = {
    "text": Kind(texts.read_text, _show_text, _same, texts.text_schema),
    "long_text": Kind(texts.read_long_text, _show_text, _same, texts.text_schema),
    "choice": Kind(_read_choice, _show_choice, _same, _options_schema),
    "choices": Kind(_never, _show_choices, _same, _choices_schema),
    "yes_no": Kind(_read_yes_no, _show_yes_no, _same, lambda question: {"type": "boolean"}),
    "integer": Kind(amounts.read_integer, amounts.show_number, _same, amounts.integer_schema),
    "decimal": Kind(amounts.read_decimal, amounts.show_number, amounts.to_scaled, amounts.decimal_schema),
    "percent": Kind(amounts.read_decimal, amounts.show_percent, amounts.to_scaled, amounts.decimal_schema),
    "money": Kind(amounts.read_money, amounts.show_money, amounts.to_cents, amounts.money_schema),
    "date": Kind(_read_iso_date, _show_date, _same, _format("date")),
    "time": Kind(_read_time, _show_text, _same, _pattern("^([01][0-9]|2[0-3]):[0-5][0-9]$")),
    "country": Kind(_read_country, _show_country, _same, _pattern("^[A-Z]{2}$")),
    "nuts": Kind(_identifier(identifiers.is_nuts3, NUTS_HINT), _show_text, _same, _pattern("^[A-Z]{2}[0-9A-Z]{3}$")),
    "email": Kind(texts.read_email, _show_text, _same, _format("email")),
    "phone": Kind(texts.read_phone, _show_text, _same, _pattern(r"^\+[1-9][0-9]{6,14}$")),
    "url": Kind(texts.read_url, _show_text, _same, _format("uri")),
    "kvk": Kind(_identifier(identifiers.is_kvk, KVK_HINT), _show_text, _same, _pattern("^[0-9]{8}$")),
    "vat": Kind(
        _identifier(identifiers.is_vat_eu, VAT_HINT, _tidy_vat),
        _show_text,
        _same,
        _pattern("^[A-Z]{2}[0-9A-Z+*]{2,13}$"),
    ),
    "lei": Kind(_identifier(identifiers.is_lei, LEI_HINT), _show_text, _same, _pattern("^[A-Z0-9]{18}[0-9]{2}$")),
    "euid": Kind(
        _identifier(identifiers.is_euid, EUID_HINT), _show_text, _same, _pattern(r"^[A-Z]{2}[A-Z0-9]{1,10}\.\S{1,60}$")
    ),
    "pic": Kind(_identifier(identifiers.is_pic, PIC_HINT), _show_text, _same, _pattern("^[0-9]{9}$")),
    "nace": Kind(
        _identifier(identifiers.is_nace, NACE_HINT), _show_text, _same, _pattern(r"^[0-9]{2}(\.[0-9]{1,2})?$")
    ),
    "file": Kind(_never, lambda value, question, language: ", ".join(f["name"] for f in value), _same, _file_schema),
}
LIST = "list"
