"""Who people are: a link works once, for 10 minutes, in one browser; sessions end; an organisation keeps an owner."""

import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import accounts, sign_ins
from app.domain.access import ANONYMOUS, Actor
from app.domain.errors import Forbidden, LinkInvalid, NotFound, Throttled
from app.infra.postgres import Cluster
from app.models import Event, Membership, OutboxMessage, Person, SignIn, SignInLink
from tests import make
from tests.conftest import deliver
from tests.test_review_guards import until_waiting

BASE = "https://eoi.example"
EMAIL = "lead@firm.example"


def link(db: Session, email: str = EMAIL, browser: str = "mine", network: str = "here") -> str:
    """Ask for a link and take its token out of the mail."""
    sign_ins.request_link(db, email, browser, network, BASE, "en", "/apply")
    db.flush()
    newest = select(OutboxMessage.text).where(OutboxMessage.recipient == email)
    (body,) = [b for b in db.scalars(newest) if BASE in b][-1:]
    return body.rpartition("/account/link/")[2].split()[0]


def use(db: Session, token: str, browser: str = "mine") -> str:
    secret, _ = sign_ins.use_link(db, token, browser, "agent", "en", BASE)
    db.flush()
    return secret


def signed_in(db: Session, email: str = EMAIL) -> tuple[Actor, str]:
    secret = use(db, link(db, email))
    actor = sign_ins.actor_of(db, secret)
    secret = sign_ins.proven(db, actor) if actor.owes_factor else secret
    return sign_ins.actor_of(db, secret), secret


def age(db: Session, table: str, column: str, by: timedelta) -> None:
    """Let time have passed for every row."""
    with make.owner(db):
        db.execute(text(f"update {table} set {column} = {column} - :by"), {"by": by})
    db.expire_all()


def test_a_link_works_once(db: Session) -> None:
    token = link(db)
    actor = sign_ins.actor_of(db, use(db, token))
    assert (actor.kind, actor.email) == ("person", EMAIL)
    with pytest.raises(LinkInvalid):
        use(db, token)


def test_a_link_works_for_ten_minutes(db: Session) -> None:
    early, late = link(db), link(db)
    left = db.scalars(text("select extract(epoch from expires_at - clock_timestamp()) / 60 from sign_in_link"))
    assert {round(minutes) for minutes in left} == {10}
    age(db, "sign_in_link", "expires_at", timedelta(minutes=9, seconds=30))
    assert use(db, early)
    age(db, "sign_in_link", "expires_at", timedelta(seconds=31))
    with pytest.raises(LinkInvalid):
        use(db, late)


@pytest.mark.parametrize("browser", ["", "other", "Mine", "mine "])
def test_a_link_works_in_the_browser_that_asked_for_it_alone(db: Session, browser: str) -> None:
    token = link(db)
    with pytest.raises(LinkInvalid):
        use(db, token, browser)
    assert use(db, token)  # trying elsewhere used nothing up


@pytest.mark.parametrize("token", ["", "nonsense", "é", "\ud7ff", "a" * 5000])
def test_what_is_no_link_is_refused_without_a_word_why(db: Session, token: str) -> None:
    link(db)
    with pytest.raises(LinkInvalid):
        use(db, token)


def test_neither_link_nor_session_is_kept_in_a_form_that_lets_somebody_in(db: Session) -> None:
    token = link(db)
    secret = use(db, token)
    kept = str([*db.execute(select(SignInLink.__table__)), *db.execute(select(SignIn.__table__))])
    assert (token in kept, secret in kept) == (False, False)


def test_an_unknown_address_gets_the_same_answer_as_a_known_one(
    client: TestClient, db: Session, portal: Portal
) -> None:
    make.person(db, "known@firm.example")
    pages = {}
    for email in ("known@firm.example", "never@firm.example"):
        client.cookies.clear()
        answer = client.post("/account/sign-in", data={"email": email})
        pages[email] = (
            answer.status_code,
            re.sub(r"\d+", "0", answer.text.replace(email, "EMAIL")),
            sorted(answer.cookies),
        )
    assert pages["known@firm.example"] == pages["never@firm.example"]
    assert len(deliver(portal)) == 2
    assert accounts.find_person(db, "never@firm.example") is None


def test_a_scanner_that_follows_the_link_does_not_use_it_up(client: TestClient, db: Session, portal: Portal) -> None:
    client.post("/account/sign-in", data={"email": EMAIL})
    (mail,) = deliver(portal)
    path = "/account/link/" + mail.rpartition("/account/link/")[2].split()[0]
    for _ in range(2):
        assert client.get(path).status_code == 200
    assert client.post(path).status_code == 303
    client.cookies.delete("eoi")
    assert client.post(path).status_code == 422


