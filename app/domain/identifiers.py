"""Numbers and codes that identify firms and places: what python-stdnum knows, and what it lacks.

Traps met: stdnum's LEI check ignores the length; its EU VAT check takes XI (Northern Ireland, not EU) and GR; KvK, EUID,
PIC and NUTS have no module. Greece is GR in ISO 3166 and EL in VAT, EUID and NUTS.
"""

import re
from functools import cache
from pathlib import Path

from babel import Locale
from stdnum import lei
from stdnum.eu import nace, vat
from stdnum.util import get_cc_module

from app.infra.i18n import LANGUAGES, sort_key

EU27 = frozenset(
    [
        "AT",
        "BE",
        "BG",
        "CY",
        "CZ",
        "DE",
        "DK",
        "EE",
        "ES",
        "FI",
        "FR",
        "GR",
        "HR",
        "HU",
        "IE",
        "IT",
        "LT",
        "LU",
        "LV",
        "MT",
        "NL",
        "PL",
        "PT",
        "RO",
        "SE",
        "SI",
        "SK",
    ]
)
EEA_OTHER = frozenset({"IS", "LI", "NO"})
KVK = re.compile(r"[0-9]{8}")
LEI = re.compile(r"[A-Z0-9]{18}[0-9]{2}")
PIC = re.compile(r"[0-9]{9}")
EUID = re.compile(r"([A-Z]{2})[A-Z0-9]{1,10}\.[^\s]{1,60}")
NACE = re.compile(r"[0-9]{2}(\.[0-9]{1,2})?")
NL_POSTCODE = re.compile(r"[1-9][0-9]{3} ?(?!SA|SD|SS)[A-Z]{2}")
DATA = Path(__file__).parent / "data"
NOT_COUNTRIES = frozenset(["AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "XK", "ZZ"])

# Register numbers by country, where stdnum has a module of exactly that register.
REGISTERS = {
    "BE": ("be", "vat"),
    "DK": ("dk", "cvr"),
    "EE": ("ee", "registrikood"),
    "ES": ("es", "cif"),
    "FI": ("fi", "ytunnus"),
    "FR": ("fr", "siren"),
    "IT": ("it", "iva"),
    "NO": ("no", "orgnr"),
    "PL": ("pl", "regon"),
    "PT": ("pt", "nif"),
    "SE": ("se", "orgnr"),
}

# South, west, north, east in degrees: mainland and islands in Europe, rounded outwards. Only for a warning.
BOXES = {
    "AT": (46.3, 9.5, 49.1, 17.2),
    "BE": (49.4, 2.5, 51.6, 6.5),
    "BG": (41.2, 22.3, 44.3, 28.7),
    "CY": (34.5, 32.2, 35.8, 34.7),
    "CZ": (48.5, 12.0, 51.1, 18.9),
    "DE": (47.2, 5.8, 55.1, 15.1),
    "DK": (54.5, 8.0, 57.8, 15.3),
    "EE": (57.5, 21.7, 59.8, 28.3),
    "ES": (27.6, -18.3, 43.9, 4.4),
    "FI": (59.6, 19.0, 70.2, 31.6),
    "FR": (41.3, -5.3, 51.2, 9.7),
    "GR": (34.7, 19.3, 41.8, 29.7),
    "HR": (42.3, 13.4, 46.6, 19.5),
    "HU": (45.7, 16.1, 48.6, 22.9),
    "IE": (51.3, -10.7, 55.5, -5.9),
    "IT": (35.4, 6.6, 47.1, 18.6),
    "LT": (53.8, 20.9, 56.5, 26.9),
    "LU": (49.4, 5.7, 50.2, 6.6),
    "LV": (55.6, 20.9, 58.1, 28.3),
    "MT": (35.7, 14.1, 36.1, 14.6),
    "NL": (50.7, 3.3, 53.6, 7.3),
    "PL": (49.0, 14.1, 54.9, 24.2),
    "PT": (32.3, -31.3, 42.2, -6.1),
    "RO": (43.6, 20.2, 48.3, 29.8),
    "SE": (55.3, 10.9, 69.1, 24.2),
    "SI": (45.4, 13.3, 46.9, 16.7),
    "SK": (47.7, 16.8, 49.7, 22.6),
}


@cache
def country_names(language: str) -> dict[str, str]:
    """ISO 3166-1 alpha-2 codes and their names in a language, from CLDR."""
    territories = Locale.parse(language).territories
    return {
        code: name
        for code, name in territories.items()
        if len(code) == 2 and code.isalpha() and code not in NOT_COUNTRIES
    }


@cache
def _countries_by_name() -> dict[str, str]:
    return {sort_key(name): code for language in LANGUAGES for code, name in country_names(language).items()}


def country_of(text: str) -> str | None:
    """The code of a country that is named in one of our languages, accents and capitals aside, or by its code."""
    if text.upper() in country_names("en"):
        return text.upper()
    return _countries_by_name().get(sort_key(text))


def iso_of(prefix: str) -> str:
    """The ISO code behind a prefix of VAT, EUID or NUTS: EL is GR."""
    return "GR" if prefix == "EL" else prefix


def prefix_of(country: str) -> str:
    """The prefix that VAT, EUID and NUTS use for an ISO code: GR is EL."""
    return "EL" if country == "GR" else country


def is_kvk(text: str) -> bool:
    """A number of the Dutch trade register: 8 digits. It has no published check digit."""
    return KVK.fullmatch(text) is not None


def is_lei(text: str) -> bool:
    """ISO 17442: 18 letters or digits and two check digits (ISO 7064 mod 97-10)."""
    return LEI.fullmatch(text) is not None and bool(lei.is_valid(text))


def is_pic(text: str) -> bool:
    """A code of the EU Participant Register: 9 digits."""
    return PIC.fullmatch(text) is not None


def is_euid(text: str) -> bool:
    """European Unique Identifier: country (EL for Greece), register, point, number, for EU and EEA registers."""
    found = EUID.fullmatch(text)
    return found is not None and found[1] != "GR" and iso_of(found[1]) in EU27 | EEA_OTHER


def euid_of_kvk(kvk: str) -> str:
    """The EUID of a Dutch firm follows from its KvK number."""
    return f"NLNHR.{kvk}"


def is_vat_eu(text: str) -> bool:
    """A VAT number of a member state with its prefix (EL for Greece); XI is not EU."""
    return text[:2] not in ("XI", "GR") and iso_of(text[:2]) in EU27 and bool(vat.is_valid(text))


def is_nace(text: str) -> bool:
    """A division, group or class of NACE revision 2.1, such as 63.10; stdnum takes section letters and 6310 too."""
    return NACE.fullmatch(text) is not None and bool(nace.is_valid(text, revision="2.1"))


def is_nl_postcode(text: str) -> bool:
    """A Dutch postcode: four digits and two letters."""
    return NL_POSTCODE.fullmatch(text.upper()) is not None


@cache
def nuts3_codes() -> frozenset[str]:
    """NUTS 3 codes of the EU27; edition and source stand in the data file."""
    lines = (DATA / "nuts3.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


def is_nuts3(text: str) -> bool:
    """A NUTS 3 region of a member state."""
    return text in nuts3_codes()


def is_valid_register_number(country: str, text: str) -> bool:
    """A number in the trade register of a country; where no check is known, any text up to 40 characters passes."""
    if country == "NL":
        return is_kvk(text)
    if country not in REGISTERS:
        return 0 < len(text) <= 40
    module = get_cc_module(*REGISTERS[country])
    return module is not None and bool(module.is_valid(text))


def is_inside(latitude: float, longitude: float, country: str) -> bool:
    """Whether a point (degrees, WGS 84) lies in the rough box around a member state; true where no box is known."""
    box = BOXES.get(country)
    if box is None:
        return True
    south, west, north, east = box
    return south <= latitude <= north and west <= longitude <= east
