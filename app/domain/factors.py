"""Second factors of staff: authenticator apps and recovery codes; each code is taken once, and tries are counted.

The secret of an app is derived from the root key, so that no row holds one: a copy of the database opens nothing.
"""

import base64
import hashlib
import hmac
import re
import secrets
import uuid
from datetime import timedelta

import pyotp
from sqlalchemy import ColumnElement, Update, func, or_, select, text, update
from sqlalchemy.orm import Session

from app.domain import accounts, audit, calls, outbox, sign_ins, throttle
from app.domain.access import Actor
from app.domain.barriers import FactorNeeded, LastFactor
from app.domain.errors import Forbidden, NeedsSecondPerson, NotFound, ReasonMissing
from app.domain.tokens import hashed
from app.infra.i18n import N_, translate
from app.models import Factor, Person, RecoveryCode

ISSUER = "EoI portal"
STEP = 30  # seconds that a code of an app lives; the one before and the one after are taken too
TRIES = ((10, timedelta(minutes=15)), (60, timedelta(days=1)))
CODES = 10
APP_CODE = re.compile(r"[0-9]{6}", re.ASCII)
NAME_LENGTH = 60

CHANGED_SUBJECT = N_("Your second factor on the expression of interest portal was changed")
CHANGED_TEXT = N_(
    "Hello,\n\nA second factor of yours was added, ended or replaced, or a recovery code was used. Was it not you? Tell "
    "an administrator at once. What you have is listed here:\n\n%(link)s\n"
)


def listed(db: Session, person_id: uuid.UUID) -> list[Factor]:
    """The factors that a person may sign in with, the oldest first."""
    live = (Factor.person_id == person_id, Factor.confirmed_at.is_not(None), Factor.ended_at.is_(None))
    return list(db.scalars(select(Factor).where(*live).order_by(Factor.created_at, Factor.id)))


def codes_left(db: Session, person_id: uuid.UUID) -> int:
    """How many recovery codes a person has left."""
    return db.scalar(select(func.count()).select_from(RecoveryCode).where(*_unused(person_id))) or 0


def _unused(person_id: uuid.UUID) -> tuple[ColumnElement[bool], ...]:
    return (RecoveryCode.person_id == person_id, RecoveryCode.used_at.is_(None), RecoveryCode.ended_at.is_(None))


def require_change(db: Session, actor: Actor) -> uuid.UUID:
    """Whose factors may change now: staff, who have none yet or gave one just now. Their id; FactorNeeded else."""
    person_id = accounts.require_id(actor)
    if not (actor.owes_factor or actor.is_staff()):
        raise Forbidden
    if not actor.is_proven and listed(db, person_id):
        raise FactorNeeded(sign_in="/account/factors/ask?next=/account")
    return person_id


def begin_app(db: Session, actor: Actor) -> Factor:
    """An app that counts once a code of it was given; the one that was begun before, if there is one."""
    person_id = require_change(db, actor)
    begun = (Factor.person_id == person_id, Factor.confirmed_at.is_(None), Factor.ended_at.is_(None))
    found = db.scalar(select(Factor).where(*begun).order_by(Factor.created_at.desc()).limit(1))
    if found is None:
        found = Factor(person_id=person_id, sort="app", name="")
        db.add(found)
        db.flush()
    return found


def shared_secret(factor: Factor, root_key: bytes) -> str:
    """What the app and the portal share, as an app takes it in."""
    made = hmac.new(root_key, f"factor:{factor.id}".encode(), hashlib.sha256).digest()
    return base64.b32encode(made[:20]).decode()


def address(factor: Factor, email: str, root_key: bytes) -> str:
    """The otpauth: address that an app reads from a picture."""
    return pyotp.TOTP(shared_secret(factor, root_key)).provisioning_uri(name=email, issuer_name=ISSUER)


def confirm_app(db: Session, actor: Actor, name: str, code: str, root_key: bytes, base_url: str) -> str | None:
    """Take the app that was begun into use, by a code of it; the session's new secret, or None where the code is wrong."""
    factor = begin_app(db, actor)
    _count(db, factor.person_id)
    if not _take_step(db, factor, code, root_key):
        return None
    factor.name, factor.confirmed_at = name[:NAME_LENGTH], func.clock_timestamp()
    added(db, actor, "app", base_url)
    return sign_ins.proven(db, actor)


def enter(db: Session, actor: Actor, code: str, root_key: bytes, base_url: str) -> str | None:
    """Give a code of an app, or a recovery code: the session's new secret, or None where it is wrong. Throttled."""
    person_id = accounts.require_id(actor)
    _count(db, person_id)
    compact = re.sub(r"[\s-]", "", code).upper()
    if APP_CODE.fullmatch(compact):
        sort = "app" if any(_take_step(db, f, compact, root_key) for f in listed(db, person_id)) else None
    else:
        sort = "recovery" if _take_recovery_code(db, person_id, compact) else None
    if sort is None:
        audit.record(db, actor, "factor.refused")
        return None
    audit.record(db, actor, "factor.given", sort=sort)
    if sort == "recovery":
        _write_to(db, actor, base_url)
    return sign_ins.proven(db, actor)


def _count(db: Session, person_id: uuid.UUID) -> None:
    for most, per in TRIES:
        throttle.hit(db, f"factor:{int(per.total_seconds())}:{person_id}", most, per)


