"""The audit trail: one line for each change and each read of a dossier, in the transaction that it tells of."""

import uuid
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any, Protocol

from sqlalchemy import insert
from sqlalchemy.orm import Session

from app.models import Event, Submission

LINE = insert(Event.metadata.tables["event"])  # made once, as it is written with nearly every request

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


class Acts(Protocol):
    """Whoever did it: a person, a machine with a key, or the portal itself (neither)."""

    @property
    def person_id(self) -> uuid.UUID | None: ...
    @property
    def api_key_id(self) -> uuid.UUID | None: ...
    def acts_for(self, submission: Submission) -> bool: ...


def record(db: Session, actor: Acts, name: str, submission: Submission | None = None, **detail: Any) -> None:
    """Write down that `actor` did `name` (past tense: `submission.submitted`). `detail` holds no contents of answers."""
    db.flush()  # what it tells of stands before it
    db.execute(LINE, line(actor, name, submission, **detail))


def line(actor: Acts, name: str, submission: Submission | None = None, **detail: Any) -> dict[str, Any]:
    """What a line holds."""
    return {
        "name": name,
        "person_id": actor.person_id,
        "api_key_id": actor.api_key_id,
        "organisation_id": submission.organisation_id if submission and actor.acts_for(submission) else None,
        "submission_id": submission.id if submission else None,
        "call_id": submission.call_id if submission else None,
        "detail": detail,
        "request_id": request_id.get(),
    }


def record_each(db: Session, actor: Acts, name: str, submissions: Iterable[Submission], **detail: Any) -> None:
    """Write down that `actor` did `name` to each of many cases, in one statement."""
    db.flush()
    same = {
        "name": name,
        "person_id": actor.person_id,
        "api_key_id": actor.api_key_id,
        "detail": detail,
        "request_id": request_id.get(),
    }
    if rows := [{**same, "submission_id": one.id, "call_id": one.call_id} for one in submissions]:
        db.execute(insert(Event), rows)


def record_call(db: Session, actor: Acts, name: str, call_id: uuid.UUID, **detail: Any) -> None:
    """Write down that `actor` did `name` to a whole call, such as an export."""
    db.flush()
    db.execute(LINE, line(actor, name, **detail) | {"call_id": call_id})
