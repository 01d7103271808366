"""The second verifier, docs/verify.py, on what the portal hands out: the same verdict as our own, on every changed byte."""

import ast
import re
import secrets
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import proofs, statements
from app.infra.signing import Signer
from tests import handed
from tests.handed import Handed, SignIn

PLAIN = Path(__file__).parent.parent / "docs" / "verify.py"
CODES = {"valid": 0, "invalid": 1, "unknown": 2}
FLIPS = 100


@dataclass(frozen=True)
class Plain:
    """The verifier in a folder with nothing but the files given to it."""

    folder: Path

    def __call__(self, document: bytes, jwks: bytes, seal: bytes | None = None) -> tuple[int, str]:
        """Exit code and sentence."""
        here = self.folder / secrets.token_hex(8)
        here.mkdir()
        words = ["document.json", "--keys", "jwks.json"] + (["--seal", "seal.json"] if seal is not None else [])
        for name, content in (("document.json", document), ("jwks.json", jwks), ("seal.json", seal)):
            if content is not None:
                (here / name).write_bytes(content)
        command = [sys.executable, "-I", str(PLAIN), *words]
        done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=False)
        assert done.stderr == ""
        return done.returncode, done.stdout

    def codes(self, given: Iterable[tuple[bytes, bytes, bytes | None]]) -> list[int]:
        """The exit codes over many files."""
        with ThreadPoolExecutor(2) as pool:
            return [code for code, _ in pool.map(lambda files: self(*files), given)]


@pytest.fixture
def plain(tmp_path: Path) -> Plain:
    return Plain(tmp_path)


@pytest.fixture
def files(client: TestClient, sign_in: SignIn, portal: Portal, db: Session) -> Handed:
    return handed.out(client, sign_in, portal, db)


def ours(document: bytes, jwks: bytes, seal: bytes | None = None) -> int:
    return CODES[proofs.judge(document, jwks, seal).outcome]


