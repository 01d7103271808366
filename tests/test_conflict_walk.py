"""Every address there is, walked: a conflict hides all of a dossier, and before the seal nothing of any opens, to no staff role.

The routes come from tests/routes.json, so one that is added later is walked as well. Whatever is to be hidden bears a mark
that stands nowhere else: the title, the organisation, answers, file names, arguments, points, notes, tags.
"""

import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import accounts, attachments, calls, checklists, conflicts, notes, signoffs, submissions
from app.domain.access import Actor
from app.models import Attachment, Person, Submission
from tests import make

SignIn = Callable[..., str]
MARKS = {
    "title": "Zilverreiger",
    "organisation": "Kwartelstaart",
    "answer": "Rietvoorn",
    "file": "snoekbaars",
    "argument": "Waterhoen",
    "reconciled": "Meerkoet",
    "note": "Grutto",
    "tag": "Wulp",
    "verdict": "Kievit",
    "recommendation": "Lepelaar",
    "due": "2031-03-07",
    "address": "aalscholver@firm.example",
}
# What is looked for in the bytes of files as well as on pages: both readers' points are such that nothing else is like them.
POINTS = {"quality": "3.13", "impact": "6.17", "money": "2.19"}
SCORED = ("3.13", "6.17", "2.19", "3,13", "6,17", "2,19")
DEMONSTRATION = "GET /demo/mail"  # shows all mails to everybody, in a demonstration alone
ROUTES = sorted(
    line.split(" ", 1)[1]
    for line in json.loads((make.HERE / "routes.json").read_text())
    if line.startswith("GET ") and "/api/" not in line and line != DEMONSTRATION
)
QUERIES = ("", "search={title}", "search={answer}", "reference={ref}&find={ref}&tag={tag}", "after={ref}")
STAFF = ("reviewer", "coordinator", "admin")


def secret(db: Session, portal: Portal) -> tuple[Submission, Actor]:
    """A submitted case, all of it marked, beside an ordinary one of the same call."""
    call = make.call(db)
    make.submission(
        db,
        call,
        make.person(db, "plain@firm.example"),
        sent=True,
        signer=portal.signer,
        contact_email="plain@firm.example",
    )
    actor = make.person(db, MARKS["address"], "Aal Scholver")
    body = accounts.describe_organisation(db, actor, MARKS["organisation"], "NL", None)
    db.flush()
    actor = accounts.actor_for(db, db.get_one(Person, actor.person_id))
    case = submissions.start(db, actor, call, body.id, "FC")
    members = [
        {"legal_name": MARKS["organisation"], "country": "NL", "owners": [{"name": MARKS["answer"], "share": "60"}]}
    ]
    make.fill(
        db,
        actor,
        case,
        {"title": MARKS["title"], "abstract": MARKS["answer"], "members": members, "contact_email": MARKS["address"]},
    )
    attachments.attach(db, portal.files, actor, case, "proposal", f"{MARKS['file']}.pdf", io.BytesIO(make.document()))
    make.send(db, actor, case, portal.signer)
    return case, actor


def worked_on(db: Session, case: Submission) -> None:
    """Everything that the desk can write about a dossier, each bearing its mark."""
    coordinator, first, second = make.readers(db, case)
    questions, version = calls.questions(case.call), make.version_of(db, case)
    checklists.say(db, first, case, version, questions, "private_65", "no", MARKS["verdict"])
    for reader in (first, second):
        make.hand_in(db, reader, case, argument=MARKS["argument"], **POINTS)
    make.reconcile(db, first, second, case, argument=MARKS["reconciled"])
    notes.write(db, first, case, f"{MARKS['note']} @second", [], make.ISSUER)
    notes.tag(db, first, case, MARKS["tag"])
    written = signoffs.recommend(db, first, case, questions, "pass_on", MARKS["recommendation"])
    signoffs.sign(db, second, case, questions, str(written.id))
    signoffs.reopen(db, coordinator, case, MARKS["note"], make.ISSUER)
    db.flush()


def addresses(db: Session, case: Submission) -> Iterator[str]:
    """Every address with what it asks for filled in by the dossier's own; each once with each query that could find it."""
    (attached,) = db.scalars(select(Attachment).where(Attachment.submission_id == case.id)).all()
    parts = {
        "ref": case.reference,
        "reference": case.reference,
        "code": case.call.code,
        "attachment_id": str(attached.id),
        "sha256": attached.sha256,
        "number": "1",
        "step": "finance",
        "seat": "first",
        "organisation_id": str(case.organisation_id),
        "person_id": str(case.created_by),
    }
    for route in ROUTES:
        path = re.sub(r"\{(\w+)(:\w+)?\}", lambda found: parts.get(found[1], "1"), route)
        for query in QUERIES if "{" not in route else ("",):
            asked = query.format(ref=case.reference, **MARKS)
            yield f"{path}?call={case.call.code}&{asked}".rstrip("&")


def text_of(content: bytes) -> str:
    """What a file says, workbooks and archives unpacked, so that nothing hides in a compressed part."""
    if content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return " ".join(text_of(archive.read(name)) for name in archive.namelist())
    return content.decode("utf-8", "replace")


def holds(said: str, mark: str) -> bool:
    """Whether a mark stands there; one that is a number not as a part of another, such as the seconds of an instant."""
    return mark in said and (mark not in SCORED or re.search(rf"(?<![\d.,:]){re.escape(mark)}(?!\d)", said) is not None)


