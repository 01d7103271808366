"""`rotate`: another SECRET_KEY, another root key, another signing key; the portal stands still meanwhile."""

import os
from pathlib import Path
from typing import Annotated

import typer

from app.cli.terminal import opened, refuse
from app.domain import rootkeys
from app.infra import signing
from app.infra.wrapping import WrongKey
from app.settings import Settings, SettingsRefused

app = typer.Typer(no_args_is_help=True, help="Other keys than before.")


def _settings() -> Settings:
    """What the portal will serve with: fit for it, as the new key counts from now on."""
    try:
        return Settings.from_env(os.environ)
    except SettingsRefused as failure:
        refuse(str(failure), 2)


@app.command("secret-key")
def secret_key(
    before: Annotated[Path, typer.Option(help="A file with the SECRET_KEY of before, and nothing else.")],
) -> None:
    """Go on with another SECRET_KEY, the one that is set now: second factors and webhooks stay as they are.

    Stop the portal first, and start it with the new one after. Example: python -m app rotate secret-key --before old.key
    """
    settings = _settings()
    try:
        old = before.read_text().strip()
    except (OSError, ValueError) as failure:
        refuse(f"{before} cannot be read: {failure}", 2)
    if old == settings.secret_key:
        refuse("SECRET_KEY is still the one of before: set the new one, then run this again.")
    try:
        with opened(owner=True) as db:
            rootkeys.move(db, old, settings.secret_key)
    except WrongKey:
        refuse(
            f"Nothing was changed: what stands in {before} is not the SECRET_KEY that this database was served with."
        )
    typer.echo("Moved. Start the portal with the new SECRET_KEY; nobody but you notices.")


@app.command("root-key")
def root_key(
    confirm: Annotated[str, typer.Option(help="Write: end all apps")],
) -> None:
    """Where somebody may know the root key, or SECRET_KEY was lost: a new one, under the SECRET_KEY that is set now.

    All authenticator apps end: their owners take a new one into use at the next sign-in. Webhooks rest until an
    administrator has shown their new secret. Stop the portal first, and start it after.

    Example: python -m app rotate root-key --confirm "end all apps"
    """
    if confirm != "end all apps":
        refuse('Nothing was changed: confirm with --confirm "end all apps".', 2)
    settings = _settings()
    with opened(owner=True) as db:
        rootkeys.replace(db, settings.secret_key)
        apps, webhooks = rootkeys.end_derived(db)
    typer.echo(f"Replaced. {apps} apps ended, {webhooks} webhooks wait for a new secret.")


@app.command("signing-key")
def signing_key() -> None:
    """A new key to sign receipts with from the next start on; the ones before go on verifying.

    Example: python -m app rotate signing-key
    """
    signer = signing.rotate(_settings().data / "keys")
    typer.echo(
        f"From the next start on {signer.kid} signs; the keys before go on verifying. Take a backup of DATA/keys."
    )
