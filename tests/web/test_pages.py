"""Whatever is posted or asked for, however odd, is answered: no form and no address is a fault of ours."""

import itertools
import json
import re
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote, quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import (
    assignments,
    calls,
    clarifications,
    interests,
    keys,
    maintenance,
    participations,
    questionnaire,
    seals,
    tickets,
    views,
)
from app.domain.participations import Wish
from app.models import Disclosure, InterestLink, Membership, Notice, OutboxMessage, SignIn, Submission
from tests import make
from tests.conftest import deliver

SignIn_ = Callable[..., str]


def rooms(verb: str) -> dict[str, list[str]]:
    """The addresses of people's pages by room, as the table of the house has them."""
    found: dict[str, list[str]] = {}
    for line in json.loads((make.HERE / "routes.json").read_text()):
        method, path = line.split(" ", 1)
        if method == verb and not path.startswith("/api/"):
            found.setdefault(path.split("/")[1] or "site", []).append(path)
    return found


SHOWN = {200, 206, 303}
GETS, POSTS = rooms("GET"), rooms("POST")
QUERY = [
    "call", "next", "kind", "country", "search", "column", "warning", "flag", "fact.capex", "is_withdrawn", "is_released", "progress", "reader", "sort", "order", "after", "before", "version",
    "person", "reference", "name", "older", "state", "find", "page", "ref", "ref", "ref", "all", "inline", "due_on", "saved", "replaces",
]  # fmt: skip
FIELDS = [
    "days", "sort", "title", "received-day", "received-month", "received-year", "references", "all", "number",
    "choice:summary", "ground:summary", "note:summary", "agrees:summary", "reasons:summary",
    "revision", "action", "key", "reason", "reason:capex_usual", "choice", "copy", "language", "next",
    "query", "is_shared", "topic", "due-day", "due-month", "due-year", "ref", "all", "files",
    "line", "verdict", "seat", "person", "due_on", "batch", "tag", "text", "value", "seen", "reads", "before",
    "phase", "source", "status", "amount", "condition", "signatory", "signatory_role", "dated_on-day", "dated_on-month",
    "dated_on-year", "document", "keep",
    "points-quality", "points-impact", "points-money", "argument-quality", "argument-impact", "argument-money",
    "kind", "networks", "days", "public_key", "replaces", "url", "event",
    "words", "page", "submission", "answer", "email", "role", "name", "country", "registration_no", "state", "authority", "call", "scope", "reference", "digest",
    "capacity", "agreed", "item", "organisation", "mandate", "marks", "seen", "members-0-_", "members-0-legal_name",
    "receipt", "file", "members-0-owners-²-name", "members-99999999999999999999-lei", "members--1-lei", "starts_on-day",
    "starts_on-month", "starts_on-year",
]  # fmt: skip
NASTY = [
    "", " ", "\x00", "a\x00b", "\ud800", "\ufffe", "\u202eevil", "e\u0301" * 20, "💥" * 600, "9" * 400, "-" * 40,
    "1e999", "NaN", "-Infinity", "²", "٣", "1.5", "1.234,50", "-0", "0", "1", "2", "2147483648", "9" * 19, "a" * 70_000,
    "<script>alert(1)</script>", "../../etc/passwd", "%00", "%", "{{7*7}}", "null", "[]", '{"receipt": {"kid": []}}',
    "[" * 5000, '{"a": 1e400}', "=cmd|' /C calc'!A0", "2027-02-30", "31", "0000", "\r\nSet-Cookie: a=b", "//evil.example",
    "/\\evil.example", "a@b.example", "owner", "admin", "nl", "NL", "FC", "yes", "lead@firm.example", "||", "é@é.example",
]  # fmt: skip
ACTIONS = [
    "add:members", "add:members-0-owners", "add:members-²", "add:members-9-owners", "remove:members", "remove:members-²",
    "remove:members-0", "remove:members-0-owners-0", "remove:members-0-owners-99999999999999999999", "add:title", "add:",
    "remove:-", "upload:proposal", "detach:", "detach:²", "save", "continue",
]  # fmt: skip
World = dict[str, list[str]]


