"""What the API says of itself is what it does: schemathesis asks every operation for what it promises, and for nonsense."""

import base64
import json
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
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import feed, seals
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


@pytest.fixture
def real(db: Session, portal: Portal) -> Real:
    """A closed call and an open one, each with a submission that has a file; every name in them, by parameter."""
    found: Real = {"code": [], "ref": [], "sha256": [], "number": [1, 2], "kind": ["MS", "FC", "OO"], "receipt": []}
    found["arrived"] = []
    found["tag"] = ["*", "nonsense"]
    for closes_in in (0, 3600):
        call = make.call(db)
        case, actor = make.submission(db, call, make.person(db))
        found["sha256"].append(make.attach(db, portal.files, actor, case).sha256)
        made = make.send(db, actor, case, portal.signer)
        arrived = {"version": 1, "payload_sha256": made.payload_sha256, "files": [found["sha256"][-1]]}
        found["arrived"].append(arrived)
        found["tag"].append(f'"{made.payload_sha256}-1-1"')
        found["receipt"].append({"statement": made.receipt.body, "jws": made.receipt.jws})
        make.move_deadline(db, call, closes_in)
        found["code"].append(call.code)
        found["ref"].append(case.reference)
    (closed,) = seals.due(db)
    make.seal(db, closed, portal.signer)
    make.number(db)
    for name in ("code", "ref", "sha256", "arrived"):  # what answers with content, drawn more often
        found[name] += [found[name][0]] * 3
    found["cursor"] = found["ref"]
    found["after"] = ["", "", "", str(feed.Cursor(feed.position(db, closed).epoch, 0)), "0" * 16 + "-1"]
    found["wait"] = [0, 1]
    return found


def conditions(real: Real) -> list[dict[str, str]]:
    """Headers that change what is answered: ranges, and what the asker has already."""
    ranges = ["bytes=0-4", "bytes=-5", "bytes=9999999-", "bytes=5-1", "lines=1", "bytes=0-1,4-5"]
    return [{}, {}, {}, *({"Range": part} for part in ranges), *({"If-None-Match": tag} for tag in real["tag"])]


@pytest.fixture
def keys(db: Session, real: Real) -> list[dict[str, str]]:
    """Headers with a valid key for both calls, with one for each scope, from elsewhere, and with none that is known."""
    every = ["submissions:read", "attachments:read", "deliveries:write"]
    texts = [make.issued(db, real["code"], *scopes)[1] for scopes in (every, *([scope] for scope in every))]
    texts.append(make.issued(db, real["code"], *every, networks=["192.0.2.0/24"])[1])
    texts += ["eoi_none", f"{texts[0][:-8]}00000000"]
    return [{"Authorization": f"Bearer {text}"} for text in texts]


@pytest.fixture
def clients(db: Session, real: Real) -> list[dict[str, str]]:
    """Headers by which a client of OAuth proves who it is, and some that prove nothing."""
    made, secret = make.agreed(db, real["code"], "submissions:read", kind="client_secret")
    proofs = [f"{made.prefix}:{secret}", f"{made.prefix}:{secret}", f"{made.prefix}:x", "eoi_none:x", "\xff\xfe", ":"]
    return [{"Authorization": "Basic " + base64.b64encode(proof.encode("latin-1")).decode()} for proof in proofs]


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
    client: TestClient, real: Real, keys: list[dict[str, str]], clients: list[dict[str, str]], label: str
) -> None:
    described = schemathesis.openapi.from_dict(client.get("/api/v1/openapi.json").json())
    operation = described.find_operation_by_label(label)
    assert operation is not None
    seen: set[int] = set()
    holders = clients if label.endswith("/oauth/token") else [keys[0]] * 20 + keys

    @given(st.data(), st.sampled_from([GenerationMode.POSITIVE, GenerationMode.POSITIVE, GenerationMode.NEGATIVE]))
    def ask(data: st.DataObject, mode: GenerationMode) -> None:
        case = aimed(data.draw, data.draw(operation.as_strategy(generation_mode=mode)), real)
        sent = case.as_transport_kwargs(base_url="http://testserver/api/v1")
        body = {"content": sent.pop("data")} if isinstance(sent.get("data"), bytes | str) else {}
        given_headers = data.draw(st.sampled_from(holders)), data.draw(st.sampled_from(conditions(real)))
        sent["headers"] = {**sent["headers"], **given_headers[0], **given_headers[1]}
        sent.pop("cookies")
        answer = client.request(**sent, **body)
        seen.add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    ask()
    assert seen & {200, 201}, seen


@pytest.mark.parametrize("path", ["calls/a%0Ab", "%0A", "nowhere", "submissions/%00", "../v2/calls"])
def test_an_address_that_no_operation_has_is_refused_in_json_too(client: TestClient, path: str) -> None:
    answer = client.get(f"/api/v1/{path}")
    assert (answer.status_code, answer.headers["content-type"]) in {
        (status, "application/problem+json") for status in (401, 404)
    }
