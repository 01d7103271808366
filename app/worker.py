"""What each server process runs: the application over its own portal. It imports no more than that, to be up soon."""

import os

from fastapi import FastAPI

from app.deps import Portal
from app.main import create_app
from app.settings import Settings


def worker() -> FastAPI:
    """The application, by the settings of the environment."""
    settings = Settings.from_env(os.environ, demo=os.environ.get("DEMO") == "1")
    return create_app(Portal.opened(settings, settings.database_url or ""))
