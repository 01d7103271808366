"""Taking part in one submission: people invited with a role, by a link that works once. Ended parts stay as history.

An editor fills, an owner also submits and decides who takes part, a viewer reads. A partner fills one organisation
of the list that the call names under `parts`, and sees nothing else.
"""

import json
import secrets
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from difflib import SequenceMatcher
from typing import Any

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session, joinedload

from app.domain import accounts, audit, calls, glossary, outbox, references, throttle
from app.domain.access import EDITORS, PARTNER, Actor, partner_submissions
from app.domain.admissions import InvitationUnusable
from app.domain.errors import Forbidden, NotFound
from app.domain.questionnaire import Questionnaire
from app.domain.tokens import hashed
from app.infra.i18n import N_, translate
from app.models import Participation, Person, Submission

ROLES = ("owner", "editor", "viewer", PARTNER)
NAME_LENGTH, MANDATE_LENGTH = 300, 2000

SUBJECT = N_("You are invited to take part in %(reference)s")
TEXT = N_(
    "Hello,\n\n%(inviter)s invites you as %(role)s to the submission %(reference)s of %(organisation)s in the call "
    "“%(call)s”. Follow this link and sign in with this e-mail address; it works once, until the cutoff:\n\n%(link)s\n"
)


@dataclass(frozen=True)
class Wish:
    """Who is invited as what; for a partner, at which place in the list of organisations its own one stands."""

    email: str
    role: str
    organisation: str = ""
    mandate: str = ""
    place: int | None = None


def list_of(questions: Questionnaire, kind: str) -> str | None:
    """The question that lists the organisations taking part; None where a kind of respondent has no partners."""
    entities = questions.parts.entities
    return entities.list if entities and questions.has(entities.list) and questions.asks(kind, entities.list) else None


def of_case(db: Session, case: Submission) -> list[Participation]:
    """Everybody who was ever invited to a case, the first one first."""
    return list(
        db.scalars(
            select(Participation)
            .where(Participation.submission_id == case.id)
            .options(
                joinedload(Participation.person), joinedload(Participation.inviter), joinedload(Participation.ender)
            )
            .order_by(Participation.invited_at, Participation.id)
        )
    )


def partners(db: Session, case: Submission) -> list[Participation]:
    """The live partners of a case, those who have not accepted yet too."""
    return [one for one in of_case(db, case) if one.role == PARTNER and one.ended_at is None]


def acting(db: Session, case: Submission) -> list[Participation]:
    """Who filled in or submitted a case for another organisation, such as an intermediary; ended parts too."""
    found = (one for one in of_case(db, case) if one.accepted_at and one.role in EDITORS)
    return [one for one in found if one.organisation or one.mandate]


def people(*roles: str) -> Select[uuid.UUID]:
    """Who takes part now, in these roles: narrowed down by the case or the call by whoever asks."""
    live = (Participation.accepted_at.is_not(None), Participation.ended_at.is_(None))
    return select(Participation.person_id).where(*live, Participation.role.in_(roles))


def invite(db: Session, actor: Actor, case: Submission, wish: Wish, base_url: str) -> Participation:
    """Invite a person by mail. A live part of theirs in the case is ended: the new role takes its place."""
    if not actor.may_lead(case):
        raise Forbidden
    throttle.hit(db, f"invite:{actor.person_id}", 30, timedelta(hours=1))
    person = accounts.person_named(db, wish.email, actor.language)
    before = next((one for one in of_case(db, case) if one.person_id == person.id and one.ended_at is None), None)
    if before is not None:
        _end(db, actor, case, before)
    token = secrets.token_urlsafe(32)
    made = Participation(
        submission_id=case.id,
        person_id=person.id,
        role=wish.role,
        organisation=wish.organisation.strip()[:NAME_LENGTH],
        mandate=wish.mandate.strip()[:MANDATE_LENGTH],
        place=wish.place if wish.role == PARTNER else None,
        token_hash=hashed(token),
        invited_by=accounts.require_id(actor),
    )
    db.add(made)
    db.flush()
    _write_to(db, actor, case, person, wish.role, f"{base_url}/invitations/{token}")
    audit.record(db, actor, "participation.invited", case, person=str(person.id), role=wish.role)
    return made


def _write_to(db: Session, actor: Actor, case: Submission, person: Person, role: str, link: str) -> None:
    language, title = person.language, calls.questions(case.call).title
    values = {
        "inviter": actor.name or actor.email,
        "role": glossary.words("role", role, language),
        "reference": case.reference,
        "organisation": case.organisation.name,
        "call": title.get(language) or title["en"],
        "link": link,
    }
    subject = translate(language, SUBJECT, reference=case.reference)
    outbox.enqueue(db, "participation", person.email, subject, translate(language, TEXT, **values), case.id)


