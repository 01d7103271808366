"""`serve`, `migrate`, `backup` and `restore`: how the portal comes up, is kept safe and comes back."""

from pathlib import Path
from typing import Annotated

import typer

from app import backup as safekeeping
from app import server
from app.cli.terminal import Json, read_settings, refuse, say, told
from app.settings import SettingsRefused


def serve(
    host: str = "127.0.0.1",
    port: Annotated[int | None, typer.Option(help="Default: PORT, else 8000.")] = None,
    workers: Annotated[int | None, typer.Option(help="Default: WORKERS, else 2.")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Demonstration: synthetic data, mails on a page.")] = False,
) -> None:
    """Serve the portal. Example: python -m app serve --demo --port 8000"""
    try:
        server.serve(host, port, workers, demo)
    except (SettingsRefused, server.StartRefused) as failure:
        refuse(str(failure))


def migrate(check: Annotated[bool, typer.Option("--check", help="Only say whether it is at head.")] = False) -> None:
    """Bring the database to head as the owner role. Example: python -m app migrate --check"""
    with told(), server.databases(read_settings()) as urls:
        if not check:
            server.migrate(urls.owner)
        if not server.is_at_head(urls.owner):
            refuse("The database is not at the newest revision. Run: python -m app migrate")
        typer.echo("The database is at the newest revision.")


def backup(folder: Path, as_json: Json = False) -> None:
    """Everything into a new folder: database, files, keys, manifest. Example: python -m app backup /srv/backup/monday"""
    settings = read_settings()
    try:
        said = safekeeping.save(settings, folder)
    except safekeeping.BackupFailed as failure:
        refuse(str(failure))
    line = f"Kept {said['versions']} versions, {said['files']['count']} files and {said['audit']['count']} audit lines."
    say(said, as_json, line)


def restore(folder: Path, as_json: Json = False) -> None:
    """Bring a backup back and prove it whole. Example: python -m app restore /srv/backup/monday"""
    settings = read_settings()
    try:
        said = safekeeping.restore(settings, folder)
    except safekeeping.BackupFailed as failure:
        refuse(str(failure))
    line = (
        f"Whole: {said['versions']} versions, {said['files']['count']} files, the audit trail leads to its head of "
        f"{said['at']}, {len(said['seals'])} seals have their roots, every invariant holds."
    )
    say(said, as_json, line)
