"""An exemption lets one submitter in after the seal, by two people and for a while; the sealed set stays as it was."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.domain import (
    access,
    attachments,
    bearers,
    calls,
    dossiers,
    exemptions,
    oversight,
    prints,
    proofs,
    receipts,
    register,
    seals,
    statements,
    submissions,
    verification,
    versions,
    withdrawals,
)
from app.domain.access import SYSTEM, Actor
from app.domain.errors import (
    CallClosed,
    CallStillOpen,
    DeadlineRefused,
    Forbidden,
    Immutable,
    NeedsSecondPerson,
    NotFound,
    ProposalPending,
    ReasonMissing,
    Refused,
    refusal_of,
)
from app.infra import times
from app.infra.files import FileStore
from app.infra.signing import Signer
from app.models import Event, Exemption, OutboxMessage, Submission, Version
from tests import make

SETTING = seals.Setting(make.ISSUER, None)
WHY = "The portal was down from 16:40 until the cutoff."
HOUR = timedelta(hours=1)


class Closed:
    """A sealed call: one submission that stands, one withdrawn, one draft that was never sent; and two coordinators."""

    def __init__(self, db: Session, signer: Signer) -> None:
        self.call = make.call(db)
        self.standing = self.case(db, signer, "standing@firm.example", sent=True)
        self.withdrawn = self.case(db, signer, "withdrawn@firm.example", sent=True)
        withdrawals.withdraw(db, self.withdrawn[1], self.withdrawn[0], "Changed our mind", make.ISSUER)
        self.draft = self.case(db, signer, "draft@firm.example", sent=False)
        self.one = make.person(db, "one@rvo.example", "Coordinator One", staff="coordinator")
        self.other = make.person(db, "two@rvo.example", "Coordinator Two", staff="coordinator")
        make.move_deadline(db, self.call, -0.000001)
        seals.seal(db, self.call, signer, SETTING)

    def case(self, db: Session, signer: Signer, email: str, sent: bool) -> tuple[Submission, Actor]:
        return make.submission(db, self.call, make.person(db, email), sent=sent, signer=signer, contact_email=email)

    def let_in(self, db: Session, case: Submission, until: datetime | None = None) -> Exemption:
        until = until or calls.clock(db) + HOUR
        exemption = exemptions.propose(db, self.one, case, WHY, until)
        return exemptions.confirm(db, self.other, self.call, exemption.id, make.ISSUER)


@pytest.fixture
def closed(db: Session, signer: Signer) -> Closed:
    return Closed(db, signer)


def change(db: Session, case: Submission, actor: Actor, title: str = "Changed") -> None:
    make.fill(db, actor, case, {"title": title, "contact_email": actor.email})


def refused(db: Session, act: Any, **values: Any) -> type[Refused] | str:
    """What the database answers to a statement, or to what is done through the domain."""
    nested = db.begin_nested()
    with pytest.raises(DBAPIError) as failure:
        if isinstance(act, str):
            db.execute(text(act), values)
        else:
            act()
    nested.rollback()
    found = refusal_of(failure.value)
    return type(found) if found else str(getattr(failure.value.orig, "sqlstate", ""))


def end(db: Session, exemption: Exemption) -> None:
    """Let its time run out: the owner moves its end, not the clock."""
    with make.owner(db):
        db.execute(text("alter table exemption disable trigger exemption_guard"))
        db.execute(text("update exemption set until = clock_timestamp() where id = :id"), {"id": exemption.id})
        db.execute(text("alter table exemption enable trigger exemption_guard"))
    db.expire(exemption)


def test_an_exceptional_version_leaves_count_root_and_leaves_of_the_seal_unchanged(
    db: Session, signer: Signer, files: FileStore, closed: Closed
) -> None:
    def state() -> tuple[Any, ...]:
        sealed = seals.document(db, closed.call)
        tally = oversight.tallies(db, [closed.call])[closed.call.id]
        standing = access.standing_versions().where(Submission.call_id == closed.call.id)
        return (
            sealed,
            [(leaf.submission_id, leaf.version_id, leaf.hash) for leaf in seals.manifest(db, closed.call)],
            (tally.submitted, tally.withdrawn, tally.released, tally.last_received_at),
            calls.counts(db, closed.call).submitted,
            sorted((s.reference, v.number) for s, v in db.execute(standing)),
            [(s.reference, v.number) for s, v in dossiers.page(db, SYSTEM, closed.call, 100)],
            register.totals(db, closed.one, closed.call, register.Query()),
            [seals.proof(db, case) for case, _ in (closed.standing, closed.withdrawn, closed.draft)],
        )

    before = state()
    assert before[0]["statement"]["count"] == 1
    for case, actor in (closed.standing, closed.withdrawn, closed.draft):
        closed.let_in(db, case)
        change(db, case, actor)
        make.attach(db, files, actor, case)
        version = make.send(db, actor, case, signer)
        assert version.exemption_id is not None
    assert state() == before
    assert verification.run(db) == []


def test_only_the_one_let_in_may_save_attach_and_submit(
    db: Session, signer: Signer, files: FileStore, closed: Closed
) -> None:
    case, actor = closed.standing
    closed.let_in(db, case)
    change(db, case, actor)
    attachment = make.attach(db, files, actor, case)
    make.send(db, actor, case, signer)
    for other, theirs in (closed.withdrawn, closed.draft):
        assert refused(db, lambda: change(db, other, theirs)) is CallClosed  # noqa: B023  (called at once)
        assert refused(db, lambda: make.attach(db, files, theirs, other)) is CallClosed  # noqa: B023
        assert refused(db, lambda: make.send(db, theirs, other, signer)) is CallClosed  # noqa: B023
    assert refused(db, lambda: withdrawals.withdraw(db, actor, case, "No", make.ISSUER)) is CallClosed
    assert refused(db, lambda: submissions.start(db, actor, closed.call, case.organisation_id, "FC")) is CallClosed
    attachments.detach(db, actor, case, attachment.id)


def test_a_withdrawn_case_stays_withdrawn_and_is_not_restored_by_an_exceptional_submit(
    db: Session, signer: Signer, closed: Closed
) -> None:
    case, actor = closed.withdrawn
    closed.let_in(db, case)
    version = make.send(db, actor, case, signer)  # the very words that were withdrawn
    assert (version.number, version.exemption_id is not None) == (2, True)
    standing = submissions.standing(db, case)
    assert standing.exceptional is standing.repeated
    assert standing.exceptional is not None
    assert (standing.state, standing.exceptional.id) == ("withdrawn", version.id)
    assert refused(db, lambda: withdrawals.restore(db, actor, case, make.ISSUER)) is CallClosed
    assert verification.run(db) == []


def test_a_second_press_gives_the_same_exceptional_version_and_a_change_gives_the_next(
    db: Session, signer: Signer, closed: Closed
) -> None:
    case, actor = closed.standing
    closed.let_in(db, case)
    assert make.send(db, actor, case, signer).number == 1, "the sealed words once more are not a second version"
    change(db, case, actor)
    first = make.send(db, actor, case, signer, "key")
    assert make.send(db, actor, case, signer, "key").id == first.id
    assert make.send(db, actor, case, signer, "another key").id == first.id
    change(db, case, actor, "Changed again")
    assert [make.send(db, actor, case, signer).number, first.number] == [3, 2]
    standing = submissions.standing(db, case)
    assert standing.version is not None
    assert standing.exceptional is not None
    assert (standing.version.number, standing.exceptional.number, standing.is_changed) == (1, 3, False)


def test_when_its_time_is_over_the_database_takes_nothing_more(
    db: Session, signer: Signer, files: FileStore, closed: Closed
) -> None:
    case, actor = closed.standing
    exemption = closed.let_in(db, case)
    change(db, case, actor)
    make.send(db, actor, case, signer)
    change(db, case, actor, "Too late")
    assert exemptions.window(db, case) == ("open", exemption)
    end(db, exemption)
    assert exemptions.window(db, case) == ("closed", None)
    for attempt in (
        lambda: change(db, case, actor, "Later still"),
        lambda: make.attach(db, files, actor, case),
        lambda: submissions.submit(db, actor, case.reference, "late", "en", signer, make.ISSUER),
    ):
        assert refused(db, attempt) is CallClosed
    assert refused(db, "update draft set answers = '{}' where submission_id = :s", s=case.id) is CallClosed


def test_the_receipt_says_that_it_is_exceptional_on_page_paper_mail_and_to_whoever_checks_it(
    db: Session, signer: Signer, closed: Closed
) -> None:
    case, actor = closed.standing
    ordinary = make.version_of(db, case)
    assert "exemption" not in ordinary.receipt.body
    exemption = closed.let_in(db, case)
    change(db, case, actor)
    version = make.send(db, actor, case, signer)
    said = version.receipt.body
    assert (said["exemption"], said["exempt_until"]) == (True, times.iso(exemption.until))
    assert said["exemption_note"] == receipts.EXCEPTIONAL
    assert said["rule"] == receipts.EXCEPTIONAL_RULE
    questions = calls.questions(closed.call)
    for language in ("en", "nl"):
        paper = prints.receipt(version, questions, language)
        assert receipts.EXCEPTIONAL[language] in [value for _, value in paper["rows"]]
        assert receipts.EXCEPTIONAL_RULE[language] in paper["notes"]
        assert receipts.EXCEPTIONAL[language] not in str(prints.receipt(ordinary, questions, language))
    document = statements.document(said, version.receipt.jws)
    verdict = proofs.verify(document, signer.jwks(), seals.document(db, closed.call))
    assert (verdict.outcome, verdict.sentence.msgid) == ("valid", proofs.EXCEPTIONAL)
    with_proof = document | {"proof": seals.proof(db, case)}
    assert proofs.verify(with_proof, signer.jwks()).outcome == "invalid", "it is not what the seal holds"
    mails = db.scalars(select(OutboxMessage.text).where(OutboxMessage.purpose == "receipt")).all()
    until = times.brussels_and_utc(exemption.until, "en")
    assert [until in mail for mail in mails if "exceptionally, outside the sealed set" in mail] == [True]


def test_staff_find_it_beside_the_register_and_nobody_else_does(db: Session, signer: Signer, closed: Closed) -> None:
    reviewer = make.person(db, "reviewer@rvo.example", staff="reviewer")
    key = bearers.actor_of(db, make.key(db, closed.call))
    assert register.exceptional(db, reviewer, closed.call) == []
    for case, actor in (closed.standing, closed.draft):
        closed.let_in(db, case)
        change(db, case, actor)
        make.send(db, actor, case, signer)
    (case, _), (draft, _) = closed.standing, closed.draft
    found = [(s.reference, v.number) for s, v in register.exceptional(db, reviewer, closed.call)]
    assert found == [(case.reference, 2), (draft.reference, 1)]
    listed = register.page(db, reviewer, closed.call, register.Query(), 50).rows
    assert case.reference in [row["reference"] for row in listed]
    assert draft.reference not in [row["reference"] for row in listed]
    for opened in (case, draft):
        make.free(db, reviewer, opened)
    assert dossiers.load(db, reviewer, case.reference)[1].number == 1
    assert dossiers.load(db, reviewer, case.reference, 2)[1].number == 2
    assert dossiers.load(db, reviewer, draft.reference)[1].number == 1
    assert dossiers.last_number(db, draft) == 0
    for nobody in (key, SYSTEM, closed.draft[1]):
        assert register.exceptional(db, nobody, closed.call) == []
        with pytest.raises(NotFound):
            dossiers.load(db, nobody, draft.reference)
    with pytest.raises(NotFound):
        dossiers.load(db, key, case.reference, 2)
    assert [v.number for v in dossiers.all_versions(db, key, case)] == [1]
    assert [v.number for v in dossiers.all_versions(db, reviewer, case)] == [2, 1]


def test_a_file_that_only_an_exceptional_version_holds_is_not_for_a_machine(
    db: Session, signer: Signer, files: FileStore, closed: Closed
) -> None:
    case, actor = closed.standing
    closed.let_in(db, case)
    given = make.attach(db, files, actor, case)
    make.send(db, actor, case, signer)
    reviewer = make.person(db, "reviewer@rvo.example", staff="reviewer")
    make.free(db, reviewer, case)
    assert dossiers.file_of(db, reviewer, case.reference, given.sha256)[1]["sha256"] == given.sha256
    with pytest.raises(NotFound):
        dossiers.file_of(db, bearers.actor_of(db, make.key(db, closed.call)), case.reference, given.sha256)


def test_proposed_by_one_confirmed_by_another_with_a_mail_and_on_record(db: Session, closed: Closed) -> None:
    case, _ = closed.draft
    until = calls.clock(db) + HOUR
    exemption = exemptions.propose(db, closed.one, case, f"  {WHY} ", until)
    assert exemptions.live(db, case) is None
    assert db.scalar(select(func.count()).where(OutboxMessage.purpose == "exemption")) == 0
    exemptions.confirm(db, closed.other, closed.call, exemption.id, make.ISSUER)
    assert (exemption.reason, exemption.confirmed_by) == (WHY, closed.other.person_id)
    assert exemptions.live(db, case) is exemption
    assert exemptions.of_call(db, closed.call) == [exemption]
    events = db.scalars(select(Event).where(Event.name.startswith("exemption.")).order_by(Event.id)).all()
    assert [(e.name, e.person_id, e.submission_id, e.detail) for e in events] == [
        ("exemption.proposed", closed.one.person_id, case.id, {"until": times.iso(until)}),
        ("exemption.confirmed", closed.other.person_id, case.id, {"until": times.iso(until)}),
    ]
    mail = db.scalars(select(OutboxMessage).where(OutboxMessage.purpose == "exemption")).one()
    assert mail.recipient == "draft@firm.example"
    assert times.brussels_and_utc(until, "en") in mail.text
    assert f"{make.ISSUER}/apply/{case.reference}" in mail.text


def test_a_proposal_needs_the_seal_a_reason_a_later_instant_and_the_role(db: Session, closed: Closed) -> None:
    case, actor = closed.draft
    later = calls.clock(db) + HOUR
    unsealed, _ = make.submission(db)
    with pytest.raises(CallStillOpen):
        exemptions.propose(db, closed.one, unsealed, WHY, later)
    with pytest.raises(ReasonMissing):
        exemptions.propose(db, closed.one, case, "  ", later)
    with pytest.raises(DeadlineRefused):
        exemptions.propose(db, closed.one, case, WHY, calls.clock(db))
    for nobody in (actor, make.person(db, "reviewer@rvo.example", staff="reviewer"), SYSTEM):
        with pytest.raises(Forbidden):
            exemptions.propose(db, nobody, case, WHY, later)
    exemption = exemptions.propose(db, closed.one, case, WHY, later)
    with pytest.raises(ProposalPending):
        exemptions.propose(db, closed.other, case, WHY, later)
    with pytest.raises(NotFound):
        exemptions.confirm(db, closed.other, make.call(db), exemption.id, make.ISSUER)
    exemptions.drop(db, closed.other, closed.call, exemption.id)
    exemptions.propose(db, closed.other, case, WHY, later)


def test_the_database_holds_all_of_it_against_the_serving_role(db: Session, closed: Closed) -> None:
    case, actor = closed.draft
    reviewer = make.person(db, "reviewer@rvo.example", staff="reviewer")
    insert = """insert into exemption (submission_id, call_id, reason, until, proposed_by, confirmed_by, confirmed_at)
        values (:s, :c, 'x', clock_timestamp() + make_interval(secs => :in), :by, :other, now()) returning id"""
    confirm = "select confirm_exemption(:id, :by)"
    one, other = closed.one.person_id, closed.other.person_id
    values = {"s": case.id, "c": closed.call.id, "in": 3600, "by": one, "other": other}
    unsealed, _ = make.submission(db)
    assert refused(db, insert, **values | {"s": unsealed.id}) is CallStillOpen
    assert refused(db, insert, **values | {"by": reviewer.person_id, "other": None}) is NeedsSecondPerson
    past = db.execute(text(insert), values | {"in": -1}).scalar_one()
    assert refused(db, confirm, id=past, by=other) is DeadlineRefused
    db.execute(text("update exemption set dropped_by = :p"), {"p": one})
    assert refused(db, confirm, id=past, by=other) is Immutable
    made = db.execute(text(insert), values).scalar_one()
    assert exemptions.live(db, case) is None, "a confirmation forged at the insert is not taken"
    for by in (one, reviewer.person_id, actor.person_id):
        assert refused(db, confirm, id=made, by=by) is NeedsSecondPerson
    forged = "update exemption set confirmed_by = :by, confirmed_at = now() where id = :id"
    assert refused(db, forged, id=made, by=other) == "42501"
    db.execute(text(confirm), {"id": made, "by": other})
    attacks = {
        "update exemption set until = until + interval '1 day'": "42501",
        "delete from exemption": "42501",
        "update exemption set dropped_by = proposed_by where confirmed_at is not null": Immutable,
    }
    assert {attack: refused(db, attack) for attack in attacks} == attacks
    with make.owner(db):
        longer = "update exemption set until = until + interval '1 day' where confirmed_at is not null"
        assert refused(db, longer) is Immutable


def test_an_open_call_and_a_version_that_claims_an_exemption(db: Session, signer: Signer, closed: Closed) -> None:
    exemption = closed.let_in(db, closed.draft[0])
    case, actor = make.submission(
        db, make.call(db), make.person(db, "open@firm.example"), contact_email="open@firm.example"
    )
    version = make.send(db, actor, case, signer)
    assert version.exemption_id is None
    forged = """insert into version (submission_id, call_id, number, definition_digest, kind, language, title, is_consented,
        answers, files, findings, facts, payload_sha256, idempotency_key, submitted_by, received_at, exemption_id)
        select submission_id, call_id, 9, definition_digest, kind, language, title, is_consented, answers, files, findings,
        facts, payload_sha256, 'forged', submitted_by, received_at, :e from version where id = :v returning exemption_id"""
    nested = db.begin_nested()
    assert db.execute(text(forged), {"e": exemption.id, "v": version.id}).scalar_one() is None
    nested.rollback()
    assert db.scalars(select(Version).where(Version.exemption_id.is_not(None))).all() == []
    assert [v.number for v in versions.of_submission(db, case)] == [1]
