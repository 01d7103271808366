"""The drill keeps every promise on a real portal that is killed meanwhile, and says so when one is broken."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.drill import rehearsal, report, stage
from app.drill.crowd import Press
from app.drill.report import Findings

CUTOFF = datetime(2027, 6, 20, 15, 0, tzinfo=UTC)
AT = CUTOFF.timestamp()
KEPT = Findings(
    presses=[
        Press("EOI-A", AT - 3, 0.2, "acknowledged", 1),
        Press("EOI-A", AT - 0.5, 0.1, "acknowledged", 2),
        Press("EOI-B", AT - 2, 0.0, "died"),
        Press("EOI-B", AT + 1, 0.1, "refused"),
        Press("EOI-C", AT - 0.01, 0.3, "refused"),
    ],
    closes_at=CUTOFF,
    stored={("EOI-A", 1): CUTOFF - timedelta(seconds=2), ("EOI-A", 2): CUTOFF - timedelta(microseconds=1)},
    sealed={"EOI-A": 2},
    verified={("EOI-A", 1), ("EOI-A", 2)},
    late_attempts=2,
    seals=1,
    seal_wait=0.1,
    invariants=[],
)
BREACHES: dict[str, dict[str, Any]] = {
    "stamped late": {"stored": KEPT.stored | {("EOI-B", 1): CUTOFF}},
    "acknowledged but missing in the database": {"stored": {("EOI-A", 1): CUTOFF - timedelta(seconds=2)}},
    "acknowledged but missing in the sealed set": {"sealed": {"EOI-A": 1}},
    "acknowledged but without a valid receipt and proof": {"verified": {("EOI-A", 1)}},
    "in the sealed set, though its applicant saw neither a receipt nor a fault": {"sealed": {"EOI-A": 2, "EOI-C": 1}},
    "refused before the cutoff": {"presses": [*KEPT.presses, Press("EOI-C", AT - 2, 0.3, "refused")]},
    "refused as late but not on record": {"late_attempts": 0},
    "applicants left without an answer": {"presses": [*KEPT.presses, Press("EOI-D", AT - 2, 0.3, "broken")]},
    "complete drafts called incomplete": {"presses": [*KEPT.presses, Press("EOI-C", AT - 2, 0.3, "invalid")]},
    "seals too few or too many": {"seals": 2},
    "servers that ended without being killed": {"revived": 1},
    "invariants broken": {"invariants": ["The audit trail is one chain without a gap. Broken by 1."]},
}


def test_kept_promises_are_reported_as_kept() -> None:
    made = report.figures(KEPT)
    assert report.broken(made) == []
    assert set(made["promises"]) == set(BREACHES)
    assert (made["accepted"], made["acknowledged"], made["refused"], made["connections_died"]) == (2, 2, 2, 1)
    assert made["milliseconds"]["before"] == {"count": 1, "p50": 200, "p99": 200}
    assert made["milliseconds"]["last second"]["count"] == 2
    assert made["milliseconds"]["after"]["count"] == 1


@pytest.mark.parametrize("promise", BREACHES)
def test_each_broken_promise_is_named(promise: str) -> None:
    made = report.figures(replace(KEPT, **BREACHES[promise]))
    assert [line.rpartition(":")[0] for line in report.broken(made)] == [promise]
    assert f"{made['promises'][promise]:>8}  {promise} (must be 0)" in report.lines(made)


def test_what_was_accepted_while_the_connection_died_is_counted_and_allowed() -> None:
    silent = replace(
        KEPT,
        stored=KEPT.stored | {("EOI-B", 1): CUTOFF - timedelta(seconds=1)},
        sealed=KEPT.sealed | {"EOI-B": 1},
    )
    made = report.figures(silent)
    assert (made["in_manifest_but_not_acknowledged"], report.broken(made)) == (1, [])


def test_an_attempt_may_be_forgotten_only_where_something_was_killed() -> None:
    forgotten = replace(KEPT, late_attempts=0, kills=["PostgreSQL, +0.10 s from the cutoff"])
    made = report.figures(forgotten)
    assert (made["refused_but_not_on_record"], report.broken(made)) == (1, [])


def test_what_was_accepted_though_the_portal_said_it_was_broken_is_counted() -> None:
    mistaken = replace(KEPT, presses=[Press("EOI-A", AT - 2.5, 1.0, "broken"), *KEPT.presses])
    made = report.figures(mistaken)
    assert (made["accepted_though_answered_broken"], report.broken(made)) == (1, [])
    elsewhere = replace(KEPT, presses=[Press("EOI-A", AT - 9, 1.0, "broken"), *KEPT.presses])
    assert report.figures(elsewhere)["accepted_though_answered_broken"] == 0


@pytest.mark.parametrize(("findings", "code"), [(KEPT, 0), (replace(KEPT, **BREACHES["stamped late"]), 1)])
def test_a_broken_promise_gives_exit_code_1(findings: Findings, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def raised(folder: Path) -> Iterator[None]:
        yield None

    monkeypatch.setattr(stage, "raised", raised)
    monkeypatch.setattr(rehearsal, "run", lambda *_: report.figures(findings))
    done = CliRunner().invoke(app, ["drill"])
    assert done.exit_code == code
    assert ("stamped late: 1" in done.stderr) is (code == 1)


@pytest.mark.committed
def test_no_worker_outlives_a_killed_server(tmp_path: Path) -> None:
    with stage.raised(tmp_path) as portal:
        workers = portal.workers_now()
        assert len(workers) == 2
        assert portal.process is not None
        os.kill(portal.process.pid, signal.SIGKILL)
        portal.process.wait()
        deadline = time.monotonic() + 30
        while any(Path(f"/proc/{number}").exists() for number in workers):
            assert time.monotonic() < deadline, "a worker lives on"
            time.sleep(0.05)


@pytest.mark.committed
def test_a_small_drill_with_kills_keeps_every_promise(tmp_path: Path) -> None:
    environ = {**os.environ, "DATABASE_URL": "postgresql://nobody@nowhere.invalid/real", "DATA": str(tmp_path / "real")}
    command = [sys.executable, "-m", "app", "drill", "--applicants", "20", "--seconds", "6", "--kill", "--json"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    made = json.loads(done.stdout)
    assert set(made["promises"].values()) == {0}
    assert made["acknowledged"] > 0
    assert [what.split(",")[0] for what in made["killed"] if "server" not in what] in (
        ["a worker", "PostgreSQL"],
        ["PostgreSQL", "a worker"],
    )
    assert not (tmp_path / "real").exists()
