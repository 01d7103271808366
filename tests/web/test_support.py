"""Letters of member states: written, given, counted against the budget, read by the consortium, and held by the database."""

import io
import json
import re
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import openpyxl
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import accounts, budgets, bundles, calls, dossiers, personal, retention, streams, support, sweeping
from app.domain.access import SYSTEM, Actor
from app.domain.budgets import Workspace
from app.domain.errors import LetterChanged, refusal_of
from app.domain.undertakings import Wish
from app.infra.files import FileStore
from app.infra.postgres import Cluster
from app.infra.signing import Signer
from app.models import Budget, Call, Event, LetterVersion, OutboxMessage, Person, Submission, SupportLetter
from tests import make
from tests.conftest import deliver
from tests.test_cutoff import publish, set_window

SignIn = Callable[..., str]
OWNER, MINISTRY, OTHER = "lead@firm.example", "min@state.example", "min@other.example"
COMMITMENT: dict[str, Any] = {
    "sort": "commitment", "amount": "60,000,000", "phase": "1", "source": "national", "status": "reserved",
    "condition": "When parliament agrees.", "signatory": "M. Inister", "signatory_role": "Minister",
    "dated_on-day": "2", "dated_on-month": "5", "dated_on-year": "2027", "action": "give",
}  # fmt: skip
SUPPORT = COMMITMENT | {"sort": "support", "amount": "", "phase": "", "source": "", "status": "", "condition": ""}
WISH = Wish("support", Decimal("5.00"), "1", "national", "reserved", "", "M. Inister", "Minister", date(2027, 5, 2))


@dataclass
class World:
    """A submitted consortium, the ministry of its member state, and that of another."""

    case: Submission
    state: Actor
    other: Actor

    @property
    def call(self) -> Call:
        return self.case.call

    @property
    def here(self) -> str:
        return f"/support/{self.call.code}/NL"

    def at(self, db: Session, actor: Actor | None = None) -> Workspace:
        actor = actor or self.state
        return budgets.workspace(db, actor, self.call.code, str(actor.memberships[0].state_code))


@pytest.fixture
def world(db: Session, signer: Signer) -> World:
    case, _ = make.submission(db, sent=True, signer=signer)
    _, state = make.organisation(db, make.person(db, MINISTRY), "Ministry", state=True)
    _, other = make.organisation(db, make.person(db, OTHER), "Ministerium", country="DE", state=True)
    return World(case, state, other)


def post(client: TestClient, path: str, token: str, fields: dict[str, Any], *files: tuple[str, bytes]) -> Any:
    sent = [("document", (name, content, "application/pdf")) for name, content in files]
    return client.post(path, data={"csrf_token": token, "key": secrets.token_hex(8)} | fields, files=sent or None)


def give(
    db: Session, world: World, actor: Actor | None = None, wish: Wish = WISH, case: Submission | None = None
) -> Any:
    actor, key = actor or world.state, secrets.token_hex(8)
    at = world.at(db, actor)
    return support.begin(db, actor, at, case or world.case, key, wish, True, make.ISSUER)


def test_a_state_gives_two_letters_sees_their_sum_and_the_consortium_reads_them_at_once(
    client: TestClient, db: Session, portal: Portal, world: World, sign_in: SignIn
) -> None:
    token, ref = sign_in(client, MINISTRY), world.case.reference
    assert world.here in client.get("/support").text
    done = client.post(
        f"{world.here}/budgets",
        data={"csrf_token": token, "source": "national", "amount": "50,000,000.00", "status": "reserved"},
    )
    assert done.headers["location"] == f"{world.here}#budget"
    first = post(client, f"{world.here}/letters", token, SUPPORT | {"reference": ref.lower().replace("-", "")})
    assert first.headers["location"] == f"{world.here}/letters/1"
    refused = post(client, f"{world.here}/letters", token, COMMITMENT | {"reference": ref})
    assert refused.status_code == 422
    assert all(
        w in refused.text for w in ("this sort of letter needs it", "60,000,000", "When parliament agrees.", ref)
    )
    given = post(client, f"{world.here}/letters", token, COMMITMENT | {"reference": ref}, ("l.pdf", make.document()))
    assert given.headers["location"] == f"{world.here}/letters/2"
    page = client.get(world.here).text
    assert all(w in page for w in ("€\u00a060,000,000.00", "€\u00a050,000,000.00", "above the budget", "Letter 2", ref))
    shown = client.get(f"{world.here}/letters/2").text
    assert all(w in shown for w in ("It commits the member state.", "l.pdf", "more is promised of this source"))
    assert "promises nothing in law" in client.get(f"{world.here}/letters/1").text

    sign_in(client, OWNER)
    sha256 = make.sha256(make.document())
    for path in (f"/apply/{ref}", f"/apply/{ref}/letters"):
        found = client.get(path).text
        assert all(w in found for w in ("Ministry (NL)", "l.pdf", "€\u00a060,000,000.00")), path
    assert client.get(f"/apply/{ref}/letters/files/{sha256}").content == make.document()
    assert sum("gave or changed a letter" in mail for mail in deliver(portal)) == 2

    token = sign_in(client, MINISTRY)
    done = client.post(
        f"{world.here}/letters/2/withdrawal", data={"csrf_token": token, "reason": "The cabinet decided otherwise."}
    )
    assert done.status_code == 303
    assert "above the budget" not in client.get(world.here).text
    sign_in(client, OWNER)
    assert all(w in client.get(f"/apply/{ref}/letters").text for w in ("withdrawn", "The cabinet decided otherwise."))
    names = db.scalars(select(Event.name).where(Event.name.like("letter.%")).order_by(Event.id)).all()
    assert names == ["letter.given", "letter.given", "letter.withdrawn"]


