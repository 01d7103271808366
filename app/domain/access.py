"""Who may see and do what: an actor, and a Select of what it may see that every read goes through."""

import uuid
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Select,
    and_,
    bindparam,
    case,
    cast,
    exists,
    func,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONPATH

from app.domain.pledges import Pledges
from app.models import Call, Conflict, Entry, Organisation, Release, Submission, Version, Withdrawal

STAFF_RANK = {"reviewer": 1, "coordinator": 2, "admin": 3}
BY_LINK = "e-mail link"
LEVELS = ("low", "substantial", "high")  # of a sign-in, as eIDAS has them
KEPT = 256  # actors whose statements a process keeps: what is asked for them, never what was answered
EDITORS = frozenset({"owner", "editor"})
PARTNER = "partner"


@dataclass(frozen=True)
class Belonging:
    """A person's live membership of an organisation. `state_code` is set when that speaks for a member state."""

    organisation_id: uuid.UUID
    name: str
    role: str
    country: str
    state_code: str | None


@dataclass(frozen=True)
class Seat:
    """A person's live part in one submission, whosever it is. `organisation` is their own, of a partner or an intermediary."""

    submission_id: uuid.UUID
    role: str
    organisation: str


@dataclass(frozen=True)
class Actor:
    """Whoever makes a request. `owes_factor`: staff who gave no second factor yet; `is_proven`: they gave it just now."""

    kind: Literal["anonymous", "person", "api_key", "system"] = "anonymous"
    person_id: uuid.UUID | None = None
    sign_in_id: uuid.UUID | None = None
    csrf_token: str = ""
    email: str = ""
    name: str = ""
    language: str = "en"
    staff_role: str | None = None
    memberships: tuple[Belonging, ...] = ()
    seats: tuple[Seat, ...] = ()
    owes_factor: bool = False
    is_proven: bool = False
    provider: str | None = None
    assurance: str = BY_LINK
    level: str | None = None
    represents: uuid.UUID | None = None
    api_key_id: uuid.UUID | None = None
    call_codes: tuple[str, ...] = ()
    scopes: frozenset[str] = field(default_factory=frozenset)

    @property
    def organisations(self) -> list[uuid.UUID]:
        """Those that the actor is a member of."""
        return [m.organisation_id for m in self.memberships]

    def acts_for(self, submission: Submission) -> bool:
        """Whether this actor is a member of the organisation that the submission belongs to."""
        return any(m.organisation_id == submission.organisation_id for m in self.memberships)

    def roles_in(self, submission: Submission) -> set[str]:
        """The roles that the actor has in it: as a member of its organisation, and by an invitation to it alone."""
        own = {m.role for m in self.memberships if m.organisation_id == submission.organisation_id}
        return own | {seat.role for seat in self.seats if seat.submission_id == submission.id}

    def may_edit(self, submission: Submission) -> bool:
        """Whether this actor may change it (an owner or editor; the window is the database's business)."""
        return not EDITORS.isdisjoint(self.roles_in(submission))

    def may_submit(self, submission: Submission) -> bool:
        """Whether this actor may submit and withdraw it: whoever may change it as a member, or was invited as an owner."""
        own = (m.role for m in self.memberships if m.organisation_id == submission.organisation_id)
        return self.may_lead(submission) or "editor" in own

    def may_lead(self, submission: Submission) -> bool:
        """Whether this actor decides who takes part: an owner, of its organisation or invited as one."""
        return "owner" in self.roles_in(submission)

    def owns(self, submission: Submission) -> bool:
        """Whether this actor is an owner of the organisation that the submission belongs to."""
        return any(m.organisation_id == submission.organisation_id and m.role == "owner" for m in self.memberships)

    def reaches(self, level: str, submission: Submission) -> bool:
        """Whether this actor signed in with this level or a higher one, on behalf of the submission's organisation."""
        return (
            self.level is not None
            and self.represents == submission.organisation_id
            and LEVELS.index(self.level) >= LEVELS.index(level)
        )

    def login_assurance(self, submission: Submission) -> str:
        """By what the actor signed in, as a receipt of the submission tells it."""
        if self.assurance == BY_LINK or self.represents == submission.organisation_id:
            return self.assurance
        return f"{self.assurance}, not for this organisation"

    def is_staff(self, at_least: str = "reviewer") -> bool:
        """Whether this actor is RVO staff with this role or a higher one."""
        return self.staff_role is not None and STAFF_RANK[self.staff_role] >= STAFF_RANK[at_least]


