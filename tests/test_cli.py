"""The command line: each example works, data come as JSON, and the exit code tells done, refused or cannot tell."""

import json
import re
import secrets
import shlex
import uuid
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import Session
from typer.main import get_command
from typer.testing import CliRunner, Result

from app import server
from app.cli import app
from app.domain import callfile, calls, rootkeys, seals, statements
from app.infra import database
from app.infra.files import FileStore
from app.infra.postgres import Cluster
from app.infra.signing import Signer
from app.models import Submission
from app.settings import Settings
from tests import make
from tests.conftest import clone

ROOT = Path(__file__).parent.parent
Run = Callable[..., Result]
pytestmark = pytest.mark.committed


@pytest.fixture(scope="module")
def place(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, str], Path]]:
    """A portal's environment and a folder to work in: a closed call with a receipt, and an open one."""
    name = clone(cluster, f"eoi_{secrets.token_hex(6)}")
    folder = tmp_path_factory.mktemp("cli")
    (folder / "calls").symlink_to(ROOT / "calls")
    engine = create_engine(database.sqlalchemy_url(cluster.superuser_url(name)))
    with Session(engine) as db, db.begin():
        signer = Signer.load_or_create(folder / "data" / "keys")
        for code, closes_in in (("aigf-eoi", 0), ("open", 3600)):
            call = make.call(db, code=code)
            case, actor = make.submission(db, call)
            make.attach(db, FileStore(folder / "data" / "files"), actor, case)
            receipt = make.send(db, actor, case, signer).receipt
            make.move_deadline(db, call, closes_in)
            (folder / f"{code}.json").write_text(json.dumps({"statement": receipt.body, "jws": receipt.jws}))
        (closed,) = seals.due(db)
        make.seal(db, closed, signer)
        first = db.scalars(select(Submission).where(Submission.call_id == closed.id)).one()
        kept = make.version_of(db, first).receipt
        proven = statements.document(kept.body, kept.jws, proof=seals.proof(db, first))
        (folder / "receipt.json").write_bytes(statements.canonical(proven))
        (folder / "seal.json").write_bytes(statements.canonical(seals.document(db, closed)))
        (folder / "jwks.json").write_text(json.dumps(signer.jwks()))
    engine.dispose()
    yield (
        {
            "DATABASE_URL": cluster.app_url(name),
            "DATABASE_OWNER_URL": cluster.owner_url(name),
            "DATA": str(folder / "data"),
        },
        folder,
    )
    admin = create_engine(database.sqlalchemy_url(cluster.superuser_url("postgres")), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f'drop database "{name}" with (force)'))
    admin.dispose()


