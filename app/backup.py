"""A backup and its way back: database, files and keys in one folder, with what shows later that the restored whole is whole.

The database is dumped first and the files are copied after it: files are only ever added, so each one that the dump
names is there. What the manifest says of the audit trail and the seals is compared after the restore.
"""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app import server
from app.domain import calls, heads, scans, verification
from app.infra import database, times
from app.infra.files import FileStore
from app.infra.postgres import Cluster
from app.infra.signing import Signer
from app.models import Call, Epoch, Event, Seal, Version
from app.server import NAME, Urls
from app.settings import Settings

FORMAT = "eoi-backup/1"
DUMP, MANIFEST = "database.dump", "manifest.json"
APART = {"postgres", "files", "files.lock", "spool"}  # of DATA: the cluster is dumped, the files have their own place


class BackupFailed(RuntimeError):
    """It could not be done, or what came back is not whole; the text says why and what to do."""


def save(settings: Settings, folder: Path) -> dict[str, Any]:
    """Write everything into `folder`, which must be new or empty; returns the manifest."""
    if folder.exists() and any(folder.iterdir()):
        raise BackupFailed(f"{folder} is not empty. Name a new folder for each backup.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _programs(settings) as (urls, programs):
        with _session(urls.app) as db:
            said = _said(db)
        _run(programs, "pg_dump", "--format=custom", f"--file={folder / DUMP}", f"--dbname={urls.owner}")
    said["files"] = _copied(server.file_store(settings), FileStore(folder / "files"))
    for path in settings.data.iterdir() if settings.data.exists() else ():
        if path.name not in APART and path.is_dir():
            shutil.copytree(path, folder / "data" / path.name)
        elif path.name not in APART:
            (folder / "data").mkdir(mode=0o700, exist_ok=True)
            shutil.copy2(path, folder / "data" / path.name)
    said["dump_sha256"] = _digest(folder / DUMP)
    said["keys"] = [key["kid"] for key in Signer.load_or_create(settings.data / "keys").jwks()["keys"]]
    draft = folder / f"{MANIFEST}.new"
    draft.write_text(json.dumps(said, indent=1) + "\n")
    os.replace(draft, folder / MANIFEST)  # a folder without a manifest is a backup that did not finish
    return said


def restore(settings: Settings, folder: Path) -> dict[str, Any]:
    """Bring a backup back into an empty DATA (or an empty database of DATABASE_URL) and prove that it is whole.

    BackupFailed names the first thing that is missing, changed or in the way.
    """
    try:
        said: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError) as failure:
        raise BackupFailed(f"{folder} holds no finished backup: {failure}") from failure
    if said.get("format") != FORMAT or said["dump_sha256"] != _digest(folder / DUMP):
        raise BackupFailed(f"{folder / DUMP} is not the dump that the manifest tells of. Take another backup.")
    _require_empty(settings)
    _bring_data(settings, folder, said)
    with _programs(settings) as (urls, programs):
        _require_empty_database(urls.owner)
        _run(
            programs,
            "pg_restore",
            "--exit-on-error",
            "--single-transaction",
            f"--dbname={urls.owner}",
            str(folder / DUMP),
        )
        server.migrate(urls.owner)
        with _session(urls.owner) as db:
            db.add(Epoch())  # what went to EuroHPC after the backup is not known here: their cursors end
        with _session(urls.app) as db:
            scans.shut_away_again(db, server.file_store(settings))  # whether or not a scanner will look here
            _prove(db, settings, said)
    return said


def _bring_data(settings: Settings, folder: Path, said: dict[str, Any]) -> None:
    """What lies in DATA beside the database: keys, mails, and the files, each with its digest checked."""
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in (folder / "data").iterdir() if (folder / "data").exists() else ():
        if path.is_dir():
            shutil.copytree(path, settings.data / path.name)
        else:
            shutil.copy2(path, settings.data / path.name)
    found = _copied(FileStore(folder / "files"), server.file_store(settings))
    if found != said["files"]:
        raise BackupFailed(
            f"The backup holds {found['count']} files and its manifest tells of {said['files']['count']}."
        )


