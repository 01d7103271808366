"""The feed, the proof of completeness and the acknowledgements, as a client meets them."""

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import completeness, deliveries, seals
from app.domain.access import Actor
from app.models import Call, Event, Submission
from tests import make

STAFF = Actor(kind="person", staff_role="coordinator")


@pytest.fixture
def call(db: Session, portal: Portal) -> Call:
    """A sealed call with three submissions released, the first of them with a file."""
    call = make.call(db)
    for i in range(3):
        address = f"f{i}@firm.example"
        case, actor = make.submission(db, call, make.person(db, address), contact_email=address, title=f"Title {i}")
        if i == 0:
            make.attach(db, portal.files, actor, case)
        make.send(db, actor, case, portal.signer)
    make.move_deadline(db, call, 0)
    make.seal(db, call, portal.signer)
    make.number(db)
    return call


@pytest.fixture
def key(db: Session, call: Call) -> dict[str, str]:
    """All that EuroHPC needs."""
    return {"Authorization": f"Bearer {make.key(db, call, 'submissions:read', 'attachments:read', 'deliveries:write')}"}


def read(client: TestClient, call: Call, key: dict[str, str], query: str = "") -> Any:
    answer = client.get(f"/api/v1/calls/{call.code}/feed{query}", headers=key)
    assert answer.status_code == 200, answer.text
    assert answer.headers["link"] == f'<{answer.json()["next"]}>; rel="next"'
    return answer.json()


def test_before_the_seal_feed_and_leaves_are_refused_with_the_instant(
    client: TestClient, db: Session, portal: Portal
) -> None:
    open_call = make.call(db)
    make.submission(db, open_call, sent=True, signer=portal.signer)
    key = {"Authorization": f"Bearer {make.key(db, open_call)}"}
    for path in ("feed", "feed?wait=30", "leaves"):
        answer = client.get(f"/api/v1/calls/{open_call.code}/{path}", headers=key)
        assert (answer.status_code, answer.json()["code"]) == (403, "call_not_closed")
        assert answer.json()["releases_at"]


def test_a_feed_is_read_page_by_page_and_goes_on_from_its_cursor(
    client: TestClient, db: Session, call: Call, key: dict[str, str]
) -> None:
    first = read(client, call, key, "?limit=2")
    rest = client.get(first["next"], headers=key).json()
    assert [item["number"] for item in first["items"] + rest["items"]] == [1, 2, 3]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    nothing = client.get(rest["next"], headers=key).json()
    assert (nothing["items"], nothing["cursor"]) == ([], rest["cursor"])
    case = db.scalars(select(Submission).where(Submission.reference == first["items"][0]["reference"])).one()
    make.take_back(db, case)
    make.number(db)
    (tombstone,) = client.get(nothing["next"], headers=key).json()["items"]
    assert (tombstone["kind"], tombstone["reference"], tombstone["number"]) == ("withdrawn", case.reference, 4)
    assert client.get(tombstone["url"], headers=key).status_code == 404
    reads = db.scalars(select(Event.detail["rows"].as_integer()).where(Event.name == "feed.read").order_by(Event.id))
    assert list(reads) == [2, 1, 1]  # who asked and got nothing is not on record


def test_an_expired_cursor_says_how_to_go_on(client: TestClient, call: Call, key: dict[str, str]) -> None:
    answer = client.get(f"/api/v1/calls/{call.code}/feed?after={'0' * 16}-2", headers=key)
    assert (answer.status_code, answer.json()["code"]) == (410, "cursor_expired")
    assert "from its beginning" in answer.json()["detail"]
    assert client.get(f"/api/v1/calls/{call.code}/feed?after=nonsense", headers=key).status_code == 400


