"""Factories for tests. They come in by the front door: a submission is made as a person would make it."""

import hashlib
import re
import secrets
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pikepdf
from sqlalchemy import event, func, insert, select, text, update
from sqlalchemy.orm import Session

from app.domain import (
    accounts,
    assignments,
    attachments,
    attempts,
    balancing,
    budgets,
    callfile,
    calls,
    clarifications,
    conflicts,
    decisions,
    disclosures,
    drafts,
    hearings,
    keys,
    participations,
    reconciliations,
    redaction,
    references,
    refusals,
    retention,
    scores,
    seals,
    signoffs,
    submissions,
    support,
    versions,
    webhooks,
    withdrawals,
)
from app.domain.access import SYSTEM, Actor
from app.domain.errors import CallClosed
from app.domain.participations import Wish
from app.domain.undertakings import Wish as LetterWish
from app.infra import pdf, times
from app.infra.files import FileStore
from app.infra.signing import Signer
from app.models import (
    ApiKey,
    Call,
    Clarification,
    Destruction,
    DisclosureSet,
    Leaf,
    Organisation,
    OutboxMessage,
    Person,
    Release,
    Seal,
    Submission,
    SupportLetter,
    Version,
    Webhook,
)

HERE = Path(__file__).parent
ISSUER = "http://testserver"

ANSWERS: dict[str, dict[str, dict[str, Any]]] = {
    "FC": {
        "summary": {"title": "Delta compute", "abstract": "Compute by the sea.", "contact_email": "lead@firm.example"},
        "members": {
            "members": [
                {
                    "legal_name": "Delta BV",
                    "country": "NL",
                    "owners": [{"name": "A. Holder", "share": "60"}, {"name": "B. Holder", "share": "40"}],
                }
            ]
        },
        "finance": {"capex_total": "4000000000.00", "public_money": "1400000000.00", "starts_on": "2028-01-01"},
        "documents": {},
        "declarations": {"consent_eurohpc": True, "confidential_sections": ["finance"]},
    },
    "MS": {
        "summary": {"title": "A state takes part", "contact_email": "lead@firm.example"},
        "finance": {"capex_total": "100000000.00"},
        "documents": {},
        "declarations": {"confidential_sections": ["finance"]},
    },
    "OO": {
        "summary": {"title": "A university joins", "contact_email": "lead@firm.example"},
        "members": {"members": [{"legal_name": "Universiteit X", "country": "NL", "owners": []}]},
        "documents": {},
        "declarations": {"consent_eurohpc": True, "confidential_sections": []},
    },
}


def definition(name: str = "small") -> dict[str, Any]:
    """A call file, checked: the small one of the tests, or one of calls/. The caller's own, to change."""
    return deepcopy(_definition(name))


@cache
def _definition(name: str) -> dict[str, Any]:
    path = HERE / "small.yaml" if name == "small" else HERE.parent / "calls" / f"{name}.yaml"
    return callfile.load(path)


@contextmanager
def owner(db: Session) -> Iterator[None]:
    """As the owner role within a test's transaction, to do what the serving role may not."""
    db.flush()
    db.execute(text("set local role eoi_owner"))
    yield
    db.flush()
    db.execute(text("set local role eoi_app"))


def call(
    db: Session,
    closes_in: float = 3600,
    opens_in: float = -3600,
    code: str | None = None,
    of: dict[str, Any] | None = None,
) -> Call:
    """A published call whose window is given in seconds from now."""
    with owner(db):
        now = calls.clock(db)
        opens_at, closes_at = now + timedelta(seconds=opens_in), now + timedelta(seconds=closes_in)
        opens_at = min(opens_at, closes_at - timedelta(seconds=1))
        name = code or f"call-{secrets.token_hex(4)}"
        return calls.publish(db, of or definition(), opens_at, closes_at, name, is_synthetic=True)


def move_deadline(db: Session, call: Call, closes_in: float) -> None:
    """Move the deadline, not the clock."""
    with owner(db):
        closes_at = calls.clock(db) + timedelta(seconds=closes_in)
        opens_at = func.least(Call.opens_at, closes_at - timedelta(seconds=1))
        db.execute(update(Call).where(Call.id == call.id).values(closes_at=closes_at, opens_at=opens_at))
    db.expire(call)


