"""Who takes part in one submission: invited by link, each with its own reach; a partner fills and signs its own part alone."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import (
    accounts,
    calls,
    confirmations,
    drafts,
    erasure,
    judgements,
    mails,
    mandates,
    participations,
    personal,
    submissions,
    verification,
)
from app.domain.access import SYSTEM, Actor
from app.domain.admissions import LeadMustConfirm, ParticipationOver
from app.domain.errors import CallClosed, Forbidden, Immutable, NotFound, NotReady, Refused, refusal_of
from app.domain.participations import Wish
from app.infra.postgres import Cluster
from app.infra.signing import Signer
from app.models import Confirmation, Event, Mandate, Participation, Person, Submission
from tests import make
from tests.conftest import deliver
from tests.test_cutoff import database_of, publish, until_somebody_waits

SignIn = Callable[..., str]
DELTA = {"legal_name": "Delta BV", "country": "NL", "owners": []}
BETA = {"legal_name": "Beta GmbH", "country": "DE", "owners": []}
GAMMA = {"legal_name": "Gamma SA", "country": "FR", "owners": []}


@pytest.fixture
def case(db: Session) -> Submission:
    """A draft of three organisations, of whoever signs in by default."""
    found, _ = make.submission(db, members=[DELTA, BETA, GAMMA])
    return found


def lead(db: Session) -> Actor:
    return make.person(db)


def take_part(db: Session, case: Submission, email: str, role: str, **wish: Any) -> Actor:
    return make.takes_part(db, lead(db), case, Wish(email, role, **wish))


def as_partner(db: Session, case: Submission, email: str = "beta@partner.example", place: int = 1) -> Actor:
    return take_part(db, case, email, "partner", organisation="Beta", place=place)


def part_of(db: Session, actor: Actor, case: Submission) -> Participation:
    return participations.load(db, actor, case.reference)


def items(db: Session, case: Submission) -> list[dict[str, Any]]:
    db.expire_all()
    return list(drafts.content(db, case).answers["members"])


def invite(client: TestClient, case: Submission, token: str, **form: str) -> Any:
    return client.post(f"/apply/{case.reference}/participants", data={"csrf_token": token, **form})


def link(portal: Portal) -> str:
    return str([found for mail in deliver(portal) for found in re.findall(r"/invitations/[\w-]+", mail)][-1])


def test_an_invitation_works_once_and_only_for_the_address_that_it_was_sent_to(
    client: TestClient, db: Session, portal: Portal, sign_in: SignIn, case: Submission
) -> None:
    token = sign_in(client)
    assert invite(client, case, token, email="ed@else.example", role="editor").status_code == 303
    page = client.get(f"/apply/{case.reference}/participants")
    assert "ed@else.example" in page.text
    assert "not accepted yet" in page.text
    path = link(portal)
    client.cookies.clear()
    assert client.get(path).headers["location"].startswith("/account/sign-in?next=")
    token = sign_in(client, "other@else.example")
    assert client.get(path).status_code == 404
    assert client.post(path, data={"csrf_token": token}).status_code == 404
    token = sign_in(client, "ed@else.example")
    assert client.get(f"/apply/{case.reference}").status_code == 404
    assert "Accept the invitation" in client.get(path).text
    answer = client.post(path, data={"csrf_token": token})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/apply/{case.reference}")
    assert client.post(path, data={"csrf_token": token}).status_code == 409
    assert client.get(path).headers["location"] == f"/apply/{case.reference}"
    assert client.get(f"/apply/{case.reference}").status_code == 200
    assert case.reference in client.get("/apply").text
    told = db.scalars(select(Event.name).where(Event.name.like("participation.%")).order_by(Event.id)).all()
    assert told == ["participation.invited", "participation.accepted"]


def test_each_role_reaches_as_far_as_it_says(db: Session, signer: Signer, case: Submission) -> None:
    viewer = take_part(db, case, "view@else.example", "viewer")
    editor = take_part(db, case, "edit@else.example", "editor")
    owner = take_part(db, case, "own@else.example", "owner")
    for actor in (viewer, editor, owner):
        assert submissions.load(db, actor, case.reference).id == case.id
        assert [found.id for found in submissions.mine(db, actor)] == [case.id]
    with pytest.raises(Forbidden):
        make.fill_more(db, viewer, case, "summary", {"title": "Mine"})
    make.fill_more(db, editor, case, "summary", {"title": "Edited"})
    for actor in (viewer, editor):
        with pytest.raises(Forbidden):
            make.send(db, actor, case, signer)
        with pytest.raises(Forbidden):
            participations.invite(db, actor, case, Wish("x@else.example", "viewer"), make.ISSUER)
    make.send(db, owner, case, signer)
    assert make.version_of(db, case).submitted_by == owner.person_id
    participations.invite(db, owner, case, Wish("x@else.example", "viewer"), make.ISSUER)
    for actor in (viewer, editor):
        with pytest.raises(Forbidden):
            make.withdraw(db, actor, case)
    make.withdraw(db, owner, case)
    assert verification.run(db) == []


def test_a_part_that_was_ended_reaches_nothing_and_stays_in_the_history(
    client: TestClient, db: Session, sign_in: SignIn, case: Submission
) -> None:
    guest = take_part(db, case, "ed@else.example", "editor")
    found = db.scalars(select(Participation)).one()
    token = sign_in(client)
    address = f"/apply/{case.reference}/participants/{found.id}/end"
    assert "Remove Gu Est" in client.get(address).text
    assert client.post(address, data={"csrf_token": token}).status_code == 303
    db.expire_all()
    assert found.ended_at is not None
    page = client.get(f"/apply/{case.reference}/participants").text
    assert "1 earlier part" in page
    assert "ended by Lee Lead" in page
    after = accounts.actor_for(db, db.get_one(Person, guest.person_id))
    with pytest.raises(NotFound):
        submissions.load(db, after, case.reference)
    sign_in(client, "ed@else.example")
    assert client.get(f"/apply/{case.reference}").status_code == 404
    assert client.post(address, data={"csrf_token": token}).status_code in (403, 404)


def test_a_wrong_invitation_keeps_what_was_typed_and_sends_nothing(
    client: TestClient, db: Session, sign_in: SignIn, case: Submission
) -> None:
    token = sign_in(client)
    answer = invite(client, case, token, email="nobody", role="", mandate="By letter of May.")
    assert answer.status_code == 422
    assert "By letter of May." in answer.text
    assert invite(client, case, token, email="a@b.example", role="partner").status_code == 422
    assert invite(client, case, token, email="a@b.example", role="king").status_code == 422
    assert db.scalars(select(Participation)).all() == []


def test_a_partner_sees_and_saves_its_own_organisation_and_nothing_else(
    client: TestClient, db: Session, portal: Portal, sign_in: SignIn, case: Submission
) -> None:
    token = sign_in(client)
    beta = mandates.digest(BETA)
    assert invite(client, case, token, email="beta@partner.example", role="partner", item=beta).status_code == 303
    path = link(portal)
    token = sign_in(client, "beta@partner.example")
    here = f"/apply/{case.reference}/partner"
    assert client.get(here).status_code == 404
    assert client.post(path, data={"csrf_token": token}).headers["location"] == here
    page = client.get(here).text
    assert "Beta GmbH" in page
    assert "Delta BV" not in page
    for closed in ("", "/summary", "/members", "/check", "/participants", "/answers", "/confirmation"):
        assert client.get(f"/apply/{case.reference}{closed}").status_code == 404
    assert case.reference in client.get("/apply").text
    form = fields_of(page) | {"csrf_token": token, "members-0-legal_name": "Beta SE", "title": "Taken over"}
    assert client.post(here, data=form | {"action": "save"}).headers["location"] == f"{here}?saved=1"
    assert items(db, case) == [DELTA, BETA | {"legal_name": "Beta SE"}, GAMMA]
    assert drafts.content(db, case).answers["title"] == "Delta compute"
    many = form | {"members-1-legal_name": "Another", "revision": fields_of(client.get(here).text)["revision"]}
    assert client.post(here, data=many).status_code == 422
    assert client.post(here, data=form | {"action": "remove:members-0"}).status_code == 422
    assert len(items(db, case)) == 3


def fields_of(page: str) -> dict[str, str]:
    """The text and hidden fields of a partner's page."""
    found = re.findall(r'<input[^>]* name="([^"]+)" value="([^"]*)"', page)
    wanted = [one for one in found if one[0].startswith("members-") or one[0] in ("revision", "marks")]
    return dict(wanted)


