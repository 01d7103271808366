"""Register pages and dossiers a second over thousands of sealed submissions, beside a bare keyset query. See README.md."""

import argparse
import http.client
import json
import re
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import psycopg
from sqlalchemy import event, select, text
from sqlalchemy.orm import Session

from app import demo
from app.domain import accounts, callfile, calls, dossiers, references, register, tokens
from app.domain.access import SYSTEM, Actor
from app.domain.definitions import build
from app.domain.questionnaire import facts
from app.domain.register import Query
from app.drill.stage import NAME, Stage, raised
from app.models import Call, Person
from bench.submit import spent

CLIENTS = 4
AIMS = {"register": 100, "dossier": 200}  # pages a second by two workers at 10,000 submissions
SLOWEST, FLAT = 300, 1.5  # milliseconds at p95, and how much a page may grow from the smallest call to the largest
NOW = datetime.now(UTC)
PEOPLE = 200  # organisations to one another's submissions: one each would cost minutes and change nothing
VARIANTS = 40
CITIES = ["Delft", "Groningen", "Aachen", "Lille", "Porto", "Gdansk", "Turku", "Graz", "Bilbao", "Trieste"]
REGIONS = ["NL333", "NL113", "DEA2D", "FRE11", "PT11A", "PL634", "FI1C1", "AT221", "ES213", "ITH44"]
TOPICS = [
    "water",
    "warmte",
    "language models",
    "gezondheid",
    "robots",
    "weather",
    "steel",
    "landbouw",
    "ports",
    "chips",
]

SEED = """
insert into submission (id, call_id, organisation_id, kind, reference, created_at, created_by)
  select id, %(call)s, organisation_id, kind, reference, now(), created_by from seeded;
insert into version (id, submission_id, call_id, number, definition_digest, kind, language, title, is_consented, answers,
    files, findings, facts, payload_sha256, idempotency_key, submitted_by, received_at)
  select gen_random_uuid(), s.id, %(call)s, 1, %(digest)s, s.kind, 'en', s.title, s.consented,
    s.changes || b.answers || s.answers, b.files, s.findings, s.facts, encode(sha256(s.reference::bytea), 'hex'), 'k',
    s.created_by, now() - s.number * interval '1 second'
  from seeded s join body b on b.variant = s.variant;
insert into receipt (version_id, body, jws)
  select v.id, jsonb_build_object('reference', s.reference, 'organisation',
    jsonb_build_object('name', s.title, 'country', 'NL')), 'a.b.c'
  from seeded s join version v on v.submission_id = s.id;
"""


@dataclass
class Seeded:
    """One call of so many sealed submissions: some of their references, and how long preparing took."""

    code: str
    size: int
    references: list[str]
    seconds: float


def seed(stage: Stage, size: int, chance: Random) -> Seeded:
    """A sealed call of `size` submissions, written as the owner with the triggers of the window off, then prepared."""
    code, sample = f"bench-{size}", demo.samples()
    stage.clone(code)
    questions = build(callfile.load(demo.CALL))
    base = {name: value for step in sample["FC"].values() for name, value in step.items()}
    with psycopg.connect(stage.cluster.superuser_url(NAME)) as db:
        call, digest = db.execute("select id, definition_digest from call where code = %s", [code]).fetchone() or (0, 0)
        people = db.execute("select id from person limit 1").fetchone() or (0,)
        countries = ["NL", "DE", "FR", "PT", "PL", "FI", "AT", "ES", "IT", "BE"]
        firms = [
            (db.execute("insert into organisation (name, country) values (%s, %s) returning id", [f"Firm {i} BV", countries[i % 10]]).fetchone() or (0,))[0]
            for i in range(PEOPLE)
        ]  # fmt: skip
        db.execute(
            "create temp table seeded (id uuid default gen_random_uuid(), number int, organisation_id uuid, kind text, reference text,"
            " created_by uuid, title text, consented boolean, variant int, changes jsonb, answers jsonb, findings jsonb, facts jsonb)"
        )
        db.execute("create temp table body (variant int, answers jsonb, files jsonb)")
        for variant in range(VARIANTS):
            said = base | {"summary": " ".join(chance.choices(TOPICS + CITIES, k=60))}
            files = [
                {
                    "question": "proposal",
                    "name": f"plan-{variant}.pdf",
                    "sha256": "0" * 64,
                    "size": 9,
                    "media_type": "application/pdf",
                }
            ]
            db.execute("insert into body values (%s, %s, %s)", [variant, json.dumps(said), json.dumps(files)])
        some = [_facts(questions, base, chance) for _ in range(500)]
        columns = "(number, organisation_id, kind, reference, created_by, title, consented, variant, changes, answers, findings, facts)"
        with db.cursor() as cursor, cursor.copy(f"copy seeded {columns} from stdin") as copy:
            for number in range(size):
                copy.write_row(_line(number, size, firms, people[0], base, some, chance))
        db.execute("set session_replication_role = replica")
        for statement in SEED.split(";\n"):
            if statement.strip():
                db.execute(statement, {"call": call, "digest": digest})
        db.execute("set session_replication_role = origin")
        db.execute("update call set closes_at = clock_timestamp() where id = %s", [call])
        db.execute("select seal_call(%s)", [call])
        db.execute(
            "set session_replication_role = replica"
        )  # the seal itself, its letters too, is not what is measured
        db.execute("insert into seal (call_id, body, jws) values (%s, '{}', 'bench')", [call])
    started = time.perf_counter()  # the server's own background does it
    with psycopg.connect(stage.cluster.superuser_url(NAME), autocommit=True) as db:
        while not db.execute("select 1 from listing where call_id = %s", [call]).fetchone():
            time.sleep(0.1)
    seconds = time.perf_counter() - started
    with psycopg.connect(stage.cluster.superuser_url(NAME), autocommit=True) as db:
        db.execute("vacuum analyze")
        found = db.execute("select reference from entry where call_id = %s limit 400", [call]).fetchall()
    return Seeded(code, size, [row[0] for row in found], seconds)


