"""The register as a person uses it: columns, excerpts, exports, views and comparison, each behind the gate."""

import csv
import io
import re
from collections.abc import Callable

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.domain import register
from app.infra.signing import Signer
from app.models import Event, Submission, View
from tests import make, paper

SignIn = Callable[..., str]


@pytest.fixture
def cases(db: Session, signer: Signer) -> list[Submission]:
    """Two submissions of a sealed call."""
    call, made = make.call(db), []
    for name in ("Alpha", "Beta"):
        email = f"{name.lower()}@firm.example"
        actor = make.person(db, email)
        members = [{"legal_name": f"{name} BV", "country": "NL", "owners": []}]
        case, _ = make.submission(
            db, call, actor, sent=True, signer=signer, title=f"Plan {name}", abstract=f"Heat from {name} <b>", contact_email=email, members=members
        )  # fmt: skip
        made.append(case)
    make.close(db, call)
    return made


@pytest.fixture
def token(client: TestClient, db: Session, sign_in: SignIn, cases: list[Submission]) -> str:
    """A reviewer signed in who may open the first dossier."""
    make.free(db, make.person(db, "jo@rvo.example", staff="reviewer"), cases[0])
    return sign_in(client, "jo@rvo.example")


def test_an_answer_stands_in_its_column_where_the_gate_was_passed(
    client: TestClient, token: str, cases: list[Submission]
) -> None:
    asked = f"call={cases[0].call.code}&column=title&column=answer.abstract"
    page = client.get(f"/review?{asked}").text
    assert ("Heat from Alpha &lt;b&gt;" in page, "Heat from Beta" in page, "Plan Beta" in page) == (True, False, True)
    assert "<b>" not in page
    lines = client.get(f"/review/register.csv?{asked}&sort=title&order=asc").content.decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(lines), delimiter=";"))
    assert rows == [
        ["Reference", "Title", "Abstract"],
        [cases[0].reference, "Plan Alpha", "Heat from Alpha <b>"],
        [cases[1].reference, "Plan Beta", ""],
    ]


def test_a_search_shows_where_the_words_stand_where_the_gate_was_passed(
    client: TestClient, token: str, cases: list[Submission]
) -> None:
    page = client.get(f"/review?call={cases[0].call.code}&search=heat").text
    assert page.count("<mark>Heat</mark>") == 1
    assert ("from Alpha" in page, "from Beta" in page) == (True, False)
    assert (cases[0].reference in page, cases[1].reference in page) == (True, True)


def test_a_dossier_is_asked_no_more_than_there_is(
    client: TestClient, db: Session, token: str, cases: list[Submission]
) -> None:
    case = cases[0]
    client.get(f"/review/{case.reference}")  # what never changes is read once a process
    with make.counted(db) as plain:
        assert client.get(f"/review/{case.reference}").status_code == 200
    # who asks, the dossier, its line on record, what surrounds it, what became of it; and the test's own savepoint
    assert plain.number == 5 + 2


def test_what_is_taken_away_is_what_is_shown_and_on_record(
    client: TestClient, db: Session, token: str, cases: list[Submission]
) -> None:
    asked = f"call={cases[0].call.code}&search=Alpha&column=title"
    lines = client.get(f"/review/register.csv?{asked}").content.decode("utf-8-sig").splitlines()
    assert [line.count(";") for line in lines] == [1, 1]
    printed = paper.words(client.get(f"/review/register.pdf?{asked}").content)
    assert ("Plan Alpha" in printed, "Plan Beta" in printed, "Search: Alpha" in printed) == (True, False, True)
    details = db.scalars(select(Event.detail).where(Event.name == "export.made").order_by(Event.id)).all()
    assert [(one["format"], one["query"]) for one in details] == [
        ("csv", "search=Alpha&column=reference&column=title&sort=received_at&order=desc"),
        ("pdf", "search=Alpha&column=reference&column=title&sort=received_at&order=desc"),
    ]


