"""What each server process runs: the application over its own portal. It imports no more than that, to be up soon."""

import os
import signal
from collections.abc import Callable
from types import FrameType

from fastapi import FastAPI

from app import doorman
from app.deps import Portal
from app.main import create_app
from app.settings import Settings


def worker() -> FastAPI:
    """The application, by the settings of the environment."""
    settings = Settings.from_env(os.environ, demo=os.environ.get("DEMO") == "1")
    doorman.keep_log(settings.log_format)
    portal = Portal.opened(settings, settings.database_url or "")
    for number in (signal.SIGINT, signal.SIGTERM):
        _before(number, portal.bell.silence)
    return create_app(portal)


def _before(number: signal.Signals, act: Callable[[], None]) -> None:
    """Do something when told to end, and then what would have been done: who waits for news is let go at once."""
    told = signal.getsignal(number)

    def handle(given: int, frame: FrameType | None) -> None:
        act()
        if callable(told):
            told(given, frame)

    if callable(told):
        signal.signal(number, handle)
