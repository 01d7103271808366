"""The page of releases: what would go and what stays and why, letting go, taking back, finishing a call."""

from collections.abc import Callable

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.domain import conflicts, releases
from app.infra.signing import Signer
from app.models import Call, Release, Submission
from tests import make
from tests.domain.test_releases import by_coordinator, sent

SignIn = Callable[..., str]


@pytest.fixture
def call(db: Session) -> Call:
    """A call whose dossiers a coordinator releases."""
    return by_coordinator(db)


@pytest.fixture
def cases(db: Session, call: Call, signer: Signer) -> list[Submission]:
    """Two dossiers that may go and one without consent, sealed."""
    made = [sent(db, call, signer, "one"), sent(db, call, signer, "two")]
    made.append(sent(db, call, signer, "shut", consent_eurohpc=False))
    make.close(db, call)
    return made


@pytest.fixture
def token(client: TestClient, db: Session, sign_in: SignIn) -> str:
    """A coordinator signed in."""
    make.person(db, "co@rvo.example", staff="coordinator")
    return sign_in(client, "co@rvo.example")


def test_all_are_looked_at_then_released_and_a_chosen_one_is_taken_back(
    client: TestClient, db: Session, call: Call, cases: list[Submission], token: str
) -> None:
    page = client.get(f"/review/release?call={call.code}").text
    assert all(case.reference in page for case in cases)
    preview = client.get(f"/review/release?call={call.code}&all=yes").text
    assert ("2 dossiers will go" in preview, cases[2].reference in preview, "no consent" in preview) == (
        True,
        False,
        True,
    )
    form = {"csrf_token": token, "call": call.code, "all": "yes"}
    done = client.post("/review/release", data=form)
    assert done.headers["location"] == f"/review/release?call={call.code}&state=released"
    assert db.scalars(select(Release.submission_id)).all().__len__() == 2
    some = client.get(f"/review/release?ref={cases[0].reference}&ref={cases[2].reference}&ref=0KQ3V-9XM2T-7RWC").text
    assert all(
        words in some for words in ("1 is with EuroHPC", "No consent was given", "Not found, or not yours to see")
    )
    back = {"csrf_token": token, "ref": cases[0].reference}
    assert client.post("/review/release/recall", data=back).status_code == 422
    assert client.post("/review/release/recall", data=back | {"reason": "A mistake."}).status_code == 303
    assert client.post("/review/release/recall", data=back | {"reason": "A mistake."}).status_code == 409
    again = client.get(f"/review/release?ref={cases[0].reference}").text
    assert ("1 dossier will go" in again, "A mistake." in again) == (True, True)
    assert client.post("/review/release", data={"csrf_token": token, "ref": cases[0].reference}).status_code == 303
    assert [row.taken_back_at is None for row in releases.history(db, cases[0])] == [True, False]


def test_a_dossier_is_released_and_taken_back_from_its_own_page(
    client: TestClient, db: Session, cases: list[Submission], token: str
) -> None:
    here, shut = f"/review/{cases[0].reference}", f"/review/{cases[2].reference}"
    coordinator = make.person(db, "co@rvo.example", staff="coordinator")
    for case in cases:
        make.free(db, coordinator, case)
    assert "Release to EuroHPC" in client.get(here).text
    assert ("No consent was given" in client.get(shut).text, f"{shut}/releases" in client.get(shut).text) == (
        True,
        False,
    )
    assert client.post(f"{shut}/releases", data={"csrf_token": token}).status_code == 409
    assert client.post(f"{here}/releases", data={"csrf_token": token}).headers["location"] == f"{here}#release"
    assert client.post(f"{here}/releases", data={"csrf_token": token}).status_code == 409
    assert client.post(f"{here}/recall", data={"csrf_token": token, "reason": "Wrong one."}).status_code == 303
    assert "Wrong one." in client.get(here).text


