"""A whole call at once: in one snapshot, resumed where it broke off, nothing held for a reader who went away."""

import asyncio
import csv
import io
import json
import zipfile
from collections.abc import MutableMapping
from typing import Any

import openpyxl
import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import calls, feed, keys, merkle, proofs, streams
from app.domain.access import SYSTEM
from app.infra import database
from app.infra.postgres import Cluster
from app.main import create_app
from app.models import Call, Event, Submission
from tests import make
from tests.test_cutoff import database_of, prepare, press_submit, publish, set_window

HEADINGS = ("envelope", "technical", "impact", "financial", "other")
FORMATS = ("ndjson", "json", "csv", "xlsx", "zip")


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def closed(db: Session, portal: Portal, monkeypatch: pytest.MonkeyPatch) -> Call:
    """A closed call of seven released submissions with files, read three at a time; and others that stay in."""
    monkeypatch.setattr(streams, "BATCH", 3)
    call = make.call(db)
    for place in range(7):
        person = make.person(db, f"p{place}@firm.example")
        case, actor = make.submission(db, call, person, title=f"Plan {place}", contact_email=person.email)
        make.attach(db, portal.files, actor, case)
        make.send(db, actor, case, portal.signer)
    withheld: list[tuple[str, dict[str, Any]]] = [("no", {"consent_eurohpc": False}), ("draft", {})]
    for name, more in withheld:
        person = make.person(db, f"{name}@firm.example")
        case, actor = make.submission(db, call, person, title="SECRET", contact_email=person.email, **more)
        if more:
            make.send(db, actor, case, portal.signer)
    make.close(db, call)
    make.number(db)
    return call


def taken(client: TestClient, call: Call, key: str, format: str = "ndjson", after: str = "") -> Any:
    query = f"?after={after}" if after else ""
    return client.get(f"/api/v1/calls/{call.code}/export.{format}{query}", headers=bearer(key))


def test_the_lines_are_the_documents_and_the_manifest_counts_them(
    client: TestClient, db: Session, closed: Call
) -> None:
    key = make.key(db, closed)
    *lines, last = taken(client, closed, key).text.splitlines()
    documents = [json.loads(line) for line in lines]
    single = [client.get(f"/api/v1/submissions/{one['reference']}", headers=bearer(key)).json() for one in documents]
    assert documents == single
    assert sorted(one["title"] for one in documents) == [f"Plan {n}" for n in range(7)]
    leaves = [streams.leaf(one["reference"], one["version"], one["payload_sha256"]) for one in documents]
    manifest = json.loads(last)
    assert manifest["whole"] == {"count": 7, "root": merkle.root(leaves)}
    assert (manifest["count"], manifest["after"]) == (7, None)
    assert manifest["cursor"] == str(feed.position(db, closed))
    assert feed.position(db, closed).number == 7
    whole = json.loads(taken(client, closed, key, "json").text)
    assert whole["submissions"] == documents
    assert {n: v for n, v in whole["manifest"].items() if n != "generated_at"} == {
        n: v for n, v in manifest.items() if n != "generated_at"
    }


def test_a_stream_that_broke_off_goes_on_behind_any_line(client: TestClient, db: Session, closed: Call) -> None:
    key = make.key(db, closed)
    *lines, last = taken(client, closed, key).content.splitlines(keepends=True)
    for place in range(1, 8):
        after = json.loads(lines[place - 1])["reference"]
        resumed = taken(client, closed, key, after=after)
        *rest, end = resumed.content.splitlines(keepends=True)
        assert lines[:place] + rest == lines
        said = json.loads(end)
        assert (said["after"], said["count"], said["whole"]) == (after, 7 - place, json.loads(last)["whole"])
        assert proofs.verify_export(resumed.content).outcome == "valid"
        assert json.loads(taken(client, closed, key, "json", after).text)["submissions"] == [
            json.loads(line) for line in rest
        ]
    assert taken(client, closed, key, after="nonsense").json()["code"] == "cursor_invalid"