def _facts(questions: Any, base: dict[str, Any], chance: Random) -> dict[str, Any]:
    made = facts(questions, "FC", base)
    return made | {
        "lead": f"{chance.choice(CITIES)} Compute {chance.randrange(999)}",
        "lead_country": chance.choice(["NL", "DE", "FR", "PL"]),
        "site_country": chance.choice(["NL", "DE", "FR", "PL", "PT", "FI", "AT"]),
        "it_load_mw": str(chance.randrange(10, 900)),
        "h100": str(chance.randrange(1000, 400000)),
        "capex": f"{chance.randrange(10**8, 7 * 10**9)}.00",
    }


def _line(
    number: int, size: int, firms: list[Any], person: Any, base: dict[str, Any], some: list[Any], chance: Random
) -> list[Any]:
    city = chance.randrange(len(CITIES))
    member = base["members"][0] | {"legal_name": f"Member {number % (size // 2 + 1)}", "lei": None, "vat_id": None}
    member |= {"euid": None, "pic": None, "national_reg_no": str(number % (size * 3 // 4 + 1))}
    site = base["sites"][0] | {
        "nuts3": REGIONS[city],
        "member_state": REGIONS[city][:2],
        "latitude": f"{40 + chance.random() * 20:.4f}",
        "longitude": f"{chance.random() * 20:.4f}",
        "address": f"Road {number}, {CITIES[city]}",
    }
    shown = chance.choice(some)
    warnings = [{"code": "capex_usual", "path": "capex_total", "reason": "So."}] if number % 3 == 0 else []
    kind = "OO" if number % 5 == 0 else "FC"
    return [
        number, chance.choice(firms), kind, references.new(NOW), person, f"Project {number} in {CITIES[city]}",
        number % 4 > 0, number % VARIANTS, "{}",
        json.dumps({"members": [member], "sites": [site], "title": f"Project {number}"}), json.dumps(warnings), json.dumps(shown),
    ]  # fmt: skip


def reviewer(stage: Stage) -> str:
    """The cookie of a signed-in reviewer."""
    with stage.opened() as db:
        accounts.invite_staff(db, "bench@rvo.example", "reviewer", name="Bench")
        db.execute(text("update person set email_verified_at = now() where email = 'bench@rvo.example'"))
        db.execute(
            text(
                "insert into sign_in (token_hash, person_id, csrf_token, user_agent, last_seen_at, factor_at, expires_at)"
                " select :hash, id, 't', 'bench', now(), now(), now() + interval '12 hours' from person where email = 'bench@rvo.example'"
            ),
            {"hash": tokens.hashed("bench")},
        )
    return "eoi=bench"


def state_freedom(stage: Stage, made: Seeded) -> None:
    """The reviewer has no conflict about the dossiers that are opened."""
    with stage.opened() as db:
        db.execute(
            text(
                "insert into conflict (submission_id, person_id, level, reason) select e.submission_id, p.id, 'none', ''"
                " from entry e, person p where e.reference = any(:given) and p.email = 'bench@rvo.example'"
            ),
            {"given": made.references},
        )


def ask(url: str, cookie: str, paths: list[str]) -> list[float]:
    """Seconds that each page took over one connection; every answer must be a page."""
    host = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(host.hostname or "", host.port, timeout=120)
    took = []
    for path in paths:
        started = time.perf_counter()
        connection.request("GET", path, headers={"Cookie": cookie})
        answer = connection.getresponse()
        body = answer.read()
        took.append(time.perf_counter() - started)
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status} {body[:500]!r} {answer.getheader('location')}")
    return took


def rate(url: str, cookie: str, paths: list[str]) -> float:
    """Pages a second by several clients at once."""
    threads = [threading.Thread(target=ask, args=(url, cookie, paths[i::CLIENTS])) for i in range(CLIENTS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(paths) / (time.perf_counter() - started)


def paths_of(made: Seeded, chance: Random) -> dict[str, list[str]]:
    """What is asked for, by name: different pages, filters and words each time."""
    at = f"/review?call={made.code}"
    sorts = ["received_at", "title", "fact.capex", "fact.it_load_mw", "organisation", "reference"]

    def page() -> str:
        return f"{at}&sort={chance.choice(sorts)}&order={chance.choice(['asc', 'desc'])}&after={chance.choice(made.references)}"

    def narrowed() -> str:
        country = chance.choice(["NL", "DE", "FR", "PL"])
        return f"{page()}&kind=FC&site={country}".replace("&after=", "&x=")

    def facets() -> str:
        return f"{narrowed()}&fact.capex={chance.randrange(4)}&fact.it_load_mw={chance.randrange(5)}&warning=capex_usual&is_consented=yes"

    number = 100
    return {
        "register": [page() for _ in range(number)],
        "filtered": [narrowed() for _ in range(number)],
        "facets": [facets() for _ in range(number)],
        "search, rare": [f"{at}&search=Road+{chance.randrange(made.size)}" for _ in range(number)],
        "search, common": [f"{at}&search={urllib.parse.quote(chance.choice(TOPICS))}" for _ in range(number)],
        "overview": [f"/review/overview?call={made.code}"] * (number // 2),
        "dossier": [f"/review/{chance.choice(made.references)}" for _ in range(number)],
    }


BARE = """
\\set spot random(1, :most)
select e.* from place p join entry e on e.call_id = p.call_id and e.position = p.position
  where p.call_id = ':call' and p.name = 'received_at' and p.down > :spot order by p.down limit 50;
"""


def bare(stage: Stage, folder: Path, made: Seeded) -> float:
    """Pages a second of a bare keyset query over the same rows, by pgbench."""
    with stage.opened() as db:
        call = calls.by_code(db, made.code).id
    script = folder / "bare.sql"
    script.write_text(BARE.replace(":most", str(made.size - 50)).replace(":call", str(call)))
    pgbench = str(Path(stage.cluster.programs.path("pgbench")))
    command = [
        pgbench,
        "-n",
        "-c",
        str(CLIENTS),
        "-j",
        "2",
        "-T",
        "5",
        "-f",
        str(script),
        stage.cluster.superuser_url(NAME),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return next(float(line.split()[2]) for line in done.stdout.splitlines() if line.startswith("tps"))


def plans(stage: Stage, made: Seeded) -> None:
    """How the database finds its rows: each statement that the portal itself sends for a page, explained."""
    with stage.opened() as db:
        call = calls.by_code(db, made.code)
        person = db.scalars(select(Person).where(Person.email == "bench@rvo.example")).one()
        reader = accounts.actor_for(db, person)
        first = made.references[0]
        pages: dict[str, Callable[[], Any]] = {
            "a page, by capital": lambda: _page(db, reader, call, Query(sort="fact.capex"), first),
            "a filtered page": lambda: _page(
                db,
                reader,
                call,
                Query(chosen={"kind": ("FC",), "site": ("NL", "DE")}, sort="title"),
                first,
            ),
            "a search for rare words": lambda: _page(db, reader, call, Query(search="road 77")),
            "a search for a common word": lambda: _page(db, reader, call, Query(search=TOPICS[0])),
            "a page of the API": lambda: dossiers.page(db, SYSTEM, call, 51, first),
            "a dossier": lambda: dossiers.load(db, reader, first),
        }
        for name, ask_for in pages.items():
            sent: list[tuple[str, Any]] = []
            remember = partial(_remember, sent)
            event.listen(db.get_bind(), "before_cursor_execute", remember)
            ask_for()
            event.remove(db.get_bind(), "before_cursor_execute", remember)
            print(f"\n{name}:")
            for words, given in sent:
                if words.startswith("SELECT"):
                    explained = db.connection().exec_driver_sql(
                        f"explain (analyze, costs off, timing off) {words}", given
                    )
                    _print_plan(list(explained.scalars()))


def _page(db: Session, reader: Actor, call: Call, query: Query, after: str | None = None) -> None:
    register.page(db, reader, call, query, 50, after)


def _remember(sent: list[tuple[str, Any]], *told: Any) -> None:
    sent.append((told[2], told[3]))


def _print_plan(lines: list[str]) -> None:
    """How rows were found: each scan with its index, how many it gave, how often; and how long it all took."""
    executed = [line for line in lines if "never executed" not in line]
    scans = [re.sub(r"\s+", " ", line.strip()) for line in executed if re.search(r"Scan|Execution", line)]
    tables = [line for line in scans if re.search(r"entry|place|words|version|submission|trait|release|Exec", line)]
    if len(tables) > 1:
        print("\n".join(f"  {line}" for line in tables))


class Cost(NamedTuple):
    """What a page of a kind takes, in milliseconds: waited for, and of processor time in the server and in PostgreSQL."""

    p50: float
    p95: float
    server: float
    database: float

    @property
    def busy(self) -> float:
        """What other work on the machine changes little."""
        return self.server + self.database


def measure(stage: Stage, cookie: str, made: Seeded, chance: Random, bare_rate: float) -> dict[str, Cost]:
    """What each kind of page takes, printed with pages a second and what part that is of the bare query."""
    asked, found = paths_of(made, chance), {}
    roots = (stage.process.pid if stage.process else 0, stage.cluster.pid or 0)
    for paths in asked.values():  # each worker reads the sets, and each connection knows the statements
        rate(stage.url, cookie, paths)
    for kind, paths in asked.items():
        took = sorted(ask(stage.url, cookie, paths))
        before = [spent(root) for root in roots]
        pages = rate(stage.url, cookie, paths * 3)
        cpu = [(spent(root) - was) * 1000 / (len(paths) * 3) for root, was in zip(roots, before, strict=True)]
        cost = Cost(statistics.median(took) * 1000, took[int(len(took) * 0.95)] * 1000, *cpu)
        print(
            f"  {kind:<16} p50 {cost.p50:6.1f} ms   p95 {cost.p95:6.1f} ms   {pages:5.0f}/s   {pages / bare_rate:4.0%} of the"
            f" bare query   processor: server {cost.server:5.1f} ms, PostgreSQL {cost.database:5.1f} ms"
            + (f"   aim {AIMS[kind]}/s" if kind in AIMS else ""),
            flush=True,
        )
        found[kind] = cost
    return found


def grown(found: dict[int, dict[str, Cost]]) -> None:
    """By what factor each kind of page grows from size to size."""
    sizes = sorted(found)
    print(f"\nGrowth of p50, and of processor time (aim: at most {FLAT} in all):")
    for kind in found[sizes[0]]:
        steps = []
        for small, large in [*pairwise(sizes), *([(sizes[0], sizes[-1])] if len(sizes) > 2 else [])]:
            one, other = found[small][kind], found[large][kind]
            steps.append(f"{small} to {large}: {other.p50 / one.p50:.2f}, {other.busy / one.busy:.2f}")
        print(f"  {kind:<16} {'   '.join(steps)}")
    slowest = max(cost.p95 for of in found.values() for cost in of.values())
    print(f"\nThe slowest p95 is {slowest:.0f} ms (aim: below {SLOWEST}).")


def main() -> None:
    """Run it and print the figures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--sizes", default="1000,10000", help="add 100000 for a run of many minutes")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--seed", default="register")
    given = options.parse_args()
    chance = Random(given.seed)
    found: dict[int, dict[str, Cost]] = {}
    with tempfile.TemporaryDirectory() as name, raised(Path(name), given.workers) as stage:
        cookie = reviewer(stage)
        for size in map(int, given.sizes.split(",")):
            made = seed(stage, size, chance)
            state_freedom(stage, made)
            print(f"\n{size} submissions, prepared in {made.seconds:.1f} s")
            bare_rate = bare(stage, Path(name), made)
            print(f"  bare keyset query {bare_rate:.0f}/s")
            found[size] = measure(stage, cookie, made, chance, bare_rate)
        plans(stage, made)
    grown(found)


if __name__ == "__main__":
    main()
