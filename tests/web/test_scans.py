"""Virus scanning against a real clamd: what waits holds up no submit, what is infected reaches nobody by any way."""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.clerk import Clerk
from app.deps import Portal
from app.domain import attachments, clarifications, exports, scans
from app.domain.errors import FileRefused, refusal_of
from app.infra.files import FileStore, Infected
from app.infra.scanner import Scanner
from app.models import Event, FileScan, Submission
from tests import clam, make, paper
from tests.web.test_guards import SignIn

READER = "reader@rvo.example"
ROUTES = Path(__file__).parent.parent / "routes.json"
MARK = b"bytes that nobody else has"


@pytest.fixture(scope="module")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scanner]:
    """The scanner."""
    with clam.running(tmp_path_factory.mktemp("clamd")) as (scanner, _):
        yield scanner


@pytest.fixture
def case(db: Session, portal: Portal) -> Submission:
    """A sealed and released dossier with an infected file that came in while the scanner was away."""
    portal.scanner = clam.nobody()
    found, actor = make.submission(db)
    attachments.attach(db, portal.files, actor, found, "proposal", "proposal.pdf", BytesIO(clam.infected()))
    make.send(db, actor, found, portal.signer)
    make.close(db, found.call)
    make.free(db, make.person(db, READER, staff="reviewer"), found)
    return found


def digest(db: Session) -> str:
    return db.scalars(select(FileScan.digest)).one()


def test_a_file_that_waits_holds_up_no_submit_and_is_not_read_by_staff(
    client: TestClient, db: Session, portal: Portal, sign_in: SignIn, case: Submission
) -> None:
    Clerk(portal).look_at_files()
    sha256 = digest(db)
    assert scans.state(db, sha256, has_scanner=True) == "pending"
    sign_in(client, READER)
    assert "being checked for viruses" in client.get(f"/review/{case.reference}/attachments/{sha256}/view").text
    for path in (f"attachments/{sha256}", f"attachments/{sha256}?inline=yes", "files.zip"):
        assert client.get(f"/review/{case.reference}/{path}").status_code == 409, path


def test_eicar_is_never_downloadable(
    client: TestClient, db: Session, portal: Portal, sign_in: SignIn, case: Submission, clamd: Scanner, tmp_path: Path
) -> None:
    key = make.key(db, case.call)
    portal.scanner = clamd
    Clerk(portal).look_at_files()
    sha256, ref = digest(db), case.reference
    assert scans.state(db, sha256, has_scanner=True) == "infected"
    told = db.execute(select(Event.name, Event.detail).where(Event.name == "file.infected")).one()
    assert told.detail == {"sha256": sha256, "finding": "Eicar-Test.UNOFFICIAL"}
    sign_in(client, READER)
    ways = [f"/review/{ref}/attachments/{sha256}", f"/review/{ref}/attachments/{sha256}?inline=yes"]
    ways += [f"/review/{ref}/files.zip", f"/review/files.zip?ref={ref}"]
    answers = [client.get(way) for way in ways]
    assert "nobody can open it" in client.get(f"{ways[0]}/view").text
    sign_in(client)
    attachment = db.execute(text("select id from attachment")).scalar_one()
    answers.append(client.get(f"/apply/{ref}/attachments/{attachment}"))
    bearer = {"Authorization": f"Bearer {key}"}
    answers.append(client.get(f"/api/v1/submissions/{ref}/attachments/{sha256}", headers=bearer))
    assert [answer.status_code for answer in answers] == [403] * len(answers)
    assert answers[-1].json()["code"] == "file_infected"
    assert [answer for answer in answers if clam.EICAR in answer.content] == []
    exports.write(db, portal.files, case.call, "zip", tmp_path / "export.zip")
    with zipfile.ZipFile(tmp_path / "export.zip") as package:
        held = {name: package.read(name) for name in package.namelist()}
    assert [name for name, content in held.items() if clam.EICAR in content] == []
    assert any(name.endswith(".withheld.txt") for name in held)


