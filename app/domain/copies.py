"""One's own answers on paper: the draft as it is now. A copy proves nothing; that is what a receipt is for."""

from functools import partial
from typing import Any

from app.domain import prints
from app.domain.questionnaire import Questionnaire
from app.infra import times
from app.infra.i18n import N_, translate
from app.models import Submission

COPY = N_("Answers as saved")
COPY_INTRO = N_("This is a copy of what was saved in the portal. It proves nothing: only what is submitted counts.")


def draft(
    case: Submission,
    questions: Questionnaire,
    given: dict[str, Any],
    files: dict[str, list[dict[str, Any]]],
    language: str,
) -> dict[str, Any]:
    """The data of templates/pdf/answers.typ."""
    t, by_step = partial(translate, language), prints.answers(questions, case.kind, given, language)
    held = [{**file, "question": name} for name, some in files.items() for file in some if questions.has(name)]
    return {
        "title": t(COPY),
        "subtitle": prints.text_of(questions.title, language),
        "intro": [t(COPY_INTRO), *([prints.text_of(questions.notice, language)] if questions.notice else [])],
        "footer": case.reference,
        "lang": language,
        "rows": [
            [t(N_("Reference")), case.reference],
            [t(N_("Organisation")), case.organisation.name],
            [t(N_("Kind")), prints.text_of(questions.respondents[case.kind].title, language)],
            [t(N_("Closes")), times.brussels_and_utc(case.call.closes_at, language)],
        ],
        "steps": [
            {"title": prints.text_of(step.title, language), "answers": by_step[step.name]}
            for step in questions.steps_for(case.kind)
            if step.name in by_step
        ],
        "files_title": t(N_("Files")),
        "files": prints.files(questions, held, language),
    }