def test_a_conflict_hides_a_dossier_from_the_page_of_releases(
    client: TestClient, db: Session, call: Call, cases: list[Submission], token: str
) -> None:
    coordinator = make.person(db, "co@rvo.example", staff="coordinator")
    conflicts.state(db, coordinator, cases[0], "conflict", "Shares.")
    gone = cases[0].reference
    pages = [f"/review/release?call={call.code}", f"/review/release?call={call.code}&all=yes"]
    assert [gone in client.get(page).text for page in pages] == [False, False]
    chosen = client.get(f"/review/release?ref={gone}").text
    assert ("Not found, or not yours to see" in chosen, "Delta compute" in chosen) == (True, False)
    client.post("/review/release", data={"csrf_token": token, "call": call.code, "all": "yes"})
    client.post("/review/release", data={"csrf_token": token, "ref": gone})
    assert client.post(f"/review/{gone}/releases", data={"csrf_token": token}).status_code == 404
    assert db.scalars(select(Release.submission_id)).all() == [cases[1].id]


def test_the_page_of_releases_takes_odd_requests(client: TestClient, db: Session, call: Call, token: str) -> None:
    assert "No call is sealed yet" in client.get("/review/release").text
    assert client.get(f"/review/release?call={call.code}").status_code == 403
    make.close(db, call)
    odd = [f"call={call.code}&state=nonsense", f"call={call.code}&after=%00", "ref=%00", "ref=" + "9" * 5000, "ref="]
    assert [client.get(f"/review/release?{query}").status_code for query in odd] == [200] * 5
    assert client.get("/review/release?" + "&".join(f"ref={n}" for n in range(501))).status_code == 422
    assert client.get("/review/release?call=nothing").status_code == 404
    assert client.post("/review/release", data={"csrf_token": token}).status_code == 422
    assert (
        client.post("/review/release", data={"csrf_token": token, "call": "nothing", "all": "yes"}).status_code == 404
    )
    with make.owner(db):
        fresh = make.call(db)
    for path in ("/review/release", "/review/release/conclusion"):
        answer = client.post(path, data={"csrf_token": token, "call": fresh.code, "all": "yes"})
        assert (path, answer.status_code) in {("/review/release", 303), ("/review/release/conclusion", 409)}


def test_respondents_read_what_became_of_it_and_never_a_judgement(
    client: TestClient, db: Session, call: Call, cases: list[Submission], token: str, sign_in: SignIn
) -> None:
    releases.release(db, make.person(db, "co@rvo.example", staff="coordinator"), cases[0], make.ISSUER)
    for case, name, words in (
        (cases[0], "one", "forwarded to EuroHPC"),
        (cases[1], "two", "in review"),
        (cases[2], "shut", "not forwarded to EuroHPC"),
    ):
        sign_in(client, f"{name}@firm.example")
        for page in ("/apply", f"/apply/{case.reference}", f"/apply/{case.reference}/receipts/1"):
            assert words in client.get(page).text, (page, words)
    token = sign_in(client, "co@rvo.example")
    done = client.post("/review/release/conclusion", data={"csrf_token": token, "call": call.code})
    assert done.status_code == 303
    assert "Respondents read that their submission is closed." in client.get(f"/review/release?call={call.code}").text
    again = client.post("/review/release/conclusion", data={"csrf_token": token, "call": call.code})
    assert again.status_code == 409
    sign_in(client, "one@firm.example")
    assert "forwarded to EuroHPC" not in client.get(f"/apply/{cases[0].reference}").text


def test_the_lists_take_as_many_queries_for_three_as_for_one(
    client: TestClient, db: Session, call: Call, signer: Signer, sign_in: SignIn
) -> None:
    for name in ("one", "two", "three"):
        sent(db, call, signer, name)
    make.close(db, call)
    make.person(db, "co@rvo.example", staff="coordinator")
    sign_in(client, "co@rvo.example")
    seen: list[str] = []
    engine = db.get_bind().engine
    listener = lambda *args: seen.append(args[2])  # noqa: E731
    counts = []
    for state in ("", "no_consent"):  # three rows, then none
        db.expire_all()
        seen.clear()
        event.listen(engine, "before_cursor_execute", listener)
        client.get(f"/review/release?call={call.code}&state={state}")
        event.remove(engine, "before_cursor_execute", listener)
        counts.append(len(seen))
    assert counts[0] - counts[1] <= 1, counts
    assert db.execute(text("select count(*) from release")).scalar_one() == 0
