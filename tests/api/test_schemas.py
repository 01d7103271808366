"""What the API says of itself is what it does: schemathesis asks every operation for what it promises, and for nonsense."""

import base64
import json
from dataclasses import dataclass
from typing import Any

import pytest
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy import update
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import calls, feed, keys, seals
from app.domain.access import SYSTEM
from app.models import ApiKey
from tests import make

AGREED = json.loads((make.HERE / "openapi.json").read_text())
LABELS = [f"{verb.upper()} {path}" for path, verbs in AGREED["paths"].items() for verb in verbs]
CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
Real = dict[str, list[Any]]
EVERY = ("submissions:read", "attachments:read", "deliveries:write")
NEEDED = {
    f"{verb.upper()} {path}": scope
    for path, verbs in AGREED["paths"].items()
    for verb, operation in verbs.items()
    for given in operation.get("security", [])
    for scope in given.get("oauth2", [])
}
# What a key may see of a call that is open.
BEFORE = {
    "GET /calls/{code}",
    "GET /calls/{code}/schema.json",
    "GET /calls/{code}/export.schema.json",
    "GET /calls/{code}/codes",
}


@dataclass(frozen=True)
class Holder:
    """Somebody who asks: what they send, which scopes that is good for, and the calls that they may never see into."""

    headers: dict[str, str]
    scopes: tuple[str, ...] = ()
    shut: tuple[str, ...] = ("closed", "open", "elsewhere")


@pytest.fixture
def real(db: Session, portal: Portal) -> Real:
    """A closed call, an open one and a closed one of others, each with a submission that has a file, and a word of its own.

    Every name in them, by parameter.
    """
    found: Real = {"code": [], "ref": [], "sha256": [], "number": [1, 2], "kind": ["MS", "FC", "OO"], "receipt": []}
    found["arrived"] = []
    found["tag"] = ["*", "nonsense"]
    for word, closes_in in (("closed", 0), ("open", 3600), ("elsewhere", 0)):
        call = make.call(db)
        case, actor = make.submission(db, call, make.person(db), title=f"Secret of {word}")
        found["sha256"].append(make.attach(db, portal.files, actor, case).sha256)
        made = make.send(db, actor, case, portal.signer)
        arrived = {"version": 1, "payload_sha256": made.payload_sha256, "files": [found["sha256"][-1]]}
        found["arrived"].append(arrived)
        found["tag"].append(f'"{made.payload_sha256}-1-1"')
        found["receipt"].append({"statement": made.receipt.body, "jws": made.receipt.jws})
        make.move_deadline(db, call, closes_in)
        found["code"].append(call.code)
        found["ref"].append(case.reference)
    for call in seals.due(db):
        make.seal(db, call, portal.signer)
    make.number(db)
    closed = calls.by_code(db, found["code"][0])
    for name in ("code", "ref", "sha256", "arrived"):  # what answers with content, drawn more often
        found[name] += [found[name][0]] * 4
    found["cursor"] = found["ref"]
    found["after"] = ["", "", "", str(feed.Cursor(feed.position(db, closed).epoch, 0)), "0" * 16 + "-1"]
    found["wait"] = [0, 1]
    return found


def conditions(real: Real) -> list[dict[str, str]]:
    """Headers that change what is answered: ranges, and what the asker has already."""
    ranges = ["bytes=0-4", "bytes=-5", "bytes=9999999-", "bytes=5-1", "lines=1", "bytes=0-1,4-5"]
    return [{}, {}, {}, *({"Range": part} for part in ranges), *({"If-None-Match": tag} for tag in real["tag"])]


