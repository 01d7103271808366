"""What the portal hands out, as bytes, taken from its own pages; and the same file with one byte changed."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import seals, statements, withdrawals
from app.infra.signing import Signer
from tests import make

SignIn = Callable[[TestClient, str], str]
SECONDS = "Sunday 20 June 2027 at 17:00:00 (CEST)"


@dataclass(frozen=True)
class Handed:
    """The files that somebody keeps; `early` is the first version's receipt, downloaded before the seal."""

    receipt: bytes
    replaced: bytes
    withdrawn: bytes
    early: bytes
    seal: bytes
    head: bytes
    refusal: bytes
    ticket: bytes
    jwks: bytes

    def valid(self) -> dict[str, bytes]:
        """All that is signed, by name."""
        return {name: content for name, content in vars(self).items() if name != "jwks"}


def out(client: TestClient, sign_in: SignIn, portal: Portal, db: Session) -> Handed:
    """Submit twice, withdraw another, fill a third and a fourth; seal; and download what can be downloaded."""
    call = make.call(db)
    lead = make.person(db, "lead@firm.example")
    case, actor = make.submission(db, call, lead, sent=True, signer=portal.signer)
    gone, owner = make.submission(db, call, lead, sent=True, signer=portal.signer)
    for address in ("a@firm.example", "b@firm.example", "c@firm.example"):
        make.submission(db, call, make.person(db, address), sent=True, signer=portal.signer)
    sign_in(client, "lead@firm.example")
    early = get(client, f"/apply/{case.reference}/receipts/1.json")
    make.fill(db, actor, case, {"title": "Delta compute, “tweede” versie — één"})
    make.send(db, actor, case, portal.signer)
    withdrawals.withdraw(db, owner, gone, "No longer", make.ISSUER)
    make.move_deadline(db, call, -1)
    seals.seal(db, call, portal.signer, seals.Setting(make.ISSUER, None))
    db.flush()
    return Handed(
        receipt=get(client, f"/apply/{case.reference}/receipts/2.json"),
        replaced=get(client, f"/apply/{case.reference}/receipts/1.json"),
        withdrawn=get(client, f"/apply/{gone.reference}/receipts/1.json"),
        early=early,
        seal=get(client, f"/calls/{call.code}/seal.json"),
        head=statements.canonical(client.get("/verify/heads.json").json()["heads"][0]),
        refusal=signed(portal.signer, refusal(case.reference, call.code)),
        ticket=signed(portal.signer, ticket(case.reference)),
        jwks=get(client, "/.well-known/jwks.json"),
    )


def get(client: TestClient, path: str) -> bytes:
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.text)
    return answer.content


def signed(signer: Signer, statement: dict[str, Any]) -> bytes:
    """A document over a statement, as the portal writes it."""
    return statements.canonical(statements.document(statement, statements.sign(signer, statement)))


def refusal(reference: str, code: str) -> dict[str, Any]:
    """The statement of a late attempt."""
    return {
        "format": statements.REFUSAL,
        "issuer": make.ISSUER,
        "call": code,
        "reference": reference,
        "attempt": "EOI-2027-AAAA-BBBB",
        "at": "2027-06-20T15:00:00.000000Z",
        "recorded_at": "2027-06-20T15:00:00.012345Z",
        "refused_local": SECONDS,
        "code": "call_closed",
        "closes_at": "2027-06-20T15:00:00.000000Z",
        "zone": "Europe/Brussels",
        "standing": 1,
        "typed_sha256": make.sha256(b"typed"),
    }


def ticket(reference: str) -> dict[str, Any]:
    """The statement of a reported problem."""
    return {
        "format": statements.TICKET,
        "issuer": make.ISSUER,
        "reference": "EOI-2027-CCCC-DDDD",
        "at": "2027-06-20T14:59:00.000000Z",
        "reported_local": SECONDS,
        "page": f"/apply/{reference}/check",
        "submission": reference,
        "words_sha256": make.sha256(b"The button does nothing."),
    }


def flips(content: bytes, number: int, seed: str) -> list[tuple[str, bytes]]:
    """So many copies with one byte changed to another, each with where; the same ones for the same seed."""
    chance = random.Random(seed)
    found = []
    for _ in range(number):
        place, change = chance.randrange(len(content)), chance.randrange(1, 256)
        byte = bytes([content[place] ^ change])
        around = content[max(0, place - 20) : place + 20]
        found.append((f"byte {place} to {byte!r} in {around!r}", content[:place] + byte + content[place + 1 :]))
    return found
