"""Signing in by e-mail link: the link, the session it opens, whoever holds that session now, and its end."""

import secrets
import uuid
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.domain import accounts, audit, outbox, throttle
from app.domain.access import ANONYMOUS, BY_LINK, Actor, Belonging, Seat
from app.domain.errors import Forbidden, LinkInvalid, NotFound
from app.domain.tokens import hashed
from app.infra.i18n import N_, translate
from app.models import Person, SignIn, SignInLink

LINK_LIVES = timedelta(minutes=10)
SESSION_LIVES = timedelta(hours=12)
SESSION_IDLES = timedelta(hours=2)
STAFF_LIVES = timedelta(hours=8)
STAFF_IDLES = timedelta(minutes=30)
PROOF_HOLDS = timedelta(minutes=10)  # before what cannot be undone, the second factor is asked anew
MOST_SESSIONS = 10  # of one person at once
SEEN_EVERY = timedelta(minutes=1)
LINKS_PER_EMAIL = 5
LINKS_PER_ADDRESS = 50

LINK_SUBJECT = N_("Your sign-in link for the expression of interest portal")
LINK_TEXT = N_(
    "Hello,\n\nFollow this link in the browser in which you asked for it. It works once, for 10 minutes:\n\n%(link)s\n\n"
    "Did you not ask for it? Then ignore this message: nobody is signed in without the link.\n"
)


NEW_DEVICE_SUBJECT = N_("Signed in with another browser on the expression of interest portal")
NEW_DEVICE_TEXT = N_(
    "Hello,\n\nSomebody signed in with your address in a browser that we had not seen you use. Was it you? Then you need "
    "not do anything.\n\nWas it not you? Then end that session here, and tell your help desk:\n\n%(link)s\n"
)


def request_link(
    db: Session, email: str, browser: str, address: str, base_url: str, language: str, next_path: str
) -> None:
    """Mail a sign-in link to `email`, usable only by the browser that holds the secret `browser`.

    Known and unknown addresses are treated alike: an account comes into being when the link is used. Throttled per
    e-mail address and per network address.
    """
    throttle.hit(db, f"link:address:{address}", LINKS_PER_ADDRESS, timedelta(minutes=15))
    throttle.hit(db, f"link:email:{hashed(email.lower())}", LINKS_PER_EMAIL, timedelta(minutes=15))
    token = secrets.token_urlsafe(32)
    db.add(
        SignInLink(
            email=email,
            token_hash=hashed(token),
            browser_hash=hashed(browser),
            next_path=next_path,
            expires_at=func.clock_timestamp() + LINK_LIVES,
        )
    )
    body = translate(language, LINK_TEXT, link=f"{base_url}/account/link/{token}")
    outbox.enqueue(db, outbox.SIGN_IN, email, translate(language, LINK_SUBJECT), body)


def use_link(db: Session, token: str, browser: str, user_agent: str, language: str, base_url: str) -> tuple[str, str]:
    """Sign in by a link: returns the new session's secret and the path to go to. LinkInvalid, with nothing said why.

    A browser in which the person had not signed in before is told of by mail.
    """
    link = db.scalar(
        update(SignInLink)
        .where(
            SignInLink.token_hash == hashed(token),
            SignInLink.browser_hash == hashed(browser),
            SignInLink.used_at.is_(None),
            SignInLink.expires_at > func.clock_timestamp(),
        )
        .values(used_at=func.clock_timestamp())
        .returning(SignInLink)
    )
    if link is None:
        raise LinkInvalid
    person = accounts.person_named(db, link.email, language)
    if person.email_verified_at is None:
        person.email_verified_at = func.clock_timestamp()
    return open_session(db, person, browser, user_agent, base_url), link.next_path


@dataclass(frozen=True)
class Shown:
    """By what somebody has shown who they are: in words for the receipt, with the level and whom they represent."""

    provider: str | None = None
    assurance: str = BY_LINK
    level: str | None = None
    represents: uuid.UUID | None = None
    is_second_factor: bool = False


