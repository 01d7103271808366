"""Access tokens: for a client that proves who it is, for ten minutes, and for nobody who only seems to."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import calls, grants, keys
from app.domain.access import SYSTEM
from app.infra import signing
from app.main import create_app
from app.models import AccessToken, ApiKey, Assertion, Call, Event
from tests import make

URL = "/api/v1/oauth/token"
AUDIENCE = "http://testserver" + URL
CALLS = "/api/v1/calls"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@pytest.fixture
def call(db: Session) -> Call:
    return make.call(db)


def basic(name: str, secret: str | None) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


def ask(client: TestClient, headers: dict[str, str] | None = None, **form: Any) -> Any:
    return client.post(URL, headers=headers or {}, data={"grant_type": "client_credentials"} | form)


@pytest.fixture(params=["Ed25519", "P-256"])
def pair(request: pytest.FixtureRequest) -> Key:
    made: Key = OKPKey.generate_key("Ed25519") if request.param == "Ed25519" else ECKey.generate_key("P-256")
    return made


def registered(db: Session, call: Call, pair: Key, **more: Any) -> ApiKey:
    public_key = signing.public_key(json.dumps(pair.as_dict(private=False)))
    return make.agreed(db, [call.code], "submissions:read", kind="client_key", public_key=public_key, **more)[0]


def algorithm(pair: Key) -> str:
    return "ES256" if isinstance(pair, ECKey) else "Ed25519"


def assertion(made: ApiKey, pair: Key, header: dict[str, Any] | None = None, **changes: Any) -> str:
    now = int(time.time())
    claims = {
        "iss": made.prefix,
        "sub": made.prefix,
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + 60,
        "jti": f"{time.time_ns()}-jti",
    }
    head = {"alg": algorithm(pair)} | (header or {})
    kept = {name: value for name, value in (claims | changes).items() if value is not None}
    return jwt.encode(head, kept, pair, algorithms=[head["alg"]])


def present(client: TestClient, token: str, **form: str) -> Any:
    return ask(client, None, client_assertion_type=ASSERTION_TYPE, client_assertion=token, **form)


def test_a_client_with_a_secret_gets_a_token_that_opens_what_it_may_and_no_more(
    client: TestClient, db: Session, call: Call
) -> None:
    other = make.call(db)
    made, secret = make.agreed(db, [call.code], "submissions:read", "attachments:read", kind="client_secret")
    answer = ask(client, basic(made.prefix, secret), scope="submissions:read")
    assert answer.status_code == 200
    assert (answer.headers["cache-control"], answer.headers["pragma"]) == ("no-store", "no-cache")
    token = answer.json()
    assert {name: token[name] for name in ("token_type", "expires_in", "scope")} == {
        "token_type": "Bearer",
        "expires_in": 600,
        "scope": "submissions:read",
    }
    bearer = {"Authorization": f"Bearer {token['access_token']}"}
    listed = client.get(CALLS, headers=bearer)
    assert [one["code"] for one in listed.json()["items"]] == [call.code]
    assert client.get(f"{CALLS}/{other.code}", headers=bearer).status_code == 404
    file = client.get(f"/api/v1/submissions/0KQ3V-9XM2T-7RWC/attachments/{'0' * 64}", headers=bearer)
    assert (file.status_code, file.json()["code"]) == (403, "insufficient_scope")
    line = db.scalars(select(Event).where(Event.name == "token.issued")).one()
    assert (line.api_key_id, line.detail) == (made.id, {"scopes": ["submissions:read"]})
    kept = db.scalars(select(AccessToken)).one()
    assert token["access_token"].split("_")[3] not in (kept.prefix + kept.secret_hash)


def test_a_client_with_a_key_pair_gets_one_by_an_assertion(
    client: TestClient, db: Session, call: Call, pair: Key
) -> None:
    made = registered(db, call, pair)
    answer = present(client, assertion(made, pair))
    assert (answer.status_code, answer.json()["scope"]) == (200, "submissions:read")
    assert present(client, assertion(made, pair, aud=["http://testserver", "else"])).status_code == 200


def test_an_assertion_is_taken_once(client: TestClient, db: Session, call: Call, pair: Key) -> None:
    made = registered(db, call, pair)
    token = assertion(made, pair)
    assert [present(client, token).status_code for _ in range(3)] == [200, 401, 401]
    assert len(db.scalars(select(Assertion)).all()) == 1
    again = present(client, assertion(made, pair, jti="the very same"))
    replayed = present(client, assertion(made, pair, jti="the very same"))
    assert (again.status_code, replayed.status_code, replayed.json()["error"]) == (200, 401, "invalid_client")


WRONG: dict[str, dict[str, Any]] = {
    "another audience": {"aud": "https://else.example"},
    "no audience": {"aud": None},
    "an audience that is no text": {"aud": 7},
    "over": {"exp": 1},
    "over by more than clocks differ": {"exp": -61},
    "no end": {"exp": None},
    "an end that is no number": {"exp": "tomorrow"},
    "an end that is far away": {"exp": 3600},
    "an end beyond all numbers": {"exp": 1e308},
    "not yet": {"nbf": 3600},
    "made tomorrow": {"iat": 86_400},
    "another issuer": {"iss": "eoi_000000000000"},
    "no issuer": {"iss": None},
    "another subject": {"sub": "eoi_000000000000"},
    "no subject": {"sub": None},
    "a subject that is no text": {"sub": ["x"]},
    "no number": {"jti": None},
    "a number that is no text": {"jti": 7},
    "a short number": {"jti": "1"},
    "a number without end": {"jti": "1" * 5000},
}


@pytest.mark.parametrize("wrong", sorted(WRONG))
def test_an_assertion_that_is_not_for_here_or_now_is_refused(
    client: TestClient, db: Session, call: Call, pair: Key, wrong: str
) -> None:
    made = registered(db, call, pair)
    now = int(time.time())
    moved = {
        n: (now + v if n in ("exp", "nbf", "iat") and isinstance(v, int) and v != 1 else v)
        for n, v in WRONG[wrong].items()
    }
    answer = present(client, assertion(made, pair, None, **moved))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["www-authenticate"] == 'Basic realm="eoi"'
    assert db.scalars(select(AccessToken)).all() == []


def test_clocks_may_differ_by_less_than_a_minute(client: TestClient, db: Session, call: Call, pair: Key) -> None:
    made = registered(db, call, pair)
    now = int(time.time())
    assert present(client, assertion(made, pair, exp=now - 30)).status_code == 200
    assert present(client, assertion(made, pair, iat=now + 30)).status_code == 200


def pem(pair: Key) -> bytes:
    raw: Any = pair.raw_value
    made: bytes = raw.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return made


def encoded(value: Any) -> str:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def confused(body: str, secret: bytes) -> str:
    """Signed with HS256, the client's public key taken for a shared secret."""
    signed = f"{encoded({'alg': 'HS256', 'typ': 'JWT'})}.{body}"
    return f"{signed}.{encoded(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def test_no_other_algorithm_and_no_other_key_will_do(client: TestClient, db: Session, call: Call, pair: Key) -> None:
    made = registered(db, call, pair)
    good = assertion(made, pair)
    head, body, signature = good.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    stranger: Any = OKPKey.generate_key("Ed25519") if algorithm(pair) == "Ed25519" else ECKey.generate_key("P-256")
    forged = [
        f"{encoded({'alg': 'none'})}.{body}.",
        f"{encoded({'alg': 'NONE'})}.{body}.{signature}",
        confused(body, pem(pair)),
        confused(body, pem(pair).strip()),
        confused(body, encoded(pem(pair)).encode()),
        jwt.encode({"alg": "RS256"}, claims, RSAKey.generate_key(2048), algorithms=["RS256"]),
        assertion(made, stranger),
        assertion(made, stranger, {"jwk": stranger.as_dict(private=False)}),
        assertion(made, stranger, {"jku": "http://127.0.0.1/keys"}),
        f"{head}.{encoded({'sub': made.prefix})}.{signature}",
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{head}.{encoded(b'[1]')}.{signature}",
        f"{head}.{encoded(b'{')}.{signature}",
        f"{encoded(b'[[' * 400)}.{body}.{signature}",
        f"{head}.{body}",
        "..",
        "x",
        "\u00e9.\u00e9.\u00e9",
        "a" * 9000,
    ]
    for token in forged:
        answer = present(client, token)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client"), token
    assert db.scalars(select(AccessToken)).all() == []
    assert present(client, good).status_code == 200


