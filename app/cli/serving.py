"""`serve` and `migrate`: how the portal and its database come up."""

import os
from typing import Annotated

import typer

from app import server
from app.cli.terminal import refuse
from app.settings import Settings, SettingsRefused


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
    with server.databases(Settings.from_env(os.environ, demo=True)) as urls:
        if not check:
            server.migrate(urls.owner)
        if not server.is_at_head(urls.owner):
            refuse("The database is not at the newest revision. Run: python -m app migrate")
        typer.echo("The database is at the newest revision.")
