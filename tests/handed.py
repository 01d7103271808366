"""What the portal hands out, as bytes, taken from its own pages; and the same file with one byte changed."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import seals, statements, withdrawals
from app.infra.signing import Signer
from app.models import Attempt
from tests import make

SignIn = Callable[[TestClient, str], str]


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
    token = sign_in(client, "lead@firm.example")
    early = get(client, f"/apply/{case.reference}/receipts/1.json")
    make.fill(db, actor, case, {"title": "Delta compute, “tweede” versie — één"})
    make.send(db, actor, case, portal.signer)
    make.fill(db, actor, case, {"title": "A third version, too late"})
    withdrawals.withdraw(db, owner, gone, "No longer", make.ISSUER)
    make.move_deadline(db, call, -1)
    seals.seal(db, call, portal.signer, seals.Setting(make.ISSUER, None))
    db.flush()
    late = client.post(f"/apply/{case.reference}/receipts", data={"csrf_token": token, "key": "late"})
    attempt = db.scalars(select(Attempt.reference).where(Attempt.idempotency_key == "late")).one()
    assert (late.status_code, attempt in late.text) == (409, True)
    told = client.post("/problems", data={"csrf_token": token, "words": "The button does nothing.", "page": "/apply"})
    return Handed(
        receipt=get(client, f"/apply/{case.reference}/receipts/2.json"),
        replaced=get(client, f"/apply/{case.reference}/receipts/1.json"),
        withdrawn=get(client, f"/apply/{gone.reference}/receipts/1.json"),
        early=early,
        seal=get(client, f"/calls/{call.code}/seal.json"),
        head=statements.canonical(client.get("/verify/heads.json").json()["heads"][0]),
        refusal=get(client, f"/apply/{case.reference}/refusals/{attempt}.json"),
        ticket=get(client, f"{told.headers['location']}.json"),
        jwks=get(client, "/.well-known/jwks.json"),
    )


def get(client: TestClient, path: str) -> bytes:
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.text)
    return answer.content


def signed(signer: Signer, statement: dict[str, Any]) -> bytes:
    """A document over a statement, as the portal writes it."""
    return statements.canonical(statements.document(statement, statements.sign(signer, statement)))


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
