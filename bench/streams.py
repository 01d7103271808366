"""The whole of a call as a stream, beside COPY of the same rows: how fast, and what memory of the server it takes. See README.md."""

import argparse
import http.client
import json
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from sqlalchemy import text
from sqlalchemy.dialects import postgresql

from app.domain import accounts, calls, keys, merkle, references, streams, submissions
from app.domain.access import SYSTEM
from app.drill.stage import NAME, Stage, raised
from app.infra import database
from app.models import Person, Submission, Version

PIECE = 1 << 20
CLONES = (
    "insert into submission select (jsonb_populate_record(t, jsonb_build_object('id', n.c, 'reference', n.r))).*"
    " from submission t, clones n where t.id = :case",
    "insert into version select (jsonb_populate_record(t, jsonb_build_object('id', n.v, 'submission_id', n.c, 'idempotency_key', n.r,"
    " 'payload_sha256', encode(sha256(n.r::bytea), 'hex')))).* from version t, clones n where t.id = :version",
    "insert into receipt (version_id, body, jws) select n.v, t.body, t.jws from receipt t, clones n where t.version_id = :version",
    "insert into release (submission_id, version_id) select c, v from clones union all select :case, :version",
    "update call set sealed_at = now() where code = :code",
    "insert into listing (call_id, size, least) select id, 0, '{}' from call where code = :code",
)
EACH = 20  # files a submission, as a full one has
MANY = """
update version v set files = (select jsonb_agg(v.files -> 0 || jsonb_build_object('name', 'file-' || n || '.pdf'))
  from generate_series(1, cast(:each as integer)) n)
from call c where c.id = v.call_id and c.code like 'zip-%'
"""


def seed(stage: Stage, code: str, number: int) -> None:
    """A sealed call of so many released submissions, all but one copied in the database from that one, without triggers."""
    stage.clone(code)
    (one,) = stage.prepare(code, 1)
    with stage.opened() as db:
        case = db.query(Submission).filter_by(reference=one.reference).one()
        actor = accounts.actor_for(db, db.get_one(Person, case.created_by))
        submissions.submit(db, actor, case.reference, "seed", "en", stage.signer, stage.url)
        ids = {"case": case.id, "version": db.query(Version).filter_by(submission_id=case.id).one().id, "code": code}
        made = sorted({references.new(calls.clock(db)) for _ in range(number - 1)})
    engine = database.engine(stage.cluster.superuser_url(NAME))
    with engine.begin() as raw:
        raw.execute(text("set session_replication_role = replica"))
        raw.execute(
            text(
                "create temporary table clones as select r, gen_random_uuid() c, gen_random_uuid() v from unnest(cast(:all as text[])) r"
            ),
            {"all": made},
        )
        for statement in CLONES:
            raw.execute(text(statement), ids)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as raw:
        raw.execute(text("vacuum analyze"))
    engine.dispose()


def parts(url: str, path: str, key: str, **headers: str) -> Iterator[bytes]:
    """The answer as it arrives; whoever stops reading closes the connection."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=600)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}", **headers})
        answer = connection.getresponse()
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status} {answer.read(1000)!r}")
        while part := answer.read1(PIECE):
            yield part
    finally:
        connection.close()


def stream(stage: Stage, path: str, key: str, **headers: str) -> tuple[float, int, bytes]:
    """Seconds, bytes, and the end of an export."""
    started, size, end = time.perf_counter(), 0, b""
    for part in parts(stage.url, path, key, **headers):
        size += len(part)
        end = (end + part)[-4096:]
    return time.perf_counter() - started, size, end


def copy(stage: Stage, code: str) -> tuple[float, int]:
    """Seconds and bytes of COPY of the rows that the stream is made of."""
    with stage.opened() as db:
        rows = streams.wanted(SYSTEM, calls.by_code(db, code))
        asked = str(rows.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}))
    with psycopg.connect(stage.cluster.app_url(NAME)) as raw, raw.cursor() as cursor:
        started, size = time.perf_counter(), 0
        with cursor.copy(f"copy ({asked}) to stdout".encode()) as out:  # type: ignore[arg-type] # not a literal
            for part in out:
                size += len(part)
        return time.perf_counter() - started, size


def processes(stage: Stage) -> list[Path]:
    """The server's workers, or itself where it has none."""
    assert stage.process is not None
    return [Path("/proc") / str(number) for number in stage.workers_now() or [stage.process.pid]]


def peak(stage: Stage) -> float:
    """The most memory (RSS) that a process of the server has held since `forget`, in MB."""
    found = [place.joinpath("status").read_text().partition("VmHWM:")[2].split()[0] for place in processes(stage)]
    return max(map(int, found)) / 1024


def forget(stage: Stage) -> None:
    """Count the peak anew from now on."""
    for place in processes(stage):
        place.joinpath("clear_refs").write_text("5")


