"""References of submissions: short, in order of time, with a check character, and not to be guessed."""

import secrets
from datetime import UTC, datetime

from stdnum.iso7064 import mod_37_36

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O, U
EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
LIKELY_MISREAD = str.maketrans("OIL", "011")


def new(now: datetime) -> str:
    """A fresh reference such as `0KQ3V-9XM2T-7RWC`: 5 characters of minutes since 2025, 8 random ones, 1 to check."""
    minutes = int((now - EPOCH).total_seconds() // 60)
    time = "".join(ALPHABET[minutes >> shift & 31] for shift in range(20, -1, -5))
    while True:
        body = time + "".join(secrets.choice(ALPHABET) for _ in range(8))
        check = mod_37_36.calc_check_digit(body)
        if check in ALPHABET:
            whole = body + check
            return f"{whole[:5]}-{whole[5:10]}-{whole[10:]}"


def normalised(text: str) -> str | None:
    """The reference somebody meant by `text` (any case, with or without dashes, O for 0), or None when it is none."""
    whole = "".join(c for c in text.upper() if c.isalnum()).translate(LIKELY_MISREAD)
    if len(whole) != 14 or not whole.isascii() or not mod_37_36.is_valid(whole):
        return None
    return f"{whole[:5]}-{whole[5:10]}-{whole[10:]}"
