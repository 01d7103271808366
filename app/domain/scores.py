"""What each reader scores, by themselves: saved as often as they like, handed in once, seen by others when both are in."""

import uuid
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session, joinedload

from app.domain import assignments, audit, memos
from app.domain.access import Actor
from app.domain.errors import NotFound, ReasonMissing
from app.domain.objections import AlreadyHandedIn, NotAssigned, TooEarly
from app.domain.yardsticks import Criterion
from app.infra.i18n import N_, Message
from app.models import Assignment, HandIn, Score, Submission

ARGUMENT_LENGTH = 5000
UNREADABLE = N_("Give points from 0 to %(most)s, with at most two decimals.")
MISSING_POINTS = N_("Give points from 0 to %(most)s.")
MISSING_ARGUMENT = N_("Give an argument.")


@dataclass(frozen=True)
class Sheet:
    """What one reader scored, by criterion, and whether it is handed in."""

    assignment: Assignment
    scores: dict[str, Score] = field(default_factory=dict)
    hand_in: HandIn | None = None

    @property
    def points(self) -> dict[str, Decimal]:
        """The points by criterion, where given."""
        return {name: score.points for name, score in self.scores.items() if score.points is not None}


def points_of(text: str, most: int) -> Decimal | None:
    """Points as typed, with comma or point; None when empty. ValueError (a Message) when they are none."""
    text = text.strip().replace(",", ".")
    if not text:
        return None
    try:
        points = Decimal(text) if len(text) <= 8 and text.isascii() else Decimal("NaN")
    except InvalidOperation:
        points = Decimal("NaN")
    if not points.is_finite() or not 0 <= points <= most or points != round(points, 2):
        raise ValueError(Message(UNREADABLE, {"most": most}))
    return points


def total(criteria: tuple[Criterion, ...], points: dict[str, Decimal]) -> Decimal | None:
    """The weighted total, at most 100, exactly; None unless every criterion has points."""
    if any(criterion.name not in points for criterion in criteria) or not criteria:
        return None
    return sum((criterion.weighted(points[criterion.name]) for criterion in criteria), Decimal(0))


def sheet(db: Session, given: Assignment) -> Sheet:
    """What was scored from a seat: the last of each criterion."""
    rows = (
        select(Score)
        .ext(distinct_on(Score.criterion))
        .where(Score.assignment_id == given.id)
        .order_by(Score.criterion, Score.saved_at.desc(), Score.id)
    )
    live = select(HandIn).where(HandIn.assignment_id == given.id, HandIn.returned_at.is_(None))
    return Sheet(given, {score.criterion: score for score in db.scalars(rows)}, db.scalar(live))


def own(db: Session, actor: Actor, submission: Submission) -> Sheet | None:
    """The actor's own sheet, where they have a seat."""
    seated = assignments.own(db, actor, submission)
    return sheet(db, seated) if seated else None


def handed_in(db: Session, submission: Submission) -> dict[str, HandIn]:
    """Which seats have handed in, and when; never what."""
    rows = (
        select(HandIn)
        .join(Assignment, Assignment.id == HandIn.assignment_id)
        .where(HandIn.submission_id == submission.id, HandIn.returned_at.is_(None), Assignment.ended_at.is_(None))
        .options(joinedload(HandIn.assignment).joinedload(Assignment.person))
    )
    return {found.assignment.seat: found for found in db.scalars(rows)}


def both(db: Session, submission: Submission) -> dict[str, Sheet]:
    """The sheets of both readers by seat once both are in; before that nothing, to nobody."""
    found = handed_in(db, submission)
    if set(found) != set(assignments.SEATS):
        return {}
    return {seat: sheet(db, found[seat].assignment) for seat in assignments.SEATS}


def _own_open(db: Session, actor: Actor, submission: Submission) -> Sheet:
    assignments.require_unsigned(db, submission)
    mine = own(db, actor, submission)
    if mine is None:
        raise NotAssigned
    if mine.hand_in:
        raise AlreadyHandedIn
    return mine


def save(db: Session, actor: Actor, submission: Submission, typed: dict[str, tuple[Decimal | None, str]]) -> Sheet:
    """Save points and arguments by criterion; what did not change is not written again."""
    mine, changed = _own_open(db, actor, submission), 0
    for criterion, (points, argument) in typed.items():
        argument, before = argument.strip()[:ARGUMENT_LENGTH], mine.scores.get(criterion)
        if (before.points, before.argument) == (points, argument) if before else not argument and points is None:
            continue
        score = Score(assignment_id=mine.assignment.id, criterion=criterion, points=points, argument=argument)
        db.add(score)
        changed += 1
    if changed:
        audit.record(db, actor, "scores.saved", submission, criteria=changed)
    return sheet(db, mine.assignment)


def missing(criteria: tuple[Criterion, ...], mine: Sheet) -> dict[str, Message]:
    """What is still to be given before a hand-in, by the id of its field."""
    found = {}
    for criterion in criteria:
        score = mine.scores.get(criterion.name)
        if score is None or score.points is None:
            found[f"points-{criterion.name}"] = Message(MISSING_POINTS, {"most": criterion.most})
        if score is None or not score.argument:
            found[f"argument-{criterion.name}"] = Message(MISSING_ARGUMENT, {})
    return found


def hand_in(db: Session, actor: Actor, submission: Submission, criteria: tuple[Criterion, ...]) -> HandIn:
    """Hand in one's scores: from now on they stand. TooEarly while some are missing."""
    mine = _own_open(db, actor, submission)
    if missing(criteria, mine):
        raise TooEarly
    made = HandIn(assignment_id=mine.assignment.id)
    db.add(made)
    audit.record(db, actor, "scores.handed_in", submission, seat=mine.assignment.seat)
    return made


def give_back(db: Session, actor: Actor, submission: Submission, seat: str, reason: str, base_url: str) -> None:
    """Return a reader's scores with a reason, so that they can change them: a coordinator's doing, kept on record."""
    assignments.require_unsigned(db, submission)
    found = handed_in(db, submission).get(seat)
    if found is None:
        raise NotFound
    reason = reason.strip()[: assignments.REASON_LENGTH]
    if not reason:
        raise ReasonMissing
    found.returned_by, found.reason, found.returned_at = actor.person_id, reason, func.clock_timestamp()
    audit.record(db, actor, "scores.returned", submission, seat=seat, person=str(found.assignment.person_id))
    memos.returned(db, found.assignment.person, actor.name or actor.email, submission, base_url)


def returned(db: Session, given_id: uuid.UUID) -> HandIn | None:
    """The last time that the scores of a seat were returned."""
    rows = select(HandIn).where(HandIn.assignment_id == given_id, HandIn.returned_at.is_not(None))
    return db.scalars(rows.order_by(HandIn.returned_at.desc()).limit(1)).first()
