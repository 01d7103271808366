"""Numbers and money: read strictly as the language writes them, shown again, exact in rules and in JSON Schema."""

import re
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

from babel.numbers import NumberFormatError, format_decimal, get_decimal_symbol, get_group_symbol, parse_decimal

from app.domain.answers import Asks, Unreadable
from app.infra.i18n import N_

TEN_THOUSAND = 10_000
SHOWN, CENTS = 4, 2  # places that numbers and money are rounded to when they are shown
MAX_DIGITS = 18
NUMBER = re.compile(r"[-+]?[0-9][0-9.,'’ \u00a0\u202f]*")


def read_integer(text: str, question: Asks, language: str) -> int:
    number = int(_in_range(_decimal(text, language, 0), question, language))
    if abs(number) > 2**53:
        raise Unreadable(N_("This number is too long."))
    return number


def read_decimal(text: str, question: Asks, language: str) -> str:
    number = _in_range(_decimal(text, language, question.places), question, language)
    plain = f"{number.normalize():f}"
    return "0" if plain in ("-0", "0") else plain


def read_money(text: str, question: Asks, language: str) -> str:
    return f"{_in_range(_decimal(text, language, 2), question, language):.2f}"


def _decimal(text: str, language: str, places: int) -> Decimal:
    """A number strictly as people of the language write it: in Dutch `1.500` is 1500, and `1.5` never becomes 15.

    What was pasted from elsewhere is taken where it can be read in one way only: no thousands end in `.5` or `.2194`.
    """
    bare = text.removeprefix("€").removesuffix("€").removesuffix("%").removesuffix("EUR").strip()
    comma, group = get_decimal_symbol(language), get_group_symbol(language)
    sample = format_decimal(Decimal("1234.5"), locale=language)
    if not NUMBER.fullmatch(bare):
        raise Unreadable(N_("Type a number in digits, such as %(sample)s."), sample=sample)
    squeezed = re.sub(r"(?<=[0-9])[ \u00a0\u202f'’](?=[0-9]{3}(?![0-9]))", group, bare)
    if re.fullmatch(rf"[-+]?(0{re.escape(group)}[0-9]+|[0-9]+{re.escape(group)}(?![0-9]{{3}}$)[0-9]+)", bare):
        squeezed = bare.replace(group, comma)
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


def show_number(value: Any, question: Any, language: str) -> str:
    number = Decimal(str(value))
    if not number.is_finite():
        return str(value)
    whole, _, fraction = f"{_rounded(number, SHOWN):,f}".partition(".")
    fraction = fraction.rstrip("0")
    return _marked(f"{whole}.{fraction}" if fraction else whole, language)


def show_money(value: Any, question: Any, language: str) -> str:
    return f"€\u00a0{_marked(f'{_rounded(Decimal(value), CENTS):,.2f}', language)}"


def show_rounded(kind: str, value: str, language: str) -> str:
    """A bound as people read it: money without cents where it has none."""
    shown = show_number(value, None, language)
    return {"money": f"€\u00a0{shown}", "percent": f"{shown}\u00a0%"}.get(kind, shown)


def _rounded(number: Decimal, places: int) -> Decimal:
    exponent = number.as_tuple().exponent
    return round(number, places) if isinstance(exponent, int) and -exponent > places else number


@cache
def _marks(language: str) -> dict[int, str]:
    """From the marks of Python to those of a language. A register shows thousands of numbers: Babel takes too long."""
    return str.maketrans({",": get_group_symbol(language), ".": get_decimal_symbol(language)})


def _marked(text: str, language: str) -> str:
    return text.translate(_marks(language))


def show_percent(value: Any, question: Asks, language: str) -> str:
    return f"{show_number(value, question, language)}\u00a0%"


def to_cents(value: Any) -> int:
    return int(Decimal(value) * 100)


def to_scaled(value: Any) -> int:
    return int(Decimal(value) * TEN_THOUSAND)


def integer_schema(question: Asks) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer"}
    if question.min is not None:
        schema["minimum"] = int(Decimal(question.min))
    if question.max is not None:
        schema["maximum"] = int(Decimal(question.max))
    return schema


def decimal_schema(question: Asks) -> dict[str, Any]:
    places = rf"(\.[0-9]{{1,{question.places}}})?" if question.places else ""
    schema = {"type": "string", "pattern": rf"^-?[0-9]{{1,18}}{places}$"}
    return schema | ({"$comment": bounds} if (bounds := _bounds(question)) else {})


def money_schema(question: Asks) -> dict[str, Any]:
    return {
        "type": "string",
        "pattern": r"^-?[0-9]{1,16}\.[0-9]{2}$",
        "$comment": f"EUR; {_bounds(question)}".rstrip("; "),
    }


def _bounds(question: Asks) -> str:
    words = []
    if question.min is not None:
        words.append(f"at least {question.min}")
    if question.max is not None:
        words.append(f"at most {question.max}")
    return ", ".join(words)
