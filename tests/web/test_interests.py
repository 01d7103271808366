"""Interest of other organisations: offered by reference, told to nobody but the consortium, in both dossiers once accepted."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import accounts, calls, interests, personal, references
from app.domain.access import Actor
from app.domain.errors import refusal_of
from app.infra.signing import Signer
from app.models import InterestLink, Person, Submission
from tests import make
from tests.conftest import deliver

SignIn = Callable[..., str]
OWNER, FUND = "lead@firm.example", "jo@fund.example"


@dataclass
class World:
    """A consortium, and a fund with a dossier of its own in the same call."""

    case: Submission
    fund: Actor
    own: Submission

    def offer(self, **other: str) -> dict[str, str]:
        choice = f"{self.case.call.code}|{self.own.organisation_id}"
        return {"choice": choice, "reference": self.case.reference, "sort": "invest", "words": "EUR 5 million."} | other


@pytest.fixture
def world(db: Session, signer: Signer) -> World:
    case, _ = make.submission(db, sent=True, signer=signer)
    fund = make.person(db, FUND, "Jo Fund")
    own, fund = make.submission(db, case.call, fund, kind="OO", contact_email=FUND, sent=True, signer=signer)
    return World(case, fund, own)


def post(client: TestClient, path: str, token: str, fields: dict[str, str]) -> Any:
    return client.post(path, data={"csrf_token": token} | fields)


def only(db: Session) -> InterestLink:
    db.expire_all()
    return db.scalars(select(InterestLink)).one()


def test_interest_shows_in_both_dossiers_once_an_owner_accepts_it(
    client: TestClient, db: Session, portal: Portal, world: World, sign_in: SignIn
) -> None:
    token = sign_in(client, FUND)
    assert "/interests" in client.get("/apply").text
    assert post(client, "/interests", token, world.offer()).headers["location"] == "/interests?offered=1"
    assert "not accepted yet" in client.get("/interests").text
    assert interests.of_dossier(db, world.case) == interests.of_dossier(db, world.own) == []
    assert sum("says that it is interested" in mail for mail in deliver(portal)) == 1
    token, here = sign_in(client, OWNER), f"/apply/{world.case.reference}/interests"
    assert "1 offer" in client.get(f"/apply/{world.case.reference}").text
    assert "EUR 5 million." in client.get(here).text
    answers = f"{here}/{only(db).id}/answers"
    assert post(client, answers, token, {"answer": "accept"}).headers["location"] == here
    again = post(client, answers, token, {"answer": "decline"})
    assert (again.status_code, "answered or withdrawn already" in again.text) == (409, True)
    sign_in(client, FUND)
    assert '">accepted</strong>' in client.get("/interests").text
    assert sum("accepted your interest" in mail for mail in deliver(portal)) == 1
    make.close(db, world.case.call)
    reviewer = make.person(db, "re@rvo.example", staff="reviewer")
    sign_in(client, "re@rvo.example")
    for case in (world.case, world.own):
        make.free(db, reviewer, case)
        page = client.get(f"/review/{case.reference}").text
        assert all(words in page for words in ("Interest that was accepted", "EUR 5 million.", world.case.reference))


def test_nobody_learns_whether_a_reference_names_anything(
    client: TestClient, db: Session, signer: Signer, world: World, sign_in: SignIn
) -> None:
    draft, _ = make.submission(db, world.case.call, make.person(db))
    elsewhere, _ = make.submission(db, make.call(db), make.person(db), sent=True, signer=signer)
    nothing = references.new(calls.clock(db))
    seen = []
    for reference in (world.case.reference, elsewhere.reference, nothing):
        token = sign_in(client, FUND)
        first = post(client, "/interests", token, world.offer(reference=reference))
        second = post(client, "/interests", token, world.offer(reference=reference, words="Again."))
        link = db.scalars(select(InterestLink).where(InterestLink.reference == reference)).one()
        if link.submission_id:  # declined: who offered sees the same as of a reference that names nothing
            token = sign_in(client, OWNER)
            answers = f"/apply/{reference}/interests/{link.id}/answers"
            assert post(client, answers, token, {"answer": "decline"}).status_code == 303
            token = sign_in(client, FUND)
        third = post(client, "/interests", token, world.offer(reference=reference, words="Once more."))
        page = client.get("/interests").text.replace(reference, "REF").replace(str(link.id), "ID")
        page = page[page.index("<main") : page.index("Offer interest</h2>")]
        mine = [row for row in _rows(db, world, "interest_link.offered_by") if row["reference"] == reference]
        taken_back = post(client, f"/interests/{link.id}/withdrawal", token, {"reason": "No more."})
        with make.owner(db):  # the day is over
            db.execute(text("delete from throttle"))
        seen.append(
            (
                [(a.status_code, a.headers.get("location")) for a in (first, second, third, taken_back)],
                page.count("not accepted yet"),
                sorted(mine[0]),
                {"submission_id", "is_accepted"} & set(mine[0]),
            )
        )
    assert seen[0] == seen[1] == seen[2]
    assert seen[0][1:2] == (1,)
    assert draft.reference not in client.get("/interests").text


def _rows(db: Session, world: World, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = personal.export(db, world.fund, accounts.require_id(world.fund))["rows"][name]
    return found


def test_what_is_wrong_is_shown_again_and_offers_are_counted(
    client: TestClient, db: Session, world: World, sign_in: SignIn
) -> None:
    token = sign_in(client, FUND)
    for field, wrong, words in (
        ("reference", "nonsense", "This is no reference"),
        ("reference", world.case.reference[:-1] + "Z", "This is no reference"),
        ("sort", "bribe", "Choose what you offer"),
        ("words", "  ", "Say in a few words"),
    ):
        answer = post(client, "/interests", token, world.offer(**{"words": "Kept words", field: wrong}))
        assert (answer.status_code, words in answer.text) == (422, True), field
        assert field == "words" or "Kept words" in answer.text
    assert post(client, "/interests", token, world.offer(choice="\x00|x")).status_code == 422
    for sort in ("invest", "use", "invest"):
        assert post(client, "/interests", token, world.offer(sort=sort)).status_code == 303
    many = post(client, "/interests", token, world.offer(words="One too many"))
    assert (many.status_code, "One too many" in many.text) == (429, True)


def test_others_editors_and_those_who_come_late_are_refused(
    client: TestClient, db: Session, world: World, sign_in: SignIn
) -> None:
    token = sign_in(client, FUND)
    post(client, "/interests", token, world.offer())
    link, here = only(db), f"/apply/{world.case.reference}/interests"
    assert client.get(here).status_code == 404
    assert post(client, f"{here}/{link.id}/answers", token, {"answer": "accept"}).status_code == 404
    lead = accounts.actor_for(db, db.get_one(Person, world.case.created_by))
    make.invite(db, lead, world.case.organisation_id, "ed@firm.example", "editor")
    token = sign_in(client, "ed@firm.example")
    assert post(client, f"{here}/{link.id}/answers", token, {"answer": "accept"}).status_code == 403
    assert post(client, f"/interests/{link.id}/withdrawal", token, {"reason": "x"}).status_code == 404
    assert post(client, "/interests", token, world.offer()).status_code == 404
    token = sign_in(client, OWNER)
    assert post(client, f"{here}/{link.id}/answers", token, {"answer": "perhaps"}).status_code == 422
    make.move_deadline(db, world.case.call, 0)
    assert post(client, f"{here}/{link.id}/answers", token, {"answer": "accept"}).status_code == 409
    token = sign_in(client, FUND)
    late = post(client, "/interests", token, world.offer(words="Typed too late"))
    assert (late.status_code, "Typed too late" in late.text) == (409, True)
    late = post(client, f"/interests/{link.id}/withdrawal", token, {"reason": "Typed too late"})
    assert (late.status_code, "Typed too late" in late.text) == (409, True)


def test_the_database_lets_only_an_owner_of_the_consortium_accept(db: Session, world: World) -> None:
    interests.offer(
        db, world.fund, world.case.call, world.own.organisation_id, world.case.reference, "use", "So.", make.ISSUER
    )
    link = only(db)

    def refused(statement: str, **values: Any) -> str:
        with pytest.raises(DBAPIError) as failure, db.begin_nested():
            db.execute(text(statement), {"l": link.id, "k": secrets.token_hex(4)} | values)
        known = refusal_of(failure.value)
        return known.code if known else str(getattr(failure.value.orig, "sqlstate", ""))

    accept = "update interest_link set is_accepted = true, answered_by = :p where id = :l"
    assert refused(accept, p=world.fund.person_id) == "forbidden"
    assert refused("update interest_link set submission_id = null where id = :l") == "42501"
    assert refused("delete from interest_link where id = :l") == "42501"
    back = "update interest_link set withdrawn_by = :p, withdrawn_because = 'x' where id = :l"
    assert refused(back, p=world.case.created_by) == "forbidden"
    db.execute(text(back), {"p": world.fund.person_id, "l": link.id})
    assert refused(accept, p=world.case.created_by) == refused(back, p=world.fund.person_id) == "interest_answered"
    make.move_deadline(db, world.case.call, 0)
    assert refused(back, p=world.fund.person_id) == "call_closed"
