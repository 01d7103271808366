"""A request to disclose, from the letter to the set: two people, the submitter heard, and nothing withheld in the bytes."""

import io
import json
import zipfile
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from sqlalchemy import event, func, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import calls, decisions, disclosures, hearings, proofs, redaction, verification
from app.domain.access import Actor
from app.domain.denials import GroundMissing, HearingOver, NotDecided, NotHeard
from app.domain.disclosures import Item
from app.domain.errors import Forbidden, Immutable, NeedsSecondPerson, NotFound, ReasonMissing, refusal_of
from app.domain.redaction import NAME
from app.infra import pdf
from app.infra.files import FileStore
from app.infra.signing import Signer
from app.models import Disclosure, DisclosureDecision, DisclosureProposal, Event, Hearing, HearingAnswer, Submission
from tests import make, paper
from tests.conftest import deliver

SignIn = Callable[..., str]
TODAY = date(2026, 1, 5)


def wordy() -> dict[str, Any]:
    """The small call with a telephone number, a contact's name, an acronym and a question about publicity."""
    made = make.definition()
    made["steps"][0]["questions"] += [
        {"name": "acronym", "kind": "text", "label": {"en": "Acronym", "nl": "Acroniem"}},
        {"name": "phone", "kind": "phone", "label": {"en": "Telephone", "nl": "Telefoon"}},
        {"name": "contact_name", "kind": "text", "label": {"en": "Contact", "nl": "Contactpersoon"}},
        {
            "name": "publicity",
            "kind": "choice",
            "label": {"en": "Public", "nl": "Openbaar"},
            "options": [{"value": v, "label": {"en": v, "nl": v}} for v in ("none", "name", "name_summary")],
        },
    ]
    made["uses"]["disclosure"] = "publicity"
    made["disclosure"] |= {
        "personal": ["contact_name"],
        "names": ["acronym"],
        "opens": {"none": [], "name": [NAME], "name_summary": [NAME, "summary"]},
    }
    return made


@pytest.fixture
def two(db: Session) -> tuple[Actor, Actor]:
    return (
        make.person(db, "one@rvo.example", "Coordinator One", staff="coordinator"),
        make.person(db, "two@rvo.example", "Coordinator Two", staff="coordinator"),
    )


def filed(db: Session, signer: Signer, email: str = "lead@firm.example", **changes: Any) -> tuple[Submission, Actor]:
    case, actor = make.submission(
        db, actor=make.person(db, email, name="Leonie Applicant"), sent=True, signer=signer, **changes
    )
    make.close(db, case.call)
    return case, actor


def asked(db: Session, actor: Actor, case: Submission, days: int = 14) -> tuple[Disclosure, Item]:
    """A request about a case, proposed as suggested, and the submitter asked."""
    make.free(db, actor, case)
    request = disclosures.start(db, actor, case.call, "Who filed?", TODAY)
    assert disclosures.add(db, actor, request, [case.reference]) == []
    found = disclosures.item(db, actor, request, case.reference)
    disclosures.propose(db, actor, found, suggested(db, found))
    hearings.ask(db, actor, again(db, actor, found), days, make.ISSUER)
    return request, again(db, actor, found)


def again(db: Session, actor: Actor, found: Item) -> Item:
    return disclosures.item(db, actor, found.item.disclosure, found.item.submission.reference)


def suggested(db: Session, found: Item) -> redaction.Sections:
    return redaction.suggested(calls.questions_of(db, found.item.version.definition_digest), found.item.version)


def time_passes(db: Session, found: Item) -> None:
    """Move the end of the submitter's time, not the clock."""
    with make.owner(db):
        db.execute(text("alter table hearing disable trigger user"))
        db.execute(
            update(Hearing)
            .where(Hearing.item_id == found.item.id)
            .values(asked_at=func.clock_timestamp() - text("interval '2 days'"), until=func.clock_timestamp())
        )
        db.execute(text("alter table hearing enable trigger user"))
    db.expire_all()


def agree(db: Session, actor: Actor, case: Submission, number: int, **objections: str) -> None:
    found = hearings.one(db, case, number)
    assert found.hearing
    said = {s: (s not in objections, objections.get(s, "")) for s in found.hearing.proposal.sections}
    hearings.answer(db, actor, case, found, said)


