"""Checking what was handed out: a sentence for each thing that does not fit, and one that says what a valid one states."""

import copy
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import merkle, proofs, statements, streams
from app.domain.access import SYSTEM
from app.infra.signing import Signer
from tests import handed, make
from tests.handed import Handed, SignIn

Change = Callable[[dict[str, Any]], Any]


@pytest.fixture
def files(client: TestClient, sign_in: SignIn, portal: Portal, db: Session) -> Handed:
    return handed.out(client, sign_in, portal, db)


def said(document: Any, files: Handed, seal: bytes | None = None) -> tuple[str, str, dict[str, Any]]:
    verdict = proofs.verify(document, proofs.parse(files.jwks), proofs.parse(seal) if seal else None)
    return verdict.outcome, verdict.sentence.msgid, verdict.sentence.params


def test_each_valid_document_says_what_it_states(files: Handed) -> None:
    found = {name: said(proofs.parse(content), files)[:2] for name, content in files.valid().items()}
    assert found == {
        "receipt": ("valid", proofs.INCLUDED),
        "replaced": ("valid", proofs.REPLACED),
        "withdrawn": ("valid", proofs.INCLUDED),
        "early": ("valid", proofs.RECEIVED),
        "seal": ("valid", proofs.SEALED),
        "head": ("valid", proofs.HEAD),
        "refusal": ("valid", proofs.REFUSED),
        "ticket": ("valid", proofs.REPORTED),
    }
    params = said(proofs.parse(files.withdrawn), files)[2]
    assert (params["version"], params["size"], params["state"].msgid) == (1, 5, "withdrawn")
    for name in ("receipt", "replaced", "withdrawn"):
        assert said(proofs.parse(vars(files)[name]), files, files.seal)[0] == "valid"


def test_a_receipt_from_before_the_seal_proves_nothing_about_it(files: Handed) -> None:
    assert said(proofs.parse(files.early), files, files.seal) == ("unknown", proofs.NO_PROOF, {})


@pytest.mark.parametrize("name", ["receipt", "seal", "head", "refusal", "ticket"])
def test_every_member_of_a_statement_is_signed(files: Handed, name: str) -> None:
    document = proofs.parse(vars(files)[name])
    for member, value in document["statement"].items():
        changed = document | {"statement": document["statement"] | {member: f"{value} "}}
        expected = statements.NOT_OURS if member == "format" else statements.DIFFERS
        part = "statement.format" if member == "format" else member
        assert said(changed, files) == ("invalid", expected, {"part": part})


PROOF: dict[str, tuple[Change, str]] = {
    "call": (lambda p: p.update(call="another"), proofs.OTHER_CASE),
    "reference": (lambda p: p["leaf"].update(reference="EOI-2027-AAAA-BBBB"), proofs.OTHER_CASE),
    "digest": (lambda p: p["leaf"].update(payload_sha256="0" * 64), proofs.OTHER_CASE),
    "older": (lambda p: p["leaf"].update(version=1), proofs.OTHER_CASE),
    "newer": (lambda p: p["leaf"].update(version=3), proofs.NO_PATH),
    "state": (lambda p: p["leaf"].update(state="withdrawn"), proofs.NO_PATH),
    "salt": (lambda p: p["leaf"].update(salt="0" * 64), proofs.NO_PATH),
    "leaf format": (lambda p: p["leaf"].update(format="eoi-leaf/2"), proofs.NO_PATH),
    "index": (lambda p: p.update(index=(p["index"] + 1) % p["size"]), proofs.NO_PATH),
    "size": (lambda p: p.update(size=p["size"] * 100), proofs.NO_PATH),
    "path": (lambda p: p["path"].__setitem__(0, "0" * 64), proofs.NO_PATH),
    "short path": (lambda p: p["path"].pop(), proofs.NO_PATH),
    "root": (lambda p: p.update(root="0" * 64), proofs.NO_PATH),
    "signature of the seal": (lambda p: p["seal"].update(jws="a.b.c"), statements.BAD),
    "statement of the seal": (lambda p: p["seal"]["statement"].update(count=9), statements.DIFFERS),
    "a member more": (lambda p: p.update(note="x"), statements.DIFFERS),
    "a member less": (lambda p: p.pop("seal"), statements.DIFFERS),
    "a member more in the seal": (lambda p: p["seal"].update(note="x"), statements.DIFFERS),
}


@pytest.mark.parametrize("name", PROOF)
def test_what_does_not_fit_in_a_proof_has_its_sentence(files: Handed, name: str) -> None:
    change, sentence = PROOF[name]
    document = proofs.parse(files.receipt)
    change(document["proof"])
    assert said(document, files)[:2] == ("invalid", sentence)
    assert said(document, files, files.seal)[:2] == ("invalid", sentence)


