"""Kinds of question: how each reads what a person typed, shows it again, and looks in a rule and in JSON Schema."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Protocol

from babel.dates import format_date
from babel.numbers import NumberFormatError, format_decimal, get_decimal_symbol, get_group_symbol, parse_decimal
from stdnum.eu import vat

from app.domain import identifiers
from app.infra.i18n import N_, Message, translate

TEN_THOUSAND = 10_000
MAX_DIGITS = 18
NUMBER = re.compile(r"[-+]?[0-9][0-9.,'’ \u00a0\u202f]*")
EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?\.[A-Za-z]{2,63}"
)
PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
URL = re.compile(r"https?://[^\s/?#]+\.[^\s/?#]{2,}[^\s]*")


class Unreadable(Exception):
    """What was typed is not of the kind asked for; the message says what is."""

    def __init__(self, msgid: str, **params: Any) -> None:
        self.message = Message(msgid, params)
        super().__init__(msgid)


class Asks(Protocol):
    """What a kind needs to know of its question."""

    @property
    def places(self) -> int: ...
    @property
    def min(self) -> str | None: ...
    @property
    def max(self) -> str | None: ...
    @property
    def max_length(self) -> int: ...
    @property
    def options(self) -> tuple[Any, ...]: ...


@dataclass(frozen=True)
class Kind:
    """One kind. `read` gives the canonical value of a typed text or raises Unreadable; `example` shows what is meant."""

    read: Callable[[str, Asks, str], Any]
    show: Callable[[Any, Asks, str], str]
    to_cel: Callable[[Any], Any]
    schema: Callable[[Asks], dict[str, Any]]


def clean(text: str) -> str:
    """Typed text as it is kept: NFC, line ends as LF, no spaces around."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def _refuse_controls(text: str, lines: bool) -> None:
    if any(unicodedata.category(c) in ("Cc", "Cs", "Co", "Cn") and not (lines and c in "\n\t") for c in text):
        raise Unreadable(N_("This has a character that cannot be shown or stored. Type it again without."))


def _read_text(text: str, question: Asks, language: str) -> str:
    return _bounded(" ".join(text.split("\n")), question, lines=False)


def _read_long_text(text: str, question: Asks, language: str) -> str:
    return _bounded(text, question, lines=True)


def _bounded(text: str, question: Asks, lines: bool) -> str:
    _refuse_controls(text, lines)
    if len(text) > question.max_length:
        raise Unreadable(
            N_("Shorten this to %(most)s characters; it has %(length)s."), most=question.max_length, length=len(text)
        )
    return text


def _read_choice(text: str, question: Asks, language: str) -> str:
    if text not in {option.value for option in question.options}:
        raise Unreadable(N_("Choose one of the options."))
    return text


def _read_yes_no(text: str, question: Asks, language: str) -> bool:
    if text not in ("yes", "no"):
        raise Unreadable(N_("Choose yes or no."))
    return text == "yes"


def _decimal(text: str, language: str, places: int) -> Decimal:
    """A number strictly as people of the language write it: `1.5` is no Dutch number, and never becomes 15."""
    bare = text.removeprefix("€").removesuffix("€").removesuffix("%").removesuffix("EUR").strip()
    comma, group = get_decimal_symbol(language), get_group_symbol(language)
    sample = format_decimal(Decimal("1234.5"), locale=language)
    if not NUMBER.fullmatch(bare):
        raise Unreadable(N_("Type a number in digits, such as %(sample)s."), sample=sample)
    squeezed = re.sub(r"(?<=[0-9])[ \u00a0\u202f'’](?=[0-9]{3}(?![0-9]))", group, bare)
    try:
        number = parse_decimal(squeezed, locale=language, strict=True)
    except (NumberFormatError, InvalidOperation) as failure:
        raise Unreadable(
            N_(
                "This could be read in two ways. Use “%(comma)s” before decimals and “%(group)s” between thousands: %(sample)s."
            ),
            comma=comma,
            group=group,
            sample=sample,
        ) from failure
    if not number.is_finite() or len(number.as_tuple().digits) > MAX_DIGITS:
        raise Unreadable(N_("This number is too long."))
    exponent = number.normalize().as_tuple().exponent
    if isinstance(exponent, int) and -exponent > places:
        raise Unreadable(N_("Give at most %(places)s decimals."), places=places)
    return number


def _in_range(number: Decimal, question: Asks, language: str) -> Decimal:
    if question.min is not None and number < Decimal(question.min):
        raise Unreadable(N_("Give %(least)s or more."), least=format_decimal(Decimal(question.min), locale=language))
    if question.max is not None and number > Decimal(question.max):
        raise Unreadable(N_("Give %(most)s or less."), most=format_decimal(Decimal(question.max), locale=language))
    return number


def _read_integer(text: str, question: Asks, language: str) -> int:
    number = int(_in_range(_decimal(text, language, 0), question, language))
    if abs(number) > 2**53:
        raise Unreadable(N_("This number is too long."))
    return number


def _read_decimal(text: str, question: Asks, language: str) -> str:
    number = _in_range(_decimal(text, language, question.places), question, language)
    plain = f"{number.normalize():f}"
    return "0" if plain in ("-0", "0") else plain


def _read_money(text: str, question: Asks, language: str) -> str:
    return f"{_in_range(_decimal(text, language, 2), question, language):.2f}"


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


