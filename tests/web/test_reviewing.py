"""The desk in a browser without a screen: assign, read, score, reconcile, recommend, sign off, reopen, note."""

import re
from collections.abc import Callable
from html import unescape

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.domain import assignments, conflicts, progress
from app.infra.signing import Signer
from app.models import Assignment, Note, Submission
from tests import make

SignIn = Callable[..., str]


class Desk:
    """Whoever is signed in, at the pages of one dossier."""

    def __init__(self, client: TestClient, sign_in: SignIn, case: Submission) -> None:
        self.client, self.sign_in, self.here = client, sign_in, f"/review/{case.reference}"
        self.token = ""

    def as_(self, who: str) -> "Desk":
        self.token = self.sign_in(self.client, f"{who}@rvo.example")
        return self

    def page(self, tail: str = "") -> str:
        answer = self.client.get(self.here + tail)
        assert answer.status_code == 200, (tail, answer.status_code, answer.headers.get("location"))
        return re.sub(r"\s+", " ", unescape(answer.text))

    def post(self, tail: str, **form: object) -> int:
        where = tail if tail.startswith("/review") else self.here + tail
        return self.client.post(where, data={"csrf_token": self.token, **form}).status_code


@pytest.fixture
def case(db: Session, signer: Signer) -> Submission:
    """A submitted case of a sealed call."""
    found, _ = make.submission(db, sent=True, signer=signer)
    make.close(db, found.call)
    return found


@pytest.fixture
def desk(client: TestClient, db: Session, sign_in: SignIn, case: Submission) -> Desk:
    """Three people of the desk: a coordinator and two readers."""
    make.person(db, "co@rvo.example", "Co Ordinator", staff="coordinator")
    for name in ("first", "second"):
        make.person(db, f"{name}@rvo.example", name.title(), staff="reviewer")
    return Desk(client, sign_in, case)


def scored(**changes: str) -> dict[str, str]:
    form = {f"points-{name}": text for name, text in make.POINTS.items()}
    form |= {f"argument-{name}": "It is sound." for name in make.POINTS}
    return form | changes


def test_a_dossier_is_divided_read_and_signed_off_on_the_pages(
    desk: Desk, client: TestClient, db: Session, case: Submission
) -> None:
    people = {p.email.split("@")[0]: str(p.id) for p in assignments.staff(db)}
    desk.as_("co")
    chosen = {"call": case.call.code, "person": [people["first"], people["second"]], "due_on": "2031-05-01"}
    plan = client.get("/review/assignments/plan", params=chosen)
    digest = re.findall(r'name="digest" value="(\w+)"', plan.text)[0]
    assert "Nothing has happened yet." in plan.text
    assert db.scalars(select(Assignment)).all() == []
    assert desk.post("/review/assignments", digest=digest, **chosen) == 303
    assert desk.post("/review/assignments", digest=digest, **chosen) == 409
    desk.as_("first")
    work = client.get("/review/mine").text
    assert ("1 May 2031" in work, "say whether you have an interest" in work) == (True, True)
    assert case.reference in client.get(f"/review/conflicts/none?reference={case.reference}").text
    assert desk.post("/review/conflicts/none", reference=case.reference) == 303
    assert desk.post("/checklist", line="proposal_there", verdict="yes", reason="It came by post.") == 303
    assert "It came by post." in desk.page("/checklist")
    assert desk.post("/scores", action="save", **scored(**{"points-money": ""})) == 303
    assert desk.post("/scores", action="hand_in", **scored()) == 303
    assert desk.post("/scores", action="save", **scored()) == 409
    desk.as_("second")
    assert desk.post("/conflicts", level="none") == 303
    assert "It is sound." not in desk.page("/scores") + desk.page("/reconciliation") + desk.page("/work")
    form = scored(**{"points-money": "2", "argument-money": "It is thin."})
    assert desk.post("/scores", action="hand_in", **form) == 303
    table = desk.page("/reconciliation")
    assert ("It is sound." in table, "It is thin." in table, "71.75 / 100" in table) == (True, True, True)
    desk.as_("first")
    assert desk.post("/reconciliation", **scored(**{"argument-money": ""})) == 422  # the readers differ here
    assert desk.post("/reconciliation", **scored(**{"points-money": "2.5", "argument-money": ""})) == 422
    assert desk.post("/reconciliation", **scored(**{"points-money": "2.5"})) == 303
    seen = re.findall(r'name="seen" value="([\w-]+)"', desk.as_("second").page("/reconciliation"))
    assert desk.post("/agreement", seen=seen) == 303
    assert desk.post("/recommendation", value="pass_on", text="Ready.") == 403
    desk.as_("first")
    assert desk.post("/recommendation", value="pass_on", text="Ready.") == 303
    assert "Sign off" not in re.findall(r"<button[^>]*>(.*?)</button>", desk.page("/work"))
    seen = re.findall(r'name="seen" value="([\w-]+)"', desk.as_("second").page("/work"))
    assert desk.post("/sign-offs", seen=seen) == 303
    assert "Nothing changes any more" in desk.page("/work")
    assert desk.post("/checklist", line="proposal_there", verdict="no", reason="Late.") == 409
    desk.as_("co")
    assert desk.post("/conflicts", level="none") == 303
    assert desk.post("/reopenings", reason="") == 422
    assert desk.post("/reopenings", reason="A figure was misread.") == 303
    assert progress.of(db, case) == "reopened"
    assert "A figure was misread." in desk.as_("first").page("/work")
    assert desk.post("/reopenings", reason="Me too.") == 404