@pytest.fixture
def token(client: TestClient, sign_in: SignIn_, db: Session) -> str:
    """Signed in as somebody who may do everything: an owner and an administrator."""
    make.person(db, staff="admin")
    return sign_in(client)


@pytest.fixture
def world(client: TestClient, db: Session, portal: Portal, token: str) -> World:
    """What there is, by the name under which addresses and forms ask for it: an open call and a closed one."""
    actor = make.person(db)
    found: World = {name: [] for name in ("ref", "code", "attachment_id", "sha256", "field", "attempt")}
    for closes_in in (0, 3600):
        call = make.call(db, of=make.definition() | {"confirmation": "lead"})
        case, actor = make.submission(db, call, actor)
        attached = make.attach(db, portal.files, actor, case)
        make.send(db, actor, case, portal.signer)
        found["attempt"].append(make.refused(db, actor, case, portal.signer))
        make.move_deadline(db, call, closes_in)
        found["ref"].insert(0, case.reference)
        found["code"].insert(0, call.code)
        found["attachment_id"].insert(0, str(attached.id))
        found["sha256"].insert(0, attached.sha256)
        questions = calls.questions(call)
        walked = questionnaire.walk(questions, "FC", case_answers())
        found["field"] = [path for _, _, path, _ in walked]
    make.key(db, call)
    webhook, _ = make.webhook(db, call, "https://hook.example/")
    (closed,) = seals.due(db)
    make.seal(db, closed, portal.signer)
    closed_case = next(s for s in db.scalars(select(Submission)) if s.call_id == closed.id)
    make.free(db, actor, closed_case)
    batch = make.given_at_once(db, actor, closed_case)
    make.asked(db, closed_case)
    make.asked(db, closed_case)
    clarifications.answer(db, actor, closed_case, 2, "Yes.", [make.taken(db, portal.files)], make.ISSUER)
    found["notice_id"] = [str(one) for one in db.scalars(select(Notice.id))]
    other = make.person(db, "other@rvo.example", staff="coordinator")
    produced = make.disclosed(db, actor, other, closed_case, portal.files, portal.signer)
    found["disclosure"] = [str(number) for number in db.scalars(select(Disclosure.number))]
    found["set_id"] = [str(produced.id)]
    gone = make.destroyed(db, actor, other, portal.signer)
    found["destruction_id"] = [str(gone.id)]
    found["code"].append(gone.call.code)
    db.execute(update(OutboxMessage).where(OutboxMessage.purpose == "receipt").values(failed_at=func.now()))
    client.post("/account/sign-in", data={"email": "lead@firm.example", "csrf_token": token})
    found["token"] = re.findall(r"/account/link/([\w-]+)", deliver(portal)[-1])
    reports = [tickets.report(db, actor, "It hangs.", "/apply", None, portal.signer, make.ISSUER) for _ in range(2)]
    found["ticket"] = [ticket.reference for ticket in reports]
    organisation = actor.memberships[0].organisation_id
    ids = {
        "organisation_id": [organisation],
        "membership_id": db.scalars(select(Membership.id)).all(),
        "sign_in_id": db.scalars(select(SignIn.id)).all(),
        "key_id": [key.id for key in keys.all_keys(db)],
        "webhook_id": [webhook.id],
        "message_id": db.scalars(select(OutboxMessage.id).where(OutboxMessage.failed_at.is_not(None))).all(),
        "person_id": [actor.person_id],
    }
    found |= {name: [str(one) for one in some] for name, some in ids.items()}
    found["person"] = [str(p.id) for p in assignments.staff(db)]
    found["seat"], found["line"], found["verdict"] = ["first", "second"], ["private_65"], ["yes", "no"]
    found["due_on"], found["batch"], found["tag"] = ["2027-06-01"], [batch], ["Grid risk"]
    found["value"], found["reads"], found["text"] = ["pass_on"], ["nl", "en"], ["Look, @second."]
    found |= {f"points-{name}": ["3", "2,5"] for name in make.POINTS}
    found |= {f"argument-{name}": ["It is sound."] for name in make.POINTS}
    found["number"] = ["1", "1", "2"]
    found["step"] = [step.name for step in questions.steps] + ["check", "receipts"]
    found["choice"] = [f"{code}|{organisation}|{kind}" for code in found["code"] for kind in ("FC", "OO", "MS")]
    found["call"], found["older"] = found["code"][::-1], found["message_id"] + ["5", "²"]
    found["after"] = found["before"] = found["reference"] = found["ref"]
    found["sort"] = ["fact.capex", "title", "reference", "country", "is_withdrawn", "warnings", "fact.lead"]
    found["topic"], found["due-year"] = ["contact_details"], [str(closed.closes_at.year + 1)]
    found["due-day"] = found["due-month"] = ["1"]
    found["sort"].append("drafts")
    found["days"], found["received-year"] = ["14"], ["2026"]
    found["received-day"] = found["received-month"] = ["5"]
    found["next"], found["state"] = ["/apply", "/account"], ["failed", "sent", "NL"]
    found["action"] = [*ACTIONS, *(f"detach:{one}" for one in found["attachment_id"])]
    found["scope"], found["language"], found["role"] = ["submissions:read"], ["nl", "en"], ["viewer", "owner"]
    found["email"], found["country"], found["reason"] = ["lead@firm.example", "jo@firm.example"], ["NL"], ["It is so."]
    found["name"], found["authority"] = ["Delta BV", "kind"], ["Delta BV"]
    found["kind"], found["days"], found["url"] = ["key", "client_key", "FC"], ["30"], ["https://hook.example/"]
    found["event"], found["replaces"], found["networks"] = ["call.sealed"], found["key_id"], ["192.0.2.0/24"]
    found["maintenance_id"] = _maintenance(db)
    found["view_id"] = _views(db, found["code"])
    found["column"] = ["*", "answer.members", "answer.proposal", "fact.lead", "title", "readers"]
    found["warning"], found["flag"], found["fact.capex"] = ["*", "-", "capex_usual"], ["shared_member"], ["0", "1", "-"]
    found["is_released"] = found["is_withdrawn"] = ["yes", "no"]
    found["query"] = ["kind=FC&sort=title&order=asc", "search=delta"]
    found["submission"] = found["find"] = found["ref"]
    found["csrf_token"], found["revision"], found["key"] = [token], ["0", "1", "2"], ["k"]
    found["state"], found["sort"] = ["NL", *found["state"]], ["support", "commitment", "invest", *found["sort"]]
    open_case = next(s for s in db.scalars(select(Submission)) if s.reference == found["ref"][0])
    found |= _letters(db, portal, open_case)
    found["sealed"] = [closed_case.reference, closed_case.reference, open_case.reference]
    found["ref"].append(_taking_part(db, open_case, found))
    return found


