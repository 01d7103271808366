"""How far the work on a dossier is, who reads it and what is tagged on it: one answer for pages, one expression for lists.

The database keeps `progress` itself whenever the work moves, so lists read a row, and never count what is below it.
"""

import uuid

from sqlalchemy import ColumnElement, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from app.models import Person, Progress, Submission, Tag

STATES = ("to_assign", "assigned", "in_review", "both_in", "reconciled", "signed_off", "reopened")
READS = ("nl", "en")  # what staff read who did not say

_first, _second = aliased(Person), aliased(Person)
_row = select(Progress).where(Progress.submission_id == Submission.id).correlate(Submission)


def shown(person: type[Person]) -> ColumnElement[str]:
    """What a person is called in a list: their name, or else their address."""
    return func.coalesce(func.nullif(person.name, ""), person.email)


# For the Select of a list that has Submission in it; to show, sort and filter by.
state: ColumnElement[str] = func.coalesce(_row.with_only_columns(Progress.state).scalar_subquery(), "to_assign")
first_reader: ColumnElement[str | None] = (
    select(shown(_first))
    .join(Progress, Progress.first_id == _first.id)
    .where(Progress.submission_id == Submission.id)
    .correlate(Submission)
    .scalar_subquery()
)
second_reader: ColumnElement[str | None] = (
    select(shown(_second))
    .join(Progress, Progress.second_id == _second.id)
    .where(Progress.submission_id == Submission.id)
    .correlate(Submission)
    .scalar_subquery()
)
due_on = _row.with_only_columns(Progress.due_on).scalar_subquery()
tags: ColumnElement[str | None] = (
    select(func.string_agg(Tag.name, ", "))
    .where(Tag.submission_id == Submission.id, Tag.removed_at.is_(None))
    .correlate(Submission)
    .scalar_subquery()
)


def is_assigned_to(person_id: uuid.UUID | None) -> ColumnElement[bool]:
    """Whether a person has a seat at the dossier."""
    mine = or_(Progress.first_id == person_id, Progress.second_id == person_id)
    return exists().where(Progress.submission_id == Submission.id, mine)


def is_tagged(name: str) -> ColumnElement[bool]:
    """Whether a tag hangs on the dossier, in any letter case."""
    named = func.lower(Tag.name) == name.lower()
    return exists().where(Tag.submission_id == Submission.id, Tag.removed_at.is_(None), named)


def of(db: Session, submission: Submission) -> str:
    """How far the work on one dossier is."""
    found = db.scalar(select(Progress.state).where(Progress.submission_id == submission.id))
    return found or "to_assign"
