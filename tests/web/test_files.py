"""Files of dossiers: looked at in a sandbox, kept with their digest, zipped with the same bytes each time."""

import base64
import io
import json
import zipfile
from collections.abc import Callable

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import accounts, bundles, clarifications, conflicts, dossiers, proofs
from app.infra.files import CHUNK, FileStore
from app.models import Event, Person, Submission
from tests import make

SignIn = Callable[..., str]
SHA = make.sha256(make.document())


@pytest.fixture
def case(db: Session, portal: Portal) -> Submission:
    """A sealed dossier with a file, and one more given with an answer; open to the reviewer."""
    made, owner = make.submission(db)
    make.attach(db, portal.files, owner, made)
    make.send(db, owner, made, portal.signer)
    make.close(db, made.call)
    make.free(db, make.person(db, "jo@rvo.example", staff="reviewer"), made)
    make.asked(db, made)
    clarifications.answer(db, owner, made, 1, "Here.", [make.taken(db, portal.files, "later.pdf")], make.ISSUER)
    return made


@pytest.fixture
def _signed(client: TestClient, case: Submission, sign_in: SignIn) -> None:
    sign_in(client, "jo@rvo.example")


@pytest.mark.usefixtures("_signed")
def test_a_file_is_kept_with_its_digest_and_viewed_where_nothing_runs(client: TestClient, case: Submission) -> None:
    here = f"/review/{case.reference}/attachments/{SHA}"
    kept = client.get(here)
    assert (kept.content, kept.headers["content-disposition"].partition(";")[0]) == (make.document(), "attachment")
    digest = base64.b64encode(bytes.fromhex(SHA)).decode()
    assert kept.headers["repr-digest"] == f"sha-256=:{digest}:"
    framed = client.get(f"{here}?inline=yes")
    policy = framed.headers["content-security-policy"].split("; ")
    assert (framed.headers["content-disposition"].partition(";")[0], framed.headers["x-frame-options"]) == (
        "inline",
        "SAMEORIGIN",
    )
    assert {"default-src 'none'", "sandbox", "frame-ancestors 'self'"} <= set(policy)
    assert not any(part.startswith("script-src") for part in policy)
    page = client.get(f"{here}/view")
    assert (SHA in page.text, f'src="{here}?inline=yes"' in page.text) == (True, True)
    assert "frame-src 'self'" in page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    other = [f"/review/{case.reference}/attachments/{'0' * 64}{end}" for end in ("", "/view", "?inline=yes")]
    assert [client.get(path).status_code for path in other] == [404] * 3


@pytest.mark.usefixtures("_signed")
def test_the_dossier_gives_the_receipt_and_its_proof_as_the_respondent_has_them(
    client: TestClient, db: Session, case: Submission, portal: Portal, sign_in: SignIn
) -> None:
    make.seal(db, case.call, portal.signer)
    here = f"/review/{case.reference}/receipts/1"
    page = client.get(f"/review/{case.reference}").text
    assert [f'href="{here}.{kind}"' in page for kind in ("json", "pdf")] == [True, True]
    given = {kind: client.get(f"{here}.{kind}") for kind in ("json", "pdf")}
    verdict = proofs.verify(given["json"].json(), portal.signer.jwks())
    assert (verdict.outcome, given["json"].json()["proof"]["leaf"]["reference"]) == ("valid", case.reference)
    paths = (f"/review/{case.reference}/receipts/{end}" for end in ("2.json", "0.json", "2.pdf", "99999999999.pdf"))
    assert [client.get(path).status_code for path in paths] == [404, 422, 404, 422]
    sign_in(client, db.scalars(select(Person.email).where(Person.id == case.created_by)).one())
    own = f"/apply/{case.reference}/receipts/1"
    assert {kind: client.get(f"{own}.{kind}").content for kind in given} == {k: a.content for k, a in given.items()}