def _taking_part(db: Session, open_case: Submission, found: World) -> str:
    """Somebody takes part in the open case, and the administrator in others: to edit, as a partner, and invited as yet."""
    me, other = make.person(db), make.person(db, "other@firm.example")
    other_case, other = make.submission(db, open_case.call, other)
    another, other = make.submission(db, open_case.call, other)
    third, other = make.submission(db, open_case.call, other)
    wishes = [
        (me, open_case, Wish("guest@firm.example", "viewer")),
        (other, another, Wish(me.email, "viewer")),
        (other, third, Wish(me.email, "editor")),
        (other, other_case, Wish(me.email, "partner", "Delta", place=0)),
    ]
    for actor, case, wish in wishes:
        made = participations.invite(db, actor, case, wish, make.ISSUER)
        found.setdefault("participation_id", []).append(str(made.id))
        text = db.scalars(select(OutboxMessage.text).where(OutboxMessage.submission_id == case.id)).all()
        found["token"] += re.findall(r"/invitations/([\w-]+)", " ".join(text))
    for token in found["token"][-2:]:
        participations.accept(db, me, token)
    found["ref"].append(third.reference)
    found["capacity"], found["agreed"], found["item"] = ["Director"], ["yes"], [""]
    found["role"] += ["partner", "editor"]
    return other_case.reference