def test_a_partner_adds_owners_and_what_cannot_be_read_is_kept(
    client: TestClient, db: Session, sign_in: SignIn, case: Submission
) -> None:
    as_partner(db, case)
    token, here = sign_in(client, "beta@partner.example"), f"/apply/{case.reference}/partner"
    form = fields_of(client.get(here).text) | {"csrf_token": token, "action": "add:members-0-owners"}
    assert client.post(here, data=form).headers["location"] == f"{here}#members-0-owners-0"
    page = client.get(here).text
    form = fields_of(page) | {"csrf_token": token, "members-0-owners-0-name": "A. Holder"}
    answer = client.post(here, data=form | {"members-0-owners-0-share": "much", "action": "save"})
    assert answer.status_code == 422
    assert 'value="much"' in answer.text
    assert items(db, case)[1]["owners"] == [{"name": "A. Holder"}]
    assert list(drafts.content(db, case).unread) == ["members-1-owners-0-share"]
    assert "could not be read" not in client.get(here).text
    assert 'value="much"' in client.get(here).text


def test_the_lead_and_a_partner_overwrite_nothing_of_each_other(
    client: TestClient, db: Session, sign_in: SignIn, case: Submission
) -> None:
    as_partner(db, case)
    token, here = sign_in(client, "beta@partner.example"), f"/apply/{case.reference}/partner"
    form = fields_of(client.get(here).text) | {"csrf_token": token}
    make.fill_more(db, lead(db), case, "members", {"members": [DELTA | {"legal_name": "Delta NV"}, BETA, GAMMA]})
    saved = client.post(here, data=form | {"members-0-legal_name": "Beta SE", "action": "save"})
    assert saved.status_code == 303  # what the lead changed elsewhere on the page is in nobody's way
    form = fields_of(client.get(here).text) | {"csrf_token": token}
    theirs = [DELTA, BETA | {"legal_name": "Beta KG"}, GAMMA]
    make.fill_more(db, lead(db), case, "members", {"members": theirs})
    both = client.post(here, data=form | {"members-0-legal_name": "Beta AG", "action": "save"})
    assert both.status_code == 409
    assert ("Beta AG" in both.text, "Beta KG" in both.text, "Delta" in both.text) == (True, True, False)
    assert items(db, case) == theirs
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', both.text))
    unpicked = client.post(here, data=hidden | {"action": "merge"})
    assert unpicked.status_code == 409
    picked = client.post(here, data=hidden | {"action": "merge", "pick:members-0-legal_name": "mine"})
    assert picked.status_code == 303
    assert items(db, case)[1]["legal_name"] == "Beta AG"


