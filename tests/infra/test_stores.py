"""The same promises of a folder and of a bucket, the bucket at a real server of moto that checks If-None-Match."""

import hashlib
import importlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import obstore
import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app import backup
from app.deps import Portal
from app.domain import sweeping, verification
from app.domain.verification import Evidence
from app.infra.bucket import AT_ONCE, Bucket, Damaged, store_of
from app.infra.files import CHUNK, FileStore, FileTooLarge, Infected
from tests import make
from tests.journeys.served import serving
from tests.web.test_guards import SignIn

HELLO = b"hello"
SHA = hashlib.sha256(HELLO).hexdigest()
PUTS = """
import sys
from pathlib import Path
from app.infra import bucket
store = bucket.store_of(sys.argv[1], Path(sys.argv[2]))
with store.staged(open(sys.argv[3], "rb"), 1 << 40) as staged:
    print("whole", flush=True)
    store.keep(staged)
"""

INFECTED = """insert into file_scan (digest, state, finding) values (:digest, 'infected', 'Eicar')
  on conflict (digest) do update set state = 'infected', finding = 'Eicar'"""


@pytest.fixture(scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A server of S3 in a process of its own, with a bucket, and the environment that leads there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (tmp_path_factory.mktemp("moto") / "log").open("wb")
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=log, stderr=log)
    given = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1",
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as environ:
        for name, value in given.items():
            environ.setenv(name, value)
        until = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, Path(log.name).read_text()
                assert time.monotonic() < until
        request = b"PUT /files HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        with socket.create_connection(("127.0.0.1", port)) as line:
            line.sendall(request)
            assert b" 200 " in line.recv(1000)
        yield
    process.terminate()
    process.wait(timeout=20)
    log.close()


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> FileStore:
    """An empty store of either sort."""
    if request.param == "folder":
        return store_of(tmp_path.as_uri(), tmp_path / "spool")
    request.getfixturevalue("_server")
    return store_of(f"s3://files/{tmp_path.name}", tmp_path / "spool")


def put(store: FileStore, content: bytes = HELLO) -> str:
    with store.staged(BytesIO(content), 1 << 40) as staged:
        store.keep(staged)
    return staged.sha256


def test_what_is_kept_is_there_whole_by_its_digest_and_twice_is_once(store: FileStore) -> None:
    assert (put(store), put(store), list(store.names())) == (SHA, SHA, [SHA])
    with store.open(SHA) as file:
        assert (file.read(2), file.seek(4), file.read()) == (b"he", 4, b"o")
    assert store.path(SHA).read_bytes() == store.path(SHA).read_bytes() == HELLO
    assert store.digest(SHA) == (SHA, 5)
    assert store.ready()


def test_what_is_not_kept_is_missing_and_names_of_others_are_no_paths(store: FileStore) -> None:
    with store.staged(BytesIO(HELLO), 5):
        pass
    assert (list(store.names()), store.digest(SHA), store.remove(SHA)) == ([], None, False)
    for name in (SHA, "../../etc/passwd", "", SHA[:-1]):
        with pytest.raises(FileNotFoundError):
            store.open(name)