def test_the_same_bytes_are_not_taken_again_and_infected_stays_infected(
    db: Session, portal: Portal, case: Submission, clamd: Scanner, tmp_path: Path
) -> None:
    portal.scanner = clamd
    Clerk(portal).look_at_files()
    other, actor = make.submission(db, actor=make.person(db, "two@firm.example"), contact_email="two@firm.example")
    with pytest.raises(FileRefused) as refused:
        attachments.attach(db, portal.files, actor, other, "proposal", "p.pdf", BytesIO(clam.infected()))
    assert "virus" in refused.value.message.text("en")
    with pytest.raises(DBAPIError) as failure, db.begin_nested():
        db.execute(text("update file_scan set state = 'clean' where state = 'infected'"))
    refusal = refusal_of(failure.value)
    assert refusal
    assert refusal.code == "file_infected"
    restored = FileStore(tmp_path / "restored")
    scans.shut_away_again(db, restored)
    with pytest.raises(Infected):
        restored.path(digest(db))


def test_a_clean_file_is_read_once_it_was_looked_at_and_without_a_scanner_the_page_says_so(
    client: TestClient, db: Session, portal: Portal, sign_in: SignIn, clamd: Scanner
) -> None:
    case, actor = make.submission(db)
    kept = make.attach(db, portal.files, actor, case)
    make.send(db, actor, case, portal.signer)
    make.close(db, case.call)
    make.free(db, make.person(db, READER, staff="reviewer"), case)
    sign_in(client, READER)
    here = f"/review/{case.reference}/attachments/{kept.sha256}"
    assert "no scanner is connected" in client.get(f"{here}/view").text
    assert client.get(here).status_code == 200
    portal.scanner = clamd
    assert client.get(here).status_code == 409
    Clerk(portal).look_at_files()
    assert "nothing found" in client.get(f"{here}/view").text
    answer = client.get(f"/review/{case.reference}/files.zip")
    assert len(zipfile.ZipFile(io.BytesIO(answer.content)).namelist()) == 2


def test_the_protocol_over_tcp_and_a_scanner_that_is_away_or_talks_nonsense(tmp_path: Path) -> None:
    (tmp_path / "clean").write_bytes(b"x" * 600_000)
    (tmp_path / "bad").write_bytes(b"x" * 300_000 + clam.EICAR)
    with clam.spoken(tmp_path) as scanner:
        assert scanner.scan(tmp_path / "clean") is None
        assert scanner.scan(tmp_path / "bad") == "Eicar-Test"
    assert not clam.answers(clam.nobody(), tmp_path / "clean")
    assert not clam.answers(Scanner(f"unix://{tmp_path}/none"), tmp_path / "clean")


def filled(path: str, known: dict[str, str]) -> str | None:
    """An address with everything known in its places; None where something is not."""
    for place, value in known.items():
        path = path.replace(place, value)
    return None if "{" in path else path


def giving(client: TestClient, known: dict[str, str], headers: dict[str, str] | None = None) -> set[str]:
    """The addresses of the portal, of all there are, that give the bytes of the file that holds MARK."""
    found = set()
    for route in json.loads(ROUTES.read_text()):
        verb, pattern = route.split(" ")
        for question in ("", "?inline=yes", f"?ref={known['{ref}']}"):
            path = filled(pattern, known) if verb == "GET" else None
            if path is not None and MARK in client.get(path + question, headers=headers).content:
                found.add(pattern)
    return found


