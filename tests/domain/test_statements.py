"""The envelope of all that is signed: canonical bytes, a signature over them, and what is wrong with a changed one."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import statements
from app.infra import signing
from app.infra.signing import Signer

HEAD: dict[str, Any] = {
    "format": statements.HEAD,
    "issuer": "https://eoi.example",
    "at": "2027-06-20T15:00:00.000000Z",
    "count": 12,
    "chain": "0" * 64,
}


def test_canonical_json_is_sorted_and_has_no_spaces() -> None:
    assert (
        statements.canonical({"b": [1, True, None], "a": 'é"\n€'})
        == b'{"a":"\xc3\xa9\\"\\n\xe2\x82\xac","b":[1,true,null]}'
    )


whole = st.integers(-(2**53) + 1, 2**53 - 1)
plain_json = st.recursive(
    st.none() | st.booleans() | whole | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(max_codepoint=127)), inner),
)


@given(plain_json)
def test_canonical_json_is_what_plain_python_writes_for_the_json_that_occurs(value: Any) -> None:
    plain = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    assert statements.canonical(value) == plain.encode()


def test_a_signed_document_is_as_it_should_be(signer: Signer) -> None:
    made = statements.document(HEAD, statements.sign(signer, HEAD))
    assert statements.check(made, signer.jwks()) is None
    head, payload, _ = made["jws"].split(".")
    said = json.loads(base64.urlsafe_b64decode(f"{head}=="))
    assert said == {"alg": "Ed25519", "kid": signer.kid, "typ": "eoi+jws"}
    assert base64.urlsafe_b64decode(f"{payload}==") == statements.canonical(HEAD)


@pytest.mark.parametrize("name", ["issuer", "at", "count", "chain"])
@pytest.mark.parametrize("value", ["another", 13, None, ["x"], ...])
def test_a_changed_member_is_named(signer: Signer, name: str, value: Any) -> None:
    changed = HEAD | {name: value}
    if value is ...:
        del changed[name]
    found = statements.check(statements.document(changed, statements.sign(signer, HEAD)), signer.jwks())
    assert found is not None
    missing = "statement" if value is ... else name
    assert (found.outcome, found.sentence.msgid, found.sentence.params) == (
        "invalid",
        statements.DIFFERS,
        {"part": missing},
    )


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (None, "{}"),
        ({}, "statement.format"),
        ({"statement": [], "jws": ""}, "statement.format"),
        ({"statement": HEAD | {"format": "eoi-head/2"}, "jws": ""}, "statement.format"),
        ({"statement": HEAD}, "jws"),
        ({"statement": HEAD, "jws": 7}, "jws"),
    ],
)
def test_what_is_lacking_is_named(signer: Signer, given: Any, part: str) -> None:
    found = statements.check(given, signer.jwks())
    assert found is not None
    assert (found.outcome, found.sentence.msgid, found.sentence.params) == (
        "invalid",
        statements.NOT_OURS,
        {"part": part},
    )


def test_a_member_too_many_is_named(signer: Signer) -> None:
    made = statements.document(HEAD, statements.sign(signer, HEAD), note="trust me")
    found = statements.check(made, signer.jwks())
    assert found is not None
    assert (found.sentence.msgid, found.sentence.params) == (statements.DIFFERS, {"part": "note"})


def test_a_key_that_is_missing_is_told_from_a_header_that_was_changed(signer: Signer, tmp_path: Path) -> None:
    other = Signer.load_or_create(tmp_path / "keys")
    token = statements.sign(signer, HEAD)
    found = statements.check(statements.document(HEAD, token), other.jwks())
    assert found is not None
    assert (found.outcome, found.sentence.msgid) == ("unknown", statements.UNKNOWN)
    posing = other.sign(b"").split(".")[0] + "." + token.split(".", 1)[1]
    for jwks in (signer.jwks(), {"keys": signer.jwks()["keys"] + other.jwks()["keys"]}):
        found = statements.check(statements.document(HEAD, posing), jwks)
        assert found is not None
        assert (found.outcome, found.sentence.msgid) == ("invalid", statements.BAD)


def test_an_old_key_verifies_after_a_rotation(tmp_path: Path) -> None:
    old = Signer.load_or_create(tmp_path / "keys")
    made = statements.document(HEAD, statements.sign(old, HEAD))
    new = signing.rotate(tmp_path / "keys")
    assert old.kid != new.kid
    assert statements.check(made, new.jwks()) is None
    assert statements.check(statements.document(HEAD, statements.sign(new, HEAD)), new.jwks()) is None


def test_a_key_counts_only_as_the_portal_writes_it(signer: Signer) -> None:
    (key,) = signer.jwks()["keys"]
    assert list(signing.usable({"keys": [key]})) == [signer.kid]
    for name in key:
        changed = key | {name: f"{key[name][:-1]}{'A' if key[name][-1] != 'A' else 'B'}"}
        assert signing.usable({"keys": [changed]}) == {}
        assert signing.usable({"keys": [{n: v for n, v in key.items() if n != name}]}) == {}
        assert list(signing.usable({"keys": [changed, key]})) == [signer.kid]
    wrong: list[Any] = [None, [], {}, {"keys": {}}, {"keys": [None, "x"]}, {"keys": [{"x": "\ud800"}]}]
    assert [signing.usable(jwks) for jwks in wrong] == [{}] * len(wrong)


@pytest.mark.parametrize("change", [lambda s: s + "=", lambda s: s[:-1] + chr(ord(s[-1]) ^ 1), lambda s: f"{s}!"])
def test_a_signature_has_one_spelling(signer: Signer, change: Any) -> None:
    token = statements.sign(signer, HEAD)
    with pytest.raises(signing.BadSignature):
        signing.verify(change(token), signer.jwks())