def test_links_are_counted_by_address_and_by_network(db: Session) -> None:
    for _ in range(sign_ins.LINKS_PER_EMAIL):
        link(db, "a@b.example")
    with pytest.raises(Throttled):
        link(db, "A@B.example")
    for number in range(sign_ins.LINKS_PER_ADDRESS - sign_ins.LINKS_PER_EMAIL - 1):
        link(db, f"n{number}@b.example")
    with pytest.raises(Throttled):
        link(db, "last@b.example")
    assert link(db, "last@b.example", network="elsewhere")


def test_a_person_is_found_in_any_letter_case_and_verified_by_signing_in(db: Session) -> None:
    assert not accounts.known(db, EMAIL)[EMAIL].is_verified
    first, _ = signed_in(db)
    again, _ = signed_in(db, "LEAD@firm.example")
    assert first.person_id == again.person_id
    assert accounts.known(db, "Lead@Firm.example")["Lead@Firm.example"].is_verified


def test_an_ended_session_is_nobody(db: Session) -> None:
    actor, secret = signed_in(db)
    other, other_secret = signed_in(db)
    sign_ins.sign_out(db, actor)
    assert sign_ins.actor_of(db, secret) == ANONYMOUS
    assert sign_ins.actor_of(db, other_secret) == other
    assert [s.id for s in sign_ins.live(db, other)] == [other.sign_in_id]
    with pytest.raises(NotFound):
        sign_ins.sign_out(db, actor)


def test_nobody_ends_another_persons_session(db: Session) -> None:
    mine, _ = signed_in(db)
    theirs, secret = signed_in(db, "other@firm.example")
    with pytest.raises(NotFound):
        sign_ins.sign_out(db, mine, theirs.sign_in_id)
    assert sign_ins.actor_of(db, secret) == theirs


@pytest.mark.parametrize(
    ("column", "limit"), [("last_seen_at", sign_ins.SESSION_IDLES), ("expires_at", sign_ins.SESSION_LIVES)]
)
def test_a_session_ends_when_idle_and_when_old(db: Session, column: str, limit: timedelta) -> None:
    actor, secret = signed_in(db)
    age(db, "sign_in", column, limit - timedelta(seconds=30))
    assert sign_ins.actor_of(db, secret) == actor
    db.execute(update(SignIn).values(last_seen_at=func.clock_timestamp()))
    age(db, "sign_in", column, limit if column == "last_seen_at" else timedelta(seconds=31))
    assert sign_ins.actor_of(db, secret) == ANONYMOUS
    assert sign_ins.live(db, actor) == []


@pytest.mark.parametrize("secret", [None, "", "nonsense", "é\u20ac"])
def test_a_secret_that_is_none_is_nobody(db: Session, secret: str | None) -> None:
    signed_in(db)
    assert sign_ins.actor_of(db, secret) == ANONYMOUS


def house(db: Session) -> tuple[uuid.UUID, Actor]:
    body, actor = make.organisation(db, make.person(db))
    return body.id, actor


def member(db: Session, organisation: uuid.UUID, owner: Actor, email: str, role: str) -> Actor:
    accounts.invite_colleague(db, owner, organisation, email, role, BASE)
    db.flush()
    return make.person(db, email)


@pytest.mark.parametrize("role", ["editor", "viewer"])
def test_only_owners_change_an_organisation_and_who_belongs_to_it(db: Session, role: str) -> None:
    organisation, owner = house(db)
    other = member(db, organisation, owner, "col@firm.example", role)
    mine = db.scalars(select(Membership.id).where(Membership.person_id == owner.person_id)).one()
    for forbidden in (
        lambda: accounts.describe_organisation(db, other, "Taken", "NL", None, organisation),
        lambda: accounts.invite_colleague(db, other, organisation, "x@firm.example", "owner", BASE),
        lambda: accounts.end_membership(db, other, organisation, mine),
    ):
        with pytest.raises(Forbidden):
            forbidden()
    assert [m.role for m in accounts.colleagues(db, other, organisation)] == ["owner", role]


def test_a_stranger_finds_no_organisation(db: Session) -> None:
    organisation, _ = house(db)
    stranger = make.person(db, "stranger@else.example")
    for hidden in (
        lambda: accounts.owned(db, stranger, organisation),
        lambda: accounts.colleagues(db, stranger, organisation),
        lambda: accounts.owned(db, stranger, uuid.uuid4()),
    ):
        with pytest.raises(NotFound):
            hidden()