def test_nothing_to_read_is_a_whole_export_too(client: TestClient, db: Session) -> None:
    call = make.call(db)
    make.close(db, call)
    key = make.key(db, call)
    (line,) = taken(client, call, key).text.splitlines()
    assert (json.loads(line)["count"], json.loads(line)["whole"]) == (0, {"count": 0, "root": merkle.EMPTY})
    assert json.loads(taken(client, call, key, "json").text)["submissions"] == []
    for format in ("csv", "xlsx", "zip"):
        assert taken(client, call, key, format).status_code == 200


@pytest.mark.parametrize("format", FORMATS)
def test_each_format_waits_for_the_cutoff_keeps_to_its_key_and_is_on_record(
    client: TestClient, db: Session, portal: Portal, closed: Call, format: str
) -> None:
    early = make.call(db)
    answer = taken(client, early, make.key(db, early), format)
    assert (answer.status_code, answer.json()["code"]) == (403, "call_not_closed")
    assert taken(client, closed, make.key(db, early), format).status_code == 404
    alone = "submissions:read" if format == "zip" else "attachments:read"
    assert taken(client, closed, make.key(db, closed, alone), format).json()["code"] == "insufficient_scope"
    answer = taken(client, closed, make.key(db, closed), format)
    assert answer.headers["content-disposition"] == f'attachment; filename="{closed.code}.{format}"'
    assert b"SECRET" not in answer.content
    made = db.scalars(select(Event).where(Event.name == "export.made", Event.api_key_id.is_not(None))).all()
    assert [(line.call_id, line.detail["format"]) for line in made] == [(closed.id, format)]


def test_a_zip_needs_the_scope_of_content_and_that_of_files(client: TestClient, db: Session, closed: Call) -> None:
    refused = taken(client, closed, make.key(db, closed, "attachments:read"), "zip")
    assert (refused.status_code, refused.json()["scope"]) == (403, "submissions:read")


def test_tables_hold_a_row_a_submission(client: TestClient, db: Session, closed: Call) -> None:
    key = make.key(db, closed)
    table = taken(client, closed, key, "csv").content.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(table), delimiter=";"))
    assert sorted(row["Title"] for row in rows) == [f"Plan {n}" for n in range(7)]
    documents = json.loads(taken(client, closed, key, "json").text)["submissions"]
    marks = [{name: said for name, said in row.items() if name.startswith("Confidential: ")} for row in rows]
    sections = ["Summary", "Members", "Finance", "Documents", "Declarations"]
    assert list(marks[0]) == [f"Confidential: {title}" for title in sections]
    for one, row in zip(documents, marks, strict=True):
        held = {s["title"]["en"]: s["confidential"] for heading in HEADINGS for s in one[heading].values()}
        assert {row[f"Confidential: {title}"] == "yes" for title, marked in held.items() if marked} == {True}
        assert {row[f"Confidential: {title}"] for title, marked in held.items() if not marked} == {"no"}
    book: Any = openpyxl.load_workbook(io.BytesIO(taken(client, closed, key, "xlsx").content)).active
    assert [[cell.value for cell in line][:2] for line in book.iter_rows()][1:] == [
        [row["Reference"], row["Title"]] for row in rows
    ]


