"""Who acts for another organisation says so: it stands on the receipt of what they submit, in the dossier and in the export."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import intermediaries, proofs, verification
from app.domain.access import Actor
from app.domain.admissions import ParticipationOver
from app.domain.errors import CallClosed, NotFound, refusal_of
from app.domain.intermediaries import Stated
from app.domain.participations import Wish
from app.infra.signing import Signer
from app.models import Event, Participation, Submission
from tests import make, paper

SignIn = Callable[..., str]
ADVISER = "ad@viser.example"
SAID = {"organisation": "Adviser BV", "acts_for": "Delta BV", "mandate": "By letter of 1 May."}


@pytest.fixture
def case(db: Session) -> Submission:
    """A draft, of whoever signs in by default."""
    return make.submission(db)[0]


def invited(db: Session, case: Submission, role: str = "owner", **wish: Any) -> Actor:
    return make.takes_part(db, make.person(db), case, Wish(ADVISER, role, **wish))


def test_an_intermediary_says_for_whom_they_act_and_it_stands_wherever_what_they_submit_is_read(
    client: TestClient, db: Session, portal: Portal, sign_in: SignIn, case: Submission
) -> None:
    invited(db, case)
    kept = make.attach(db, portal.files, make.person(db), case)
    token, here = sign_in(client, ADVISER), f"/apply/{case.reference}"
    assert f"{here}/intermediary" in client.get(f"{here}/participants").text
    page = client.get(f"{here}/intermediary").text
    assert f'value="{case.organisation.name}"' in page  # unless it is for another one
    form = {"csrf_token": token, **SAID, "document": kept.sha256}
    assert client.post(f"{here}/intermediary", data=form).headers["location"] == f"{here}/participants"
    assert "Delta BV" in client.get(f"{here}/participants").text
    assert client.post(f"{here}/receipts", data={"csrf_token": token, "key": "k"}).status_code == 303
    signed = client.get(f"{here}/receipts/1.json")
    document = {"name": kept.name, "sha256": kept.sha256}
    assert signed.json()["statement"]["intermediary"] == {**SAID, "document": document}
    jwks = json.dumps(portal.signer.jwks()).encode()
    assert proofs.judge(signed.content, jwks, None).outcome == "valid"
    shown = " ".join(client.get(f"{here}/receipts/1").text.split())
    printed = paper.words(client.get(f"{here}/receipts/1.pdf").content)
    for words in (*SAID.values(), kept.name):
        assert (words in shown, words in printed) == (True, True), words
    assert verification.run(db) == []
    make.close(db, case.call)
    key = {"Authorization": f"Bearer {make.key(db, case.call)}"}
    one = client.get(f"/api/v1/submissions/{case.reference}", headers=key).json()
    lines = client.get(f"/api/v1/calls/{case.call.code}/export.ndjson", headers=key).text.splitlines()
    assert one["intermediary"] == json.loads(lines[0])["intermediary"] == {**SAID, "document": document}
    make.free(db, make.person(db, "jo@rvo.example", staff="reviewer"), case)
    sign_in(client, "jo@rvo.example")
    dossier = client.get(f"/review/{case.reference}").text
    assert f"Document of the mandate: {kept.name}" in dossier
    assert "Acts for Delta BV" in dossier


def test_of_everybody_else_a_receipt_and_an_export_say_nothing_of_it(
    client: TestClient, db: Session, signer: Signer, case: Submission
) -> None:
    version = make.send(db, make.person(db), case, signer)
    assert "intermediary" not in version.receipt.body
    helper = invited(db, case)  # invited, and for nobody else
    make.fill_more(db, helper, case, "summary", {"title": "Another title"})
    assert "intermediary" not in make.send(db, helper, case, signer).receipt.body
    make.close(db, case.call)
    key = {"Authorization": f"Bearer {make.key(db, case.call)}"}
    lines = client.get(f"/api/v1/calls/{case.call.code}/export.ndjson", headers=key).text.splitlines()
    assert client.get(f"/api/v1/submissions/{case.reference}", headers=key).json()["intermediary"] is None
    assert json.loads(lines[0])["intermediary"] is None


def test_what_the_lead_noted_at_the_invitation_counts_until_they_say_it_themselves(
    db: Session, portal: Portal, case: Submission
) -> None:
    adviser = invited(db, case, organisation="Adviser BV", mandate="By mail.")
    said = intermediaries.of_submitter(db, adviser, case, [])
    leads = case.organisation.name
    assert said == {"organisation": "Adviser BV", "acts_for": leads, "mandate": "By mail.", "document": None}
    kept = make.attach(db, portal.files, make.person(db), case)
    files = [{"sha256": kept.sha256, "name": kept.name}]
    intermediaries.state(db, adviser, case, Stated("Adviser BV", "Delta BV", "", kept.sha256), files)
    gone = intermediaries.of_submitter(db, adviser, case, [])  # the file was taken off the draft since
    assert gone == {"organisation": "Adviser BV", "acts_for": "Delta BV", "mandate": "", "document": None}
    told = select(Event.name).where(Event.name == "intermediary.stated")
    intermediaries.state(db, adviser, case, Stated("Adviser BV", "Delta BV", "", kept.sha256), files)
    assert len(db.scalars(told).all()) == 1  # the same once more changes nothing


@pytest.mark.parametrize("missing", ["organisation", "acts_for", "mandate"])
def test_what_is_missing_is_said_and_nothing_typed_is_lost(
    client: TestClient, db: Session, sign_in: SignIn, case: Submission, missing: str
) -> None:
    invited(db, case)
    token = sign_in(client, ADVISER)
    form = {"csrf_token": token, **SAID, missing: " "}
    answer = client.post(f"/apply/{case.reference}/intermediary", data=form)
    assert (answer.status_code, f'id="{missing}-error"' in answer.text) == (422, True)
    for name, words in SAID.items():
        assert (words in answer.text) == (name != missing), name
    wrong = client.post(f"/apply/{case.reference}/intermediary", data={**form, **SAID, "document": "0" * 64})
    assert (wrong.status_code, 'id="document-error"' in wrong.text) == (422, True)
    assert db.scalars(select(Participation.acts_for)).all() == [""]


def test_only_whoever_was_invited_to_fill_in_or_submit_speaks_of_themselves(
    client: TestClient, db: Session, sign_in: SignIn, case: Submission
) -> None:
    here = f"/apply/{case.reference}/intermediary"
    token = sign_in(client)
    assert client.get(here).status_code == 404  # of the leading organisation itself
    assert client.post(here, data={"csrf_token": token, **SAID}).status_code == 404
    viewer = invited(db, case, "viewer")
    with pytest.raises(NotFound):
        intermediaries.part_of(db, viewer, case)


STATE = "update participation set acts_for = 'Zeta' where person_id = :person"


def refuses(db: Session, statement: str, actor: Actor) -> type[Exception] | None:
    nested = db.begin_nested()
    try:
        db.execute(text(statement), {"person": actor.person_id})
    except DBAPIError as failure:
        found = refusal_of(failure)
        return type(found) if found else None
    finally:
        nested.rollback()
    return None


def test_the_database_keeps_what_was_said_as_it_was_at_the_cutoff(
    client: TestClient, db: Session, sign_in: SignIn, case: Submission
) -> None:
    adviser = invited(db, case)
    viewer = make.takes_part(db, make.person(db), case, Wish("v@else.example", "viewer"))
    assert refuses(db, STATE, adviser) is None
    assert refuses(db, STATE, viewer) is ParticipationOver
    make.move_deadline(db, case.call, 0)
    assert refuses(db, STATE, adviser) is CallClosed
    token = sign_in(client, ADVISER)
    answer: Any = client.post(f"/apply/{case.reference}/intermediary", data={"csrf_token": token, **SAID})
    assert (answer.status_code, "By letter of 1 May." in answer.text) == (409, True)


@pytest.mark.parametrize("role", ["viewer", "partner"])
def test_somebody_of_the_organisation_who_was_invited_too_submits_as_one_of_its_own(
    db: Session, signer: Signer, case: Submission, role: str
) -> None:
    lead = make.takes_part(db, make.person(db), case, Wish("lead@firm.example", role, organisation="Firm BV"))
    assert [seat.submission_id for seat in lead.seats] == [case.id]
    assert "intermediary" not in make.send(db, lead, case, signer).receipt.body