def open_session(
    db: Session, person: Person, browser: str, user_agent: str, base_url: str, shown: Shown | None = None
) -> str:
    """A new session of a person who has shown who they are; its secret. Of too many, the one unused for longest ends."""
    by = shown or Shown()
    if _is_new_device(db, person, browser):
        body = translate(person.language, NEW_DEVICE_TEXT, link=f"{base_url}/account")
        outbox.enqueue(db, "new_device", person.email, translate(person.language, NEW_DEVICE_SUBJECT), body)
    mine = (SignIn.person_id == person.id, SignIn.ended_at.is_(None))
    kept = select(SignIn.id).where(*mine).order_by(SignIn.last_seen_at.desc()).limit(MOST_SESSIONS - 1)
    db.execute(update(SignIn).where(*mine, SignIn.id.not_in(kept)).values(ended_at=func.clock_timestamp()))
    secret = secrets.token_urlsafe(32)
    db.add(
        SignIn(
            token_hash=hashed(secret),
            person_id=person.id,
            csrf_token=secrets.token_urlsafe(24),
            user_agent=user_agent[:300],
            browser_hash=hashed(browser),
            last_seen_at=func.clock_timestamp(),
            provider=by.provider,
            assurance=by.assurance,
            level=by.level,
            represents=by.represents,
            factor_at=func.clock_timestamp() if by.is_second_factor else None,
            expires_at=func.clock_timestamp() + SESSION_LIVES,
        )
    )
    audit.record(db, Actor(kind="person", person_id=person.id), "person.signed_in")
    return secret


def _is_new_device(db: Session, person: Person, browser: str) -> bool:
    """Whether the person signed in before, and never in this browser."""
    seen = db.scalars(
        select(SignIn.browser_hash).where(SignIn.person_id == person.id, SignIn.browser_hash != "").distinct()
    ).all()
    return bool(seen) and hashed(browser) not in seen


def proven(db: Session, actor: Actor) -> str:
    """The second factor was given: the session goes on under a new secret, which this returns."""
    secret = secrets.token_urlsafe(32)
    db.execute(
        update(SignIn)
        .where(SignIn.id == actor.sign_in_id)
        .values(factor_at=func.clock_timestamp(), token_hash=hashed(secret), challenge=None)
    )
    return secret


def actor_of(db: Session, secret: str | None) -> Actor:
    """Whoever holds this session secret now, with live memberships; ANONYMOUS when it is none, ended or too old.

    Staff who have not given their second factor yet have neither role nor membership: they can do nothing but give it.
    """
    if not secret:
        return ANONYMOUS
    db.flush()
    rows = db.connection().exec_driver_sql(_HOLDER, {"hash": hashed(secret), **_LIMITS}).all()
    if not rows:
        return ANONYMOUS
    first = rows[0]
    if first.now - first.last_seen_at > SEEN_EVERY:
        db.execute(update(SignIn).where(SignIn.id == first.sign_in_id).values(last_seen_at=first.now))
    owes = first.staff_role is not None and first.factor_at is None
    return Actor(
        kind="person",
        person_id=first.person_id,
        sign_in_id=first.sign_in_id,
        csrf_token=first.csrf_token,
        email=first.email,
        name=first.name,
        language=first.language,
        staff_role=None if owes else first.staff_role,
        memberships=()
        if owes
        else tuple(
            Belonging(r.organisation_id, r.organisation_name, r.role, r.country, r.state_code)
            for r in rows
            if r.organisation_id is not None
        ),
        seats=() if owes else tuple(Seat(uuid.UUID(one), *of) for one, *of in first.seats or []),
        owes_factor=owes,
        is_proven=bool(first.is_proven),
        provider=first.provider,
        assurance=first.assurance,
        level=first.level,
        represents=first.represents,
    )


