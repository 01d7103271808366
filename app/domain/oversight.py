"""What coordinators watch: counts of all calls, the audit trail, submit attempts, outgoing mail, staff and state accounts."""

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select, tuple_, update
from sqlalchemy.orm import Session

from app.domain import access, audit, references
from app.domain.access import Actor
from app.domain.errors import NotFound
from app.models import (
    ApiKey,
    Attempt,
    Call,
    DeadlineChange,
    Event,
    Membership,
    Organisation,
    OutboxMessage,
    Person,
    Refusal,
    Submission,
    Version,
)

PAGE = 50
EXPORTS = ("export.made", "register.read")
MAIL_STATES = ("waiting", "sent", "failed")


@dataclass
class Tally:
    """How much a call holds, never what. `released` is what a EuroHPC key can read: None before the seal."""

    submitted: dict[str, int] = field(default_factory=dict)
    withdrawn: int = 0
    released: int | None = None
    last_received_at: datetime | None = None


@dataclass(frozen=True)
class Listing:
    """Some lines, newest first, and the place to go on from; None at the end."""

    lines: list[Any]
    older: str | None


@dataclass(frozen=True)
class Line:
    """One line of the audit trail with the names of those it tells of."""

    event: Event
    who: str
    on_behalf_of: str | None
    reference: str | None
    call: str | None


def tallies(db: Session, of: list[Call]) -> dict[uuid.UUID, Tally]:
    """The counts of several calls at once."""
    found = {call.id: Tally(released=0 if call.sealed_at else None) for call in of}
    standing = (
        access.standing_versions()
        .where(Submission.call_id.in_(found))
        .with_only_columns(
            Submission.call_id,
            Submission.kind,
            access.is_withdrawn.label("withdrawn"),
            func.count(),
            func.count().filter(access.is_released),
            func.max(Version.received_at),
        )
        .group_by(Submission.call_id, Submission.kind, "withdrawn")
    )
    for call_id, kind, withdrawn, number, released, last in db.execute(standing):
        tally = found[call_id]
        tally.last_received_at = max(filter(None, (tally.last_received_at, last)))
        if withdrawn:
            tally.withdrawn += number
        else:
            tally.submitted[kind] = number
            tally.released = None if tally.released is None else tally.released + released
    return found


def trail(
    db: Session,
    actor: Actor,
    person: str = "",
    reference: str = "",
    name: str = "",
    call: str = "",
    older: str | None = None,
) -> Listing:
    """The audit trail, newest first, narrowed to a person or key, a submission, a name of event, a call.

    A submission's own lines come with the exports of its call. What the actor has a conflict about is left out.
    """
    statement = (
        select(Event, Person, ApiKey, Organisation.name, Submission.reference, Call.code, access.is_sealed)
        .outerjoin(Person, Person.id == Event.person_id)
        .outerjoin(ApiKey, ApiKey.id == Event.api_key_id)
        .outerjoin(Organisation, Organisation.id == Event.organisation_id)
        .outerjoin(Submission, Submission.id == Event.submission_id)
        .outerjoin(Call, Call.id == Event.call_id)
        .where(access.may_know(actor, Event.submission_id))
        .order_by(Event.id.desc())
        .limit(PAGE + 1)
    )
    if person:
        meant = or_(Person.email.icontains(person, autoescape=True), Person.name.icontains(person, autoescape=True))
        keys = select(ApiKey.id).where(ApiKey.name.icontains(person, autoescape=True))
        people = select(Person.id).where(meant)
        statement = statement.where(or_(Event.person_id.in_(people), Event.api_key_id.in_(keys)))
    if name:
        statement = statement.where(Event.name == name)
    if call:
        statement = statement.where(Call.code == call)
    if reference:
        statement = statement.where(_tells_of(references.normalised(reference) or ""))
    if older and older.isdecimal() and len(older) < 19:
        statement = statement.where(Event.id < int(older))
    rows = db.execute(statement).all()
    lines = [_line(*row) for row in rows[:PAGE]]
    return Listing(lines, str(lines[-1].event.id) if len(rows) > PAGE else None)


def _tells_of(reference: str) -> ColumnElement[bool]:
    case = select(Submission.call_id).where(Submission.reference == reference).scalar_subquery()
    bulk = and_(Event.name.in_(EXPORTS), Event.submission_id.is_(None), Event.call_id == case)
    return or_(Submission.reference == reference, bulk)


def _line(
    event: Event,
    person: Person | None,
    key: ApiKey | None,
    organisation: str | None,
    reference: str | None,
    call: str | None,
    is_sealed: bool | None,
) -> Line:
    """Who responds is sealed until the cutoff, for coordinators too: until then a line names no organisation."""
    who = person.email if person else key.name if key else ""
    sealed = call is not None and not is_sealed
    return Line(event, who, None if sealed else organisation, reference, call)


def event_names(db: Session) -> list[str]:
    """The names of events that occur, for the filter; found by hopping through the index, not by reading the trail."""
    hops = select(func.min(Event.name).label("name")).cte("hops", recursive=True)
    following = select(func.min(Event.name)).where(Event.name > hops.c.name).scalar_subquery()
    hops = hops.union_all(select(following).where(hops.c.name.is_not(None)))
    return [name for name in db.scalars(select(hops.c.name)) if name is not None]