def test_what_a_partner_types_is_saved_by_itself_and_once(
    client: TestClient, db: Session, sign_in: SignIn, case: Submission
) -> None:
    as_partner(db, case)
    token, here = sign_in(client, "beta@partner.example"), f"/apply/{case.reference}/partner"
    page = client.get(here).text
    assert f'data-draft="{here}"' in page
    form = fields_of(page) | {"csrf_token": token, "members-0-legal_name": "Beta SE"}
    first = client.post(f"{here}/revisions", data=form)
    assert first.status_code == 200
    assert client.post(f"{here}/revisions", data=form).json() == first.json()  # its answer was lost
    assert items(db, case) == [DELTA, BETA | {"legal_name": "Beta SE"}, GAMMA]
    saves = select(Event.id).where(Event.name == "draft.saved", Event.person_id == part(db).person_id)
    assert len(db.scalars(saves).all()) == 1
    on = form | {"revision": first.json()["revision"], "members-0-legal_name": "Beta AG"}
    assert client.post(f"{here}/revisions", data=on).status_code == 200
    told = {"Accept": "application/json"}
    late = client.post(f"{here}/revisions", data=form | {"members-0-legal_name": "Beta KG"}, headers=told)
    assert (late.status_code, late.json()["code"]) == (409, "stale_step")
    assert client.get(f"{here}/presence").json()["revision"] == fields_of(client.get(here).text)["revision"]


def part(db: Session) -> Participation:
    return db.scalars(select(Participation)).one()


def test_a_page_with_the_list_reads_back_as_it_was_saved_just_now(db: Session, case: Submission) -> None:
    before = drafts.saved(db, case)["members"].saved_at
    make.fill_more(db, lead(db), case, "members", {"members": [DELTA]})
    kept = drafts.saved(db, case)["members"]
    assert kept.answers == {"members": [DELTA]}
    assert kept.saved_at > before


