"""Interest of other organisations in a consortium: offered by reference, accepted or declined by its owner, withdrawn.

Whoever offers learns nothing until it is accepted: a reference that names nothing, one that is not theirs to see, and one
whose owner declined are all answered, and shown, alike.
"""

import uuid
from datetime import timedelta

from sqlalchemy import Select, and_, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, joinedload

from app.domain import audit, calls, references, throttle, tidings
from app.domain.access import EDITORS, Actor, Belonging
from app.domain.errors import CallClosed, CallNotOpen, Forbidden, Invalid, NotFound, ReasonMissing
from app.domain.reservations import InterestAnswered
from app.infra.i18n import N_, Message
from app.models import Call, InterestLink, Submission

WORDS_LENGTH, REASON_LENGTH = 2000, 2000
NO_REFERENCE = N_(
    "This is no reference: it has 14 characters, such as 0KQ3V-9XM2T-7RWC. Look whether every one is right."
)
NO_SORT = N_("Choose what you offer.")
NO_WORDS = N_("Say in a few words what you offer.")


def places(db: Session, actor: Actor) -> list[tuple[Call, Belonging]]:
    """For whom the actor can offer interest in which call now."""
    now = calls.clock(db)
    mine = [m for m in actor.memberships if m.state_code is None and m.role in EDITORS]
    opened = (
        [c for c in calls.all_calls(db) if calls.is_open(c, now) and calls.questions(c).support.interests]
        if mine
        else []
    )
    return [(call, m) for call in opened for m in mine]


def lacks(call: Call, reference: str, sort: str, words: str) -> dict[str, Message]:
    """What an offer lacks, by field; nothing of it depends on what there is."""
    found = {}
    if references.normalised(reference) is None:
        found["reference"] = Message(NO_REFERENCE)
    if not calls.questions(call).support.has("interests", sort):
        found["sort"] = Message(NO_SORT)
    if not words.strip():
        found["words"] = Message(NO_WORDS)
    return found


def require_open(db: Session, call: Call) -> None:
    """Says what the database would say outside the window, before anything else is found wrong."""
    now = calls.clock(db)
    if not calls.is_open(call, now):
        raise CallNotOpen if now < call.opens_at else CallClosed


def offer(
    db: Session,
    actor: Actor,
    call: Call,
    organisation_id: uuid.UUID,
    reference: str,
    sort: str,
    words: str,
    base_url: str,
) -> None:
    """Offer interest on behalf of one of the actor's organisations. Offered before and not withdrawn: nothing happens."""
    belonging = next((m for m in actor.memberships if m.organisation_id == organisation_id), None)
    if belonging is None:
        raise NotFound
    if belonging.role not in EDITORS or belonging.state_code is not None:
        raise Forbidden
    wanted, pledges = references.normalised(reference), calls.questions(call).support
    if wanted is None or not pledges.has("interests", sort):
        raise Invalid
    throttle.hit(db, f"interest:{organisation_id}:{call.id}", pledges.a_day, timedelta(days=1))
    made = db.scalar(
        insert(InterestLink)
        .values(
            call_id=call.id, organisation_id=organisation_id, reference=wanted, sort=sort,
            words=words.strip()[:WORDS_LENGTH], offered_by=actor.person_id,
        )
        .on_conflict_do_nothing()
        .returning(InterestLink.id)
    )  # fmt: skip
    if made is None:
        return
    audit.record_call(db, actor, "interest.offered", call.id, reference=wanted, sort=sort)
    link = db.scalars(_loaded().where(InterestLink.id == made)).one()
    if link.submission is not None:
        tidings.offered(db, link, link.submission, base_url)


def _loaded() -> Select[InterestLink]:
    return select(InterestLink).options(
        joinedload(InterestLink.call), joinedload(InterestLink.organisation), joinedload(InterestLink.submission)
    )


def of_organisations(db: Session, actor: Actor) -> list[InterestLink]:
    """What the actor's organisations offered, the newest first."""
    mine = InterestLink.organisation_id.in_(actor.organisations)
    return list(db.scalars(_loaded().where(mine).order_by(InterestLink.offered_at.desc(), InterestLink.id)))


def withdraw(db: Session, actor: Actor, interest_id: uuid.UUID, reason: str) -> None:
    """Take an offer back, whatever became of it; with a reason that the consortium reads where it had accepted."""
    found = next((one for one in of_organisations(db, actor) if one.id == interest_id), None)
    if found is None:
        raise NotFound
    if not any(m.organisation_id == found.organisation_id and m.role in EDITORS for m in actor.memberships):
        raise Forbidden
    if not (reason := reason.strip()[:REASON_LENGTH]):
        raise ReasonMissing
    if found.withdrawn_at is not None:
        raise InterestAnswered
    _change(db, found, withdrawn_by=actor.person_id, withdrawn_because=reason)
    audit.record_call(db, actor, "interest.withdrawn", found.call_id, reference=found.reference, sort=found.sort)


def _change(db: Session, link: InterestLink, **values: object) -> None:
    statement = update(InterestLink).where(InterestLink.id == link.id).values(**values)
    db.execute(statement.execution_options(synchronize_session=False))
    db.expire(link)


def to_consortium(db: Session, case: Submission) -> list[InterestLink]:
    """What was offered to a consortium; of what was withdrawn only that which it had accepted."""
    shown = or_(InterestLink.withdrawn_at.is_(None), InterestLink.is_accepted.is_(True))
    wanted = _loaded().where(InterestLink.submission_id == case.id, shown)
    return list(db.scalars(wanted.order_by(InterestLink.offered_at, InterestLink.id)))


def answer(
    db: Session, actor: Actor, case: Submission, interest_id: uuid.UUID, is_accepted: bool, base_url: str
) -> None:
    """Accept or decline an offer, once, as an owner of the consortium's organisation. Only who is accepted hears of it."""
    found = next((one for one in to_consortium(db, case) if one.id == interest_id), None)
    if found is None:
        raise NotFound
    if not actor.owns(case):
        raise Forbidden
    if found.is_accepted is not None or found.withdrawn_at is not None:
        raise InterestAnswered
    _change(db, found, is_accepted=is_accepted, answered_by=actor.person_id)
    if not is_accepted:
        audit.record(db, actor, "interest.declined", case, sort=found.sort)
        return
    audit.record(db, actor, "interest.accepted", case, sort=found.sort)
    tidings.accepted(db, found, case, base_url)


def of_dossier(db: Session, submission: Submission) -> list[InterestLink]:
    """The accepted interest that shows in a dossier: of others in it, and of its own organisation in others."""
    own = and_(InterestLink.organisation_id == submission.organisation_id, InterestLink.call_id == submission.call_id)
    stands = (InterestLink.is_accepted.is_(True), InterestLink.withdrawn_at.is_(None))
    wanted = _loaded().where(*stands, or_(InterestLink.submission_id == submission.id, own))
    return list(db.scalars(wanted.order_by(InterestLink.offered_at, InterestLink.id)))