def produced(db: Session, files: FileStore, actor: Actor, request: Disclosure, signer: Signer) -> Any:
    at = request.registered_at
    return decisions.produce(
        db, files, actor, request, "en", lambda d: pdf.render("disclosed", d, at), signer, make.ISSUER
    )


def confirmed(db: Session, two: tuple[Actor, Actor], found: Item, sections: redaction.Sections | None = None) -> None:
    one, other = two
    decisions.decide(db, one, again(db, one, found), sections or suggested(db, found), "It is business data.")
    make.free(db, other, found.item.submission)
    decisions.confirm(db, other, again(db, other, found))


def everything(content: bytes) -> str:
    """All that can be read in a set: the names, the JSON, and the text of the PDF pages with their metadata."""
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        told = "\n".join(package.namelist())
        for name in package.namelist():
            part = package.read(name)
            told += paper.words(part) if name.endswith(".pdf") else part.decode()
            told += part.decode("latin-1")
    return told


SECRETS = [
    "Delta compute of the north",
    "Leonie Applicant",
    "lead@firm.example",
    "+31701234567",
    "Piet Contact",
    "NORTHGIG",
    "4000000000",
    "1400000000",
    "Delta Holding BV",
    "A. Holder",
    "529900T8BM49AURSDO55",
    "proposal-of-delta.pdf",
]


def test_nothing_that_is_withheld_stands_anywhere_in_the_produced_set(
    db: Session, two: tuple[Actor, Actor], files: FileStore, signer: Signer
) -> None:
    lead = make.person(db, name="Leonie Applicant")
    members = [
        {
            "legal_name": "Delta Holding BV",
            "country": "NL",
            "lei": "529900T8BM49AURSDO55",
            "owners": [{"name": "A. Holder", "share": "60"}],
        }
    ]
    abstract = (
        "NORTHGIG by Delta Holding BV (529900T8BM49AURSDO55), mail LEAD@firm.example or call +31701234567. "
        "Piet Contact knows. Delta Compute of the North runs by the sea."
    )
    case, lead = make.submission(
        db,
        make.call(db, of=wordy()),
        lead,
        title="Delta compute of the north",
        abstract=abstract,
        members=members,
        confidential_sections=["finance", "members"],
    )
    extra = {"acronym": "NORTHGIG", "phone": "+31701234567", "contact_name": "Piet Contact", "publicity": "none"}
    make.fill_more(db, lead, case, "summary", extra)
    make.send(db, lead, case, signer)
    make.close(db, case.call)
    request, found = asked(db, two[0], case)
    agree(db, lead, case, request.number)
    sections = suggested(db, found)
    assert {name: one["choice"] for name, one in sections.items()} == {
        NAME: "withhold",
        "summary": "withhold",
        "members": "withhold",
        "finance": "withhold",
        "documents": "disclose",
        "declarations": "disclose",
    }
    sections["summary"]["choice"] = "disclose"  # the coordinator opens the summary, and the pen must do its work
    confirmed(db, two, found, sections)
    made = produced(db, files, two[0], request, signer)
    with files.open(made.sha256) as stream:
        content = stream.read()
    told = everything(content)
    lower = told.casefold()
    assert [secret for secret in [*SECRETS, case.organisation.name] if secret.casefold() in lower] == []
    assert "runs by the sea" in told
    assert "[redacted]" in told
    assert "Business data" in told
    names = sorted(zipfile.ZipFile(io.BytesIO(content)).namelist())
    assert names == sorted([f"{case.reference}.json", f"{case.reference}.pdf", "list.json", "manifest.json"])
    verdict = proofs.verify({"statement": made.body, "jws": made.jws}, signer.jwks())
    assert verdict.outcome == "valid", verdict
    broken = verification.run(db, verification.Evidence(files, signer.jwks()))
    assert [line for line in broken if "exactly one seal" not in line] == []  # the bare function signs none


def test_a_submitter_who_permits_name_and_summary_is_named(
    db: Session, two: tuple[Actor, Actor], files: FileStore, signer: Signer
) -> None:
    case, lead = make.submission(db, make.call(db, of=wordy()))
    make.fill_more(db, lead, case, "summary", {"publicity": "name_summary"})
    make.send(db, lead, case, signer)
    make.close(db, case.call)
    request, found = asked(db, two[0], case)
    agree(db, lead, case, request.number)
    confirmed(db, two, found)
    made = produced(db, files, two[0], request, signer)
    with files.open(made.sha256) as stream:
        told = everything(stream.read())
    assert "Delta compute" in told
    assert case.organisation.name in told
    assert "lead@firm.example" not in told


