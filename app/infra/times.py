"""Instants as people read them: always with their zone, Brussels first and UTC beside it."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime

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


def calendar_day(on: date, language: str) -> str:
    """`20 June 2027`, a day that is no instant."""
    return format_date(on, "d MMMM y", locale=language)
