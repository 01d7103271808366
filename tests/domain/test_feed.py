"""The feed as the database makes it: whoever releases, in the order of commits, without gaps."""

from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.domain import completeness, feed, merkle, seals, statements, verification
from app.domain.access import SYSTEM
from app.infra.signing import Signer
from app.models import Call, Epoch, FeedEntry, Submission, Version
from tests import make


def closed(db: Session, signer: Signer, number: int = 3) -> tuple[Call, list[Submission]]:
    """A sealed call that released so many submissions."""
    call = make.call(db)
    cases = []
    for i in range(number):
        address = f"f{i}@firm.example"
        person = make.person(db, address)
        cases.append(make.submission(db, call, person, sent=True, signer=signer, contact_email=address)[0])
    make.move_deadline(db, call, 0)
    make.seal(db, call, signer)
    make.number(db)
    return call, sorted(cases, key=lambda case: case.reference)


def told(db: Session, call: Call) -> list[tuple[int, str, str]]:
    page = feed.read(db, SYSTEM, call, None, 1000)
    return [(entry.number, entry.kind, entry.submission.reference) for entry in page.entries]


def test_a_seal_tells_of_all_that_it_releases_in_order_of_reference(db: Session, signer: Signer) -> None:
    call, cases = closed(db, signer)
    assert told(db, call) == [(n, "released", case.reference) for n, case in enumerate(cases, 1)]
    page = feed.read(db, SYSTEM, call, None, 2)
    assert ([entry.number for entry in page.entries], page.cursor.number, page.has_more) == ([1, 2], 2, True)
    rest = feed.read(db, SYSTEM, call, page.cursor, 2)
    assert ([entry.number for entry in rest.entries], rest.has_more) == ([3], False)
    assert feed.read(db, SYSTEM, call, rest.cursor, 2) == feed.Page([], rest.cursor, has_more=False)
    assert verification.run(db) == []


def test_taking_back_leaves_a_tombstone_and_releasing_again_tells_so(db: Session, signer: Signer) -> None:
    call, (case, *_) = closed(db, signer)
    make.take_back(db, case)
    make.number(db)
    make.release(db, case)
    make.number(db)
    assert told(db, call)[3:] == [(4, "withdrawn", case.reference), (5, "released", case.reference)]
    make.take_back(db, case)
    make.release(db, case)
    make.number(db)  # as one commit
    assert told(db, call)[5:] == [(6, "replaced", case.reference)]
    make.take_back(db, case)
    make.release(db, case)
    make.take_back(db, case)
    make.number(db)
    assert [kind for _, kind, _ in told(db, call)[6:]] == ["replaced", "withdrawn"]
    assert verification.run(db) == []


def test_what_was_taken_back_and_not_committed_never_was(db: Session, signer: Signer) -> None:
    call, (case, *_) = closed(db, signer)
    inside = db.begin_nested()
    make.take_back(db, case)
    inside.rollback()
    make.number(db)
    assert len(told(db, call)) == 3


def test_the_serving_role_can_neither_write_entries_nor_move_the_counter(db: Session, signer: Signer) -> None:
    closed(db, signer)
    for attack in (
        "insert into feed_entry select call_id, 99, kind, submission_id, version_id, release_id, at from feed_entry limit 1",
        "update feed set last = 0",
        "delete from feed_entry",
        "insert into epoch default values",
        "insert into turn (release_id, is_back) select id, true from release limit 1",
        "select number_turns()",
    ):
        with pytest.raises(DBAPIError) as failure, db.begin_nested():
            db.execute(text(attack))
        assert getattr(failure.value.orig, "sqlstate", "") == "42501", attack
    with make.owner(db), pytest.raises(DBAPIError), db.begin_nested():
        db.execute(text("delete from feed_entry"))


@pytest.mark.parametrize(
    "cursor", ["x", "0" * 16, "0" * 16 + "-", "0" * 16 + "--1", "0" * 15 + "-1", "\x00" * 16 + "-1"]
)
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(feed.CursorInvalid):
        feed.parsed(cursor)