def test_a_set_is_the_same_bytes_for_the_same_decisions(
    db: Session, two: tuple[Actor, Actor], files: FileStore, signer: Signer
) -> None:
    case, lead = filed(db, signer)
    request, found = asked(db, two[0], case)
    agree(db, lead, case, request.number)
    confirmed(db, two, found)
    first, second = (produced(db, files, two[0], request, signer) for _ in range(2))
    assert (first.sha256, first.id != second.id) == (second.sha256, True)


def test_nothing_is_decided_before_the_submitter_was_heard_or_their_time_is_over(
    db: Session, two: tuple[Actor, Actor], signer: Signer
) -> None:
    case, lead = filed(db, signer)
    request, found = asked(db, two[0], case)
    with pytest.raises(NotHeard):
        decisions.decide(db, two[0], again(db, two[0], found), suggested(db, found), "Now.")
    insert = "insert into disclosure_decision (item_id, sections, reason, view, decided_by) values (:item, '{}', 'x', 'silent', :by)"
    assert refused(db, insert, item=found.item.id, by=two[0].person_id) is NotHeard
    time_passes(db, found)
    made = decisions.decide(db, two[0], again(db, two[0], found), suggested(db, found), "Silence.")
    assert made.view == "silent"
    events = db.scalars(select(Event).where(Event.name == "disclosure.decided")).all()
    assert [one.detail["view"] for one in events] == ["silent"]
    with pytest.raises(HearingOver):
        agree(db, lead, case, request.number)


def refused(db: Session, statement: str, **values: Any) -> Any:
    nested = db.begin_nested()
    with pytest.raises(DBAPIError) as failure:
        db.execute(text(statement), values)
    nested.rollback()
    found = refusal_of(failure.value)
    return type(found) if found else str(getattr(failure.value.orig, "sqlstate", ""))


def test_the_submitter_answers_by_section_and_an_objection_needs_reasons(
    db: Session, two: tuple[Actor, Actor], signer: Signer
) -> None:
    case, lead = filed(db, signer)
    request, found = asked(db, two[0], case)
    one = hearings.one(db, case, request.number)
    with pytest.raises(ReasonMissing):
        hearings.answer(db, lead, case, one, {"summary": (False, "  ")})
    hearings.answer(db, lead, case, one, {"summary": (False, "It names our site.")})
    assert hearings.one(db, case, request.number).state == "asked"
    agree(db, lead, case, request.number, summary="It names our site.")
    assert db.scalar(select(func.count()).select_from(HearingAnswer)) == len(suggested(db, found))
    heard = again(db, two[0], found)
    assert heard.state == "heard"
    open_it = suggested(db, found)
    open_it["summary"] = {"choice": "disclose", "ground": "", "note": ""}
    with pytest.raises(ReasonMissing):
        decisions.decide(db, two[0], heard, open_it, "All open.")
    open_it["summary"]["note"] = "The site is public already."
    assert decisions.decide(db, two[0], heard, open_it, "All open.").view == "objected"


def test_one_person_decides_nothing_and_what_is_decided_stands(
    db: Session, two: tuple[Actor, Actor], files: FileStore, signer: Signer
) -> None:
    case, lead = filed(db, signer)
    request, found = asked(db, two[0], case)
    agree(db, lead, case, request.number)
    decisions.decide(db, two[0], again(db, two[0], found), suggested(db, found), "So.")
    with pytest.raises(DBAPIError) as failure, db.begin_nested():
        decisions.confirm(db, two[0], again(db, two[0], found))
    assert type(refusal_of(failure.value)) is NeedsSecondPerson
    with pytest.raises(NotDecided):
        produced(db, files, two[0], request, signer)
    decision = db.scalars(select(DisclosureDecision)).one()
    assert refused(db, "select confirm_disclosure(:id, :by)", id=decision.id, by=lead.person_id) is NeedsSecondPerson
    make.free(db, two[1], case)
    decisions.drop(db, two[1], again(db, two[1], found))
    decisions.decide(db, two[1], again(db, two[1], found), suggested(db, found), "So after all.")
    decisions.confirm(db, two[0], again(db, two[0], found))
    with pytest.raises(DBAPIError) as failure, db.begin_nested():
        disclosures.propose(db, two[0], again(db, two[0], found), suggested(db, found))
    assert type(refusal_of(failure.value)) is Immutable
    assert len(decisions.history(db, found.item)) == 2


