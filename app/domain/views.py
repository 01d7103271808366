"""Saved views of a register: what somebody chose to see, kept under a name for themselves or for all staff."""

import uuid

from sqlalchemy import bindparam, delete, or_, select
from sqlalchemy.orm import Session, joinedload

from app.domain import audit
from app.domain.access import Actor
from app.domain.errors import NotFound
from app.domain.objections import NameMissing, NameTaken
from app.models import Call, View

NAME_LENGTH = 100


_LISTED = (
    select(View)
    .where(View.call_id == bindparam("call"), or_(View.person_id == bindparam("person"), View.is_shared))
    .options(joinedload(View.person))
    .order_by(View.name, View.created_at)
)


def listed(db: Session, actor: Actor, call: Call) -> list[View]:
    """The actor's own views of a call's register and those that others share, by name."""
    return list(db.scalars(_LISTED, {"call": call.id, "person": actor.person_id}))


def save(db: Session, actor: Actor, call: Call, name: str, query: str, is_shared: bool) -> View:
    """Keep a view; `query` is what stands in the address behind the call."""
    name = _named(name)
    _require_free(db, actor, call.id, name)
    made = View(call_id=call.id, person_id=actor.person_id, name=name, query=query, is_shared=is_shared)
    db.add(made)
    audit.record_call(db, actor, "view.saved", call.id, view=name)
    return made


def rename(db: Session, actor: Actor, view_id: str, name: str, is_shared: bool) -> View:
    """Give one's own view another name, and share it or no longer."""
    view, name = own(db, actor, view_id), _named(name)
    if name != view.name:
        _require_free(db, actor, view.call_id, name)
    view.name, view.is_shared = name, is_shared
    audit.record_call(db, actor, "view.renamed", view.call_id, view=name)
    return view


def remove(db: Session, actor: Actor, view_id: str) -> Call:
    """Delete one's own view; the call that it was of."""
    view = own(db, actor, view_id)
    call = view.call
    audit.record_call(db, actor, "view.deleted", view.call_id, view=view.name)
    db.execute(delete(View).where(View.id == view.id))
    return call


def own(db: Session, actor: Actor, view_id: str) -> View:
    """A view of the actor's own; NotFound for any other."""
    try:
        wanted = uuid.UUID(view_id)
    except ValueError as failure:
        raise NotFound from failure
    found = db.scalar(select(View).where(View.id == wanted, View.person_id == actor.person_id))
    if found is None:
        raise NotFound
    return found


def _named(name: str) -> str:
    if not (name := " ".join(name.split())[:NAME_LENGTH]):
        raise NameMissing
    return name


def _require_free(db: Session, actor: Actor, call_id: uuid.UUID, name: str) -> None:
    taken = select(View.id).where(View.call_id == call_id, View.person_id == actor.person_id, View.name == name)
    if db.scalar(taken) is not None:
        raise NameTaken
