"""The demonstration: people, calls and a dozen synthetic submissions, all made through the domain like any other."""

import os
import secrets
from datetime import timedelta
from io import BytesIO
from itertools import cycle, islice
from typing import Any

import yaml
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app import rehearsed
from app.deps import Portal
from app.domain import (
    accounts,
    attachments,
    callfile,
    calls,
    drafts,
    factors,
    keys,
    prints,
    releases,
    seals,
    submissions,
)
from app.domain.access import SYSTEM, Actor
from app.infra import database, pdf
from app.infra.places import place
from app.models import Call, Person
from app.settings import Settings

CALL = place("calls") / "aigf-eoi.yaml"
OTHERS = ("ai-factory", "nl-poll")  # the calls beside it, as their files stand
SAMPLES = place("calls") / "samples" / "aigf-eoi.yaml"
REHEARSAL = "aigf-rehearsal"
BATCH = 25  # synthetic submissions made in one transaction
COMPANY, STATE = "company@demo.example", "ministry@demo.example"
STAFF = {
    "reviewer@demo.example": "reviewer",
    "reviewer2@demo.example": "reviewer",
    "reviewer3@demo.example": "reviewer",
    "coordinator@demo.example": "coordinator",
    "coordinator2@demo.example": "coordinator",
    "admin@demo.example": "admin",
}


def prepare(portal: Portal, owner_url: str) -> None:
    """Make what is not there yet. A second start finds everything and does nothing."""
    key_file = portal.settings.data / "demo-api-key"
    with portal.sessions.begin() as db:
        if db.scalar(select(Call).where(Call.code == REHEARSAL)) is not None and key_file.exists():
            return
        for email, role in STAFF.items():
            person = accounts.invite_staff(db, email, role, name=email.split("@")[0].title())
            factors.issue_app(db, person.id, "Demonstration")
        _person(db, COMPANY, "Demo Company")
        accounts.invite_state(db, SYSTEM, "NL", "Ministerie van Economische Zaken", STATE, portal.settings.base_url)
    definition = callfile.load(CALL)
    code = str(definition["code"])
    _publish(owner_url, definition, code)
    for other in OTHERS:
        _publish(owner_url, callfile.load(place("calls") / f"{other}.yaml"), other)
    _publish(owner_url, definition, REHEARSAL, synthetic=True, release="by_coordinator")
    with portal.sessions.begin() as db:
        _fill(portal, db, calls.by_code(db, REHEARSAL))
    _close(owner_url, REHEARSAL)
    with portal.sessions.begin() as db:
        _release(portal, db, calls.by_code(db, REHEARSAL))
        rehearsed.work(db, calls.by_code(db, REHEARSAL), portal.settings.base_url)
        rehearsed.disclose(db, calls.by_code(db, REHEARSAL), portal.settings.base_url)
    key = _issue(owner_url, [code, REHEARSAL, *OTHERS])
    handle = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(key)


def sandbox(portal: Portal, owner_url: str, code: str, number: int, back: int, by: Actor) -> dict[str, Any]:
    """A call for those who write a client: so many synthetic submissions with files, sealed and released, some taken back.

    `by` is the coordinator who takes them back. The key that comes with it is for this call alone.
    """
    _publish(owner_url, callfile.load(CALL), code, synthetic=True, release="at_seal")
    for start in range(0, number, BATCH):
        with portal.sessions.begin() as db:
            _fill(portal, db, calls.by_code(db, code), f"{code}-{start}-", min(BATCH, number - start))
    _close(owner_url, code)
    with portal.sessions.begin() as db:
        call, base_url = calls.by_code(db, code), portal.settings.base_url
        seals.seal(db, call, portal.signer, seals.Setting(base_url, None))
        released = [row.submission.reference for row in releases.listed(db, by, call, "released", limit=number).rows]
        if gone := released[:back]:
            releases.take_back(db, by, gone, "The sandbox shows what is taken back.", base_url)
    key = _issue(owner_url, [code])
    return {"call": code, "key": key, "submitted": number, "released": len(released), "taken_back": len(gone)}


def announce(settings: Settings) -> None:
    """Say how to get in."""
    key = (settings.data / "demo-api-key").read_text()
    base = settings.base_url
    print(
        f"""
The portal is at {base}
  as a company       sign in at {base}/account/sign-in as {COMPANY}, or any other address
  as a member state  sign in as {STATE}
  as RVO staff       sign in as {", ".join(STAFF)}
                     their second factor is shown on the page that asks for it: no app is needed here
  the mails          {base}/demo/mail shows them: the sign-in links are there
  as EuroHPC         curl -H "Authorization: Bearer {key}" {base}/api/v1/calls/{REHEARSAL}/submissions
Ctrl-C stops it; the data stay in {settings.data}
""",
        flush=True,
    )


