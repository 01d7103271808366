"""Retention destroys nothing early, nothing on one person's word, and nothing that seals and receipts need to verify."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import create_engine, func, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import (
    access,
    calls,
    checklists,
    disclosures,
    dossiers,
    entries,
    notes,
    proofs,
    retention,
    seals,
    statements,
    sweeping,
    verification,
)
from app.domain.access import Actor
from app.domain.clauses import SORTS
from app.domain.denials import ContentDestroyed, TermRuns
from app.domain.errors import Forbidden, Immutable, NeedsSecondPerson, NotFound, ProposalPending, Refused, refusal_of
from app.infra import database
from app.infra.files import FileStore
from app.infra.postgres import Cluster
from app.infra.signing import Signer
from app.models import (
    Attachment,
    Attempt,
    Base,
    Call,
    Certificate,
    Destruction,
    Draft,
    Event,
    Judgement,
    OutboxMessage,
    Refusal,
    Release,
    Submission,
)
from tests import make
from tests.test_cutoff import database_of, until_somebody_waits

SignIn = Callable[..., str]
YEAR = 366 * 86400


@pytest.fixture
def two(db: Session) -> tuple[Actor, Actor]:
    return (
        make.person(db, "one@rvo.example", "Coordinator One", staff="coordinator"),
        make.person(db, "two@rvo.example", "Coordinator Two", staff="coordinator"),
    )


def long_ago(db: Session, call: Call, seconds: float = 2 * YEAR) -> None:
    """Move everything of a call into the past, its deadline and seal included: the clock is the database's own."""
    past = text(f"make_interval(secs => {seconds})")
    with make.owner(db):
        for table, columns in {
            "version": ("received_at",),
            "draft": ("saved_at",),
            "attachment": ("attached_at",),
            "attempt": ("at",),
            "withdrawal": ("withdrawn_at",),
            "call": ("opens_at", "closes_at", "sealed_at"),
            "conflict": ("stated_at",),
            "assignment": ("assigned_at",),
            "verdict": ("given_at",),
            "score": ("saved_at",),
            "hand_in": ("handed_in_at",),
            "reconciliation": ("written_at", "agreed_at"),
            "recommendation": ("written_at",),
            "sign_off": ("signed_at",),
            "note": ("written_at",),
            "tag": ("added_at",),
        }.items():
            db.execute(text(f"alter table {table} disable trigger user"))
            for column in columns:
                db.execute(text(f"update {table} set {column} = {column} - {past}"))
            db.execute(text(f"alter table {table} enable trigger user"))
        db.execute(
            update(OutboxMessage).values(
                created_at=OutboxMessage.created_at - timedelta(seconds=seconds), sent_at=func.now()
            )
        )
    db.expire_all()


def goes(db: Session, call: Call) -> dict[str, int]:
    return {one.sort: one.goes.count for one in retention.report(db, call) if one.goes}


def stays(db: Session, call: Call, sort: str) -> dict[str | None, int]:
    return {part.why: part.count for one in retention.report(db, call) if one.sort == sort for part in one.stays}


def destroyed(db: Session, two: tuple[Actor, Actor], call: Call, sort: str, signer: Signer) -> Certificate:
    made = retention.propose(db, two[0], call, sort)
    return retention.confirm(db, two[1], call, made.id, signer, make.ISSUER)


def refused(db: Session, does: Callable[[], Any]) -> type[Refused] | str:
    try:
        with db.begin_nested():
            does()
    except DBAPIError as failure:
        found = refusal_of(failure)
        return type(found) if found else str(getattr(failure.orig, "sqlstate", ""))
    except Refused as refusal:
        return type(refusal)
    return "done"


@pytest.fixture
def sealed(db: Session, signer: Signer, files: FileStore) -> tuple[Call, Submission, Submission, Submission]:
    """A sealed call: one submission with a file, one withdrawn, one mere draft."""
    call = make.call(db)
    case, actor = make.submission(db, call)
    make.attach(db, files, actor, case)
    make.send(db, actor, case, signer)
    gone, actor = make.submission(db, call, actor, sent=True, signer=signer)
    make.withdraw(db, actor, gone)
    draft, _ = make.submission(db, call, actor)
    make.move_deadline(db, call, 0)
    make.seal(db, call, signer)
    return call, case, gone, draft