def _said(db: Session) -> dict[str, Any]:
    """What must be found again: how many versions, where the audit trail stood, and the roots of the seals."""
    count, chain = heads.link(db)
    seals = db.execute(select(Call.code, Seal.body["root"].astext).join(Seal, Seal.call_id == Call.id)).all()
    return {
        "format": FORMAT,
        "at": times.iso(calls.clock(db)),
        "versions": db.scalar(select(func.count()).select_from(Version)),
        "audit": {"count": count, "chain": chain},
        "seals": dict(seals),
    }


def _prove(db: Session, settings: Settings, said: dict[str, Any]) -> None:
    jwks = server.own_jwks(settings)
    if missing := sorted(set(said["keys"]) - {key["kid"] for key in jwks["keys"]}):
        raise BackupFailed(f"Signing key {missing[0]} is missing: old receipts could not be verified.")
    broken = verification.run(db, verification.Evidence(server.file_store(settings), jwks))
    if broken:
        raise BackupFailed(f"What came back is not whole: {broken[0]}")
    now = _said(db)
    at = db.scalar(select(Event.chain).where(Event.position == said["audit"]["count"])) or heads.GENESIS
    if at != said["audit"]["chain"]:
        raise BackupFailed("The audit trail that came back does not lead to the head that the manifest tells of.")
    if now["versions"] < said["versions"] or any(now["seals"].get(c) != root for c, root in said["seals"].items()):
        raise BackupFailed("Versions or seals that the manifest tells of did not come back.")


def _require_empty(settings: Settings) -> None:
    if (settings.data / "postgres").exists() and not settings.database_url:
        raise BackupFailed(f"There is a database in {settings.data} already. Restore into an empty DATA.")
    if (settings.data / "keys").exists():
        raise BackupFailed(f"There are signing keys in {settings.data} already. Restore into an empty DATA.")


def _require_empty_database(owner_url: str) -> None:
    engine = database.engine(owner_url)
    found = database.revision(engine)
    engine.dispose()
    if found is not None:
        raise BackupFailed("The database is not empty. Restore into a new one.")


@contextmanager
def _session(url: str) -> Iterator[Session]:
    """One transaction; its connection is closed whatever comes of it."""
    engine = database.engine(url)
    try:
        with database.sessions(engine).begin() as db:
            yield db
    finally:
        engine.dispose()


@contextmanager
def _programs(settings: Settings) -> Iterator[tuple[Urls, Path | None]]:
    """Where the database is, and the folder of PostgreSQL's programs of its own version; None: those of the system."""
    if settings.database_url:
        with server.databases(settings) as urls:
            yield urls, None
        return
    with Cluster(settings.data / "postgres").shared() as cluster:
        cluster.ensure_database(NAME)
        yield Urls(cluster.app_url(NAME), cluster.owner_url(NAME)), cluster.programs.folder


def _run(programs: Path | None, name: str, *words: str) -> None:
    command = str(programs / name) if programs else shutil.which(name)
    if command is None:
        raise BackupFailed(
            f"{name} is not installed. Install the client programs of the database's PostgreSQL version."
        )
    done = subprocess.run([command, *words], capture_output=True, text=True, check=False)  # noqa: S603  (no shell)
    if done.returncode != 0:
        raise BackupFailed(f"{name} failed: {done.stderr.strip()}")


def _copied(source: FileStore, target: FileStore) -> dict[str, Any]:
    """Copy every file, checking its digest on the way; how many, and a digest over their names."""
    names = sorted(source.names())
    for name in names:
        with source.read(name) as stream, target.staged(stream, 1 << 40) as staged:
            if staged.sha256 != name:
                raise BackupFailed(f"File {name} is not what it was: its bytes have another digest.")
            target.keep(staged)
    return {"count": len(names), "sha256": hashlib.sha256("\n".join(names).encode()).hexdigest()}


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as failure:
        raise BackupFailed(f"{path} cannot be read: {failure}") from failure
