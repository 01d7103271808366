"""The API for EuroHPC: sealed before the cutoff, then only what was submitted, consented to and not withdrawn."""

import csv
import hashlib
import io
import json
from typing import Any

import jsonschema
import openpyxl
import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import calls, keys, register, schema, spreadsheets, withdrawals
from app.domain.access import SYSTEM, Actor
from app.models import Call
from tests import make


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def closed(db: Session, portal: Portal) -> Call:
    """A closed call: one to export, one without consent, one withdrawn, one draft; each with its secret."""
    call = make.call(db)
    make.submission(
        db,
        call,
        make.person(db, "a@a.example"),
        sent=True,
        signer=portal.signer,
        title="=Exported",
        contact_email="a@a.example",
    )
    make.submission(
        db,
        call,
        make.person(db, "b@b.example"),
        sent=True,
        signer=portal.signer,
        title="SECRET no consent",
        contact_email="b@b.example",
        consent_eurohpc=False,
    )
    case, actor = make.submission(
        db,
        call,
        make.person(db, "c@c.example"),
        sent=True,
        signer=portal.signer,
        title="SECRET withdrawn",
        contact_email="c@c.example",
    )
    withdrawals.withdraw(db, actor, case, "reason", make.ISSUER)
    make.submission(db, call, make.person(db, "d@d.example"), title="SECRET draft", contact_email="d@d.example")
    make.close(db, call)
    return call


def test_before_the_cutoff_content_answers_403_with_the_release_time(
    client: TestClient, db: Session, portal: Portal
) -> None:
    call = make.call(db)
    case, _ = make.submission(db, call, sent=True, signer=portal.signer, title="SECRET early")
    key = bearer(make.key(db, call))
    for path in (
        f"/calls/{call.code}/submissions",
        f"/submissions/{case.reference}",
        f"/submissions/{case.reference}/versions/1",
        f"/calls/{call.code}/export.ndjson",
    ):
        answer = client.get(f"/api/v1{path}", headers=key)
        assert (answer.status_code, answer.json()["code"]) == (403, "call_not_closed"), path
        assert answer.json()["releases_at"]
        left = (call.closes_at - calls.clock(db)).total_seconds()
        assert left - 1 <= int(answer.headers["retry-after"]) <= left + 60
        assert answer.headers["content-type"] == "application/problem+json"
        assert "SECRET" not in answer.text
    assert client.get(f"/api/v1/calls/{call.code}", headers=key).json()["counts"]["submitted"] == {"FC": 1}


def test_after_it_only_what_was_consented_to_and_stands_is_there(client: TestClient, db: Session, closed: Call) -> None:
    key = bearer(make.key(db, closed))
    items = client.get(f"/api/v1/calls/{closed.code}/submissions", headers=key).json()["items"]
    assert [item["title"] for item in items] == ["=Exported"]
    export = client.get(f"/api/v1/calls/{closed.code}/export.ndjson", headers=key)
    assert "SECRET" not in export.text
    *lines, manifest = export.content.splitlines(keepends=True)
    assert json.loads(manifest)["count"] == len(lines) == 1
    assert json.loads(manifest)["sha256"] == hashlib.sha256(b"".join(lines)).hexdigest()
    hidden = db.execute(
        text(
            "select s.reference from submission s join version v on v.submission_id = s.id where v.title like 'SECRET%'"
        )
    )
    for reference in hidden.scalars():
        assert client.get(f"/api/v1/submissions/{reference}", headers=key).status_code == 404


def test_a_document_fits_the_schema_and_its_etag_spares_the_next_read(
    client: TestClient, db: Session, closed: Call
) -> None:
    key = bearer(make.key(db, closed))
    url = client.get(f"/api/v1/calls/{closed.code}/submissions", headers=key).json()["items"][0]["url"]
    answer = client.get(url, headers=key)
    document = answer.json()
    answers = {
        n: v
        for h in ("envelope", "technical", "impact", "financial")
        for s in document[h].values()
        for n, v in s["answers"].items()
    }
    jsonschema.validate(answers, schema.json_schema(calls.questions(closed), "FC"))
    assert document["financial"]["finance"]["confidential"] is True
    assert client.get(url, headers=key | {"If-None-Match": answer.headers["etag"]}).status_code == 304
    reads = db.execute(
        text("select count(*) from event where name = 'dossier.read' and api_key_id is not null")
    ).scalar_one()
    assert reads == 2