@pytest.mark.parametrize(
    "attack",
    [
        "update disclosure_decision set confirmed_by = decided_by",
        "update disclosure_decision set sections = '{}'",
        "delete from disclosure_decision",
        "update hearing set until = now()",
        "delete from hearing_answer",
        "update hearing_answer set agrees = true",
        "update disclosure_proposal set sections = '{}'",
        "update disclosure set number = 7",
        "update disclosure set due_on = due_on + 7",
        "update disclosure_item set version_id = gen_random_uuid()",
        "delete from disclosure_set",
        "truncate hearing",
        "alter table hearing disable trigger all",
    ],
)
def test_the_serving_role_rewrites_nothing_of_it(
    db: Session, two: tuple[Actor, Actor], signer: Signer, attack: str
) -> None:
    case, lead = filed(db, signer)
    request, _ = asked(db, two[0], case)
    agree(db, lead, case, request.number)
    with (
        pytest.raises(DBAPIError, match=r"permission denied|must be owner|can only be updated"),
        db.begin_nested(),
    ):
        db.execute(text(attack))


def test_only_coordinators_register_and_the_database_asks_too(
    db: Session, two: tuple[Actor, Actor], signer: Signer
) -> None:
    case, lead = filed(db, signer)
    reviewer = make.person(db, "re@rvo.example", staff="reviewer")
    for actor in (lead, reviewer):
        with pytest.raises(Forbidden):
            disclosures.start(db, actor, case.call, "x", TODAY)
        insert = "insert into disclosure (call_id, title, received_on, due_on, registered_by) values (:call, 'x', '2026-01-01', '2026-02-01', :by)"
        assert refused(db, insert, call=case.call_id, by=actor.person_id) is NeedsSecondPerson


def test_a_conflicted_coordinator_sees_nothing_of_the_dossier_in_a_request(
    client: TestClient, db: Session, two: tuple[Actor, Actor], sign_in: SignIn, signer: Signer, files: FileStore
) -> None:
    case, lead = filed(db, signer)
    request, found = asked(db, two[0], case)
    agree(db, lead, case, request.number)
    confirmed(db, two, found)
    made = produced(db, files, two[0], request, signer)
    third = make.person(db, "third@rvo.example", staff="coordinator")
    sign_in(client, "third@rvo.example")
    here = f"/review/disclosures/{request.number}"
    assert "Delta compute" in client.get(here).text
    gate = client.get(f"{here}/items/{case.reference}")
    assert (gate.status_code, gate.headers["location"].partition("?")[0]) == (303, f"/review/{case.reference}/conflict")
    assert client.get(f"{here}/sets/{made.id}.zip").status_code == 403
    make.state_conflict(db, third, case)
    page = client.get(here)
    assert ("Delta compute" in page.text, case.reference in page.text) == (False, False)
    assert client.get(f"{here}/items/{case.reference}").status_code == 404
    assert client.get(f"{here}/sets/{made.id}.zip").status_code == 403
    with pytest.raises(NotFound):
        disclosures.item(db, third, request, case.reference)


def test_a_withheld_section_needs_a_ground_from_the_call_file(
    db: Session, two: tuple[Actor, Actor], signer: Signer
) -> None:
    case, _ = filed(db, signer)
    _, found = asked(db, two[0], case)
    for wrong in ({"choice": "withhold", "ground": "made-up"}, {"choice": "withhold"}, {"choice": "hide"}, {}):
        with pytest.raises(GroundMissing):
            disclosures.propose(db, two[0], found, suggested(db, found) | {"finance": wrong})
    assert db.scalar(select(func.count()).select_from(DisclosureProposal)) == 1


