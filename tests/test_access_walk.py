"""Every address with a name in it, asked for by everybody there is: who gets in stands in tests/access.json, line by line.

All names are of things that exist, of one case: what a stranger is told to be nowhere is there for somebody else. A route that is
added is walked by itself, and fails until the table says who may enter. `name:403` knows that it is there and may not do it.
"""

import json
import re
import uuid
from collections.abc import Callable
from io import BytesIO

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import accounts, clarifications, factors, interests, participations, sign_ins, uploads
from app.domain.participations import Wish
from app.domain.tokens import hashed
from app.domain.uploads import Part
from app.models import (
    Disclosure,
    InterestLink,
    Membership,
    OutboxMessage,
    Participation,
    Person,
    SignIn,
    Submission,
)
from tests import make
from tests.web import test_guards
from tests.web.test_guards import AGREED

Lines = dict[str, str]
PEOPLE = {
    "owner": "lead@firm.example",
    "viewer": "view@firm.example",
    "partner": "beta@partner.example",
    "fund": "jo@fund.example",
    "ministry": "min@state.example",
    "other ministry": "min@other.example",
    "stranger": "stranger@else.example",
    "reviewer": "re@rvo.example",
    "coordinator": "co2@rvo.example",
    "admin": "ad@rvo.example",
}
KEPT: Lines = json.loads((make.HERE / "access.json").read_text())
AFTER = re.compile("/(clarifications|disclosures)/")  # what there is only once a call is sealed
# Named by a secret that only one person was sent, or by what everybody may read.
OPEN = re.compile(r"\{(token|name|code)\}$|/calls/|/problems/|/providers/|/invitations/")
WALKED = [
    line
    for line, guard in AGREED.items()
    if "{" in line and guard in ("public", "halfway", "applicant") and not OPEN.search(line)
]
# Asked of a lead only where partners fill their parts (tests/web/test_participants.py does), and of an editor or owner
# who was invited (tests/web/test_intermediaries.py).
UNMADE = {f"{verb} /apply/{{ref}}/{page}" for verb in ("GET", "POST") for page in ("confirmation", "intermediary")}
# What a machine writes is in tests/api/test_feed.py.
MACHINES = [line for line, guard in AGREED.items() if guard.startswith("machine(") and "{" in line and "GET" in line]


def world(db: Session, portal: Portal) -> tuple[Submission, Lines]:
    """A case that everybody has something to do with, and the names of all that hangs on it."""
    items: list[dict[str, object]] = [
        {"legal_name": name, "country": "NL", "owners": []} for name in ("Lead BV", "Beta GmbH")
    ]
    case, lead = make.submission(db, members=items)
    attached = make.attach(db, portal.files, lead, case)
    make.send(db, lead, case, portal.signer)
    for role, email in PEOPLE.items():
        make.person(db, email, staff=role if role in ("reviewer", "coordinator", "admin") else None)
    admin = make.person(db, PEOPLE["admin"], staff="admin")
    make.invite(db, lead, case.organisation_id, PEOPLE["viewer"], "viewer")
    participations.invite(db, lead, case, Wish(PEOPLE["partner"], "partner", "Beta", "", 1), make.ISSUER)
    body = db.scalars(select(OutboxMessage.text).where(OutboxMessage.recipient == PEOPLE["partner"])).one()
    token = re.findall(r"/invitations/([\w-]+)", str(body))[0]
    participations.accept(db, make.person(db, PEOPLE["partner"]), token)
    _, state = make.organisation(db, make.person(db, PEOPLE["ministry"]), "Ministry", state=True)
    make.organisation(db, make.person(db, PEOPLE["other ministry"]), "Ministerium", country="DE", state=True)
    make.letter(db, portal.files, state, case)
    for role, kind in (("fund", "OO"), ("stranger", "FC")):
        email = PEOPLE[role]
        own, actor = make.submission(
            db, case.call, make.person(db, email), kind=kind, contact_email=email, sent=True, signer=portal.signer
        )
        if role == "fund":
            interests.offer(db, actor, case.call, own.organisation_id, case.reference, "invest", "Five.", make.ISSUER)
    document = make.document()
    part = Part(make.sha256(document)[:32], 0, len(document))
    uploads.take(db, portal.files, lead, case, "proposal", "plan.pdf", part, BytesIO(document[:100]))
    db.flush()
    return case, {
        "{ref}": case.reference,
        "{code}": case.call.code,
        "{state}": "NL",
        "{step}": "summary",
        "{number}": "1",
        "{attachment_id}": str(attached.id),
        "{sha256}": attached.sha256,
        "{upload}": part.upload,
        "{attempt}": make.refused(db, lead, case, portal.signer),
        "{organisation_id}": str(case.organisation_id),
        "{membership_id}": str(
            db.scalars(
                select(Membership.id).where(
                    Membership.organisation_id == case.organisation_id, Membership.role == "viewer"
                )
            ).one()
        ),
        "{participation_id}": str(db.scalars(select(Participation.id)).one()),
        "{interest_id}": str(db.scalars(select(InterestLink.id)).one()),
        "{disclosure}": "1",
        "{sign_in_id}": opened(db, PEOPLE["owner"]),
        "{factor_id}": str(factors.issue_app(db, uuid.UUID(str(admin.person_id)), "of the admin").id),
    }