def test_a_draft_is_for_the_state_alone_and_a_change_is_a_new_version(
    client: TestClient, db: Session, world: World, sign_in: SignIn
) -> None:
    token, ref = sign_in(client, MINISTRY), world.case.reference
    drafted = post(client, f"{world.here}/letters", token, {"reference": ref, "sort": "support", "action": "draft"})
    here = drafted.headers["location"]
    assert "None yet. Give a member state your reference" in _as_owner(client, sign_in, f"/apply/{ref}")
    token = sign_in(client, MINISTRY)
    lacking = post(client, f"{here}/versions", token, {"sort": "support", "revision": "1", "action": "give"})
    assert (lacking.status_code, "Give the name of who signs." in lacking.text) == (422, True)
    done = post(client, f"{here}/versions", token, SUPPORT | {"revision": "1"}, ("a.pdf", make.document()))
    assert done.headers["location"] == here
    sha256 = make.sha256(make.document())
    kept = SUPPORT | {"revision": "2", "keep": sha256, "condition": "Drafted later.", "action": "draft"}
    assert post(client, f"{here}/versions", token, kept).status_code == 303
    stale = post(client, f"{here}/versions", token, SUPPORT | {"revision": "2", "signatory": "Too Late"})
    assert (stale.status_code, "A colleague changed this letter" in stale.text, "Too Late" in stale.text) == (
        409,
        True,
        True,
    )
    page = client.get(here).text
    assert all(
        w in page for w in ("Version 2 was given", "Drafted later.", "a.pdf", "is a draft: the consortium does not")
    )
    shown = _as_owner(client, sign_in, f"/apply/{ref}/letters")
    assert ("Drafted later." in shown, "a.pdf" in shown) == (False, True)
    numbers = db.execute(select(LetterVersion.number, LetterVersion.is_given).order_by(LetterVersion.number)).all()
    assert [tuple(row) for row in numbers] == [(1, False), (2, True), (3, False)]


def _as_owner(client: TestClient, sign_in: SignIn, path: str) -> str:
    sign_in(client, OWNER)
    return str(client.get(path).text)


def test_a_wrong_reference_says_the_same_whatever_it_is_and_keeps_what_was_typed(
    client: TestClient, db: Session, signer: Signer, world: World, sign_in: SignIn
) -> None:
    elsewhere, _ = make.submission(db, make.call(db), make.person(db), sent=True, signer=signer)
    university, _ = make.submission(db, world.call, make.person(db), kind="OO", sent=True, signer=signer)
    token = sign_in(client, MINISTRY)
    said = set()
    for wrong in (elsewhere.reference, university.reference, "0KQ3V-9XM2T-7RWC", "", "\x00", "9" * 400):
        answer = post(client, f"{world.here}/letters", token, SUPPORT | {"reference": wrong, "condition": "Kept words"})
        assert (answer.status_code, "Kept words" in answer.text) == (422, True)
        said.update(re.findall(r'id="reference-error">(.*?)</p>', answer.text))
    assert len(said) == 1
    for _ in range(30):
        answer = post(client, f"{world.here}/letters", token, SUPPORT | {"reference": "nonsense"})
    assert answer.status_code == 429


