"""Intermediaries: who acts for another organisation in a case, what they say of it, and what a receipt states of it."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.domain import audit
from app.domain.access import EDITORS, Actor
from app.domain.errors import Invalid, NotFound
from app.domain.participations import MANDATE_LENGTH, NAME_LENGTH
from app.infra.i18n import N_, Message, translate
from app.models import Participation, Submission

NO_ORGANISATION = N_("Give the name of your own organisation.")
NO_PRINCIPAL = N_("Say for which organisation you act.")
NO_GROUND = N_("Say what was agreed, or choose the file in which it stands.")
NO_SUCH_FILE = N_("Choose a file that was added to this submission.")


@dataclass(frozen=True)
class Stated:
    """What an intermediary says: who they are, for whom they act, what was agreed, and the SHA-256 of the file that says so."""

    organisation: str = ""
    acts_for: str = ""
    mandate: str = ""
    document: str = ""


def part_of(db: Session, actor: Actor, case: Submission) -> Participation:
    """The actor's own live part in a case, in which they fill it in or submit it; NotFound where they have none."""
    if (found := _part(db, actor, case)) is None:
        raise NotFound
    return found


def _part(db: Session, actor: Actor, case: Submission) -> Participation | None:
    mine = select(Participation).where(
        Participation.submission_id == case.id,
        Participation.person_id == actor.person_id,
        Participation.role.in_(EDITORS),
        Participation.accepted_at.is_not(None),
        Participation.ended_at.is_(None),
    )
    return db.scalar(mine)


def lacks(said: Stated, files: list[dict[str, Any]]) -> dict[str, Message]:
    """What a statement lacks, by field. `files` are those that the draft holds now."""
    found = {}
    if not said.organisation:
        found["organisation"] = NO_ORGANISATION
    if not said.acts_for:
        found["acts_for"] = NO_PRINCIPAL
    if not said.mandate and not said.document:
        found["mandate"] = NO_GROUND
    if said.document and said.document not in {file["sha256"] for file in files}:
        found["document"] = NO_SUCH_FILE
    return {field: Message(words) for field, words in found.items()}


def state(db: Session, actor: Actor, case: Submission, said: Stated, files: list[dict[str, Any]]) -> None:
    """Keep what an intermediary says of themselves. Invalid where it lacks something; the database refuses outside the window."""
    part = part_of(db, actor, case)
    if lacks(said, files):
        raise Invalid
    values = {
        "organisation": said.organisation[:NAME_LENGTH],
        "acts_for": said.acts_for[:NAME_LENGTH],
        "mandate": said.mandate[:MANDATE_LENGTH],
        "document_sha256": said.document or None,
    }
    if all(getattr(part, name) == value for name, value in values.items()):
        return
    statement = update(Participation).where(Participation.id == part.id).values(**values)
    db.execute(statement.execution_options(synchronize_session=False))
    db.expire(part)
    audit.record(db, actor, "intermediary.stated", case, organisation=values["organisation"])


def of_submitter(db: Session, actor: Actor, case: Submission, files: list[dict[str, Any]]) -> dict[str, Any] | None:
    """What a receipt states of whoever submits as an intermediary; None of everybody else, who pay no look-up.

    The document is named where it is among the `files` of the version itself.
    """
    if not any(seat.submission_id == case.id for seat in actor.seats):
        return None
    part = _part(db, actor, case)  # a viewer or partner may be of the organisation too, and submit as one of its own
    if part is None or not (part.organisation or part.acts_for or part.mandate):
        return None
    document = next((file for file in files if file["sha256"] == part.document_sha256), None)
    return {
        "organisation": part.organisation,
        "acts_for": part.acts_for or case.organisation.name,
        "mandate": part.mandate,
        "document": {"name": document["name"], "sha256": document["sha256"]} if document else None,
    }


def rows(receipt: dict[str, Any], language: str) -> list[list[str]]:
    """What a receipt says of an intermediary, for people: label and text. Nothing on the receipt of anybody else."""
    said = receipt.get("intermediary")
    if not said:
        return []
    document = said["document"]
    found = [
        (N_("Intermediary"), said["organisation"]),
        (N_("Acts for"), said["acts_for"]),
        (N_("Mandate of an intermediary"), said["mandate"]),
        (N_("Document of the mandate"), f"{document['name']} · SHA-256 {document['sha256']}" if document else ""),
    ]
    return [[translate(language, label), text] for label, text in found if text]