def seal(db: Session, call: Call, signer: Signer) -> Seal:
    """The seal of a call that has closed."""
    return seals.seal(db, call, signer, seals.Setting(ISSUER, None))


def close(db: Session, call: Call) -> None:
    """The cutoff passes and the database seals the call, which releases its content; the seal is not signed."""
    move_deadline(db, call, 0)
    db.execute(select(func.seal_call(call.id)))
    db.expire(call)


def number(db: Session) -> None:
    """What a commit does at its end: the entries of the feed get their numbers."""
    db.flush()
    db.execute(text("set constraints all immediate"))
    db.execute(text("set constraints all deferred"))


def release(db: Session, case: Submission) -> None:
    """A coordinator gives a sealed submission to EuroHPC."""
    version = select(Leaf.version_id).where(Leaf.submission_id == case.id).scalar_subquery()
    db.execute(insert(Release).values(submission_id=case.id, version_id=version, released_by=_coordinator(db)))


def take_back(db: Session, case: Submission) -> None:
    """And takes it back."""
    live = Release.submission_id == case.id, Release.taken_back_at.is_(None)
    said = {"taken_back_at": func.now(), "taken_back_by": _coordinator(db), "reason": "So."}
    db.execute(update(Release).where(*live).values(**said).execution_options(synchronize_session=False))


def _coordinator(db: Session) -> Any:
    return person(db, "releases@rvo.example", staff="coordinator").person_id


def person(db: Session, email: str = "lead@firm.example", name: str = "Lee Lead", staff: str | None = None) -> Actor:
    """A person who has signed in once."""
    found = accounts.find_person(db, email)
    if found is None:
        found = Person(email=email, name=name)
        db.add(found)
        db.flush()
    found.email_verified_at = func.clock_timestamp()
    if staff:
        accounts.invite_staff(db, email, staff)
    db.flush()
    return accounts.actor_for(db, found)


def organisation(
    db: Session, actor: Actor, name: str = "Delta BV", country: str = "NL", state: bool = False
) -> tuple[Organisation, Actor]:
    """An organisation that the actor owns, and the actor as they are from now on."""
    if state:
        found = accounts.invite_state(db, SYSTEM, country, name, actor.email, ISSUER)
    else:
        found = accounts.describe_organisation(db, actor, name, country, None)
    db.flush()
    return found, accounts.actor_for(db, db.get_one(Person, actor.person_id))


def fill(db: Session, actor: Actor, submission: Submission, changes: dict[str, Any] | None = None) -> None:
    """Save each step of the sample answers, with `changes` by question."""
    revisions = {step: draft.revision for step, draft in drafts.saved(db, submission).items()}
    for step, answers in ANSWERS[submission.kind].items():
        changed = {name: value for name, value in (changes or {}).items() if name in answers}
        drafts.save_step(db, actor, submission, step, revisions.get(step, 0), answers | changed, {})


def submission(
    db: Session,
    call: Call | None = None,
    actor: Actor | None = None,
    kind: str = "FC",
    sent: bool = False,
    signer: Signer | None = None,
    **changes: Any,
) -> tuple[Submission, Actor]:
    """A filled-in case of a fresh organisation; with `sent`, submitted as version 1."""
    actor = actor or person(db)
    body, actor = organisation(db, actor, state=kind == "MS", name=f"Org {secrets.token_hex(3)}")
    case = submissions.start(db, actor, call or globals()["call"](db), body.id, kind)
    fill(db, actor, case, changes)
    if sent:
        if signer is None:
            raise ValueError("a sent submission needs a signer")
        send(db, actor, case, signer)
    return case, actor


def send(db: Session, actor: Actor, case: Submission, signer: Signer, key: str | None = None) -> Version:
    """Submit the draft."""
    number = submissions.submit(db, actor, case.reference, key or secrets.token_hex(8), "en", signer, ISSUER)
    return versions.one(db, case, number)


