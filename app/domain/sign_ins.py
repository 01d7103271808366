"""Signing in by e-mail link: the link, the session it opens, whoever holds that session now, and its end."""

import secrets
import uuid
from datetime import timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.domain import accounts, audit, outbox, throttle
from app.domain.access import ANONYMOUS, Actor, Belonging
from app.domain.errors import LinkInvalid, NotFound
from app.domain.tokens import hashed
from app.infra.i18n import N_, translate
from app.models import Person, SignIn, SignInLink

LINK_LIVES = timedelta(minutes=15)
SESSION_LIVES = timedelta(hours=12)
SESSION_IDLES = timedelta(hours=2)
SEEN_EVERY = timedelta(minutes=1)
LINKS_PER_EMAIL = 5
LINKS_PER_ADDRESS = 50

LINK_SUBJECT = N_("Your sign-in link for the expression of interest portal")
LINK_TEXT = N_(
    "Hello,\n\nFollow this link in the browser in which you asked for it. It works once, for 15 minutes:\n\n%(link)s\n\n"
    "Did you not ask for it? Then ignore this message: nobody is signed in without the link.\n"
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


def use_link(db: Session, token: str, browser: str, user_agent: str, language: str) -> tuple[str, str]:
    """Sign in by a link: returns the new session's secret and the path to go to. LinkInvalid, with nothing said why."""
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
    secret = _open_session(db, person, user_agent)
    audit.record(db, Actor(kind="person", person_id=person.id), "person.signed_in")
    return secret, link.next_path


def _open_session(db: Session, person: Person, user_agent: str) -> str:
    secret = secrets.token_urlsafe(32)
    db.add(
        SignIn(
            token_hash=hashed(secret),
            person_id=person.id,
            csrf_token=secrets.token_urlsafe(24),
            user_agent=user_agent[:300],
            last_seen_at=func.clock_timestamp(),
            expires_at=func.clock_timestamp() + SESSION_LIVES,
        )
    )
    db.flush()
    return secret


def actor_of(db: Session, secret: str | None) -> Actor:
    """Whoever holds this session secret now, with live memberships; ANONYMOUS when it is none, ended or too old."""
    if not secret:
        return ANONYMOUS
    db.flush()
    rows = db.connection().exec_driver_sql(_HOLDER, {"hash": hashed(secret), "idles": SESSION_IDLES}).all()
    if not rows:
        return ANONYMOUS
    first = rows[0]
    if first.now - first.last_seen_at > SEEN_EVERY:
        db.execute(update(SignIn).where(SignIn.id == first.sign_in_id).values(last_seen_at=first.now))
    return Actor(
        kind="person",
        person_id=first.person_id,
        sign_in_id=first.sign_in_id,
        csrf_token=first.csrf_token,
        email=first.email,
        name=first.name,
        language=first.language,
        staff_role=first.staff_role,
        memberships=tuple(
            Belonging(r.organisation_id, r.organisation_name, r.role, r.country, r.state_code)
            for r in rows
            if r.organisation_id is not None
        ),
    )


# Asked at every request, so all in one and as SQL: the session, its person, and their live memberships by name.
_HOLDER = """
select i.id as sign_in_id, i.csrf_token, i.last_seen_at, clock_timestamp() as now, p.id as person_id, p.email, p.name,
  p.language, p.staff_role, m.role, o.id as organisation_id, o.name as organisation_name, o.country, o.state_code
from sign_in i join person p on p.id = i.person_id
left join membership m on m.person_id = p.id and m.ended_at is null left join organisation o on o.id = m.organisation_id
where i.token_hash = %(hash)s and i.ended_at is null and i.expires_at > clock_timestamp()
  and i.last_seen_at > clock_timestamp() - %(idles)s::interval
order by o.name, o.id"""


def live(db: Session, actor: Actor) -> list[SignIn]:
    """The live sessions of the actor, newest first."""
    return list(
        db.scalars(
            select(SignIn)
            .where(
                SignIn.person_id == actor.person_id,
                SignIn.ended_at.is_(None),
                SignIn.expires_at > func.clock_timestamp(),
                SignIn.last_seen_at > func.clock_timestamp() - SESSION_IDLES,
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