def test_the_last_owner_stays_whatever_is_pressed(db: Session) -> None:
    organisation, owner = house(db)
    editor = member(db, organisation, owner, "col@firm.example", "editor")
    places: dict[uuid.UUID | None, uuid.UUID] = {
        m.person_id: m.id for m in accounts.colleagues(db, owner, organisation)
    }
    with pytest.raises(Forbidden) as refused:
        accounts.end_membership(db, owner, organisation, places[owner.person_id])
    assert "at least one owner" in refused.value.message.text("en")
    with pytest.raises(Forbidden):
        accounts.invite_colleague(db, owner, organisation, EMAIL, "viewer", BASE)
    second = member(db, organisation, owner, "col@firm.example", "owner")
    accounts.end_membership(db, owner, organisation, places[owner.person_id])
    db.flush()
    assert [(m.person_id, m.role) for m in accounts.colleagues(db, second, organisation)] == [
        (editor.person_id, "owner")
    ]


def test_a_role_given_anew_replaces_the_former_and_leaves_its_trace(db: Session) -> None:
    organisation, owner = house(db)
    for role in ("viewer", "editor"):
        colleague = member(db, organisation, owner, "col@firm.example", role)
        assert [m.role for m in colleague.memberships] == [role]
    ended = db.scalars(select(Membership).where(Membership.ended_at.is_not(None))).all()
    assert [m.role for m in ended] == ["viewer"]
    assert db.scalars(
        select(Event.detail["role"].astext).where(Event.name == "organisation.colleague_invited")
    ).all() == ["viewer", "editor"]


def test_a_state_has_one_account_and_its_country_stays(db: Session) -> None:
    first, owner = make.organisation(db, make.person(db, "ez@nl.example"), "Ministry", "NL", state=True)
    second, _ = make.organisation(db, make.person(db, "bz@nl.example"), "Another name", "NL", state=True)
    assert (first.id, first.name) == (second.id, "Ministry")
    accounts.describe_organisation(db, owner, "Ministry of EZ", "DE", None, first.id)
    assert (first.name, first.country, first.state_code) == ("Ministry of EZ", "NL", "NL")


def test_taking_a_staff_role_away_ends_the_sessions_and_nobody_takes_their_own(db: Session) -> None:
    admin = make.person(db, "admin@rvo.example", staff="admin")
    accounts.invite_staff(db, "jo@rvo.example", "reviewer")
    reviewer, secret = signed_in(db, "jo@rvo.example")
    assert reviewer.is_staff()
    assert not reviewer.is_staff("coordinator")
    with pytest.raises(Forbidden):
        accounts.end_staff_role(db, admin, db.get_one(Person, admin.person_id).id)
    accounts.end_staff_role(db, admin, db.get_one(Person, reviewer.person_id).id)
    assert sign_ins.actor_of(db, secret) == ANONYMOUS
    again, _ = signed_in(db, "jo@rvo.example")
    assert not again.is_staff()
    with pytest.raises(NotFound):
        accounts.end_staff_role(db, admin, db.get_one(Person, reviewer.person_id).id)


@pytest.mark.parametrize(
    ("address", "is_one"),
    [
        ("a@b.eu", True), ("a.b+c@sub.firm.example", True), ("a" * 64 + "@b.eu", True), ("a" * 65 + "@b.eu", False),
        ("a@b", False), ("@b.eu", False), ("a@b.eu, c@d.eu", False), ("a@b.eu\nBcc: c@d.eu", False), ("a b@c.eu", False),
        ("é@b.eu", False), ("<a@b.eu>", False), ("a@" + "b" * 250 + ".eu", False), ("a@b@c.eu", False), ("", False),
    ],
)  # fmt: skip
def test_an_address_is_one_that_mail_reaches(address: str, is_one: bool) -> None:
    assert accounts.is_email(address) is is_one


@pytest.mark.committed
def test_two_owners_who_invite_somebody_new_at_once_are_both_heard(committed_portal: Portal, cluster: Cluster) -> None:
    with committed_portal.sessions.begin() as db:
        body, first = make.organisation(db, make.person(db, "ada@firm.example"))
        make.invite(db, first, body.id, "bob@firm.example", "owner")
        second = make.person(db, "bob@firm.example")

    def invite(role: str) -> None:
        with committed_portal.sessions.begin() as db:
            make.invite(db, second, body.id, "New@else.example", role)

    with ThreadPoolExecutor(1) as pool, committed_portal.sessions.begin() as inviting:
        make.invite(inviting, first, body.id, "new@else.example", "viewer")
        inviting.flush()
        waiting = pool.submit(invite, "editor")
        until_waiting(committed_portal, cluster, 1)
        inviting.commit()
        waiting.result()
    with committed_portal.sessions.begin() as db:
        new = make.person(db, "new@else.example")
        assert [m.role for m in new.memberships] == ["editor"]
        roles = select(Membership.role).where(Membership.person_id == new.person_id).order_by(Membership.created_at)
        assert db.scalars(roles).all() == ["viewer", "editor"]
