"""Requests to disclose: registered, extended once, the dossiers they are about, what is proposed, how far each is, closed."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, joinedload

from app.domain import access, audit, calls, conflicts, redaction, references, register
from app.domain.access import Actor
from app.domain.errors import Forbidden, Immutable, Invalid, NotFound, ReasonMissing
from app.domain.redaction import Sections
from app.infra.i18n import N_, Message
from app.models import (
    Call,
    Conflict,
    Disclosure,
    DisclosureDecision,
    DisclosureItem,
    DisclosureProposal,
    DisclosureSet,
    Hearing,
    HearingAnswer,
    Person,
    Submission,
)

TITLE_LENGTH, REASON_LENGTH, MOST = 300, 2000, 1000
NO_STATEMENT = N_(
    "First state your interest in each dossier of this request. A colleague who has none in any of them can do this too."
)


@dataclass
class Item:
    """One dossier of a request and how far it is."""

    item: DisclosureItem
    proposal: DisclosureProposal | None = None
    hearing: Hearing | None = None
    answers: dict[str, HearingAnswer] = field(default_factory=dict)
    decision: DisclosureDecision | None = None
    is_over: bool = False

    @property
    def state(self) -> str:
        """`added`, `proposed`, `asked`, `heard`, `decided` (waits for the second person) or `confirmed`."""
        if self.decision is not None:
            return "confirmed" if self.decision.confirmed_at else "decided"
        if self.hearing is not None:
            asked = self.hearing.proposal.sections
            return "heard" if self.is_over or set(asked) <= set(self.answers) else "asked"
        return "proposed" if self.proposal is not None else "added"


def start(db: Session, actor: Actor, call: Call, title: str, received_on: date) -> Disclosure:
    """Register a request about a sealed call, due in as many weeks as the call file says; pressed twice it is one."""
    _require_coordinator(actor)
    if not (title := title.strip()[:TITLE_LENGTH]):
        raise Invalid
    db.execute(select(Person.id).where(Person.id == actor.person_id).with_for_update(key_share=True))  # one at a time
    same = (Disclosure.call_id == call.id) & (Disclosure.title == title) & (Disclosure.received_on == received_on)
    mine = select(Disclosure).where(same, Disclosure.registered_by == actor.person_id, Disclosure.closed_at.is_(None))
    if twice := db.scalars(mine.limit(1)).first():
        return twice
    due_on = received_on + timedelta(weeks=calls.questions(call).disclosure.weeks)
    made = Disclosure(
        call_id=call.id, title=title, received_on=received_on, due_on=due_on, registered_by=actor.person_id
    )
    db.add(made)
    db.flush()
    db.refresh(made)
    audit.record_call(db, actor, "disclosure.registered", call.id, disclosure=made.number, until=str(due_on))
    return made


def _require_coordinator(actor: Actor) -> None:
    if not actor.is_staff("coordinator"):
        raise Forbidden


def all_requests(db: Session) -> list[Disclosure]:
    """Every request: the open ones first, the next one due on top."""
    due = func.coalesce(Disclosure.extended_to, Disclosure.due_on)
    return list(db.scalars(select(Disclosure).order_by(Disclosure.closed_at.is_not(None), due, Disclosure.number)))


def load(db: Session, actor: Actor, number: int) -> Disclosure:
    """The request of this number."""
    _require_coordinator(actor)
    found = db.scalar(select(Disclosure).where(Disclosure.number == number))
    if found is None:
        raise NotFound
    return found


def extend(db: Session, actor: Actor, request: Disclosure, reason: str) -> None:
    """Extend the time for an answer, once, by as many weeks as the call file allows at most."""
    if not (reason := reason.strip()[:REASON_LENGTH]):
        raise ReasonMissing
    if request.extended_to is not None:
        raise Immutable
    to = request.due_on + timedelta(weeks=calls.questions(request.call).disclosure.longer)
    _change(db, request, extended_to=to, extension_reason=reason, extended_by=actor.person_id)
    audit.record_call(db, actor, "disclosure.extended", request.call_id, disclosure=request.number, until=str(to))


def close(db: Session, actor: Actor, request: Disclosure, reason: str) -> None:
    """Close a request for good, saying how it ended."""
    if not (reason := reason.strip()[:REASON_LENGTH]):
        raise ReasonMissing
    _change(db, request, closed_by=actor.person_id, closing_reason=reason)
    audit.record_call(db, actor, "disclosure.closed", request.call_id, disclosure=request.number)


def _change(db: Session, request: Disclosure, **values: Any) -> None:
    statement = update(Disclosure).where(Disclosure.id == request.id).values(**values)
    db.execute(statement.execution_options(synchronize_session=False))
    db.refresh(request)


def matching(db: Session, actor: Actor, request: Disclosure, query: register.Query) -> list[str]:
    """The references of all dossiers of the request's call that a filter of the register finds."""
    found = register.everything(db, actor, request.call, query)
    return [row["reference"] for batch in found for row in batch][:MOST]


