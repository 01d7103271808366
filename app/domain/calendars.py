"""The deadline of a call for people's own calendars (RFC 5545). A calendar that subscribed learns of each change."""

from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import urlsplit

from icalendar import Alarm, Calendar, Event

from app.infra import times
from app.infra.i18n import N_, translate
from app.models import Call, DeadlineChange

SUMMARY = N_("Deadline: %(title)s")
TEXT = N_(
    "The call closes at %(closes)s. What is submitted at that instant or later does not count. Submit early: you can "
    "change and resubmit until then."
)
REMIND = (timedelta(days=7), timedelta(days=1), timedelta(hours=3))


def deadline(call: Call, title: str, changes: Sequence[DeadlineChange], language: str, base_url: str) -> bytes:
    """The file; `changes` are the confirmed ones, the last first: each raises the sequence of the same event."""
    moved_at = changes[0].confirmed_at if changes else None
    event = Event()
    event.add("uid", f"{call.code}-deadline@{urlsplit(base_url).hostname}")
    event.add("sequence", len(changes))
    for name in ("dtstamp", "last-modified"):
        event.add(name, moved_at or call.published_at)
    event.add("dtstart", call.closes_at)
    event.add("summary", translate(language, SUMMARY, title=title))
    event.add("description", translate(language, TEXT, closes=times.brussels_and_utc(call.closes_at, language)))
    event.add("url", f"{base_url}/calls/{call.code}")
    event.add("transp", "TRANSPARENT")
    for before in REMIND:
        alarm = Alarm()
        alarm.add("action", "DISPLAY")
        alarm.add("description", translate(language, SUMMARY, title=title))
        alarm.add("trigger", -before)
        event.add_component(alarm)
    made = Calendar()
    made.add("prodid", f"-//{urlsplit(base_url).hostname}//Expression of interest portal//EN")
    made.add("version", "2.0")
    made.add("method", "PUBLISH")
    made.add_component(event)
    return bytes(made.to_ical())
