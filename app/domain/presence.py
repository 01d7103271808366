"""Who of one organisation is on which page of a case now: each session remembers its last page for a moment."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from app.domain.access import Actor
from app.models import Person, SignIn, Submission

STAYS = timedelta(seconds=50)  # pages tell that they are open each 15 seconds
TOLD_EVERY = timedelta(seconds=5)


@dataclass(frozen=True)
class Colleague:
    """Somebody else on a page of the case."""

    name: str
    step: str


def arrive(db: Session, actor: Actor, case: Submission, step: str) -> None:
    """Remember that the actor's session is on this page now."""
    now = func.clock_timestamp()
    moved = or_(
        SignIn.submission_id.is_distinct_from(case.id),
        SignIn.step.is_distinct_from(step),
        SignIn.stepped_at < now - TOLD_EVERY,
    )
    db.execute(
        update(SignIn)
        .where(SignIn.id == actor.sign_in_id, moved)
        .values(submission_id=case.id, step=step, stepped_at=now)
        .execution_options(synchronize_session=False)
    )


def others(db: Session, actor: Actor, case: Submission) -> list[Colleague]:
    """Everybody else whose session is on a page of the case now, by name; each once a page."""
    shown = func.coalesce(func.nullif(Person.name, ""), Person.email)
    rows = db.execute(
        select(shown, SignIn.step)
        .distinct()
        .join(Person, Person.id == SignIn.person_id)
        .where(
            SignIn.submission_id == case.id,
            SignIn.person_id != actor.person_id,
            SignIn.ended_at.is_(None),
            SignIn.stepped_at > func.clock_timestamp() - STAYS,
        )
        .order_by(shown, SignIn.step)
    )
    return [Colleague(name, step) for name, step in rows]
