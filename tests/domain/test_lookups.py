"""Identifiers are looked up at VIES and GLEIF with three outcomes; whatever the other side does, nothing breaks or waits."""

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import calls, lookups
from app.domain.access import Actor
from app.infra.registers import Registers
from app.infra.signing import Signer
from app.models import Event, Lookup, Submission
from app.settings import Settings, SettingsRefused
from tests import make
from tests.registers import Desk, answering

SignIn = Callable[..., str]
VAT, LEI = "NL810433941B01", "529900T8BM49AURSDO55"


@pytest.fixture
def desk() -> Iterator[str]:
    with answering() as address:
        yield address


@pytest.fixture
def registers(desk: str) -> Registers:
    return Registers(desk, desk, "NL001234567B01", patience=2.0)


def numbered() -> dict[str, Any]:
    """The small call with the identifiers of an entity, and the place of its register number."""
    made = make.definition()
    members = made["steps"][1]["questions"][0]["questions"]
    for kind in ("vat", "euid", "pic"):
        members.append({"name": f"its_{kind}", "kind": kind, "label": {"en": kind, "nl": kind}})
    members.append({"name": "trade", "kind": "text", "label": {"en": "Register", "nl": "Register"}})
    made["parts"]["entities"] |= {"registration": "trade", "incorporated": "country"}
    return made


@pytest.fixture
def case(db: Session, signer: Signer) -> Submission:
    member = {"legal_name": "DELTA BV", "country": "NL", "lei": LEI, "its_vat": VAT, "trade": "12345678"}
    other = {"legal_name": "Omega", "country": "DE", "its_euid": "NLNHR.1", "its_pic": "123456789", "trade": "HRB 1"}
    made, _ = make.submission(db, make.call(db, of=numbered()), sent=True, signer=signer, members=[member, other])
    make.close(db, made.call)
    return made


@pytest.fixture
def reviewer(db: Session, case: Submission) -> Actor:
    actor = make.person(db, "jo@rvo.example", staff="reviewer")
    make.free(db, actor, case)
    return actor


def entities(db: Session, case: Submission) -> list[lookups.Entity]:
    version = make.version_of(db, case)
    return lookups.of_version(db, calls.questions_of(db, version.definition_digest), version)


def outcomes(db: Session, case: Submission) -> dict[str, str]:
    return {i.number: i.lookup.outcome for e in entities(db, case) for i in e.identifiers if i.lookup}


def test_which_answers_hold_identifiers_follows_from_kinds_and_the_call_file(db: Session, case: Submission) -> None:
    found = [(e.name, [(i.kind, i.number, i.fits) for i in e.identifiers]) for e in entities(db, case)]
    assert found == [
        ("DELTA BV", [("kvk", "12345678", True), ("lei", LEI, True), ("vat", VAT, True)]),
        ("Omega", [("registration", "HRB 1", True), ("euid", "NLNHR.1", True), ("pic", "123456789", True)]),
    ]


def test_valid_numbers_are_kept_with_their_evidence(
    db: Session, case: Submission, reviewer: Actor, registers: Registers
) -> None:
    assert lookups.look_up(db, reviewer, case, entities(db, case), registers) == 2
    assert outcomes(db, case) == {LEI: "valid", VAT: "valid"}
    kept = {row.register: row.evidence for row in db.scalars(select(Lookup))}
    assert kept["vies"] == {"consultation": "WAPIAAAAY1", "at": "2026-01-05T10:00:00.000Z", "name": "Delta B.V."}
    assert (kept["gleif"]["country"], kept["gleif"]["status"]) == ("NL", "LAPSED")
    assert kept["gleif"]["address"] == "Kade 1, 3011 AA, Rotterdam, NL"
    assert (
        Desk.asked[1][1] | {}
        == {
            "countryCode": "NL",
            "vatNumber": VAT[2:],
            "requesterMemberStateCode": "NL",
            "requesterNumber": "001234567B01",
        }
        or Desk.asked[0][1]["vatNumber"] == VAT[2:]
    )
    assert db.scalars(select(Event.person_id).where(Event.name == "identifiers.looked_up")).all() == [
        reviewer.person_id
    ]


def test_a_fresh_outcome_is_not_asked_for_again_unless_somebody_says_so(
    db: Session, case: Submission, reviewer: Actor, registers: Registers
) -> None:
    lookups.look_up(db, reviewer, case, entities(db, case), registers)
    assert lookups.look_up(db, reviewer, case, entities(db, case), registers) == 0
    assert lookups.look_up(db, reviewer, case, entities(db, case), registers, VAT) == 1
    assert lookups.look_up(db, reviewer, case, entities(db, case), registers, "NL000000000B00") == 0
    with make.owner(db):
        db.execute(text("alter table lookup disable trigger user"))
        db.execute(update(Lookup).values(looked_up_at=func.clock_timestamp() - timedelta(days=31)))
        db.execute(text("alter table lookup enable trigger user"))
    db.expire_all()
    assert lookups.look_up(db, reviewer, case, entities(db, case), registers) == 2


def test_what_differs_is_remarked_on(db: Session, case: Submission, reviewer: Actor, registers: Registers) -> None:
    lookups.look_up(db, reviewer, case, entities(db, case), registers)
    assert [r.text("en") for r in entities(db, case)[0].remarks] == ["The registration of this LEI is LAPSED"]
    Desk.name, Desk.country = "Omicron <b>AG</b>", "CH"
    lookups.look_up(db, reviewer, case, entities(db, case), registers, LEI)
    assert [r.text("en") for r in entities(db, case)[0].remarks] == [
        "GLEIF has another name: Omicron <b>AG</b>",
        "GLEIF has the head office in CH, the answers say NL",
        "The registration of this LEI is LAPSED",
    ]