@pytest.fixture
def run(place: tuple[dict[str, str], Path], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in that place; further environment by name."""
    environ, folder = place
    monkeypatch.chdir(folder)

    def go(*words: str, **more: str) -> Result:
        done = CliRunner().invoke(app, list(words), env=environ | more)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done

    return go


def ended(done: Result) -> tuple[int, str]:
    """Exit code and what was said on standard error."""
    return done.exit_code, done.stderr.strip()


def examples() -> list[str]:
    def walk(command: Any) -> list[Any]:
        inner = getattr(command, "commands", None)
        return [command] if inner is None else [c for one in inner.values() for c in walk(one)]

    helps = [" ".join(command.help.split()) for command in walk(get_command(app))]
    return [re.findall(r"Example: python -m app (.*)", text)[0].strip() for text in helps]


ELSEWHERE = (
    "serve",
    "backup",
    "restore",
    "call seal",
    "drill",
    "release",
    "rotate",
    "sandbox",
)  # run for real in tests of their own
PREPARED = {  # what the examples of these need first; the call is one of their own, as aigf-eoi has closed here
    "call deadline": [
        "call publish calls/aigf-eoi.yaml --code moving --closes '+9 days'",
        "staff invite coordinator@rvo.example --role coordinator",
    ],
    "call confirm": [
        "call publish calls/aigf-eoi.yaml --code moved --closes '+9 days'",
        "staff invite jo@rvo.example --role coordinator",
        "staff invite ed@rvo.example --role coordinator",
        "call deadline moved --to '+12 days' --reason Outage --reason-nl Storing --by ed@rvo.example",
    ],
    "person export": ["staff invite jo@firm.example --role reviewer"],
    "person reset-factors": [
        "staff invite a@rvo.example --role admin",
        "staff invite b@rvo.example --role coordinator",
        "staff invite jo@rvo.example --role reviewer",
    ],
    "person erase": ["staff invite a@rvo.example --role admin", "staff invite jo@firm.example --role reviewer"],
}


@pytest.mark.parametrize("example", [line for line in examples() if not line.startswith(ELSEWHERE)])
def test_the_example_of_each_command_works(run: Run, example: str) -> None:
    words = shlex.split(example)
    for line in PREPARED.get(" ".join(words[:2]), []):
        assert ended(run(*shlex.split(line)))[0] == 0, line
    if words[:2] in (["call", "deadline"], ["call", "confirm"]):
        words[2] = {"deadline": "moving", "confirm": "moved"}[words[1]]
    if "5b1c…" in words:
        words[-1] = json.loads(run("key", "issue", "x", "--call", "open", "--json").stdout)["id"]
    done = run(*words)
    said = [line for line in done.stderr.splitlines() if "reaches nobody" not in line]  # the files of the project
    assert (done.exit_code, said) == (0, [])
    assert done.stdout.strip()


def test_data_come_as_json(run: Run) -> None:
    published = json.loads(
        run("call", "publish", "calls/aigf-eoi.yaml", "--code", "mine", "--closes", "+2 days", "--json").stdout
    )
    assert sorted(published) == ["closes_at", "code", "definition", "opens_at", "synthetic", "zone"]
    listed = {call["code"]: call for call in json.loads(run("call", "list", "--json").stdout)}
    assert listed["mine"] == published
    shown = json.loads(run("call", "show", "aigf-eoi", "--json").stdout)
    assert (shown["state"], shown["started"], shown["submitted"], shown["withdrawn"]) == (
        "closed",
        {"FC": 1},
        {"FC": 1},
        0,
    )
    issued = json.loads(
        run("key", "issue", "EuroHPC", "--call", "open", "--scope", "submissions:read", "--json").stdout
    )
    kept = {key["id"]: key for key in json.loads(run("key", "list", "--json").stdout)}[issued["id"]]
    assert (kept["name"], kept["calls"], kept["scopes"], kept["revoked_at"]) == (
        "EuroHPC",
        ["open"],
        ["submissions:read"],
        None,
    )
    assert issued["key"] not in json.dumps(kept)
    assert issued["key"].startswith(kept["prefix"])


NOWHERE = "There is nothing here, or you may not see it. Check the address, or sign in with another account."
SEALED = "Content is sealed until the call closes. Until then only counts are shown."
TWO = "--call open --scope everything"
REFUSED: list[tuple[str, int, str]] = [
    ("call publish calls/aigf-eoi.yaml --code open", 1, "There is a call open already. Give another --code."),
    ("call publish calls/aigf-eoi.yaml --code x --closes +0", 2, "'+0' is no instant. Write +5 minutes, or 2027-06-20T17:00+02:00."),
    ("call publish calls/aigf-eoi.yaml --code x --closes '+² days'", 2, "'+² days' is no instant. Write +5 minutes, or 2027-06-20T17:00+02:00."),
    ("call publish calls/aigf-eoi.yaml --code x --closes '+99999999999999 days'", 2, "'+99999999999999 days' is too far away."),
    ("call publish calls/aigf-eoi.yaml --code x --closes 2099-06-20T17:00", 2, "'2099-06-20T17:00' has no zone. Write 2027-06-20T17:00+02:00."),
    ("call publish calls/aigf-eoi.yaml --code x --closes 2020-06-20T17:00+02:00", 2,
     "The call would be closed before it opens. Give a later --closes."),
    ("call publish calls/aigf-eoi.yaml --code x --opens '+2 days' --closes '+1 day'", 2,
     "The call would be closed before it opens. Give a later --closes."),
    ("call show nowhere", 1, NOWHERE),
    ("staff invite jo@rvo.example --role boss", 2, "A role is reviewer, coordinator or admin."),
    ("staff invite nonsense --role admin", 2, "'nonsense' is no e-mail address that a link can be sent to."),
    ("key issue x --call nowhere", 1, NOWHERE),
    ("key issue x --call open --scope everything", 2,
     "There is no scope everything; there are submissions:read, attachments:read, deliveries:write."),
    ("key issue x --call open --by nobody@rvo.example", 1, "nobody@rvo.example is no administrator."),
    (f"key revoke {uuid.UUID(int=7)}", 1, NOWHERE),
    ("export nowhere --out a.zip", 1, NOWHERE),
    ("export open --out a.zip", 1, SEALED),
    ("export aigf-eoi --out a.pdf --format pdf", 2, "A format is one of json, ndjson, csv, xlsx, zip."),
    ("export aigf-eoi --out nowhere/a.zip", 1, "nowhere/a.zip cannot be written: No such file or directory."),
]  # fmt: skip


@pytest.mark.parametrize(("line", "code", "said"), REFUSED)
def test_a_refusal_is_one_sentence_and_an_exit_code(run: Run, line: str, code: int, said: str) -> None:
    assert ended(run(*shlex.split(line))) == (code, said)


@pytest.mark.parametrize(
    "line", ["call show", "key revoke 5b1c", "nowhere", "call check", "serve --port many", "export open"]
)
def test_wrong_usage_is_exit_code_2(run: Run, line: str) -> None:
    assert run(*line.split()).exit_code == 2


COMMANDS = ["call list", "migrate --check", "invariants", "export aigf-eoi --out a", "key list", "verify receipt.json"]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_setting_that_will_not_do_is_named_by_every_command(run: Run, line: str) -> None:
    assert ended(run(*line.split(), WORKERS="0")) == (2, "WORKERS is '0': write a whole number from 1 to 64.")


@pytest.mark.parametrize("line", [line for line in COMMANDS if not line.startswith("verify")])
def test_a_database_that_is_away_is_said_in_a_sentence(run: Run, line: str) -> None:
    away = "postgresql://eoi_app@127.0.0.1:1/eoi"
    code, said = ended(run(*line.split(), DATABASE_URL=away, DATABASE_OWNER_URL=away.replace("app", "owner")))
    assert (code, said[:34]) == (1, "The database cannot be reached: co")


def test_a_database_without_our_tables_is_told_what_to_run(run: Run, cluster: Cluster) -> None:
    assert ended(run("call", "list", DATABASE_URL=cluster.superuser_url("postgres"))) == (
        1,
        "The database is not at the newest revision. Run: python -m app migrate",
    )


def test_serving_is_refused_where_it_would_be_unsafe(run: Run) -> None:
    assert run("serve", BASE_URL="").exit_code == 1
    assert ended(run("serve")) == (
        1,
        "BASE_URL is not set: links in mails and receipts need the public address, https://….",
    )


def test_a_call_file_is_checked_line_by_line(run: Run, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text((make.HERE / "small.yaml").read_text().replace("kind: date", "kind: day"))
    problems = [str(problem) for problem in callfile.check(wrong)]
    assert len(problems) == 1
    for words in (["call", "check", str(wrong)], ["call", "publish", str(wrong)]):
        assert ended(run(*words)) == (1, problems[0])


def test_addresses_that_reach_nobody_are_told_and_others_are_not(run: Run, tmp_path: Path) -> None:
    done = run("call", "check", "calls/nl-poll.yaml")
    assert done.exit_code == 0
    assert "mail to peiling@rvo.example, privacy@rvo.example reaches nobody" in done.stderr
    assert "reaches nobody" in run("call", "publish", "calls/nl-poll.yaml", "--code", "nowhere").stderr
    own = tmp_path / "own.yaml"
    own.write_text(
        Path("calls/nl-poll.yaml").read_text(encoding="utf-8").replace("@rvo.example", "@rvo.example-ministry.nl")
    )
    done = run("call", "check", str(own))
    assert (done.exit_code, done.stderr) == (0, "")


def test_a_database_behind_this_code_is_told_and_brought_to_head(run: Run, cluster: Cluster) -> None:
    name = f"eoi_{secrets.token_hex(6)}"
    cluster.ensure_database(name)
    urls = {"DATABASE_URL": cluster.app_url(name), "DATABASE_OWNER_URL": cluster.owner_url(name)}
    behind = "The database is not at the newest revision. Run: python -m app migrate"
    assert ended(run("migrate", "--check", **urls)) == (1, behind)
    assert ended(run("migrate", **urls)) == ended(run("migrate", **urls)) == (0, "")
    assert server.is_at_head(urls["DATABASE_OWNER_URL"])


@pytest.mark.parametrize("format", ["json", "ndjson", "csv", "xlsx", "zip"])
def test_an_export_is_whole_and_nothing_is_left_beside_it(run: Run, tmp_path: Path, format: str) -> None:
    out = tmp_path / f"out.{format}"
    assert ended(run("export", "aigf-eoi", "--format", format, "--out", str(out))) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    title = b"Delta compute"
    if format in ("xlsx", "zip"):
        with zipfile.ZipFile(out) as package:
            assert any(title in package.read(name) for name in package.namelist())
    else:
        assert title in out.read_bytes()


def test_an_export_of_files_waits_for_the_scanner_and_one_without_files_does_not(run: Run, tmp_path: Path) -> None:
    there = {"CLAMD_URL": "tcp://127.0.0.1:9"}
    refused = run("export", "aigf-eoi", "--format", "zip", "--out", str(tmp_path / "out.zip"), **there)
    assert ended(refused) == (1, "The virus scanner has yet to look at this file. Try again in a moment.")
    assert list(tmp_path.iterdir()) == []
    assert ended(run("export", "aigf-eoi", "--out", str(tmp_path / "out.ndjson"), **there)) == (0, "")


def test_a_receipt_is_valid_changed_or_of_another_portal(
    run: Run, place: tuple[dict[str, str], Path], tmp_path: Path
) -> None:
    changed = json.loads((place[1] / "receipt.json").read_text())
    changed["statement"]["title"] = "Another"
    (tmp_path / "changed.json").write_text(json.dumps(changed))
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "list.json").write_text("[1]")
    other = json.dumps(Signer.load_or_create(tmp_path / "other").jwks())
    (tmp_path / "other.json").write_text(other)
    codes = {
        "receipt.json": 0,
        "receipt.json open.json": 0,
        "receipt.json --keys jwks.json": 0,
        f"receipt.json --keys {tmp_path}/other.json": 2,
        f"{tmp_path}/changed.json": 1,
        f"receipt.json {tmp_path}/changed.json": 1,
        f"{tmp_path}/broken.json": 1,
        f"{tmp_path}/list.json": 1,
        f"{tmp_path}/missing.json": 2,
        "receipt.json --seal seal.json": 0,
        "open.json --seal seal.json": 2,
        "receipt.json --seal receipt.json": 1,
        "receipt.json --keys missing.json": 2,
        f"receipt.json --keys {tmp_path}/broken.json": 2,
        f"receipt.json --keys {tmp_path}/list.json": 2,
    }
    assert {line: run("verify", *line.split()).exit_code for line in codes} == codes


def test_a_broken_invariant_is_told(run: Run, place: tuple[dict[str, str], Path]) -> None:
    assert ended(run("invariants")) == (0, "")
    engine = database.engine(place[0]["DATABASE_OWNER_URL"])
    with engine.begin() as connection:
        closes_at = connection.execute(text("select closes_at from call where code = 'open'")).scalar_one()
        connection.execute(text("update call set closes_at = opens_at + interval '1 second' where code = 'open'"))
    done = run("invariants")
    with engine.begin() as connection:
        connection.execute(text("update call set closes_at = :at where code = 'open'"), {"at": closes_at})
    engine.dispose()
    assert done.exit_code == 1
    assert done.stderr.strip()


def test_an_instant_is_counted_from_the_databases_now(run: Run, place: tuple[dict[str, str], Path]) -> None:
    engine = database.engine(place[0]["DATABASE_URL"])
    with Session(engine) as db:
        before = calls.clock(db)
        done = json.loads(
            run("call", "publish", "calls/aigf-eoi.yaml", "--code", "soon", "--closes", "+90 seconds", "--json").stdout
        )
        after = calls.clock(db)
        call = calls.by_code(db, "soon")
        assert before + timedelta(seconds=90) <= call.closes_at <= after + timedelta(seconds=90)
        assert done["closes_at"] == call.closes_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    engine.dispose()


def test_a_deadline_is_moved_by_two_coordinators_and_by_nobody_else(run: Run) -> None:
    for email, role in (("p@rvo.example", "coordinator"), ("q@rvo.example", "admin"), ("r@rvo.example", "reviewer")):
        run("staff", "invite", email, "--role", role)
    words = ["call", "deadline", "open", "--reason", "Outage", "--reason-nl", "Storing"]
    assert ended(run(*words, "--to", "2099-06-20T17:00", "--by", "p@rvo.example"))[0] == 2, "an instant has a zone"
    late = "2099-06-20T17:00+02:00"
    assert ended(run(*words, "--to", late, "--by", "r@rvo.example")) == (1, "r@rvo.example is no coordinator.")
    assert run(*words, "--to", late, "--by", "p@rvo.example").exit_code == 0
    alone = ended(run("call", "confirm", "open", "--by", "p@rvo.example"))
    assert alone[0] == 1
    assert "Two different coordinators" in alone[1]
    moved = json.loads(run("call", "confirm", "open", "--by", "q@rvo.example", "--json").stdout)
    assert (moved["to"], moved["mails"]) == ("2099-06-20T15:00:00.000000Z", 1)
    assert ended(run("call", "confirm", "open", "--by", "q@rvo.example"))[0] == 1, "nothing waits any more"


def test_what_is_beyond_its_term_is_destroyed_by_two_coordinators_and_by_nobody_else(
    run: Run, place: tuple[dict[str, str], Path], cluster: Cluster
) -> None:
    name = place[0]["DATABASE_URL"].rsplit("/", 1)[-1].partition("?")[0]
    engine = create_engine(database.sqlalchemy_url(cluster.superuser_url(name)))
    with Session(engine) as db, db.begin():
        db.execute(text("set local role eoi_app"))
        for email in ("one@rvo.example", "two@rvo.example"):
            make.person(db, email, staff="coordinator")
        make.person(db, "three@rvo.example", staff="reviewer")
        code = make.beyond_its_term(db).code
        signer = Signer.load_or_create(place[1] / "data" / "keys")
        make.seal(db, calls.by_code(db, code), signer)
    engine.dispose()
    assert "would go: 1" in run(*f"retention {code}".split()).output
    assert "would go: 1" in run(*f"retention {code} --dry-run".split()).output
    for by, confirm, exit_code in (
        ("one@rvo.example", "one@rvo.example", 1),
        ("one@rvo.example", "three@rvo.example", 1),
        ("nobody@rvo.example", "two@rvo.example", 1),
    ):
        assert run(*f"retention {code} --destroy --by {by} --confirm {confirm}".split()).exit_code == exit_code, (
            by,
            confirm,
        )
    assert run(*f"retention {code} --destroy --by one@rvo.example".split()).exit_code == 2
    assert "would go: 1" in run(*f"retention {code}".split()).output
    done = run(*f"retention {code} --destroy --by one@rvo.example --confirm two@rvo.example".split())
    assert (done.exit_code, "drafts: destroyed 1." in done.output) == (0, True), done.output
    assert (
        "drafts: destroyed"
        not in run(*f"retention {code} --destroy --by one@rvo.example --confirm two@rvo.example".split()).output
    )


STRICT = {"BASE_URL": "https://eoi.example", "MAIL_URL": "smtp://mail.example:587"}
FORMER, LATTER = (secrets.token_hex(32) for _ in "ab")


def test_another_secret_key_opens_what_the_one_before_did(run: Run, place: tuple[dict[str, str], Path]) -> None:
    environ, folder = place
    (folder / "old.key").write_text(f"{FORMER}\n")
    (folder / "wrong.key").write_text(f"{'wrong' * 10}\n")
    engine = database.engine(environ["DATABASE_URL"])
    with database.sessions(engine).begin() as db:
        key = rootkeys.opened(db, FORMER)
    rotate = ("rotate", "secret-key", "--before")
    assert "SECRET_KEY is not set" in ended(run(*rotate, "old.key", **STRICT))[1]
    assert ended(run(*rotate, "old.key", **STRICT, SECRET_KEY=FORMER)) == (
        1,
        "SECRET_KEY is still the one of before: set the new one, then run this again.",
    )
    assert ended(run(*rotate, "none.key", **STRICT, SECRET_KEY=LATTER))[0] == 2
    code, said = ended(run(*rotate, "wrong.key", **STRICT, SECRET_KEY=LATTER))
    assert (code, said.startswith("Nothing was changed")) == (1, True)
    assert ended(run(*rotate, "old.key", **STRICT, SECRET_KEY=LATTER)) == (0, "")
    assert run(*rotate, "old.key", **STRICT, SECRET_KEY=LATTER).exit_code == 1  # it was moved already
    with database.sessions(engine).begin() as db:
        assert rootkeys.opened(db, LATTER) == key
    told = ended(run("serve", **STRICT, SECRET_KEY=FORMER))
    assert (told[0], told[1].splitlines()[-1].startswith("SECRET_KEY is not the one")) == (1, True)
    assert run("rotate", "root-key", "--confirm", "yes", **STRICT, SECRET_KEY=FORMER).exit_code == 2
    done = run("rotate", "root-key", "--confirm", "end all apps", **STRICT, SECRET_KEY=FORMER)
    assert (done.exit_code, done.stdout.strip()) == (0, "Replaced. 0 apps ended, 0 webhooks wait for a new secret.")
    with database.sessions(engine).begin() as db:
        assert rootkeys.opened(db, FORMER) != key
    engine.dispose()


def test_another_signing_key_signs_and_the_one_before_verifies(run: Run, place: tuple[dict[str, str], Path]) -> None:
    keys = place[1] / "data" / "keys"
    before = Signer.load_or_create(keys).kid
    done = run("rotate", "signing-key", **STRICT, SECRET_KEY=FORMER)
    after = Signer.load_or_create(keys)
    assert (done.exit_code, after.kid in done.stdout, after.kid != before) == (0, True, True)
    assert before in {key["kid"] for key in after.jwks()["keys"]}
    assert run("verify", "receipt.json").exit_code == 0


def test_a_demonstration_in_another_folder_makes_a_root_key_of_its_own(place: tuple[dict[str, str], Path]) -> None:
    urls = server.Urls(place[0]["DATABASE_URL"], place[0]["DATABASE_OWNER_URL"])
    first, moved = (Settings.from_env({"DATA": f"/{name}"}, demo=True) for name in ("first", "moved"))
    engine = database.engine(urls.app)
    found = []
    for settings in (first, moved):
        server.open_root_key(settings, urls)
        with database.sessions(engine).begin() as db:
            found.append(rootkeys.opened(db, settings.secret_key))
    engine.dispose()
    assert found[0] != found[1]
