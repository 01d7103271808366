"""The checklist of a dossier: what the call's rules say of each line, the answers they say it by, and what readers say."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from app.domain import assignments, audit, kinds, questionnaire
from app.domain.access import Actor
from app.domain.errors import Invalid, NotFound, ReasonMissing
from app.domain.objections import NotAssigned
from app.domain.questionnaire import Question, Questionnaire
from app.domain.rules import Scope
from app.domain.yardsticks import Line
from app.models import Submission, Verdict, Version

VERDICTS = ("yes", "no", "unclear")
REASON_LENGTH = 2000


@dataclass(frozen=True)
class Answer:
    """One answer shown as evidence; `numbers` says of which item of a list it is, such as `1.2`."""

    question: Question
    numbers: str
    value: Any


@dataclass(frozen=True)
class Judged:
    """A line with what the rules say, what readers said (the latest first), and the answers to judge by."""

    line: Line
    computed: str
    given: list[Verdict]
    evidence: list[Answer]

    @property
    def counts(self) -> str:
        """The verdict that counts: what a reader said last, else what the rules say."""
        return self.given[0].verdict if self.given else self.computed


def computed(questions: Questionnaire, version: Version) -> dict[str, str]:
    """What the rules say of each line: yes, no, or unclear where they cannot tell."""
    scope, values = questionnaire.scope(questions, version.kind, version.answers, files_of(version))
    found = {}
    for line in questions.review.lines_for(version.kind):
        known = all(values.get(name) not in (None, "", []) for name in line.needs)
        found[line.name] = _judge(scope, line) if known else "unclear"
    return found


def _judge(scope: Scope, line: Line) -> str:
    """The verdict of the rules; where a part of an answer is missing that the expression counts with, they cannot tell."""
    try:
        return _word(scope.value(line.check))
    except (TypeError, ValueError, RuntimeError, LookupError, ArithmeticError):
        return "unclear"


def _word(value: Any) -> str:
    return {True: "yes", False: "no"}.get(value, "unclear") if isinstance(value, bool) else "unclear"


def files_of(version: Version) -> dict[str, list[dict[str, Any]]]:
    """The files of a version by question, as answers."""
    found: dict[str, list[dict[str, Any]]] = {}
    for file in version.files:
        found.setdefault(file["question"], []).append(file)
    return found


def judge(db: Session, questions: Questionnaire, submission: Submission, version: Version) -> list[Judged]:
    """The whole checklist of a dossier, in the order of the call file."""
    given: dict[str, list[Verdict]] = {}
    for verdict in verdicts(db, submission):
        given.setdefault(verdict.line, []).append(verdict)
    said = computed(questions, version)
    walked = list(questionnaire.walk(questions, version.kind, version.answers | files_of(version)))
    rows = [(question, path.split("-"), value) for _, question, path, value in walked if question.kind != kinds.LIST]
    return [
        Judged(line, said[line.name], given.get(line.name, []), _evidence(line, rows))
        for line in questions.review.lines_for(version.kind)
    ]


def _evidence(line: Line, rows: list[tuple[Question, list[str], Any]]) -> list[Answer]:
    found = []
    for question, parts, value in rows:
        named = ".".join(part for part in parts if not part.isdecimal())
        if any(named == wanted or named.startswith(f"{wanted}.") for wanted in line.evidence):
            numbers = ".".join(str(int(part) + 1) for part in parts if part.isdecimal())
            found.append(Answer(question, numbers, value))
    return found


def verdicts(db: Session, submission: Submission) -> list[Verdict]:
    """What readers said about lines of a dossier, the latest first."""
    rows = select(Verdict).where(Verdict.submission_id == submission.id).options(joinedload(Verdict.person))
    return list(db.scalars(rows.order_by(Verdict.given_at.desc(), Verdict.id)))


def may_say(db: Session, actor: Actor, submission: Submission) -> bool:
    """Whether the actor is a reader of the dossier, or coordinates."""
    return actor.is_staff("coordinator") or assignments.own(db, actor, submission) is not None


def say(
    db: Session,
    actor: Actor,
    submission: Submission,
    version: Version,
    questions: Questionnaire,
    line: str,
    verdict: str,
    reason: str,
) -> Verdict:
    """Say something of a line with a reason: it counts from now on, and what was said before is kept beside it."""
    assignments.require_unsigned(db, submission)
    if not may_say(db, actor, submission):
        raise NotAssigned
    if line not in {found.name for found in questions.review.lines_for(version.kind)}:
        raise NotFound
    reason = reason.strip()[:REASON_LENGTH]
    if verdict not in VERDICTS:
        raise Invalid
    if not reason:
        raise ReasonMissing
    made = Verdict(submission_id=submission.id, line=line, verdict=verdict, reason=reason, person_id=actor.person_id)
    db.add(made)
    audit.record(db, actor, "checklist.said", submission, line=line)
    return made