def add(db: Session, actor: Actor, request: Disclosure, wanted: Iterable[str]) -> list[str]:
    """Add dossiers by reference. Gives back what names none that the actor may see in this call."""
    given = {text: references.normalised(text) for text in list(wanted)[:MOST]}
    rows = db.execute(
        access.dossiers(actor).where(
            Submission.call_id == request.call_id, Submission.reference.in_([r for r in given.values() if r])
        )
    ).all()
    seen = {submission.reference for submission, _ in rows}
    present = set(db.scalars(select(DisclosureItem.submission_id).where(*_live(request))))
    for submission, version in rows:
        if submission.id in present:
            continue
        made = DisclosureItem(
            disclosure_id=request.id, submission_id=submission.id, version_id=version.id, added_by=actor.person_id
        )
        db.add(made)
        audit.record(db, actor, "disclosure.dossier_added", submission, disclosure=request.number)
    return [text for text, reference in given.items() if reference not in seen]


def _live(request: Disclosure) -> tuple[Any, ...]:
    return DisclosureItem.disclosure_id == request.id, DisclosureItem.left_out_at.is_(None)


def leave_out(db: Session, actor: Actor, found: Item, reason: str) -> None:
    """Take a dossier out of a request again, with a reason; what was done with it stays on record."""
    if not (reason := reason.strip()[:REASON_LENGTH]):
        raise ReasonMissing
    statement = update(DisclosureItem).where(DisclosureItem.id == found.item.id)
    values = {"left_out_by": actor.person_id, "left_out_reason": reason}
    db.execute(statement.values(**values).execution_options(synchronize_session=False))
    db.expire(found.item)
    audit.record(
        db, actor, "disclosure.dossier_left_out", found.item.submission, disclosure=found.item.disclosure.number
    )


def items(db: Session, actor: Actor, request: Disclosure, reference: str = "") -> list[Item]:
    """The dossiers of a request and how far each is, or the one with a reference; without those of a conflict."""
    wanted = (
        select(DisclosureItem)
        .join(Submission, Submission.id == DisclosureItem.submission_id)
        .where(*_live(request), ~access.has_conflict(actor))
        .options(joinedload(DisclosureItem.submission), joinedload(DisclosureItem.version))
        .order_by(Submission.reference)
    )
    if reference:
        wanted = wanted.where(Submission.reference == (references.normalised(reference) or ""))
    return states(db, list(db.scalars(wanted)))


def states(db: Session, listed: list[DisclosureItem]) -> list[Item]:
    """How far each of some dossiers is, in as many questions to the database for one as for a hundred."""
    if not listed:
        return []
    found = {item.id: Item(item) for item in listed}
    now = calls.clock(db)
    proposals = select(DisclosureProposal).where(DisclosureProposal.item_id.in_(found))
    for proposal in db.scalars(proposals.order_by(DisclosureProposal.proposed_at)):
        found[proposal.item_id].proposal = proposal
    asked = select(Hearing).where(Hearing.item_id.in_(found)).options(joinedload(Hearing.proposal))
    for hearing in db.scalars(asked.order_by(Hearing.asked_at)):
        found[hearing.item_id].hearing, found[hearing.item_id].is_over = hearing, now >= hearing.until
    by_hearing = {one.hearing.id: one for one in found.values() if one.hearing}
    answers = select(HearingAnswer).where(HearingAnswer.hearing_id.in_(by_hearing))
    for answer in db.scalars(answers.order_by(HearingAnswer.answered_at)):
        by_hearing[answer.hearing_id].answers[answer.section] = answer
    decisions = select(DisclosureDecision).where(
        DisclosureDecision.item_id.in_(found), DisclosureDecision.dropped_at.is_(None)
    )
    people = (joinedload(DisclosureDecision.decider), joinedload(DisclosureDecision.confirmer))
    for decision in db.scalars(decisions.options(*people)):
        found[decision.item_id].decision = decision
    return list(found.values())


def item(db: Session, actor: Actor, request: Disclosure, reference: str) -> Item:
    """One dossier of a request, read on record; ConflictNotStated to who has not said whether they have an interest."""
    found = next(iter(items(db, actor, request, reference)), None)
    if found is None:
        raise NotFound
    conflicts.require_stated(db, actor, found.item.submission)
    audit.record(db, actor, "dossier.read", found.item.submission, version=found.item.version.number)
    return found


def propose(db: Session, actor: Actor, found: Item, sections: Sections) -> DisclosureProposal:
    """Propose what to disclose and what to withhold; an earlier proposal is kept, and no longer counts."""
    version = found.item.version
    questions = calls.questions_of(db, version.definition_digest)
    made = DisclosureProposal(
        item_id=found.item.id,
        sections=redaction.checked(questions, version, sections),
        proposed_by=actor.person_id,
    )
    db.add(made)
    db.flush()
    audit.record(db, actor, "disclosure.proposed", found.item.submission, disclosure=found.item.disclosure.number)
    return made


def require_free(db: Session, actor: Actor, request: Disclosure) -> None:
    """Forbidden unless the actor stated, for every dossier of the request, that they have no conflict."""
    stated = select(Conflict.submission_id).where(
        Conflict.person_id == actor.person_id, Conflict.level != "conflict", Conflict.replaced_at.is_(None)
    )
    unstated = select(DisclosureItem.id).where(*_live(request), DisclosureItem.submission_id.not_in(stated))
    if db.scalar(unstated.limit(1)) is not None:
        raise Forbidden(Message(NO_STATEMENT))


def sets(db: Session, request: Disclosure) -> list[DisclosureSet]:
    """What was produced for a request, the newest first."""
    wanted = select(DisclosureSet).where(DisclosureSet.disclosure_id == request.id)
    return list(db.scalars(wanted.order_by(DisclosureSet.made_at.desc())))