def test_what_cannot_be_read_is_shown_again(client: TestClient, world: World, sign_in: SignIn) -> None:
    token = sign_in(client, MINISTRY)
    ref = world.case.reference
    for field, wrong, words in (
        ("amount", "1.000,00", "two ways"),
        ("amount", "-5", "Give 0 or more"),
        ("amount", "1e999", "Type a number"),
        ("amount", "9" * 30, "too long"),
        ("dated_on-day", "31", "date that exists"),
        ("dated_on-month", "²", "date that exists"),
        ("sort", "bribe", "Choose what sort"),
        ("phase", "9", "Choose the phase"),
        ("source", "x", "Choose the source"),
        ("signatory", "  ", "Give the name"),
    ):
        fields = COMMITMENT | {"reference": ref, field: wrong} | ({"dated_on-month": "2"} if wrong == "31" else {})
        answer = post(client, f"{world.here}/letters", token, fields, ("l.pdf", make.document()))
        assert (answer.status_code, words in answer.text) == (422, True), (field, wrong)
    bad = post(client, f"{world.here}/letters", token, COMMITMENT | {"reference": ref}, ("l.pdf", b"no pdf"))
    assert (bad.status_code, "document-error" in bad.text) == (422, True)
    for amount in ("", "abc", "1.000,00"):
        fields = {"csrf_token": token, "source": "national", "amount": amount, "status": "reserved"}
        assert client.post(f"{world.here}/budgets", data=fields).status_code == 422
    fields = {"csrf_token": token, "source": "lottery", "amount": "5", "status": "reserved"}
    assert client.post(f"{world.here}/budgets", data=fields).status_code == 422


def test_another_state_a_viewer_and_a_firm_find_nothing(
    client: TestClient, db: Session, world: World, sign_in: SignIn
) -> None:
    wish = WISH
    letter = give(db, world, wish=wish)
    make.invite(db, world.state, world.state.memberships[0].organisation_id, "view@state.example", "viewer")
    paths = [
        world.here,
        f"{world.here}/letters/new",
        f"{world.here}/letters/{letter.number}",
        f"{world.here}/letters/1/files/{'0' * 64}",
    ]
    for who in (OTHER, OWNER):
        token = sign_in(client, who)
        assert [client.get(path).status_code for path in paths] == [404] * 4
        posts = (
            f"{world.here}/letters",
            f"{world.here}/letters/1/versions",
            f"{world.here}/letters/1/withdrawal",
            f"{world.here}/budgets",
        )
        assert [client.post(path, data={"csrf_token": token, "reason": "x"}).status_code for path in posts] == [404] * 4
    sign_in(client, OTHER)
    assert client.get(f"/apply/{world.case.reference}/letters").status_code == 404
    assert client.get(f"/support/{world.call.code}/DE/letters/1").status_code == 404
    assert client.get("/support/nothing/DE").status_code == 404
    token = sign_in(client, "view@state.example")
    assert client.get(world.here).status_code == 200
    fields = SUPPORT | {
        "reference": world.case.reference,
        "revision": "1",
        "reason": "x",
        "amount": "1",
        "source": "national",
    }
    for path in posts:
        assert post(client, path, token, fields).status_code == 403, path


def test_after_the_cutoff_everything_is_refused_and_what_was_typed_is_kept(
    client: TestClient, db: Session, world: World, sign_in: SignIn
) -> None:
    give(db, world)
    token = sign_in(client, MINISTRY)
    make.move_deadline(db, world.call, 0)
    fields = SUPPORT | {
        "reference": world.case.reference,
        "revision": "1",
        "condition": "Typed too late",
        "reason": "Typed too late",
    }
    for path in ("letters", "letters/1/versions", "letters/1/withdrawal"):
        answer = post(client, f"{world.here}/{path}", token, fields)
        assert (answer.status_code, "Typed too late" in answer.text, "The call has closed" in answer.text) == (
            409,
            True,
            True,
        ), path
    assert "letters and budgets stay as they are" in client.get(f"{world.here}/letters/1").text