@pytest.mark.committed
def test_a_partner_who_saves_while_the_lead_moves_its_organisation_saves_into_its_own(
    committed_portal: Portal, cluster: Cluster
) -> None:
    portal = committed_portal
    code = publish(portal, cluster)
    with portal.sessions.begin() as db:
        case, actor = make.submission(db, calls.by_code(db, code), members=[DELTA, BETA, GAMMA])
        partner = as_partner(db, case)
    seen = mandates.digest({"item": BETA, "unread": {}})

    def save() -> None:
        with portal.sessions.begin() as other:
            mine = participations.load(other, partner, case.reference)
            drafts.save_part(other, partner, mine, seen, BETA | {"country": "AT"}, {})

    with ThreadPoolExecutor(1) as pool:
        with portal.sessions.begin() as db:
            make.fill_more(
                db, actor, submissions.load(db, actor, case.reference), "members", {"members": [BETA, GAMMA]}
            )
            waits = pool.submit(save)
            until_somebody_waits(cluster, database_of(portal))
        waits.result()
    with portal.sessions.begin() as db:
        assert items(db, case) == [BETA | {"country": "AT"}, GAMMA]
        assert verification.run(db) == []


def test_a_partner_stays_with_its_organisation_wherever_the_lead_moves_it(db: Session, case: Submission) -> None:
    partner = as_partner(db, case)
    changed = BETA | {"legal_name": "Beta SE"}
    for after, place in (
        ([BETA, GAMMA], 0),
        ([DELTA, GAMMA, BETA], 2),
        ([GAMMA, changed], 1),
        ([changed | {"country": "AT"}], 0),
        ([BETA | {"country": "AT"}], 0),
        ([GAMMA], None),
        ([GAMMA, BETA], None),
    ):
        make.fill_more(db, lead(db), case, "members", {"members": after})
        assert part_of(db, partner, case).place == place
        db.expire_all()
    with pytest.raises(Refused, match="part_removed"):
        drafts.part(db, part_of(db, partner, case))


def test_a_mandate_names_the_answers_that_were_seen_and_is_outdated_once_they_change(
    client: TestClient, db: Session, sign_in: SignIn, case: Submission
) -> None:
    partner = as_partner(db, case)
    token, here = sign_in(client, "beta@partner.example"), f"/apply/{case.reference}/partner"
    page = client.get(here).text
    seen = re.findall(r'name="seen" value="([0-9a-f]{64})"', page)[-1]
    assert seen == mandates.digest(BETA)
    form = {"csrf_token": token, "seen": seen, "signatory": "Bea Ta", "capacity": "Director", "agreed": "yes"}
    wrong = client.post(f"{here}/mandates", data=form | {"agreed": "", "capacity": ""})
    assert wrong.status_code == 422
    assert 'value="Bea Ta"' in wrong.text
    changed = client.post(f"{here}/mandates", data=form | {"seen": "0" * 64})
    assert changed.status_code == 422
    assert "read it again first" in changed.text
    assert 'value="Bea Ta"' in changed.text
    assert client.post(f"{here}/mandates", data=form).status_code == 303
    mandate = db.scalars(select(Mandate)).one()
    assert (mandate.answers_sha256, mandate.organisation, mandate.signed_by) == (seen, "Beta GmbH", partner.person_id)
    assert "Beta GmbH" in mandate.statement
    assert case.reference in mandate.statement
    assert mandate.language == "en"
    signed_in = re.compile(r'<p class="govuk-body typed" lang="en">I am authorised')
    assert signed_in.search(client.get(here).text)
    client.cookies.set("language", "nl")
    page = client.get(here).text  # read in another language, it stays what was signed and says so
    assert (bool(signed_in.search(page)), "ondertekend in het Engels" in page) == (True, True)
    client.cookies.set("language", "en")
    assert state(db, case) == ["lead", "signed", "nobody"]
    sign_in(client)
    assert "mandate signed" in client.get(f"/apply/{case.reference}/check").text
    make.fill_more(db, lead(db), case, "members", {"members": [DELTA, BETA | {"country": "AT"}, GAMMA]})
    assert state(db, case) == ["lead", "outdated", "nobody"]
    assert "mandate outdated" in client.get(f"/apply/{case.reference}/check").text
    sign_in(client, "beta@partner.example")
    assert "outdated" in client.get(here).text
    participations.end(db, lead(db), case, part_of(db, partner, case).id)
    assert state(db, case) == ["lead", "nobody", "nobody"]
    assert db.scalars(select(Mandate)).all() == [mandate]