def opened(db: Session, email: str) -> str:
    """Another session of somebody."""
    person = db.scalars(select(Person).where(Person.email == email)).one()
    secret = sign_ins.open_session(db, person, "elsewhere", "", make.ISSUER)
    db.flush()
    return str(db.scalars(select(SignIn.id).where(SignIn.token_hash == hashed(secret))).one())


def sealed(db: Session, portal: Portal) -> tuple[Submission, Lines]:
    """The same after the seal: a question that was answered with a file, and a request to disclose it."""
    case, names = world(db, portal)
    make.move_deadline(db, case.call, 0)
    make.seal(db, case.call, portal.signer)
    lead = accounts.actor_for(db, db.get_one(Person, case.created_by))
    asked = make.asked(db, case)
    clarifications.answer(db, lead, case, asked.number, "Ours.", [make.taken(db, portal.files)], make.ISSUER)
    one, other = (make.person(db, f"{n}@rvo.example", staff="coordinator") for n in ("c1", "c2"))
    make.disclosed(db, one, other, case, portal.files, portal.signer)
    make.free(db, make.person(db, PEOPLE["reviewer"], staff="reviewer"), case)
    return case, names | {"{disclosure}": str(db.scalars(select(Disclosure.number)).one())}


def walked(client: TestClient, db: Session, sign_in: Callable[..., str], names: Lines) -> Lines:
    """Who is let in where. Each request is undone, so that all are asked of the same world."""
    found: dict[str, list[str]] = {line: [] for line in WALKED}
    for role, email in PEOPLE.items():
        token = sign_in(client, email)
        db.commit()
        for line in WALKED:
            undone = db.connection().begin_nested()
            status = test_guards.ask(client, line, names, token)
            undone.rollback()
            db.expire_all()
            assert status < 500, (role, line)
            if status != 404:
                found[line].append(f"{role}:403" if status == 403 else role)
    return {line: ", ".join(roles) for line, roles in found.items() if roles}


@pytest.mark.parametrize("when", ["open", "sealed"])
def test_who_gets_in_where_is_as_the_table_says(
    client: TestClient, db: Session, portal: Portal, sign_in: Callable[..., str], when: str
) -> None:
    _, names = world(db, portal) if when == "open" else sealed(db, portal)
    found = walked(client, db, sign_in, names)
    wanted = {line: roles for line, roles in KEPT.items() if when == "sealed" or not AFTER.search(line)}
    assert found == wanted, json.dumps(found, indent=1)


def test_every_name_is_of_something_that_somebody_reaches() -> None:
    reached = {line for line, roles in KEPT.items() if set(roles.split(", ")) & set(PEOPLE)}
    assert set(WALKED) - reached == UNMADE


def test_a_key_to_another_call_finds_nothing_of_this_one(client: TestClient, db: Session, portal: Portal) -> None:
    case, names = sealed(db, portal)
    make.number(db)
    scopes = ("submissions:read", "attachments:read", "deliveries:write")
    mine, other = make.key(db, case.call, *scopes), make.key(db, make.call(db), *scopes)

    def ask(key: str) -> Lines:
        client.headers["Authorization"] = f"Bearer {key}"
        client.cookies.clear()
        return {line: str(test_guards.ask(client, line, names, "")) for line in MACHINES}

    assert ask(other) == dict.fromkeys(MACHINES, "404")
    assert {line: status for line, status in ask(mine).items() if status not in ("200", "201", "422")} == {}
