"""Virus scanning against a real clamd: what waits holds up no submit, what is infected reaches nobody by any way."""

import io
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
from app.domain import attachments, exports, scans
from app.domain.errors import FileRefused, refusal_of
from app.infra.files import FileStore, Infected
from app.infra.scanner import Scanner
from app.models import Event, FileScan, Submission
from tests import clam, make
from tests.web.test_guards import SignIn

READER = "reader@rvo.example"


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
    assert "waits to be scanned" in client.get(f"/review/{case.reference}/attachments/{sha256}/view").text
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
