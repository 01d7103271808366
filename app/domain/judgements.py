"""Judgements: what a check found on a draft, kept when it is saved, so that a submit in the last minute need not judge.

A judgement names the state of the draft that it is of. Where that is not the draft's state any more, it is none.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.domain import calls, drafts, findings, questionnaire, statements
from app.domain.questionnaire import Questionnaire
from app.models import Judgement, Organisation, Submission


@dataclass(frozen=True)
class Judged:
    """A draft as judged, as far as a submit must know it: the errors by code, the contact's address, title and files.

    `opening` and `ending` are its content in canonical JSON, but for what is known only at the submit: the language
    and the organisation as it is called then.
    """

    state: str
    errors: list[str]
    contact: str
    title: str
    files: list[dict[str, Any]]
    opening: str
    ending: str

    def digest(self, language: str, organisation: Organisation) -> str:
        """SHA-256 (hex) of the content submitted now: what the receipt states."""
        now = {
            "language": language,
            "organisation": {
                "name": organisation.name,
                "country": organisation.country,
                "registration_no": organisation.registration_no,
                "state_code": organisation.state_code,
            },
        }
        middle = statements.canonical(now)[1:-1].decode()
        return hashlib.sha256(f"{self.opening},{middle},{self.ending}".encode()).hexdigest()


@dataclass(frozen=True)
class Fresh(Judged):
    """A draft judged just now: all that is kept of it, and what a version of it would hold."""

    found: list[dict[str, Any]]
    is_consented: bool
    answers: dict[str, Any]
    warnings: list[dict[str, str]]
    facts: dict[str, Any]


def judge(submission: Submission, draft: drafts.Content) -> Fresh:
    """Judge a draft. Whether its contact's address is verified may change without it, and is left to the submit."""
    questions, kind = calls.questions(submission.call), submission.kind
    found = findings.check(questions, kind, draft.answers, draft.unread, draft.files)
    asked = {q.name for step in questions.steps_for(kind) for q in step.questions_for(kind)}
    answers = {name: value for name, value in draft.answers.items() if name in asked}
    files = [{"question": question, **file} for question in sorted(draft.files) for file in draft.files[question]]
    warnings = [
        {"code": f.code, "path": f.path, "reason": draft.reasons.get(f.key, "")} for f in found if f.level == "warning"
    ]
    opening = {
        "answers": answers,
        "call": submission.call.code,
        "definition": questions.digest,
        "files": files,
        "format": "eoi-submission/1",
        "kind": kind,
    }
    errors = [finding.code for finding in found if finding.level == "error"]
    return Fresh(
        state=draft.state,
        found=[finding.kept() for finding in found],
        errors=errors,
        contact=drafts.contact(submission, draft),
        title=str(answers.get(questions.uses["title"], "")),
        is_consented=_is_consented(questions, kind, answers),
        answers=answers,
        files=files,
        warnings=warnings,
        facts={} if errors else questionnaire.facts(questions, kind, answers),
        opening=statements.canonical(opening)[:-1].decode(),
        ending=statements.canonical({"reference": submission.reference, "warnings": warnings})[1:].decode(),
    )


def _is_consented(questions: Questionnaire, kind: str, answers: dict[str, Any]) -> bool:
    consent = questions.uses.get("consent")
    return consent is None or not questions.asks(kind, consent) or answers.get(consent) is True


def keep(db: Session, submission: Submission) -> None:
    """Judge the draft as it stands in this transaction, and keep that beside it."""
    values = vars(judge(submission, drafts.content(db, submission)))
    statement = insert(Judgement).values(submission_id=submission.id, judged_at=func.clock_timestamp(), **values)
    fresh = {name: statement.excluded[name] for name in ("judged_at", *values)}
    db.execute(statement.on_conflict_do_update(index_elements=[Judgement.submission_id], set_=fresh))
