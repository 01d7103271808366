"""Budgets: a member state's workspace in a call, what it has in each source, and what it promised against that."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import Select, and_, func, select
from sqlalchemy.orm import Session, joinedload

from app.domain import amounts, audit, calls, kinds
from app.domain.access import EDITORS, Actor, Belonging
from app.domain.answers import Unreadable
from app.domain.errors import CallClosed, CallNotOpen, Forbidden, Invalid, NotFound
from app.domain.pledges import Pledges
from app.infra.i18n import N_, Message
from app.models import Budget, Call, LetterVersion, SupportLetter

NO_AMOUNT = N_("Give the amount in euros; 0 where there is none.")


@dataclass(frozen=True)
class _Bounds:
    """What reading an amount, or a day, needs to know."""

    min: str
    max: str
    places: int = 2
    max_length: int = 60
    options: tuple[Any, ...] = ()


EUROS = _Bounds("0", "100000000000.00")
DAYS = _Bounds("2024-01-01", "2050-12-31")


def euros(text: str, language: str) -> tuple[Decimal | None, Message | None]:
    """An amount as the language writes it, exact to the cent; None where nothing is given, and what is wrong with it."""
    if not text:
        return None, None
    try:
        return Decimal(amounts.read_money(text, EUROS, language)), None
    except Unreadable as problem:
        return None, problem.message


def day(day: str, month: str, year: str) -> tuple[date | None, Message | None]:
    """A day of three parts; None where nothing is given, and what is wrong with it."""
    if not (day or month or year):
        return None, None
    try:
        return date.fromisoformat(kinds.read_date(day, month, year, DAYS)), None
    except Unreadable as problem:
        return None, problem.message


@dataclass(frozen=True)
class Workspace:
    """Where the people of a member state work on one call."""

    call: Call
    belonging: Belonging
    pledges: Pledges

    @property
    def state(self) -> str:
        """The member state, two letters."""
        return str(self.belonging.state_code)

    @property
    def may_write(self) -> bool:
        """Whether the person may change anything here (the window is the database's business)."""
        return self.belonging.role in EDITORS

    @property
    def path(self) -> str:
        """Its address."""
        return f"/support/{self.call.code}/{self.state}"

    def require_writer(self) -> None:
        """Forbidden to whoever only reads."""
        if not self.may_write:
            raise Forbidden


def workspaces(db: Session, actor: Actor) -> list[Workspace]:
    """The actor's workspaces: each call that knows letters, for each member state that they act for."""
    states = [m for m in actor.memberships if m.state_code is not None]
    found = calls.all_calls(db) if states else []
    every = [Workspace(call, m, calls.questions(call).support) for call in found for m in states]
    return [one for one in every if one.pledges.letters]


def workspace(db: Session, actor: Actor, code: str, state: str) -> Workspace:
    """One of them; NotFound for anybody who does not belong to that member state."""
    belonging = next((m for m in actor.memberships if m.state_code == state), None)
    if belonging is None:
        raise NotFound
    call = calls.by_code(db, code)
    found = Workspace(call, belonging, calls.questions(call).support)
    if not found.pledges.letters:
        raise NotFound
    return found


def require_open(db: Session, at: Workspace) -> None:
    """Says what the database would say outside the window, before anything else is found wrong."""
    now = calls.clock(db)
    if not calls.is_open(at.call, now):
        raise CallNotOpen if now < at.call.opens_at else CallClosed


@dataclass(frozen=True)
class Line:
    """One source: what there is, and what was promised of it, by phase and of that by letters of commitment."""

    source: str
    budget: Budget | None
    phases: dict[str, Decimal]
    promised: Decimal
    committed: Decimal

    @property
    def is_over(self) -> bool:
        """Whether more was promised than there is: warned of, never refused."""
        return self.promised > (self.budget.amount if self.budget else Decimal(0))


def lines(db: Session, at: Workspace) -> list[Line]:
    """Every source of the call with its budget and the letters that were given and not withdrawn."""
    held = {budget.source: budget for budget in db.scalars(_last_budgets(at))}
    sums: dict[str, dict[str, Decimal]] = {}
    committed: dict[str, Decimal] = {}
    for source, phase, sort, amount in db.execute(_promises(at)):
        if not (source and phase and amount):
            continue
        of = sums.setdefault(source, {})
        of[phase] = of.get(phase, Decimal(0)) + amount
        known = at.pledges.sort(sort)
        if known and known.is_commitment:
            committed[source] = committed.get(source, Decimal(0)) + amount
    return [
        Line(
            choice.value,
            held.get(choice.value),
            sums.get(choice.value, {}),
            sum(sums.get(choice.value, {}).values(), Decimal(0)),
            committed.get(choice.value, Decimal(0)),
        )
        for choice in at.pledges.sources
    ]


def _last_budgets(at: Workspace) -> Select[Budget]:
    mine = (Budget.call_id == at.call.id, Budget.organisation_id == at.belonging.organisation_id)
    last = (
        select(Budget.source, func.max(Budget.number).label("number")).where(*mine).group_by(Budget.source).subquery()
    )
    joined = and_(last.c.source == Budget.source, last.c.number == Budget.number)
    return select(Budget).join(last, joined).where(*mine).options(joinedload(Budget.writer))


def _promises(at: Workspace) -> Select[str | None, str | None, str, Decimal | None]:
    """What each live letter said when it was last given."""
    given = (
        select(LetterVersion.letter_id, func.max(LetterVersion.number).label("number"))
        .where(LetterVersion.is_given)
        .group_by(LetterVersion.letter_id)
        .subquery()
    )
    return (
        select(LetterVersion.source, LetterVersion.phase, LetterVersion.sort, LetterVersion.amount)
        .join(given, and_(given.c.letter_id == LetterVersion.letter_id, given.c.number == LetterVersion.number))
        .join(SupportLetter, SupportLetter.id == LetterVersion.letter_id)
        .where(
            SupportLetter.call_id == at.call.id,
            SupportLetter.organisation_id == at.belonging.organisation_id,
            SupportLetter.withdrawn_at.is_(None),
            LetterVersion.amount.is_not(None),
            LetterVersion.source.is_not(None),
        )
    )


def history(db: Session, at: Workspace) -> list[Budget]:
    """Every line that was written, the newest first."""
    mine = (Budget.call_id == at.call.id, Budget.organisation_id == at.belonging.organisation_id)
    newest = select(Budget).where(*mine).order_by(Budget.written_at.desc(), Budget.id)
    return list(db.scalars(newest.options(joinedload(Budget.writer))))


def write(db: Session, actor: Actor, at: Workspace, source: str, amount: Decimal, status: str) -> None:
    """Say what there is in a source, in place of what was said before. Nothing happens where that is the same."""
    at.require_writer()
    if not (at.pledges.has("sources", source) and at.pledges.has("statuses", status)):
        raise Invalid
    last = next((b for b in db.scalars(_last_budgets(at)) if b.source == source), None)
    if last and (last.amount, last.status) == (amount, status):
        return
    db.add(
        Budget(
            call_id=at.call.id,
            organisation_id=at.belonging.organisation_id,
            source=source,
            number=0,  # the database numbers
            amount=amount,
            status=status,
            written_by=actor.person_id,
        )
    )
    audit.record_call(db, actor, "budget.written", at.call.id, state=at.state, source=source)
