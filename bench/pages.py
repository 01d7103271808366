"""Every page of a full submission: its bytes, how long it takes with 32 people at once, and its processor time. See README.md."""

import argparse
import http.client
import random
import statistics
import tempfile
import threading
import time
import urllib.parse
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pikepdf
from sqlalchemy import select

from app.domain import accounts, attachments, calls, drafts, judgements, submissions
from app.domain.errors import TooManyFiles
from app.drill.stage import Applicant, Stage, raised
from app.models import Person, Submission
from bench.submit import spent

CLIENTS = 32
CALL = "bench"
MEMBERS, SITES, FILES = 3, 4, 20
MOST_BYTES, MOST_MS = 100_000, 200


@dataclass
class Figures:
    """What a page came to."""

    path: str
    size: int
    took: list[float]
    cpu: float

    @property
    def p95(self) -> float:
        """Milliseconds that 19 of 20 answers stay below."""
        return sorted(self.took)[int(len(self.took) * 0.95)] * 1000


def enlarge(stage: Stage, applicant: Applicant) -> None:
    """Three members, four sites, twenty files."""
    with stage.opened() as db:
        case = db.scalars(select(Submission).where(Submission.reference == applicant.reference)).one()
        person = db.get_one(Person, case.created_by)
        actor = accounts.actor_for(db, person)
        case = submissions.load(db, actor, applicant.reference)
        for step, name, number in (("members", "members", MEMBERS), ("sites", "sites", SITES)):
            kept = drafts.saved(db, case)[step]
            items = (kept.answers[name] * number)[:number]
            drafts.save_step(db, actor, case, step, kept.revision, kept.answers | {name: items}, kept.unread)
        held = len(attachments.of_submission(db, case.id))
        for number in range(held, FILES):
            made = BytesIO()
            with pikepdf.new() as pdf:
                pdf.add_blank_page(page_size=(100 + number, 100))
                pdf.save(made)
            made.seek(0)
            question = ("letters", "other_files")[number % 2] if number < held + 8 else "site_plan"
            try:
                attachments.attach(db, stage.files, actor, case, question, f"annex-{number:02d}.pdf", made)
            except TooManyFiles:
                break
        judgements.keep(db, case)


def ask(
    url: str,
    one: Applicant,
    path: str,
    times: int,
    think: float,
    gate: threading.Barrier,
    took: list[float],
    sizes: set[int],
) -> None:
    """One person who opens a page again and again."""
    host = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(host.hostname or "", host.port, timeout=120)
    headers = {"Cookie": f"eoi={one.cookie}", "Accept-Language": "nl"}
    gate.wait()
    for _ in range(times):
        time.sleep(random.uniform(0, 2 * think))
        started = time.perf_counter()
        connection.request("GET", path.replace("{ref}", one.reference), headers=headers)
        answer = connection.getresponse()
        content = answer.read()
        took.append(time.perf_counter() - started)
        if answer.status != 200:
            raise SystemExit(f"{path} answered {answer.status}")
        sizes.add(len(content))


def measure(stage: Stage, people: list[Applicant], path: str, times: int, think: float) -> Figures:
    """One page, by all of them at once."""
    gate, took, sizes = threading.Barrier(CLIENTS + 1), [], set()  # type: tuple[threading.Barrier, list[float], set[int]]
    roots = [stage.process.pid if stage.process else 0]
    threads = [
        threading.Thread(target=ask, args=(stage.url, people[n % len(people)], path, times, think, gate, took, sizes))
        for n in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    before = spent(*roots)
    gate.wait()
    for thread in threads:
        thread.join()
    return Figures(path, max(sizes), took, (spent(*roots) - before) / len(took))


def main() -> None:
    """Run it and print the figures."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--times", type=int, default=10)
    options.add_argument("--think", type=float, default=2.0, help="seconds that a person reads, on average")
    options.add_argument("--workers", type=int, default=2)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name, raised(Path(name), given.workers) as stage:
        stage.clone(CALL)
        people = stage.prepare(CALL, CLIENTS)
        for one in people:
            enlarge(stage, one)
        with stage.opened() as db:
            steps = [s.name for s in calls.questions(calls.by_code(db, CALL)).steps_for("FC")]
        paths = ["/apply", "/apply/{ref}", *(f"/apply/{{ref}}/{s}" for s in steps), "/apply/{ref}/check"]
        paths += ["/apply/{ref}/answers", f"/calls/{CALL}", "/status", "/glossary"]
        measure(stage, people, "/apply/{ref}/check", 2, 0)
        found = [measure(stage, people, path, given.times, given.think) for path in paths]
    for one in found:
        mark = " <-- too large" if one.size > MOST_BYTES else " <-- too slow" if one.p95 > MOST_MS else ""
        middle = statistics.median(one.took) * 1000
        print(
            f"{one.path:<32} {one.size / 1000:7.1f} kB   p50 {middle:4.0f} ms   p95 {one.p95:4.0f} ms   processor {one.cpu * 1000:5.1f} ms{mark}"
        )


if __name__ == "__main__":
    main()
