"""The overview page: sealed until the seal, each picture with its table and the same CSV, nothing of a conflict in it."""

import csv
import io
import re
from collections.abc import Callable
from html import unescape

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app import demo
from app.deps import Portal
from app.domain import access, conflicts
from app.models import Call, Event, Submission
from tests import make, paper

SignIn = Callable[..., str]


@pytest.fixture
def call(db: Session, portal: Portal) -> Call:
    """The gigafactory call with every sample in it."""
    call = make.call(db, of=make.definition("aigf-eoi"))
    demo._fill(portal, db, call)
    return call


@pytest.fixture
def reading(client: TestClient, db: Session, sign_in: SignIn) -> str:
    """A reviewer who signed in."""
    make.person(db, "jo@rvo.example", staff="reviewer")
    return sign_in(client, "jo@rvo.example")


def tables(page: str) -> dict[str, list[list[str]]]:
    """The tables of a page that have a caption, by it; cells as text."""
    found = {}
    for whole in re.findall(r"<table.*?</table>", page, re.S):
        caption = re.search(r"<caption[^>]*>(.*?)</caption>", whole, re.S)
        rows = re.findall(r"<tr.*?</tr>", whole, re.S)
        if caption is None:
            continue
        found[unescape(caption[1].strip())] = [
            [unescape(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S)] for row in rows
        ]
    return found


def test_before_the_seal_there_is_only_when_it_opens(client: TestClient, db: Session, call: Call, reading: str) -> None:
    for closes_in in (60, 0):
        make.move_deadline(db, call, closes_in)
        page = client.get(f"/review/overview?call={call.code}").text
        assert "The overview opens at the seal" in page
        assert "<svg class" not in page
        assert "Rotterdam" not in page
        assert "CSV" not in page
        assert client.get(f"/review/overview/kind.csv?call={call.code}").status_code == 403
    assert db.scalar(select(Event).where(Event.name == "overview.read")) is None


def test_each_picture_has_its_table_and_the_csv_says_the_same(
    client: TestClient, db: Session, call: Call, reading: str
) -> None:
    make.close(db, call)
    page = client.get(f"/review/overview?call={call.code}").text
    shown = tables(page)
    links = re.findall(r'href="(/review/overview/[\w-]+\.csv\?call=[\w-]+)"', page)
    assert len(links) == len(shown) == page.count('<svg class="picture') == 11
    for link, (title, rows) in zip(links, shown.items(), strict=True):
        answer = client.get(link)
        assert answer.status_code == 200, link
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        lines = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig")), delimiter=";"))
        plain = [[cell if n == 0 else cell.replace(",", "") for n, cell in enumerate(row)] for row in rows[1:]]
        assert lines == [rows[0], *plain], title
    assert db.scalar(select(Event).where(Event.name == "overview.read")) is not None


def test_a_picture_that_is_not_there_is_not_found(client: TestClient, db: Session, call: Call, reading: str) -> None:
    make.close(db, call)
    for name in ("nothing", "%00", "a%2Fb", "lead_country"):
        assert client.get(f"/review/overview/{name}.csv?call={call.code}").status_code == 404
    for code in ("nothing", "%00", ""):
        assert client.get(f"/review/overview/kind.csv?call={code}").status_code == 404
    assert client.get("/review/overview?call=nothing").status_code == 404


def test_nobody_but_staff_sees_the_overview(client: TestClient, db: Session, call: Call, sign_in: SignIn) -> None:
    make.close(db, call)
    sign_in(client, "lead@firm.example")
    for path in ("/review/overview", "/review/overview/kind.csv"):
        assert client.get(f"{path}?call={call.code}").status_code == 404


def test_a_dossier_of_a_conflict_is_in_no_table_and_no_csv(
    client: TestClient, db: Session, call: Call, reading: str
) -> None:
    make.close(db, call)
    actor = make.person(db, "jo@rvo.example")
    case = next(
        s
        for s, v in db.execute(access.dossiers(actor).where(Submission.call_id == call.id))
        if v.facts["lead_country"] == "SE"
    )
    path = f"/review/overview?call={call.code}"
    assert ["Sweden", "1"] in tables(client.get(path).text)["By country of the lead"]
    conflicts.state(db, actor, case, "conflict", "My sister works there.")
    page = client.get(path).text
    assert "Sweden" not in page
    assert "<strong>11 dossiers</strong>" in page
    assert "Sweden" not in client.get(f"/review/overview/lead-country.csv?call={call.code}").text


def test_a_call_without_dossiers_says_so(client: TestClient, db: Session, reading: str) -> None:
    call = make.call(db)
    make.close(db, call)
    page = client.get(f"/review/overview?call={call.code}").text
    assert "There is nothing to show" in page
    assert "<svg class" not in page


def test_a_dossier_shows_its_pictures_with_tables_on_the_page_and_on_paper(
    client: TestClient, db: Session, call: Call, reading: str
) -> None:
    make.close(db, call)
    actor = make.person(db, "jo@rvo.example")
    case = next(s for s, v in db.execute(access.dossiers(actor)) if v.title == "Rotterdam AI Gigafactory")
    conflicts.state(db, actor, case, "none", "")
    page = client.get(f"/review/{case.reference}").text
    shown = tables(page)
    assert [name for name in shown if name in ("Owners of Delta Compute BV", "Finance", "Sites", "Milestones")] == [
        "Owners of Delta Compute BV", "Finance", "Sites", "Milestones",
    ]  # fmt: skip
    assert page.count('<svg class="picture') == 4
    assert "style=" not in page
    held = {row[0]: row[3] for row in shown["Owners of Delta Compute BV"]}
    assert held["North Sea Pension Fund"] == "43.6\u00a0%"
    words = paper.words(client.get(f"/review/{case.reference}/dossier.pdf").content)
    for line in ("In pictures", "Owners of Delta Compute BV", "43.6", "Europaweg 800", "Months after the first"):
        assert line in words, line


def test_a_dossier_with_nothing_to_draw_has_no_pictures(
    client: TestClient, db: Session, portal: Portal, reading: str
) -> None:
    case, _ = make.submission(db, kind="OO", sent=True, signer=portal.signer)
    make.close(db, case.call)
    actor = make.person(db, "jo@rvo.example")
    conflicts.state(db, actor, case, "none", "")
    page = client.get(f"/review/{case.reference}").text
    assert "In pictures" not in page
    assert client.get(f"/review/{case.reference}/dossier.pdf").status_code == 200
