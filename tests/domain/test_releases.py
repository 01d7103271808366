"""What goes to EuroHPC: with consent only, by a coordinator without a conflict, once at a time; taken back with a trace."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import calls, conflicts, releases, seals, verification
from app.domain.access import SYSTEM, Actor
from app.domain.errors import CallStillOpen, Forbidden, NotFound, NothingToRelease, ReasonMissing, Refused, refusal_of
from app.domain.objections import AlreadyConcluded, AlreadyReleased, NotReleased
from app.infra import database
from app.infra.postgres import Cluster
from app.infra.signing import Signer
from app.models import Call, Event, OutboxMessage, Release, Submission
from tests import make
from tests.test_cutoff import database_of, until_somebody_waits


def by_coordinator(db: Session) -> Call:
    """An open call whose dossiers a coordinator releases."""
    call = make.call(db)
    with make.owner(db):
        db.execute(text("update call set release = 'by_coordinator' where id = :id"), {"id": call.id})
    db.expire(call)
    return call


def sent(db: Session, call: Call, signer: Signer, name: str, **changes: Any) -> Submission:
    kind = changes.pop("kind", "FC")
    who = make.person(db, f"{name}@firm.example")
    return make.submission(
        db, call, who, kind, sent=True, signer=signer, contact_email=f"{name}@firm.example", **changes
    )[0]


@pytest.fixture
def call(db: Session) -> Call:
    """A call whose dossiers a coordinator releases."""
    return by_coordinator(db)


@pytest.fixture
def cases(db: Session, call: Call, signer: Signer) -> list[Submission]:
    """Three dossiers that may go and one without consent, sealed; in order of reference but for the last."""
    may_go = [sent(db, call, signer, name) for name in ("one", "two", "three")]
    shut = sent(db, call, signer, "shut", consent_eurohpc=False)
    make.move_deadline(db, call, 0)
    make.seal(db, call, signer)
    return [*sorted(may_go, key=lambda case: case.reference), shut]


@pytest.fixture
def coordinator(db: Session) -> Actor:
    """A coordinator who stated nothing."""
    return make.person(db, "co@rvo.example", staff="coordinator")


def told(db: Session, purpose: str) -> list[str]:
    return sorted(db.scalars(select(OutboxMessage.recipient).where(OutboxMessage.purpose == purpose)))


def states(db: Session, actor: Actor, cases: list[Submission]) -> list[str]:
    rows = [releases.fate(db, actor, case) for case in cases]
    return [row.state if row else "" for row in rows]


def test_all_that_was_consented_to_goes_and_the_rest_stays(
    db: Session, call: Call, cases: list[Submission], coordinator: Actor
) -> None:
    assert states(db, coordinator, cases) == ["ready"] * 3 + ["no_consent"]
    gone = releases.release_all(db, coordinator, call, make.ISSUER)
    assert gone == [case.reference for case in cases[:3]]
    assert states(db, coordinator, cases) == ["released"] * 3 + ["no_consent"]
    assert releases.counts(db, coordinator, call) == {
        "ready": 0, "released": 3, "taken_back": 0, "no_consent": 1, "withdrawn": 0, "exceptional": 0,
    }  # fmt: skip
    assert told(db, "release") == ["one@firm.example", "three@firm.example", "two@firm.example"]
    assert db.scalar(select(func.count()).select_from(Event).where(Event.name == "dossier.released")) == 3
    assert releases.release_all(db, coordinator, call, make.ISSUER) == []
    assert len(told(db, "release")) == 3
    assert verification.run(db) == []


def test_a_dossier_taken_back_leaves_a_tombstone_and_goes_again_only_by_name(
    db: Session, call: Call, cases: list[Submission], coordinator: Actor
) -> None:
    releases.release_all(db, coordinator, call, make.ISSUER)
    case = cases[0]
    with pytest.raises(ReasonMissing):
        releases.take_back(db, coordinator, [case.reference], " ", make.ISSUER)
    releases.take_back(db, coordinator, [case.reference, "nonsense"], "A mistake in the mark.", make.ISSUER)
    assert states(db, coordinator, cases) == ["taken_back", "released", "released", "no_consent"]
    assert told(db, "release_ended") == [
        db.scalar(text("select email from person where id = :i"), {"i": case.created_by})
    ]
    (mail,) = db.scalars(select(OutboxMessage.text).where(OutboxMessage.purpose == "release_ended"))
    assert "A mistake" not in mail
    assert releases.release_all(db, coordinator, call, make.ISSUER) == []
    with pytest.raises(NotReleased):
        releases.take_back(db, coordinator, [case.reference], "Again.", make.ISSUER)
    releases.release(db, coordinator, case, make.ISSUER)
    with pytest.raises(AlreadyReleased):
        releases.release(db, coordinator, case, make.ISSUER)
    rows = releases.history(db, case)
    assert [(row.taken_back_at is None, row.reason) for row in rows] == [
        (True, None),
        (False, "A mistake in the mark."),
    ]
    assert verification.run(db) == []


def test_without_consent_nothing_goes_one_by_one_either(
    db: Session, cases: list[Submission], coordinator: Actor
) -> None:
    with pytest.raises(NothingToRelease):
        releases.release(db, coordinator, cases[3], make.ISSUER)
    assert releases.release_some(db, coordinator, [cases[3].reference, cases[0].reference], make.ISSUER) == [
        cases[0].reference
    ]


def test_a_coordinator_with_a_conflict_neither_sees_nor_moves_that_dossier(
    db: Session, call: Call, cases: list[Submission], coordinator: Actor
) -> None:
    conflicts.state(db, coordinator, cases[0], "conflict", "Shares.")
    reference = cases[0].reference
    assert [row.submission.reference for row in releases.listed(db, coordinator, call).rows].count(reference) == 0
    assert releases.counts(db, coordinator, call)["ready"] == 2
    assert releases.chosen(db, coordinator, [reference])[1] == [reference]
    with pytest.raises(NotFound):
        releases.release(db, coordinator, cases[0], make.ISSUER)
    assert releases.release_some(db, coordinator, [reference], make.ISSUER) == []
    assert reference not in releases.release_all(db, coordinator, call, make.ISSUER)
    other = make.person(db, "other@rvo.example", staff="admin")
    releases.release(db, other, cases[0], make.ISSUER)
    with pytest.raises(NotReleased):
        releases.take_back(db, coordinator, [reference], "Mine.", make.ISSUER)


def test_only_coordinators_release_take_back_and_finish(db: Session, call: Call, cases: list[Submission]) -> None:
    reviewer = make.person(db, "jo@rvo.example", staff="reviewer")
    verbs: list[Callable[[], Any]] = [
        lambda: releases.release(db, reviewer, cases[0], make.ISSUER),
        lambda: releases.release_some(db, reviewer, [cases[0].reference], make.ISSUER),
        lambda: releases.release_all(db, reviewer, call, make.ISSUER),
        lambda: releases.take_back(db, reviewer, [cases[0].reference], "No.", make.ISSUER),
        lambda: releases.conclude(db, reviewer, call),
    ]
    for verb in verbs:
        with pytest.raises(Forbidden):
            verb()
    for who in (None, reviewer.person_id):
        insert = text(
            "insert into release (submission_id, version_id, released_by)"
            " select l.submission_id, l.version_id, cast(:p as uuid) from leaf l join version v on v.id = l.version_id"
            " where v.is_consented limit 1"
        )
        with pytest.raises(DBAPIError) as failure, db.begin_nested():
            db.execute(insert, {"p": who})
        assert isinstance(refusal_of(failure.value), Forbidden), who


def test_the_serving_role_cannot_rewrite_a_release(
    db: Session, call: Call, cases: list[Submission], coordinator: Actor
) -> None:
    releases.release_all(db, coordinator, call, make.ISSUER)
    releases.take_back(db, coordinator, [cases[0].reference], "A mistake.", make.ISSUER)
    attacks = (
        "delete from release",
        "update release set released_at = released_at",
        "update release set version_id = version_id",
        "update release set taken_back_at = null",
        "update release set taken_back_at = clock_timestamp(), reason = 'x' where taken_back_at is null",
        "update release set reason = 'another' where taken_back_at is not null",
        "insert into release (submission_id, version_id, released_by) select l.submission_id, l.version_id, r.released_by"
        " from release r, leaf l join version v on v.id = l.version_id where not v.is_consented",
        "delete from conclusion",
    )
    for attack in attacks:
        with pytest.raises(DBAPIError) as failure, db.begin_nested():
            db.execute(text(attack))
        assert "permission denied" in str(failure.value) or refusal_of(failure.value) is not None, attack


def test_a_call_that_releases_at_the_seal_tells_respondents_and_can_take_back(
    db: Session, signer: Signer, coordinator: Actor
) -> None:
    call = make.call(db)
    case, shut = sent(db, call, signer, "one"), sent(db, call, signer, "shut", consent_eurohpc=False)
    back = sent(db, call, signer, "back")
    make.move_deadline(db, call, 0)
    make.seal(db, call, signer)
    assert told(db, "release") == []
    releases.take_back(db, coordinator, [back.reference], "A mistake.", make.ISSUER)
    assert told(db, "release_ended") == ["back@firm.example"]  # who is told this is not told afterwards that it went
    while seals.write_letters(db, make.ISSUER):
        pass
    assert told(db, "release") == ["one@firm.example"]
    assert states(db, coordinator, [case, shut]) == ["released", "no_consent"]
    row = releases.fate(db, coordinator, case)
    assert row is not None
    assert row.release is not None
    assert row.release.released_by is None
    releases.take_back(db, coordinator, [case.reference], "A mistake.", make.ISSUER)
    assert states(db, coordinator, [case]) == ["taken_back"]


def test_what_a_respondent_is_told_is_never_a_judgement(
    db: Session, call: Call, cases: list[Submission], coordinator: Actor, signer: Signer
) -> None:
    def told_of(*those: Submission) -> list[str]:
        found = releases.progress(db, those)
        return [found[case.id].state if case.id in found else "" for case in those]

    fresh = by_coordinator(db)
    waiting = sent(db, fresh, signer, "late")
    draft, _ = make.submission(db, fresh, make.person(db, "draft@firm.example"))
    assert told_of(cases[0], cases[3], waiting, draft) == ["in_review", "not_forwarded", "", ""]
    make.move_deadline(db, fresh, 0)
    assert told_of(waiting, draft) == ["received", ""]
    releases.release(db, coordinator, cases[0], make.ISSUER)
    assert told_of(cases[0]) == ["forwarded"]
    releases.take_back(db, coordinator, [cases[0].reference], "A mistake.", make.ISSUER)
    assert told_of(cases[0]) == ["in_review"]
    assert releases.progress(db, cases)[cases[0].id].taken_back_at is not None
    releases.conclude(db, coordinator, call)
    assert told_of(*cases) == ["closed"] * 4
    with pytest.raises(DBAPIError) as failure, db.begin_nested():
        releases.conclude(db, coordinator, call)
    assert isinstance(refusal_of(failure.value), AlreadyConcluded)
    with pytest.raises(DBAPIError) as failure, db.begin_nested():
        releases.conclude(db, coordinator, by_coordinator(db))
    assert isinstance(refusal_of(failure.value), CallStillOpen)


def test_the_list_goes_a_page_at_a_time_and_by_state(
    db: Session, call: Call, cases: list[Submission], coordinator: Actor
) -> None:
    references = sorted(case.reference for case in cases)
    first = releases.listed(db, coordinator, call, limit=3)
    assert ([row.submission.reference for row in first.rows], first.after) == (references[:3], references[2])
    second = releases.listed(db, coordinator, call, after=references[2], limit=3)
    assert ([row.submission.reference for row in second.rows], second.after) == (references[3:], None)
    (row,) = releases.listed(db, coordinator, call, "no_consent").rows
    assert row.submission.reference == cases[3].reference


def bearer(db: Session, call: Call) -> dict[str, str]:
    return {"Authorization": f"Bearer {make.key(db, call)}"}


def test_what_is_taken_back_is_gone_for_keys_and_comes_again_as_it_was(
    client: TestClient, db: Session, call: Call, cases: list[Submission], coordinator: Actor
) -> None:
    key, here = bearer(db, call), f"/api/v1/submissions/{cases[0].reference}"
    listed = f"/api/v1/calls/{call.code}/submissions"

    def seen() -> tuple[int, list[str], int]:
        items = client.get(listed, headers=key).json()["items"]
        count = client.get(f"/api/v1/calls/{call.code}", headers=key).json()["counts"]["released"]
        return client.get(here, headers=key).status_code, [item["reference"] for item in items], count

    assert seen() == (404, [], 0)
    releases.release_some(db, coordinator, [cases[0].reference], make.ISSUER)
    assert seen() == (200, [cases[0].reference], 1)
    before = client.get(here, headers=key)
    assert client.get(here, headers=key | {"If-None-Match": before.headers["etag"]}).status_code == 304
    releases.take_back(db, coordinator, [cases[0].reference], "A mistake.", make.ISSUER)
    assert seen() == (404, [], 0)
    gone = [f"{here}/versions/1", f"{here}/proof", f"{here}/attachments/{'0' * 64}"]
    assert [client.get(path, headers=key).status_code for path in gone] == [404] * 3
    assert client.get(here, headers=key | {"If-None-Match": before.headers["etag"]}).status_code == 404
    assert cases[0].reference not in client.get(f"/api/v1/calls/{call.code}/export.ndjson", headers=key).text
    releases.release(db, coordinator, cases[0], make.ISSUER)
    after = client.get(here, headers=key)
    assert (after.headers["etag"], after.json()) == (before.headers["etag"], before.json())


def committed_cases(portal: Portal, cluster: Cluster, number: int) -> tuple[str, Actor, list[str]]:
    """Code, coordinator and references of a committed, sealed call of which nothing is released."""
    engine = database.engine(cluster.owner_url(database_of(portal)))
    with database.sessions(engine).begin() as db:
        now = calls.clock(db)
        code = calls.publish(
            db, make.definition(), now, now.replace(year=now.year + 1), "race", True, "by_coordinator"
        ).code
    with portal.sessions.begin() as db:
        call = calls.by_code(db, code)
        references = [sent(db, call, portal.signer, f"p{i}").reference for i in range(number)]
        coordinator = make.person(db, "co@rvo.example", staff="coordinator")
    with database.sessions(engine).begin() as db:
        db.execute(text("update call set closes_at = clock_timestamp() where code = :c"), {"c": code})
    engine.dispose()
    with portal.sessions.begin() as db:
        make.seal(db, calls.by_code(db, code), portal.signer)
    return code, coordinator, references


def case_of(db: Session, reference: str) -> Submission:
    return db.scalars(select(Submission).where(Submission.reference == reference)).one()


def outcome(verb: Callable[[], Any]) -> str:
    try:
        verb()
    except Refused as refusal:
        return refusal.code
    except DBAPIError as failure:
        known = refusal_of(failure)
        assert known is not None, failure
        return known.code
    return "done"


@pytest.mark.committed
def test_of_eight_releases_at_once_one_counts_and_one_mail_goes(committed_portal: Portal, cluster: Cluster) -> None:
    portal = committed_portal
    code, coordinator, (one, *_) = committed_cases(portal, cluster, 3)
    gate = threading.Barrier(8)

    def press(number: int) -> str:
        def verb() -> None:
            with portal.sessions.begin() as db:
                if number % 2:
                    releases.release_all(db, coordinator, calls.by_code(db, code), make.ISSUER)
                else:
                    releases.release(db, coordinator, case_of(db, one), make.ISSUER)

        gate.wait()
        return outcome(verb)

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(press, range(8)))
    assert set(outcomes) <= {"done", "already_released"}
    with portal.sessions.begin() as db:
        assert db.execute(text("select count(*), count(distinct submission_id) from release")).one() == (3, 3)
        assert db.scalar(select(func.count()).select_from(Event).where(Event.name == "dossier.released")) == 3
        assert len(told(db, "release")) == 3
        assert verification.run(db) == []


@pytest.mark.committed
def test_taking_back_what_a_colleague_takes_back_at_once_happens_once(
    committed_portal: Portal, cluster: Cluster
) -> None:
    portal = committed_portal
    _, coordinator, (one,) = committed_cases(portal, cluster, 1)

    def back() -> None:
        with portal.sessions.begin() as db:
            releases.take_back(db, coordinator, [one], "A mistake.", make.ISSUER)

    with portal.sessions.begin() as db:
        releases.release(db, coordinator, case_of(db, one), make.ISSUER)
    with ThreadPoolExecutor(1) as pool:
        with portal.sessions.begin() as db:
            releases.take_back(db, coordinator, [one], "First.", make.ISSUER)
            second = pool.submit(outcome, back)
            until_somebody_waits(cluster, database_of(portal))
        assert second.result() == "not_released"
    with portal.sessions.begin() as db:
        assert db.scalars(select(Release.reason)).all() == ["First."]


@pytest.mark.committed
def test_taking_back_while_it_is_being_released_finds_nothing_or_the_whole_of_it(
    committed_portal: Portal, cluster: Cluster
) -> None:
    portal = committed_portal
    _, coordinator, (one,) = committed_cases(portal, cluster, 1)

    def back() -> None:
        with portal.sessions.begin() as db:
            releases.take_back(db, coordinator, [one], "A mistake.", make.ISSUER)

    with portal.sessions.begin() as db:
        releases.release(db, coordinator, case_of(db, one), make.ISSUER)
        assert outcome(back) == "not_released"  # another transaction: the release is not committed
    assert outcome(back) == "done"
    with portal.sessions.begin() as db:
        assert db.scalars(select(Release.taken_back_at.is_not(None))).all() == [True]
        assert verification.run(db) == []
    assert SYSTEM.person_id is None