def shown(client: TestClient, db: Session, case: Submission, marks: tuple[str, ...]) -> dict[str, list[str]]:
    """Which addresses show which of the marks; a mark in the address itself, which a page may repeat, does not count."""
    found = {}
    for address in addresses(db, case):
        answer = client.get(address)
        assert answer.status_code < 500, address
        said = text_of(answer.content) + " ".join(answer.headers.values())
        if held := [mark for mark in marks if holds(said, mark) and mark not in address]:
            found[address] = held
    return found


@pytest.fixture
def case(db: Session, portal: Portal) -> Submission:
    """The marked dossier of a sealed call, with all of the work on it."""
    found, _ = secret(db, portal)
    make.close(db, found.call)
    worked_on(db, found)
    return found


@pytest.mark.parametrize("role", STAFF)
def test_who_stated_a_conflict_learns_nothing_of_the_dossier(
    client: TestClient, db: Session, sign_in: SignIn, case: Submission, role: str
) -> None:
    blind = make.person(db, "blind@rvo.example", staff=role)
    conflicts.state(db, blind, case, "conflict", "My sister works there.")
    sign_in(client, "blind@rvo.example")
    content = tuple(mark for what, mark in MARKS.items() if what != "address")  # people sign in whatever they submit
    found = shown(client, db, case, (*content, *SCORED))
    assert sorted({address.partition("?")[0] for address in found}) == []


def test_the_marks_are_there_for_who_has_no_conflict(
    client: TestClient, db: Session, sign_in: SignIn, case: Submission
) -> None:
    """What the walk above looks for would be found: else it would prove nothing."""
    make.free(db, make.person(db, "free@rvo.example", staff="coordinator"), case)
    sign_in(client, "free@rvo.example")
    found = shown(client, db, case, (*MARKS.values(), *SCORED))
    seen = {mark for held in found.values() for mark in held}
    assert seen >= {*MARKS.values()} - {MARKS["due"]}
    assert seen & set(SCORED)


def test_a_conflict_takes_the_dossier_out_of_every_count(
    client: TestClient, db: Session, sign_in: SignIn, case: Submission
) -> None:
    blind = make.person(db, "blind@rvo.example", staff="coordinator")
    sign_in(client, "blind@rvo.example")
    register = f"/review?call={case.call.code}"
    assert "2 dossiers" in client.get(register).text
    conflicts.state(db, blind, case, "conflict", "My sister works there.")
    assert "1 dossier" in client.get(register).text
    people = client.get(f"/review/people?call={case.call.code}").text
    rows = re.findall(r"Fir St.*?</tr>", people, re.S)
    assert re.findall(r">(\d+)</td>", rows[0]) == ["0", "0", "0", "1", "0", "0", "0", "0"]


@pytest.mark.parametrize(("role", "closed"), [*((role, True) for role in STAFF), ("admin", False)])
def test_before_the_seal_no_role_gets_content(
    client: TestClient, db: Session, portal: Portal, sign_in: SignIn, role: str, closed: bool
) -> None:
    case, _ = secret(db, portal)
    if closed:
        make.move_deadline(db, case.call, 0)
    make.person(db, "jo@rvo.example", staff=role)
    sign_in(client, "jo@rvo.example")
    found = shown(client, db, case, tuple(mark for what, mark in MARKS.items() if what != "address"))
    assert found == {}


def test_scores_are_nowhere_before_both_readers_are_in(
    client: TestClient, db: Session, portal: Portal, sign_in: SignIn
) -> None:
    case, _ = secret(db, portal)
    make.close(db, case.call)
    _, first, second = make.readers(db, case)
    make.hand_in(db, first, case, argument=MARKS["argument"], **POINTS)
    admin = make.person(db, "admin@rvo.example", staff="admin")
    make.free(db, admin, case)
    hidden = (MARKS["argument"], *SCORED)
    for address in ("second@rvo.example", "co@rvo.example", "admin@rvo.example"):
        sign_in(client, address)
        assert shown(client, db, case, hidden) == {}, address
    sign_in(client, "first@rvo.example")
    assert MARKS["argument"] in client.get(f"/review/{case.reference}/scores").text
    make.hand_in(db, second, case, argument="Otherwise.")
    sign_in(client, "co@rvo.example")
    assert MARKS["argument"] in client.get(f"/review/{case.reference}/reconciliation").text


def test_respondents_and_machines_get_nothing_of_the_desk(
    client: TestClient, db: Session, portal: Portal, sign_in: SignIn, case: Submission
) -> None:
    desk = tuple(MARKS[what] for what in ("argument", "reconciled", "note", "tag", "verdict", "recommendation"))
    sign_in(client, MARKS["address"])
    assert shown(client, db, case, (*desk, *SCORED)) == {}
    key = {"Authorization": f"Bearer {make.key(db, case.call)}"}
    client.cookies.clear()
    machine = [
        line.split(" ", 1)[1]
        for line in json.loads((make.HERE / "routes.json").read_text())
        if line.startswith("GET /api/")
    ]
    parts = {"code": case.call.code, "reference": case.reference, "ref": case.reference, "number": "1"}
    seen = 0
    for route in machine:
        answer = client.get(re.sub(r"\{(\w+)\}", lambda found: parts.get(found[1], "1"), route), headers=key)
        said = text_of(answer.content)
        seen += MARKS["title"] in said
        assert [mark for mark in (*desk, *SCORED) if holds(said, mark)] == [], route
    assert seen
