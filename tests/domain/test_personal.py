"""All data on a person: nothing that refers to them is forgotten, and erasure leaves their address nowhere it must not be."""

import json
from collections.abc import Callable

import pytest
from sqlalchemy import Text, cast, func, select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.domain import erasure, personal
from app.domain.access import SYSTEM
from app.infra.signing import Signer
from app.models import Base, Event
from tests import make

SignIn = Callable[..., str]
# Where an address stays after an erasure, and why.
KEPT = {
    ("receipt", "body"): "signed evidence",
    ("version", "answers"): "what the organisation submitted; retention ends it",
    ("draft", "answers"): "as above",
    ("judgement", "answers"): "as above",
    ("judgement", "opening"): "as above",
    ("judgement", "contact"): "as above: the contact that the organisation named",
    ("judgement", "found"): "as above",
    ("refusal", "body"): "signed evidence",
}


def test_every_column_that_refers_to_a_person_is_exported_or_listed_with_a_reason() -> None:
    walked = {
        (table.name, column.name)
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if any(key.column.table.name == "person" for key in column.foreign_keys)
    }
    told = {(table.name, column.name) for table, column in personal.columns()}
    assert len(walked) > 25
    assert walked - told == set()


def test_every_row_that_hangs_on_a_seat_is_exported_with_whose_seat_it_is() -> None:
    by_seat = {
        (table.name, column.name)
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if any(key.column.table.name == "assignment" for key in column.foreign_keys)
    }
    assert by_seat == set(personal.THROUGH)


def test_a_reader_gets_what_they_wrote_and_stated_and_nothing_of_the_other(db: Session, signer: Signer) -> None:
    case, _ = make.submission(db, sent=True, signer=signer)
    make.close(db, case.call)
    _, first, second = make.readers(db, case)
    make.hand_in(db, first, case, "Mine alone.")
    make.hand_in(db, second, case, "The other's alone.", money="2")
    make.reconcile(db, first, second, case)
    assert first.person_id
    said = json.loads(json.dumps(personal.export(db, first, first.person_id)))["rows"]
    assert {row["argument"] for row in said["score.assignment_id"]} == {"Mine alone."}
    assert {row["points"] for row in said["score.assignment_id"]} == {"4.00", "7.50", "3.00"}
    assert len(said["hand_in.assignment_id"]) == 1
    assert said["reconciliation.written_by"][0]["lines"][0]["argument"] == "We agree."
    assert {"assignment.person_id", "conflict.person_id"} <= set(said)
    assert "The other's alone." not in json.dumps(said)


def test_every_column_with_the_name_of_an_address_is_known() -> None:
    named = {
        (table.name, column.name)
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if any(part in column.name for part in ("email", "mail", "recipient", "contact"))
        and isinstance(column.type, Text)
    }
    assert named - personal.ADDRESSES == set()


def test_what_is_left_out_exists() -> None:
    known = {(t.name, c.name) for t in Base.metadata.sorted_tables for c in t.columns}
    assert (set(personal.LEFT_OUT) | set(personal.ADDRESSES) | set(personal.DOCUMENTS) | set(KEPT)) - known == set()


def test_an_export_holds_what_a_person_did_and_no_secret(
    client: TestClient, db: Session, signer: Signer, sign_in: SignIn
) -> None:
    case, actor = make.submission(db, sent=True, signer=signer)
    other, _ = make.submission(db, actor=make.person(db, "two@firm.example"))
    sign_in(client)
    answer = client.get("/account/data.json")
    assert (answer.status_code, "my-data.json" in answer.headers["content-disposition"]) == (200, True)
    said = json.loads(answer.content)
    assert said["rows"]["person.id"][0]["email"] == "lead@firm.example"
    assert said["rows"]["submission.created_by"][0]["reference"] == case.reference
    assert said["rows"]["version.submitted_by"][0]["number"] == 1
    assert {"membership.person_id", "sign_in.person_id", "message.recipient", "event.person_id"} <= set(said["rows"])
    assert {(m["document"], m["submission"]) for m in said["mentions"]} >= {
        ("version.answers", case.reference),
        ("receipt.body", case.reference),
    }
    assert ("token_hash" in answer.text, "csrf" in answer.text, "two@firm.example" in answer.text) == (False,) * 3
    assert "Compute by the sea" not in answer.text
    assert other.reference not in json.dumps(said["rows"])
    assert db.scalars(select(Event.person_id).where(Event.name == "person.exported")).all() == [actor.person_id]
    client.cookies.clear()
    assert client.get("/account/data.json").status_code == 303


def test_staff_get_nothing_of_a_dossier_they_have_a_conflict_about(db: Session, signer: Signer) -> None:
    case, _ = make.submission(db, sent=True, signer=signer)
    make.close(db, case.call)
    reviewer = make.person(db, "jo@rvo.example", staff="reviewer")
    make.free(db, reviewer, case)
    assert reviewer.person_id
    before = personal.export(db, reviewer, reviewer.person_id)
    assert str(case.id) in json.dumps(before["rows"]["event.person_id"])
    make.state_conflict(db, reviewer, case)
    after = personal.export(db, reviewer, reviewer.person_id)
    assert str(case.id) not in json.dumps(after["rows"]["event.person_id"])
    assert str(case.id) in json.dumps(personal.export(db, SYSTEM, reviewer.person_id)["rows"])


def test_after_an_erasure_an_address_stands_only_where_it_must(
    client: TestClient, db: Session, signer: Signer, sign_in: SignIn
) -> None:
    case, actor = make.submission(db, sent=True, signer=signer)
    make.invite(db, actor, case.organisation_id, "second@firm.example", "owner")
    sign_in(client)
    assert actor.person_id
    admin = make.person(db, "admin@rvo.example", staff="admin")
    erasure.erase(db, admin, actor.person_id, "asked to")
    held = set()
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            found = select(func.count()).select_from(table).where(cast(column, Text).icontains("lead@firm.example"))
            if db.scalar(found):
                held.add((table.name, column.name))
    assert held - set(KEPT) == set()
    assert ("receipt", "body") in held


@pytest.mark.parametrize("language", ["en"])
def test_the_explanation_names_every_part_of_the_export(db: Session, language: str) -> None:
    actor = make.person(db)
    assert actor.person_id
    said = personal.export(db, SYSTEM, actor.person_id)
    assert {"rows", "mentions", "left_out"} <= set(said["readme"]) & set(said)