def _publish(
    owner_url: str, definition: dict[str, Any], code: str, synthetic: bool = False, release: str | None = None
) -> None:
    engine = database.engine(owner_url)
    with database.sessions(engine).begin() as db:
        if db.scalar(select(Call).where(Call.code == code)) is None:
            now = calls.clock(db)
            closes_at = calls.next_occurrence(definition["closes"], definition["zone"], now)
            closes_at = now + timedelta(hours=1) if synthetic else closes_at
            calls.publish(db, definition, now, closes_at, code, synthetic, release)
    engine.dispose()


def _close(owner_url: str, code: str) -> None:
    """End the rehearsal now that its submissions are in, as the owner: nobody is waiting for its deadline."""
    engine = database.engine(owner_url)
    with database.sessions(engine).begin() as db:
        db.execute(text("update call set closes_at = clock_timestamp() where code = :code"), {"code": code})
    engine.dispose()


def _release(portal: Portal, db: Session, call: Call) -> None:
    """Seal the rehearsal, and give EuroHPC what was consented to, but for some firms that wait for a coordinator.

    Of these the desk has worked on two, as `rehearsed` does with the first ones, and has yet to begin on two.
    """
    base_url = portal.settings.base_url
    seals.seal(db, call, portal.signer, seals.Setting(base_url, None))
    coordinator = _person(db, "coordinator@demo.example", "")
    ready = {
        row.submission.reference: row.submission.kind for row in releases.listed(db, coordinator, call, "ready").rows
    }
    firms = [reference for reference, kind in ready.items() if kind == "FC"]
    releases.release_some(db, coordinator, ready.keys() - {*firms[:2], *firms[4:6]}, base_url)


def _issue(owner_url: str, codes: list[str]) -> str:
    """A key, as the operator of the machine issues one."""
    engine = database.engine(owner_url)
    with database.sessions(engine).begin() as db:
        text_of_key = keys.issue(db, SYSTEM, "EuroHPC (demonstration)", codes, list(keys.SCOPES))[1]
    engine.dispose()
    return text_of_key


def samples() -> dict[str, Any]:
    """The synthetic answers beside the call file."""
    found: dict[str, Any] = yaml.safe_load(SAMPLES.read_text(encoding="utf-8"))
    return found


def _fill(portal: Portal, db: Session, call: Call, prefix: str = "sample", wanted: int | None = None) -> None:
    """The samples as they are; or so many of them, over again, without the member states, which respond but once."""
    given = samples()
    repeated = cycle(variant for variant in given["variants"] if variant["kind"] != "MS")
    for number, variant in enumerate(islice(repeated, wanted) if wanted else given["variants"], start=1):
        kind, name = variant["kind"], variant["organisation"]
        email = f"{prefix}{number}@demo.example"
        actor = _person(db, email, f"Sample {number}")
        if kind == "MS":
            accounts.invite_state(db, SYSTEM, variant["country"], name, email, portal.settings.base_url)
        else:
            accounts.describe_organisation(db, actor, name, variant["country"], None)
        db.flush()
        actor = accounts.actor_for(db, db.get_one(Person, actor.person_id))
        case = submissions.start(db, actor, call, actor.memberships[0].organisation_id, kind)
        fill(db, actor, case, given, variant, email)
        for question, names in given["files"].get(kind, {}).items():
            for file in names:
                attachments.attach(db, portal.files, actor, case, question, file, BytesIO(_document(call, kind)))
        submissions.submit(
            db, actor, case.reference, secrets.token_hex(8), "en", portal.signer, portal.settings.base_url
        )
        db.flush()


def fill(db: Session, actor: Actor, case: Any, given: dict[str, Any], variant: dict[str, Any], email: str) -> None:
    """Save the sample answers of a kind step by step, with the changes of a variant."""
    changes = variant.get("changes", {}) | {"contact_email": email}
    for step, answers in given[case.kind].items():
        changed = {name: value for name, value in changes.items() if name in answers}
        drafts.save_step(db, actor, case, step, 0, answers | changed, {})
    drafts.save_step(db, actor, case, drafts.CHECK, 0, variant.get("reasons", {}), {})


def _person(db: Session, email: str, name: str) -> Actor:
    person = accounts.find_person(db, email)
    if person is None:
        person = Person(email=email, name=name, email_verified_at=func.clock_timestamp())
        db.add(person)
        db.flush()
    return accounts.actor_for(db, person)


def _document(call: Call, kind: str) -> bytes:
    """A real PDF to attach: the blank form of the call itself."""
    return pdf.render("blank_form", prints.blank_form(call, calls.questions(call), kind, "en"), call.opens_at)
