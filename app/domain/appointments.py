"""Staff roles, given by two administrators: one proposes, another confirms. The database holds that they are two."""

import uuid

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from app.domain import accounts, audit
from app.domain.access import Actor
from app.domain.barriers import AppointmentSettled
from app.domain.errors import Forbidden, NeedsSecondPerson, NotFound
from app.models import Appointment


def propose(db: Session, actor: Actor, email: str, role: str, name: str) -> Appointment:
    """Propose a staff role for an address, as an administrator. Nothing is given until another one confirms it."""
    if not actor.is_staff("admin"):
        raise Forbidden
    made = Appointment(email=email, role=role, name=name, proposed_by=actor.person_id)
    db.add(made)
    audit.record(db, actor, "appointment.proposed", role=role)
    return made


def confirm(db: Session, actor: Actor, appointment_id: uuid.UUID) -> None:
    """Give the role as proposed: by another administrator than the one who proposed it, and not to oneself."""
    found = _open(db, actor, appointment_id)
    if actor.person_id == found.proposed_by or actor.email.lower() == found.email.lower():
        raise NeedsSecondPerson
    found.confirmed_by, found.confirmed_at = actor.person_id, func.clock_timestamp()
    audit.record(db, actor, "appointment.confirmed", role=found.role)
    accounts.invite_staff(db, found.email, found.role, actor, found.name)


def drop(db: Session, actor: Actor, appointment_id: uuid.UUID) -> None:
    """Take a proposal off the table."""
    found = _open(db, actor, appointment_id)
    found.dropped_by, found.dropped_at = actor.person_id, func.clock_timestamp()
    audit.record(db, actor, "appointment.dropped", role=found.role)


def _open(db: Session, actor: Actor, appointment_id: uuid.UUID) -> Appointment:
    if not actor.is_staff("admin"):
        raise Forbidden
    found = db.get(Appointment, appointment_id, with_for_update=True, populate_existing=True)
    if found is None:
        raise NotFound
    if found.confirmed_at or found.dropped_at:
        raise AppointmentSettled
    return found


def pending(db: Session) -> list[Appointment]:
    """The proposals that wait for a second administrator, with who made them."""
    waits = (Appointment.confirmed_at.is_(None), Appointment.dropped_at.is_(None))
    mine = select(Appointment).options(joinedload(Appointment.proposer)).where(*waits)
    return list(db.scalars(mine.order_by(Appointment.proposed_at, Appointment.id)))