def test_the_leaves_are_what_a_full_copy_is_held_against(
    client: TestClient, call: Call, key: dict[str, str], portal: Portal
) -> None:
    feed = read(client, call, key)
    answer = client.get(f"/api/v1/calls/{call.code}/leaves", headers=key)
    document = answer.json()
    assert (document["cursor"], answer.headers["etag"]) == (feed["cursor"], f'W/"{feed["cursor"]}"')
    held = {item["reference"]: (item["version"], item["payload_sha256"]) for item in feed["items"]}
    assert completeness.faults(document, held, portal.signer.jwks()) == []
    assert document["seal"] == client.get(f"/api/v1/calls/{call.code}/seal", headers=key).json()
    again = client.get(f"/api/v1/calls/{call.code}/leaves", headers=key | {"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_another_calls_key_sees_nothing_of_it(client: TestClient, db: Session, call: Call, key: dict[str, str]) -> None:
    item = read(client, call, key)["items"][0]
    wanted = ("submissions:read", "deliveries:write")
    other = {"Authorization": f"Bearer {make.key(db, make.call(db), *wanted)}"}
    for path in (f"calls/{call.code}/feed", f"calls/{call.code}/leaves", f"submissions/{item['reference']}/deliveries"):
        assert client.get(f"/api/v1/{path}", headers=other).status_code == 404
    body = {"version": 1, "payload_sha256": item["payload_sha256"], "files": []}
    said = client.post(f"/api/v1/submissions/{item['reference']}/deliveries", json=body, headers=other)
    assert said.status_code == 404
    reader = {"Authorization": f"Bearer {make.key(db, call)}"}
    said = client.post(f"/api/v1/submissions/{item['reference']}/deliveries", json=body, headers=reader)
    assert (said.status_code, said.json()["scope"]) == (403, "deliveries:write")


def test_an_acknowledgement_is_kept_once_however_often_it_is_sent(
    client: TestClient, db: Session, call: Call, key: dict[str, str]
) -> None:
    item = next(i for i in read(client, call, key)["items"] if _files(db, i["reference"]))
    case = db.scalars(select(Submission).where(Submission.reference == item["reference"])).one()
    here, (file,) = f"/api/v1/submissions/{case.reference}/deliveries", _files(db, case.reference)
    body = {"version": 1, "payload_sha256": item["payload_sha256"], "files": []}
    assert deliveries.totals(db, STAFF, call).states["waiting"] == 3
    first, again = (client.post(here, json=body, headers=key) for _ in range(2))
    assert (first.status_code, again.status_code, again.json()) == (201, 200, first.json())
    row = deliveries.of_submission(db, STAFF, case)
    assert row is not None
    assert (row.state, row.files, row.missing) == ("partly", 1, 1)
    whole = client.post(here.lower(), json=body | {"files": [file, file]}, headers=key)
    assert (whole.status_code, whole.json()["files"], whole.json()["reference"]) == (201, [file], case.reference)
    assert len(client.get(here, headers=key).json()["items"]) == 2
    make.take_back(db, case)
    assert client.post(here, json=body | {"files": [file]}, headers=key).status_code == 200  # it has it all the same
    totals = deliveries.totals(db, STAFF, call)
    assert {state: n for state, n in totals.states.items() if n} == {"taken_back_after": 1, "waiting": 2}
    make.release(db, case)
    assert client.post(here, json=body | {"files": [file]}, headers=key).status_code == 201  # of the new release
    assert deliveries.totals(db, STAFF, call).states["delivered"] == 1


def _files(db: Session, reference: str) -> list[str]:
    case = db.scalars(select(Submission).where(Submission.reference == reference)).one()
    return [file["sha256"] for file in make.version_of(db, case).files]


def test_a_digest_that_does_not_fit_is_refused_and_on_record(
    client: TestClient, db: Session, call: Call, key: dict[str, str]
) -> None:
    item = read(client, call, key)["items"][0]
    here = f"/api/v1/submissions/{item['reference']}/deliveries"
    for body, wrong in (
        ({"version": 1, "payload_sha256": "0" * 64, "files": []}, ["0" * 64]),
        ({"version": 1, "payload_sha256": item["payload_sha256"], "files": ["1" * 64]}, ["1" * 64]),
    ):
        answer = client.post(here, json=body, headers=key)
        assert (answer.status_code, answer.json()["code"], answer.json()["wrong"]) == (409, "digest_mismatch", wrong)
    assert deliveries.totals(db, STAFF, call).mismatches == 2
    assert client.get(here, headers=key).json() == {"items": []}
    nobody = {"version": 2, "payload_sha256": item["payload_sha256"], "files": []}
    assert client.post(here, json=nobody, headers=key).status_code == 404


def test_reconciling_asks_as_often_for_three_submissions_as_for_one(
    db: Session, call: Call, portal: Portal, client: TestClient
) -> None:
    whole = list(deliveries.everything(db, STAFF, call, batch=2))
    assert [row.state for row in whole] == ["waiting"] * 3
    assert deliveries.totals(db, STAFF, call).sealed == len(seals.hashes(db, call)) == 3
    assert deliveries.totals(db, Actor(kind="person"), call).sealed == 0