def _letters(db: Session, portal: Portal, open_case: Submission) -> World:
    """A letter of a member state, for which the administrator acts too, with its file."""
    _, ministry = make.organisation(db, make.person(db), "Ministry", state=True)
    make.letter(db, portal.files, ministry, open_case)
    firm = next(m.organisation_id for m in ministry.memberships if m.state_code is None)
    interests.offer(db, ministry, open_case.call, firm, open_case.reference, "use", "So.", make.ISSUER)
    return {
        "upload": [make.sha256(b"upload")[:32]], "start": ["0", "7"], "whole": ["5", "9"],
        "interest_id": [str(one) for one in db.scalars(select(InterestLink.id))], "answer": ["accept", "decline"],
        "phase": ["1"], "source": ["national"], "status": ["none"], "amount": ["5"],
        "signatory": ["M"], "signatory_role": ["m"], "dated_on-day": ["1"], "dated_on-month": ["2"],
        "dated_on-year": ["2027"], "keep": [make.sha256(make.document())],
    }  # fmt: skip


def _maintenance(db: Session) -> list[str]:
    """A window that is announced."""
    start = calls.clock(db) + timedelta(hours=1)
    words = {"en": "More disk", "nl": "Meer schijf"}
    return [str(maintenance.announce(db, make.person(db, staff="admin"), start, start + timedelta(hours=1), words).id)]


def _views(db: Session, codes: list[str]) -> list[str]:
    """Saved views of the administrator who is signed in, one for each call."""
    admin = make.person(db)
    made = [views.save(db, admin, calls.by_code(db, code), f"View {code}", "kind=FC", True) for code in codes]
    db.flush()
    return [str(one.id) for one in made]


def case_answers() -> dict[str, Any]:
    return {name: value for step in make.ANSWERS["FC"].values() for name, value in step.items()}


ODD = st.one_of(st.sampled_from(NASTY), st.text(max_size=40), st.integers().map(str), st.uuids().map(str))


def value(world: World, name: str) -> st.SearchStrategy[str]:
    """Mostly what there is under that name, where there is something; else anything."""
    real = world.get(name)
    return st.integers(0, 3).flatmap(lambda one_in: st.sampled_from(real) if real and one_in < 3 else ODD)


def percent(text: str) -> str:
    return quote_from_bytes(text.encode("utf-8", "surrogatepass"), safe="")


def address(draw: Any, world: World, path: str) -> str:
    """The route's address, each of its parameters filled in; at the desk a case is mostly the one that is sealed."""
    named = world | {"ref": world["sealed"]} if path.startswith("/review/") else world
    return re.sub(r"\{(\w+)\}", lambda found: percent(draw(value(named, found[1])))[:2000], path)


def multipart(fields: list[tuple[str, str, bool]]) -> tuple[bytes, str]:
    """The fields as a browser writes them when a form has files; the flag makes a field a file."""
    edge, parts = uuid.UUID(int=7).hex, []
    for name, text, is_file in fields:
        named = f'; filename="{quote(text[:30], safe=" ./", errors="replace")}.pdf"' if is_file else ""
        head = f'--{edge}\r\nContent-Disposition: form-data; name="{quote(name, safe="-:_²", errors="replace")}"{named}'
        content = make.document() if is_file and len(text) % 2 else text.encode("utf-8", "surrogatepass")
        parts.append(head.encode() + b"\r\n\r\n" + content + b"\r\n")
    return b"".join(parts) + f"--{edge}--\r\n".encode(), f"multipart/form-data; boundary={edge}"


@st.composite
def forms(draw: Any, world: World) -> tuple[bytes, str]:
    """A posted body and its type: the fields that pages have, in any number and order, with values that fit or do not."""
    named = [*world["field"], *FIELDS, "csrf_token"]
    names = st.one_of(st.sampled_from(named), st.sampled_from(named), st.text(max_size=20))
    given_names = draw(st.one_of(st.just(FIELDS), st.lists(names, max_size=12)))
    fields = [(name, draw(value(world, name)), draw(st.integers(0, 7)) == 7) for name in given_names]
    if draw(st.integers(0, 9)) != 9:
        fields.insert(0, ("csrf_token", world["csrf_token"][0], False))
    if draw(st.booleans()):
        return multipart(fields)
    body = "&".join(f"{percent(name)}={percent(text)}" for name, text, _ in fields)
    return body.encode(), "application/x-www-form-urlencoded"


