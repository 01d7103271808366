"""`python -m app verify` where nothing but the package is: no database, no DATA, no compiled languages."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.deps import Portal
from app.domain import calls, streams
from app.domain.access import SYSTEM
from tests import example, handed
from tests.handed import SignIn

ROOT = Path(__file__).parent.parent


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """What the wheel holds and no more: the package, without what stands beside it in the repository."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "app", tmp_path / "wheel" / "app", ignore=ignored)
    (tmp_path / "empty").mkdir()
    return tmp_path


def run(bare: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command in the empty folder, with an environment that names no portal."""
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(bare / "wheel"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "app", "verify", *words]
    done = subprocess.run(command, cwd=bare / "empty", env=environ, capture_output=True, text=True, check=False)
    assert list((bare / "empty").iterdir()) == []
    return done


def test_it_checks_everything_on_a_machine_that_has_only_the_wheel(
    bare: Path, client: TestClient, sign_in: SignIn, portal: Portal, db: Session
) -> None:
    files = handed.out(client, sign_in, portal, db)
    for name, content in vars(files).items():
        (bare / name).write_bytes(content)
    call = calls.by_code(db, json.loads(files.seal)["statement"]["call"])
    (bare / "export").write_bytes(b"".join(streams.ndjson(db, SYSTEM, call)))
    keys, seal = ["--keys", str(bare / "jwks")], ["--seal", str(bare / "seal")]
    done = run(bare, *(str(bare / name) for name in files.valid()), str(bare / "export"), *keys)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split(": ")[1] for line in done.stdout.splitlines()] == ["Valid"] * 8 + ["Whole"]
    assert run(bare, str(bare / "receipt"), *keys, *seal).returncode == 0
    done = run(bare, str(bare / "early"), *keys, *seal)
    assert (done.returncode, "Download it again after the seal" in done.stderr) == (2, True)
    (bare / "changed").write_bytes(files.receipt.replace(b"Delta", b"delta", 1))
    done = run(bare, str(bare / "changed"), str(bare / "early"), *keys, *seal)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{bare / 'changed'}: Invalid: “")
    (bare / "cut").write_bytes(b"".join((bare / "export").read_bytes().splitlines(keepends=True)[1:]))
    done = run(bare, str(bare / "cut"))
    assert (done.returncode, "Invalid" in done.stderr) == (1, True)


def test_without_keys_it_cannot_tell_and_makes_none(bare: Path) -> None:
    (bare / "receipt").write_bytes(b"{}")
    done = run(bare, str(bare / "receipt"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "--keys" in done.stderr
    for words in ([str(bare / "nowhere")], [str(bare / "receipt"), "--keys", str(bare / "nowhere")]):
        done = run(bare, *words)
        assert (done.returncode, "cannot be read" in done.stderr) == (2, True)


def test_a_portal_checks_with_its_own_keys(bare: Path, portal: Portal) -> None:
    (bare / "head").write_bytes(handed.signed(portal.signer, example.head()))
    environ = {**os.environ, "DATA": str(portal.settings.data)}
    command = [sys.executable, "-m", "app", "verify", str(bare / "head")]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
