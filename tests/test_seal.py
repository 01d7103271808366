"""The seal: everybody in time is in it, nobody else, once; and what an owner or superuser changes afterwards shows."""

import random
import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app import background
from app.deps import Portal
from app.domain import (
    calls,
    erasure,
    heads,
    merkle,
    proofs,
    seals,
    statements,
    submissions,
    verification,
    versions,
    withdrawals,
)
from app.domain.access import SYSTEM
from app.domain.errors import CallNotClosed, CallSealed, CallStillOpen, LastOwner, refusal_of
from app.infra import clock
from app.infra.postgres import Cluster
from app.infra.signing import Signer
from app.models import Call, Event, Head, Leaf, OutboxMessage, Person, Seal, Submission, Version
from tests import make
from tests.test_cutoff import database_of, prepare, press_submit, publish, set_window

SETTING = seals.Setting(make.ISSUER, None)


def closed(db: Session, signer: Signer) -> Call:
    """A closed call with one standing, one replaced and one withdrawn submission, and a draft that was never sent."""
    call = make.call(db)
    make.submission(
        db, call, make.person(db, "one@firm.example"), sent=True, signer=signer, contact_email="one@firm.example"
    )
    case, actor = make.submission(
        db, call, make.person(db, "two@firm.example"), sent=True, signer=signer, contact_email="two@firm.example"
    )
    make.fill(db, actor, case, {"title": "Changed", "contact_email": "two@firm.example"})
    make.send(db, actor, case, signer)
    case, actor = make.submission(
        db, call, make.person(db, "three@firm.example"), sent=True, signer=signer, contact_email="three@firm.example"
    )
    withdrawals.withdraw(db, actor, case, "Changed our mind", make.ISSUER)
    make.submission(db, call, make.person(db, "four@firm.example"))
    make.move_deadline(db, call, -0.000001)
    return call


def sealed(db: Session, signer: Signer) -> tuple[Call, Seal]:
    call = closed(db, signer)
    return call, seals.seal(db, call, signer, SETTING)


def refusal(db: Session, statement: str, **params: Any) -> str:
    nested = db.begin_nested()
    with pytest.raises(DBAPIError) as failure:
        db.execute(text(statement), params)
    nested.rollback()
    found = refusal_of(failure.value)
    return found.code if found else str(getattr(failure.value.orig, "sqlstate", ""))


def test_a_call_is_not_sealed_before_its_cutoff(db: Session, signer: Signer) -> None:
    call = make.call(db)
    assert refusal(db, "select seal_call(:c)", c=call.id) == CallStillOpen.code
    assert seals.due(db) == []
    with pytest.raises(CallNotClosed):
        seals.document(db, call)


def test_the_seal_counts_what_stands_and_what_was_withdrawn_and_nothing_else(db: Session, signer: Signer) -> None:
    call, made = sealed(db, signer)
    said = made.body
    assert (said["count"], said["withdrawn"], said["size"]) == (2, 1, 3)
    assert said["last_received_at"] is not None
    assert said["definition"] == call.definition_digest
    rows = db.execute(
        select(Leaf.state, Version.number).join(Version, Version.id == Leaf.version_id).order_by(Version.number)
    ).all()
    assert sorted(tuple(r) for r in rows) == [("standing", 1), ("standing", 2), ("withdrawn", 1)]
    assert verification.run(db) == [] or "deadline" in verification.run(db)[0]


def test_the_leaves_of_the_database_are_the_bytes_that_the_format_says(db: Session, signer: Signer) -> None:
    call, made = sealed(db, signer)
    leaves = seals.hashes(db, call)
    assert leaves == sorted(leaves)
    assert merkle.root(leaves) == made.body["root"]
    for leaf in seals.manifest(db, call):
        proof = seals.require_proof(db, leaf.submission)
        assert merkle.leaf(statements.canonical(proof["leaf"])) == leaf.hash
        assert merkle.root_from(leaf.hash, proof["index"], proof["size"], proof["path"]) == made.body["root"]