Four = tuple[Call, Submission, Submission, Submission]


def test_nothing_goes_before_its_term_by_the_databases_clock(
    db: Session, two: tuple[Actor, Actor], sealed: Four, signer: Signer
) -> None:
    call = sealed[0]
    assert goes(db, call) == {}
    assert stays(db, call, "submissions") == {"term": 1}
    for sort in SORTS:
        assert refused(db, partial(retention.propose, db, two[0], call, sort)) is TermRuns
    insert = "insert into destruction (call_id, sort, subjects, proposed_by) values (:call, 'submissions', :ids, :by)"
    forged = {"call": call.id, "ids": json.dumps([str(sealed[1].id)]), "by": two[0].person_id}
    assert refused(db, lambda: db.execute(text(insert), forged)) is TermRuns
    long_ago(db, call, 40 * 86400)
    assert goes(db, call) == {"drafts": 1}
    long_ago(db, call, 200 * 86400)
    assert set(goes(db, call)) == {"drafts", "withdrawn", "mails"}
    long_ago(db, call)
    assert set(goes(db, call)) == {"drafts", "submissions", "withdrawn", "mails"}


def test_a_call_that_is_not_sealed_or_names_no_term_keeps_everything(db: Session, two: tuple[Actor, Actor]) -> None:
    of = make.definition() | {"retention": {}}
    call = make.call(db, of={k: v for k, v in of.items() if k != "retention"})
    make.submission(db, call)
    make.close(db, call)
    long_ago(db, call)
    assert goes(db, call) == {}
    open_call = make.call(db)
    make.submission(db, open_call)
    long_ago(db, open_call)
    assert goes(db, open_call) == {}


def test_what_is_destroyed_leaves_receipts_seals_and_a_certificate_that_verify(
    db: Session, two: tuple[Actor, Actor], sealed: Four, signer: Signer, files: FileStore
) -> None:
    call, case = sealed[:2]
    long_ago(db, call)
    evidence = verification.Evidence(files, signer.jwks())
    before = verification.run(db, evidence)  # what moving all into the past has broken already
    version = make.version_of(db, case)
    receipt, digest, file = version.receipt.body, version.payload_sha256, version.files[0]["sha256"]
    certificates = {sort: destroyed(db, two, call, sort, signer) for sort in ("drafts", "submissions", "withdrawn")}
    version = make.version_of(db, case)
    assert (version.answers, version.files, version.findings, version.facts, version.title) == ({}, [], [], {}, "")
    assert (version.payload_sha256, version.receipt.body) == (digest, receipt)
    assert [db.scalar(select(func.count()).select_from(t)) for t in (Draft, Attachment, Judgement)] == [0, 0, 0]
    document = statements.document(version.receipt.body, version.receipt.jws, proof=seals.proof(db, case))
    verdict = proofs.verify(document, signer.jwks(), seals.document(db, call))
    assert verdict.outcome == "valid", verdict
    for made in certificates.values():
        assert proofs.verify(statements.document(made.body, made.jws), signer.jwks()).outcome == "valid"
    said = certificates["submissions"].body["destroyed"]["dossiers"]
    assert [(one["reference"], one["versions"][0]["payload_sha256"], one["files"]) for one in said] == [
        (case.reference, digest, [file])
    ]
    assert verification.run(db, evidence) == before
    assert goes(db, call) == {"mails": goes(db, call)["mails"]}