def refused(db: Session, actor: Actor, case: Submission, signer: Signer) -> str:
    """The reference of a late attempt with its signed refusal, as the pages write it down."""
    now = calls.clock(db)
    press = attempts.Press(references.new(now), case.reference, CallClosed.code, "late", now, actor.person_id)
    attempt = attempts.write(db, press)
    if attempt is None or refusals.sign(db, attempt, times.iso(now), signer, ISSUER) is None:
        raise LookupError("the attempt is nobody's")
    return attempt.reference


def key(db: Session, call: Call, *scopes: str) -> str:
    """The text of an API key for the call."""
    return issued(db, [call.code], *scopes)[1]


def issued(db: Session, codes: list[str], *scopes: str, **more: Any) -> tuple[ApiKey, str]:
    """A key with its text, as the operator of the machine issues one."""
    with owner(db):
        return keys.issue(
            db, SYSTEM, "EuroHPC", codes, list(scopes) or ["submissions:read", "attachments:read"], **more
        )


def agreed(db: Session, codes: list[str], *scopes: str, **more: Any) -> tuple[ApiKey, str | None]:
    """A credential as two people issue one; with its text, unless it has none."""
    first = person(db, "admin@rvo.example", "Ada Admin", staff="admin")
    second = person(db, "coordinator@rvo.example", "Co Ordinator", staff="coordinator")
    wish = keys.Wish("EuroHPC", codes, list(scopes) or ["submissions:read"], **more)
    made = keys.propose(db, first, wish)
    keys.approve(db, second, made.id)
    return (made, None) if made.kind == "client_key" else keys.collect(db, first, made.id)


def webhook(db: Session, call: Call, url: str, *events: str, root_key: bytes = b"x" * 32) -> tuple[Webhook, str]:
    """A webhook as two people register one, with its secret."""
    first = person(db, "admin@rvo.example", "Ada Admin", staff="admin")
    second = person(db, "coordinator@rvo.example", "Co Ordinator", staff="coordinator")
    wish = webhooks.Wish("EuroHPC", url, list(events or webhooks.EVENTS))
    made = webhooks.propose(db, first, call, wish, may_be_plain=True)
    webhooks.approve(db, second, made.id)
    return made, webhooks.new_secret(db, first, made.id, root_key)


def invite(db: Session, actor: Actor, organisation_id: uuid.UUID, email: str, role: str) -> None:
    """A colleague with a role."""
    accounts.invite_colleague(db, actor, organisation_id, email, role, ISSUER)
    db.flush()


def takes_part(db: Session, inviter: Actor, case: Submission, wish: Wish) -> Actor:
    """Somebody who was invited to one submission, and accepted by the link in the mail."""
    guest = person(db, wish.email, "Gu Est")
    participations.invite(db, inviter, case, wish, ISSUER)
    said = db.scalars(select(OutboxMessage.text).where(OutboxMessage.recipient == wish.email)).all()
    found = re.findall(r"/invitations/([\w-]+)", " ".join(said))
    participations.accept(db, guest, found[-1])
    return accounts.actor_for(db, db.get_one(Person, guest.person_id))


@cache
def document() -> bytes:
    """A real PDF."""
    made = BytesIO()
    with pikepdf.new() as pdf:
        pdf.add_blank_page()
        pdf.save(made)
    return made.getvalue()


def attach(db: Session, files: FileStore, actor: Actor, case: Submission, question: str = "proposal") -> Any:
    """A real PDF given as answer."""
    return attachments.attach(db, files, actor, case, question, "proposal.pdf", BytesIO(document()))


def attach_another(db: Session, files: FileStore, actor: Actor, case: Submission, question: str, number: int) -> Any:
    """A PDF like no other."""
    made = BytesIO()
    with pikepdf.new() as paper:
        paper.add_blank_page(page_size=(100 + number, 100))
        paper.save(made)
    made.seek(0)
    return attachments.attach(db, files, actor, case, question, f"annex-{number:02d}.pdf", made)


def fill_more(db: Session, actor: Actor, case: Submission, step: str, answers: dict[str, Any]) -> None:
    """Save further answers of a step that was saved before."""
    saved = drafts.saved(db, case)[step]
    drafts.save_step(db, actor, case, step, saved.revision, saved.answers | answers, {})