def _read_country(text: str, question: Asks, language: str) -> str:
    if text not in identifiers.country_names("en"):
        raise Unreadable(N_("Choose a country from the list."))
    return text


def _read_email(text: str, question: Asks, language: str) -> str:
    if not EMAIL.fullmatch(text) or ".." in text or len(text) > 254:
        raise Unreadable(N_("Give an e-mail address such as name@example.eu."))
    return text


def _read_phone(text: str, question: Asks, language: str) -> str:
    number = re.sub(r"[ ()./-]", "", text)
    number = "+" + number[2:] if number.startswith("00") else number
    if not PHONE.fullmatch(number):
        raise Unreadable(N_("Give a telephone number with its country code, such as +31 70 123 45 67."))
    return number


def _read_url(text: str, question: Asks, language: str) -> str:
    if not URL.fullmatch(text) or len(text) > 2000:
        raise Unreadable(N_("Give a web address that begins with https://."))
    return text


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


def _show_number(value: Any, question: Asks, language: str) -> str:
    return format_decimal(Decimal(str(value)), format="#,##0.####", locale=language)


def _show_money(value: Any, question: Asks, language: str) -> str:
    return "€\u00a0" + format_decimal(Decimal(value), format="#,##0.00", locale=language)


def _show_percent(value: Any, question: Asks, language: str) -> str:
    return f"{_show_number(value, question, language)}\u00a0%"


def _show_date(value: Any, question: Asks, language: str) -> str:
    return format_date(date.fromisoformat(value), format="d MMMM y", locale=language)


def _show_country(value: Any, question: Asks, language: str) -> str:
    return str(identifiers.country_names(language).get(value, value))


def _same(value: Any) -> Any:
    return value


def _cents(value: Any) -> int:
    return int(Decimal(value) * 100)


def _scaled(value: Any) -> int:
    return int(Decimal(value) * TEN_THOUSAND)


def _text_schema(question: Asks) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": question.max_length}


def _options_schema(question: Asks) -> dict[str, Any]:
    return {"type": "string", "enum": [option.value for option in question.options]}


def _choices_schema(question: Asks) -> dict[str, Any]:
    return {"type": "array", "items": _options_schema(question), "uniqueItems": True}


def _bounds(question: Asks) -> str:
    words = []
    if question.min is not None:
        words.append(f"at least {question.min}")
    if question.max is not None:
        words.append(f"at most {question.max}")
    return ", ".join(words)


def _integer_schema(question: Asks) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer"}
    if question.min is not None:
        schema["minimum"] = int(Decimal(question.min))
    if question.max is not None:
        schema["maximum"] = int(Decimal(question.max))
    return schema


def _decimal_schema(question: Asks) -> dict[str, Any]:
    places = rf"(\.[0-9]{{1,{question.places}}})?" if question.places else ""
    schema = {"type": "string", "pattern": rf"^-?[0-9]{{1,18}}{places}$"}
    return schema | ({"$comment": bounds} if (bounds := _bounds(question)) else {})


def _money_schema(question: Asks) -> dict[str, Any]:
    return {
        "type": "string",
        "pattern": r"^-?[0-9]{1,16}\.[0-9]{2}$",
        "$comment": f"EUR; {_bounds(question)}".rstrip("; "),
    }


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


LEI_HINT = N_("An LEI has 18 letters or digits and 2 check digits; at least one character is wrong.")
KVK_HINT = N_("A KvK number has 8 digits, for example 12345678.")
VAT_HINT = N_("Give a VAT number of a member state with its country letters, such as NL810433941B01 (EL for Greece).")
EUID_HINT = N_("An EUID has a country, a register, a point and a number, such as NLNHR.12345678.")
PIC_HINT = N_("A PIC has 9 digits.")
NACE_HINT = N_("Give a code of NACE revision 2.1, such as 63.10.")
NUTS_HINT = N_("Give a NUTS 3 code of 5 characters (2024 edition), such as NL366 for Groot-Rijnmond.")

KINDS: dict[str, Kind] = {
    "text": Kind(_read_text, _show_text, _same, _text_schema),
    "long_text": Kind(_read_long_text, _show_text, _same, _text_schema),
    "choice": Kind(_read_choice, _show_choice, _same, _options_schema),
    "choices": Kind(_never, _show_choices, _same, _choices_schema),
    "yes_no": Kind(_read_yes_no, _show_yes_no, _same, lambda question: {"type": "boolean"}),
    "integer": Kind(_read_integer, _show_number, _same, _integer_schema),
    "decimal": Kind(_read_decimal, _show_number, _scaled, _decimal_schema),
    "percent": Kind(_read_decimal, _show_percent, _scaled, _decimal_schema),
    "money": Kind(_read_money, _show_money, _cents, _money_schema),
    "date": Kind(_read_iso_date, _show_date, _same, _format("date")),
    "country": Kind(_read_country, _show_country, _same, _pattern("^[A-Z]{2}$")),
    "nuts": Kind(_identifier(identifiers.is_nuts3, NUTS_HINT), _show_text, _same, _pattern("^[A-Z]{2}[0-9A-Z]{3}$")),
    "email": Kind(_read_email, _show_text, _same, _format("email")),
    "phone": Kind(_read_phone, _show_text, _same, _pattern(r"^\+[1-9][0-9]{6,14}$")),
    "url": Kind(_read_url, _show_text, _same, _format("uri")),
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