def test_it_is_short_and_needs_nothing_but_cryptography() -> None:
    source = PLAIN.read_text()
    assert source.count("\n") <= 155
    tree = ast.parse(source)
    named = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    named |= {str(n.module) for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    roots = {name.split(".")[0] for name in named}
    assert roots - sys.stdlib_module_names == {"cryptography"}


def test_all_that_the_portal_hands_out_is_valid(plain: Plain, files: Handed) -> None:
    for name, content in files.valid().items():
        assert plain(content, files.jwks)[0] == 0, name
        assert ours(content, files.jwks) == 0, name
    for content in (files.receipt, files.replaced, files.withdrawn):
        assert plain(content, files.jwks, files.seal)[0] == ours(content, files.jwks, files.seal) == 0
    assert plain(files.early, files.jwks, files.seal)[0] == ours(files.early, files.jwks, files.seal) == 2
    sentence = plain(files.withdrawn, files.jwks, files.seal)[1]
    assert re.fullmatch(
        r"Valid: version 1 of \S+ was received at \S+; the sealed set of 5 holds version 1, withdrawn, root \w{64}\.\n",
        sentence,
    )


@pytest.mark.parametrize("name", ["receipt", "seal"])
def test_each_changed_byte_is_found_by_both(plain: Plain, files: Handed, name: str) -> None:
    seed = secrets.token_hex(8)
    print(f"seed {seed}")
    content = vars(files)[name]
    seal = files.seal if name == "receipt" else None
    flipped = handed.flips(content, FLIPS, seed)
    theirs = plain.codes((changed, files.jwks, seal) for _, changed in flipped)
    mine = [ours(changed, files.jwks, seal) for _, changed in flipped]
    assert [(where, code) for (where, _), code in zip(flipped, theirs, strict=True) if code != 1] == []
    assert [(where, code) for (where, _), code in zip(flipped, mine, strict=True) if code != 1] == []


def test_other_spellings_of_the_same_are_invalid_to_both(plain: Plain, files: Handed) -> None:
    """What chance finds seldom: a digest in capitals, a signature with spare bits, a member named twice, a fraction."""
    receipt, seal = files.receipt.decode(), files.seal.decode()
    path = proofs.parse(files.receipt)["proof"]["path"]
    leaf = next(leaf for leaf in proofs.parse(files.seal)["leaves"] if leaf.upper() != leaf)
    jws = proofs.parse(files.receipt)["jws"]
    index = proofs.parse(files.receipt)["proof"]["index"]
    changed = [
        receipt.replace(path[0], path[0].upper()),
        receipt.replace(path[0], f" {path[0][1:]}"),
        receipt.replace(jws, f"{jws[:-1]}{chr(ord(jws[-1]) ^ 1)}"),
        receipt.replace(jws, f"{jws}="),
        receipt.replace(f'"index":{index}', f'"index":{index},"index":{index}'),
        receipt.replace(f'"index":{index}', f'"index":{index}.0'),
        seal.replace(leaf, leaf.upper()),
        seal.replace(leaf, f"{leaf[:-1]} "),
    ]
    assert [code for code in map(changed.count, (receipt, seal)) if code] == []
    for content in changed:
        assert plain(content.encode(), files.jwks)[0] == ours(content.encode(), files.jwks) == 1, content


def test_each_changed_byte_of_the_published_seal_is_found_with_a_receipt(plain: Plain, files: Handed) -> None:
    seed = secrets.token_hex(8)
    print(f"seed {seed}")
    flipped = handed.flips(files.seal, FLIPS // 4, seed)
    theirs = plain.codes((files.receipt, files.jwks, changed) for _, changed in flipped)
    mine = [ours(files.receipt, files.jwks, changed) for _, changed in flipped]
    assert (set(theirs), set(mine)) == ({1}, {1}), seed


def test_damaged_keys_decide_nothing(plain: Plain, files: Handed) -> None:
    seed = secrets.token_hex(8)
    print(f"seed {seed}")
    flipped = handed.flips(files.jwks, FLIPS, seed)
    theirs = plain.codes((files.receipt, changed, files.seal) for _, changed in flipped)
    mine = [ours(files.receipt, changed, files.seal) for _, changed in flipped]
    assert [(where, code) for (where, _), code in zip(flipped, theirs, strict=True) if code != 2] == []
    assert [(where, code) for (where, _), code in zip(flipped, mine, strict=True) if code != 2] == []


@pytest.mark.parametrize("name", ["receipt", "early", "seal", "head", "refusal", "ticket"])
def test_our_own_finds_every_place_that_may_change(files: Handed, name: str) -> None:
    """Not a sample: every byte, once with its case changed and once at random."""
    content = vars(files)[name]
    seed = secrets.token_hex(8)
    print(f"seed {seed}")
    changes = [handed.flips(bytes([byte]), 1, f"{seed}{place}")[0][1][0] ^ byte for place, byte in enumerate(content)]
    for place, byte in enumerate(content):
        for change in {0x20, changes[place]}:
            changed = content[:place] + bytes([byte ^ change]) + content[place + 1 :]
            assert ours(changed, files.jwks) == 1, (place, byte ^ change, content[max(0, place - 20) : place + 20])


def test_a_key_of_somebody_else_decides_nothing_and_their_document_is_never_valid(
    plain: Plain, files: Handed, tmp_path: Path
) -> None:
    other = Signer.load_or_create(tmp_path / "other")
    theirs = statements.canonical(other.jwks())
    forged = handed.signed(other, proofs.parse(files.early)["statement"])
    assert plain(files.receipt, theirs)[0] == ours(files.receipt, theirs) == 2
    assert plain(forged, files.jwks)[0] == ours(forged, files.jwks) == 2
    assert plain(forged, theirs)[0] == ours(forged, theirs) == 0
    mixed = proofs.parse(theirs)["keys"][0] | {"kid": proofs.parse(files.jwks)["keys"][0]["kid"]}
    posing = statements.canonical({"keys": [mixed]})
    assert plain(forged, posing)[0] == ours(forged, posing) == 2
    assert plain(files.receipt, posing)[0] == ours(files.receipt, posing) == 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b'"leaves"',
        b"{}",
        b'{"statement":{},"jws":""}',
        b'{"statement":{"format":"eoi-head/1"},"jws":"a.b"}',
        b'{"statement":{"format":"eoi-head/1"},"jws":"\xc3\xa9.b.c"}',
        b'{"statement":{"format":"eoi-head/1","a":"\\ud800"},"jws":"a.b.c"}',
        b'{"statement":{"format":"eoi-head/1","\\ud800":1},"jws":"a.b.c"}',
        b'{"statement":{"format":["eoi-head/1"]},"jws":"a.b.c"}',
        b'{"statement":' + b"[" * 5000 + b"]" * 5000 + b',"jws":"a.b.c"}',
        b'{"leaves":null}',
        b"\xff",
    ],
)
def test_what_is_no_document_is_invalid_to_both(plain: Plain, files: Handed, content: bytes) -> None:
    assert plain(content, files.jwks)[0] == ours(content, files.jwks) == 1


def test_what_cannot_be_read_decides_nothing(plain: Plain, files: Handed) -> None:
    assert plain(files.receipt, b"")[0] == ours(files.receipt, b"") == 2
    assert plain(files.receipt, b"[]")[0] == ours(files.receipt, b"[]") == 2
    missing = subprocess.run(
        [sys.executable, "-I", str(PLAIN), "nowhere.json", "--keys", "nowhere.json"], capture_output=True, check=False
    )
    assert missing.returncode == 2