def test_each_proof_is_for_its_own_sort_of_client(client: TestClient, db: Session, call: Call, pair: Key) -> None:
    with_secret, secret = make.agreed(db, [call.code], kind="client_secret")
    with_pair = registered(db, call, pair)
    key, key_text = make.issued(db, [call.code])
    assert present(client, assertion(with_secret, pair)).status_code == 401
    refused = [
        basic(with_pair.prefix, secret),
        basic(key.prefix, key_text),
        basic(with_secret.prefix, "x"),
        basic(with_secret.prefix, secret[:-1] if secret else ""),
        basic("eoi_000000000000", secret),
        basic("\x00", "\x00"),
        basic("é", "é"),
        {"Authorization": "Basic ????"},
        {"Authorization": "Basic "},
        {"Authorization": "Basic"},
        {"Authorization": f"Basic {base64.b64encode(bytes([255, 254])).decode()}"},
        {"Authorization": f"Bearer {key_text}"},
        {},
    ]
    bodies = [ask(client, headers) for headers in refused]
    assert [answer.status_code for answer in bodies] == [401] * len(refused)
    assert ask(client, client_id=with_secret.prefix, client_secret=str(secret)).status_code == 401  # not in the body
    assert ask(client, basic(with_secret.prefix, secret)).status_code == 200