def test_the_serving_role_gets_nothing_past_the_database(db: Session, world: World) -> None:
    letter = give(db, world)
    person, organisation = world.state.person_id, world.state.memberships[0].organisation_id
    firm = world.case.organisation_id
    lead = world.case.created_by

    def refused(statement: str, **values: Any) -> str:
        with pytest.raises(DBAPIError) as failure, db.begin_nested():
            db.execute(text(statement), values)
        known = refusal_of(failure.value)
        return known.code if known else str(getattr(failure.value.orig, "sqlstate", ""))

    begin = "insert into support_letter (call_id, submission_id, organisation_id, number, key, created_by) values (:c, :s, :o, 1, :k, :p)"
    version = (
        "insert into letter_version (letter_id, number, is_given, sort, condition, signatory, signatory_role, files, digest, written_by)"
        " values (:l, :n, false, 'support', '', '', '', '[]', repeat('0', 64), :p)"
    )
    budget = "insert into budget (call_id, organisation_id, source, number, amount, status, written_by) values (:c, :o, 'national', 1, 5, 'none', :p)"
    withdraw = "update support_letter set withdrawn_by = :p, withdrawn_because = 'So.' where id = :l"
    mine: dict[str, Any] = {
        "c": world.call.id,
        "s": world.case.id,
        "o": organisation,
        "p": person,
        "l": letter.id,
        "k": "k",
    }
    assert refused(begin, **mine | {"o": firm, "p": lead}) == "forbidden"  # a firm gives no letters
    assert refused(begin, **mine | {"p": lead}) == "forbidden"  # nor does somebody else for the state
    assert refused(budget, **mine | {"o": firm, "p": lead}) == "forbidden"
    assert refused(version, **mine | {"n": 2, "p": world.other.person_id}) == "forbidden"
    assert refused(version, **mine | {"n": 5}) == "letter_changed"
    assert refused(withdraw.replace("'So.'", "' '"), **mine) == "reason_missing"
    assert refused("delete from letter_version where letter_id = :l", **mine) == "42501"
    assert refused("update letter_version set amount = 1 where letter_id = :l", **mine) == "42501"
    assert refused("update support_letter set submission_id = :s where id = :l", **mine) == "42501"
    make.move_deadline(db, world.call, 0)
    for statement in (begin, version, budget, withdraw):
        assert refused(statement, **mine | {"n": 2}) == "call_closed", statement
    make.move_deadline(db, world.call, 60)
    db.execute(text(withdraw), mine)
    assert refused(withdraw, **mine) == refused(version, **mine | {"n": 2}) == "letter_withdrawn"


def test_no_letter_goes_to_a_submission_that_was_withdrawn(
    client: TestClient, db: Session, world: World, sign_in: SignIn
) -> None:
    lead = accounts.actor_for(db, db.get_one(Person, world.case.created_by))
    give(db, world)
    make.withdraw(db, lead, world.case)
    token = sign_in(client, MINISTRY)
    answer = post(client, f"{world.here}/letters", token, SUPPORT | {"reference": world.case.reference})
    assert (answer.status_code, "has withdrawn its submission" in answer.text) == (409, True)
    change = post(client, f"{world.here}/letters/1/versions", token, SUPPORT | {"revision": "1"})
    assert change.status_code == 409
    withdrawn = post(client, f"{world.here}/letters/1/withdrawal", token, {"reason": "They left."})
    assert withdrawn.status_code == 303


def test_a_double_click_is_one_letter(client: TestClient, db: Session, world: World, sign_in: SignIn) -> None:
    token = sign_in(client, MINISTRY)
    fields = SUPPORT | {"reference": world.case.reference, "key": "same"}
    where = {post(client, f"{world.here}/letters", token, fields).headers["location"] for _ in range(2)}
    assert where == {f"{world.here}/letters/1"}
    assert len(db.scalars(select(SupportLetter)).all()) == 1


def test_a_state_sees_what_names_it_only_with_consent_by_name_and_title(
    client: TestClient, db: Session, signer: Signer, world: World, sign_in: SignIn
) -> None:
    lead = make.person(db)
    make.submission(db, world.call, lead, sent=True, signer=signer, consent_eurohpc=False, title="Secret plan")
    make.submission(db, world.call, lead, title="Only a draft")
    gone, actor = make.submission(db, world.call, lead, sent=True, signer=signer, title="Gone")
    make.withdraw(db, actor, gone)
    members = [{"legal_name": "Drüben", "country": "DE", "owners": []}]
    make.submission(db, world.call, lead, sent=True, signer=signer, title="Over there", members=members)
    sign_in(client, MINISTRY)
    for is_sealed in (False, True):
        if is_sealed:
            make.close(db, world.call)
        page = client.get(world.here).text
        named = (world.case.organisation.name, "Delta compute", "Secret plan", "Only a draft", "Gone", "Over there")
        assert [words in page for words in named] == [True, True, False, False, False, False]
        assert "4000000000" not in page.replace(",", "")
    sign_in(client, OTHER)
    page = client.get(f"/support/{world.call.code}/DE").text
    assert ("Over there" in page, "Delta compute" in page) == (True, False)
    assert db.scalars(select(Event.name).where(Event.name == "state.dossiers_listed")).all() != []