def state(db: Session, case: Submission) -> list[str]:
    db.expire_all()
    return [one.state for one in mandates.of_case(db, case, drafts.content(db, case).answers)]


def asking(**settings: str) -> dict[str, Any]:
    return make.definition() | settings


def sign(db: Session, actor: Actor, case: Submission, language: str = "en") -> None:
    part = part_of(db, actor, case)
    item = drafts.part(db, part).item
    mandates.sign(db, actor, part, item, mandates.digest(item), "Bea Ta", "Director", language)


def test_a_call_that_asks_for_mandates_takes_no_submit_without_them(
    client: TestClient, db: Session, sign_in: SignIn, signer: Signer
) -> None:
    case, actor = make.submission(db, make.call(db, of=asking(mandates="required")), members=[DELTA, BETA])
    partner = as_partner(db, case)
    with pytest.raises(NotReady):
        make.send(db, actor, case, signer)
    token = sign_in(client)
    refused = client.post(f"/apply/{case.reference}/receipts", data={"csrf_token": token, "key": "k"})
    assert refused.status_code == 422
    assert "Beta GmbH has no mandate" in refused.text
    sign(db, partner, case)
    make.send(db, actor, case, signer)
    assert verification.run(db) == []


def test_what_others_submit_waits_for_the_lead_where_the_call_asks_it(
    client: TestClient, db: Session, portal: Portal, sign_in: SignIn, signer: Signer
) -> None:
    case, _ = make.submission(db, make.call(db, of=asking(confirmation="lead")))
    adviser = take_part(db, case, "ad@viser.example", "owner", organisation="Adviser BV", mandate="By letter of 1 May.")
    assert adviser.may_submit(case)
    token, here = sign_in(client, "ad@viser.example"), f"/apply/{case.reference}"
    refused = client.post(f"{here}/receipts", data={"csrf_token": token, "key": "k1"})
    assert refused.status_code == 409
    assert "the lead confirms" in refused.text
    client.post(f"{here}/receipts", data={"csrf_token": token, "key": "k2"})
    mails = [mail for mail in deliver(portal) if "/confirmation" in mail]
    assert len(mails) == 1  # however often it is pressed
    assert client.post(f"{here}/confirmation", data={"csrf_token": token, "digest": "0" * 64}).status_code == 403
    token = sign_in(client)
    page = client.get(f"{here}/confirmation").text
    digest = re.findall(r'name="digest" value="([0-9a-f]{64})"', page)[0]
    assert client.post(f"{here}/confirmation", data={"csrf_token": token, "digest": "0" * 64}).status_code == 409
    assert client.post(f"{here}/confirmation", data={"csrf_token": token, "digest": digest}).status_code == 303
    assert "Lee Lead" in client.get(f"{here}/confirmation").text
    make.fill_more(db, lead(db), case, "summary", {"title": "Changed since"})
    with pytest.raises(LeadMustConfirm):
        make.send(db, adviser, case, signer)
    make.fill_more(db, lead(db), case, "summary", {"title": "Delta compute"})
    make.send(db, adviser, case, signer)  # the very content that was confirmed
    assert len(db.scalars(select(Confirmation)).all()) == 1
    make.fill_more(db, lead(db), case, "summary", {"title": "By the lead itself"})
    make.send(db, lead(db), case, signer)
    assert make.version_of(db, case).number == 2


def test_an_editor_of_the_lead_waits_for_an_owner_of_it_too(db: Session, signer: Signer) -> None:
    case, actor = make.submission(db, make.call(db, of=asking(confirmation="lead")))
    make.invite(db, actor, case.organisation_id, "editor@firm.example", "editor")
    editor = make.person(db, "editor@firm.example")
    with pytest.raises(LeadMustConfirm):
        make.send(db, editor, case, signer)
    judged = judgements.judge(case, drafts.content(db, case))
    with pytest.raises(Forbidden):
        confirmations.confirm(db, editor, case, judged, confirmations.digest(judged))
    confirmations.confirm(db, actor, case, judged, confirmations.digest(judged))
    make.send(db, editor, case, signer)
    assert make.version_of(db, case).submitted_by == editor.person_id