def open_transactions(stage: Stage) -> int:
    """How many of the server's transactions wait for somebody."""
    with stage.opened(owner=True) as db:
        asked = "select count(*) from pg_stat_activity where state like 'idle in transaction%' and datname = :name"
        return int(db.execute(text(asked), {"name": NAME}).scalar_one())


def broken_off(stage: Stage, path: str, key: str) -> dict[str, Any]:
    """Stop in the middle of a stream, see what stays open, go on behind the last whole line; what came of it."""
    held, reader = b"", parts(stage.url, path, key)
    for part in reader:
        held += part
        if len(held) > 3 * PIECE:
            break
    reader.close()
    started = time.monotonic()
    while open_transactions(stage) and time.monotonic() - started < 30:
        time.sleep(0.05)
    waited = time.monotonic() - started
    lines = held[: held.rfind(b"\n") + 1].splitlines(keepends=True)
    after = json.loads(lines[-1])["reference"]
    lines += b"".join(parts(stage.url, f"{path}?after={after}", key)).splitlines(keepends=True)
    *documents, last = lines
    leaves = []
    for line in documents:
        one = json.loads(line)
        leaves.append(streams.leaf(one["reference"], one["version"], one["payload_sha256"]))
    whole = json.loads(last)["whole"]
    return {
        "closed after s": round(waited, 2),
        "whole": whole == {"count": len(documents), "root": merkle.root(leaves)},
    }


def with_files(stage: Stage, sizes: list[int]) -> None:
    """The same of a ZIP of so many small files, twenty a submission: how long it takes, and what memory."""
    for size in sizes:
        seed(stage, f"zip-{size}", size // EACH)
    engine = database.engine(stage.cluster.superuser_url(NAME))
    with engine.begin() as raw:
        raw.execute(text("set session_replication_role = replica"))
        raw.execute(text(MANY), {"each": EACH})
    engine.dispose()
    with stage.opened(owner=True) as db:
        key = keys.issue(db, SYSTEM, "bench", [f"zip-{size}" for size in sizes], list(keys.SCOPES))[1]
    stream(stage, f"/api/v1/calls/zip-{sizes[0]}/export.zip", key)
    least = 0.0
    for size in sizes:
        forget(stage)
        with tempfile.TemporaryFile() as kept:
            started = time.perf_counter()
            for part in parts(stage.url, f"/api/v1/calls/zip-{size}/export.zip", key):
                kept.write(part)
            took, sent, most = time.perf_counter() - started, kept.tell(), peak(stage)
            with zipfile.ZipFile(kept) as package:
                if len(package.namelist()) != size + 2:
                    raise SystemExit("The ZIP is not whole.")
        least = least or most
        print(
            f"ZIP of {size} files: {sent / 1e6:.1f} MB in {took:.1f} s, {size / took:.0f} files/s;"
            f" peak memory of the server {most:.1f} MB, {most - least:+.1f} since {sizes[0]}"
        )


def main() -> None:
    """Run it and print the figures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--sizes", default="1000,10000", help="submissions; 1000,10000,100000 takes some minutes")
    options.add_argument("--times", type=int, default=3, help="how often each is timed, the best of them is told")
    options.add_argument("--files", default="", help="10000,100000 measures ZIPs of so many files, and nothing else")
    given = options.parse_args()
    sizes = [int(size) for size in (given.files or given.sizes).split(",")]
    with tempfile.TemporaryDirectory() as name, raised(Path(name), workers=1) as stage:
        if given.files:
            with_files(stage, sizes)
            return
        for size in sizes:
            seed(stage, f"of-{size}", size)
        with stage.opened(owner=True) as db:
            key = keys.issue(db, SYSTEM, "bench", [f"of-{size}" for size in sizes], list(keys.SCOPES))[1]
        for format in ("ndjson", "json"):
            stream(stage, f"/api/v1/calls/of-{sizes[0]}/export.{format}", key)
        least = 0.0
        for size in sizes:
            path, best = f"/api/v1/calls/of-{size}/export.ndjson", [float("inf"), float("inf")]
            forget(stage)
            for _ in range(given.times):
                took, sent, end = stream(stage, path, key)
                copied, read = copy(stage, f"of-{size}")
                best = [min(best[0], took), min(best[1], copied)]
            if json.loads(end.splitlines()[-1])["count"] != size:
                raise SystemExit("The stream is not whole.")
            most = peak(stage)
            least = least or most
            print(
                f"{size} submissions: {sent / 1e6:.1f} MB in {best[0]:.2f} s, {sent / 1e6 / best[0]:.1f} MB/s, {size / best[0]:.0f}/s; COPY"
                f" {read / 1e6:.1f} MB in {best[1]:.2f} s, {read / 1e6 / best[1]:.1f} MB/s; {best[1] / best[0]:.0%} of its rows a second;"
                f" peak memory of the server {most:.1f} MB, {most - least:+.1f} since {sizes[0]}"
            )
        print("broken off and resumed:", broken_off(stage, f"/api/v1/calls/of-{sizes[-1]}/export.ndjson", key))


if __name__ == "__main__":
    main()
