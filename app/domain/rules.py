"""The call's rules: CEL expressions over answers, with a small set of functions. Deterministic: no clock, no network.

Money is integer cents, decimals and percentages are integer ten-thousandths, so comparisons are exact; dates are ISO
strings. What is not answered is null, a list without items is [].
"""

import itertools
import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

import cel

from app.domain import amounts, identifiers

# Every function a rule may call, with the line that the manual of the file format shows.
FUNCTIONS: dict[str, tuple[Callable[..., Any], str]] = {
    "eur": (lambda text: int(Decimal(text) * 100), "eur('3000000000.00'): an amount as cents"),
    "d": (
        lambda text: int(Decimal(text) * amounts.TEN_THOUSAND),
        "d('1.25'): a decimal or percentage as ten-thousandths",
    ),
    "sum": (lambda values: sum(v for v in values if v is not None), "sum(list): total, skipping null"),
    "is_set": (lambda value: value not in (None, "", []), "is_set(x): whether x was answered"),
    "distinct": (lambda values: len(set(values)) == len(values), "distinct(list): whether no value occurs twice"),
    "eu": (lambda country: country in identifiers.EU27, "eu('NL'): whether a country is a member state"),
    "nuts_country": (
        lambda code: identifiers.iso_of((code or "")[:2]),
        "nuts_country('EL301'): the ISO code of a region's country (GR)",
    ),
    "in_country": (
        lambda latitude, longitude, country: identifiers.is_inside(
            latitude / amounts.TEN_THOUSAND, longitude / amounts.TEN_THOUSAND, country
        ),
        "in_country(lat, lon, 'NL'): whether a point lies in the rough box around a country",
    ),
    "valid_reg_no": (identifiers.is_valid_register_number, "valid_reg_no('NL', '12345678'): a trade-register number"),
    "valid_postcode_nl": (identifiers.is_nl_postcode, "valid_postcode_nl('2594 AC'): a Dutch postcode"),
    "euid_of_kvk": (identifiers.euid_of_kvk, "euid_of_kvk('12345678'): the EUID of a Dutch firm"),
    "months_between": (lambda a, b: _months(a, b), "months_between(a, b): whole months from date a to date b"),
    "ascending": (
        lambda values: _ascending(values),
        "ascending(list): whether each value is greater than the one before",
    ),
}
BUILT_IN = frozenset(
    [
        "size",
        "has",
        "all",
        "exists",
        "exists_one",
        "map",
        "filter",
        "contains",
        "startsWith",
        "endsWith",
        "matches",
        "int",
        "uint",
        "double",
        "string",
        "max",
        "min",
        "type",
        "duration",
        "timestamp",
        "bool",
        "bytes",
        "dyn",
    ]
)


BOUND = re.compile(r"\.(?:map|all|exists|exists_one|filter)\(\s*(\w+)\s*,")  # variables that a macro binds


class RuleInvalid(Exception):
    """An expression that cannot be compiled, or names what is not there."""


def _months(first: str, second: str) -> int:
    a, b = date.fromisoformat(first), date.fromisoformat(second)
    return (b.year - a.year) * 12 + b.month - a.month - (b.day < a.day)


def _ascending(values: list[Any]) -> bool:
    known = [v for v in values if v is not None]
    return all(a < b for a, b in itertools.pairwise(known))


@cache
def compiled(source: str) -> cel.Program:
    """The compiled expression; RuleInvalid with CEL's own position when it does not parse."""
    try:
        return cel.compile(source)
    except ValueError as failure:
        raise RuleInvalid(" ".join(str(failure).split())) from failure


def names(source: str) -> tuple[set[str], set[str]]:
    """The variables and functions that an expression uses (operators left out)."""
    program = compiled(source)
    functions = {f for f in program.functions() if f.isidentifier()}
    return set(program.variables()) - set(BOUND.findall(source)), functions - BUILT_IN


class Scope:
    """The variables of one submission, ready for many expressions; `bind` adds those of one list item."""

    def __init__(self, variables: dict[str, Any]) -> None:
        self._context = cel.Context()
        self._bound: dict[str, Any] = {}
        for name, (function, _) in FUNCTIONS.items():
            self._context.add_function(name, function)
        for name, value in variables.items():
            self._context.add_variable(name, value)

    def bind(self, **variables: Any) -> None:
        """Set or replace variables; handing a large item over costs more than judging it, so once is enough."""
        for name, value in variables.items():
            if name not in self._bound or self._bound[name] is not value:
                self._context.add_variable(name, value)
                self._bound[name] = value

    def value(self, source: str) -> Any:
        """What an expression comes to. A call file whose expressions can fail on some answers is refused by its tests."""
        return compiled(source).execute(self._context)

    def holds(self, source: str) -> bool:
        """Whether an expression is true."""
        return self.value(source) is True