def test_paper_is_given_whatever_was_typed(client: TestClient, token: str, cases: list[Submission]) -> None:
    for typed in ("\x1f", "中文 💥", "#import "):
        answer = client.get("/review/register.pdf", params={"call": cases[0].call.code, "search": typed})
        assert (answer.status_code, answer.content[:5]) == (200, b"%PDF-"), typed


def test_a_list_too_long_for_paper_is_refused(
    client: TestClient, token: str, cases: list[Submission], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register, "LIMIT", 1)
    answer = client.get(f"/review/register.pdf?call={cases[0].call.code}")
    assert (answer.status_code, "at most 1 rows" in answer.text) == (422, True)


def test_two_dossiers_are_compared_past_their_gates(
    client: TestClient, db: Session, token: str, cases: list[Submission]
) -> None:
    first, second = cases
    here = f"/review/compare?ref={first.reference}&ref={second.reference}"
    shut = client.get(here)
    assert (shut.status_code, shut.headers["location"].partition("?")[0]) == (
        303,
        f"/review/{second.reference}/conflict",
    )
    reads = select(func.count()).select_from(Event).where(Event.name == "dossier.read")
    assert db.scalar(reads) == 0
    make.free(db, make.person(db, "jo@rvo.example"), second)
    page = client.get(here).text
    rows = {found[0]: found[1] for found in re.findall(r'<th scope="row"[^>]*>([^<]+?) ?(<strong|</th>)', page)}
    assert (rows["Title"], rows["Abstract"], rows["CAPEX"]) == ("<strong", "<strong", "</th>")
    assert "Heat from Alpha &lt;b&gt;" in page
    assert db.scalar(reads) == 2
    for wrong in ("", f"?ref={first.reference}", f"?ref={first.reference}&ref={first.reference}", "?" + "ref=x&" * 5):
        assert client.get(f"/review/compare{wrong}").status_code == 422, wrong
    assert client.get(f"/review/compare?ref={first.reference}&ref=0KQ3V-9XM2T-7RWC").status_code == 404


def test_a_view_is_saved_shared_renamed_and_deleted(
    client: TestClient, db: Session, sign_in: SignIn, token: str, cases: list[Submission]
) -> None:
    code = cases[0].call.code
    form = {
        "csrf_token": token,
        "call": code,
        "name": "Firms",
        "query": "call=other&kind=FC&sort=title",
        "is_shared": "yes",
    }
    saved = client.post("/review/views", data=form)
    assert (saved.status_code, saved.headers["location"]) == (303, f"/review?call={code}&kind=FC&sort=title")
    assert client.post("/review/views", data=form).status_code == 409
    view = db.scalars(select(View)).one()
    make.person(db, "kim@rvo.example", staff="reviewer")
    theirs = sign_in(client, "kim@rvo.example")
    assert f"/review?call={code}&amp;kind=FC&amp;sort=title" in client.get(f"/review?call={code}").text
    for path in (f"/review/views/{view.id}", f"/review/views/{view.id}/removal"):
        assert client.post(path, data={"csrf_token": theirs, "name": "Mine"}).status_code == 404
    token = sign_in(client, "jo@rvo.example")
    assert client.post(f"/review/views/{view.id}", data={"csrf_token": token, "name": "All firms"}).status_code == 303
    assert "All firms" in client.get(f"/review/views?call={code}").text
    assert client.post(f"/review/views/{view.id}/removal", data={"csrf_token": token}).status_code == 303
    assert db.scalars(select(View)).all() == []


def test_the_page_is_walked_without_a_mouse(client: TestClient, token: str, cases: list[Submission]) -> None:
    page = client.get(f"/review?call={cases[0].call.code}").text
    assert re.findall(r'tabindex="([1-9]\d*)"', page) == []
    assert ('href="#results"' in page, 'id="results" tabindex="-1"' in page) == (True, True)
    assert page.count('<th scope="row"') == 2