def test_a_proof_that_somebody_made_up_is_found_without_the_published_seal(files: Handed) -> None:
    document = proofs.parse(files.early)
    statement = document["statement"]
    leaf = {"format": "eoi-leaf/1", "salt": "0" * 64, "state": "standing"}
    leaf |= {name: statement[name] for name in ("payload_sha256", "reference", "version")}
    root = merkle.leaf(statements.canonical(leaf))
    seal = proofs.parse(files.seal)
    made_up = {"call": statement["call"], "leaf": leaf, "index": 0, "size": 1, "path": [], "root": root}
    inner = {"statement": seal["statement"], "jws": seal["jws"]}
    assert said(document | {"proof": made_up}, files)[0] == "invalid"
    assert said(document | {"proof": made_up | {"seal": inner}}, files)[1] == proofs.NO_PATH
    inner["statement"] = seal["statement"] | {"root": root, "size": 1}
    assert said(document | {"proof": made_up | {"seal": inner}}, files)[1] == statements.DIFFERS


def test_two_seals_of_one_call_come_to_light(files: Handed, signer: Signer) -> None:
    seal = proofs.parse(files.seal)
    second = seal["statement"] | {"late_attempts": 7}
    published = handed.signed(signer, second)
    assert said(proofs.parse(files.receipt), files, published) == ("invalid", proofs.OTHER_SEAL, {})


def test_another_document_is_no_seal(files: Handed) -> None:
    assert said(proofs.parse(files.receipt), files, files.head) == ("invalid", proofs.NO_SEAL, {})
    assert proofs.judge(files.receipt, files.jwks, b"{").sentence.msgid == proofs.NO_SEAL
    assert proofs.judge(files.receipt, files.jwks, b"{}").sentence.msgid == statements.NOT_OURS


LEAVES: dict[str, Change] = {
    "one less": lambda d: d["leaves"].pop(),
    "one more": lambda d: d["leaves"].append("f" * 64),
    "one changed": lambda d: d["leaves"].__setitem__(0, "0" * 64),
    "another order": lambda d: d["leaves"].reverse(),
    "none": lambda d: d.update(leaves=[]),
    "a proof": lambda d: d.update(proof={}),
}


@pytest.mark.parametrize("name", LEAVES)
def test_the_leaves_of_a_seal_are_bound_by_its_root(files: Handed, name: str) -> None:
    document = copy.deepcopy(proofs.parse(files.seal))
    LEAVES[name](document)
    part = "proof" if name == "a proof" else "leaves"
    assert said(document, files) == ("invalid", statements.DIFFERS, {"part": part})


@pytest.mark.parametrize("name", ["head", "refusal", "ticket", "early"])
def test_nothing_stands_unsigned_beside_a_statement_that_has_no_use_for_it(files: Handed, name: str) -> None:
    document = proofs.parse(vars(files)[name])
    for part in ("leaves", "proof"):
        if (name, part) != ("early", "proof"):
            assert said(document | {part: []}, files) == ("invalid", statements.DIFFERS, {"part": part})


@pytest.mark.parametrize(
    "content", [b'{"a":1,"a":1}', b'{"a":1.0}', b'{"a":NaN}', b'{"a":1e3}', b"", b"\xff", b"[" * 9999]
)
def test_what_the_portal_never_writes_is_no_json_of_it(files: Handed, content: bytes) -> None:
    with pytest.raises(ValueError):
        proofs.parse(content)
    assert proofs.judge(content, files.jwks).sentence.msgid == proofs.NOT_JSON
    assert proofs.judge(files.receipt, content).sentence.msgid == proofs.NO_KEYS


def export(db: Session, signer: Signer, number: int = 2) -> bytes:
    call = make.call(db)
    for _ in range(number):
        make.submission(db, call, sent=True, signer=signer)
    make.close(db, call)
    return b"".join(streams.ndjson(db, SYSTEM, call))


@pytest.mark.parametrize("number", [0, 2])
def test_an_export_is_whole(db: Session, signer: Signer, number: int) -> None:
    content = export(db, signer, number)
    assert proofs.is_export(content)
    verdict = proofs.verify_export(content)
    assert (verdict.outcome, verdict.sentence.msgid, verdict.sentence.params["count"]) == (
        "valid",
        proofs.WHOLE,
        number,
    )


def test_an_export_with_a_line_less_or_a_letter_changed_is_not_whole(db: Session, signer: Signer) -> None:
    content = export(db, signer)
    first, second, manifest = content.splitlines(keepends=True)
    more = json.dumps(json.loads(manifest) | {"count": 3}).encode()
    honest = {"sha256": hashlib.sha256(first).hexdigest(), "count": 1}
    shorter = json.dumps(json.loads(manifest) | honest).encode()
    changes = [
        first + manifest,
        second + first + manifest,
        content.replace(b"Delta", b"delta", 1),
        first + second + more,
    ]
    for changed in changes:
        assert proofs.is_export(changed)
        verdict = proofs.verify_export(changed)
        assert (verdict.outcome, verdict.sentence.msgid) == ("invalid", proofs.NOT_WHOLE)
    assert (
        proofs.verify_export(first + shorter).outcome == "valid"
    )  # a manifest is not signed: it shows transport, no more
    assert not proofs.is_export(first + second)
