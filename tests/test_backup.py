"""A backup taken while the portal serves comes back whole; one that was changed or cut is named and not believed."""

import json
import shutil
from pathlib import Path

import pytest
from sqlalchemy import text

from app import backup
from app.backup import BackupFailed
from app.infra import database
from app.infra.postgres import Cluster
from app.settings import Settings
from tests.journeys.served import serving


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of the demonstration while it serves."""
    folder = tmp_path_factory.mktemp("served")
    with serving(folder) as served:
        done = served.run("backup", str(folder / "backup"))
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("Kept 12 versions, 2 files and ")
        again = served.run("backup", str(folder / "backup"))
        assert (again.returncode, "is not empty" in again.stderr) == (1, True)
    return folder / "backup"


def settings(folder: Path) -> Settings:
    return Settings.from_env({"DATA": str(folder / "data")}, demo=True)


def test_it_comes_back_whole_and_only_into_an_empty_place(taken: Path, tmp_path: Path) -> None:
    said = backup.restore(settings(tmp_path), taken)
    assert said["versions"] == 12
    assert (tmp_path / "data" / "keys" / "0001.pem").stat().st_mode & 0o777 == 0o600
    with Cluster(tmp_path / "data" / "postgres").shared() as cluster:
        engine = database.engine(cluster.app_url("eoi"))
        with engine.connect() as connection:
            epochs = connection.execute(text("select count(*) from epoch")).scalar_one()
        engine.dispose()
    assert epochs == 2  # cursors of the feed from before the restore have expired
    with pytest.raises(BackupFailed, match="empty DATA"):
        backup.restore(settings(tmp_path), taken)


def changed(taken: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "copy"
    shutil.copytree(taken, copy)
    return copy


def test_a_changed_dump_is_not_restored(taken: Path, tmp_path: Path) -> None:
    copy = changed(taken, tmp_path)
    whole = bytearray((copy / "database.dump").read_bytes())
    whole[len(whole) // 2] ^= 1
    (copy / "database.dump").write_bytes(whole)
    with pytest.raises(BackupFailed, match="not the dump that the manifest tells of"):
        backup.restore(settings(tmp_path), copy)
    assert not (tmp_path / "data").exists()


def test_a_changed_or_missing_file_is_named(taken: Path, tmp_path: Path) -> None:
    copy = changed(taken, tmp_path)
    file = next(path for path in (copy / "files").glob("??/*") if len(path.name) == 64)
    kept = file.read_bytes()
    file.write_bytes(kept + b" ")
    with pytest.raises(BackupFailed, match=file.name):
        backup.restore(settings(tmp_path / "a"), copy)
    file.unlink()
    with pytest.raises(BackupFailed, match="1 files and its manifest tells of 2"):
        backup.restore(settings(tmp_path / "b"), copy)


def test_a_trail_that_does_not_lead_to_the_head_of_the_manifest_is_named(taken: Path, tmp_path: Path) -> None:
    copy = changed(taken, tmp_path)
    said = json.loads((copy / "manifest.json").read_text())
    said["audit"]["chain"] = "0" * 64
    (copy / "manifest.json").write_text(json.dumps(said))
    with pytest.raises(BackupFailed, match="does not lead to the head"):
        backup.restore(settings(tmp_path), copy)


def test_a_backup_that_did_not_finish_is_none(taken: Path, tmp_path: Path) -> None:
    copy = changed(taken, tmp_path)
    (copy / "manifest.json").unlink()
    with pytest.raises(BackupFailed, match="no finished backup"):
        backup.restore(settings(tmp_path), copy)
