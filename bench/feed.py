"""The feed under load: writers race, a reader is killed again and again; what it costs; eoi-pull killed. See README.md."""

import argparse
import hashlib
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session, sessionmaker

from app.domain import (
    accounts,
    calls,
    completeness,
    feed,
    keys,
    references,
    statements,
    submissions,
    verification,
    versions,
)
from app.domain.access import SYSTEM
from app.drill.rehearsal import await_seal
from app.drill.stage import NAME, Stage, raised
from app.infra import database, times
from app.models import Person, Submission, Version

ROOT = Path(__file__).parents[1]
WRITERS = 24
CALL = "bench"
BLOCK = 25  # submits
TRIGGERS = (
    ("release", "release_takes_turns"),
    ("release", "take_back_takes_turns"),
    ("turn", "number_turns"),
)  # all that makes entries of the feed
SEEDED = "has an accepted attempt"  # what is seeded was never pressed
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
            "invariants": [line for line in verification.run(db) if SEEDED not in line],
        }


def seed(stage: Stage, code: str, number: int) -> None:
    """So many submissions with a file each, as the database would hold them, from one that was made through the domain.

    As superuser, without triggers: each has its own content, digest, receipt and file all the same.
    """
    stage.clone(code)
    (one,) = stage.prepare(code, 1)
    with stage.opened() as db:
        case = db.scalars(select(Submission).where(Submission.reference == one.reference)).one()
        actor = accounts.actor_for(db, db.get_one(Person, case.created_by))
        submissions.submit(db, actor, case.reference, "seed", "en", stage.signer, stage.url)
        made = db.scalars(select(Version).where(Version.submission_id == case.id)).one()
        content = json.loads(versions.content_bytes(case, made))
        body, ids, now = made.receipt.body, (case.id, made.id), calls.clock(db)
    engine = database.engine(stage.cluster.superuser_url(NAME))
    with engine.begin() as raw:
        raw.execute(text("set session_replication_role = replica"))
        for start in range(0, number, 500):
            rows = [_clone(stage, content, body, now, start + i) for i in range(min(500, number - start))]
            for table, place in (("submission", ids[0]), ("version", ids[1])):
                copy = (
                    f"insert into {table} select (jsonb_populate_record(t, cast(:{table} as jsonb))).* from {table} t"
                )
                raw.execute(text(f"{copy} where id = '{place}'"), rows)
            raw.execute(
                text("insert into receipt (version_id, body, jws) values (:id, cast(:body as jsonb), :jws)"), rows
            )
    engine.dispose()


def _clone(stage: Stage, content: dict[str, Any], body: dict[str, Any], now: Any, place: int) -> dict[str, Any]:
    reference, case, version = references.new(now), str(uuid.uuid4()), str(uuid.uuid4())
    with stage.files.staged(BytesIO(secrets.token_bytes(2000 + place % 3000)), 1 << 20) as staged:
        os.link(staged.path, _place(stage, staged.sha256))  # without its fsync: nobody relies on it
    file = content["files"][0] | {"id": str(uuid.uuid4()), "sha256": staged.sha256, "size": staged.size}
    whole = content | {"reference": reference, "files": [file]}
    digest = statements.digest(whole)
    said = body | {"reference": reference, "payload_sha256": digest}
    changes = {"id": version, "submission_id": case, "files": [file], "payload_sha256": digest}
    return {
        "submission": json.dumps({"id": case, "reference": reference}),
        "version": json.dumps(changes | {"idempotency_key": version}),
        "id": version,
        "body": json.dumps(said),
        "jws": statements.sign(stage.signer, said),
    }


def _place(stage: Stage, sha256: str) -> Path:
    place = stage.files.path(sha256)
    place.parent.mkdir(exist_ok=True)
    return place


def costs(stage: Stage, number: int) -> dict[str, float]:
    """Seconds to close a call with so many releases, with the feed and without, one after the other; not committed."""
    seed(stage, "costs", number)
    engine, took = database.engine(stage.cluster.superuser_url(NAME)), {}
    for name, mode in (
        ("without", "disable"),
        ("with", "enable"),
        ("without again", "disable"),
        ("with again", "enable"),
    ):
        with engine.connect() as raw:
            raw.execute(text(f"alter table release {mode} trigger release_takes_turns"))
            raw.execute(text("update call set closes_at = clock_timestamp() where code = 'costs'"))
            started = time.perf_counter()
            raw.execute(text("select seal_call(id) from call where code = 'costs'"))
            raw.execute(text("set constraints all immediate"))  # what the commit does at its end
            took[name] = time.perf_counter() - started
            raw.rollback()
    engine.dispose()
    return took


