"""Erasing a person: name, address, sessions and mails go, and the audit lines of what they did lose their content.

The chain keeps each line's commitment, so it still holds; the erasure itself is a line that says which positions it
emptied. Signed receipts stay: they are the evidence of the submission that they were given for.
"""

import uuid

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.domain import audit
from app.domain.access import Actor
from app.domain.errors import LastOwner, NotFound, ReasonMissing
from app.models import Membership, Person


def erase(db: Session, actor: Actor, person_id: uuid.UUID, reason: str) -> int:
    """Erase a person for a stated reason; how many audit lines were emptied.

    LastOwner while an organisation has no other owner: somebody must be able to act for it.
    """
    if not reason.strip():
        raise ReasonMissing
    if db.get(Person, person_id) is None:
        raise NotFound
    if _owns_alone(db, person_id):
        raise LastOwner
    emptied: list[int] = db.execute(select(func.erase_person(person_id))).scalar_one()
    db.expire_all()
    audit.record(db, actor, "person.erased", events=emptied, reason=reason.strip()[:2000])
    return len(emptied)


def _owns_alone(db: Session, person_id: uuid.UUID) -> bool:
    live = (Membership.role == "owner", Membership.ended_at.is_(None))
    theirs = select(Membership.organisation_id).where(Membership.person_id == person_id, *live)
    owners = (
        select(Membership.organisation_id)
        .where(Membership.organisation_id.in_(theirs), *live)
        .group_by(Membership.organisation_id)
        .having(func.count() == 1)
    )
    return db.scalar(owners.limit(1)) is not None
