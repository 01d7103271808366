"""The desk of the demonstration: readers at work on the rehearsal's dossiers, each a different stretch of the way."""

from datetime import timedelta
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import (
    accounts,
    assignments,
    balancing,
    calls,
    checklists,
    conflicts,
    disclosures,
    dossiers,
    hearings,
    notes,
    reconciliations,
    redaction,
    scores,
    signoffs,
)
from app.domain.access import Actor
from app.infra.times import BRUSSELS
from app.models import Call, Person, Submission

DAYS = 21
WORDS = "Grounded in the answers and the proposal; the assumptions are stated."


def work(db: Session, call: Call, base_url: str) -> None:
    """Divide the dossiers over the reviewers, and take the first firms some way each: signed, both in, begun, left."""
    coordinator = _actor(db, "coordinator@demo.example")
    people = [person for person in assignments.staff(db) if person.staff_role == "reviewer"]
    plan = balancing.plan(db, coordinator, call, people)
    due_on = (calls.clock(db).astimezone(BRUSSELS) + timedelta(days=DAYS)).date()
    balancing.apply(db, coordinator, call, people, plan.digest, due_on, base_url)
    firms = list(
        db.scalars(
            select(Submission)
            .where(Submission.call_id == call.id, Submission.kind == "FC")
            .order_by(Submission.reference)
        )
    )
    for case, stretch in zip(firms, (_signed, _both_in, _begun, _left), strict=False):
        seats = {a.seat: accounts.actor_for(db, a.person) for a in assignments.live(db, case).values()}
        if set(seats) == set(assignments.SEATS):
            stretch(db, case, seats["first"], seats["second"], base_url)


def _actor(db: Session, email: str) -> Actor:
    return accounts.actor_for(db, db.scalars(select(Person).where(Person.email == email)).one())


def _hand_in(db: Session, case: Submission, reader: Actor, points: str) -> None:
    """A reader opens the dossier, scores it, the first criterion with `points`, and hands in."""
    conflicts.state(db, reader, case, "none", "")
    dossiers.load(db, reader, case.reference)
    criteria = calls.questions(case.call).review.criteria_for(case.kind)
    given: dict[str, tuple[Decimal | None, str]] = {c.name: (Decimal("3.5"), WORDS) for c in criteria}
    scores.save(db, reader, case, given | {criteria[0].name: (Decimal(points), WORDS)})
    scores.hand_in(db, reader, case, criteria)
    db.flush()


def _signed(db: Session, case: Submission, first: Actor, second: Actor, base_url: str) -> None:
    _both_in(db, case, first, second, base_url)
    questions = calls.questions(case.call)
    criteria = questions.review.criteria_for(case.kind)
    typed: dict[str, tuple[Decimal | None, str]] = {c.name: (Decimal("3.5"), "") for c in criteria}
    typed[criteria[0].name] = (Decimal("3"), "The design is sound; the upgrade path is thin.")
    written = reconciliations.write(db, first, case, criteria, typed)
    reconciliations.agree(db, second, case, str(written.id))
    text = "A credible plan with its money in sight. To work out: the upgrade path and the last permits."
    said = signoffs.recommend(db, first, case, questions, questions.review.recommendations[1].value, text)
    signoffs.sign(db, second, case, questions, str(said.id))
    db.flush()


def _both_in(db: Session, case: Submission, first: Actor, second: Actor, base_url: str) -> None:
    _hand_in(db, case, first, "4")
    _hand_in(db, case, second, "2.5")
    notes.tag(db, first, case, "grid")
    notes.write(
        db, first, case, "The connection date is close to phase 1: worth a look.", [str(second.person_id)], base_url
    )
    db.flush()


def _begun(db: Session, case: Submission, first: Actor, second: Actor, base_url: str) -> None:
    conflicts.state(db, first, case, "none", "")
    submission, version = dossiers.load(db, first, case.reference)
    questions = calls.questions(case.call)
    criteria = questions.review.criteria_for(case.kind)
    scores.save(db, first, case, {criteria[0].name: (Decimal("4"), WORDS)})
    line = questions.review.lines_for(case.kind)[-1]
    checklists.say(db, first, submission, version, questions, line.name, "unclear", "To be asked of the respondent.")
    notes.tag(db, first, case, "multi-site")
    db.flush()


def _left(db: Session, case: Submission, first: Actor, second: Actor, base_url: str) -> None:
    conflicts.state(db, second, case, "conflict", "I advised one of the members last year.", base_url)
    conflicts.state(db, first, case, "possible", "A former colleague works at a supplier.", base_url)


def disclose(db: Session, call: Call, base_url: str) -> None:
    """A request to disclose one dossier, proposed by its marks; its submitter is asked for their view."""
    coordinator = _actor(db, "coordinator@demo.example")
    last = select(Submission).where(Submission.call_id == call.id, Submission.kind == "FC")
    case = db.scalars(last.order_by(Submission.reference.desc()).limit(1)).one()
    conflicts.state(db, coordinator, case, "none", "")
    day = calls.clock(db).astimezone(BRUSSELS).date()
    request = disclosures.start(db, coordinator, call, "All expressions of interest for sites on the coast", day)
    disclosures.add(db, coordinator, request, [case.reference])
    db.flush()
    found = disclosures.item(db, coordinator, request, case.reference)
    questions = calls.questions_of(db, found.item.version.definition_digest)
    disclosures.propose(db, coordinator, found, redaction.suggested(questions, found.item.version))
    hearings.ask(
        db,
        coordinator,
        disclosures.item(db, coordinator, request, case.reference),
        questions.disclosure.view_days,
        base_url,
    )