def test_errors_are_those_of_the_standard(client: TestClient, db: Session, call: Call) -> None:
    made, secret = make.agreed(db, [call.code], "submissions:read", kind="client_secret")
    proof = basic(made.prefix, secret)
    form = "application/x-www-form-urlencoded"
    cases: list[tuple[str, Any]] = [
        ("unsupported_grant_type", ask(client, proof, grant_type="password")),
        ("unsupported_grant_type", ask(client, proof, grant_type='"\\é')),
        ("unsupported_grant_type", client.post(URL, headers=proof | {"Content-Type": form}, content="")),
        ("invalid_scope", ask(client, proof, scope="attachments:read")),
        ("invalid_scope", ask(client, proof, scope="submissions:read everything")),
        ("invalid_request", client.post(URL, headers=proof, json={"grant_type": "client_credentials"})),
        ("invalid_request", ask(client, proof, scope="a" * 20_000)),
        ("invalid_request", ask(client, proof, scope="\x00")),
        (
            "invalid_request",
            client.post(URL, headers=proof | {"Content-Type": form}, content="grant_type=a&grant_type=b"),
        ),
        ("invalid_request", client.post(URL, headers=proof | {"Content-Type": form}, content=b"grant_type=\xff")),
    ]
    for error, answer in cases:
        assert (answer.status_code, answer.json()["error"]) == (400, error), answer.text
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"


def test_a_client_from_elsewhere_gets_no_token_and_a_token_does_not_travel(
    portal: Portal, client: TestClient, db: Session, call: Call
) -> None:
    made, secret = make.agreed(db, [call.code], kind="client_secret", networks=["192.0.2.0/24"])
    answer = ask(client, basic(made.prefix, secret))
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")
    inside = TestClient(create_app(portal), client=("192.0.2.1", 1))
    token = ask(inside, basic(made.prefix, secret)).json()["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert (inside.get(CALLS, headers=bearer).status_code, client.get(CALLS, headers=bearer).json()["code"]) == (
        200,
        "network_not_allowed",
    )
    inside.close()


