"""`call`: check and publish call files, list and show calls, move a deadline by two people."""

import json
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from sqlalchemy import select

from app.cli.terminal import Json, coordinator, opened, refuse, say
from app.domain import callfile, calls, callschema, deadlines, oversight
from app.infra import times
from app.models import Call, DeadlineChange
from app.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Call files and calls.")
NOWHERE = re.compile(r"[\w.+-]+@(?:[\w-]+\.)*example(?:\.(?:com|net|org))?(?![\w-]|\.\w)")  # RFC 2606


@app.command("check")
def check(file: Path) -> None:
    """Say what is wrong with a call file, with lines. Example: python -m app call check calls/aigf-eoi.yaml"""
    problems = callfile.check(file)
    for problem in problems:
        typer.echo(str(problem), err=True)
    if problems:
        raise typer.Exit(1)
    warn_of_placeholders(file)
    typer.echo(f"{file}: nothing wrong.")


def warn_of_placeholders(file: Path) -> None:
    """Say which addresses in the texts of a call file reach nobody: an operator puts its own there."""
    if found := sorted(set(NOWHERE.findall(file.read_text(encoding="utf-8")))):
        words = (
            f"Warning: mail to {', '.join(found)} reaches nobody. Put your own addresses there before the call is real."
        )
        typer.echo(words, err=True)


@app.command("schema")
def schema() -> None:
    """Print the JSON Schema of call files, for editors. Example: python -m app call schema"""
    typer.echo(json.dumps(callschema.json_schema(), indent=1, ensure_ascii=False))


@app.command("publish")
def publish(
    file: Path,
    opens: Annotated[
        str, typer.Option(help="Instant with zone, or +N minutes|hours|days; default: now.")
    ] = "+0 minutes",
    closes: Annotated[str, typer.Option(help="Likewise; default: the next day and time the file names.")] = "",
    code: Annotated[str | None, typer.Option(help="Publish under another code than the file's.")] = None,
    synthetic: Annotated[bool, typer.Option("--synthetic", help="Mark as rehearsal: nothing in it is real.")] = False,
    release: Annotated[
        str | None,
        typer.Option(help="How dossiers reach EuroHPC: at_seal or by_coordinator; default: as the file says."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Publish a call file. Example: python -m app call publish calls/aigf-eoi.yaml --code try --closes "+5 minutes" """
    if release not in (None, *callfile.CHOICES["release"]):
        refuse("--release is at_seal or by_coordinator.", 2)
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
        call = calls.publish(db, definition, opens_at, closes_at, code, synthetic, release)
        warn_of_placeholders(file)
        say(_as_data(call), as_json, f"Published {call.code}: closes {times.brussels_and_utc(call.closes_at, 'en')}.")


def instant(text: str, now: datetime) -> datetime:
    """`+5 minutes`, `+2 hours`, `+1 day`, or an ISO instant with zone."""
    words = text.removeprefix("+").split()
    units = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}
    if text.startswith("+") and len(words) == 2 and words[0].isdecimal() and words[1].rstrip("s") in units:
        try:
            return now + timedelta(seconds=int(words[0]) * units[words[1].rstrip("s")])
        except (OverflowError, ValueError):
            refuse(f"'{text}' is too far away.", 2)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        refuse(f"'{text}' is no instant. Write +5 minutes, or 2027-06-20T17:00+02:00.", 2)
    if at.tzinfo is None:
        refuse(f"'{text}' has no zone. Write 2027-06-20T17:00+02:00.", 2)
    return at.astimezone(UTC)


By = Annotated[str, typer.Option(help="E-mail of the coordinator who does this.")]


@app.command("deadline")
def propose_deadline(
    code: str,
    to: Annotated[str, typer.Option(help="Instant with zone, or +N minutes|hours|days from now.")],
    reason: Annotated[str, typer.Option(help="In English, for everybody to read.")],
    reason_nl: Annotated[str, typer.Option(help="The same in Dutch.")],
    by: By,
    as_json: Json = False,
) -> None:
    """Propose another deadline; a second coordinator confirms it with `call confirm`.

    Example: python -m app call deadline aigf-eoi --to 2027-06-21T17:00+02:00 --reason "The sign-in service was down."
    --reason-nl "De inlogdienst lag eruit." --by coordinator@rvo.example
    """
    with opened() as db:
        call, actor = calls.by_code(db, code), coordinator(db, by)
        change = deadlines.propose(db, actor, call, instant(to, calls.clock(db)), {"en": reason, "nl": reason_nl})
        new = times.brussels_and_utc(change.closes_to, "en")
        line = (
            f"Proposed for {code}: closes {new}. Another coordinator must confirm it: python -m app call confirm {code}"
        )
        say(_as_change(call, change), as_json, line)


@app.command("confirm")
def confirm_deadline(code: str, by: By, as_json: Json = False) -> None:
    """Confirm the deadline that another coordinator proposed. Example: python -m app call confirm aigf-eoi --by jo@rvo.example"""
    with opened() as db:
        call, actor = calls.by_code(db, code), coordinator(db, by)
        waiting = deadlines.pending(db, call)
        if waiting is None:
            refuse(f"No change of the deadline of {code} waits to be confirmed.")
        base_url = Settings.from_env(os.environ, demo=True).base_url
        change = deadlines.confirm(db, actor, call, waiting.id, base_url)
        told = oversight.deliveries(db, [change])[change.id]["waiting"]
        line = f"{code} now closes {times.brussels_and_utc(call.closes_at, 'en')}. Mails queued: {told}."
        say(_as_change(call, change) | {"mails": told}, as_json, line)


def _as_change(call: Call, change: DeadlineChange) -> dict[str, Any]:
    return {
        "code": call.code,
        "change": str(change.id),
        "from": times.iso(change.closes_from),
        "to": times.iso(change.closes_to),
        "reason": change.reason,
        "proposed_at": times.iso(change.proposed_at),
        "confirmed_at": times.iso(change.confirmed_at) if change.confirmed_at else None,
    }


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
