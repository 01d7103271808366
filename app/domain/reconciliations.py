"""What both readers come to once both are in: where they differ, one set of scores with arguments, a second person's yes."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from app.domain import assignments, audit, scores
from app.domain.access import Actor
from app.domain.errors import NotFound
from app.domain.objections import NotAssigned, SamePerson, TooEarly
from app.domain.scores import ARGUMENT_LENGTH
from app.domain.yardsticks import Criterion
from app.infra.i18n import N_, Message
from app.models import Reconciliation, Score, Submission

DIFFERS = N_("The readers differ here: say why it becomes this.")


@dataclass(frozen=True)
class Row:
    """One criterion with what each reader gave it."""

    criterion: Criterion
    first: Score | None
    second: Score | None

    @property
    def difference(self) -> Decimal:
        """How far the readers are apart, in points."""
        first, second = (s.points if s and s.points is not None else Decimal(0) for s in (self.first, self.second))
        return abs(first - second)


def rows(criteria: tuple[Criterion, ...], sheets: dict[str, scores.Sheet]) -> list[Row]:
    """The criteria side by side; empty until both are in."""
    if not sheets:
        return []
    return [Row(c, sheets["first"].scores.get(c.name), sheets["second"].scores.get(c.name)) for c in criteria]


def last(db: Session, submission: Submission) -> Reconciliation | None:
    """The last reconciliation, if the scores that it was made over still count."""
    found = db.scalars(
        select(Reconciliation)
        .where(Reconciliation.submission_id == submission.id)
        .options(joinedload(Reconciliation.author), joinedload(Reconciliation.second))
        .order_by(Reconciliation.written_at.desc(), Reconciliation.id)
        .limit(1)
    ).first()
    current = scores.handed_in(db, submission)
    if found is None or {h.id for h in current.values()} != {found.first_in, found.second_in}:
        return None
    return found


def may_write(db: Session, actor: Actor, submission: Submission) -> bool:
    """Whether the actor is the first reader, or coordinates."""
    seated = assignments.own(db, actor, submission)
    return actor.is_staff("coordinator") or (seated is not None and seated.seat == "first")


def may_agree(db: Session, actor: Actor, submission: Submission, written: Reconciliation | None) -> bool:
    """Whether the actor is another one of those who work on the dossier."""
    if written is None or written.agreed_at is not None or written.written_by == actor.person_id:
        return False
    return actor.is_staff("coordinator") or assignments.own(db, actor, submission) is not None


def missing(table: list[Row], typed: dict[str, tuple[Decimal | None, str]]) -> dict[str, Message]:
    """What is still to be given, by the id of its field: an argument is needed where the points are not both readers'."""
    found = {}
    for row in table:
        points, argument = typed.get(row.criterion.name, (None, ""))
        if points is None:
            found[f"points-{row.criterion.name}"] = Message(scores.MISSING_POINTS, {"most": row.criterion.most})
        elif not argument.strip() and {s.points for s in (row.first, row.second) if s} != {points}:
            found[f"argument-{row.criterion.name}"] = Message(DIFFERS, {})
    return found


def write(
    db: Session,
    actor: Actor,
    submission: Submission,
    criteria: tuple[Criterion, ...],
    typed: dict[str, tuple[Decimal | None, str]],
) -> Reconciliation:
    """Write down the scores that both come to; one written before is kept, and no longer counts."""
    assignments.require_unsigned(db, submission)
    if not may_write(db, actor, submission):
        raise NotAssigned
    table = rows(criteria, scores.both(db, submission))
    points = {name: given for name, (given, _) in typed.items() if given is not None}
    total = scores.total(criteria, points)
    if total is None or missing(table, typed) or not table:
        raise TooEarly
    lines: list[dict[str, Any]] = [
        {
            "criterion": row.criterion.name,
            "points": str(points[row.criterion.name]),
            "argument": typed[row.criterion.name][1].strip()[:ARGUMENT_LENGTH],
        }
        for row in table
    ]
    made = Reconciliation(submission_id=submission.id, lines=lines, total=total, written_by=actor.person_id)
    db.add(made)
    audit.record(db, actor, "scores.reconciled", submission)
    return made


def agree(db: Session, actor: Actor, submission: Submission, seen: str) -> None:
    """Agree to the reconciled scores that were `seen` (their id), as somebody else than who wrote them."""
    assignments.require_unsigned(db, submission)
    written = last(db, submission)
    if written is None or written.agreed_at is not None or str(written.id) != seen:
        raise NotFound
    if written.written_by == actor.person_id:
        raise SamePerson
    if not may_agree(db, actor, submission, written):
        raise NotAssigned
    written.agreed_by, written.agreed_at = actor.person_id, func.clock_timestamp()
    audit.record(db, actor, "scores.agreed", submission)
