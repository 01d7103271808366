"""What the API says to a key that is wrong, late, from elsewhere or in a hurry; and what is left to one that is right."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text, update
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import calls, keys, tokens, usage
from app.domain.access import SYSTEM
from app.main import create_app
from app.models import ApiKey, Call
from tests import make

CALLS = "/api/v1/calls"


@pytest.fixture
def call(db: Session) -> Call:
    return make.call(db)


def bearer(text_of_key: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {text_of_key}"}


def told(client: TestClient, text_of_key: str | None, path: str = CALLS) -> tuple[int, str, str]:
    """Status, code and challenge of an answer."""
    answer = client.get(path, headers=bearer(text_of_key))
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"], answer.headers.get("www-authenticate", "")


INVALID = 'Bearer realm="eoi", error="invalid_token"'


def test_without_a_key_the_challenge_names_no_error(client: TestClient) -> None:
    answer = client.get(CALLS)
    assert (answer.status_code, answer.json()["code"], answer.headers["www-authenticate"]) == (
        401,
        "unauthenticated",
        'Bearer realm="eoi"',
    )


def test_each_wrong_key_is_refused_with_its_own_code(client: TestClient, db: Session, call: Call) -> None:
    _, good = make.issued(db, [call.code])
    assert told(client, good[:-1]) == (401, "key_mistyped", INVALID)
    assert told(client, tokens.new_text(tokens.new_name(tokens.KEY))[0]) == (401, "unauthenticated", INVALID)
    expired, late = make.issued(db, [call.code])
    db.execute(update(ApiKey).where(ApiKey.id == expired.id).values(expires_at=calls.clock(db)))
    assert told(client, late) == (401, "key_expired", INVALID)
    revoked, ended = make.issued(db, [call.code])
    keys.revoke(db, SYSTEM, revoked.id)
    assert told(client, ended) == (401, "key_revoked", INVALID)
    _, secret = make.agreed(db, [call.code], kind="client_secret")
    assert told(client, secret) == (401, "key_needs_a_token", INVALID)
    _, elsewhere = make.issued(db, [call.code], networks=["192.0.2.0/24"])
    assert told(client, elsewhere) == (403, "network_not_allowed", "")
    _, files = make.issued(db, [call.code], "attachments:read")
    assert told(client, files) == (
        403,
        "insufficient_scope",
        'Bearer realm="eoi", error="insufficient_scope", scope="submissions:read"',
    )


def test_a_revoked_key_ends_at_once(client: TestClient, db: Session, call: Call) -> None:
    made, good = make.issued(db, [call.code])
    assert client.get(CALLS, headers=bearer(good)).status_code == 200
    keys.revoke(db, SYSTEM, made.id)
    assert told(client, good)[:2] == (401, "key_revoked")


@pytest.mark.parametrize(
    ("address", "status"),
    [("192.0.2.9", 200), ("::ffff:192.0.2.9", 200), ("2001:db8::1", 200), ("192.0.3.9", 403), ("2001:db9::1", 403)],
)
def test_the_network_is_that_of_the_caller(portal: Portal, db: Session, call: Call, address: str, status: int) -> None:
    _, good = make.issued(db, [call.code], networks=["192.0.2.0/24", "2001:db8::/32"])
    client = TestClient(create_app(portal), client=(address, 1))
    assert client.get(CALLS, headers=bearer(good)).status_code == status
    forged = {**bearer(good), "X-Forwarded-For": "192.0.2.9", "Forwarded": "for=192.0.2.9"}
    assert client.get(CALLS, headers=forged).status_code == status  # only the server believes proxies, and only its own
    client.close()


LEFT = re.compile(r'"key";r=(\d+);t=(\d+)')


def test_each_answer_to_a_key_says_what_is_left(client: TestClient, db: Session, call: Call) -> None:
    good = bearer(make.key(db, call))
    answers = [client.get(path, headers=good) for path in (CALLS, f"{CALLS}/none", f"{CALLS}/{call.code}/submissions")]
    assert [answer.status_code for answer in answers] == [200, 404, 403]
    left = [LEFT.fullmatch(answer.headers["ratelimit"]) for answer in answers]
    assert all(answer.headers["ratelimit-policy"] == '"key";q=600;w=60' for answer in answers)
    numbers = [int(one[1]) for one in left if one]
    assert numbers == [599, 598, 597] or numbers[-1] == 599  # a new minute began between
    assert all(one and 1 <= int(one[2]) <= 61 for one in left)
    assert "ratelimit" not in client.get("/api/v1/time").headers


def test_beyond_the_rate_a_key_waits(
    client: TestClient, portal: Portal, db: Session, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, good = make.issued(db, [call.code])
    at = calls.clock(db).replace(second=10, microsecond=0)
    monkeypatch.setattr(portal, "now", lambda: at)
    portal.meter.windows["key", str(made.id)] = usage.Window(at.replace(second=0), known=portal.settings.api_requests)
    answer = client.get(CALLS, headers=bearer(good))
    assert (answer.status_code, answer.json()["code"]) == (429, "throttled")
    assert answer.headers["retry-after"] == "51"
    assert answer.headers["ratelimit"] == '"key";r=0;t=51'


def test_many_wrong_keys_from_one_address_are_slowed_down(client: TestClient, db: Session) -> None:
    statuses = [client.get(CALLS, headers=bearer("eoi_wrong")).status_code for _ in range(31)]
    assert statuses == [401] * 30 + [429]


def test_what_a_key_asked_for_is_counted_by_group_and_what_it_was_refused_by_code(
    client: TestClient, portal: Portal, db: Session, call: Call
) -> None:
    made, good = make.issued(db, [call.code])
    for path in (CALLS, f"{CALLS}/{call.code}", f"{CALLS}/{call.code}/submissions"):
        client.get(path, headers=bearer(good))
    db.execute(update(ApiKey).where(ApiKey.id == made.id).values(expires_at=calls.clock(db)))
    client.get(CALLS, headers=bearer(good))
    client.get(CALLS, headers=bearer(tokens.new_text(made.prefix)[0]))
    now = portal.now()
    portal.meter.flush(portal.sessions, now)
    use = usage.of_keys(db, now.date())[made.id]
    assert (dict(use.groups), dict(use.refused)) == (
        {"calls": 2, "submissions": 1},
        {"key_expired": 1, "unauthenticated": 1},
    )
    assert sum(use.days.values()) == 3


def test_the_pattern_that_finds_leaked_secrets_stands_in_the_documents_and_fits(
    client: TestClient, db: Session
) -> None:
    documented = (Path(__file__).parents[2] / "docs" / "security-api.md").read_text()
    patterns = re.findall(r"^    (eoi_\S+)$", documented, re.MULTILINE)
    (pattern,) = patterns
    texts = [make.issued(db, ["x"])[1], tokens.new_text(tokens.new_name(tokens.ACCESS_TOKEN))[0]]
    texts.append(str(make.agreed(db, ["x"], kind="client_secret")[1]))
    for one in texts:
        assert re.findall(pattern, f"token = '{one}'") == [one]
    assert pattern in client.get("/api/v1/docs").text


def test_openapi_names_both_ways_in(client: TestClient) -> None:
    described = client.get("/api/v1/openapi.json").json()
    schemes = described["components"]["securitySchemes"]
    assert (schemes["key"]["type"], schemes["key"]["scheme"]) == ("http", "bearer")
    flow = schemes["oauth2"]["flows"]["clientCredentials"]
    assert flow["tokenUrl"] == "/api/v1/oauth/token"
    assert set(flow["scopes"]) == set(keys.SCOPES)
    assert {"oauth2": ["submissions:read"]} in described["paths"]["/calls"]["get"]["security"]


def test_a_lookup_of_a_key_reads_once_and_writes_once_a_second(client: TestClient, db: Session, call: Call) -> None:
    good = bearer(make.key(db, call))
    client.get(CALLS, headers=good)
    written = db.scalar(text("select sum(count) from throttle where key like 'api:key:%'"))
    for _ in range(3):
        client.get(CALLS, headers=good)
    assert written == 1
    assert timedelta(seconds=usage.LAG) == timedelta(seconds=1)