def disclosed(
    db: Session, actor: Actor, other: Actor, case: Submission, files: FileStore, signer: Signer
) -> DisclosureSet:
    """A request to disclose a dossier of a sealed call: heard, decided by two coordinators, and its set produced."""
    for one in (actor, other):
        free(db, one, case)
    request = disclosures.start(db, other, case.call, "Who filed?", date(2026, 1, 5))
    disclosures.add(db, other, request, [case.reference])

    def found() -> disclosures.Item:
        db.flush()
        return disclosures.item(db, other, request, case.reference)

    version = found().item.version
    sections = redaction.suggested(calls.questions_of(db, version.definition_digest), version)
    disclosures.propose(db, other, found(), sections)
    hearings.ask(db, other, found(), 14, ISSUER)
    member = accounts.actor_for(db, db.get_one(Person, case.created_by))
    hearings.answer(db, member, case, found(), dict.fromkeys(sections, (True, "")))
    decisions.decide(db, other, found(), sections, "As marked.")
    decisions.confirm(db, actor, found())

    def draw(data: Any) -> bytes:
        return pdf.render("disclosed", data, request.registered_at)

    return decisions.produce(db, files, other, request, "en", draw, signer, ISSUER)


def beyond_its_term(db: Session) -> Call:
    """A sealed call of long ago that holds a draft which was never submitted."""
    call: Call = globals()["call"](db)
    case, _ = submission(db, call, person(db))
    close(db, call)
    with owner(db):
        for table, columns, whose in (
            ("draft", ("saved_at",), "submission_id = :case"),
            ("call", ("opens_at", "closes_at", "sealed_at"), "id = :call"),
        ):
            db.execute(text(f"alter table {table} disable trigger user"))
            moved = ", ".join(f"{column} = {column} - interval '2 years'" for column in columns)
            db.execute(text(f"update {table} set {moved} where {whose}"), {"case": case.id, "call": call.id})
            db.execute(text(f"alter table {table} enable trigger user"))
    db.expire_all()
    return call


def destroyed(db: Session, actor: Actor, other: Actor, signer: Signer) -> Destruction:
    """The drafts of a call of long ago, destroyed by two coordinators."""
    call = beyond_its_term(db)
    made = retention.propose(db, other, call, "drafts")
    retention.confirm(db, actor, call, made.id, signer, ISSUER)
    return made


def withdraw(db: Session, actor: Actor, case: Submission) -> None:
    """The submitter withdraws."""
    withdrawals.withdraw(db, actor, case, "Our plans changed.", ISSUER)


def state_conflict(db: Session, actor: Actor, case: Submission) -> None:
    """The actor, staff, states that they have a conflict about the dossier."""
    conflicts.state(db, actor, case, "conflict", "My sister works there.")


def free(db: Session, actor: Actor, case: Submission) -> None:
    """The actor, staff, states that they have no interest in the dossier, so that it opens to them."""
    conflicts.state(db, actor, case, "none", "")


def letter(db: Session, files: FileStore, state: Actor, case: Submission, sort: str = "commitment") -> SupportLetter:
    """A letter with its document that a member state gives to a consortium."""
    at = budgets.workspace(
        db, state, case.call.code, str(next(m.state_code for m in state.memberships if m.state_code))
    )
    file = vars(taken(db, files))
    wish = LetterWish(
        sort, Decimal("5.00"), "1", "national", "none", "", "M. Inister", "Minister", date(2027, 5, 2), (file,)
    )
    return support.begin(db, state, at, case, secrets.token_hex(8), wish, True, ISSUER)


def asked(db: Session, case: Submission, days: int = 7, words: str = "Which address is right?") -> Clarification:
    """A question that a reviewer asked about a dossier of a sealed call, due at the end of a day from today."""
    reviewer = person(db, "asker@rvo.example", staff="reviewer")
    free(db, reviewer, case)
    due_on = (calls.clock(db) + timedelta(days=days)).date()
    return clarifications.ask(db, reviewer, case, version_of(db, case), "contact_details", words, due_on, ISSUER)


def make_due(db: Session, asked: Clarification, seconds: float) -> None:
    """Move the day on which a question is due, not the clock; `asked_at` goes before it where need be."""
    with owner(db):
        db.execute(text("alter table clarification disable trigger clarification_guard"))
        db.execute(
            text(
                "update clarification set due_at = clock_timestamp() + make_interval(secs => :s),"
                " asked_at = least(asked_at, clock_timestamp() + make_interval(secs => :s - 1)) where id = :id"
            ),
            {"s": seconds, "id": asked.id},
        )
        db.execute(text("alter table clarification enable trigger clarification_guard"))
    db.expire(asked)