def test_the_way_through_the_pages(
    client: TestClient, portal: Portal, db: Session, two: tuple[Actor, Actor], sign_in: SignIn, signer: Signer
) -> None:
    case, _ = filed(db, signer)
    for one in two:
        make.free(db, one, case)
    token = sign_in(client, "one@rvo.example")

    def post(path: str, **form: Any) -> int:
        return client.post(path, data={"csrf_token": token, **form}).status_code

    assert "1 dossier was ticked" in client.get(f"/review/disclosures/selection?ref={case.reference}").text
    assert post("/review/disclosures", title="", call=case.call.code) == 422
    day = {"received-day": "5", "received-month": "1", "received-year": "2026"}
    typed = {"csrf_token": token, "title": "Who filed?", "call": case.call.code, "ref": case.reference, **day}
    made, twice = (client.post("/review/disclosures", data=typed) for _ in range(2))
    here = made.headers["location"]
    assert (twice.headers["location"], len(disclosures.all_requests(db))) == (here, 1)
    assert "2 February 2026" in client.get(here).text
    assert post(f"{here}/extension", reason="Third parties are heard.") == 303
    assert "16 February 2026" in client.get(here).text
    assert post(f"{here}/extension", reason="Again.") == 409
    assert post(f"{here}/items", references="nonsense\n") == 422
    item = f"{here}/items/{case.reference}"
    found = disclosures.items(db, two[0], disclosures.load(db, two[0], int(here.rsplit("/", 1)[1])))[0]
    chosen = {
        f"{part}:{name}": one[part] for name, one in suggested(db, found).items() for part in ("choice", "ground")
    }
    assert post(f"{item}/hearings", days="14") == 409
    assert post(f"{item}/proposals", **chosen) == 303
    assert post(f"{item}/hearings", days="14") == 303
    assert any("/disclosures/" in mail for mail in deliver(portal))
    assert post(f"{item}/decisions", reason="x", **chosen) == 409
    token = sign_in(client, "lead@firm.example")
    mine = f"/apply/{case.reference}/disclosures/{here.rsplit('/', 1)[1]}"
    assert mine in client.get(f"/apply/{case.reference}").text
    answers = {f"agrees:{name}": "yes" for name in suggested(db, found)}
    assert post(mine, **answers | {"agrees:members": "no"}) == 422
    assert post(mine, **answers | {"agrees:members": "no", "reasons:members": "Names of owners."}) == 303
    assert "Names of owners." in client.get(mine).text
    stranger = sign_in(client, "stranger@firm.example")
    assert client.get(mine).status_code == 404
    assert client.post(mine, data={"csrf_token": stranger, **answers}).status_code == 404
    token = sign_in(client, "one@rvo.example")
    chosen["note:members"] = "Owners are public in the register."
    assert post(f"{item}/decisions", reason="Weighed.", **chosen) == 303
    assert post(f"{item}/confirmation") == 403
    assert post(f"{here}/sets") == 409
    token = sign_in(client, "two@rvo.example")
    assert post(f"{item}/confirmation") == 303
    assert post(f"{here}/sets") == 303
    page = client.get(here).text
    address = page.partition(f'href="{here}/sets/')[2].partition('"')[0]
    package = client.get(f"{here}/sets/{address}")
    assert (package.status_code, zipfile.is_zipfile(io.BytesIO(package.content))) == (200, True)
    listed = json.loads(client.get(f"{here}/sets/{address.replace('.zip', '.json')}").content)
    assert listed["statement"]["dossiers"][0]["view"] == "objected"
    assert post(f"{here}/closing", reason="Disclosed in part.") == 303
    assert post(f"{here}/sets") == 409
    assert post(f"{here}/items", references=case.reference) in (303, 409)


def asked_of(db: Session, does: Callable[[], Any]) -> int:
    """How many statements something sends to the database."""
    sent: list[str] = []

    def listen(*given: Any) -> None:
        sent.append(given[2])

    event.listen(db.get_bind(), "before_cursor_execute", listen)
    does()
    event.remove(db.get_bind(), "before_cursor_execute", listen)
    return len(sent)


def test_a_list_of_dossiers_asks_the_database_as_often_for_one_as_for_three(
    db: Session, two: tuple[Actor, Actor], signer: Signer
) -> None:
    call = make.call(db)
    make.person(db)  # the contact of the sample answers has signed in once
    cases = [
        make.submission(db, call, make.person(db, f"a{n}@firm.example"), sent=True, signer=signer)[0] for n in range(3)
    ]
    make.close(db, call)
    request = disclosures.start(db, two[0], call, "All", TODAY)
    seen = []
    for case in cases:
        make.free(db, two[0], case)
        disclosures.add(db, two[0], request, [case.reference])
        db.flush()
        db.expire_all()
        seen.append(asked_of(db, lambda: disclosures.items(db, two[0], request)))
    assert seen[1] == seen[2], seen