def test_the_zip_holds_lines_files_and_manifest_and_is_the_same_each_time(
    client: TestClient, db: Session, portal: Portal, closed: Call
) -> None:
    key = make.key(db, closed)
    with zipfile.ZipFile(io.BytesIO(taken(client, closed, key, "zip").content)) as package:
        assert package.testzip() is None
        first, *names, last = package.namelist()
        documents = [json.loads(line) for line in package.read(first).splitlines()[:-1]]
        manifest = json.loads(package.read(last))
        assert {info.date_time for info in package.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert all(make.sha256(package.read(f["name"])) == f["sha256"] for f in manifest["files"])
    assert (first, last) == ("submissions.ndjson", "manifest.json")
    assert names == [f"{one['reference']}/v1/proposal__{one['files'][0]['name']}" for one in documents]
    assert [file["name"] for file in manifest["files"]] == names
    assert (manifest["count"], manifest["size"]) == (7, sum(one["files"][0]["size"] for one in documents))


@pytest.fixture
def committed(committed_portal: Portal, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Portal:
    """A sealed call of three released submissions where transactions commit, read one at a time."""
    monkeypatch.setattr(streams, "BATCH", 1)
    publish(committed_portal, cluster, code="one")
    for actor, reference in prepare(committed_portal, "one", 3):
        assert press_submit(committed_portal, actor, reference, "k") == "accepted"
    set_window(committed_portal, cluster, "one", 0)
    with committed_portal.sessions.begin() as db:
        make.seal(db, calls.by_code(db, "one"), committed_portal.signer)
    return committed_portal


@pytest.mark.committed
def test_what_changes_meanwhile_is_not_in_it_nor_in_its_manifest(committed: Portal) -> None:
    with committed.snapshots.begin() as own:
        call = calls.by_code(own, "one")
        before = str(feed.position(own, call))
        lines = streams.ndjson(own, SYSTEM, call)
        first = next(lines)
        with committed.sessions.begin() as other:
            for case in other.scalars(select(Submission)):
                make.take_back(other, case)
        rest = b"".join(lines).splitlines()
    manifest = json.loads(rest[-1])
    assert (manifest["count"], manifest["whole"]["count"], manifest["cursor"]) == (3, 3, before)
    assert len(first.splitlines() + rest[:-1]) == 3
    with committed.snapshots.begin() as own:
        assert json.loads(b"".join(streams.ndjson(own, SYSTEM, calls.by_code(own, "one"))))["count"] == 0


def open_transactions(committed: Portal, cluster: Cluster) -> int:
    engine = create_engine(database.sqlalchemy_url(cluster.superuser_url("postgres")))
    asked = text("select count(*) from pg_stat_activity where datname = :name and state like 'idle in transaction%'")
    with engine.connect() as other:
        found = other.execute(asked, {"name": database_of(committed)}).scalar_one()
    engine.dispose()
    return int(found)


@pytest.mark.committed
@pytest.mark.parametrize("way", ["disconnects", "breaks"])
def test_a_reader_who_goes_away_leaves_no_transaction_open(committed: Portal, cluster: Cluster, way: str) -> None:
    engine = database.engine(cluster.owner_url(database_of(committed)))
    with database.sessions(engine).begin() as db:
        key = keys.issue(db, SYSTEM, "EuroHPC", ["one"], ["submissions:read"])[1]
    engine.dispose()
    seen: list[int] = []
    app = create_app(committed)

    async def ask() -> None:
        gone = asyncio.Event()

        async def receive() -> MutableMapping[str, Any]:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.body" and message.get("body"):
                seen.append(await asyncio.to_thread(open_transactions, committed, cluster))
                if way == "breaks":
                    raise OSError("the connection is gone")
                gone.set()
                await asyncio.Event().wait()

        path = "/api/v1/calls/one/export.ndjson"
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"", "client": ("127.0.0.1", 1),
            "server": ("testserver", 80), "headers": [(b"host", b"testserver"), (b"authorization", f"Bearer {key}".encode())],
        }  # fmt: skip
        await app(scope, receive, send)

    try:
        asyncio.run(ask())
    except Exception as failure:
        assert way == "breaks", failure
    assert seen == [1]
    assert open_transactions(committed, cluster) == 0


def test_every_answer_names_the_version_a_refusal_too(client: TestClient, db: Session, closed: Call) -> None:
    described = client.get("/api/v1/openapi.json")
    version = described.json()["info"]["version"]
    assert version in described.json()["info"]["description"]
    answers = [
        described,
        client.get("/api/v1/nowhere"),
        client.get(f"/api/v1/calls/{closed.code}"),
        client.get("/api/v1/time"),
    ]
    assert [(answer.status_code, answer.headers["api-version"]) for answer in answers] == [
        (status, version) for status in (200, 404, 401, 200)
    ]
