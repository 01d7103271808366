"""Answers carried over from another submission: what fits is offered, what is ticked is taken, nothing else changes."""

from collections.abc import Callable

import pytest
import yaml
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.domain import drafts, earlier, submissions
from app.domain.access import Actor
from app.domain.errors import NotFound, StaleStep
from app.infra.places import place
from app.models import Submission
from tests import make

SignIn = Callable[..., str]
Two = tuple[Submission, Submission, Actor]


@pytest.fixture
def two(db: Session) -> Two:
    """A filled-in poll and an empty expression of interest of the same organisation."""
    actor = make.person(db)
    body, actor = make.organisation(db, actor)
    poll = submissions.start(db, actor, make.call(db, of=make.definition("nl-poll")), body.id, "FC")
    given = yaml.safe_load((place("calls") / "samples" / "nl-poll.yaml").read_text(encoding="utf-8"))["FC"]
    for step, answers in given.items():
        drafts.save_step(db, actor, poll, step, 0, answers, {})
    case = submissions.start(db, actor, make.call(db, of=make.definition("aigf-eoi")), body.id, "FC")
    return poll, case, actor


def test_the_poll_is_carried_into_a_gigafactory_draft(
    client: TestClient, db: Session, sign_in: SignIn, two: Two
) -> None:
    poll, case, _ = two
    token = sign_in(client)
    here = f"/apply/{case.reference}"
    assert f'href="{here}/earlier-answers"' in client.get(here).text
    assert poll.reference in client.get(f"{here}/earlier-answers").text
    page = client.get(f"{here}/earlier-answers?source={poll.reference}").text
    assert ("Delta AI Gigafactory" in page, "4,000,000,000.00" in page, "2 items" in page) == (True, True, True)
    assert "answer-consent_eurohpc" not in page, "what is declared in one call is not declared in another"
    taken = ["title", "capex_total", "milestones", "nonsense", "consent_eurohpc", "read_privacy"]
    form = {"csrf_token": token, "source": poll.reference, "answer": taken}
    assert client.post(f"{here}/earlier-answers", data=form).status_code == 303
    content = drafts.content(db, case)
    assert content.answers == {
        "title": "Delta AI Gigafactory",
        "capex_total": "4000000000.00",
        "milestones": [{"sort": "close", "on_date": "2027-12-01"}, {"sort": "phase_1", "on_date": "2029-06-01"}],
    }
    assert drafts.content(db, poll).answers["interests"] == ["lead", "host"]
    again = client.get(f"{here}/earlier-answers?source={poll.reference}").text
    assert ("answer-title" in again, "answer-summary" in again) == (False, True)


def test_what_is_there_is_replaced_only_when_ticked_and_never_over_a_colleague(
    client: TestClient, db: Session, sign_in: SignIn, two: Two
) -> None:
    poll, case, actor = two
    drafts.save_step(db, actor, case, "summary", 0, {"title": "Mine", "acronym": "M"}, {})
    token = sign_in(client)
    here = f"/apply/{case.reference}/earlier-answers"
    page = client.get(f"{here}?source={poll.reference}").text
    ticked = page.partition('id="answer-title"')[2].partition(">")[0]
    assert ("checked" in ticked, "Replaces:" in page) == (False, True)
    stale = {"csrf_token": token, "source": poll.reference, "answer": ["title"], "revision-summary": "0"}
    assert client.post(here, data=stale).status_code == 409
    assert drafts.content(db, case).answers["title"] == "Mine"
    with pytest.raises(StaleStep):
        earlier.carry(db, actor, case, poll, {"title"}, {})
    assert client.post(here, data=stale | {"revision-summary": "1"}).status_code == 303
    assert drafts.content(db, case).answers == {"title": "Delta AI Gigafactory", "acronym": "M"}


def test_what_does_not_fit_the_other_question_is_left_out(db: Session, two: Two) -> None:
    poll, case, actor = two
    drafts.save_step(db, actor, poll, "summary", 1, {"title": "x" * 200, "acronym": "M" * 21}, {})
    found = {c.question.name: c.after for c in earlier.offered(db, case, poll) if c.step.name == "summary"}
    assert found == {"title": "x" * 200}


def test_nothing_of_another_organisation_and_nothing_after_the_cutoff(
    client: TestClient, db: Session, sign_in: SignIn, two: Two
) -> None:
    poll, case, _ = two
    stranger = make.person(db, "two@firm.example")
    other, stranger = make.submission(db, case.call, stranger)
    with pytest.raises(NotFound):
        earlier.source(db, stranger, other, poll.reference)
    token = sign_in(client)
    here = f"/apply/{case.reference}/earlier-answers"
    assert client.get(f"{here}?source={other.reference}").status_code == 404
    make.move_deadline(db, case.call, 0)
    form = {"csrf_token": token, "source": poll.reference, "answer": ["title"]}
    assert client.post(here, data=form).status_code == 409
    assert drafts.content(db, case).answers == {}
