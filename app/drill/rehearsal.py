"""One rehearsal on a stage: a cloned call, a crowd across its cutoff, kills on request, the seal, and the findings."""

import secrets
import time
import urllib.request
from collections.abc import Callable
from datetime import datetime
from random import Random
from typing import Any
from urllib.error import URLError

from sqlalchemy import text

from app.domain import proofs, verification
from app.drill import report
from app.drill.crowd import Crowd, Press
from app.drill.report import Findings
from app.drill.stage import Applicant, Stage

GRACE = 60.0  # seconds after the drill in which applicants whose connection died press again
PATIENCE = 120.0  # seconds to wait for the seal

STORED = """
select s.reference, v.number, v.received_at from version v join submission s on s.id = v.submission_id
  join call c on c.id = v.call_id where c.code = :code"""
SEALED = """
select s.reference, v.number from leaf l join version v on v.id = l.version_id
  join submission s on s.id = l.submission_id join call c on c.id = l.call_id where c.code = :code"""
LATE = """
select count(*) from attempt a join submission s on s.id = a.submission_id join call c on c.id = s.call_id
where c.code = :code and a.code = 'call_closed'"""
SEALS = """
select count(*), extract(epoch from min(l.created_at) - min(c.closes_at))::float from call c
  join seal l on l.call_id = c.id join event e on e.call_id = c.id and e.name = 'call.sealed' where c.code = :code"""


def run(
    stage: Stage, applicants: int, seconds: float, kills: bool, chance: Random, closes_after: float = 0.5
) -> dict[str, Any]:
    """Rehearse a cutoff that falls after that part of the seconds; the figures of `report`."""
    code = f"drill-{secrets.token_hex(4)}"
    stage.revived = 0
    stage.clone(code)
    ready = stage.prepare(code, applicants)
    crowd = Crowd(stage.url, ready, seconds, chance, GRACE)
    closes_at = stage.move_cutoff(code, seconds * closes_after)
    crowd.start()
    killed = _kill(stage, crowd, seconds, chance, closes_at) if kills else []
    while crowd.is_busy():
        stage.revive()
        time.sleep(0.2)
    seal = await_seal(stage, code)
    return report.figures(_find(stage, code, ready, crowd.presses, closes_at, seal, killed))


def _kill(stage: Stage, crowd: Crowd, seconds: float, chance: Random, closes_at: datetime) -> list[str]:
    """Kill a worker and PostgreSQL at random moments, and after PostgreSQL, by the toss of a coin, the whole server."""

    def database() -> None:
        stage.kill_database()
        if chance.random() < 0.5:
            stage.kill_server()
            said.append("the server with all workers")

    deeds: list[tuple[str, Callable[[], None]]] = [
        ("a worker", lambda: stage.kill_worker(chance)),
        ("PostgreSQL", database),
    ]
    said: list[str] = []
    moments = sorted(((chance.uniform(0.1, 0.9) * seconds, what, deed) for what, deed in deeds), key=lambda m: m[0])
    for moment, what, deed in moments:
        time.sleep(max(0.0, crowd.started_at + moment - time.time()))
        said.append(f"{what}, {time.time() - closes_at.timestamp():+.2f} s from the cutoff")
        deed()
    return said


def _get(stage: Stage, path: str, cookie: str = "") -> Any:
    """A document of the portal, or None where there is none."""
    request = urllib.request.Request(f"{stage.url}{path}", headers={"Cookie": f"eoi={cookie}"})  # noqa: S310 (our own)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 (our own)
            return proofs.parse(answer.read())
    except (URLError, OSError, ValueError):
        return None


def await_seal(stage: Stage, code: str) -> Any:
    """The published seal; None when there is none in time."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        stage.revive()
        if (found := _get(stage, f"/calls/{code}/seal.json")) is not None:
            return found
        time.sleep(0.1)
    return None


def _find(
    stage: Stage,
    code: str,
    ready: list[Applicant],
    presses: list[Press],
    closes_at: datetime,
    seal: Any,
    killed: list[str],
) -> Findings:
    """Look for everything that was promised: in the database, in the sealed set, and over HTTP as an applicant would."""
    shown = {(press.reference, press.version) for press in presses if press.version is not None}
    verified = _verified(stage, ready, shown, seal)
    with stage.opened() as db:
        seals, wait = db.execute(text(SEALS), {"code": code}).one()
        evidence = verification.Evidence(stage.files, stage.signer.jwks())
        return Findings(
            presses=presses,
            closes_at=closes_at,
            stored={(r.reference, r.number): r.received_at for r in db.execute(text(STORED), {"code": code})},
            sealed={r.reference: r.number for r in db.execute(text(SEALED), {"code": code})},
            verified=verified,
            late_attempts=db.execute(text(LATE), {"code": code}).scalar_one(),
            seals=seals,
            seal_wait=wait,
            invariants=verification.run(db, evidence),
            kills=killed,
            revived=stage.revived,
        )


def _verified(stage: Stage, ready: list[Applicant], shown: set[tuple[str, int]], seal: Any) -> set[tuple[str, int]]:
    """Those receipts shown that can be fetched again, state what they should, and lead to the root of the seal."""
    jwks = _get(stage, "/.well-known/jwks.json")
    cookies = {one.reference: one.cookie for one in ready}
    found = set()
    for reference, number in shown:
        receipt = _get(stage, f"/apply/{reference}/receipts/{number}.json", cookies[reference])
        if seal is None or receipt is None or proofs.verify(receipt, jwks, seal).outcome != "valid":
            continue
        said = receipt["statement"]
        if (said["reference"], said["version"]) == (reference, number) and "proof" in receipt:
            found.add((reference, number))
    return found
