"""Accepted submits a second through HTTP, beside a raw commit of the same rows by pgbench in the same run. See README.md."""

import argparse
import http.client
import json
import os
import secrets
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.parse
from pathlib import Path

from sqlalchemy import text

from app.domain import calls, exports
from app.drill.rehearsal import await_seal
from app.drill.stage import NAME, Applicant, Stage, raised
from app.infra import database
from app.infra.postgres import Cluster

CLIENTS = 32
CALL = "bench"


def press(url: str, share: list[Applicant], gate: threading.Barrier, took: list[float], got: list[str]) -> None:
    """One client: its drafts one after another over one connection."""
    host = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(host.hostname or "", host.port, timeout=60)
    gate.wait()
    for one in share:
        body = urllib.parse.urlencode({"csrf_token": one.token, "key": secrets.token_urlsafe(12)})
        headers = {"Cookie": f"eoi={one.cookie}", "Origin": url, "Content-Type": "application/x-www-form-urlencoded"}
        started = time.perf_counter()
        connection.request("POST", f"/apply/{one.reference}/receipts", body, headers)
        answer = connection.getresponse()
        answer.read()
        took.append(time.perf_counter() - started)
        if answer.status == 303:
            got.append(one.reference)


def load(url: str, drafts: list[Applicant]) -> tuple[float, list[float], list[str]]:
    """All drafts by 32 clients at once: submits a second, latencies in seconds, acknowledged references."""
    gate, took, got = threading.Barrier(CLIENTS + 1), [], []  # type: tuple[threading.Barrier, list[float], list[str]]
    shares = [drafts[i::CLIENTS] for i in range(CLIENTS)]
    threads = [threading.Thread(target=press, args=(url, share, gate, took, got)) for share in shares]
    for thread in threads:
        thread.start()
    gate.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    return len(got) / (time.perf_counter() - started), took, got


def spent(*roots: int) -> float:
    """Processor seconds spent so far by these processes and all below them."""
    parents, seconds = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            part = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        parents[int(folder.name)] = int(part[1])
        seconds[int(folder.name)] = sum(map(int, part[11:15])) / os.sysconf("SC_CLK_TCK")
    below = set(roots)
    while more := {number for number, parent in parents.items() if parent in below} - below:
        below |= more
    return sum(seconds.get(number, 0.0) for number in below)


def raw(cluster: Cluster, folder: Path, seconds: int) -> float:
    """Transactions a second that insert the rows of one submit, without triggers, by pgbench with 32 clients."""
    engine = database.engine(cluster.superuser_url(NAME))
    with engine.begin() as db:
        db.execute(text("create schema raw"))
        for table in ("version", "receipt", "event", "message", "attempt"):
            db.execute(text(f"create table raw.{table} (id uuid default gen_random_uuid() primary key, body jsonb)"))
        sizes = db.execute(
            text("select v.answers::text, r.body::text from version v join receipt r on r.version_id = v.id limit 1")
        ).one()
    engine.dispose()
    answers, receipt = (part.replace("'", "''") for part in sizes)
    small = json.dumps({"name": "submission.submitted", "detail": "x" * 200})
    rows = {"version": answers, "receipt": receipt, "event": small, "message": small, "attempt": small}
    lines = [f"insert into raw.{table} (body) values ('{body}');" for table, body in rows.items()]
    script = folder / "raw.sql"
    script.write_text("begin;\n" + "\n".join(lines) + "\nend;\n")
    pgbench = Path(cluster.programs.path("pgbench"))
    command = [str(pgbench), "-n", "-c", str(CLIENTS), "-j", "2", "-T", str(seconds), "-M", "simple", "-f", str(script)]
    done = subprocess.run([*command, cluster.superuser_url(NAME)], capture_output=True, text=True, check=True)
    return next(float(line.split()[2]) for line in done.stdout.splitlines() if line.startswith("tps"))


def found(stage: Stage, folder: Path) -> tuple[set[str], set[str]]:
    """The references in the database, and in the export once the call is sealed."""
    stage.move_cutoff(CALL, 0)
    if await_seal(stage, CALL) is None:
        raise SystemExit("The call was not sealed.")
    out = folder / "bench.ndjson"
    with stage.opened() as db:
        stored = db.execute(text("select s.reference from version v join submission s on s.id = v.submission_id"))
        references = set(stored.scalars())
        exports.write(db, stage.files, calls.by_code(db, CALL), "ndjson", out)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    return references, {line["reference"] for line in lines if "reference" in line}


def main() -> None:
    """Run it and print the figures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--drafts", type=int, default=960)
    options.add_argument("--workers", type=int, default=2)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name, raised(Path(name), given.workers) as stage:
        stage.clone(CALL)
        drafts = stage.prepare(CALL, given.drafts)
        warm = CLIENTS * 2
        load(stage.url, drafts[:warm])
        parts = {"server": stage.process.pid if stage.process else 0, "PostgreSQL": stage.cluster.pid or 0}
        before = {part: spent(number) for part, number in parts.items()}
        mine = time.process_time()
        rate, took, got = load(stage.url, drafts[warm:])
        cost = {part: spent(number) - before[part] for part, number in parts.items()}
        cost["driver"] = time.process_time() - mine
        base = raw(stage.cluster, Path(name), 10)
        stored, exported = found(stage, Path(name))
    took.sort()
    print(
        f"accepted submits: {rate:.0f}/s with {CLIENTS} clients, {given.workers} workers, {len(got)} of {len(drafts) - warm}"
    )
    print(f"latency: p50 {statistics.median(took) * 1000:.0f} ms, p99 {took[int(len(took) * 0.99)] * 1000:.0f} ms")
    each = ", ".join(f"{part} {seconds / len(got) * 1000:.2f} ms" for part, seconds in cost.items())
    print(f"processor time a submit: {each}")
    print(f"raw commit of the same rows by pgbench: {base:.0f}/s; ratio {rate / base:.1%}")
    print(
        f"acknowledged but not in the database: {len(set(got) - stored)}; not in the export: {len(set(got) - exported)}"
    )


if __name__ == "__main__":
    main()