def test_what_was_destroyed_is_said_to_be_so_and_left_out_of_lists(
    client: TestClient, db: Session, two: tuple[Actor, Actor], sealed: Four, signer: Signer, sign_in: SignIn
) -> None:
    call, case, _, _ = sealed
    long_ago(db, call)
    entries.prepared(db, call)  # the register knew it before
    destroyed(db, two, call, "submissions", signer)
    with pytest.raises(ContentDestroyed):
        dossiers.load(db, two[0], case.reference)
    assert [s.reference for s, _ in db.execute(access.dossiers(two[0]))] == [sealed[2].reference]
    sign_in(client, "one@rvo.example")
    assert client.get(f"/review/{case.reference}").status_code == 410
    page = client.get(f"/review?call={call.code}").text
    assert (case.reference in page, sealed[2].reference in page) == (False, True)
    found = client.get(f"/review?call={call.code}&search=compute").text
    assert (case.reference in found, sealed[2].reference in found) == (False, True)
    assert db.scalars(select(Release.reason).where(Release.submission_id == case.id)).all() == ["retention"]
    sign_in(client)
    here = f"/apply/{case.reference}"
    shown = {p: client.get(f"{here}/{p}").status_code for p in ("receipts/1", "receipts/1.pdf", "receipts/1.json")}
    assert shown == dict.fromkeys(shown, 200)
    assert [client.get(f"{here}/versions/1{p}").status_code for p in ("", ".json")] == [410, 410]
    assert client.get(here).status_code == 200


def records(db: Session) -> dict[str, int]:
    """How many rows there are of each sort that readers write, those that are none left out."""
    found = {
        table.name: db.scalar(select(func.count()).select_from(table)) or 0 for table in Base.metadata.sorted_tables
    }
    return {name: found[name] for name in sorted(READERS) if found[name]}


READERS = {
    *("assignment", "verdict", "score", "hand_in", "reconciliation", "recommendation", "sign_off", "note", "mention"),
    *("tag", "progress", "conflict"),
}


def test_what_readers_wrote_has_a_term_and_goes_by_itself_but_a_conflict_stays_while_there_is_something_to_hide(
    db: Session, two: tuple[Actor, Actor], sealed: Four, signer: Signer
) -> None:
    call, case, gone, _ = sealed
    assert {t.name for t in Base.metadata.sorted_tables} >= READERS
    coordinator, first, second = make.readers(db, case)
    submission, version = dossiers.load(db, first, case.reference)
    questions = calls.questions(call)
    line = questions.review.lines_for(case.kind)[0].name
    checklists.say(db, first, submission, version, questions, line, "no", "It is not so.")
    make.sign_off(db, first, second, case)
    notes.write(db, first, case, "Look at page three.", [str(second.person_id)], make.ISSUER)
    notes.tag(db, first, case, "grid")
    make.state_conflict(db, make.person(db, "re@rvo.example", staff="reviewer"), case)
    make.free(db, coordinator, gone)
    before = records(db)
    assert (set(before), before["conflict"]) == (READERS, 5)
    assert stays(db, call, "reviews") == {"term": 1}  # a statement about what can be read has no term of its own
    assert refused(db, lambda: retention.propose(db, two[0], call, "reviews")) is TermRuns
    long_ago(db, call, 300 * 86400)  # nine months are over, a year is not
    assert (goes(db, call)["reviews"], stays(db, call, "submissions")) == (1, {"term": 1})
    made = destroyed(db, two, call, "reviews", signer)
    assert records(db) == {"conflict": 5}
    said = {name: number for name, number in before.items() if name not in ("conflict", "mention", "progress")}
    assert made.body["destroyed"]["dossiers"] == [{"reference": case.reference, "files": [], "records": said}]
    assert proofs.verify(statements.document(made.body, made.jws), signer.jwks()).outcome == "valid"
    assert make.version_of(db, case).answers != {}
    with pytest.raises(NotFound):
        dossiers.load(db, make.person(db, "re@rvo.example"), case.reference)
    assert refused(db, lambda: retention.propose(db, two[0], call, "reviews")) is TermRuns
    long_ago(db, call)
    for sort in ("submissions", "withdrawn"):
        destroyed(db, two, call, sort, signer)
    assert goes(db, call)["reviews"] == 2
    destroyed(db, two, call, "reviews", signer)
    assert records(db) == {}