def test_every_address_that_gives_bytes_gives_them_to_others_only_once_they_were_found_clean(
    client: TestClient, db: Session, portal: Portal, sign_in: SignIn, clamd: Scanner
) -> None:
    portal.scanner = clam.nobody()
    case, lead = make.submission(db)
    marked = clam.holding(MARK)
    own = attachments.attach(db, portal.files, lead, case, "proposal", "proposal.pdf", BytesIO(marked))
    make.send(db, lead, case, portal.signer)
    make.close(db, case.call)
    key = {"Authorization": f"Bearer {make.key(db, case.call)}"}
    make.free(db, make.person(db, READER, staff="admin"), case)
    known = {"{ref}": case.reference, "{sha256}": own.sha256, "{attachment_id}": str(own.id), "{code}": case.call.code}
    mine, theirs = {"/apply/{ref}/attachments/{attachment_id}"}, {
        "/review/{ref}/attachments/{sha256}", "/review/{ref}/files.zip", "/review/files.zip",
    }  # fmt: skip
    machines = {"/api/v1/submissions/{ref}/attachments/{sha256}", "/api/v1/calls/{code}/export.zip"}

    def seen() -> tuple[set[str], set[str], set[str]]:
        sign_in(client, READER)
        staff = giving(client, known)
        sign_in(client, "lead@firm.example")
        return staff, giving(client, known), giving(client, known, key)

    assert seen() == (set(), mine, mine)
    portal.scanner = clamd
    Clerk(portal).look_at_files()
    assert seen() == (theirs, mine, mine | machines)
    with make.owner(db):
        db.execute(text("alter table file_scan disable trigger all"))
        db.execute(text("update file_scan set state = 'infected', finding = 'Late'"))
        db.execute(text("alter table file_scan enable trigger all"))
    scans.shut_away_again(db, portal.files)
    assert seen() == (set(), set(), set())


def test_where_a_file_is_named_to_staff_it_has_no_link_until_it_was_found_clean(
    client: TestClient, db: Session, portal: Portal, sign_in: SignIn, clamd: Scanner
) -> None:
    portal.scanner = clam.nobody()
    case, lead = make.submission(db)
    own = attachments.attach(db, portal.files, lead, case, "proposal", "proposal.pdf", BytesIO(clam.holding(MARK)))
    make.send(db, lead, case, portal.signer)
    make.close(db, case.call)
    asked = make.asked(db, case)
    with_answer = vars(attachments.take_in(db, portal.files, "later.pdf", BytesIO(clam.holding(MARK * 2))))
    clarifications.answer(db, lead, case, asked.number, "As asked.", [attachments.Taken(**with_answer)], make.ISSUER)
    make.free(db, make.person(db, READER, staff="coordinator"), case)
    here = f"/review/{case.reference}"
    pages = (here, f"{here}/clarifications", f"{here}/checklist", f"{here}/attachments/{own.sha256}/view")

    def links(path: str) -> set[str]:
        return set(
            re.findall(
                r'(?:href|src|action)="(/review/[^"]*(?:attachments/[^"]*|files\.zip[^"]*))"', client.get(path).text
            )
        )

    sign_in(client, READER)
    whole = f"/review/files?ref={case.reference}"
    for path in (*pages, whole):
        assert links(path) == set(), path
    for path in (here, pages[3], whole):
        assert "being checked for viruses" in client.get(path).text, path
        assert "proposal.pdf" in client.get(path).text, path
    assert "later.pdf" in client.get(here).text
    printed = " ".join(paper.words(client.get(f"{here}/dossier.pdf").content).split())
    for name in ("proposal.pdf", "later.pdf"):
        assert f"{name} (being checked for viruses" in printed
    portal.scanner = clamd
    Clerk(portal).look_at_files()
    assert f"{here}/attachments/{own.sha256}" in links(here)
    assert f"{here}/attachments/{with_answer['sha256']}/view" in links(here) & links(f"{here}/clarifications")
    assert links(whole) == {"/review/files.zip"}
    assert "being checked for viruses" not in client.get(here).text


def test_any_number_of_files_can_be_asked_about_at_once(db: Session) -> None:
    digests = [f"{number:064x}" for number in range(70_000)]  # a statement has 65,535 parameters at most
    scans.await_one(db, digests[5])
    assert scans.held_back(db, digests, has_scanner=True) == {digests[5]: "pending"}
