"""The log: each answer to a machine and each refusal has a line that a machine can read, and none has what somebody typed."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app import doorman
from app.deps import Portal
from app.main import create_app
from tests import make
from tests.web.test_guards import SignIn

TYPED = "ada.lovelace@private.example"


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What a serving process writes, as it does outside the demonstration."""
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers[:] = []
    doorman.keep_log("json")
    yield written
    root.handlers[:] = before
    root.setLevel(level)


def lines(written: io.StringIO) -> list[dict[str, Any]]:
    """Those of the portal; the client of these tests has its own."""
    return [line for line in map(json.loads, written.getvalue().splitlines()) if line["room"].startswith("app.")]


def test_each_refusal_has_a_line_with_its_number_and_page_and_nothing_that_was_typed(
    client: TestClient, db: Session, sign_in: SignIn, kept: io.StringIO
) -> None:
    case, _ = make.submission(db)
    token = sign_in(client, "stranger@else.example")
    kept.truncate(kept.seek(0))
    asked = [
        client.get(f"/apply/{case.reference}"),
        client.post(f"/apply/{case.reference}/withdrawal", data={"csrf_token": token, "reason": TYPED}),
        client.post("/account", data={"csrf_token": "forged", "name": TYPED}),
        client.get(f"/{TYPED}"),
        client.get("/review/mine"),
        client.get("/calls"),
    ]
    assert [a.status_code for a in asked] == [404, 404, 403, 404, 404, 200]
    told = [(line["method"], line["route"], line["status"], line["by"]) for line in lines(kept)]
    assert told == [
        ("GET", "/apply/{ref}", 404, "person"),
        ("POST", "/apply/{ref}/withdrawal", 404, "person"),
        ("POST", "/account", 403, "person"),
        ("GET", "no page", 404, "anonymous"),
        ("GET", "/review/mine", 404, "person"),
    ]
    assert [line["request"] for line in lines(kept)] == [a.headers["x-request-id"] for a in asked[:5]]
    assert [line for line in lines(kept) if TYPED in str(line) or "stranger" in str(line)] == []


def test_a_line_stays_one_line_whatever_is_in_it_and_a_fault_has_its_trace(kept: io.StringIO) -> None:
    log = logging.getLogger("app.test")
    log.warning("two\nlines %s", '"quoted"\x1b[31m')
    try:
        raise ValueError("a\nb")
    except ValueError:
        log.exception("failed")
    first, second = lines(kept)
    assert (first["message"], first["level"], first["request"]) == ('two\nlines "quoted"\x1b[31m', "WARNING", "-")
    assert second["trace"].endswith("ValueError: a\nb")
    assert len(kept.getvalue().splitlines()) == 2
    assert "\x1b" not in kept.getvalue()


def test_a_fault_of_a_statement_is_told_without_what_was_given_to_it(db: Session, kept: io.StringIO) -> None:
    with pytest.raises(DBAPIError) as fault, db.begin_nested():
        db.execute(text("select 1 / 0, cast(:typed as text)"), {"typed": TYPED})
    logging.getLogger("app.test").error("failed", exc_info=fault.value)
    (line,) = lines(kept)
    assert "division by zero" in line["trace"]
    assert TYPED not in line["trace"]


def test_whoever_leaves_while_sending_a_form_is_no_fault_of_ours(portal: Portal, kept: io.StringIO) -> None:
    head = [(b"host", b"testserver"), (b"origin", b"http://testserver")]
    head.append((b"content-type", b"application/x-www-form-urlencoded"))
    scope = {"type": "http", "method": "POST", "path": "/account/sign-in", "query_string": b"", "headers": head}
    scope |= {"scheme": "http", "server": ("testserver", 80), "client": ("127.0.0.1", 1), "root_path": ""}
    came = iter([{"type": "http.request", "body": b"email=", "more_body": True}, {"type": "http.disconnect"}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(came)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(create_app(portal)(scope, receive, send))
    assert sent[0]["status"] == 400
    assert [line["level"] for line in lines(kept) if line["level"] != "INFO"] == []