@pytest.fixture
def holders(db: Session, real: Real) -> list[Holder]:
    """Who has a key to the closed and the open call, for all scopes and for each; and who has none that is good for them."""
    closed, opened, elsewhere = real["code"][:3]

    def bearer(text: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {text}"}

    good = [(EVERY, [closed, opened]), *(((scope,), [closed, opened]) for scope in EVERY)]
    found = [
        Holder(bearer(make.issued(db, codes, *scopes)[1]), scopes, ("open", "elsewhere")) for scopes, codes in good
    ]
    found.append(Holder(bearer(make.issued(db, [elsewhere], *EVERY)[1]), EVERY, ("closed", "open")))
    texts = [make.issued(db, [closed], *EVERY, networks=["192.0.2.0/24"])[1], "eoi_none"]
    expired, late = make.issued(db, [closed, opened], *EVERY)
    db.execute(update(ApiKey).where(ApiKey.id == expired.id).values(expires_at=calls.clock(db)))
    revoked, ended = make.issued(db, [closed, opened], *EVERY)
    keys.revoke(db, SYSTEM, revoked.id)
    texts += [late, ended, f"{ended[:-8]}00000000"]
    return [*found, *(Holder(bearer(text)) for text in texts), Holder({})]


@pytest.fixture
def clients(db: Session, real: Real) -> list[Holder]:
    """Who proves by OAuth who they are, and who proves nothing."""
    made, secret = make.agreed(db, real["code"][:2], "submissions:read", kind="client_secret")
    proofs = [f"{made.prefix}:{secret}", f"{made.prefix}:{secret}", f"{made.prefix}:x", "eoi_none:x", "\xff\xfe", ":"]
    encoded = [base64.b64encode(proof.encode("latin-1")).decode() for proof in proofs]
    return [Holder({"Authorization": f"Basic {proof}"}) for proof in encoded]


def judge(label: str, holder: Holder, case: Case[Any], real: Real, status: int, body: str) -> None:
    """Nothing of a call that is open or of others; nothing at all without the scope."""
    for place, word in enumerate(("closed", "open", "elsewhere")):
        if word not in holder.shut:
            continue
        assert f"Secret of {word}" not in body
        named = set((case.path_parameters or {}).values()) & {real["code"][place], real["ref"][place]}
        assert not (named and status < 400) or (label in BEFORE and word == "open" and holder.scopes), (word, status)
    if label in NEEDED:
        assert status >= 400 or NEEDED[label] in holder.scopes


def aimed(draw: Any, case: Case[Any], real: Real) -> Case[Any]:
    """The case as generated, with some of its parameters made real: nonsense alone never gets beyond a 404."""
    for holder in (case.path_parameters, case.query):
        for name in sorted(set(holder or {}) & set(real)):
            if draw(st.integers(0, 3)):
                holder[name] = draw(st.sampled_from(real[name]))
    if isinstance(case.body, dict) and case.path.endswith("/deliveries"):
        case.body |= draw(st.sampled_from([{}, *real["arrived"]]))
    elif isinstance(case.body, dict) and "grant_type" in case.body:
        return case
    elif isinstance(case.body, dict) and draw(st.booleans()):
        case.body = (
            {**draw(st.sampled_from(real["receipt"])), **case.body}
            if draw(st.booleans())
            else {**case.body, **draw(st.sampled_from(real["receipt"]))}
        )
    return case


@pytest.mark.parametrize("label", LABELS)
def test_each_operation_answers_as_described(
    client: TestClient, real: Real, holders: list[Holder], clients: list[Holder], label: str
) -> None:
    described = schemathesis.openapi.from_dict(client.get("/api/v1/openapi.json").json())
    operation = described.find_operation_by_label(label)
    assert operation is not None
    seen: set[int] = set()
    asking = clients if label.endswith("/oauth/token") else [holders[0]] * 20 + holders

    @given(st.data(), st.sampled_from([GenerationMode.POSITIVE, GenerationMode.POSITIVE, GenerationMode.NEGATIVE]))
    def ask(data: st.DataObject, mode: GenerationMode) -> None:
        case = aimed(data.draw, data.draw(operation.as_strategy(generation_mode=mode)), real)
        sent = case.as_transport_kwargs(base_url="http://testserver/api/v1")
        body = {"content": sent.pop("data")} if isinstance(sent.get("data"), bytes | str) else {}
        holder, more = data.draw(st.sampled_from(asking)), data.draw(st.sampled_from(conditions(real)))
        sent["headers"] = {**sent["headers"], **holder.headers, **more}
        sent.pop("cookies")
        answer = client.request(**sent, **body)
        seen.add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)
        judge(label, holder, case, real, answer.status_code, answer.text)

    ask()
    assert seen & {200, 201}, seen


@pytest.mark.parametrize("path", ["calls/a%0Ab", "%0A", "nowhere", "submissions/%00", "../v2/calls"])
def test_an_address_that_no_operation_has_is_refused_in_json_too(client: TestClient, path: str) -> None:
    answer = client.get(f"/api/v1/{path}")
    assert (answer.status_code, answer.headers["content-type"]) in {
        (status, "application/problem+json") for status in (401, 404)
    }
