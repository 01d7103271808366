"""Instants as people read them: always with their zone, Brussels first and UTC beside it."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from babel.dates import format_datetime

BRUSSELS = ZoneInfo("Europe/Brussels")


def brussels(at: datetime, language: str, seconds: bool = False) -> str:
    """`20 June 2027, 17:00 CEST`; the abbreviation is the zone's own at that instant."""
    local = at.astimezone(BRUSSELS)
    pattern = "d MMMM y, HH:mm:ss" if seconds else "d MMMM y, HH:mm"
    return f"{format_datetime(local, pattern, locale=language)} {local.tzname()}"


def day(at: datetime, language: str) -> str:
    """`20 June 2027`, the day in Brussels."""
    return format_datetime(at.astimezone(BRUSSELS), "d MMMM y", locale=language)


def utc(at: datetime, language: str, seconds: bool = False) -> str:
    """`20 June 2027, 15:00 UTC`."""
    pattern = "d MMMM y, HH:mm:ss" if seconds else "d MMMM y, HH:mm"
    return f"{format_datetime(at.astimezone(UTC), pattern, locale=language)} UTC"


def brussels_and_utc(at: datetime, language: str, seconds: bool = False) -> str:
    """`20 June 2027, 17:00 CEST (15:00 UTC)`; the day in UTC is added where it differs."""
    local, universal = at.astimezone(BRUSSELS), at.astimezone(UTC)
    pattern = "HH:mm:ss" if seconds else "HH:mm"
    if local.date() != universal.date():
        pattern = f"d MMMM y, {pattern}"
    return f"{brussels(at, language, seconds)} ({format_datetime(universal, pattern, locale=language)} UTC)"


def iso(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds, as machines read it."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
