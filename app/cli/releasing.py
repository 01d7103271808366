"""`release`: dossiers to EuroHPC from the command line, as the page of releases does it."""

import os
from typing import Annotated

import typer

from app.cli.terminal import Json, coordinator, opened, refuse, say
from app.domain import calls, dossiers, releases
from app.settings import Settings


def release(
    code: str,
    by: Annotated[str, typer.Option(help="E-mail of the coordinator who does this.")],
    ref: Annotated[
        list[str] | None, typer.Option(help="A dossier to release; repeat for more. Default: all that can go.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Release dossiers of a sealed call to EuroHPC: those named, or all that were consented to and never went.

    Example: python -m app release aigf-eoi --ref 0KQ3V-9XM2T-7RWC --by coordinator@rvo.example
    """
    with opened() as db:
        call, actor = calls.by_code(db, code), coordinator(db, by)
        dossiers.require_closed(db, call)
        base_url = Settings.from_env(os.environ, demo=True).base_url
        if ref:
            rows, unknown = releases.chosen(db, actor, ref)
            strange = [row.submission.reference for row in rows if row.submission.call_id != call.id] + unknown
            if strange:
                refuse(f"Not in {code}, or not for {by} to see: {', '.join(strange)}. Nothing was released.")
            gone = releases.release_some(db, actor, ref, base_url)
        else:
            gone = releases.release_all(db, actor, call, base_url)
        counts = releases.counts(db, actor, call)
        stays = ", ".join(f"{state} {number}" for state, number in counts.items() if number and state != "released")
        line = (
            f"Released {len(gone)} to EuroHPC; {counts['released']} of {code} are there now. Others: {stays or 'none'}."
        )
        say({"call": code, "released": gone, "states": counts}, as_json, line)