def test_a_member_state_has_people_and_no_partners(client: TestClient, db: Session, sign_in: SignIn) -> None:
    case, _ = make.submission(db, kind="MS")
    token = sign_in(client)
    page = client.get(f"/apply/{case.reference}/participants").text
    assert ('value="partner"' in page, 'value="viewer"' in page) == (False, True)
    assert invite(client, case, token, email="a@b.example", role="partner", organisation="X").status_code == 422
    assert invite(client, case, token, email="a@b.example", role="viewer").status_code == 303


def test_staff_read_in_the_dossier_who_acted_what_was_signed_and_that_the_lead_confirmed(
    client: TestClient, db: Session, sign_in: SignIn, signer: Signer
) -> None:
    case, _ = make.submission(db, make.call(db, of=asking(confirmation="lead")), members=[DELTA, BETA, GAMMA])
    adviser = take_part(db, case, "ad@viser.example", "owner", organisation="Adviser BV", mandate="By letter of May.")
    sign(db, as_partner(db, case), case)
    sign(db, as_partner(db, case, "gamma@partner.example", 2), case, "nl")
    make.fill_more(db, lead(db), case, "members", {"members": [DELTA, BETA, GAMMA | {"country": "BE"}]})
    judged = judgements.judge(case, drafts.content(db, case))
    confirmations.confirm(db, lead(db), case, judged, confirmations.digest(judged))
    make.send(db, adviser, case, signer)
    make.close(db, case.call)
    reviewer = make.person(db, "reviewer@rvo.example", staff="reviewer")
    make.free(db, reviewer, case)
    sign_in(client, "reviewer@rvo.example")
    page = client.get(f"/review/{case.reference}").text
    section = re.sub(r"<[^>]+>", " ", page[page.index('id="acting"') : page.index('id="acting"') + 5000])
    said = " ".join(section.split())
    assert "The lead confirmed exactly this content: Lee Lead" in said
    assert "Adviser BV · owner By letter of May." in said
    assert "Beta GmbH signed Bea Ta, Director" in said
    assert "Gamma SA signed for other answers" in said
    assert "Delta BV no mandate" in said
    assert "signed in Dutch" in said
    assert page.count('<span class="typed" lang="nl">Ik ben bevoegd') == 1


def refuses(db: Session, statement: str, **values: Any) -> type[Refused] | None:
    """What the database says to the serving role, outside all that Python would say before."""
    nested = db.begin_nested()
    try:
        db.execute(text(statement), values)
    except DBAPIError as failure:
        nested.rollback()
        found = refusal_of(failure)
        return type(found) if found else None
    nested.rollback()
    return None


def test_who_takes_part_hears_of_a_new_deadline(db: Session, case: Submission) -> None:
    for email, role in (("own@else.example", "owner"), ("edit@else.example", "editor")):
        take_part(db, case, email, role)
    as_partner(db, case, place=0)
    gone = take_part(db, case, "gone@else.example", "owner")
    part = next(one for one in participations.of_case(db, case) if one.person_id == gone.person_id)
    participations.end(db, lead(db), case, part.id)
    heard = [person.email for person in mails.audience(db, case.call)]
    assert heard == ["beta@partner.example", "edit@else.example", "lead@firm.example", "own@else.example"]


INVITE = (
    "insert into participation (submission_id, person_id, role, organisation, token_hash, invited_by)"
    " values (:case, :person, :role, 'X', :person, :by)"
)
SIGN = (
    "insert into mandate (participation_id, submission_id, signed_by, signatory, capacity, organisation, statement,"
    " answers_sha256) values (:part, :case, :person, 'A', 'B', 'C', 'D', repeat('0', 64))"
)
CONFIRM = "insert into confirmation (submission_id, content_sha256, confirmed_by) values (:case, repeat('0', 64), :by)"


