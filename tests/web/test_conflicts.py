"""The gate before a dossier: nothing opens before a statement, and a conflict hides all of it."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.domain import assignments, conflicts
from app.domain.errors import CallNotClosed
from app.infra.signing import Signer
from app.models import Conflict, Event, Person, Submission
from tests import make

SignIn = Callable[..., str]


@pytest.fixture
def closed(db: Session, signer: Signer) -> Submission:
    """A submitted case of a sealed call."""
    case, _ = make.submission(db, sent=True, signer=signer)
    make.close(db, case.call)
    return case


@pytest.fixture
def token(client: TestClient, db: Session, sign_in: SignIn) -> str:
    """A reviewer signed in."""
    make.person(db, "jo@rvo.example", staff="reviewer")
    return sign_in(client, "jo@rvo.example")


def say(client: TestClient, case: Submission, token: str, **form: Any) -> int:
    return client.post(f"/review/{case.reference}/conflicts", data={"csrf_token": token, **form}).status_code


def test_a_dossier_opens_only_after_a_statement(
    client: TestClient, db: Session, closed: Submission, token: str
) -> None:
    here = f"/review/{closed.reference}"
    for path in (here, f"{here}?version=1", f"{here}/dossier.pdf"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, f"{here}/conflict"), path
    assert db.scalar(select(func.count()).select_from(Event).where(Event.name == "dossier.read")) == 0
    gate = client.get(f"{here}/conflict")
    assert ("Delta compute" in gate.text, "Compute by the sea" in gate.text) == (True, False)
    assert say(client, closed, token, level="none", next=f"{here}?version=1") == 303
    assert "Compute by the sea" in client.get(here).text


def test_the_gate_names_who_takes_part_with_their_owners_but_not_after_a_conflict(
    client: TestClient, db: Session, signer: Signer, token: str
) -> None:
    """Whoever is asked for an interest in those who take part reads who they are, before the dossier opens."""
    owners = [{"name": "Jansen Holding", "share": "60"}, {"name": "Alpha BV", "share": "1"}]
    members = [
        {"legal_name": "Alpha BV", "country": "NL", "owners": owners},
        {"legal_name": "Beta NV", "country": "BE", "owners": owners[:1]},
    ]
    case, _ = make.submission(db, sent=True, signer=signer, members=members)
    make.close(db, case.call)
    coordinator = make.person(db, "co@rvo.example", staff="coordinator")
    jo = db.scalars(select(Person.id).where(Person.email == "jo@rvo.example")).one()
    assignments.assign(db, coordinator, case, "first", jo, None, "", make.ISSUER)
    names = ("Alpha BV", "Beta NV", "Jansen Holding")
    picked = f"/review/conflicts/none?reference={case.reference}"
    for path in (f"/review/{case.reference}/conflict", picked, picked.partition("?")[0]):
        page = client.get(path).text
        assert {name: page.count(name) for name in names} == dict.fromkeys(names, 1), path
    read = db.scalars(select(Event.submission_id).where(Event.name == "parties.read")).all()
    assert read == [case.id] * 3
    assert say(client, case, token, level="conflict", reason="My sister works there.") == 303
    gone = [client.get(path).text for path in (f"/review/{case.reference}/conflict", picked)]
    assert [name for page in gone for name in names if name in page] == []
    assert len(db.scalars(select(Event.id).where(Event.name == "parties.read")).all()) == 3


def test_a_conflict_hides_the_dossier_everywhere(
    client: TestClient, db: Session, closed: Submission, token: str
) -> None:
    register = f"/review?call={closed.call.code}"
    assert "Delta compute" in client.get(register).text
    assert say(client, closed, token, level="conflict", reason="My sister works there.") == 303
    here = f"/review/{closed.reference}"
    assert [client.get(f"{here}{path}").status_code for path in ("", "?version=1", "/dossier.pdf")] == [404] * 3
    gone = {
        path: client.get(path)
        for path in (register, f"{register}&search=compute", f"{here}/conflict", "/review/conflicts")
    }
    gone |= {
        path: client.get(path)
        for path in (f"/review/register.{kind}?call={closed.call.code}" for kind in ("csv", "xlsx"))
    }
    assert {path: "Delta" in page.text for path, page in gone.items()} == dict.fromkeys(gone, False)
    assert "0 dossiers" in gone[register].text
    assert say(client, closed, token, level="none", reason="It was another firm.") == 303
    assert client.get(here).status_code == 200
    stated = db.scalars(select(Conflict.level).order_by(Conflict.stated_at)).all()
    assert stated == ["conflict", "none"]


def test_a_conflict_needs_a_reason_and_a_level_that_exists(
    client: TestClient, db: Session, closed: Submission, token: str
) -> None:
    assert say(client, closed, token, level="conflict", reason="  ") == 422
    assert say(client, closed, token, level="possible") == 422
    assert say(client, closed, token, level="\x00") == 422
    assert say(client, closed, token) == 422
    assert db.scalar(select(func.count()).select_from(Conflict)) == 0


def test_the_gate_of_an_open_call_and_of_a_mere_draft_is_shut(
    client: TestClient, db: Session, signer: Signer, token: str
) -> None:
    case, actor = make.submission(db, sent=True, signer=signer)
    draft, _ = make.submission(db, case.call, make.person(db, "two@firm.example"))
    assert client.get(f"/review/{case.reference}/conflict").status_code == 403
    assert say(client, case, token, level="none") == 403
    make.close(db, case.call)
    assert client.get(f"/review/{draft.reference}/conflict").status_code == 404
    assert say(client, draft, token, level="none") == 404
    with pytest.raises(CallNotClosed):
        conflicts.load(db, make.submission(db, actor=actor, sent=True, signer=signer)[0].reference)


def test_a_statement_is_never_erased_nor_rewritten(db: Session, closed: Submission) -> None:
    reviewer = make.person(db, "jo@rvo.example", staff="reviewer")
    made = conflicts.state(db, reviewer, closed, "possible", "I own ten shares.")
    for attack in ("delete from conflict", "update conflict set level = 'none'"):
        with pytest.raises(DBAPIError, match="permission denied"), db.begin_nested():
            db.execute(text(attack))
    conflicts.state(db, reviewer, closed, "none", "Sold.")
    with pytest.raises(DBAPIError, match="statement_is_kept"), db.begin_nested():
        db.execute(update(Conflict).where(Conflict.id == made.id).values(replaced_at=None))
