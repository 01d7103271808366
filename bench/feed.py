"""The feed under load: writers race, a reader is killed again and again; what it costs; eoi-pull killed. See README.md."""

import argparse
import json
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker

from app.domain import accounts, calls, completeness, feed, verification
from app.domain.access import SYSTEM
from app.infra import database, times

ROOT = Path(__file__).parents[1]
WRITERS = 24
CALL = "bench"
LIVE = "select submission_id from release where taken_back_at is null and submission_id = any(:of)"
RELEASE = (
    "insert into release (submission_id, version_id, released_by)"
    " select submission_id, version_id, :by from leaf where submission_id = :s"
)
TAKE_BACK = (
    "update release set taken_back_at = now(), taken_back_by = :by, reason = 'So.'"
    " where submission_id = :s and taken_back_at is null"
)


def write(sessions: sessionmaker[Session], by: uuid.UUID, own: list[uuid.UUID], until: float, chance: Random) -> int:
    """One writer: releases and takes back its own submissions, some at once, in any order of their calls; how often."""
    done = 0
    while time.monotonic() < until:
        some = chance.sample(own, chance.randint(1, len(own)))
        with sessions() as db, db.begin() as transaction:
            live = set(db.scalars(text(LIVE), {"of": own}))
            for case in some:
                db.execute(text(TAKE_BACK if case in live else RELEASE), {"s": case, "by": by})
            if chance.random() < 0.2:  # what is rolled back leaves no number behind
                transaction.rollback()
                continue
        done += len(some)
    return done


def read(url: str, code: str, out: Path) -> None:
    """A reader: goes on behind the last whole line of its file, and adds a line an entry, until it is killed."""
    engine = database.engine(url, size=1)
    sessions = database.sessions(engine)
    kept = out.read_bytes() if out.exists() else b""
    kept = kept[: kept.rfind(b"\n") + 1]
    after = feed.parsed(json.loads(kept.splitlines()[-1])["cursor"]) if kept else None
    with out.open("r+b" if out.exists() else "wb") as file:
        file.truncate(len(kept))
        file.seek(len(kept))
        while True:
            with sessions.begin() as db:
                page = feed.read(db, SYSTEM, calls.by_code(db, code), after, 20)
                lines = [
                    {
                        "cursor": f"{page.cursor.epoch}-{e.number}",
                        "number": e.number,
                        "kind": e.kind,
                        "at": times.iso(e.at),
                    }
                    | {"reference": e.submission.reference, "version": [e.version.number, e.version.payload_sha256]}
                    for e in page.entries
                ]
            for line in lines:
                file.write(json.dumps(line).encode() + b"\n")
                file.flush()
            after = page.cursor
            if not lines:
                out.with_suffix(".end").write_text(str(after))
                time.sleep(0.02)


def race(url: str, codes: list[str], jwks: Any, folder: Path, seconds: float, seed: str) -> dict[str, Any]:
    """Writers on all the calls at once, and a reader of the first that is killed at random; what was lost, doubled, missed."""
    engine = database.engine(url, size=WRITERS + 2)
    sessions, chance, counts = database.sessions(engine), Random(seed), [0] * WRITERS
    with sessions.begin() as db:
        of = text(
            "select l.submission_id from leaf l join call c on c.id = l.call_id where c.code = any(:c) order by 1"
        )
        cases = list(db.scalars(of, {"c": codes}))
        accounts.invite_staff(db, "races@rvo.example", "coordinator")
        by = db.execute(text("select id from person where email = 'races@rvo.example'")).scalar_one()
    until, out, faults = time.monotonic() + seconds, folder / "read.ndjson", []  # type: tuple[float, Path, list[str]]

    def work(place: int) -> None:
        try:
            counts[place] = write(sessions, by, cases[place::WRITERS], until, Random(f"{seed}{place}"))
        except Exception as failure:  # told at the end: a thread has nobody to raise to
            faults.append(repr(failure))

    threads = [threading.Thread(target=work, args=(place,)) for place in range(WRITERS)]
    for thread in threads:
        thread.start()
    kills = 0
    command = [sys.executable, "-m", "bench.feed", "--read", url, codes[0], str(out)]
    while time.monotonic() < until:
        reader = subprocess.Popen(command, cwd=ROOT)
        try:
            reader.wait(timeout=chance.uniform(0.7, 1.6))
        except subprocess.TimeoutExpired:
            reader.kill()
        kills += 1
        reader.wait()
    for thread in threads:
        thread.join()
    with sessions.begin() as db:
        end = str(feed.position(db, calls.by_code(db, codes[0])))
    reader = subprocess.Popen(command, cwd=ROOT)
    while not out.with_suffix(".end").exists() or out.with_suffix(".end").read_text() != end:
        if reader.poll() is not None:
            raise SystemExit("The reader has ended.")
        time.sleep(0.02)
    reader.kill()
    reader.wait()
    found = judged(sessions, codes, jwks, [json.loads(line) for line in out.read_text().splitlines()])
    engine.dispose()
    return found | {"kills": kills, "writes": sum(counts), "seconds": seconds, "faults": faults}


def judged(sessions: sessionmaker[Session], codes: list[str], jwks: Any, lines: list[dict[str, Any]]) -> dict[str, Any]:
    """What was read beside what the database holds."""
    with sessions.begin() as db:
        call = calls.by_code(db, codes[0])
        last = feed.position(db, call).number
        numbers = [line["number"] for line in lines]
        held: dict[str, tuple[int, str]] = {}
        for line in lines:
            held.pop(line["reference"], None)
            if line["kind"] != feed.WITHDRAWN:
                held[line["reference"]] = (line["version"][0], line["version"][1])
        return {
            "entries": last,
            "lost": last - len(set(numbers)),
            "doubled": len(numbers) - len(set(numbers)),
            "in order": numbers == sorted(numbers) and [e["at"] for e in lines] == sorted(e["at"] for e in lines),
            "held": len(held),
            "completeness": completeness.faults(completeness.document(db, call), held, jwks),
            "invariants": verification.run(db),
        }


def main() -> None:
    """Run it and print the figures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--read", nargs=3, metavar=("URL", "CALL", "FILE"), help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.read:
        read(given.read[0], given.read[1], Path(given.read[2]))


if __name__ == "__main__":
    main()