def invitation(db: Session, actor: Actor, token: str) -> Participation:
    """What a link invites the actor to; what they accepted before too. InvitationUnusable, with nothing said why."""
    found = db.scalar(
        select(Participation)
        .where(
            Participation.token_hash == hashed(token),
            Participation.person_id == actor.person_id,
            Participation.ended_at.is_(None),
        )
        .options(joinedload(Participation.inviter), joinedload(Participation.submission))
    )
    if found is None:
        raise InvitationUnusable
    return found


def accept(db: Session, actor: Actor, token: str) -> Participation:
    """Take the part that a link invites to. The database refuses a second time, and outside the window."""
    found = invitation(db, actor, token)
    _change(db, found, accepted_at=func.clock_timestamp())
    audit.record(db, actor, "participation.accepted", found.submission, role=found.role)
    return found


def one(db: Session, actor: Actor, case: Submission, participation_id: uuid.UUID) -> Participation:
    """A live part in a case, to an owner of it or to whoever has it."""
    found = next((p for p in of_case(db, case) if p.id == participation_id and p.ended_at is None), None)
    if found is None:
        raise NotFound
    if not actor.may_lead(case) and found.person_id != actor.person_id:
        raise Forbidden
    return found


def end(db: Session, actor: Actor, case: Submission, participation_id: uuid.UUID) -> None:
    """Take a part away, at any time; it stays in the history, and what was filled in stays."""
    _end(db, actor, case, one(db, actor, case, participation_id))


def _end(db: Session, actor: Actor, case: Submission, found: Participation) -> None:
    _change(db, found, ended_at=func.clock_timestamp(), ended_by=actor.person_id)
    audit.record(db, actor, "participation.ended", case, person=str(found.person_id), role=found.role)


def _change(db: Session, found: Participation, **values: Any) -> None:
    statement = update(Participation).where(Participation.id == found.id).values(**values)
    db.execute(statement.execution_options(synchronize_session=False))
    db.expire(found)


def mine(db: Session, actor: Actor) -> list[Submission]:
    """The cases in which the actor is a partner, newest first."""
    return list(db.scalars(partner_submissions(actor).order_by(Submission.created_at.desc())))


def load(db: Session, actor: Actor, reference: str) -> Participation:
    """The actor's own part as a partner in a case; NotFound where they have none."""
    wanted = references.normalised(reference)
    case = db.scalar(partner_submissions(actor).where(Submission.reference == wanted)) if wanted else None
    if case is None:
        raise NotFound
    mine = (Participation.submission_id == case.id, Participation.person_id == actor.person_id)
    wanted_part = select(Participation).where(*mine, Participation.ended_at.is_(None), Participation.role == PARTNER)
    return db.scalars(wanted_part.options(joinedload(Participation.submission))).one()


def follow(db: Session, case: Submission, step: str, before: dict[str, Any], after: dict[str, Any]) -> None:
    """Keep each partner with its organisation when a page with their list was saved; whose is gone has none any more."""
    questions = calls.questions(case.call)
    listed, entities = list_of(questions, case.kind), questions.parts.entities
    if listed is None or entities is None or questions.step_of(listed).name != step:
        return
    had, has = before.get(listed) or [], after.get(listed) or []
    if had == has:
        return
    moved = dict(_moved(had, has, entities.name))
    for partner in partners(db, case):
        if partner.place is not None and moved.get(partner.place) != partner.place:
            _change(db, partner, place=moved.get(partner.place))


def _moved(had: list[dict[str, Any]], has: list[dict[str, Any]], name: str) -> Iterator[tuple[int, int]]:
    """Where each item of a list stands now: the untouched ones, and changed ones of the same name or with that alone changed.

    In doubt a partner has no organisation any more, and is invited again: else it could come to read another's.
    """
    old_texts, texts = ([json.dumps(item, sort_keys=True) for item in items] for items in (had, has))
    for what, first, last, to, end in SequenceMatcher(None, old_texts, texts, autojunk=False).get_opcodes():
        if what == "equal":
            yield from zip(range(first, last), range(to, end), strict=True)
        if what != "replace":
            continue
        named = {has[place][name]: place for place in range(to, end) if has[place].get(name)}
        for old in range(first, last):
            opposite = to + old - first if last - first == end - to else None
            if had[old].get(name) in named:
                yield old, named[had[old][name]]
            elif opposite is not None and (
                not had[old].get(name) or _rest(had[old], name) == _rest(has[opposite], name)
            ):
                yield old, opposite


def _rest(item: dict[str, Any], name: str) -> dict[str, Any]:
    return {question: answer for question, answer in item.items() if question != name}
