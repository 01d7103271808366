"""How the API behaves as HTTP, on every address of its description: methods, ETags, what may be kept, numbers of requests."""

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.datastructures import Headers
from starlette.responses import StreamingResponse
from starlette.testclient import TestClient

from app import doorman
from app.api import manners, problems
from app.deps import Portal
from app.domain import usage
from app.infra import database
from app.main import create_app
from app.models import Event, Submission
from tests import make

AGREED = json.loads((make.HERE / "openapi.json").read_text())
PATHS: dict[str, Any] = AGREED["paths"]
READS = [path for path, verbs in PATHS.items() if "get" in verbs]
CHANGES_ALL_THE_TIME = {"/time"}
STREAMED = {path for path in READS if "/export." in path and not path.endswith("schema.json")}
VERBS = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE")
Names = dict[str, str]


@pytest.fixture
def names(db: Session, portal: Portal) -> Names:
    """A sealed call with a submission that has a file: what stands for each parameter, and a key to all of it."""
    call = make.call(db)
    case, actor = make.submission(db, call, make.person(db))
    sha256 = make.attach(db, portal.files, actor, case).sha256
    make.send(db, actor, case, portal.signer)
    make.move_deadline(db, call, 0)
    make.seal(db, call, portal.signer)
    make.number(db)
    key = make.key(db, call, "submissions:read", "attachments:read", "deliveries:write")
    return {"code": call.code, "ref": case.reference, "sha256": sha256, "number": "1", "name": "countries", "key": key}


def at(names: Names, path: str) -> str:
    return "/api/v1" + path.format_map(names)


def bearer(names: Names) -> dict[str, str]:
    return {"Authorization": f"Bearer {names['key']}"}


@pytest.mark.parametrize("path", sorted(PATHS))
def test_every_address_names_its_methods_and_refuses_all_others(client: TestClient, names: Names, path: str) -> None:
    taken = {verb.upper() for verb in PATHS[path]} | {"OPTIONS"}
    taken |= {"HEAD"} if "GET" in taken else set()
    asked = client.request("OPTIONS", at(names, path))
    assert (asked.status_code, asked.content) == (204, b"")
    assert asked.headers["allow"] == ", ".join(sorted(taken))
    for verb in sorted(set(VERBS) - taken):
        answer = client.request(verb, at(names, path), headers=bearer(names))
        assert (answer.status_code, answer.headers["allow"]) == (405, ", ".join(sorted(taken))), verb
        assert verb == "HEAD" or answer.json()["code"] == "method_not_allowed"


@pytest.mark.parametrize("path", sorted(READS))
def test_head_is_get_without_its_body(client: TestClient, names: Names, path: str) -> None:
    for headers in (bearer(names), {}):  # a refusal is answered alike
        whole, head = (client.request(verb, at(names, path), headers=headers) for verb in ("GET", "HEAD"))
        assert whole.content
        assert (head.status_code, head.content) == (whole.status_code, b"")
        apart = {"x-request-id", "ratelimit"} | ({"content-length"} if whole.status_code == 200 else set())
        shown = [{n: v for n, v in a.headers.items() if n not in apart} for a in (whole, head)]
        assert shown[0] == shown[1]