def test_after_the_cutoff_the_database_takes_none_of_it_but_a_part_can_be_ended(db: Session, case: Submission) -> None:
    partner = as_partner(db, case)
    invited = make.person(db, "late@else.example")
    participations.invite(db, lead(db), case, Wish("late@else.example", "viewer"), make.ISSUER)
    part = part_of(db, partner, case)
    known = {"case": case.id, "part": part.id, "by": lead(db).person_id, "person": partner.person_id}
    other = make.person(db, "third@else.example").person_id
    assert refuses(db, INVITE, **known | {"person": other}, role="viewer") is None
    assert refuses(db, SIGN, **known) is None
    assert refuses(db, CONFIRM, **known) is None
    make.move_deadline(db, case.call, 0)
    accept = "update participation set accepted_at = now() where person_id = :person"
    assert refuses(db, INVITE, **known | {"person": other}, role="viewer") is CallClosed
    assert refuses(db, accept, person=invited.person_id) is CallClosed
    assert refuses(db, "update participation set place = 0 where id = :part", **known) is CallClosed
    assert refuses(db, SIGN, **known) is CallClosed
    assert refuses(db, CONFIRM, **known) is CallClosed
    with pytest.raises(DBAPIError):
        drafts.save_part(db, partner, part, mandates.digest({"item": BETA, "unread": {}}), GAMMA, {})
    db.rollback()


def test_a_part_is_ended_after_the_cutoff_too(db: Session, case: Submission) -> None:
    guest = take_part(db, case, "ed@else.example", "editor")
    make.move_deadline(db, case.call, 0)
    found = db.scalars(select(Participation)).one()
    participations.end(db, lead(db), case, found.id)
    assert accounts.actor_for(db, db.get_one(Person, guest.person_id)).seats == ()


def test_the_database_lets_nobody_into_a_part_that_is_not_theirs(db: Session, case: Submission) -> None:
    partner = as_partner(db, case)
    stranger = make.person(db, "stranger@else.example")
    part = part_of(db, partner, case)
    mine = {"case": case.id, "part": part.id, "person": partner.person_id, "by": lead(db).person_id}
    assert (
        refuses(db, INVITE, **mine | {"person": stranger.person_id, "by": partner.person_id}, role="owner") is Forbidden
    )
    assert refuses(db, SIGN, **mine | {"person": stranger.person_id}) is ParticipationOver
    assert refuses(db, CONFIRM, **mine | {"by": partner.person_id}) is Forbidden
    assert refuses(db, INVITE, **mine, role="viewer") is ParticipationOver  # one part at a time
    sign(db, partner, case)
    for table in ("participation", "mandate", "confirmation"):
        with pytest.raises(DBAPIError, match="permission denied"), db.begin_nested():
            db.execute(text(f"delete from {table}"))
    with pytest.raises(DBAPIError, match="permission denied"), db.begin_nested():
        db.execute(text("update participation set role = 'owner'"))
    with make.owner(db):
        assert refuses(db, "delete from participation") is Immutable
        assert refuses(db, "update mandate set statement = 'else'") is Immutable
    participations.end(db, lead(db), case, part.id)
    assert refuses(db, SIGN, **mine) is ParticipationOver
    assert refuses(db, "update participation set ended_at = null where id = :part", **mine) is ParticipationOver


def test_all_data_on_a_partner_hold_its_part_and_erasure_ends_it(db: Session, case: Submission) -> None:
    partner = as_partner(db, case)
    sign(db, partner, case)
    assert partner.person_id
    said = personal.export(db, partner, partner.person_id)["rows"]
    assert said["participation.person_id"][0]["organisation"] == "Beta"
    assert said["mandate.signed_by"][0]["signatory"] == "Bea Ta"
    assert "token_hash" not in said["participation.person_id"][0]
    erasure.erase(db, SYSTEM, partner.person_id, "Asked for it.")
    mandate, part = db.scalars(select(Mandate)).one(), db.scalars(select(Participation)).one()
    assert (mandate.signatory, mandate.capacity, mandate.organisation) == ("", "", "Beta GmbH")
    assert part.ended_at is not None


def test_who_took_part_goes_with_the_drafts_when_their_term_has_passed(db: Session) -> None:
    case, _ = make.submission(db, members=[DELTA, BETA])
    sign(db, as_partner(db, case), case)
    with make.owner(db):
        db.execute(text("alter table draft disable trigger draft_guard"))
        db.execute(text("select set_config('eoi.destroying', 'yes', true)"))
        db.execute(text("delete from draft"))
        db.execute(text("select set_config('eoi.destroying', '', true)"))
        db.execute(text("alter table draft enable trigger draft_guard"))
    assert db.scalars(select(Participation.id)).all() == []
    assert db.scalars(select(Mandate.id)).all() == []