def attempts(db: Session, actor: Actor, call: Call | None, find: str = "", older: str | None = None) -> Listing:
    """Presses on submit, accepted or not, newest first, as (attempt, reference, e-mail address, has a signed refusal).

    All of a call; or, with `find`, those of a submission, an attempt or a person, by reference or e-mail address.
    """
    statement = (
        select(Attempt, Submission.reference, Person.email, exists().where(Refusal.attempt_id == Attempt.id))
        .outerjoin(Submission, Submission.id == Attempt.submission_id)
        .outerjoin(Person, Person.id == Attempt.person_id)
        .where(access.may_know(actor, Attempt.submission_id))
        .order_by(Attempt.at.desc(), Attempt.id.desc())
        .limit(PAGE + 1)
    )
    if find:
        wanted = references.normalised(find) or find  # what is no reference equals none
        statement = statement.where(
            or_(
                Submission.reference == wanted,
                Attempt.reference == wanted,
                Attempt.tried == find,
                func.lower(Person.email) == find.lower(),
            )
        )
    elif call is not None:
        statement = statement.where(Submission.call_id == call.id)
    if place := _uuid(older):
        at = select(Attempt.at).where(Attempt.id == place).scalar_subquery()
        statement = statement.where(tuple_(Attempt.at, Attempt.id) < tuple_(at, place))
    rows = db.execute(statement).all()
    return Listing([tuple(row) for row in rows[:PAGE]], str(rows[PAGE - 1][0].id) if len(rows) > PAGE else None)


def _uuid(text: str | None) -> uuid.UUID | None:
    try:
        return uuid.UUID(text or "")
    except ValueError:
        return None


def mails(db: Session, actor: Actor, state: str = "", older: str | None = None) -> Listing:
    """The outgoing mail, newest first: to whom, about what, and how far it got. Never its text."""
    readable = access.may_know(actor, OutboxMessage.submission_id)
    statement = select(OutboxMessage).where(readable).order_by(OutboxMessage.created_at.desc(), OutboxMessage.id.desc())
    if state in MAIL_STATES:
        statement = statement.where(_in_state(state))
    if place := _uuid(older):
        at = select(OutboxMessage.created_at).where(OutboxMessage.id == place).scalar_subquery()
        statement = statement.where(tuple_(OutboxMessage.created_at, OutboxMessage.id) < tuple_(at, place))
    rows = list(db.scalars(statement.limit(PAGE + 1)))
    return Listing(rows[:PAGE], str(rows[PAGE - 1].id) if len(rows) > PAGE else None)


def _in_state(state: str) -> ColumnElement[bool]:
    sent, failed = OutboxMessage.sent_at.is_not(None), OutboxMessage.failed_at.is_not(None)
    return {"sent": sent, "failed": failed, "waiting": and_(~sent, ~failed)}[state]


def mail_counts(db: Session) -> dict[str, int]:
    """How many mails wait, were sent, or were given up."""
    counted = select(*(func.count().filter(_in_state(state)) for state in MAIL_STATES)).select_from(OutboxMessage)
    return dict(zip(MAIL_STATES, db.execute(counted).one(), strict=True))


def deliveries(db: Session, changes: list[DeadlineChange]) -> dict[uuid.UUID, dict[str, int]]:
    """How far the mails about each change of a deadline got: how many wait, were sent, or were given up."""
    counted = (
        select(OutboxMessage.deadline_change_id, *(func.count().filter(_in_state(state)) for state in MAIL_STATES))
        .where(OutboxMessage.deadline_change_id.in_([change.id for change in changes]))
        .group_by(OutboxMessage.deadline_change_id)
    )
    found = {change_id: dict(zip(MAIL_STATES, row, strict=True)) for change_id, *row in db.execute(counted)}
    return {change.id: found.get(change.id, dict.fromkeys(MAIL_STATES, 0)) for change in changes}


def send_again(db: Session, actor: Actor, message_id: uuid.UUID) -> None:
    """Put a mail that was given up back into the queue; NotFound when it is none or was not given up."""
    again: uuid.UUID | None = db.scalar(
        update(OutboxMessage)
        .where(OutboxMessage.id == message_id, OutboxMessage.failed_at.is_not(None))
        .values(failed_at=None, attempts=0, next_attempt_at=func.clock_timestamp())
        .returning(OutboxMessage.id)
    )
    if again is None:
        raise NotFound
    audit.record(db, actor, "message.sent_again", message=str(message_id))


def staff(db: Session) -> list[Person]:
    """The people with a staff role, by address."""
    return list(db.scalars(select(Person).where(Person.staff_role.is_not(None)).order_by(func.lower(Person.email))))


def state_accounts(db: Session) -> list[tuple[Organisation, list[Person]]]:
    """The accounts of member states with the people who may use them, by country."""
    rows: Select[Organisation, Person] = (
        select(Organisation, Person)
        .outerjoin(Membership, and_(Membership.organisation_id == Organisation.id, Membership.ended_at.is_(None)))
        .outerjoin(Person, Person.id == Membership.person_id)
        .where(Organisation.state_code.is_not(None))
        .order_by(Organisation.state_code, func.lower(Person.email))
    )
    found: dict[uuid.UUID, tuple[Organisation, list[Person]]] = {}
    for organisation, person in db.execute(rows):
        people = found.setdefault(organisation.id, (organisation, []))[1]
        if person is not None:
            people.append(person)
    return list(found.values())