BODIES = st.tuples(
    st.binary(max_size=200),
    st.sampled_from(
        [
            "application/x-www-form-urlencoded", "multipart/form-data", "multipart/form-data; boundary=x", "text/plain",
            "application/json", "application/x-www-form-urlencoded; charset=utf-16", "multipart/form-data; boundary=é",
        ]
    ),
)  # fmt: skip


# What only the two readers of a dossier do, after their work on it: tests/web/test_reviewing.py does it.
OF_READERS = {
    f"/review/{{ref}}/{deed}" for deed in ("agreement", "reopenings", "scores/return", "sign-offs", "tags/end")
}


@pytest.mark.parametrize("room", sorted(POSTS))
def test_no_form_breaks_the_portal(client: TestClient, db: Session, world: World, room: str) -> None:
    cookies = dict(client.cookies)
    seen: dict[str, set[int]] = {path: set() for path in POSTS[room]}

    def post(path: str) -> None:
        @given(st.data(), st.one_of(forms(world), forms(world), forms(world), BODIES))
        def one(data: st.DataObject, form: tuple[bytes, str]) -> None:
            where = address(data.draw, world, path)
            client.cookies.clear()
            client.cookies.update(cookies)
            with db.connection().begin_nested() as before:
                answer = client.post(where, content=form[0], headers={b"Content-Type": form[1].encode("latin-1")})
                before.rollback()
            seen[path].add(answer.status_code)
            assert answer.status_code < 500, (where, form)

        one()

    for path in POSTS[room]:
        post(path)
    assert {path for path, statuses in seen.items() if statuses <= {401, 403, 404}} <= OF_READERS


@pytest.mark.parametrize("room", sorted(GETS))
def test_no_address_breaks_the_portal(client: TestClient, db: Session, world: World, room: str) -> None:
    seen: dict[str, set[int]] = {path: set() for path in GETS[room]}

    def get(path: str) -> None:
        @given(st.data(), st.one_of(st.just(QUERY), st.lists(st.sampled_from(QUERY), max_size=5)), ODD)
        def one(data: st.DataObject, names: list[str], odd: str) -> None:
            query = "&".join(f"{name}={percent(data.draw(value(world, name)))[:3000]}" for name in names)
            where = f"{address(data.draw, world, path)}?{query}"
            visible = re.sub(r"[^\x20-\xff]", "", odd)[:500].strip().encode("latin-1")
            part = data.draw(st.sampled_from([b"", b"", b"bytes=" + visible, b"bytes=0-4"]))
            headers = {b"Accept-Language": visible, b"If-None-Match": visible} | ({b"Range": part} if part else {})
            with db.connection().begin_nested() as before:
                answer = client.get(where, headers=headers)
                before.rollback()
            seen[path].add(answer.status_code)
            assert answer.status_code < 500, (where, headers)

        one()

    for path in GETS[room]:
        get(path)
    # to another machine; to who names no two open dossiers, and where there is no provider, as their own tests do
    shut = {"/metrics", "/review/compare", "/account/providers/{name}", "/account/providers/{name}/callback"}
    unseen = [path for path, statuses in seen.items() if not statuses & SHOWN and path not in shut]
    assert [path for path in unseen if not any(client.get(w).status_code in SHOWN for w in filled(world, path))] == []


def filled(world: World, path: str) -> Iterator[str]:
    """The address with each combination of what there is: what chance alone did not name."""
    names = re.findall(r"{(\w+)}", path)
    for chosen in itertools.product(*(dict.fromkeys(world[name]) for name in names)):
        yield path.format(**dict(zip(names, map(percent, chosen), strict=True)))


@pytest.mark.parametrize("action", ACTIONS)
def test_no_button_breaks_a_page_of_the_form(client: TestClient, token: str, world: World, action: str) -> None:
    form = {
        "csrf_token": token,
        "revision": "1",
        "action": action,
        "members-0-lei": "?",
        "members-0-owners-²-name": "x",
    }
    answer = client.post(f"/apply/{world['ref'][0]}/members", data=form)
    assert answer.status_code in (303, 404, 422)
