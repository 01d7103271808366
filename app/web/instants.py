"""An instant in a form: day, month, year and time of Brussels in four fields, as templates/parts/instant.html asks for it."""

import re
from datetime import date, datetime, time

from starlette.datastructures import FormData

from app.infra import times
from app.infra.i18n import N_, Message
from app.web import pages

TIME = re.compile(r"([01]?\d|2[0-3])[:.]([0-5]\d)", re.ASCII)
NO_INSTANT = N_("Give day, month and year in numbers, and the time as 17:00.")
PARTS = ("day", "month", "year", "time")

Problems = dict[str, Message]


def read(form: FormData, name: str) -> tuple[datetime | None, Problems]:
    """The instant that four fields name on the clocks of Brussels, or what is wrong with them."""
    day, month, year, at = (pages.field(form, f"{name}-{part}", 10) for part in PARTS)
    here, hours = f"{name}-day", TIME.fullmatch(at)
    if hours is None or not all(part.isascii() and part.isdigit() for part in (day, month, year)):
        return None, {here: Message(NO_INSTANT)}
    try:
        return times.from_brussels(date(int(year), int(month), int(day)), time(int(hours[1]), int(hours[2]))), {}
    except times.NotOneInstant as failure:
        return None, {here: failure.message}
    except (ValueError, OverflowError):
        return None, {here: Message(NO_INSTANT)}


def shown(name: str, at: datetime) -> dict[str, str]:
    """An instant as its four fields show it."""
    here = at.astimezone(times.BRUSSELS)
    return dict(
        zip(
            (f"{name}-{part}" for part in PARTS),
            (str(here.day), str(here.month), str(here.year), here.strftime("%H:%M")),
            strict=True,
        )
    )
