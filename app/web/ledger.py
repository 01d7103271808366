"""Writing down a press on submit that was refused, whatever refused it: door, guard, domain or database."""

import logging
import re
from typing import Any
from urllib.parse import unquote

from fastapi import Request
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import FormData

from app.deps import Portal, cookie_name
from app.domain import attempts, calls, drafts, questionnaire, references, refusals
from app.domain.access import ANONYMOUS
from app.domain.attempts import Press
from app.domain.errors import Refused
from app.models import Attempt, Refusal, Submission
from app.web import pages, steps

SUBMIT = re.compile(r"/apply/([^/]+)/receipts")

log = logging.getLogger(__name__)


def note(request: Request, refused: Refused) -> dict[str, Any]:
    """Write down a refused press, and give what its page says of it; nothing for any other request.

    Where the database cannot take it, the process keeps it and writes it later, under the same reference.
    """
    place = SUBMIT.fullmatch(request.scope["path"])
    if request.method != "POST" or place is None:
        return {}
    portal: Portal = request.app.state.portal
    press = _press(request, portal, unquote(place[1]), refused)
    try:
        return _written(portal, press, pages.language_of(request))
    except SQLAlchemyError as failure:
        log.warning("attempt %s waits for the database: %s", press.reference, failure)
        portal.presses.append(press)
        return {"attempt": press.reference, "waits": True}


def _press(request: Request, portal: Portal, tried: str, refused: Refused) -> Press:
    actor = getattr(request.state, "actor", ANONYMOUS)
    form: FormData = getattr(request.state, "form", FormData())
    return Press(
        reference=references.new(portal.now()),
        tried=tried.replace("\x00", "")[: attempts.TRIED_LENGTH],
        code=refused.code,
        key=pages.field(form, "key", attempts.KEY_LENGTH),
        pressed_at=portal.now(),
        person_id=actor.person_id,
        judged_at=refused.extra.get("at"),
        secret=None if actor.person_id else request.cookies.get(cookie_name(portal.settings)),
    )


def _written(portal: Portal, press: Press, language: str) -> dict[str, Any]:
    with portal.sessions.begin() as db:
        attempt = attempts.write(db, press)
        if attempt is None or attempt.person_id is None:
            return {}  # no number: it would tell anybody which references exist
        signed = refusals.sign(db, attempt, press.judged_at, portal.signer, portal.settings.base_url)
        if signed is None or attempt.submission_id is None:
            return {"attempt": attempt.reference}
        case = db.get_one(Submission, attempt.submission_id)
        return shown(signed, attempt) | {"entries": entries(case, drafts.content(db, case), language)}


def shown(signed: Refusal, attempt: Attempt) -> dict[str, Any]:
    """What a page says of an attempt with a signed refusal."""
    return {"attempt": attempt.reference, "said": signed.body}


def entries(case: Submission, draft: drafts.Content, language: str) -> list[tuple[str, str]]:
    """What had been typed when submit was pressed, readable or not, by the labels of the form."""
    questions = calls.questions(case.call)
    labels = steps.labels(questions, case.kind, draft.answers, language)
    found = [
        (labels.get(path, path), question.show(value, language))
        for _, question, path, value in questionnaire.walk(questions, case.kind, draft.answers)
        if question.kind not in ("list", "file") and value not in (None, "", [])
    ]
    found += [(labels.get(path, path), str(entry["text"])) for path, entry in draft.unread.items()]
    found += [
        (labels.get(name, name), f"{file['name']} (SHA-256 {file['sha256']})")
        for name in sorted(draft.files)
        for file in draft.files[name]
    ]
    return found
