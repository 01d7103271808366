"""No page of a full submission is large: what is measured in bench/pages.py for time is held here for bytes."""

from collections.abc import Callable

from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app import demo
from app.deps import Portal
from app.domain import calls, drafts, submissions
from app.infra.i18n import LANGUAGES
from tests import make

SignIn = Callable[..., str]
MOST = 100_000  # bytes of HTML
MEMBERS, SITES, FILES = 3, 4, 20


def test_no_page_of_three_members_four_sites_and_twenty_files_is_large(
    client: TestClient, db: Session, portal: Portal, sign_in: SignIn
) -> None:
    actor = make.person(db)
    body, actor = make.organisation(db, actor)
    case = submissions.start(db, actor, make.call(db, of=make.definition("aigf-eoi")), body.id, "FC")
    given = demo.samples()["FC"]
    for step, name, number in (("members", "members", MEMBERS), ("sites", "sites", SITES)):
        given[step] = given[step] | {name: (given[step][name] * number)[:number]}
    for step, answers in given.items():
        drafts.save_step(db, actor, case, step, 0, answers, {})
    questions = [n for n in ("site_plan", "letters", "other_files", "grid_evidence") for _ in range(FILES // 4)]
    for number, question in enumerate(questions):
        make.attach_another(db, portal.files, actor, case, question, number)
    sign_in(client)
    steps = [s.name for s in calls.questions(case.call).steps_for("FC")]
    for language in LANGUAGES:
        client.cookies.set("language", language)
        for page in ("", *(f"/{step}" for step in steps), "/check", "/answers"):
            answer = client.get(f"/apply/{case.reference}{page}")
            assert (answer.status_code, len(answer.content) < MOST) == (200, True), (page, len(answer.content))
