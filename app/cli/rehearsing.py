"""`drill`: rehearse a cutoff on a scratch portal, with a report of what was promised and kept."""

import secrets
import sys
import tempfile
from pathlib import Path
from random import Random
from typing import Annotated

import typer

from app.cli.terminal import Json, refuse, say
from app.drill import rehearsal, report, stage
from app.infra.binaries import PostgresFailed


def drill(
    applicants: Annotated[int, typer.Option(min=1, max=2000, help="How many submit.")] = 200,
    seconds: Annotated[float, typer.Option(min=2, max=3600, help="How long; the cutoff falls in the middle.")] = 30,
    kill: Annotated[bool, typer.Option("--kill", help="Kill a worker and PostgreSQL at random moments.")] = False,
    seed: Annotated[str, typer.Option(help="Repeat the same random moments; default: others each time.")] = "",
    as_json: Json = False,
) -> None:
    """Rehearse a cutoff on a scratch database; no portal is touched. Exit 1 when a promise is broken.

    Example: python -m app drill --applicants 200 --seconds 30 --kill
    """
    if kill and not sys.platform.startswith("linux"):
        refuse("--kill finds the workers in /proc, which only Linux has.", 2)
    seed = seed or secrets.token_hex(4)
    typer.echo(f"A scratch portal with {applicants} complete drafts is being made. Seed {seed}.", err=True)
    try:
        with tempfile.TemporaryDirectory(prefix="eoi-drill-") as folder, stage.raised(Path(folder)) as made:
            found = rehearsal.run(made, applicants, seconds, kill, Random(seed))  # noqa: S311 (a rehearsal)
    except (stage.StageFailed, PostgresFailed) as failure:
        refuse(str(failure), 2)
    say(found, as_json, report.lines(found))
    if broken := report.broken(found):
        refuse("\n".join(["Not all was kept:", *broken]))
