"""Who may enter: walked over all routes, so that a new one cannot be forgotten."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import participations
from app.domain.participations import Wish
from app.infra.signing import Signer
from app.models import Draft, Event, Membership, Participation, Submission
from tests import make

SignIn = Callable[..., str]
AGREED: dict[str, str] = json.loads((make.HERE / "routes.json").read_text())
CASE = [line for line in AGREED if " /apply/{ref}" in line]
HOUSE = [line for line in AGREED if "/organisations/{organisation_id}" in line]
RANKS = ("reviewer", "coordinator", "admin", "coordinator_anew", "admin_anew")
STAFF = [line for line, guard in AGREED.items() if guard in RANKS]
WORDS = {
    "{number}": "1",
    "{disclosure}": "1",
    "{step}": "summary",
    "{key_id}": "0" * 32,
    "{message_id}": "0" * 32,
    "{person_id}": "0" * 32,
    "{factor_id}": "0" * 32,
    "{name}": "none",
    "{appointment_id}": "0" * 32,
    "{interest_id}": "0" * 32,
    "{maintenance_id}": "0" * 32,
    "{participation_id}": "0" * 32,
    "{upload}": "0" * 32,
    "{view_id}": "0" * 32,
}

OF_A_CALL = ("/review/columns", "/review/views")


@pytest.fixture
def case(db: Session, portal: Portal) -> Submission:
    """A submitted case with a file, of the person who signs in by default."""
    submission, actor = make.submission(db)
    make.attach(db, portal.files, actor, submission)
    make.send(db, actor, submission, portal.signer)
    return submission


def words(db: Session, case: Submission, signer: Signer) -> dict[str, str]:
    """What stands in the braces of an address: names that exist, all of them this case's."""
    attachment = db.execute(text("select id, sha256 from attachment")).one()
    return WORDS | {
        "{ref}": case.reference,
        "{code}": case.call.code,
        "{attachment_id}": str(attachment.id),
        "{sha256}": attachment.sha256,
        "{attempt}": make.refused(db, make.person(db), case, signer),
        "{ticket}": "0KQ3V-9XM2T-7RWC",
        "{organisation_id}": str(case.organisation_id),
        "{membership_id}": str(
            db.scalars(select(Membership.id).where(Membership.organisation_id == case.organisation_id)).one()
        ),
    }


def ask(client: TestClient, line: str, filled: dict[str, str], token: str) -> int:
    """The status of a route of the table, asked for with a whole form where it takes one."""
    method, path = line.split(" ", 1)
    for brace, word in filled.items():
        path = path.replace(brace, word)
    form = {
        "csrf_token": token,
        "key": "k",
        "reason": "r",
        "revision": "1",
        "title": "Taken over",
        "answer": "decline",
        "email": "a@b.example",
    }
    sent: dict[str, Any] = (
        {"data": form | {"role": "owner", "name": "Taken", "country": "NL"}} if method == "POST" else {}
    )
    if method == "GET" and path in OF_A_CALL:
        sent["params"] = {"call": filled["{code}"]}
    return client.request(method, path, **sent).status_code


def told(db: Session) -> tuple[int, list[Any]]:
    """What a change would leave behind: lines of the audit trail about cases and organisations, and drafts."""
    events = db.scalars(select(Event.id).where(Event.name.not_like("person.%"))).all()
    return len(events), [d.answers for d in db.scalars(select(Draft).order_by(Draft.submission_id, Draft.step))]


def test_another_organisations_case_is_nowhere_for_a_stranger_with_a_case_of_their_own(
    client: TestClient, db: Session, sign_in: SignIn, case: Submission, signer: Signer
) -> None:
    make.submission(db, case.call, make.person(db, "stranger@else.example"))
    filled = words(db, case, signer)
    token = sign_in(client, "stranger@else.example")
    before = told(db)
    for spelt in (case.reference, case.reference.lower(), case.reference.replace("-", "")):
        asked = {line: ask(client, line, filled | {"{ref}": spelt}, token) for line in CASE}
        assert asked == dict.fromkeys(CASE, 404)
    assert len(CASE) >= 15
    assert told(db) == before