def test_what_was_written_after_the_proposal_stays_and_so_does_a_dossier_that_somebody_asked_to_see(
    db: Session, two: tuple[Actor, Actor], sealed: Four, signer: Signer
) -> None:
    call, case = sealed[:2]
    _, first, second = make.readers(db, case)
    make.sign_off(db, first, second, case)
    long_ago(db, call, 300 * 86400)
    request = disclosures.start(db, two[0], call, "Who?", date(2026, 1, 5))
    disclosures.add(db, two[0], request, [case.reference])
    db.flush()
    assert stays(db, call, "reviews") == {"disclosure": 1}
    disclosures.close(db, two[0], request, "Withdrawn by who asked.")
    db.flush()
    proposed = retention.propose(db, two[0], call, "reviews")
    notes.write(db, first, case, "One thing more.", [], make.ISSUER)
    db.flush()
    assert refused(db, lambda: retention.confirm(db, two[1], call, proposed.id, signer, "x")) is TermRuns
    assert records(db)["note"] == 1


def test_two_people_destroy_and_the_database_asks_who_they_are(
    db: Session, two: tuple[Actor, Actor], sealed: Four, signer: Signer
) -> None:
    call, case, _, _ = sealed
    long_ago(db, call)
    reviewer = make.person(db, "re@rvo.example", staff="reviewer")
    assert refused(db, lambda: retention.propose(db, reviewer, call, "submissions")) is Forbidden
    made = retention.propose(db, two[0], call, "submissions")
    assert refused(db, lambda: retention.propose(db, two[1], call, "submissions")) is ProposalPending
    assert refused(db, lambda: retention.confirm(db, two[0], call, made.id, signer, "x")) is NeedsSecondPerson
    for person in (two[0].person_id, reviewer.person_id, make.person(db).person_id):
        assert refused(db, partial(db.execute, select(func.destroy(made.id, person)))) is NeedsSecondPerson
    other = make.call(db)
    assert refused(db, lambda: retention.confirm(db, two[1], other, made.id, signer, "x")) is NotFound
    retention.drop(db, two[1], call, made.id)
    assert refused(db, lambda: retention.confirm(db, two[1], call, made.id, signer, "x")) is Immutable
    assert make.version_of(db, case).answers != {}
    again = retention.propose(db, two[0], call, "submissions")
    retention.confirm(db, two[1], call, again.id, signer, make.ISSUER)
    assert refused(db, lambda: retention.confirm(db, two[1], call, again.id, signer, "x")) is Immutable
    names = db.scalars(select(Event.name).where(Event.name.startswith("destruction")).order_by(Event.id)).all()
    assert names == ["destruction.proposed", "destruction.dropped", "destruction.proposed", "destruction.confirmed"]


def test_a_submission_in_a_pending_request_to_disclose_stays(
    db: Session, two: tuple[Actor, Actor], sealed: Four, signer: Signer
) -> None:
    call, case, gone, _ = sealed
    long_ago(db, call)
    proposed = retention.propose(db, two[0], call, "submissions")
    request = disclosures.start(db, two[0], call, "Who?", date(2026, 1, 5))
    disclosures.add(db, two[0], request, [case.reference, gone.reference])
    db.flush()
    assert stays(db, call, "submissions") == {"disclosure": 1}
    assert refused(db, lambda: retention.confirm(db, two[1], call, proposed.id, signer, "x")) is TermRuns
    assert refused(db, lambda: retention.propose(db, two[0], call, "withdrawn")) is TermRuns
    disclosures.close(db, two[0], request, "Withdrawn by who asked.")
    retention.confirm(db, two[1], call, proposed.id, signer, make.ISSUER)
    later = disclosures.start(db, two[0], call, "Who now?", date(2026, 1, 6))
    assert disclosures.add(db, two[0], later, [case.reference]) == [case.reference]
    insert = "insert into disclosure_item (disclosure_id, submission_id, version_id, added_by) values (:d, :s, :v, :by)"
    row = {"d": later.id, "s": case.id, "v": make.version_of(db, case).id, "by": two[0].person_id}
    assert refused(db, lambda: db.execute(text(insert), row)) is ContentDestroyed


