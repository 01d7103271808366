"""What a server process does beside answering, when the database is away."""

from dataclasses import replace

import pytest

from app.background import Background
from app.deps import Portal
from app.infra import database


def test_a_worker_starts_while_the_database_is_away(portal: Portal, caplog: pytest.LogCaptureFixture) -> None:
    """One that failed at its start would end the whole server, the other workers with it."""
    engine = database.engine("postgresql://eoi_app@/eoi?host=/nowhere&port=1")
    background = Background(replace(portal, engine=engine, sessions=database.sessions(engine)))
    background.start()
    assert background.thread.is_alive()
    background.stop()
    assert not background.thread.is_alive()
    assert "the database is away at the start" in caplog.text
    engine.dispose()