def test_the_same_addresses_answer_the_owner(
    client: TestClient, db: Session, sign_in: SignIn, case: Submission, signer: Signer
) -> None:
    filled, token = words(db, case, signer), sign_in(client)
    asked = {line: ask(client, line, filled, token) for line in CASE}
    # nothing is asked of an open call or to be disclosed, no letter was written, no interest offered, nobody invited, the
    # lead is no partner, acts for nobody else and need not confirm: their own tests do
    unasked = [
        line
        for line in CASE
        if re.search(
            "/(clarifications|disclosures|letters|interests|participants)/|/(partner|confirmation|intermediary)\\b",
            line,
        )
    ]
    missing = {"POST /apply/{ref}/answers": 422}  # it asks for a workbook
    assert {line: status for line, status in asked.items() if status not in (200, 303, 409)} == (
        dict.fromkeys(unasked, 404) | missing
    )


def test_a_partner_reaches_its_own_part_of_a_case_and_no_other_page_of_it(
    client: TestClient, db: Session, sign_in: SignIn, case: Submission, signer: Signer
) -> None:
    partner = make.person(db, "beta@partner.example")
    made = participations.invite(
        db, make.person(db), case, Wish(partner.email, "partner", "Delta", place=0), make.ISSUER
    )
    filled = words(db, case, signer) | {"{participation_id}": str(made.id)}
    db.execute(update(Participation).values(accepted_at=func.now()))
    token = sign_in(client, partner.email)
    asked = {line: ask(client, line, filled, token) for line in CASE}
    own = {line: 200 if line.startswith("GET") else 422 for line in CASE if "/partner" in line}
    assert len(own) == 5
    assert asked == dict.fromkeys(CASE, 404) | own


def test_another_organisation_is_nowhere_for_a_stranger(
    client: TestClient, db: Session, sign_in: SignIn, case: Submission, signer: Signer
) -> None:
    make.organisation(db, make.person(db, "stranger@else.example"))
    filled, token = words(db, case, signer), sign_in(client, "stranger@else.example")
    before = told(db)
    assert {line: ask(client, line, filled, token) for line in HOUSE} == dict.fromkeys(HOUSE, 404)
    assert told(db) == before


def test_pages_of_staff_are_nowhere_for_applicants_and_for_lower_roles(
    client: TestClient, db: Session, sign_in: SignIn, case: Submission, signer: Signer
) -> None:
    make.close(db, case.call)
    filled = words(db, case, signer)
    token = sign_in(client)
    assert {line: ask(client, line, filled, token) for line in STAFF} == dict.fromkeys(STAFF, 404)
    make.free(db, make.person(db, "reviewer@rvo.example", staff="reviewer"), case)
    token = sign_in(client, "reviewer@rvo.example")
    higher = [line for line in STAFF if AGREED[line] != "reviewer"]
    assert {line: ask(client, line, filled, token) for line in higher} == dict.fromkeys(higher, 404)
    taken = ("register.", "compare", "{name}.csv")  # exports, and what needs two dossiers: their own tests ask for them
    opened = [
        line
        for line in STAFF
        if AGREED[line] == "reviewer" and line.startswith("GET") and not any(word in line for word in taken)
    ]
    assert {line: ask(client, line, filled, token) for line in opened} == dict.fromkeys(opened, 200)


def test_without_signing_in_every_page_of_people_leads_to_the_door(
    client: TestClient, db: Session, case: Submission, signer: Signer
) -> None:
    filled = words(db, case, signer)
    shut = [line for line, guard in AGREED.items() if guard in ("applicant", "halfway", *RANKS)]
    doors = {line: ask(client, line, filled, "") for line in shut}
    assert doors == {line: 303 if line.startswith("GET") else 401 for line in shut}
