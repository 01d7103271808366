"""docs/formats.md and docs/example: every number in them is made anew from its parts, by the portal and by plain means."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import audit, heads, merkle, proofs, statements
from app.domain.access import SYSTEM
from tests import example, handed
from tests.handed import SignIn

PAGE = (Path(__file__).parent.parent / "docs" / "formats.md").read_text()
BLOCKS = re.findall(r"```\n(.*?)\n```", PAGE, re.DOTALL)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def bare(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.mark.parametrize("name", ["receipt", "seal", "head", "jwks"])
def test_the_example_files_are_what_the_portal_would_write(name: str) -> None:
    assert (example.FOLDER / f"{name}.json").read_bytes() == example.documents()[name]


@pytest.mark.parametrize("name", ["receipt", "seal", "head"])
def test_the_example_is_valid(name: str) -> None:
    made = {file.stem: file.read_bytes() for file in example.FOLDER.glob("*.json")}
    assert proofs.judge(made[name], made["jwks"], made["seal"]).outcome == "valid"


def test_the_numbers_of_the_tree_follow_from_the_leaf() -> None:
    leaf, tree = BLOCKS[0], dict(re.findall(r"^(.+?) {2,}(\w{64})$", BLOCKS[1], re.MULTILINE))
    assert sha256(b"\0" + leaf.encode()) == tree["leaf 1"]
    parts = {name: bytes.fromhex(digest) for name, digest in tree.items()}
    assert sha256(b"\1" + parts["leaf 0"] + parts["leaf 1"]) == tree["node over 0 and 1"]
    assert sha256(b"\1" + parts["node over 0 and 1"] + parts["leaf 2"]) == tree["root"]
    proof = json.loads((example.FOLDER / "receipt.json").read_bytes())["proof"]
    assert (proof["index"], proof["path"]) == (1, [tree["leaf 0"], tree["leaf 2"]])
    assert statements.canonical(proof["leaf"]).decode() == leaf
    assert merkle.root([tree[f"leaf {n}"] for n in range(3)]) == tree["root"] == proof["root"]


def test_the_numbers_of_the_chain_follow_from_the_commitments() -> None:
    first, second = re.findall(r"`(\w{64})`", PAGE)[:2]
    one = sha256(f"1:{'0' * 64}:{first}".encode())
    two = sha256(f"2:{one}:{second}".encode())
    assert re.findall(r"\w{64}", BLOCKS[2]) == [one, two]
    assert json.loads(BLOCKS[3])["chain"] == two


def test_the_signature_follows_from_header_and_statement() -> None:
    header = re.search(r"`(eyJ\w+)`", PAGE)
    assert header
    (key,) = json.loads((example.FOLDER / "jwks.json").read_bytes())["keys"]
    said = {"alg": "Ed25519", "kid": key["kid"], "typ": "eoi+jws"}
    assert bare(header[1]).decode() == json.dumps(said, separators=(",", ":"))
    core = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": key["x"]}, separators=(",", ":"))
    assert bare(key["kid"]) == hashlib.sha256(core.encode()).digest()
    payload = base64.urlsafe_b64encode(BLOCKS[3].encode()).rstrip(b"=").decode()
    token = f"{header[1]}.{payload}.{BLOCKS[4]}"
    document = {"statement": json.loads(BLOCKS[3]), "jws": token}
    assert statements.canonical(document) == (example.FOLDER / "head.json").read_bytes()


def test_the_database_chains_as_the_page_says(db: Session) -> None:
    audit.record(db, SYSTEM, "person.invited", email="é")
    db.flush()
    count, _ = heads.link(db)
    rows = db.execute(
        text("select position, chain, commitment, salt, event_content(e) as content from event e order by position")
    ).all()
    last = "0" * 64
    for row in rows:
        assert row.commitment == sha256((row.salt + row.content).encode())
        last = sha256(f"{row.position}:{last}:{row.commitment}".encode())
        assert row.chain == last
    assert len(rows) == count > 0


def test_every_member_of_every_format_stands_on_the_page(
    client: TestClient, sign_in: SignIn, portal: Portal, db: Session
) -> None:
    files = handed.out(client, sign_in, portal, db)
    said = {name: proofs.parse(content) for name, content in files.valid().items()}
    members = [document["statement"] for document in said.values()]
    members += [said["receipt"]["proof"], said["receipt"]["proof"]["leaf"], proofs.parse(files.jwks)["keys"][0]]
    assert [name for made in members for name in made if not re.search(rf"[`\",]{name}[`\",]", PAGE)] == []