def test_a_key_is_good_for_its_calls_scopes_and_time_only(client: TestClient, db: Session, closed: Call) -> None:
    other = make.call(db)
    url = f"/api/v1/calls/{closed.code}/submissions"
    assert client.get(url).status_code == 401
    assert client.get(url, headers=bearer("eoi_nonsense")).status_code == 401
    assert client.get(url, headers=bearer(make.key(db, other))).status_code == 404
    assert client.get(url, headers=bearer(make.key(db, closed, "attachments:read"))).status_code == 403
    issued, key = make.issued(db, [closed.code], "submissions:read")
    assert client.get(url, headers=bearer(key)).status_code == 200
    keys.revoke(db, SYSTEM, issued.id)
    db.flush()
    assert client.get(url, headers=bearer(key)).status_code == 401


def test_a_file_comes_whole_in_ranges_and_only_with_its_dossier(
    client: TestClient, db: Session, portal: Portal
) -> None:
    call = make.call(db)
    case, actor = make.submission(db, call)
    attachment = make.attach(db, portal.files, actor, case)
    make.send(db, actor, case, portal.signer)
    other, _ = make.submission(
        db, call, make.person(db, "z@z.example"), sent=True, signer=portal.signer, contact_email="z@z.example"
    )
    make.close(db, call)
    key = bearer(make.key(db, call))
    here = f"/api/v1/submissions/{case.reference}/attachments/{attachment.sha256}"
    assert client.get(here, headers=key).content == make.document()
    part = client.get(here, headers=key | {"Range": "bytes=0-4"})
    assert (part.status_code, part.content) == (206, b"%PDF-")
    elsewhere = f"/api/v1/submissions/{other.reference}/attachments/{attachment.sha256}"
    assert client.get(elsewhere, headers=key).status_code == 404


def test_spreadsheets_never_run_a_cell(db: Session, closed: Call) -> None:
    staff = Actor(kind="person", staff_role="reviewer")
    query = register.Query(sort="reference", descending=False)
    lines = b"".join(spreadsheets.csv_lines(db, staff, closed, query, "en")).decode("utf-8-sig")
    titles = [row[1] for row in csv.reader(io.StringIO(lines), delimiter=";")]
    assert "'=Exported" in titles
    out = io.BytesIO()
    spreadsheets.xlsx(db, staff, closed, query, "en", out)
    sheet: Any = openpyxl.load_workbook(io.BytesIO(out.getvalue())).active
    cells = [cell for row in sheet.iter_rows() for cell in row]
    assert {c.data_type for c in cells if c.value == "=Exported"} == {"s"}
    assert {c.data_type for c in cells} <= {"s", "n"}


def test_the_register_reads_as_often_for_three_rows_as_for_one(db: Session, portal: Portal) -> None:
    call = make.call(db)
    staff = Actor(kind="person", staff_role="reviewer")
    for i in range(3):
        email = f"r{i}@r.example"
        make.submission(
            db, call, make.person(db, email), sent=True, signer=portal.signer, contact_email=email, title="Same title"
        )
    make.close(db, call)
    seen: list[str] = []
    after = None
    for _ in range(3):
        page = register.page(db, staff, call, register.Query(sort="title"), 1, after)
        seen += [row["reference"] for row in page.rows]
        after = page.after
    assert (len(set(seen)), after) == (3, None)


def test_the_openapi_description_is_the_one_agreed(client: TestClient) -> None:
    described = client.get("/api/v1/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    agreed = json.loads((make.HERE / "openapi.json").read_text())
    assert described == agreed