ANONYMOUS = Actor()
SYSTEM = Actor(kind="system")

is_sealed: ColumnElement[bool] = Call.sealed_at.is_not(None)
is_withdrawn: ColumnElement[bool] = exists().where(
    Withdrawal.submission_id == Submission.id, Withdrawal.restored_at.is_(None)
)
is_released: ColumnElement[bool] = exists().where(
    Release.submission_id == Submission.id, Release.version_id == Version.id, Release.taken_back_at.is_(None)
)
last_number = (
    select(func.max(Version.number))
    .where(Version.submission_id == Submission.id, Version.exemption_id.is_(None))
    .correlate(Submission)
    .scalar_subquery()
)


# Entries of the register whose term had passed: their content was destroyed.
is_emptied: ColumnElement[bool] = Entry.version_id.in_(select(Version.id).where(Version.destruction_id.is_not(None)))


def own_submissions() -> Select[Submission]:
    """The cases of the organisations bound as `own`, and those bound as `seats`: what `own` gives of the actor."""
    theirs = Submission.organisation_id.in_(bindparam("own", expanding=True))
    return select(Submission).where(or_(theirs, Submission.id.in_(bindparam("seats", expanding=True))))


def own(actor: Actor) -> dict[str, list[uuid.UUID]]:
    """What `own_submissions` is asked with: the actor's organisations, and the cases to which they were invited.

    Not those in which they are a partner alone: a partner sees its own part, by `partner_submissions`.
    """
    return {"own": actor.organisations, "seats": [s.submission_id for s in actor.seats if s.role != PARTNER]}


def partner_submissions(actor: Actor) -> Select[Submission]:
    """The cases in which the actor is a partner: for the name of it and its own part alone."""
    return select(Submission).where(Submission.id.in_([s.submission_id for s in actor.seats if s.role == PARTNER]))


def standing_versions() -> Select[Submission, Version]:
    """Each submission with the version that counts, its last one before the cutoff, whether or not withdrawn."""
    return (
        select(Submission, Version)
        .join(Version, and_(Version.submission_id == Submission.id, Version.number == last_number))
        .join(Call, Call.id == Submission.call_id)
    )


@lru_cache(KEPT)
def dossiers(actor: Actor) -> Select[Submission, Version]:
    """The submissions whose content the actor may read as staff or as an export client: of sealed calls only.

    Not of closed ones: between the cutoff and the seal a deadline may still move. Staff see all, withdrawn ones
    marked, but nothing of what they stated a conflict about, nor what was destroyed when its term had passed. A key sees the calls it is scoped to, and there what was
    released to it: consented to, not withdrawn; the portal's own export, made on the command line, sees the same of
    every call. Anybody else sees nothing here.
    """
    found = standing_versions().where(is_sealed, Version.destruction_id.is_(None))
    if actor.kind in ("api_key", "system"):
        in_scope = true() if actor.kind == "system" else Call.code.in_(actor.call_codes)
        return found.where(in_scope, is_released)
    return found.where(_of_staff(actor))


@lru_cache(KEPT)
def entries(actor: Actor) -> Select[Entry]:
    """The same as lines of a register, which is prepared of sealed calls only."""
    found = select(Entry)
    if actor.is_staff():
        return found.where(~is_conflicted(actor), ~is_emptied)
    live = exists().where(
        Release.submission_id == Entry.submission_id,
        Release.version_id == Entry.version_id,
        Release.taken_back_at.is_(None),
    )
    if actor.kind == "system":
        return found.where(live)
    in_scope = select(Call.id).where(Call.code.in_(actor.call_codes if actor.kind == "api_key" else ()))
    return found.where(Entry.call_id.in_(in_scope), live)