# Asked at every request, so all in one and as SQL: the session, its person, and their live memberships by name;
# and in which single submissions they take part.
_HOLDER = """
select i.id as sign_in_id, i.csrf_token, i.last_seen_at, clock_timestamp() as now, p.id as person_id, p.email, p.name,
  p.language, p.staff_role, i.factor_at, i.factor_at > clock_timestamp() - %(holds)s::interval as is_proven,
  i.provider, i.assurance, i.level, i.represents, m.role, o.id as organisation_id, o.name as organisation_name, o.country, o.state_code,
  (select jsonb_agg(jsonb_build_array(t.submission_id, t.role, t.organisation) order by t.submission_id) from participation t
    where t.person_id = p.id and t.accepted_at is not null and t.ended_at is null) as seats
from sign_in i join person p on p.id = i.person_id
left join membership m on m.person_id = p.id and m.ended_at is null left join organisation o on o.id = m.organisation_id
where i.token_hash = %(hash)s and i.ended_at is null and i.expires_at > clock_timestamp()
  and i.last_seen_at > clock_timestamp() - (case when p.staff_role is null then %(idles)s else %(staff_idles)s end)::interval
  and (p.staff_role is null or i.created_at > clock_timestamp() - %(staff_lives)s::interval)
order by o.name, o.id"""
_LIMITS = {"idles": SESSION_IDLES, "staff_idles": STAFF_IDLES, "staff_lives": STAFF_LIVES, "holds": PROOF_HOLDS}


def live(db: Session, actor: Actor) -> list[SignIn]:
    """The live sessions of the actor, newest first."""
    idles, lives = (STAFF_IDLES, STAFF_LIVES) if actor.is_staff() else (SESSION_IDLES, SESSION_LIVES)
    return list(
        db.scalars(
            select(SignIn)
            .where(
                SignIn.person_id == actor.person_id,
                SignIn.ended_at.is_(None),
                SignIn.expires_at > func.clock_timestamp(),
                SignIn.last_seen_at > func.clock_timestamp() - idles,
                SignIn.created_at > func.clock_timestamp() - lives,
            )
            .order_by(SignIn.created_at.desc())
        )
    )


def sign_out(db: Session, actor: Actor, sign_in_id: uuid.UUID | None = None) -> None:
    """End one session of the actor (by default the present one). Another person's id ends nothing: NotFound."""
    ended = db.scalar(
        update(SignIn)
        .where(
            SignIn.id == (sign_in_id or actor.sign_in_id),
            SignIn.person_id == actor.person_id,
            SignIn.ended_at.is_(None),
        )
        .values(ended_at=func.clock_timestamp())
        .returning(SignIn.id)
    )
    if ended is None:
        raise NotFound
    audit.record(db, actor, "person.signed_out")


def sign_out_everywhere(db: Session, actor: Actor) -> None:
    """End every session of the actor, this one too."""
    end_all(db, accounts.require_id(actor))
    audit.record(db, actor, "person.signed_out_everywhere")


def end_of(db: Session, actor: Actor, email: str) -> None:
    """End every session of somebody else, as an administrator; links that were mailed before are void. NotFound if nobody."""
    if not actor.is_staff("admin"):
        raise Forbidden
    person = accounts.find_person(db, email)
    if person is None:
        raise NotFound
    end_all(db, person.id)
    unused = update(SignInLink).where(SignInLink.email == person.email, SignInLink.used_at.is_(None))
    db.execute(unused.values(used_at=func.clock_timestamp()))
    audit.record(db, actor, "person.sessions_ended", person=str(person.id))


def end_all(db: Session, person_id: uuid.UUID) -> None:
    """End every session of a person."""
    db.execute(
        update(SignIn)
        .where(SignIn.person_id == person_id, SignIn.ended_at.is_(None))
        .values(ended_at=func.clock_timestamp())
    )