def test_sealing_twice_gives_the_same_seal_and_nothing_moves_any_more(db: Session, signer: Signer) -> None:
    call, made = sealed(db, signer)
    assert seals.seal(db, call, signer, SETTING) is made
    assert refusal(db, "select seal_call(:c)", c=call.id) == CallSealed.code
    assert seals.due(db) == []
    with make.owner(db):
        moved = refusal(db, "update call set closes_at = closes_at + interval '1 day' where id = :c", c=call.id)
        opened = refusal(db, "update call set sealed_at = null where id = :c", c=call.id)
        dropped = refusal(db, "delete from call where id = :c", c=call.id)
    assert (moved, opened, dropped) == (CallSealed.code, CallSealed.code, "immutable")
    for attack in (
        "update seal set jws = ''",
        "delete from seal",
        "truncate seal",
        "update leaf set salt = null",
        "delete from leaf",
        "insert into leaf select call_id, 99, submission_id, version_id, state, salt, hash from leaf limit 1",
        "update head set count = 0",
        "delete from head",
    ):
        assert refusal(db, attack) == "42501", attack  # the serving role has no such right
        with make.owner(db):
            assert refusal(db, attack) in ("immutable", "23505"), attack  # and the owner is stopped too


def test_coordinators_and_eurohpcs_contact_are_told(db: Session, signer: Signer) -> None:
    call = closed(db, signer)
    make.person(db, "coordinator@rvo.example", staff="coordinator")
    make.person(db, "reviewer@rvo.example", staff="reviewer")
    seals.seal(db, call, signer, seals.Setting(make.ISSUER, None, "desk@eurohpc.example"))
    told = db.scalars(select(OutboxMessage.recipient).where(OutboxMessage.purpose == "seal")).all()
    assert sorted(told) == ["coordinator@rvo.example", "desk@eurohpc.example"]


def test_a_receipt_with_its_proof_is_checked_against_the_seal(db: Session, signer: Signer) -> None:
    call, _ = sealed(db, signer)
    jwks, seal = signer.jwks(), seals.document(db, call)
    for leaf in seals.manifest(db, call):
        every = versions.of_submission(db, leaf.submission)
        for version in every:
            kept = version.receipt
            given = statements.document(kept.body, kept.jws, proof=seals.proof(db, leaf.submission))
            verdict = proofs.verify(given, jwks, seal)
            wanted = proofs.INCLUDED if version is every[-1] else proofs.REPLACED
            assert (verdict.outcome, verdict.sentence.msgid) == ("valid", wanted)


def test_a_seal_from_which_one_submission_was_taken_no_longer_fits_anybody(db: Session, signer: Signer) -> None:
    call, made = sealed(db, signer)
    leaf = seals.manifest(db, call)[0]
    kept = make.version_of(db, leaf.submission).receipt
    given = statements.document(kept.body, kept.jws, proof=seals.proof(db, leaf.submission))
    fewer = seals.hashes(db, call)[1:]
    body = made.body | {"root": merkle.root(fewer), "size": len(fewer)}
    other = statements.document(body, statements.sign(signer, body), leaves=fewer)
    assert proofs.verify(other, signer.jwks()).outcome == "valid"  # the portal would have to sign two different seals
    assert proofs.verify(given, signer.jwks(), other).outcome == "invalid"


def test_chronys_report_is_taken_as_it_is() -> None:
    line = "C0A80101,192.0.2.1,3,1813503483.2,0.000012345,-0.0000031,0.00002,1.2,0.001,0.02,0.011,0.0004,64.2,Normal"
    assert clock.parsed(line) == {
        "source": "chrony",
        "stratum": "3",
        "system_offset_seconds": "0.000012345",
        "root_delay_seconds": "0.011",
        "root_dispersion_seconds": "0.0004",
        "leap_status": "Normal",
    }
    assert clock.parsed("506 Cannot talk to daemon") is None


