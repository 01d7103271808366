"""The root key: another SECRET_KEY changes nothing for anybody, a wrong one opens nothing, and a new root key ends what hung on it."""

import pyotp
import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.domain import factors, rootkeys, webhooks
from app.infra.wrapping import WrongKey
from app.models import Event, Factor, RootKey, Webhook
from tests import make

OLD, NEW = "o" * 40, "n" * 40


def named(db: Session) -> list[str]:
    return list(db.scalars(select(Event.name).where(Event.name.startswith("root_key.")).order_by(Event.id)))


def test_it_is_made_once_at_random_and_lies_wrapped(db: Session) -> None:
    key = rootkeys.opened(db, OLD)
    assert len(key) == rootkeys.LENGTH
    assert rootkeys.opened(db, OLD) == key
    kept = db.get_one(RootKey, 1).wrapped
    assert key not in kept
    with pytest.raises(WrongKey):
        rootkeys.opened(db, NEW)


def test_another_secret_key_keeps_every_app_and_webhook(db: Session) -> None:
    key = rootkeys.opened(db, OLD)
    person = make.person(db, "jo@rvo.example", staff="reviewer")
    app = factors.issue_app(db, person.person_id, "phone")  # type: ignore[arg-type]
    hook, secret = make.webhook(db, make.call(db), "https://hook.example/", root_key=key)
    shown = factors.shared_secret(app, key)
    with make.owner(db):
        rootkeys.move(db, OLD, NEW)
    db.expire_all()
    after = rootkeys.opened(db, NEW)
    assert factors.shared_secret(app, after) == shown
    assert webhooks.secrets_of(hook, after, hook.rotated_at) == [secret]  # type: ignore[arg-type]
    with pytest.raises(WrongKey):
        rootkeys.opened(db, OLD)
    assert named(db) == ["root_key.moved"]


def test_a_wrong_key_of_before_moves_nothing(db: Session) -> None:
    key = rootkeys.opened(db, OLD)
    with make.owner(db), pytest.raises(WrongKey):
        rootkeys.move(db, "wrong" * 8, NEW)
    assert rootkeys.opened(db, OLD) == key
    assert named(db) == []


def test_what_was_derived_before_there_was_a_root_key_stays(db: Session) -> None:
    person = make.person(db, "jo@rvo.example", staff="reviewer")
    factors.issue_app(db, person.person_id, "phone")  # type: ignore[arg-type]
    assert rootkeys.opened(db, OLD) == OLD.encode()


def test_a_new_root_key_ends_apps_and_rests_webhooks_until_their_secret_is_shown(db: Session) -> None:
    key = rootkeys.opened(db, OLD)
    person = make.person(db, "jo@rvo.example", staff="reviewer")
    app = factors.issue_app(db, person.person_id, "phone")  # type: ignore[arg-type]
    hook, secret = make.webhook(db, make.call(db), "https://hook.example/", root_key=key)
    code = pyotp.TOTP(factors.shared_secret(app, key)).now()
    with make.owner(db):
        rootkeys.replace(db, NEW)
        assert rootkeys.end_derived(db) == (1, 1)
    db.expire_all()
    after = rootkeys.opened(db, NEW)
    assert after != key
    assert db.get_one(Factor, app.id).ended_at is not None
    assert factors.enter(db, person, code, after, "https://eoi.example") is None
    assert db.get_one(Webhook, hook.id).generation == 0
    admin = make.person(db, "admin@rvo.example", staff="admin")
    assert webhooks.new_secret(db, admin, hook.id, after) != secret
    assert named(db) == ["root_key.replaced"]


def test_the_serving_role_cannot_wrap_it_anew_or_take_it_away(db: Session) -> None:
    rootkeys.opened(db, OLD)
    for deed in (update(RootKey).values(wrapped=b"x"), text("delete from root_key")):
        with pytest.raises(DBAPIError, match="permission denied"), db.begin_nested():
            db.execute(deed)
