"""/manage/deliveries and the dossier: what EuroHPC says it has, beside the seal."""

import csv
import io
from collections.abc import Callable

from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import conflicts, deliveries
from app.domain.access import Actor
from tests import make


def test_a_coordinator_sees_what_arrived_and_what_did_not(
    client: TestClient, db: Session, portal: Portal, sign_in: Callable[..., str]
) -> None:
    call = make.call(db)
    cases = []
    for i in range(3):
        address = f"f{i}@firm.example"
        case, actor = make.submission(db, call, make.person(db, address), contact_email=address)
        make.attach(db, portal.files, actor, case)
        make.send(db, actor, case, portal.signer)
        cases.append(case)
    staff = make.person(db, staff="coordinator")
    sign_in(client)
    before = client.get(f"/manage/deliveries?call={call.code}")
    assert "Nothing is delivered before a call is sealed." in before.text
    assert client.get(f"/manage/deliveries.csv?call={call.code}").status_code == 403
    make.move_deadline(db, call, 0)
    make.seal(db, call, portal.signer)
    issued, _ = make.issued(db, [call.code], "deliveries:write")
    whole, part, back = cases
    machine = Actor(kind="api_key", api_key_id=issued.id, call_codes=(call.code,))
    for case, files in ((whole, True), (part, False), (back, True)):
        version = make.version_of(db, case)
        names = [file["sha256"] for file in version.files] if files else []
        done = deliveries.acknowledge(db, machine, case.reference, 1, version.payload_sha256, names)
        assert isinstance(done, deliveries.Acknowledged)
    make.take_back(db, back)
    page = client.get(f"/manage/deliveries?call={call.code}").text
    for words in ("received whole", "received, some files not yet", "taken back after it was received"):
        assert page.count(words) == 1, words
    lines = client.get(f"/manage/deliveries.csv?call={call.code}").content.decode("utf-8-sig").splitlines()
    rows = {row["reference"]: row for row in csv.DictReader(io.StringIO("\n".join(lines)))}
    assert {r: (row["state"], row["files_missing"]) for r, row in rows.items()} == {
        whole.reference: ("delivered", "0"),
        part.reference: ("partly", "1"),
        back.reference: ("taken_back_after", "0"),
    }
    make.free(db, staff, part)
    dossier = client.get(f"/review/{part.reference}").text
    assert "Received by EuroHPC" in dossier
    assert "0 of 1 file" in dossier
    conflicts.state(db, staff, back, "conflict", "My sister works there.")
    page = client.get(f"/manage/deliveries?call={call.code}").text
    assert back.reference not in page
    assert "1 sealed submission is not shown to you" in page
    for odd in ("?call=none", "?call=%00", f"?call={call.code}&after=%00zzz"):
        assert client.get(f"/manage/deliveries{odd}").status_code in (200, 404)
