"""Instants as people read them: always with their zone, Brussels first and UTC beside it."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from babel.dates import format_datetime, get_month_names

from app.infra.i18n import N_, Message

BRUSSELS = ZoneInfo("Europe/Brussels")
SKIPPED = N_(
    "%(time)s does not exist on that day: at 02:00 the clocks go forward to 03:00. Choose a time outside that hour."
)
REPEATED = N_(
    "%(time)s comes twice on that day: at 03:00 the clocks go back to 02:00. Choose a time outside that hour."
)


class NotOneInstant(ValueError):
    """A time on the clock that no instant has, or two have; `message` says why and what to do."""

    def __init__(self, message: Message) -> None:
        self.message = message
        super().__init__(message.msgid)


def brussels(at: datetime, language: str, seconds: bool = False) -> str:
    """`20 June 2027, 17:00 CEST`; the abbreviation is the zone's own at that instant."""
    local = at.astimezone(BRUSSELS)
    return f"{_shown(local, language, seconds)} {local.tzname()}"


def time_of_day(at: datetime) -> str:
    """`16:41:07 CEST`, on the clocks of Brussels; the same in every language."""
    local = at.astimezone(BRUSSELS)
    return f"{_clock(local, True)} {local.tzname()}"


def day(at: datetime, language: str) -> str:
    """`20 June 2027`, the day in Brussels."""
    return calendar_day(at.astimezone(BRUSSELS), language)


def utc(at: datetime, language: str, seconds: bool = False) -> str:
    """`20 June 2027, 15:00 UTC`."""
    return f"{_shown(at.astimezone(UTC), language, seconds)} UTC"


def brussels_and_utc(at: datetime, language: str, seconds: bool = False) -> str:
    """`20 June 2027, 17:00 CEST (15:00 UTC)`; the day in UTC is added where it differs."""
    local, universal = at.astimezone(BRUSSELS), at.astimezone(UTC)
    other = _clock(universal, seconds) if local.date() == universal.date() else _shown(universal, language, seconds)
    return f"{brussels(at, language, seconds)} ({other} UTC)"


def _shown(at: datetime, language: str, seconds: bool) -> str:
    return f"{calendar_day(at, language)}, {_clock(at, seconds)}"


def calendar_day(at: date, language: str) -> str:
    """`20 June 2027`, a day as the calendar has it."""
    return f"{at.day} {_months(language)[at.month]} {at.year}"


def _clock(at: datetime, seconds: bool) -> str:
    return at.strftime("%H:%M:%S" if seconds else "%H:%M")


@cache
def _months(language: str) -> dict[int, str]:
    """The names of months. A register shows hundreds of instants: Babel takes too long for each."""
    return dict(get_month_names("wide", "format", language))


def to_the_end(at: datetime, language: str) -> str:
    """The instant at which a day ends, named by that day: `20 June 2027, 24:00 CEST (22:00 UTC)`; others as usual."""
    local = at.astimezone(BRUSSELS)
    if local.time() != time(0):
        return brussels_and_utc(at, language)
    universal = format_datetime(at.astimezone(UTC), "HH:mm", locale=language)
    return f"{day(at - timedelta(microseconds=1), language)}, 24:00 {local.tzname()} ({universal} UTC)"


def iso(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds, as machines read it."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def from_brussels(day: date, at: time) -> datetime:
    """The instant, in UTC, at which clocks in Brussels show a time of day. NotOneInstant where they are changed."""
    first, second = (datetime.combine(day, at.replace(fold=fold), tzinfo=BRUSSELS) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return first.astimezone(UTC)
    goes_forward = first.astimezone(UTC) > second.astimezone(UTC)
    raise NotOneInstant(Message(SKIPPED if goes_forward else REPEATED, {"time": at.strftime("%H:%M")}))
