"""One block in a call file adds a question everywhere: nothing in Python, no template, no column of the database."""

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import callfile
from app.models import Call, Submission
from tests import make, paper

SignIn = Callable[..., str]
ABSTRACT = '      - {name: abstract, kind: long_text, label: {en: "Abstract", nl: "Samenvatting"}, max_length: 500}\n'
BLOCK = '      - {name: heat_share, kind: percent, label: {en: "Heat given away", nl: "Warmte afgegeven"}, hint: {en: "To homes.", nl: "Aan huizen."}}\n'
LABEL, TYPED, SHOWN = "Heat given away", "37.5", "37.5 %"


@pytest.fixture
def call(db: Session, tmp_path: Path) -> Call:
    """The small call with one block more, published like any other."""
    text = (make.HERE / "small.yaml").read_text()
    assert ABSTRACT in text
    (tmp_path / "call.yaml").write_text(text.replace(ABSTRACT, ABSTRACT + BLOCK))
    assert callfile.check(tmp_path / "call.yaml") == []
    return make.call(db, of=callfile.load(tmp_path / "call.yaml"))


@pytest.fixture
def sent(client: TestClient, db: Session, sign_in: SignIn, call: Call) -> Submission:
    """A case whose new question was answered in its form and submitted, by a person at the pages."""
    case, _ = make.submission(db, call)
    token = sign_in(client)
    form = make.ANSWERS["FC"]["summary"] | {"heat_share": TYPED, "csrf_token": token, "revision": "1"}
    assert client.post(f"/apply/{case.reference}/summary", data=form).status_code == 303
    assert client.post(f"/apply/{case.reference}/receipts", data={"csrf_token": token, "key": "k"}).status_code == 303
    return case


@pytest.fixture
def closed(client: TestClient, db: Session, sign_in: SignIn, call: Call, sent: Submission) -> Submission:
    """The same after the cutoff, a reviewer signed in."""
    make.close(db, call)
    make.free(db, make.person(db, "jo@rvo.example", staff="reviewer"), sent)
    sign_in(client, "jo@rvo.example")
    return sent


def words(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page).replace("\u00a0", " ").replace("&nbsp;", " "))


def test_the_blank_form_asks_it(client: TestClient, call: Call) -> None:
    for language, label, hint in (("en", LABEL, "To homes."), ("nl", "Warmte afgegeven", "Aan huizen.")):
        client.cookies.set("language", language)
        text = paper.words(client.get(f"/calls/{call.code}/form.pdf").content)
        assert (text.count(label), text.count(hint)) == (1, 1)


def test_the_form_asks_it_and_refuses_what_it_is_not(
    client: TestClient, sign_in: SignIn, db: Session, call: Call
) -> None:
    case, _ = make.submission(db, call)
    token = sign_in(client)
    here = f"/apply/{case.reference}/summary"
    page = client.get(here).text
    assert ('name="heat_share"' in page, words(page).count(LABEL), "To homes." in page) == (True, 1, True)
    answer = client.post(here, data={"csrf_token": token, "revision": "1", "heat_share": "101"})
    assert answer.status_code == 422
    assert "Give 100 or less." in answer.text


def test_applicants_see_it_before_and_after_they_submit(client: TestClient, sent: Submission) -> None:
    for path in ("check", "versions/1"):
        text = words(client.get(f"/apply/{sent.reference}/{path}").text)
        assert (text.count(LABEL), text.count(SHOWN)) == (1, 1), path
    assert client.get(f"/apply/{sent.reference}/versions/1.json").json()["answers"]["heat_share"] == TYPED


def test_reviewers_see_it_on_page_and_paper(client: TestClient, closed: Submission) -> None:
    page = words(client.get(f"/review/{closed.reference}").text)
    assert (page.count(LABEL), page.count(SHOWN)) == (1, 1)
    printed = paper.words(client.get(f"/review/{closed.reference}/dossier.pdf").content)
    assert (printed.count(LABEL), printed.count(SHOWN)) == (1, 1)


def test_spreadsheets_have_a_column_of_it(client: TestClient, call: Call, closed: Submission) -> None:
    lines = client.get(f"/review/register.csv?call={call.code}").content.decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(lines), delimiter=";")
    assert row[LABEL] == TYPED
    book = client.get(f"/review/register.xlsx?call={call.code}").content
    sheet: Any = openpyxl.load_workbook(io.BytesIO(book)).active
    heads, values = ([cell.value for cell in line] for line in sheet.iter_rows())
    assert dict(zip(heads, values, strict=True))[LABEL] == 37.5


def test_machines_get_it_with_its_schema(
    client: TestClient, db: Session, portal: Portal, call: Call, closed: Submission
) -> None:
    key = {"Authorization": f"Bearer {make.key(db, call)}"}
    schema = client.get(f"/api/v1/calls/{call.code}/schema.json", headers=key).json()
    assert schema["properties"]["heat_share"] == {
        "type": "string",
        "pattern": r"^-?[0-9]{1,18}(\.[0-9]{1,2})?$",
        "$comment": "at least 0, at most 100",
        "title": LABEL,
        "description": "To homes.",
    }
    document = client.get(f"/api/v1/submissions/{closed.reference}", headers=key).json()
    assert document["envelope"]["summary"]["answers"]["heat_share"] == TYPED
    line, _ = client.get(f"/api/v1/calls/{call.code}/export.ndjson", headers=key).text.splitlines()
    assert json.loads(line) == document


def test_every_answer_has_its_column_as_people_read_it(
    client: TestClient, db: Session, sign_in: SignIn, portal: Portal
) -> None:
    call = make.call(db)
    case, actor = make.submission(db, call)
    make.attach(db, portal.files, actor, case)
    make.send(db, actor, case, portal.signer)
    make.close(db, call)
    jo = make.person(db, "jo@rvo.example", staff="reviewer")
    sign_in(client, "jo@rvo.example")
    client.cookies.set("language", "nl")
    closed = client.get(f"/review/register.csv?call={call.code}").content.decode("utf-8-sig")
    assert ("Delta compute" in closed, "Compute by the sea" in closed) == (True, False)
    make.free(db, jo, case)
    lines = client.get(f"/review/register.csv?call={call.code}").content.decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(lines), delimiter=";")
    asked = {
        "Samenvatting": "Compute by the sea.",
        "E-mail contactpersoon": "lead@firm.example",
        "Publiek geld": "1400000000.00",
        "Begint op": "1 januari 2028",
        "Voorstel": "proposal.pdf",
        "Doorgeven aan EuroHPC": "Ja",
        "Vertrouwelijke onderdelen": "Financiën",
    }
    assert {label: row[label] for label in asked} == asked
    assert json.loads(row["Leden"]) == make.ANSWERS["FC"]["members"]["members"]