@pytest.mark.committed
@pytest.mark.parametrize("turn", range(3))
def test_sixty_writers_and_two_sealers_across_the_instant(
    committed_portal: Portal, cluster: Cluster, turn: int
) -> None:
    portal = committed_portal
    code = publish(portal, cluster)
    ready = prepare(portal, code, 60)
    instants: list[datetime] = []
    gate = threading.Barrier(22, lambda: instants.append(set_window(portal, cluster, code, 0.8)))

    def until_cutoff(early: float = 0) -> None:
        with portal.sessions.begin() as db:
            wait = "select pg_sleep(greatest(0, extract(epoch from :at - clock_timestamp()) - :early))"
            db.execute(text(wait), {"at": instants[0], "early": early})

    def write(share: list[tuple[Any, str]]) -> dict[str, str]:
        """The first press well before the cutoff, the second around it, the third after it."""
        before, around, after = share
        outcome = {before[1]: press_submit(portal, *before, secrets.token_hex(8))}
        gate.wait()
        for (actor, reference), early in ((around, random.uniform(-0.05, 0.15)), (after, 0)):
            until_cutoff(early)
            outcome[reference] = press_submit(portal, actor, reference, secrets.token_hex(8))
        return outcome

    def close() -> None:
        gate.wait()
        until_cutoff()
        background.seal_due(portal)

    with ThreadPoolExecutor(22) as pool:
        sealers = [pool.submit(close) for _ in range(2)]
        outcomes: dict[str, str] = {}
        for part in pool.map(write, [ready[i::20] for i in range(20)]):
            outcomes |= part
        for sealer in sealers:
            sealer.result()
    accepted = {reference for reference, outcome in outcomes.items() if outcome == "accepted"}
    assert 20 <= len(accepted) <= 40
    assert set(outcomes.values()) == {"accepted", "call_closed"}
    with portal.sessions.begin() as db:
        kept = select(Submission.reference).join(Leaf, Leaf.submission_id == Submission.id)
        assert set(db.scalars(kept)) == accepted
        assert all(at < instants[0] for at in db.scalars(select(Version.received_at)))
        assert db.scalar(select(func.count()).select_from(Seal)) == 1
        evidence = verification.Evidence(portal.files, portal.signer.jwks())
        assert verification.run(db, evidence) == []