def submits(stage: Stage, number: int) -> dict[str, float]:
    """Milliseconds a submit takes with the feed and without, in turns: so many drafts, a block of each sort after another."""
    stage.clone("submits")
    drafts = stage.prepare("submits", number)
    engine = database.engine(stage.cluster.superuser_url(NAME))
    took: dict[str, list[float]] = {"enable": [], "disable": []}
    for place, draft in enumerate(drafts):
        mode = ("enable", "disable")[place // BLOCK % 2]
        if place % BLOCK == 0:
            with engine.begin() as raw:
                for trigger in TRIGGERS:
                    raw.execute(text(f"alter table {trigger[0]} {mode} trigger {trigger[1]}"))
        with stage.opened() as db:
            case = db.scalars(select(Submission).where(Submission.reference == draft.reference)).one()
            actor = accounts.actor_for(db, db.get_one(Person, case.created_by))
            started = time.perf_counter()
            submissions.submit(db, actor, case.reference, "cost", "en", stage.signer, stage.url)
            db.commit()
            took[mode].append((time.perf_counter() - started) * 1000)
    with engine.begin() as raw:
        for trigger in TRIGGERS:
            raw.execute(text(f"alter table {trigger[0]} enable trigger {trigger[1]}"))
    engine.dispose()
    told = {"with": took["enable"][BLOCK:], "without": took["disable"][BLOCK:]}  # the first of each warm up
    found = {name: round(statistics.median(all_), 2) for name, all_ in told.items()}
    return found | {"cost in %": round((found["with"] / found["without"] - 1) * 100, 1)}


def pull(stage: Stage, number: int, kills: int, folder: Path, chance: Random) -> dict[str, Any]:
    """eoi-pull against so many submissions with files, killed again and again: what it ends with, beside the database."""
    seed(stage, CALL, number)
    started = time.monotonic()
    stage.move_cutoff(CALL, 0)
    while await_seal(stage, CALL) is None:
        print(f"not sealed after {time.monotonic() - started:.0f} s:", (stage.folder / "log").read_text()[-500:])
    sealing = time.monotonic() - started
    with stage.opened(owner=True) as db:
        key = keys.issue(db, SYSTEM, "bench", [CALL], list(keys.SCOPES))[1]
    command = [sys.executable, str(ROOT / "clients" / "eoi_pull.py"), stage.url, CALL, str(folder)]
    environ, started, done = os.environ | {"EOI_KEY": key}, time.monotonic(), 0
    while done < kills:
        process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            process.wait(timeout=chance.uniform(1, max(2, number / kills / 20)))
        except subprocess.TimeoutExpired:
            process.kill()
            done += 1
        if process.wait() == 0:
            break  # it had it all before it could be killed: fewer kills are told
    last = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    took = time.monotonic() - started
    held = {place.name for place in (folder / "submissions").iterdir()}
    with stage.opened() as db:
        released = (
            "select s.reference, v.files from release r join submission s on s.id = r.submission_id"
            " join version v on v.id = r.version_id join call c on c.id = s.call_id where c.code = :code and"
        )
        stored: dict[str, Any] = dict(db.execute(text(f"{released} taken_back_at is null"), {"code": CALL}).all())
        arrived = db.execute(text("select count(distinct submission_id) from delivery")).scalar_one()
    files = {hashlib.sha256(p.read_bytes()).hexdigest() for p in (folder / "submissions").glob("*/*-*")}
    wanted = {file["sha256"] for named in stored.values() for file in named}
    return {
        "exit code": last.returncode,
        "said": (last.stdout + last.stderr).strip(),
        "kills": done,
        "seconds": round(took, 1),
        "seal": round(sealing, 2),
        "equal": held == set(stored) and files == wanted,
        "acknowledged": arrived,
        "held": len(held),
    }


def main() -> None:
    """Run it and print the figures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--read", nargs=3, metavar=("URL", "CALL", "FILE"), help=argparse.SUPPRESS)
    options.add_argument("--seconds", type=float, default=20, help="of the race; 0 leaves it out")
    options.add_argument("--submissions", type=int, default=10_000, help="for eoi-pull; 0 leaves it out")
    options.add_argument("--submits", type=int, default=400, help="to see what the feed costs them")
    options.add_argument("--kills", type=int, default=20)
    options.add_argument("--seed", default=secrets.token_hex(4))
    given = options.parse_args()
    if given.read:
        read(given.read[0], given.read[1], Path(given.read[2]))
        return
    print(f"seed {given.seed}")
    with tempfile.TemporaryDirectory() as name, raised(Path(name)) as stage:
        if given.seconds:
            for code in ("one", "two"):
                seed(stage, code, 100)
                stage.move_cutoff(code, 0)
                await_seal(stage, code)
            url = stage.cluster.app_url(NAME)
            print("milliseconds a submit, median:", submits(stage, given.submits))
            print(race(url, ["one", "two"], stage.signer.jwks(), Path(name), given.seconds, given.seed))
        if given.submissions:
            print(f"seconds to seal {given.submissions} and release them:", costs(stage, given.submissions))
            print(pull(stage, given.submissions, given.kills, Path(name) / "copy", Random(given.seed)))


if __name__ == "__main__":
    main()
