"""Compression: when it is asked for, of what is worth it, as it streams; never of files, ranges, tokens or pages."""

import asyncio
import gzip
import sys
import zlib
from typing import Any

import pytest
from sqlalchemy.orm import Session
from starlette.responses import StreamingResponse
from starlette.testclient import TestClient

from app.api import packed
from app.deps import Portal
from app.models import Call, Submission
from tests import make

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


@pytest.fixture
def case(db: Session, portal: Portal) -> Submission:
    """A released submission with a file."""
    made, actor = make.submission(db)
    make.attach(db, portal.files, actor, made)
    make.send(db, actor, made, portal.signer)
    make.close(db, made.call)
    make.number(db)
    return made


def ask(client: TestClient, db: Session, call: Call, path: str, accepted: str, **more: str) -> tuple[Any, bytes]:
    """The answer and its bytes as they came over the wire."""
    key = {"Authorization": f"Bearer {make.key(db, call)}", "Accept-Encoding": accepted}
    with client.stream("GET", f"/api/v1{path}", headers=key | more) as answer:
        return answer, b"".join(answer.iter_raw())


@pytest.mark.parametrize(
    ("accepted", "wanted"),
    [
        ("gzip", "gzip"),
        ("zstd", "zstd"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("GZIP;q=0.5", "gzip"),
        ("*", "zstd"),
        ("zstd;q=0, gzip", "gzip"),
        ("*;q=0", None),
        ("br", None),
        ("identity", None),
        ("gzip;q=x", None),
        ("", None),
    ],
)
def test_the_coding_is_one_that_was_asked_for(accepted: str, wanted: str | None) -> None:
    assert packed.coding(accepted) == wanted


@pytest.mark.parametrize(("name", "unpack"), [("gzip", gzip.decompress), ("zstd", zstd.decompress)])
def test_documents_lines_and_tables_come_packed_and_are_the_same(
    client: TestClient, db: Session, case: Submission, name: str, unpack: Any
) -> None:
    code = case.call.code
    for path in (f"/submissions/{case.reference}", f"/calls/{code}/export.schema.json", f"/calls/{code}/export.csv"):
        plain, as_is = ask(client, db, case.call, path, "identity")
        answer, content = ask(client, db, case.call, path, name)
        assert (answer.headers["content-encoding"], unpack(content)) == (name, as_is), path
        assert len(content) < len(as_is)
        assert (plain.headers["vary"], answer.headers["vary"]) == ("Accept-Encoding", "Accept-Encoding")
        assert "content-encoding" not in plain.headers
    answer, content = ask(client, db, case.call, f"/calls/{code}/export.ndjson", name)
    assert (answer.headers["content-encoding"], unpack(content).count(b"\n")) == (name, 2)


def test_a_packed_answer_has_a_weak_etag_that_spares_the_next_read(
    client: TestClient, db: Session, case: Submission
) -> None:
    path = f"/submissions/{case.reference}"
    plain, _ = ask(client, db, case.call, path, "identity")
    answer, _ = ask(client, db, case.call, path, "zstd")
    assert answer.headers["etag"] == plain.headers["etag"]
    assert answer.headers["etag"].startswith('W/"')
    again, content = ask(client, db, case.call, path, "zstd", **{"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, content, again.headers["vary"]) == (304, b"", "Accept-Encoding")


def test_files_ranges_and_what_is_small_come_as_they_are(client: TestClient, db: Session, case: Submission) -> None:
    code, sha256 = case.call.code, make.sha256(make.document())
    file = f"/submissions/{case.reference}/attachments/{sha256}"
    for path, more in (
        (file, {}),
        (file, {"Range": "bytes=0-4"}),
        (f"/calls/{code}/export.zip", {}),
        (f"/calls/{code}/export.xlsx", {}),
        ("/time", {}),
    ):
        answer, content = ask(client, db, case.call, path, "gzip, zstd", **more)
        assert (answer.status_code in (200, 206), "content-encoding" in answer.headers) == (True, False), path
        if path == file:
            assert answer.headers["etag"] == f'"{sha256}"'
            assert "vary" not in answer.headers
            assert len(content) == int(answer.headers["content-length"])


def test_pages_with_tokens_in_their_forms_are_never_packed(client: TestClient, case: Submission) -> None:
    for path in ("/calls", "/account/sign-in", f"/calls/{case.call.code}"):
        answer = client.get(path, headers={"Accept-Encoding": "gzip, zstd"})
        assert (answer.status_code, "content-encoding" in answer.headers) == (200, False), path


def test_what_hands_out_tokens_is_never_packed() -> None:
    for path, is_packed in (("/api/v1/oauth/token", False), ("/api/v1/calls", True)):
        answer = StreamingResponse(iter([b"x" * 5000]), media_type="application/json")
        messages = asyncio.run(sent(answer, path, "gzip"))
        assert (b"content-encoding" in dict(messages[0]["headers"])) is is_packed


async def sent(answer: Any, path: str, accepted: str) -> list[Any]:
    messages: list[Any] = []

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        messages.append(message)

    scope = {"type": "http", "path": path, "method": "GET", "headers": [(b"accept-encoding", accepted.encode())]}
    await packed.Packing(answer)(scope, receive, send)
    return messages


@pytest.mark.parametrize(
    ("name", "unpacker"), [("gzip", lambda: zlib.decompressobj(31)), ("zstd", zstd.ZstdDecompressor)]
)
def test_each_part_can_be_read_as_soon_as_it_came(name: str, unpacker: Any) -> None:
    lines = [b"%d" % place * 300 + b"\n" for place in range(3)]
    messages = asyncio.run(sent(StreamingResponse(iter(lines), media_type="application/x-ndjson"), "/", name))
    reader = unpacker()
    assert [reader.decompress(message["body"]) for message in messages[1:4]] == lines