def test_a_stream_beyond_the_limit_leaves_nothing_and_a_large_file_comes_back_whole(store: FileStore) -> None:
    with pytest.raises(FileTooLarge), store.staged(BytesIO(HELLO), 4):
        pass
    large = os.urandom(CHUNK) * (AT_ONCE // CHUNK + 2)  # more than goes in one request
    name = put(store, large)
    assert store.digest(name) == (name, len(large))
    assert list(store.names()) == [name]
    assert list((store.folder / "new").iterdir()) == []


def test_many_who_keep_the_same_bytes_at_once_keep_one_file(store: FileStore) -> None:
    failures: list[BaseException] = []
    barrier = threading.Barrier(8)

    def one() -> None:
        try:
            with store.staged(BytesIO(HELLO), 5) as staged:
                barrier.wait(20)
                store.keep(staged)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (failures, list(store.names()), store.digest(SHA)) == ([], [SHA], (SHA, 5))


def test_what_is_shut_away_is_given_to_nobody_and_what_is_removed_is_gone(store: FileStore) -> None:
    put(store)
    store.path(SHA)
    store.shut_away(SHA)
    for verb in (store.open, store.path):
        with pytest.raises(Infected):
            verb(SHA)
    assert store.evidence(SHA).read_bytes() == HELLO
    with store.read(SHA) as file:
        assert file.read() == HELLO
    assert store.remove(SHA)
    assert (store.remove(SHA), store.digest(SHA), list(store.names())) == (False, None, [])


def test_a_kill_in_the_middle_leaves_nothing_that_is_seen(store: FileStore, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(CHUNK) * (AT_ONCE // CHUNK + 20))
    url = f"s3://files/{tmp_path.name}" if isinstance(store, Bucket) else tmp_path.as_uri()
    command = [sys.executable, "-c", PUTS, url, str(tmp_path / "spool"), str(source)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"whole\n"
        process.send_signal(signal.SIGKILL)
    whole = hashlib.sha256(source.read_bytes()).hexdigest()
    assert store.digest(whole) in (None, (whole, source.stat().st_size))
    assert put(store, source.read_bytes()) == whole
    assert store.digest(whole) == (whole, source.stat().st_size)


@pytest.mark.usefixtures("_server")
def test_what_a_bucket_changed_is_given_to_nobody_and_what_was_fetched_goes(tmp_path: Path) -> None:
    store = store_of(f"s3://files/{tmp_path.name}", tmp_path)
    assert isinstance(store, Bucket)
    put(store)
    os.utime(store.path(SHA), (1, 1))
    store.tidy()
    assert list((tmp_path / "fetched").iterdir()) == []
    obstore.put(store.bucket, f"kept/{SHA}", b"other")
    with pytest.raises(Damaged):
        store.path(SHA)
    assert [path for name in ("new", "fetched") for path in (tmp_path / name).iterdir()] == []


@pytest.mark.usefixtures("_server")
@pytest.mark.parametrize("how", ["AES256", "aws:kms", "none"])
def test_the_bucket_is_asked_to_encrypt(tmp_path: Path, how: str) -> None:
    key = "&key=alias/eoi" if how == "aws:kms" else ""
    store = store_of(f"s3://files/{how[:3]}{tmp_path.name}?encryption={how}{key}", tmp_path)
    put(store)
    boto3 = importlib.import_module("boto3")  # moto's own dependency, without types
    said = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"]).head_object(
        Bucket="files", Key=f"{how[:3]}{tmp_path.name}/kept/{SHA}"
    )
    assert said.get("ServerSideEncryption") == (None if how == "none" else how)
    assert said.get("SSEKMSKeyId") == ("alias/eoi" if key else None)


def test_a_portal_does_not_know_where_its_files_lie(
    client: TestClient, db: Session, portal: Portal, sign_in: SignIn, store: FileStore, tmp_path: Path
) -> None:
    portal.files = store
    case, lead = make.submission(db)
    kept = make.attach(db, store, lead, case)
    make.send(db, lead, case, portal.signer)
    make.move_deadline(db, case.call, 0)
    make.seal(db, case.call, portal.signer)
    make.free(db, make.person(db, "jo@rvo.example", staff="reviewer"), case)
    evidence = Evidence(store, portal.signer.jwks())
    assert verification.run(db, evidence) == []
    sign_in(client, "jo@rvo.example")
    assert client.get(f"/review/{case.reference}/attachments/{kept.sha256}").content == make.document()
    with zipfile.ZipFile(BytesIO(client.get(f"/review/{case.reference}/files.zip").content)) as package:
        assert make.document() in [package.read(name) for name in package.namelist()]
    there = f"/api/v1/submissions/{case.reference}/attachments/{kept.sha256}"
    some = client.get(there, headers={"Authorization": f"Bearer {make.key(db, case.call)}", "Range": "bytes=5-8"})
    assert (some.status_code, some.content) == (206, make.document()[5:9])
    saved, back = FileStore(tmp_path / "saved"), FileStore(tmp_path / "back")
    assert backup._copied(store, saved) == backup._copied(saved, back)
    assert list(back.names()) == [kept.sha256]
    assert sweeping._remove(db, store, kept.sha256) == 0  # a version names it
    store.remove(kept.sha256)
    assert verification.run(db, evidence) != []


@pytest.mark.usefixtures("_server")
def test_the_commands_back_a_bucket_up_and_bring_it_back_into_another_or_into_a_folder(tmp_path: Path) -> None:
    name = tmp_path.name
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("FILES_URL", f"s3://files/from-{name}")
        with serving(tmp_path) as served:
            kept = sorted(store_of(f"s3://files/from-{name}", tmp_path / "a").names())
            served.ask(INFECTED, digest=kept[0])
            done = served.run("backup", str(tmp_path / "backup"))
            assert done.stdout.startswith("Kept 12 versions, 2 files and "), done.stderr
    assert sorted(FileStore(tmp_path / "backup" / "files").names()) == kept
    assert not (tmp_path / "backup" / "data" / "spool").exists()  # what lies there nobody was told of yet
    for to in (f"s3://files/to-{name}", (tmp_path / "folder").as_uri()):
        data = tmp_path / f"data-{to[:2]}"
        there = {"FILES_URL": to, "DATA": str(data), "DEMO": "1"}
        done = subprocess.run(
            [sys.executable, "-m", "app", "restore", str(tmp_path / "backup")],
            env=os.environ | there, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.stdout.startswith("Whole: 12 versions, 2 files,"), done.stderr
        back = store_of(to, tmp_path / "b")
        assert sorted(back.names()) == kept
        assert [back.is_shut_away(sha256) for sha256 in kept] == [True, False]  # though no scanner looks here