@pytest.mark.parametrize("path", sorted(set(READS) - CHANGES_ALL_THE_TIME - STREAMED))
def test_what_was_read_is_not_sent_again_while_it_is_the_same(client: TestClient, names: Names, path: str) -> None:
    first = client.get(at(names, path), headers=bearer(names))
    tag = first.headers["etag"]
    assert (first.status_code, first.headers["cache-control"]) == (200, "private, no-cache")
    assert "304" in PATHS[path]["get"]["responses"]
    for known in (tag, f'"other", {tag}', tag.removeprefix("W/"), "*"):
        again = client.get(at(names, path), headers=bearer(names) | {"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag), known
        assert "content-type" not in again.headers
        assert again.headers["cache-control"] == "private, no-cache"
    for other in ('"other"', tag[:-2], tag.strip('W/"'), ""):
        again = client.get(at(names, path), headers=bearer(names) | {"If-None-Match": other})
        assert (again.status_code, again.content[:1]) == (200, first.content[:1]), other
    assert client.get(at(names, path), headers={"If-None-Match": "*"}).status_code == (
        401 if "security" in PATHS[path]["get"] else 304
    )


def test_an_etag_changes_with_what_it_names(client: TestClient, db: Session, names: Names, portal: Portal) -> None:
    paths = ["/calls", "/calls/{code}", "/calls/{code}/feed", "/calls/{code}/leaves", "/submissions/{ref}/deliveries"]
    before = {path: client.get(at(names, path), headers=bearer(names)).headers["etag"] for path in paths}
    item = client.get(at(names, "/calls/{code}/feed"), headers=bearer(names)).json()["items"][0]
    body = {"version": 1, "payload_sha256": item["payload_sha256"], "files": []}
    said = client.post(at(names, "/submissions/{ref}/deliveries"), json=body, headers=bearer(names))
    assert (said.status_code, said.headers["cache-control"]) == (201, "no-store")
    make.take_back(db, db.scalars(select(Submission).where(Submission.reference == names["ref"])).one())
    make.number(db)
    for path, tag in before.items():
        headers = bearer(names) | {"If-None-Match": tag}
        assert client.get(at(names, path), headers=headers).status_code == 200, path


def test_the_description_is_for_all_and_kept_for_a_while(client: TestClient) -> None:
    answer = client.get("/api/v1/openapi.json")
    assert answer.headers["cache-control"] == "public, max-age=300"
    known = {"If-None-Match": answer.headers["etag"]}
    assert client.get("/api/v1/openapi.json", headers=known).status_code == 304
    now = client.get("/api/v1/time", headers={"If-None-Match": "*"})
    assert (now.status_code, now.headers["cache-control"], "etag" in now.headers) == (200, "no-store", False)


def test_of_a_stream_that_is_only_looked_at_nothing_more_is_made() -> None:
    made = []

    def lines() -> Iterator[bytes]:
        for number in range(1000):
            made.append(number)
            yield b"{}\n"

    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.add_api_route("/stream", lambda: StreamingResponse(lines(), media_type="application/json"))
    app.add_middleware(manners.Manners, methods=manners.methods_of(app.routes))
    client = TestClient(app)
    head = client.head("/stream", headers={"If-None-Match": "*"})
    assert (head.status_code, head.content, "etag" in head.headers) == (200, b"", False)
    assert len(made) < 10
    assert client.get("/stream").content == b"{}\n" * 1000
    client.close()


def test_no_other_site_may_read_in_a_browser(client: TestClient, names: Names) -> None:
    asked = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "GET"}
    for path in PATHS:
        for verb in ("OPTIONS", "GET"):
            answer = client.request(verb, at(names, path), headers=asked | bearer(names))
            assert [name for name in answer.headers if name.startswith("access-control")] == []
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_a_request_keeps_the_number_that_it_came_with(
    client: TestClient, db: Session, names: Names, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.addFilter(doorman.Numbered())
    caplog.set_level(logging.INFO, "app.doorman")
    own = client.get(at(names, "/calls/{code}/feed"), headers=bearer(names) | {"X-Request-Id": "nightly-2027.06-21~a"})
    assert own.headers["x-request-id"] == "nightly-2027.06-21~a"
    (line,) = caplog.records
    assert (line.__dict__["request"], line.getMessage()) == (
        "nightly-2027.06-21~a",
        f"GET /api/v1/calls/{names['code']}/feed 200",
    )
    assert db.scalar(select(Event.request_id).where(Event.name == "feed.read")) == "nightly-2027.06-21~a"
    refused = client.get("/api/v1/calls", headers={"X-Request-Id": "nightly-2"})
    assert refused.json()["request_id"] == refused.headers["x-request-id"] == "nightly-2"
    for unfit in ("short", "x" * 65, "with spaces in it", "line\u00e9\u00e9\u00e9", ""):
        answer = client.get("/api/v1/time", headers={b"X-Request-Id": unfit.encode("latin-1")})
        assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-request-id"])
    page = client.get("/calls", headers={"X-Request-Id": "nightly-2"})  # of people it is always ours
    assert page.headers["x-request-id"] != "nightly-2"


@pytest.mark.parametrize("code", sorted(problems.MEANINGS))
def test_every_problem_has_its_page_in_both_languages(client: TestClient, code: str) -> None:
    pages = []
    for language in ("nl", "en"):
        answer = client.get(f"{problems.PAGES}/{code}", headers={"Accept-Language": language})
        assert (answer.status_code, answer.headers["content-language"]) == (200, language)
        pages.append(re.findall(r"<main.*</main>", answer.text, re.DOTALL)[0])
    assert code in pages[0]
    assert pages[0] != pages[1]
    assert set(problems.TITLES) == set(problems.MEANINGS)


def test_a_problem_leads_to_its_page(client: TestClient) -> None:
    answer = client.get("/api/v1/calls")
    assert client.get(answer.json()["type"]).status_code == 200
    assert client.get("/api/v1/problems/nothing").status_code == 404


def test_without_a_key_the_rate_is_told_and_holds_over_all_processes(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = portal.now().replace(second=10, microsecond=0)
    monkeypatch.setattr(Portal, "now", lambda self: at)
    monkeypatch.setattr(usage, "LAG", 0.0)  # both processes look each time
    monkeypatch.setattr(usage, "PUBLIC", 6)
    processes = [TestClient(create_app(replace(portal, meter=usage.Meter()))) for _ in range(2)]
    answers = [processes[turn % 2].post("/api/v1/receipts/verify", json={}) for turn in range(8)]
    assert [answer.status_code for answer in answers] == [200] * 6 + [429] * 2
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"public";q=6;w=60'}
    left = [answer.headers["ratelimit"] for answer in answers]
    assert left == [f'"public";r={max(0, 5 - turn)};t=51' for turn in range(8)]
    assert (answers[-1].json()["code"], answers[-1].headers["retry-after"]) == ("throttled", "51")
    for process in processes:
        process.close()


def test_while_the_database_is_away_a_machine_is_told_to_come_back(portal: Portal) -> None:
    nowhere = database.engine("postgresql://nobody@127.0.0.1:9/none")
    away = replace(portal, sessions=database.sessions(nowhere))
    client = TestClient(create_app(away), raise_server_exceptions=False)
    answer = client.get("/api/v1/calls", headers={"Authorization": "Bearer eoi_x"})
    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "unavailable", "5")
    assert client.get("/api/v1/time").status_code == 200
    client.close()
    nowhere.dispose()


def test_a_body_that_no_machine_needs_is_not_read(client: TestClient, names: Names) -> None:
    def unannounced() -> Iterator[bytes]:
        for _ in range(32):
            yield b" " * 65536

    here = "/api/v1/receipts/verify"
    for path in (here, at(names, "/submissions/{ref}/deliveries")):
        told = {"Content-Length": "9" * 15}
        sent: list[tuple[Any, dict[str, str]]] = [
            (unannounced(), {}),
            (b"[" * (doorman.MAX_DOCUMENT + 1), {}),
            (b"", told),
        ]
        for content, more in sent:
            headers = {**bearer(names), "Content-Type": "application/json", **more}
            answer = client.post(path, content=content, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
            assert answer.headers["content-type"] == "application/problem+json"
    assert client.post(here, content=b"[" * 500_000).status_code in (400, 422)


@pytest.mark.parametrize(
    ("known", "current", "holds"),
    [
        ("*", '"a"', True),
        ('"a"', '"a"', True),
        ('W/"a"', '"a"', True),
        ('"a"', 'W/"a"', True),
        ('"b", W/"a"', 'W/"a"', True),
        ('"ab"', '"a"', False),
        ('"xa", "ax"', '"a"', False),
        ("a", '"a"', False),
        ("", "", False),
        ('"a, b"', '"a"', False),
    ],
)
def test_tags_are_compared_weakly_and_as_wholes(known: str, current: str, holds: bool) -> None:
    headers = Headers({"If-None-Match": known})
    assert manners.is_known(headers, current) is holds
