"""A judgement that was kept saves work and changes nothing: whatever the draft, the call or the portal became meanwhile."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, func, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.domain import acceptances, attachments, drafts, findings, judgements, questionnaire, submissions, versions
from app.domain.access import Actor
from app.domain.errors import CallClosed, NotReady, refusal_of
from app.infra.files import FileStore
from app.infra.signing import Signer
from app.models import Judgement, Submission, Version
from tests import make


def kept(db: Session, **changes: Any) -> tuple[Submission, Actor]:
    """A filled-in case with its judgement."""
    case, actor = make.submission(db, **changes)
    judgements.keep(db, case)
    assert is_kept(db, case, actor)
    return case, actor


def is_kept(db: Session, case: Submission, actor: Actor) -> bool:
    """Whether a submit would take the judgement that was kept."""
    taken = acceptances.before(db, actor, case.reference, "k").kept is not None
    assert taken is (drafts.content(db, case).found is not None)  # the pages take it when, and only when, a submit does
    return taken


def save(db: Session, actor: Actor, case: Submission, step: str, **changes: Any) -> None:
    made = drafts.saved(db, case)[step]
    drafts.save_step(db, actor, case, step, made.revision, made.answers | changes, {})


def test_a_submit_takes_the_judgement_and_judges_nothing_itself(
    db: Session, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, actor = kept(db)

    def judged_again(*_: object) -> None:
        raise AssertionError("it was judged again")

    monkeypatch.setattr(findings, "check", judged_again)
    monkeypatch.setattr(questionnaire, "facts", judged_again)
    assert make.send(db, actor, case, signer).number == 1


def test_a_version_is_the_same_whether_it_was_judged_before_or_at_the_submit(db: Session, signer: Signer) -> None:
    changes: dict[str, Any] = {"capex_total": "1000000000.00", "public_money": "1.00"}  # asks for a reason
    (first, actor), (second, other) = kept(db, **changes), make.submission(db, **changes)
    for case, of in ((first, actor), (second, other)):
        make.send(db, of, case, signer)
    one, two = make.version_of(db, first), make.version_of(db, second)
    for part in ("title", "is_consented", "answers", "files", "findings", "facts", "kind", "definition_digest"):
        assert getattr(one, part) == getattr(two, part), part
    for case, version in ((first, one), (second, two)):
        assert make.sha256(versions.content_bytes(case, version)) == version.payload_sha256


def test_what_is_kept_reads_back_as_it_was_found(db: Session) -> None:
    case, _ = make.submission(db, title="", capex_total="1000000000.00")
    found = drafts.check(db, case, drafts.content(db, case))
    judgements.keep(db, case)
    again = drafts.check(db, case, drafts.content(db, case))
    assert again == found
    assert {finding.level for finding in found} == {"error", "warning"}
    assert [f.text("nl") for f in again] == [f.text("nl") for f in found]


def changed_answer(db: Session, actor: Actor, case: Submission, _: FileStore) -> None:
    save(db, actor, case, "summary", title="Another title")


def changed_reason(db: Session, actor: Actor, case: Submission, _: FileStore) -> None:
    drafts.save_step(db, actor, case, drafts.CHECK, 0, {"some@where": "Because."}, {})


def changed_files(db: Session, actor: Actor, case: Submission, files: FileStore) -> None:
    make.attach(db, files, actor, case)


CHANGES = [changed_answer, changed_reason, changed_files]
Change = Callable[[Session, Actor, Submission, FileStore], None]


@pytest.mark.parametrize("change", CHANGES)
def test_a_judgement_is_of_exactly_what_was_judged(db: Session, files: FileStore, change: Change) -> None:
    case, actor = kept(db)
    change(db, actor, case, files)
    assert not is_kept(db, case, actor)
    judgements.keep(db, case)
    assert is_kept(db, case, actor)


def test_a_file_that_was_taken_out_is_judged_anew(db: Session, files: FileStore, signer: Signer) -> None:
    case, actor = make.submission(db)
    given = make.attach(db, files, actor, case)
    judgements.keep(db, case)
    attachments.detach(db, actor, case, given.id)
    assert not is_kept(db, case, actor)
    make.send(db, actor, case, signer)
    assert make.version_of(db, case).files == []


def test_an_answer_emptied_after_the_judgement_stops_the_submit(db: Session, signer: Signer) -> None:
    case, actor = kept(db)
    save(db, actor, case, "summary", title=None)
    with pytest.raises(NotReady):
        make.send(db, actor, case, signer)


def test_an_error_put_right_after_the_judgement_stops_nothing(db: Session, signer: Signer) -> None:
    case, actor = kept(db, title=None)
    save(db, actor, case, "summary", title="There it is")
    make.send(db, actor, case, signer)
    assert make.version_of(db, case).title == "There it is"


def test_another_definition_or_another_portal_judges_anew(db: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    case, actor = kept(db)
    monkeypatch.setattr(drafts, "CODE", "of the next release")
    assert not is_kept(db, case, actor)
    monkeypatch.undo()
    assert is_kept(db, case, actor)
    other = make.call(db, of=make.definition() | {"summary": {"nl": "Anders", "en": "Different"}})
    with make.owner(db):
        db.execute(text("alter table call disable trigger call_guard"))
        db.execute(
            text("update call set definition_digest = :other where id = :id"),
            {"other": other.definition_digest, "id": case.call_id},
        )
        db.execute(text("alter table call enable trigger call_guard"))
    assert not is_kept(db, case, actor)


def test_a_contact_who_is_not_verified_any_more_stops_a_submit_that_was_judged_ready(
    db: Session, signer: Signer
) -> None:
    make.person(db, "contact@firm.example")
    case, actor = kept(db, contact_email="Contact@firm.example")
    with make.owner(db):
        db.execute(text("update person set email_verified_at = null where email = 'contact@firm.example'"))
    assert is_kept(db, case, actor)
    with pytest.raises(NotReady):
        make.send(db, actor, case, signer)
    make.person(db, "contact@firm.example")
    assert make.send(db, actor, case, signer).number == 1


def test_a_judgement_replaced_between_reading_and_writing_is_not_taken(
    db: Session, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, actor = kept(db)
    reading = acceptances.before
    times: list[acceptances.Before] = []

    def then_somebody_saves(*asked: Any) -> acceptances.Before:
        found = reading(*asked)
        if not times:
            times.append(found)
            save(db, actor, case, "summary", title="Saved meanwhile")
            judgements.keep(db, case)
        return found

    monkeypatch.setattr(acceptances, "before", then_somebody_saves)
    make.send(db, actor, case, signer)
    (version,) = db.scalars(select(Version))
    assert version.answers["title"] == version.title == "Saved meanwhile"
    assert make.sha256(versions.content_bytes(case, version)) == version.payload_sha256


def test_a_forged_judgement_needs_the_state_of_the_draft_and_counts_for_nothing_else(
    db: Session, signer: Signer
) -> None:
    case, actor = kept(db, title=None)
    db.execute(update(Judgement).values(errors=[], state="forged"))
    with pytest.raises(NotReady):
        make.send(db, actor, case, signer)


def test_nothing_is_judged_after_the_cutoff(db: Session) -> None:
    case, _ = kept(db)
    make.move_deadline(db, case.call, 0)
    with pytest.raises(DBAPIError) as failure, db.begin_nested():
        judgements.keep(db, case)
    assert isinstance(refusal_of(failure.value), CallClosed)
    assert db.scalar(select(func.count()).select_from(Judgement)) == 1


def test_a_submit_of_a_judged_draft_asks_the_database_three_times(db: Session, signer: Signer) -> None:
    case, actor = kept(db)
    asked: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        asked.append(statement)

    event.listen(db.connection(), "before_cursor_execute", note)
    submissions.submit(db, actor, case.reference, "k", "en", signer, make.ISSUER)
    assert len(asked) == 3, asked