def test_what_is_wrong_in_scores_is_said_beside_its_field_and_the_rest_is_saved(
    desk: Desk, db: Session, case: Submission
) -> None:
    make.readers(db, case)
    desk.as_("first")
    form = scored(**{"points-money": "7", "argument-quality": ""})
    answer = desk.client.post(f"{desk.here}/scores", data={"csrf_token": desk.token, "action": "hand_in", **form})
    assert answer.status_code == 422
    assert re.findall(r'href="#((?:points|argument)-\w+)"', answer.text) == ["argument-quality", "points-money"]
    assert 'value="7"' in answer.text
    kept = desk.page("/scores")
    assert ('value="7.5"' in kept, 'value="7"' in kept, kept.count(">It is sound.<")) == (True, False, 2)
    assert progress.of(db, case) == "in_review"


def test_bulk_assignment_can_be_undone(desk: Desk, client: TestClient, db: Session, case: Submission) -> None:
    people = [str(p.id) for p in assignments.staff(db) if p.staff_role == "reviewer"]
    desk.as_("co")
    chosen = {"call": case.call.code, "person": people}
    digest = re.findall(r'name="digest" value="(\w+)"', client.get("/review/assignments/plan", params=chosen).text)
    assert desk.post("/review/assignments", digest=digest, **chosen) == 303
    batch = re.findall(r'name="batch" value="([\w-]+)"', client.get("/review/assignments").text)
    assert desk.post("/review/assignments/undo", batch=batch) == 303
    assert desk.post("/review/assignments/undo", batch=batch) == 404
    assert desk.post("/review/assignments/undo", batch="nonsense") == 404
    assert [a.end_reason for a in db.scalars(select(Assignment))] == ["undone", "undone"]


def test_seats_are_given_by_hand_with_a_day_and_a_reason(desk: Desk, db: Session, case: Submission) -> None:
    first = make.person(db, "first@rvo.example")
    conflicts.state(db, first, case, "possible", "A cousin.")
    desk.as_("co")
    assert "possible conflict" in desk.page("/assignments")
    give = {"seat": "first", "person": str(first.person_id), "before": "", "due_on": "2031-05-01"}
    assert desk.post("/assignments", **give) == 422
    assert desk.post("/assignments", **give, reason="He is far away.") == 303
    assert desk.post("/assignments", **(give | {"seat": "second"}), reason="So.") == 409
    for wrong in ({"due_on": "2031-02-30"}, {"due_on": "9" * 40}, {"person": "x"}, {"seat": "third"}):
        assert desk.post("/assignments", **(give | wrong), reason="So.") == 422, wrong
    assert desk.post("/assignments/first/day", due_on="2031-06-01") == 303
    assert "2031-06-01" in desk.page("/assignments")
    assert desk.post("/assignments/first/end", reason=" ") == 422
    assert desk.post("/assignments/first/end", reason="Ill.") == 303
    assert desk.post("/assignments/first/end", reason="Ill.") == 404
    for tail in ("/assignments", "/assignments/first/day", "/scores/return"):
        assert desk.as_("first").post(tail, **give) == 404


def test_notes_and_tags_on_the_page(desk: Desk, client: TestClient, db: Session, case: Submission) -> None:
    _, first, second = make.readers(db, case)
    desk.as_("first")
    assert desk.post("/notes", text="Look here, @second.", person=[str(first.person_id), "nonsense"]) == 303
    assert desk.post("/notes", text="   ") == 422
    assert desk.post("/tags", tag="Grid risk") == 303
    assert desk.post("/tags", tag="grid  RISK") == 303
    assert desk.post("/tags", tag="x" * 41) == 422
    page = desk.page("/notes")
    assert (page.count("Look here"), page.count(">Grid risk<"), "meant for Second" in page) == (1, 1, True)
    desk.as_("second")
    mine = client.get("/review/mine").text
    assert ('govuk-tag">new' in mine, case.reference in mine) == (True, True)
    desk.page("/notes")
    assert 'govuk-tag">new' not in client.get("/review/mine").text
    assert desk.post("/tags/end", tag="grid risk") == 303
    assert desk.post("/tags/end", tag="grid risk") == 404
    assert db.scalars(select(Note.text)).all() == ["Look here, @second."]
    assert second.person_id


def test_activity_is_shown_of_a_dossier_and_of_oneself_and_to_coordinators_of_others(
    desk: Desk, client: TestClient, db: Session, case: Submission
) -> None:
    _, first, _ = make.readers(db, case)
    make.hand_in(db, first, case)
    desk.as_("first")
    assert ("handed in scores" in desk.page("/activity"), "First" in desk.page("/activity")) == (True, True)
    assert "handed in scores" in client.get("/review/activity").text
    other = make.person(db, "second@rvo.example")
    assert client.get(f"/review/activity?person={other.person_id}").status_code == 404
    desk.as_("co")
    assert "handed in scores" in client.get(f"/review/activity?person={first.person_id}").text
    firm = make.person(db, "lead@firm.example")
    for wrong in (firm.person_id, "x", "\x00"):
        assert client.get("/review/activity", params={"person": str(wrong)}).status_code == 404


def test_the_languages_one_reads_are_kept(desk: Desk, client: TestClient, db: Session) -> None:
    desk.as_("first")
    assert desk.post("/review/mine/languages", reads=["nl", "xx", "other"]) == 303
    db.expire_all()
    assert assignments.languages(db, make.person(db, "first@rvo.example")) == ("nl", "other")
    page = client.get("/review/mine").text
    assert re.findall(r'id="reads-(\w+)"[^>]* checked', page) == ["nl", "other"]
