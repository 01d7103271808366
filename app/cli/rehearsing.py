"""`drill` and `sandbox`: a cutoff rehearsed on a scratch portal, and a call of synthetic submissions for integrators."""

import secrets
import sys
import tempfile
from pathlib import Path
from random import Random
from typing import Annotated

import typer
from sqlalchemy import select

from app import demo, server
from app.cli.terminal import Json, coordinator, read_settings, refuse, say, told
from app.deps import Portal
from app.drill import rehearsal, report, stage
from app.infra.binaries import PostgresFailed
from app.models import Call


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


def sandbox(
    by: Annotated[str, typer.Option(help="E-mail of the coordinator who does this.")],
    code: Annotated[str, typer.Option(help="Code of the call to make.")] = "sandbox",
    submissions: Annotated[int, typer.Option(min=1, max=10_000, help="How many synthetic submissions.")] = 24,
    taken_back: Annotated[int, typer.Option(min=0, help="How many of those released to take back.")] = 3,
    as_json: Json = False,
) -> None:
    """Make a call for those who write a client: synthetic submissions with files, sealed, released, some taken back.

    Example: python -m app sandbox --by coordinator@demo.example --submissions 24
    """
    settings = read_settings()
    with told(), server.databases(settings) as urls:
        portal = Portal.opened(settings, urls.app)
        try:
            with portal.sessions.begin() as db:
                actor = coordinator(db, by)
                if db.scalar(select(Call).where(Call.code == code)):
                    refuse(f"There is a call {code} already. Give another --code.")
            made = demo.sandbox(portal, urls.owner, code, submissions, taken_back, actor)
        finally:
            portal.engine.dispose()
    line = f"Call {code}: {made['submitted']} submitted, {made['released']} released, {made['taken_back']} of them taken back."
    say(made, as_json, f"{line}\nThe key to it, shown this once: {made['key']}")
