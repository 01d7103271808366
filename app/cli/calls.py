"""`call`: check and publish call files, list and show calls."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import select

from app.cli.terminal import Json, opened, refuse, say
from app.domain import callfile, calls
from app.infra import times
from app.models import Call

app = typer.Typer(no_args_is_help=True, help="Call files and calls.")


@app.command("check")
def check(file: Path) -> None:
    """Say what is wrong with a call file, with lines. Example: python -m app call check calls/aigf-eoi.yaml"""
    problems = callfile.check(file)
    for problem in problems:
        typer.echo(str(problem), err=True)
    if problems:
        raise typer.Exit(1)
    typer.echo(f"{file}: nothing wrong.")


@app.command("publish")
def publish(
    file: Path,
    opens: Annotated[
        str, typer.Option(help="Instant with zone, or +N minutes|hours|days; default: now.")
    ] = "+0 minutes",
    closes: Annotated[str, typer.Option(help="Likewise; default: the next day and time the file names.")] = "",
    code: Annotated[str | None, typer.Option(help="Publish under another code than the file's.")] = None,
    synthetic: Annotated[bool, typer.Option("--synthetic", help="Mark as rehearsal: nothing in it is real.")] = False,
    as_json: Json = False,
) -> None:
    """Publish a call file. Example: python -m app call publish calls/aigf-eoi.yaml --code try --closes "+5 minutes" """
    try:
        definition = callfile.load(file)
    except callfile.CallFileInvalid as failure:
        refuse("\n".join(str(problem) for problem in failure.problems))
    with opened(owner=True) as db:
        now = calls.clock(db)
        opens_at = instant(opens, now)
        closes_at = (
            instant(closes, now) if closes else calls.next_occurrence(definition["closes"], definition["zone"], now)
        )
        if closes_at <= max(now, opens_at):
            refuse("The call would be closed before it opens. Give a later --closes.", 2)
        if db.scalar(select(Call).where(Call.code == (code or definition["code"]))):
            refuse(f"There is a call {code or definition['code']} already. Give another --code.")
        call = calls.publish(db, definition, opens_at, closes_at, code, synthetic)
        say(_as_data(call), as_json, f"Published {call.code}: closes {times.brussels_and_utc(call.closes_at, 'en')}.")


def instant(text: str, now: datetime) -> datetime:
    """`+5 minutes`, `+2 hours`, `+1 day`, or an ISO instant with zone."""
    words = text.removeprefix("+").split()
    units = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
    if text.startswith("+") and len(words) == 2 and words[0].isdigit() and words[1].rstrip("s") in units:
        return now + timedelta(seconds=int(words[0]) * units[words[1].rstrip("s")])
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        refuse(f"'{text}' is no instant. Write +5 minutes, or 2027-06-20T17:00+02:00.", 2)
    if at.tzinfo is None:
        refuse(f"'{text}' has no zone. Write 2027-06-20T17:00+02:00.", 2)
    return at.astimezone(UTC)


def _as_data(call: Call) -> dict[str, Any]:
    return {
        "code": call.code,
        "definition": call.definition_digest,
        "opens_at": times.iso(call.opens_at),
        "closes_at": times.iso(call.closes_at),
        "zone": call.zone,
        "synthetic": call.is_synthetic,
    }


@app.command("list")
def listed(as_json: Json = False) -> None:
    """The published calls. Example: python -m app call list --json"""
    with opened() as db:
        now = calls.clock(db)
        found = calls.all_calls(db)
        lines = [
            f"{c.code:24} {calls.state(c, now):9} closes {times.brussels_and_utc(c.closes_at, 'en')}" for c in found
        ]
        say([_as_data(call) for call in found], as_json, "\n".join(lines) or "No call is published.")


@app.command("show")
def show(code: str, as_json: Json = False) -> None:
    """One call with counts. Example: python -m app call show aigf-eoi"""
    with opened() as db:
        call = calls.by_code(db, code)
        counts = calls.counts(db, call)
        data = _as_data(call) | {
            "state": calls.state(call, calls.clock(db)),
            "started": counts.started,
            "submitted": counts.submitted,
            "withdrawn": counts.withdrawn,
        }
        say(data, as_json, "\n".join(f"{name}: {value}" for name, value in data.items()))
