"""Answers given before: what of another of one's own submissions can be carried over into a draft, question by question."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import exists
from sqlalchemy.orm import Session

from app.domain import access, audit, calls, drafts, kinds, references
from app.domain.access import Actor
from app.domain.answers import Unreadable
from app.domain.errors import NotFound
from app.domain.questionnaire import Question, Step
from app.models import Draft, Submission


@dataclass(frozen=True)
class Carried:
    """One answer that can be carried over. `before` is what the draft holds now, null for nothing."""

    step: Step
    question: Question
    before: Any
    after: Any


def sources(db: Session, actor: Actor, submission: Submission) -> list[Submission]:
    """The other submissions of the actor's organisations that hold answers, of any call, the newest first."""
    begun = exists().where(Draft.submission_id == Submission.id, Draft.step != drafts.CHECK)
    found = access.own_submissions().where(Submission.id != submission.id, begun)
    return list(db.scalars(found.order_by(Submission.created_at.desc()), {"own": actor.organisations, "seats": []}))


def source(db: Session, actor: Actor, submission: Submission, reference: str) -> Submission:
    """One of these by its reference; NotFound for anything else."""
    wanted = references.normalised(reference)
    found = next((s for s in sources(db, actor, submission) if s.reference == wanted), None)
    if found is None:
        raise NotFound
    return found


def offered(db: Session, submission: Submission, of: Submission) -> list[Carried]:
    """What can be carried over: answers to questions of the same name and kind that fit and differ. Files and declarations are not."""
    given, now = drafts.content(db, of).answers, drafts.content(db, submission).answers
    asked = calls.questions(of.call)
    found = []
    for step in calls.questions(submission.call).steps_for(submission.kind):
        if step.anew:
            continue
        for question in step.questions_for(submission.kind):
            if question.name not in given or not asked.has(question.name):
                continue
            if asked.question(question.name).kind != question.kind:
                continue
            after = _fitted(question, asked.question(question.name), submission.kind, given[question.name])
            if after not in (None, [], now.get(question.name)):
                found.append(Carried(step, question, now.get(question.name), after))
    return found


def carry(
    db: Session, actor: Actor, submission: Submission, of: Submission, chosen: set[str], revisions: dict[str, int]
) -> list[Carried]:
    """Carry the chosen answers over, page by page from the revisions that the reader saw; StaleStep when one moved on."""
    taken = [c for c in offered(db, submission, of) if c.question.name in chosen]
    for step in dict.fromkeys(c.step.name for c in taken):
        mine = {c.question.name: c.after for c in taken if c.step.name == step}
        drafts.overlay(db, actor, submission, step, revisions.get(step, 0), set(mine), mine, {})
    if taken:
        audit.record(db, actor, "draft.carried_over", submission, reference=of.reference, rows=len(taken))
    return taken


def _fitted(question: Question, asked: Question, kind: str, value: Any) -> Any:
    """The value as far as the question takes it, read anew as if typed: null for what does not fit."""
    if question.kind == "file":
        return None
    if question.kind == kinds.LIST:
        known = {q.name: q for q in asked.questions}
        inner = [q for q in question.questions_for(kind) if q.name in known and known[q.name].kind == q.kind]
        items = [{q.name: _fitted(q, known[q.name], kind, item.get(q.name)) for q in inner} for item in value or []]
        return [{k: v for k, v in item.items() if v is not None} for item in items[: question.max_items]]
    if question.kind == "choices":
        options = {option.value for option in question.options}
        return [one for one in value or [] if one in options]
    if value is None:
        return None
    text = {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
    try:
        return kinds.KINDS[question.kind].read(text, question, "en")
    except Unreadable:
        return None