def test_late_attempts_go_with_their_refusals_and_accepted_ones_stay(
    db: Session, two: tuple[Actor, Actor], sealed: Four, signer: Signer
) -> None:
    call, case, _, _ = sealed
    make.refused(db, make.person(db), case, signer)
    long_ago(db, call)
    assert goes(db, call)["attempts"] == 1
    assert stays(db, call, "attempts") == {"evidence": 2}
    destroyed(db, two, call, "attempts", signer)
    assert db.scalars(select(Attempt.outcome).distinct()).all() == ["accepted"]
    assert db.scalar(select(func.count()).select_from(Refusal)) == 0
    destroyed(db, two, call, "mails", signer)
    waiting = select(func.count()).where(OutboxMessage.submission_id.is_not(None))
    assert db.scalar(waiting.select_from(OutboxMessage)) == 0


def test_files_go_only_when_nothing_names_them(
    db: Session, portal: Portal, two: tuple[Actor, Actor], sealed: Four, signer: Signer, files: FileStore
) -> None:
    call, case, _, _ = sealed
    sha256 = make.version_of(db, case).files[0]["sha256"]
    long_ago(db, call)
    elsewhere, actor = make.submission(db, make.call(db))
    make.attach(db, files, actor, elsewhere)  # the same bytes in another call
    destroyed(db, two, call, "submissions", signer)
    assert sweeping.sweep(portal.sessions, files) == 0
    assert files.digest(sha256) is not None
    db.expire_all()
    assert db.scalars(select(Destruction.swept_at)).one() is not None
    with make.owner(db):
        db.execute(text("alter table attachment disable trigger user"))
        db.execute(text("delete from attachment"))
        db.execute(text("alter table attachment enable trigger user"))
        db.execute(text("alter table destruction disable trigger user"))
        db.execute(update(Destruction).values(swept_at=None))
        db.execute(text("alter table destruction enable trigger user"))
    assert sweeping.sweep(portal.sessions, files) == 1
    assert files.digest(sha256) is None


def test_every_table_that_names_a_file_is_asked_before_it_goes() -> None:
    named = {f"{table.name}.{column.name}" for table, column in sweeping.columns()}
    assert named >= {"attachment.sha256", "disclosure_set.sha256", "version.files", "answer.files", "judgement.files"}


@pytest.mark.parametrize(
    "attack",
    [
        "update version set answers = '{}', destruction_id = gen_random_uuid()",
        "delete from draft",
        "delete from attachment",
        "delete from attempt",
        "delete from refusal",
        "delete from message",
        "delete from sign_in",
        "delete from judgement",
        "delete from score",
        "delete from sign_off",
        "delete from conflict",
        "delete from note",
        "select destroy_reviews(array(select id from submission))",
        "update withdrawal set reason = ''",
        "update destruction set confirmed_by = proposed_by, confirmed_at = now()",
        "update destruction set destroyed = '{}'",
        "update certificate set body = '{}'",
        "insert into certificate (destruction_id, body, jws) select id, '{}', 'x' from destruction",
        "select described(array[]::uuid[])",
        "create or replace function is_destroying() returns boolean language sql as 'select true'",
    ],
)
def test_the_serving_role_destroys_nothing_by_itself_whatever_it_sets(
    db: Session, two: tuple[Actor, Actor], sealed: Four, attack: str
) -> None:
    long_ago(db, sealed[0])
    retention.propose(db, two[0], sealed[0], "submissions")
    db.execute(text("select set_config('eoi.destroying', 'yes', true)"))
    with pytest.raises(DBAPIError, match=r"permission denied|must be owner|nothing_was_destroyed"), db.begin_nested():
        db.execute(text(attack))


def test_the_word_of_destruction_opens_no_window(db: Session, sealed: Four) -> None:
    db.execute(text("select set_config('eoi.destroying', 'yes', true)"))
    for attack in (
        "update draft set answers = '{}'",
        "update withdrawal set restored_at = now(), restored_by = withdrawn_by",
        "update attachment set detached_at = now()",
    ):
        with pytest.raises(DBAPIError, match="call_is_closed"), db.begin_nested():
            db.execute(text(attack))