def test_readers_and_eurohpc_get_the_letters_that_stood_at_the_seal(
    client: TestClient, db: Session, files: FileStore, world: World, sign_in: SignIn
) -> None:
    file: dict[str, Any] = {
        "name": "l.pdf",
        "sha256": make.taken(db, files).sha256,
        "size": 5,
        "media_type": "application/pdf",
    }
    wish = Wish("commitment", Decimal("7.50"), "1", "rrf", "reserved", "If.", "M.", "Min.", date(2027, 5, 2), (file,))
    give(db, world, wish=wish)
    taken_back = give(db, world, world.other)
    support.withdraw(db, world.other, world.at(db, world.other), taken_back, "Elections.", make.ISSUER)
    support.begin(db, world.state, world.at(db), world.case, "d", WISH, False, make.ISSUER)
    make.close(db, world.call)
    reviewer = make.person(db, "jo@rvo.example", staff="reviewer")
    sign_in(client, "jo@rvo.example")
    assert client.get(f"/review/{world.case.reference}").status_code == 303  # the gate comes first
    make.free(db, reviewer, world.case)
    page = client.get(f"/review/{world.case.reference}").text
    assert all(w in page for w in ("Letters of member states", "€\u00a07.50", "l.pdf", "Elections."))
    assert page.count('class="card" aria-labelledby="letter-') == 2
    assert client.get(f"/review/{world.case.reference}/attachments/{file['sha256']}").status_code == 200
    _, version = dossiers.load(db, reviewer, world.case.reference)
    names = [line["name"] for line in bundles.of_dossier(db, world.case, version).files]
    assert f"{world.case.reference}/letters/NL-1/{file['sha256'][:8]}__l.pdf" in names
    lines = b"".join(streams.ndjson(db, reviewer, world.call)).splitlines()[:-1]
    (document,) = [d for d in map(json.loads, lines) if d["reference"] == world.case.reference]
    (letter,) = document["support_letters"]
    assert (letter["state"], letter["amount"], letter["is_commitment"], letter["dated_on"]) == (
        "NL",
        "7.50",
        True,
        "2027-05-02",
    )
    key = {"Authorization": f"Bearer {make.key(db, world.call)}"}
    if client.get(f"/api/v1/submissions/{world.case.reference}", headers=key).status_code == 404:
        make.release(db, world.case)
    answer = client.get(f"/api/v1/submissions/{world.case.reference}", headers=key)
    assert answer.json()["support_letters"][0]["files"][0]["sha256"] == file["sha256"]
    fetched = client.get(answer.json()["support_letters"][0]["files"][0]["url"], headers=key)
    assert fetched.content == make.document()
    workbook = client.get(f"/api/v1/calls/{world.call.code}/export.xlsx", headers=key)
    head, *rows = openpyxl.load_workbook(io.BytesIO(workbook.content))["Letters"].values
    told = [dict(zip(head, row, strict=True)) for row in rows]
    assert [(t["Reference"], t["Amount"], t["Is commitment"], t["Files"], t["Sha256"]) for t in told] == [
        (world.case.reference, 7.5, "yes", "l.pdf", letter["sha256"])
    ]


def test_sums_are_exact_by_source_and_phase(db: Session, world: World) -> None:
    at = world.at(db)
    for cents, phase in (("0.10", "1"), ("0.20", "1"), ("0.07", "2")):
        sort = "commitment" if phase == "2" else "support"
        give(db, world, wish=Wish(sort, Decimal(cents), phase, "national", "none", "", "M", "m", date(2027, 1, 1)))
    budgets.write(db, world.state, at, "national", Decimal("0.37"), "reserved")
    db.flush()
    national, rrf = budgets.lines(db, at)
    assert national.phases == {"1": Decimal("0.30"), "2": Decimal("0.07")}
    assert (national.promised, national.committed, national.is_over) == (Decimal("0.37"), Decimal("0.07"), False)
    assert (rrf.promised, rrf.is_over) == (Decimal(0), False)
    budgets.write(db, world.state, at, "national", Decimal("0.36"), "reserved")
    budgets.write(db, world.state, at, "national", Decimal("0.36"), "reserved")
    db.flush()
    assert budgets.lines(db, at)[0].is_over
    assert db.scalars(select(Budget.number).order_by(Budget.number)).all() == [1, 2]
    with make.counted(db) as few:
        support.of_state(db, at)
        budgets.lines(db, at)
    give(db, world)
    with make.counted(db) as more:
        support.of_state(db, at)
        budgets.lines(db, at)
    assert few.number == more.number


