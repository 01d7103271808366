"""EuroHPC's side: the reference client and the getting-started page, against a served portal."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import accounts, keys, releases
from app.infra import database
from app.infra.postgres import Cluster
from app.models import Delivery, Person
from tests import make
from tests.journeys.served import ROOT, Served, serving

BY = "coordinator@demo.example"
Sandbox = dict[str, Any]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The demonstration."""
    with serving(tmp_path_factory.mktemp("pull")) as started:
        yield started


@pytest.fixture
def sandbox(served: Served, request: pytest.FixtureRequest) -> Sandbox:
    """A sandbox of the test's own, made as the getting-started page tells."""
    code = re.sub(r"\W+", "-", request.node.name.replace("_", "-"))[:40]
    done = served.run("sandbox", "--by", BY, "--code", code, "--submissions", "9", "--taken-back", "2", "--json")
    assert done.returncode == 0, done.stderr
    made: Sandbox = json.loads(done.stdout)
    return made


def command(served: Served, sandbox: Sandbox, folder: Path, *more: str) -> list[str]:
    return [sys.executable, str(ROOT / "clients" / "eoi_pull.py"), served.url, sandbox["call"], str(folder), *more]


def pull(served: Served, sandbox: Sandbox, folder: Path, *more: str, key: str = "") -> tuple[int, str]:
    """One run of the client: exit code, and what it says."""
    environ = {**os.environ, "EOI_KEY": key or sandbox["key"]}
    done = subprocess.run(command(served, sandbox, folder, *more), env=environ, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@contextmanager
def opened(served: Served) -> Iterator[Session]:
    with Cluster(served.data / "postgres").shared() as cluster:
        engine = database.engine(cluster.app_url("eoi"))
        with database.sessions(engine).begin() as db:
            yield db
        engine.dispose()


def decide(served: Served, reference: str, back: bool) -> None:
    """RVO takes a dossier back, or gives it again."""
    with opened(served) as db:
        actor = accounts.actor_for(db, db.scalars(select(Person).where(Person.email == BY)).one())
        if back:
            assert releases.take_back(db, actor, [reference], "So.", served.url) == [reference]
        else:
            assert releases.release_some(db, actor, [reference], served.url) == [reference]


def kept(folder: Path) -> list[str]:
    return sorted(place.name for place in (folder / "submissions").iterdir())


def test_a_copy_is_complete_follows_what_is_taken_back_and_mends_itself(
    served: Served, sandbox: Sandbox, tmp_path: Path
) -> None:
    jwks = tmp_path / "jwks.json"
    jwks.write_bytes(httpx.get(f"{served.url}/.well-known/jwks.json").content)
    folder, count = tmp_path / "copy", sandbox["released"] - sandbox["taken_back"]
    code, said = pull(served, sandbox, folder, "--keys", str(jwks))
    assert (code, said.split(", all")[0]) == (0, f"Complete: {count} of {count} released")
    assert "signature checked" in said
    first, second, *_ = kept(folder)
    with opened(served) as db:
        assert len(db.scalars(select(Delivery)).all()) >= count
    decide(served, first, back=True)
    assert pull(served, sandbox, folder)[0] == 0
    assert (len(kept(folder)), [p.name.split("-entry")[0] for p in (folder / "withdrawn").iterdir()]) == (
        count - 1,
        [first],
    )
    changed = folder / "submissions" / second / "submission.json"
    changed.write_text(changed.read_text().replace('"title"', '"titel"', 1))
    file = next(p for p in (folder / "submissions" / kept(folder)[-1]).iterdir() if p.name != "submission.json")
    file.write_bytes(file.read_bytes()[:-1])
    decide(served, first, back=False)
    assert pull(served, sandbox, folder)[0] == 0
    assert len(kept(folder)) == count
    file.write_bytes(b"x" * file.stat().st_size)
    assert pull(served, sandbox, folder, "--recheck")[0] == 0
    assert file.read_bytes()[:5] == b"%PDF-"
    (folder / "submissions" / "00000-00000-0000").mkdir()
    code, said = pull(served, sandbox, folder)
    assert (code, said) == (1, "eoi-pull: 00000-00000-0000 is held and not released.\n")


def test_killed_again_and_again_it_ends_with_all(served: Served, sandbox: Sandbox, tmp_path: Path) -> None:
    folder, chance = tmp_path / "copy", random.Random("kills")
    for _ in range(6):
        process = subprocess.Popen(
            command(served, sandbox, folder), env={**os.environ, "EOI_KEY": sandbox["key"]}, stdout=subprocess.DEVNULL
        )
        try:
            process.wait(timeout=chance.uniform(0.3, 1.0))
        except subprocess.TimeoutExpired:
            process.kill()
        process.wait()
    code, said = pull(served, sandbox, folder)
    assert code == 0, said
    assert len(kept(folder)) == sandbox["released"] - sandbox["taken_back"]


def test_half_a_file_is_gone_on_with_and_a_wrong_half_is_fetched_anew(
    served: Served, sandbox: Sandbox, tmp_path: Path
) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "copy"
    assert pull(served, sandbox, whole)[0] == 0
    for place, (reference, part) in enumerate(
        (r, p) for r in kept(whole) for p in (whole / "submissions" / r).iterdir()
    ):
        if part.name != "submission.json":
            work = folder / "partial" / f"{reference}-v1"
            work.mkdir(parents=True, exist_ok=True)
            content = part.read_bytes()
            (work / f"{part.name}.part").write_bytes([content[:1000], b"wrong", content, content + b"x"][place % 4])
    code, said = pull(served, sandbox, folder)
    assert code == 0, said
    assert kept(folder) == kept(whole)


def test_what_is_refused_what_is_only_late_and_what_is_wrongly_asked_have_their_exit_codes(
    served: Served, sandbox: Sandbox, tmp_path: Path
) -> None:
    assert pull(served, sandbox, tmp_path / "a", key="eoi_none")[0] == 1
    assert pull(served, sandbox | {"call": "aigf-eoi"}, tmp_path / "b")[0] == 1  # not a call of this key
    demo = (served.data / "demo-api-key").read_text()
    code, said = pull(served, sandbox | {"call": "aigf-eoi"}, tmp_path / "c", key=demo)
    assert (code, "call_not_closed" in said) == (75, True)
    nowhere = Served("http://127.0.0.1:9", served.data, [])
    assert pull(nowhere, sandbox, tmp_path / "d", "--tries", "1")[0] == 75
    assert pull(served, sandbox, tmp_path / "d", "--nonsense")[0] == 2
    assert pull(served, sandbox, tmp_path / "e")[0] == 0
    code, said = pull(served, sandbox | {"call": "other"}, tmp_path / "e")
    assert (code, "Name another folder" in said) == (2, True)


def test_the_commands_of_the_getting_started_page_do_what_it_says(
    served: Served, sandbox: Sandbox, tmp_path: Path
) -> None:
    page = (ROOT / "docs" / "eurohpc.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    with opened(served) as db:
        client, secret = make.agreed(db, [sandbox["call"]], *keys.SCOPES, kind="client_secret")
        own = {"CLIENT_ID": client.prefix, "CLIENT_SECRET": str(secret)}
    log = served.data.parent / "log"
    before = log.stat().st_size
    environ = {**os.environ, "PORTAL": served.url, "CALL": sandbox["call"], "EOI_KEY": sandbox["key"], **own}
    for block in blocks:
        words = ["bash", "-euo", "pipefail", "-c", block]
        done = subprocess.run(words, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (block, done.stdout, done.stderr)
    assert json.loads((tmp_path / "leaves.json").read_text())["call"] == sandbox["call"]
    asked = re.findall(r" (GET|POST) /api/v1(\S+) 2\d\d$", log.read_text()[before:], re.MULTILINE)
    missing = []
    for path, verbs in json.loads((ROOT / "tests" / "openapi.json").read_text())["paths"].items():
        pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", path))
        missing += [path for verb in verbs if not any(v == verb.upper() and pattern.fullmatch(p) for v, p in asked)]
    assert missing == []


def ask(served: Served, sandbox: Sandbox, after: str, wait: int) -> tuple[Any, float]:
    started = time.monotonic()
    answer = httpx.get(
        f"{served.url}/api/v1/calls/{sandbox['call']}/feed",
        params={"after": after, "wait": wait},
        headers={"Authorization": f"Bearer {sandbox['key']}"},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    return answer.json(), time.monotonic() - started


def test_who_waits_is_told_at_once_and_holds_nobody_up(served: Served, sandbox: Sandbox) -> None:
    page, _ = ask(served, sandbox, "", 0)
    gone = {item["reference"] for item in page["items"] if item["kind"] == "withdrawn"}
    reference = next(item["reference"] for item in page["items"] if item["reference"] not in gone)
    nothing, took = ask(served, sandbox, page["cursor"], 1)
    assert (nothing["items"], nothing["cursor"], took >= 1) == ([], page["cursor"], True)
    with ThreadPoolExecutor(80) as pool:  # more than the process has threads or connections
        waiting = [pool.submit(ask, served, sandbox, page["cursor"], 30) for _ in range(80)]
        while not all(future.running() for future in waiting):
            time.sleep(0.01)
        assert httpx.get(f"{served.url}/readyz", timeout=20).status_code == 200
        decide(served, reference, back=True)
        answers = [future.result() for future in waiting]
    assert {answer["items"][0]["reference"] for answer, _ in answers} == {reference}


def test_the_server_ends_at_once_also_while_somebody_waits(tmp_path: Path) -> None:
    with serving(tmp_path) as own:
        done = own.run("sandbox", "--by", BY, "--submissions", "1", "--taken-back", "0", "--json")
        sandbox = json.loads(done.stdout)
        page, _ = ask(own, sandbox, "", 0)
        got: list[Any] = []
        thread = threading.Thread(target=lambda: got.append(ask(own, sandbox, page["cursor"], 30)))
        thread.start()
        time.sleep(1)
        own.process.send_signal(signal.SIGINT)
        started = time.monotonic()
        own.process.wait(timeout=30)
        thread.join()
    assert time.monotonic() - started < 8
    assert (got[0][0]["items"], got[0][0]["cursor"]) == ([], page["cursor"])


USE = """
import sys
from eoi_client import AuthenticatedClient
from eoi_client.api.calls import list_calls, show_call
from eoi_client.api.deliveries import acknowledge
from eoi_client.api.feed import read_feed
from eoi_client.api.submissions import attachment, show_submission
from eoi_client.models import Arrived, Problem, Submission

portal, call, key = sys.argv[1:]
with AuthenticatedClient(base_url=portal + "/api/v1", token=key) as client:
    assert [one.code for one in list_calls.sync(client=client).items] == [call]
    entries = read_feed.sync(call, client=client).items
    gone = {entry.reference for entry in entries if entry.kind == "withdrawn"}
    entry = next(entry for entry in entries if entry.reference not in gone)
    document = show_submission.sync(entry.reference, client=client)
    assert isinstance(document, Submission), document
    assert (document.payload_sha256, document.received_at.tzinfo is None) == (entry.payload_sha256, False)
    file = document.files[0]
    content = attachment.sync(entry.reference, file.sha256, client=client).payload.read()
    assert (len(content), content[:5]) == (file.size, b"%PDF-")
    arrived = Arrived(entry.version, entry.payload_sha256, [one.sha256 for one in document.files])
    assert acknowledge.sync(entry.reference, client=client, body=arrived).reference == entry.reference
    refused = show_call.sync("none", client=client)
    assert isinstance(refused, Problem) and refused.code == "not_found", refused
    print(document.reference)
"""


def test_a_generated_client_compiles_and_fetches_a_submission(served: Served, sandbox: Sandbox, tmp_path: Path) -> None:
    words = ["generate", "--url", f"{served.url}/api/v1/openapi.json", "--meta", "none", "--fail-on-warning"]
    words += ["--output-path", str(tmp_path / "eoi_client"), "--config", "clients/openapi-python-client.yaml"]
    made = subprocess.run(
        [sys.executable, "-m", "openapi_python_client", *words], cwd=ROOT, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stdout + made.stderr
    modules = list((tmp_path / "eoi_client").rglob("*.py"))
    assert len(modules) > 50
    assert [path.name for path in modules if len(path.stem) > 32] == []  # names that a person would have chosen
    assert subprocess.run([sys.executable, "-m", "compileall", "-q", str(tmp_path / "eoi_client")]).returncode == 0
    (tmp_path / "use.py").write_text(USE)
    command = [sys.executable, "use.py", served.url, sandbox["call"], sandbox["key"]]
    used = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert used.returncode == 0, used.stderr