@pytest.mark.parametrize(
    ("mood", "vies", "gleif"),
    [
        ("invalid", "invalid", "invalid"),
        ("away", "MS_UNAVAILABLE", "not_an_answer"),
        ("broken", "status_500", "status_500"),
        ("garbage", "not_an_answer", "not_an_answer"),
        ("deep", "not_an_answer", "not_an_answer"),
        ("list", "not_an_answer", "not_an_answer"),
        ("other", "status_200", "not_an_answer"),
        ("huge", "too_large", "too_large"),
        ("redirect", "status_302", "status_302"),
        ("slow", "slow", "slow"),
        ("drip", "slow", "slow"),
    ],
)
def test_whatever_the_other_side_does_is_one_of_three_outcomes_in_time(
    registers: Registers, mood: str, vies: str, gleif: str
) -> None:
    Desk.mood = mood
    quick = replace(registers, patience=0.5)
    for register, number, wanted in (("vies", VAT, vies), ("gleif", LEI, gleif)):
        started = time.monotonic()
        said = quick.ask(register, number)
        assert time.monotonic() - started < 3
        told = said.outcome if said.outcome != "unknown" else said.evidence["problem"]
        assert told == wanted
    assert [path for path, _ in Desk.asked if path == "/elsewhere"] == []


def test_a_register_that_is_down_changes_nothing_else(db: Session, case: Submission, reviewer: Actor) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{free.getsockname()[1]}"
    down = Registers(nowhere, nowhere, patience=1.0)
    assert lookups.look_up(db, reviewer, case, entities(db, case), down) == 2
    assert outcomes(db, case) == {LEI: "unknown", VAT: "unknown"}
    assert {row.evidence["problem"] for row in db.scalars(select(Lookup))} == {"down"}


def test_what_is_switched_off_is_not_asked(db: Session, case: Submission, reviewer: Actor, desk: str) -> None:
    assert lookups.look_up(db, reviewer, case, entities(db, case), Registers()) == 0
    assert lookups.look_up(db, reviewer, case, entities(db, case), Registers(gleif=desk)) == 1
    assert outcomes(db, case) == {LEI: "valid"}


def test_by_itself_it_asks_one_number_at_a_time_of_sealed_calls_only(
    db: Session, case: Submission, signer: Signer, registers: Registers
) -> None:
    make.submission(db, make.call(db, of=numbered()), make.person(db), sent=True, signer=signer)

    def build(version: Any) -> Any:
        return calls.questions_of(db, version.definition_digest)

    rounds = [lookups.look_up_next(db, build, registers) for _ in range(5)]
    assert rounds == [True, True, True, False, False]
    assert len(Desk.asked) == 2
    assert outcomes(db, case) == {LEI: "valid", VAT: "valid"}


@pytest.mark.parametrize("attack", ["update lookup set outcome = 'valid'", "delete from lookup", "truncate lookup"])
def test_what_a_register_said_is_not_rewritten(
    db: Session, case: Submission, reviewer: Actor, registers: Registers, attack: str
) -> None:
    lookups.look_up(db, reviewer, case, entities(db, case), registers)
    with pytest.raises(DBAPIError, match="permission denied"), db.begin_nested():
        db.execute(text(attack))


def test_the_dossier_shows_what_was_checked_and_staff_check_now(
    client: TestClient,
    portal: Portal,
    db: Session,
    case: Submission,
    reviewer: Actor,
    registers: Registers,
    sign_in: SignIn,
) -> None:
    token = sign_in(client, "jo@rvo.example")
    here = f"/review/{case.reference}"
    page = client.get(here).text
    assert ("switched off" in page, "Check now" in page, VAT in page) == (True, False, True)
    portal.registers = registers
    page = client.get(here).text
    assert ("switched off" in page, "Check now" in page, "not looked up" in page) == (False, True, True)
    Desk.name = "<script>alert(1)</script>"
    assert client.post(f"{here}/lookups", data={"csrf_token": token}).status_code == 303
    page = client.get(here).text
    assert ("VIES: valid" in page, "WAPIAAAAY1" in page, "<script>alert" in page) == (True, True, False)
    sign_in(client)
    assert client.post(f"{here}/lookups", data={"csrf_token": token}).status_code in (403, 404)


def test_more_than_so_many_look_ups_a_minute_are_refused(
    db: Session, case: Submission, reviewer: Actor, registers: Registers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, "A_MINUTE", 1)
    assert lookups.look_up(db, reviewer, case, entities(db, case), registers) == 1


@pytest.mark.parametrize(
    "value", ["ftp://host", "https://", "https://user:word@host", "https://host?x=1", "http://host"]
)
def test_an_address_that_is_none_stops_the_start(value: str) -> None:
    environ = {
        "BASE_URL": "https://eoi.example",
        "SECRET_KEY": "0123456789abcdef0123456789abcdef",
        "MAIL_URL": "smtp://mail:25",
        "VIES_URL": value,
    }
    with pytest.raises(SettingsRefused, match="VIES_URL"):
        Settings.from_env(environ)
    made = Settings.from_env(environ | {"VIES_URL": "https://host/rest-api/"})
    assert (made.vies_url, made.gleif_url, made.lookups) == ("https://host/rest-api", None, False)