def test_a_cursor_of_another_epoch_or_of_the_future_has_expired(db: Session, signer: Signer) -> None:
    call, _ = closed(db, signer)
    here = feed.position(db, call)
    for cursor in (feed.Cursor("0" * 16, 1), feed.Cursor(here.epoch, here.number + 1)):
        with pytest.raises(feed.CursorExpired):
            feed.read(db, SYSTEM, call, cursor, 10)
    with make.owner(db):
        db.add(Epoch())
    assert feed.position(db, call).epoch != here.epoch
    with pytest.raises(feed.CursorExpired):
        feed.read(db, SYSTEM, call, here, 10)


Held = dict[str, tuple[int, str]]


def held_of(db: Session, call: Call) -> Held:
    rows = db.execute(
        select(Submission.reference, Version.number, Version.payload_sha256)
        .join(Version, Version.submission_id == Submission.id)
        .where(Submission.call_id == call.id)
    )
    return {reference: (number, digest) for reference, number, digest in rows}


def test_who_holds_all_that_was_released_can_show_it_and_who_does_not_is_told(db: Session, signer: Signer) -> None:
    call, (gone, kept, _) = closed(db, signer)
    make.take_back(db, gone)
    make.number(db)
    document, held, jwks = completeness.document(db, call), held_of(db, call), signer.jwks()
    assert document["cursor"] == str(feed.position(db, call))
    assert len(document["seal"]["leaves"]) == 3
    assert gone.reference not in str(document["released"])
    del held[gone.reference]
    assert completeness.faults(document, held, jwks) == []
    number, digest = held[kept.reference]
    wrong: list[tuple[Held, str]] = [
        ({k: v for k, v in held.items() if k != kept.reference}, f"{kept.reference} is missing."),
        (held | {kept.reference: (number, "0" * 64)}, f"{kept.reference} is not what was sealed."),
        (held | {kept.reference: (number + 1, digest)}, f"{kept.reference} is not what was sealed."),
        (held | {gone.reference: (1, digest)}, f"{gone.reference} is not released."),
    ]
    for given, sentence in wrong:
        assert completeness.faults(document, given, jwks) == [sentence]


def test_a_list_of_leaves_that_was_changed_is_noticed(db: Session, signer: Signer) -> None:
    call, _ = closed(db, signer)
    held, jwks = held_of(db, call), signer.jwks()

    def judged(change: Any) -> list[str]:
        document = completeness.document(db, call)
        change(document)
        return completeness.faults(document, held, jwks)

    def shorten(document: Any) -> None:
        document["released"].pop()

    def swap(document: Any) -> None:
        document["released"][0]["leaf"]["version"] = 2

    def drop_leaf(document: Any) -> None:
        document["seal"]["leaves"].pop()

    def forge(document: Any) -> None:
        fewer = document["seal"]["leaves"][1:]
        body = document["seal"]["statement"] | {"root": merkle.root(fewer), "size": len(fewer)}
        document["seal"] = {"statement": body, "jws": document["seal"]["jws"], "leaves": fewer}

    assert judged(lambda document: None) == []
    assert "is not released." in judged(shorten)[0]
    assert "is not in the sealed set" in judged(swap)[0]
    assert "root of the seal" in judged(drop_leaf)[0]
    assert "is not what was signed" in judged(forge)[0]
    assert judged(lambda document: document.clear()) == ["This is not a list of leaves."]


def test_leaves_count_every_sealed_submission_also_those_not_consented_to(db: Session, signer: Signer) -> None:
    call = make.call(db)
    make.submission(db, call, sent=True, signer=signer, consent_eurohpc=False)
    make.move_deadline(db, call, 0)
    make.seal(db, call, signer)
    make.number(db)
    document = completeness.document(db, call)
    assert (len(document["seal"]["leaves"]), document["released"]) == (1, [])
    assert completeness.faults(document, {}, signer.jwks()) == []
    assert statements.check(document["seal"], signer.jwks()) is None
    assert seals.hashes(db, call) == document["seal"]["leaves"]
    assert db.scalar(select(func.count()).select_from(FeedEntry)) == 0