@pytest.mark.usefixtures("_signed")
def test_the_zip_of_a_dossier_has_names_and_a_manifest_and_the_same_bytes_each_time(
    client: TestClient, db: Session, case: Submission
) -> None:
    first, second = (client.get(f"/review/{case.reference}/files.zip") for _ in range(2))
    assert (first.headers["content-type"], first.content) == ("application/zip", second.content)
    with zipfile.ZipFile(io.BytesIO(first.content)) as package:
        assert package.testzip() is None
        names = package.namelist()
        manifest = json.loads(package.read("manifest.json"))
        assert {make.sha256(package.read(name)) for name in names[:-1]} == {SHA}
    wanted = [
        f"{case.reference}/after-closing/question-1__later.pdf",
        f"{case.reference}/v1/proposal__proposal.pdf",
    ]
    assert names == [*wanted, "manifest.json"]
    assert [line["name"] for line in manifest["files"]] == wanted
    assert (manifest["count"], manifest["size"]) == (2, 2 * len(make.document()))
    lines = db.execute(select(Event.name, Event.detail).where(Event.name == "attachments.taken")).all()
    assert [tuple(line) for line in lines] == [("attachments.taken", {"files": 2})] * 2


@pytest.mark.usefixtures("_signed")
def test_the_files_of_several_leave_out_what_is_not_open_to_the_reader(
    client: TestClient, db: Session, case: Submission, portal: Portal
) -> None:
    reviewer = accounts.actor_for(db, db.scalars(select(Person).where(Person.email == "jo@rvo.example")).one())
    others = []
    for name in ("two", "three"):
        other, owner = make.submission(
            db, actor=make.person(db, f"{name}@firm.example"), contact_email=f"{name}@firm.example"
        )
        make.attach(db, portal.files, owner, other)
        make.send(db, owner, other, portal.signer)
        make.close(db, other.call)
        others.append(other)
    conflicts.state(db, reviewer, others[1], "conflict", "Shares.")
    query = "&".join(f"ref={one.reference}" for one in (case, *others)) + "&ref=nonsense"
    page = client.get(f"/review/files?{query}").text
    assert ("2 files" in page, "say first whether you have an interest" in page) == (True, True)
    assert page.count("not found, or not yours to see") == 2
    with zipfile.ZipFile(io.BytesIO(client.get(f"/review/files.zip?{query}").content)) as package:
        assert {name.partition("/")[0] for name in package.namelist()} == {case.reference, "manifest.json"}
    make.free(db, reviewer, others[0])
    with zipfile.ZipFile(io.BytesIO(client.get(f"/review/files.zip?{query}").content)) as package:
        assert len(package.namelist()) == 4
    assert "No dossier was chosen" in client.get("/review/files").text
    assert client.get("/review/files?" + "&".join(f"ref={n}" for n in range(101))).status_code == 422
    with zipfile.ZipFile(io.BytesIO(client.get("/review/files.zip").content)) as package:
        assert package.namelist() == ["manifest.json"]


def test_a_zip_is_made_a_chunk_at_a_time(db: Session, case: Submission, files: FileStore, portal: Portal) -> None:
    big = b"%PDF-" + bytes(5 * CHUNK)
    with portal.files.staged(io.BytesIO(big), len(big)) as staged:
        portal.files.keep(staged)
    line = {"name": "a/b", "sha256": staged.sha256, "size": staged.size, "media_type": "application/pdf"}
    chunks = list(bundles.stream(portal.files, bundles.Bundle([line])))
    assert len(chunks) == 6
    assert max(map(len, chunks)) < 2 * CHUNK
    assert zipfile.ZipFile(io.BytesIO(b"".join(chunks))).read("a/b") == big


def test_what_is_given_after_closing_is_no_file_for_a_key(db: Session, case: Submission, client: TestClient) -> None:
    key = {"Authorization": f"Bearer {make.key(db, case.call)}"}
    here = f"/api/v1/submissions/{case.reference}"
    assert [file["name"] for file in client.get(here, headers=key).json()["files"]] == ["proposal.pdf"]
    assert "Here." not in client.get(here, headers=key).text
    reviewer = accounts.actor_for(db, db.scalars(select(Person).where(Person.email == "jo@rvo.example")).one())
    submission, version = dossiers.load(db, reviewer, case.reference)
    assert len(bundles.of_dossier(db, submission, version).files) == 2
