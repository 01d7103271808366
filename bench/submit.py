"""Accepted submits a second through HTTP, beside a raw commit of the same rows by pgbench in the same run. See README.md."""

import argparse
import http.client
import json
import secrets
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.parse
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pikepdf
from sqlalchemy import func, text
from sqlalchemy.orm import Session

from app import demo
from app.domain import accounts, attachments, callfile, calls, exports, submissions, tokens
from app.infra import database
from app.infra.files import FileStore
from app.infra.postgres import Cluster
from app.models import Person, SignIn
from tests.journeys.served import Served, serving

CLIENTS = 32
CALL = "bench"


def document() -> bytes:
    made = BytesIO()
    with pikepdf.new() as pdf:
        pdf.add_blank_page()
        pdf.save(made)
    return made.getvalue()


def ready(db: Session, files: FileStore, number: int, given: dict[str, Any], pdf: bytes) -> tuple[str, str, str]:
    """A signed-in person with a complete draft: session secret, CSRF token and reference."""
    email = f"bench{number}@bench.example"
    person = Person(email=email, name=f"Bench {number}", email_verified_at=func.clock_timestamp())
    db.add(person)
    db.flush()
    actor = accounts.actor_for(db, person)
    accounts.describe_organisation(db, actor, f"Bench {number} BV", "NL", None)
    db.flush()
    actor = accounts.actor_for(db, person)
    case = submissions.start(db, actor, calls.by_code(db, CALL), actor.memberships[0].organisation_id, "FC")
    demo.fill(db, actor, case, given, {}, email)
    for question in given["files"]["FC"]:
        attachments.attach(db, files, actor, case, question, "file.pdf", BytesIO(pdf))
    secret, token = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
    db.add(
        SignIn(
            token_hash=tokens.hashed(secret),
            person_id=person.id,
            csrf_token=token,
            user_agent="bench",
            last_seen_at=func.clock_timestamp(),
            expires_at=func.clock_timestamp() + timedelta(hours=1),
        )
    )
    return secret, token, case.reference


def press(
    url: str, share: list[tuple[str, str, str]], gate: threading.Barrier, took: list[float], got: list[str]
) -> None:
    """One client: its drafts one after another over one connection."""
    host = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(host.hostname or "", host.port, timeout=60)
    gate.wait()
    for secret, token, reference in share:
        body = urllib.parse.urlencode({"csrf_token": token, "key": secrets.token_urlsafe(12)})
        headers = {"Cookie": f"eoi={secret}", "Origin": url, "Content-Type": "application/x-www-form-urlencoded"}
        started = time.perf_counter()
        connection.request("POST", f"/apply/{reference}/receipts", body, headers)
        answer = connection.getresponse()
        answer.read()
        took.append(time.perf_counter() - started)
        if answer.status == 303:
            got.append(reference)


def load(url: str, drafts: list[tuple[str, str, str]]) -> tuple[float, list[float], list[str]]:
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


def raw(cluster: Cluster, folder: Path, seconds: int) -> float:
    """Transactions a second that insert the rows of one submit, without triggers, by pgbench with 32 clients."""
    engine = database.engine(cluster.superuser_url("eoi"))
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
    done = subprocess.run([*command, cluster.superuser_url("eoi")], capture_output=True, text=True, check=True)
    return next(float(line.split()[2]) for line in done.stdout.splitlines() if line.startswith("tps"))


def prepare(served: Served, cluster: Cluster, number: int) -> list[tuple[str, str, str]]:
    """A call of its own and so many ready drafts, made through the domain."""
    definition = callfile.load(demo.CALL)
    owner = database.engine(cluster.owner_url("eoi"))
    with database.sessions(owner).begin() as db:
        now = calls.clock(db)
        calls.publish(db, definition, now, now + timedelta(hours=2), CALL, is_synthetic=True)
    owner.dispose()
    engine = database.engine(cluster.app_url("eoi"))
    files, given, pdf = FileStore(served.data / "files"), demo.samples(), document()
    drafts = []
    for start in range(0, number, 50):
        with database.sessions(engine).begin() as db:
            drafts += [ready(db, files, i, given, pdf) for i in range(start, min(start + 50, number))]
    engine.dispose()
    return drafts


def found(served: Served, cluster: Cluster) -> tuple[set[str], set[str]]:
    """The references in the database, and in the export once the call is closed."""
    served.close(CALL)
    engine = database.engine(cluster.app_url("eoi"))
    with database.sessions(engine).begin() as db:
        stored = set(
            db.execute(text("select s.reference from version v join submission s on s.id = v.submission_id")).scalars()
        )
    out = served.data / "bench.ndjson"
    with database.sessions(engine).begin() as db:
        exports.write(db, FileStore(served.data / "files"), calls.by_code(db, CALL), "ndjson", out)
    engine.dispose()
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    return stored, {line["reference"] for line in lines if "reference" in line}


def main() -> None:
    """Run it and print the figures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--drafts", type=int, default=960)
    options.add_argument("--workers", type=int, default=2)
    given = options.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        serving(Path(name), workers=given.workers) as served,
        Cluster(served.data / "postgres").shared() as cluster,
    ):
        drafts = prepare(served, cluster, given.drafts)
        warm = CLIENTS * 2
        load(served.url, drafts[:warm])
        rate, took, got = load(served.url, drafts[warm:])
        base = raw(cluster, Path(name), 10)
        stored, exported = found(served, cluster)
    took.sort()
    print(
        f"accepted submits: {rate:.0f}/s with {CLIENTS} clients, {given.workers} workers, {len(got)} of {len(drafts) - warm}"
    )
    print(f"latency: p50 {statistics.median(took) * 1000:.0f} ms, p99 {took[int(len(took) * 0.99)] * 1000:.0f} ms")
    print(f"raw commit of the same rows by pgbench: {base:.0f}/s; ratio {rate / base:.1%}")
    print(
        f"acknowledged but not in the database: {len(set(got) - stored)}; not in the export: {len(set(got) - exported)}"
    )


if __name__ == "__main__":
    main()