@pytest.mark.committed
def test_a_session_that_holds_the_lock_is_ended_and_its_write_is_not_in_the_seal(
    committed_portal: Portal, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    portal = committed_portal
    monkeypatch.setattr(seals, "PATIENCE", 1)
    code = publish(portal, cluster)
    ((actor, reference),) = prepare(portal, code, 1)
    closes_at = set_window(portal, cluster, code, 0.7)
    hung = portal.sessions()
    case = submissions.load(hung, actor, reference)
    submissions.submit(hung, actor, case.reference, "never committed", "en", portal.signer, make.ISSUER)
    with portal.sessions.begin() as db:  # until the cutoff has passed, by the database's clock
        db.execute(text("select pg_sleep(greatest(0, extract(epoch from :at - clock_timestamp())))"), {"at": closes_at})
    assert background.seal_due(portal) == []  # waited its patience, then ended the session
    assert background.seal_due(portal) == [code]
    with pytest.raises(DBAPIError):
        hung.execute(text("select 1"))
    hung.invalidate()
    with portal.sessions.begin() as db:
        assert db.scalars(select(Leaf.hash)).all() == []


@pytest.mark.committed
def test_a_seal_that_takes_long_is_not_ended_by_another_process_that_would_seal(
    committed_portal: Portal, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    portal = committed_portal
    monkeypatch.setattr(seals, "PATIENCE", 1)
    code = publish(portal, cluster)
    set_window(portal, cluster, code, 0)
    with portal.sessions.begin() as slow:
        seals.seal(slow, calls.by_code(slow, code), portal.signer, SETTING)
        slow.execute(text("select pg_sleep(1.1)"))
        assert background.seal_due(portal) == []
        assert background.seal_due(portal) == []
        assert slow.scalar(text("select 1")) == 1
    assert background.seal_due(portal) == []
    with portal.sessions.begin() as db:
        assert db.scalar(select(func.count()).select_from(Seal)) == 1


@pytest.mark.committed
def test_a_fault_in_one_round_of_the_background_does_not_stop_the_next(
    committed_portal: Portal, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    portal, sealing, sealed = committed_portal, background.seal_due, threading.Event()
    code = publish(portal, cluster)
    set_window(portal, cluster, code, 0)
    faults = [RuntimeError("a fault of ours")]

    def falter(portal: Portal) -> list[str]:
        if faults:
            raise faults.pop()
        found = sealing(portal)
        if code in found:
            sealed.set()
        return found

    monkeypatch.setattr(background, "seal_due", falter)
    running = background.Background(portal)
    running.start()
    try:
        assert sealed.wait(timeout=20)
    finally:
        running.stop()
    with portal.sessions.begin() as db:
        assert db.scalar(select(func.count()).select_from(Seal)) == 1


def chain(db: Session) -> None:
    heads.link(db)
    db.expire_all()


def test_every_line_of_the_trail_gets_its_place_and_the_head_binds_them_all(db: Session, signer: Signer) -> None:
    make.submission(db, sent=True, signer=signer)
    head = heads.publish(db, signer, make.ISSUER)
    lines = db.scalars(select(Event).order_by(Event.position)).all()
    assert [line.position for line in lines] == list(range(1, len(lines) + 1))
    assert (head.count, head.chain) == (len(lines), lines[-1].chain)
    previous = heads.GENESIS
    for line in lines:
        previous = make.sha256(f"{line.position}:{previous}:{line.commitment}".encode())
        assert line.chain == previous
    assert heads.publish_daily(db, signer, make.ISSUER) is None  # the last one is not a day old
    assert proofs.verify(heads.published(db)[0], signer.jwks()).outcome == "valid"


def test_a_person_can_be_erased_and_the_chain_still_holds(db: Session, signer: Signer) -> None:
    case, actor = make.submission(db, sent=True, signer=signer)
    second = make.person(db, "second@firm.example", "Sam Second")
    assert actor.person_id is not None
    with pytest.raises(LastOwner):
        erasure.erase(db, SYSTEM, actor.person_id, "asked to")
    make.invite(db, actor, case.organisation_id, second.email, "owner")
    before = heads.publish(db, signer, make.ISSUER)
    emptied = erasure.erase(db, SYSTEM, actor.person_id, "asked to")
    assert emptied > 3
    person = db.get_one(Person, actor.person_id)
    assert (person.name, person.email) == ("", f"erased-{person.id}@erased.invalid")
    assert db.scalar(select(func.count()).select_from(Event).where(Event.person_id == person.id)) == 0
    assert db.scalar(select(func.count()).select_from(OutboxMessage).where(OutboxMessage.recipient == actor.email)) == 0
    chain(db)
    assert verification.run(db) == []
    assert db.scalar(select(Event.chain).where(Event.position == before.count)) == before.chain


ALTERED = {
    "a line of the trail is changed": (
        "update event set detail = '{{\"version\": 7}}' where position = 2",
        "Every line of the audit trail has the content that it was committed with, or was erased on record (position)."
        " Broken by 1, first 2.",
    ),
    "a line of the trail is changed with its commitment": (
        "update event e set detail = '{{}}', commitment = event_commitment(row(e.id, e.at, e.name, e.person_id,"
        " e.api_key_id, e.organisation_id, e.submission_id, e.call_id, '{{}}', e.request_id, e.salt, e.commitment,"
        " e.position, e.chain)::event) where position = 2",
        "The audit trail is one chain without a gap (position). Broken by 1, first 2.",
    ),
    "a line is taken out": (
        "delete from event where position = 2",
        "The audit trail is one chain without a gap (position). Broken by 1, first 3.",
    ),
    "the tail is cut off": (
        "delete from event where position >= (select max(count) from head) - 1",
        "The chain leads to every head that was published (count). Broken by {heads}, first {count}.",
    ),
    "a version is changed after the seal": (
        "update version set payload_sha256 = repeat('0', 64) where submission_id = (select submission_id from leaf limit 1)",
        "Every leaf has the digest of its version, state and salt.",
    ),
    "a submission is added to a sealed call": (
        "with c as (insert into submission (call_id, organisation_id, kind, reference, created_by) select call_id,"
        " organisation_id, 'OO', 'forged', created_by from submission limit 1 returning id, call_id)"
        " insert into version select gen_random_uuid(), c.id, v.call_id, 1, definition_digest, kind, language, title,"
        " is_consented, answers, files, findings, facts, payload_sha256, 'forged', submitted_by, received_at, null"
        " from version v, c limit 1",
        "The sealed set holds every submission with a version in time, once, with its last one. Broken by 1",
    ),
    "a leaf is taken out": (
        "delete from leaf where position = 1",
        "Every seal has the root and the counts of its leaves. Broken by 1",
    ),
    "the deadline is moved after the seal": (
        "update call set closes_at = closes_at + interval '1 hour'",
        "A sealed call has exactly one seal, and it states the call's own window and instant. Broken by 1",
    ),
    "the seal's words are changed": (
        "update seal set body = jsonb_set(body, '{{late_attempts}}', '9')",
        "Every signed statement in the database is as it was signed. Broken by 1, first seal",
    ),
    "a receipt is changed": (
        "update receipt set body = jsonb_set(body, '{{title}}', '\"Other\"') where version_id ="
        " (select version_id from leaf limit 1)",
        "Every signed statement in the database is as it was signed. Broken by 1, first receipt",
    ),
}


@pytest.mark.committed
@pytest.mark.parametrize("change", ALTERED, ids=lambda name: name.replace(" ", "-"))
def test_what_a_superuser_changes_is_named(committed_portal: Portal, cluster: Cluster, change: str) -> None:
    portal = committed_portal
    code = publish(portal, cluster)
    for actor, reference in prepare(portal, code, 3):
        assert press_submit(portal, actor, reference, "in time") == "accepted"
    set_window(portal, cluster, code, 0)
    assert background.seal_due(portal) == [code]
    evidence = verification.Evidence(portal.files, portal.signer.jwks())
    with portal.sessions.begin() as db:
        assert verification.run(db, evidence) == []
        head = db.scalars(select(Head).order_by(Head.id.desc())).first()
        assert head is not None
    statement, sentence = ALTERED[change]
    with psycopg.connect(cluster.superuser_url(database_of(portal))) as admin:
        admin.execute("set session_replication_role = 'replica'")  # no trigger fires for this one
        admin.execute(statement.format())
    with portal.sessions.begin() as db:
        broken = verification.run(db, evidence)
        wanted = sentence.format(count=head.count, heads=1)
        assert [line for line in broken if line.startswith(wanted)] != [], broken


@pytest.mark.committed
def test_a_lost_or_changed_file_is_named(committed_portal: Portal, cluster: Cluster) -> None:
    portal = committed_portal
    code = publish(portal, cluster)
    ((actor, reference),) = prepare(portal, code, 1)
    with portal.sessions.begin() as db:
        kept = make.attach(db, portal.files, actor, submissions.load(db, actor, reference))
    assert press_submit(portal, actor, reference, "in time") == "accepted"
    evidence = verification.Evidence(portal.files, portal.signer.jwks())
    with portal.sessions.begin() as db:
        assert verification.run(db, evidence) == []
        portal.files.path(kept.sha256).write_bytes(b"other")
        assert [line.partition(" Broken")[0] for line in verification.run(db, evidence)] == [
            "Every file of a version, of an answer, of a letter or produced is kept, with its digest."
        ]
        portal.files.path(kept.sha256).unlink()
        assert len(verification.run(db, evidence)) == 1


@pytest.mark.committed
def test_letters_of_a_seal_are_written_after_it_once_whatever_is_killed_in_between(
    committed_portal: Portal, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    portal = committed_portal
    monkeypatch.setattr(seals, "SOME", 2)
    code = publish(portal, cluster)
    drafts = prepare(portal, code, 5)
    for number, (actor, reference) in enumerate(drafts):
        assert press_submit(portal, actor, reference, f"k{number}") == "accepted"
    set_window(portal, cluster, code, 0)

    def letters() -> list[str]:
        with portal.sessions.begin() as db:
            wanted = select(OutboxMessage.recipient).where(OutboxMessage.purpose == "release")
            return sorted(db.scalars(wanted.order_by(OutboxMessage.recipient)))

    assert background.seal_due(portal) == [code]
    assert letters() == []  # as after a kill between the seal and its letters
    killed = portal.sessions()
    assert seals.write_letters(killed, make.ISSUER) == 2
    with portal.sessions.begin() as db:
        assert seals.write_letters(db, make.ISSUER) == 0  # another process is at it
        db.execute(text("select pg_terminate_backend(:pid)"), {"pid": killed.scalar(text("select pg_backend_pid()"))})
    killed.invalidate()
    assert letters() == []
    with portal.sessions.begin() as db:
        assert seals.write_letters(db, make.ISSUER) == 2
    for _ in range(2):
        background.write_letters(portal)
        with portal.sessions.begin() as db:
            people = db.scalars(select(Person.email).where(Person.id.in_([actor.person_id for actor, _ in drafts])))
            assert letters() == sorted(people)