def test_a_token_ends_with_its_client_and_with_its_ten_minutes(client: TestClient, db: Session, call: Call) -> None:
    made, secret = make.agreed(db, [call.code], kind="client_secret")
    headers = [
        {"Authorization": f"Bearer {ask(client, basic(made.prefix, secret)).json()['access_token']}"} for _ in range(2)
    ]
    assert client.get(CALLS, headers=headers[0]).status_code == 200
    with make.owner(db):
        first = db.scalars(select(AccessToken).order_by(AccessToken.issued_at)).first()
        assert first
        db.execute(update(AccessToken).where(AccessToken.prefix == first.prefix).values(expires_at=calls.clock(db)))
    codes = [client.get(CALLS, headers=one).json().get("code") for one in headers]
    assert codes == ["key_expired", None]
    keys.revoke(db, SYSTEM, made.id)
    assert client.get(CALLS, headers=headers[1]).json()["code"] == "key_revoked"
    assert ask(client, basic(made.prefix, secret)).json()["error"] == "invalid_client"


def test_a_proposed_client_gets_nothing(client: TestClient, db: Session, call: Call, pair: Key) -> None:
    admin = make.person(db, "admin@rvo.example", staff="admin")
    public_key = signing.public_key(json.dumps(pair.as_dict(private=False)))
    wish = keys.Wish("x", [call.code], ["submissions:read"], "client_key", public_key=public_key)
    made = keys.propose(db, admin, wish)
    assert present(client, assertion(made, pair)).status_code == 401
    keys.approve(db, make.person(db, "coordinator@rvo.example", staff="coordinator"), made.id)
    assert present(client, assertion(made, pair)).status_code == 200


def test_a_client_asks_for_so_many_tokens_a_minute(
    client: TestClient, db: Session, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, secret = make.agreed(db, [call.code], kind="client_secret")
    monkeypatch.setattr("app.api.oauth.TOKENS", 2)
    answers = [ask(client, basic(made.prefix, secret)) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["retry-after"]


def test_many_failures_from_one_address_are_slowed_down(client: TestClient) -> None:
    assert [ask(client, basic("x", "y")).status_code for _ in range(31)] == [401] * 30 + [429]


def test_old_tokens_and_assertions_are_forgotten(client: TestClient, db: Session, call: Call, pair: Key) -> None:
    made = registered(db, call, pair)
    for _ in range(2):
        present(client, assertion(made, pair))
    with make.owner(db):
        for table in ("access_token", "assertion"):
            db.execute(
                text(
                    f"update {table} set expires_at = now() - interval '61 minutes'"
                    f" where ctid = (select min(ctid) from {table})"
                )
            )
    grants.sweep(db)
    assert [len(db.scalars(select(kind)).all()) for kind in (AccessToken, Assertion)] == [1, 1]


def test_a_token_that_lives_long_cannot_be_written(db: Session, call: Call) -> None:
    made, _ = make.agreed(db, [call.code], kind="client_secret")
    nested = db.begin_nested()
    with pytest.raises(Exception, match="access_token_is_short_lived"):
        db.execute(
            text("insert into access_token values ('p', 'h', :id, '{}', now(), now() + interval '2 hours')"),
            {"id": made.id},
        )
    nested.rollback()


def test_clients_find_their_way(client: TestClient) -> None:
    found = client.get("/.well-known/oauth-authorization-server").json()
    assert (found["issuer"], found["token_endpoint"]) == ("http://testserver", AUDIENCE)
    assert found["token_endpoint_auth_methods_supported"] == ["client_secret_basic", "private_key_jwt"]
    assert found["grant_types_supported"] == ["client_credentials"]


def test_a_public_key_is_read_as_jwk_or_pem_and_a_private_one_is_refused(pair: Key) -> None:
    public = signing.public_key(json.dumps(pair.as_dict(private=False)))
    assert public == signing.public_key(pem(pair).decode())
    assert public
    assert "d" not in public
    raw: Any = pair.raw_value
    private_pem = raw.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    for private in (json.dumps(pair.as_dict(private=True)), private_pem):
        with pytest.raises(signing.PrivateKeyGiven):
            signing.public_key(private)
    rsa = RSAKey.generate_key(2048).as_dict(private=False)
    wrong = [
        "",
        "x",
        "{",
        "{}",
        "[]",
        "\x00",
        '{"kty": "OKP"}',
        '{"kty": "oct", "k": "AAAA"}',
        json.dumps(rsa),
        "-----BEGIN PUBLIC KEY-----",
        "{" * 5000,
    ]
    assert [signing.public_key(text_of_key) for text_of_key in wrong] == [None] * len(wrong)