def test_a_person_gets_what_they_wrote_and_retention_covers_it_all(
    db: Session, files: FileStore, portal: Portal, signer: Signer, world: World
) -> None:
    file = vars(make.taken(db, files))
    give(db, world, wish=Wish("support", None, None, None, None, "", "M", "m", date(2027, 1, 1), (file,)))
    budgets.write(db, world.state, world.at(db), "national", Decimal("5"), "none")
    db.flush()
    rows = personal.export(db, world.state, accounts.require_id(world.state))["rows"]
    assert {"support_letter.created_by", "letter_version.written_by", "budget.written_by"} <= set(rows)
    make.close(db, world.call)
    with make.owner(db):
        for table, columns in (
            ("support_letter", ("created_at",)), ("letter_version", ("written_at",)), ("budget", ("written_at",)),
            ("call", ("opens_at", "closes_at", "sealed_at")),
        ):  # fmt: skip
            db.execute(text(f"alter table {table} disable trigger user"))
            db.execute(text(f"update {table} set " + ", ".join(f"{c} = {c} - interval '2 years'" for c in columns)))
            db.execute(text(f"alter table {table} enable trigger user"))
    db.expire_all()
    found = {one.sort: one for one in retention.report(db, world.call)}["support"]
    assert found.goes is not None
    assert found.goes.count == 2
    two = [make.person(db, f"{n}@rvo.example", staff="coordinator") for n in "ab"]
    made = retention.propose(db, two[0], world.call, "support")
    said = retention.confirm(db, two[1], world.call, made.id, signer, make.ISSUER).body["destroyed"]
    assert (said["count"], sweeping.named(said)) == (2, {file["sha256"]})
    db.expire_all()
    assert [db.scalars(select(t)).all() for t in (SupportLetter, LetterVersion, Budget)] == [[], [], []]


@pytest.mark.committed
def test_two_people_who_change_a_letter_at_once_make_one_version(committed_portal: Portal, cluster: Cluster) -> None:
    code = publish(committed_portal, cluster)
    with committed_portal.sessions.begin() as db:
        case, _ = make.submission(db, calls.by_code(db, code))
        _, state = make.organisation(db, make.person(db, MINISTRY), "Ministry", state=True)
        at = budgets.workspace(db, state, code, "NL")
        number = support.begin(db, state, at, case, "k", WISH, True, make.ISSUER).number
    together = threading.Barrier(4)

    def change(_: int) -> str:
        try:
            with committed_portal.sessions.begin() as db:
                at = budgets.workspace(db, state, code, "NL")
                letter = support.one(db, at, number)
                together.wait()
                support.change(db, state, at, letter, 1, WISH, True, make.ISSUER)
        except DBAPIError as failure:
            known = refusal_of(failure)
            assert known is not None, failure
            return known.code
        return "changed"

    with ThreadPoolExecutor(4) as pool:
        outcomes = sorted(pool.map(change, range(4)))
    assert outcomes == ["changed", *[LetterChanged.code] * 3]

    def begin(_: int) -> int:
        with committed_portal.sessions.begin() as db:
            at, case_ = budgets.workspace(db, state, code, "NL"), db.get_one(Submission, case.id)
            together.wait()
            return support.begin(db, state, at, case_, "twice", WISH, True, make.ISSUER).number

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(begin, range(4))) == {2}
    set_window(committed_portal, cluster, code, 0)
    with pytest.raises(DBAPIError), committed_portal.sessions.begin() as db:
        at = budgets.workspace(db, state, code, "NL")
        support.withdraw(db, state, at, support.one(db, at, number), "Too late.", make.ISSUER)


def test_the_mail_of_a_letter_goes_to_the_consortium_alone(db: Session, world: World) -> None:
    give(db, world)
    mails = db.execute(select(OutboxMessage.recipient).where(OutboxMessage.purpose == "letter")).scalars().all()
    assert mails == [OWNER]
    assert SYSTEM.person_id is None