@pytest.mark.committed
@pytest.mark.parametrize(
    ("first", "second", "outcomes"),
    [
        ("destroy", "disclose", {"destroy": "done", "disclose": "content_destroyed"}),
        ("disclose", "destroy", {"destroy": "term_runs", "disclose": "done"}),
    ],
)
def test_a_request_to_disclose_and_a_destruction_at_once_are_one_after_the_other(
    committed_portal: Portal, cluster: Cluster, first: str, second: str, outcomes: dict[str, str]
) -> None:
    portal, held, go, said = committed_portal, threading.Event(), threading.Event(), dict[str, str]()
    with owned(portal, cluster) as db:
        call = make.call(db)
        case, _ = make.submission(db, call, make.person(db), sent=True, signer=portal.signer)
        make.move_deadline(db, call, 0)
        make.seal(db, call, portal.signer)
        long_ago(db, call)
        one, other = (make.person(db, f"{n}@rvo.example", staff="coordinator") for n in ("one", "two"))
        proposed = retention.propose(db, one, call, "submissions").id
        number, call_id, reference = (
            disclosures.start(db, one, call, "Who?", date(2026, 1, 5)).number,
            call.id,
            case.reference,
        )

    def act(db: Session, name: str) -> None:
        if name == "destroy":
            retention.confirm(db, other, db.get_one(Call, call_id), proposed, portal.signer, make.ISSUER)
        else:
            disclosures.add(db, one, disclosures.load(db, one, number), [reference])
            db.flush()
        held.set()
        go.wait(20)

    def run(name: str) -> None:
        try:
            with portal.sessions.begin() as db:
                act(db, name)
            said[name] = "done"
        except DBAPIError as failure:
            found = refusal_of(failure)
            said[name] = found.code if found else str(failure)

    early, late = (threading.Thread(target=run, args=[name]) for name in (first, second))
    early.start()
    assert held.wait(20)
    late.start()
    until_somebody_waits(cluster, database_of(portal))
    go.set()
    early.join(20)
    late.join(20)
    assert said == outcomes


@contextmanager
def owned(portal: Portal, cluster: Cluster) -> Iterator[Session]:
    """A transaction that commits and may act as the owner too, as `make` does."""
    engine = create_engine(database.sqlalchemy_url(cluster.superuser_url(database_of(portal))))
    with Session(engine) as db, db.begin():
        db.execute(text("set local role eoi_app"))
        yield db
    engine.dispose()


def test_the_pages_show_the_dry_run_and_hand_out_the_certificate(
    client: TestClient, db: Session, two: tuple[Actor, Actor], sealed: Four, sign_in: SignIn
) -> None:
    call, case, _, _ = sealed
    here = f"/manage/calls/{call.code}"
    token = sign_in(client, "one@rvo.example")
    assert "the term has not passed" in client.get(f"{here}/retention").text
    assert client.post(f"{here}/destructions", data={"csrf_token": token, "sort": "submissions"}).status_code == 409
    assert client.post(f"{here}/destructions", data={"csrf_token": token, "sort": "all"}).status_code == 422
    long_ago(db, call)
    assert case.reference in client.get(f"{here}/retention").text
    assert client.post(f"{here}/destructions", data={"csrf_token": token, "sort": "submissions"}).status_code == 303
    made = db.scalars(select(Destruction)).one()
    one = f"{here}/destructions/{made.id}"
    assert client.get(f"{one}.json").status_code == 404
    assert client.post(f"{one}/confirmation", data={"csrf_token": token}).status_code == 403
    token = sign_in(client, "two@rvo.example")
    assert client.post(f"{one}/confirmation", data={"csrf_token": token}).status_code == 303
    assert "Coordinator Two" in client.get(f"{here}/retention").text
    document = json.loads(client.get(f"{one}.json").content)
    assert document["statement"]["destroyed"]["count"] == 1
    assert client.get(f"{one}.pdf").content.startswith(b"%PDF")
    sign_in(client)
    assert client.get(f"{here}/retention").status_code == 404