def _take_step(db: Session, factor: Factor, code: str, root_key: bytes) -> bool:
    """Whether `code` is of a half minute about now that was not taken before; it is taken now."""
    if factor.sort != "app" or not APP_CODE.fullmatch(code):
        return False
    app, now = pyotp.TOTP(shared_secret(factor, root_key)), _step(db)
    step = next((n for n in (now - 1, now, now + 1) if hmac.compare_digest(app.generate_otp(n), code)), None)
    if step is None:
        return False
    taken = update(Factor).where(
        Factor.id == factor.id, Factor.ended_at.is_(None), or_(Factor.last_step.is_(None), Factor.last_step < step)
    )
    return _changed(db, taken.values(last_step=step, last_used_at=func.clock_timestamp()))


def _step(db: Session) -> int:
    return int(calls.clock(db).timestamp()) // STEP


def _changed(db: Session, statement: Update) -> bool:
    """Whether the one row that is meant was as wanted, also when others changed it meanwhile."""
    found = statement.returning(text("id")).execution_options(synchronize_session=False)
    return db.execute(found).first() is not None


def _take_recovery_code(db: Session, person_id: uuid.UUID, compact: str) -> bool:
    taken = update(RecoveryCode).where(RecoveryCode.code_hash == hashed(compact), *_unused(person_id))
    return _changed(db, taken.values(used_at=func.clock_timestamp()))


def renew_codes(db: Session, actor: Actor) -> list[str]:
    """Fresh recovery codes, shown this once; those before are worth nothing any more."""
    return _new_codes(db, actor, require_change(db, actor))


def first_codes(db: Session, actor: Actor) -> list[str]:
    """The recovery codes that come with somebody's first factor; none where there are some already."""
    person_id = accounts.require_id(actor)
    return [] if codes_left(db, person_id) else _new_codes(db, actor, person_id)


def _new_codes(db: Session, actor: Actor, person_id: uuid.UUID) -> list[str]:
    db.execute(update(RecoveryCode).where(*_unused(person_id)).values(ended_at=func.clock_timestamp()))
    made = [base64.b32encode(secrets.token_bytes(15)).decode() for _ in range(CODES)]
    db.add_all(RecoveryCode(person_id=person_id, code_hash=hashed(code)) for code in made)
    audit.record(db, actor, "factor.codes_renewed")
    return ["-".join(code[at : at + 4] for at in range(0, 24, 4)) for code in made]


def end(db: Session, actor: Actor, factor_id: uuid.UUID, base_url: str) -> None:
    """End one of one's own factors; LastFactor for the only one."""
    live = {factor.id: factor for factor in listed(db, require_change(db, actor))}
    if factor_id not in live:
        raise NotFound
    if len(live) == 1:
        raise LastFactor
    live[factor_id].ended_at = func.clock_timestamp()
    audit.record(db, actor, "factor.ended", sort=live[factor_id].sort)
    _write_to(db, actor, base_url)


def added(db: Session, actor: Actor, sort: str, base_url: str) -> None:
    """Write down that a factor was added, and tell its owner."""
    audit.record(db, actor, "factor.added", sort=sort)
    _write_to(db, actor, base_url)


def _write_to(db: Session, actor: Actor, base_url: str) -> None:
    words = translate(actor.language, CHANGED_TEXT, link=f"{base_url}/account")
    outbox.enqueue(db, "factor", actor.email, translate(actor.language, CHANGED_SUBJECT), words)


def reset(db: Session, first: Actor, second: Actor, person: Person, reason: str, base_url: str) -> None:
    """End all factors, codes and sessions of a person who lost them, on the word of two others of staff.

    At the next sign-in they take a new factor into use. NeedsSecondPerson where one of the two is the other, or the person.
    """
    if not (first.is_staff("admin") and second.is_staff("coordinator")):
        raise Forbidden
    if len({first.person_id, second.person_id, person.id}) < 3:
        raise NeedsSecondPerson
    if not reason.strip():
        raise ReasonMissing
    ended = {"ended_at": func.clock_timestamp()}
    db.execute(update(Factor).where(Factor.person_id == person.id, Factor.ended_at.is_(None)).values(**ended))
    db.execute(update(RecoveryCode).where(*_unused(person.id)).values(**ended))
    sign_ins.end_all(db, person.id)
    audit.record(db, first, "factor.reset", person=str(person.id), reason=reason.strip()[:2000])
    audit.record(db, second, "factor.reset_agreed", person=str(person.id))
    _write_to(db, accounts.actor_for(db, person), base_url)


def end_apps(db: Session) -> int:
    """End every app there is; how many. Their owners take a new one into use at their next sign-in."""
    live = update(Factor).where(Factor.sort == "app", Factor.ended_at.is_(None))
    return len(db.scalars(live.values(ended_at=func.clock_timestamp()).returning(Factor.id)).all())


def issue_app(db: Session, person_id: uuid.UUID, name: str) -> Factor:
    """An app in use from now on, without its owner at hand: for staff of the demonstration."""
    made = Factor(person_id=person_id, sort="app", name=name, confirmed_at=func.clock_timestamp())
    db.add(made)
    db.flush()
    return made


def shown_code(db: Session, factor: Factor, root_key: bytes) -> str | None:
    """A code that the app of a demonstration would show, which was not taken yet; None until the next half minute.

    It is good for half a minute at least: the code before it would end with the step that runs now.
    """
    now = _step(db)
    step = next((n for n in (now, now + 1) if n > (factor.last_step or 0)), None)
    return None if step is None else pyotp.TOTP(shared_secret(factor, root_key)).generate_otp(step)