def is_conflicted(actor: Actor) -> ColumnElement[bool]:
    """Whether the actor stated a conflict about an entry of a register."""
    return Entry.submission_id.in_(_stated(actor, "conflict"))


@lru_cache(KEPT)
def hidden_positions(actor: Actor) -> CompoundSelect[int]:
    """Where the register of the call bound as `call` has what `entries` leaves out for staff.

    Found from their conflicts and from what was destroyed, not by looking at each entry.
    """
    here = select(Entry.position).where(Entry.call_id == bindparam("call"))
    stated = _stated(actor, "conflict").subquery()
    emptied = and_(Version.id == Entry.version_id, Version.submission_id == Entry.submission_id)
    return union_all(
        here.join(stated, stated.c.submission_id == Entry.submission_id),
        here.join(Version, emptied).where(Version.call_id == bindparam("call"), Version.destruction_id.is_not(None)),
    )


def is_passed(actor: Actor) -> ColumnElement[bool]:
    """Whether the dossier of an entry of a register is open to the actor: staff have stated that they have no conflict."""
    if not actor.is_staff():
        return true()
    return Entry.submission_id.in_(_stated(actor, "none", "possible"))


def has_passed(actor: Actor) -> ColumnElement[bool]:
    """The same of a submission."""
    return Submission.id.in_(_stated(actor, "none", "possible")) if actor.is_staff() else true()


def _stated(actor: Actor, *levels: str) -> Select[uuid.UUID]:
    return select(Conflict.submission_id).where(
        Conflict.person_id == actor.person_id, Conflict.level.in_(levels), Conflict.replaced_at.is_(None)
    )


def _of_staff(actor: Actor) -> ColumnElement[bool]:
    """For staff whatever they stated no conflict about, for others nothing."""
    return ~has_conflict(actor) if actor.is_staff() else Submission.id.is_(None)


def has_conflict(actor: Actor) -> ColumnElement[bool]:
    """Whether the actor's own statement about the submission says that they have a conflict."""
    return Submission.id.in_(_stated(actor, "conflict"))


def may_know(actor: Actor, submission_id: Any) -> ColumnElement[bool]:
    """Whether a line that tells of a submission, or of none, tells of nothing that the actor has a conflict about."""
    return or_(submission_id.is_(None), submission_id.not_in(_stated(actor, "conflict")))


def named_to_state(call: Call, pledges: Pledges, state: str) -> Select[Submission, Version]:
    """The cases of a call that name a member state, where their standing version consents to that state's seeing them.

    For name and title alone, before the seal and after it: the content is for whom `dossiers` opens it.
    """
    path = " || ".join(f"exists($.{'.'.join(name.split('.'))} ? (@ == $s))" for name in pledges.names)
    names_it = func.jsonb_path_match(Version.answers, cast(path, JSONPATH), func.jsonb_build_object("s", state))
    is_own = Organisation.country == state
    consented = case((is_own, Version.answers[pledges.own]), else_=Version.answers[pledges.others]) == func.to_jsonb(
        True
    )
    return (
        standing_versions()
        .join(Organisation, Organisation.id == Submission.organisation_id)
        .where(Submission.call_id == call.id, Submission.kind.in_(pledges.for_), ~is_withdrawn, consented, names_it)
    )


@lru_cache(KEPT)
def exceptional_versions(actor: Actor) -> Select[Submission, Version]:
    """Each submission with the last version that an exemption let in, outside the sealed set: for staff alone."""
    last = (
        select(func.max(Version.number))
        .where(Version.submission_id == Submission.id, Version.exemption_id.is_not(None))
        .correlate(Submission)
        .scalar_subquery()
    )
    return (
        select(Submission, Version)
        .join(Version, and_(Version.submission_id == Submission.id, Version.number == last))
        .where(Version.destruction_id.is_(None), _of_staff(actor))
    )