def taken(db: Session, files: FileStore, name: str = "proof.pdf") -> attachments.Taken:
    """A real PDF, checked and kept, to go with an answer."""
    return attachments.take_in(db, files, name, BytesIO(document()))


def readers(db: Session, case: Submission) -> tuple[Actor, Actor, Actor]:
    """A coordinator with the two readers whom they assigned to a dossier; all three stated no conflict."""
    coordinator = person(db, "co@rvo.example", "Co Ordinator", staff="coordinator")
    first = person(db, "first@rvo.example", "Fir St", staff="reviewer")
    second = person(db, "second@rvo.example", "Sec Ond", staff="reviewer")
    for seat, actor in (("first", first), ("second", second)):
        if actor.person_id:
            assignments.assign(db, coordinator, case, seat, actor.person_id, None, "", ISSUER)
    for actor in (coordinator, first, second):
        free(db, actor, case)
    return coordinator, first, second


def given_at_once(db: Session, coordinator: Actor, case: Submission) -> str:
    """Both seats divided over the coordinator and a reviewer, who has stated no conflict; the id of that batch."""
    second = person(db, "second@rvo.example", "Sec Ond", staff="reviewer")
    people = [p for p in assignments.staff(db) if p.id in (coordinator.person_id, second.person_id)]
    digest = balancing.plan(db, coordinator, case.call, people).digest
    batch = balancing.apply(db, coordinator, case.call, people, digest, None, ISSUER)
    free(db, second, case)
    return str(batch)


POINTS = {"quality": "4", "impact": "7.5", "money": "3"}


def hand_in(db: Session, actor: Actor, case: Submission, argument: str = "It is sound.", **points: str) -> None:
    """A reader scores every criterion of the small call and hands in."""
    given: dict[str, tuple[Decimal | None, str]] = {
        name: (Decimal(text), argument) for name, text in (POINTS | points).items()
    }
    scores.save(db, actor, case, given)
    scores.hand_in(db, actor, case, calls.questions(case.call).review.criteria_for(case.kind))
    db.flush()


def reconcile(db: Session, writer: Actor, second: Actor, case: Submission, argument: str = "We agree.") -> None:
    """Both readers are in: one writes what they come to, the other agrees."""
    criteria = calls.questions(case.call).review.criteria_for(case.kind)
    typed: dict[str, tuple[Decimal | None, str]] = {c.name: (Decimal(POINTS[c.name]), argument) for c in criteria}
    written = reconciliations.write(db, writer, case, criteria, typed)
    reconciliations.agree(db, second, case, str(written.id))
    db.flush()


def sign_off(db: Session, first: Actor, second: Actor, case: Submission) -> None:
    """A dossier through all of its work: scored, reconciled, recommended, signed."""
    hand_in(db, first, case)
    hand_in(db, second, case, money="2")
    reconcile(db, first, second, case)
    written = signoffs.recommend(db, first, case, calls.questions(case.call), "pass_on", "It is ready.")
    signoffs.sign(db, second, case, calls.questions(case.call), str(written.id))
    db.flush()


def version_of(db: Session, case: Submission) -> Version:
    """The last version of a case."""
    return (
        db.scalars(select(Version).where(Version.submission_id == case.id).order_by(Version.number.desc())).first()
        or _none()
    )


def _none() -> Version:
    raise LookupError("nothing was submitted")


def sha256(content: bytes) -> str:
    """The digest of bytes, hex."""
    return hashlib.sha256(content).hexdigest()


@dataclass
class Queries:
    """How many statements a session has sent."""

    number: int = 0


@contextmanager
def counted(db: Session) -> Iterator[Queries]:
    """Count the statements sent meanwhile."""
    found = Queries()

    def count(*_: Any) -> None:
        found.number += 1

    event.listen(db.get_bind(), "before_cursor_execute", count)
    yield found
    event.remove(db.get_bind(), "before_cursor_execute", count)
