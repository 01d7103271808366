"""The command line: serve, migrate, calls, staff, keys, export, verify, invariants. See contract.md in the README's map."""

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from app import server
from app.domain import accounts, callfile, calls, exports, keys, receipts, verification
from app.domain.access import SYSTEM
from app.domain.errors import Refused, refusal_of
from app.infra import database, times
from app.models import Call
from app.settings import Settings, SettingsRefused

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
call_app = typer.Typer(no_args_is_help=True, help="Call files and calls.")
staff_app = typer.Typer(no_args_is_help=True, help="People of RVO.")
key_app = typer.Typer(no_args_is_help=True, help="Keys of machines for the API.")
app.add_typer(call_app, name="call")
app.add_typer(staff_app, name="staff")
app.add_typer(key_app, name="key")

Json = Annotated[bool, typer.Option("--json", help="Print data as JSON.")]


def refuse(sentence: str, code: int = 1) -> NoReturn:
    """One sentence on standard error and an exit code: 1 refused, 2 usage or cannot tell."""
    typer.echo(sentence, err=True)
    raise typer.Exit(code)


def say(data: Any, as_json: bool, line: str) -> None:
    """`data` as JSON, or `line` for people."""
    typer.echo(json.dumps(data, ensure_ascii=False, indent=2, default=str) if as_json else line)


def read_settings() -> Settings:
    """The settings of a command, which need not be fit for serving."""
    try:
        return Settings.from_env(os.environ, demo=True)
    except SettingsRefused as failure:
        refuse(str(failure), 2)


@contextmanager
def told() -> Iterator[None]:
    """What the domain or the database refuses, as a sentence."""
    try:
        yield
    except Refused as failure:
        refuse(failure.message.text("en"))
    except OperationalError as failure:
        refuse(f"The database cannot be reached: {failure.orig}")
    except DBAPIError as failure:
        known = refusal_of(failure)
        refuse(known.message.text("en") if known else f"The database refused: {failure.orig}")


@contextmanager
def opened(owner: bool = False) -> Iterator[Session]:
    """A transaction as the serving role, or as the owner; embedded PostgreSQL is started if it is not running."""
    with told(), server.databases(read_settings()) as urls:
        engine = database.engine(urls.owner if owner else urls.app)
        try:
            with database.sessions(engine).begin() as db:
                yield db
        finally:
            engine.dispose()


@app.command()
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


@app.command()
def migrate(check: Annotated[bool, typer.Option("--check", help="Only say whether it is at head.")] = False) -> None:
    """Bring the database to head as the owner role. Example: python -m app migrate --check"""
    with told(), server.databases(read_settings()) as urls:
        if not check:
            server.migrate(urls.owner)
        if not server.is_at_head(urls.owner):
            refuse("The database is not at the newest revision. Run: python -m app migrate")
        typer.echo("The database is at the newest revision.")


@call_app.command("check")
def call_check(file: Path) -> None:
    """Say what is wrong with a call file, with lines. Example: python -m app call check calls/aigf-eoi.yaml"""
    problems = callfile.check(file)
    for problem in problems:
        typer.echo(str(problem), err=True)
    if problems:
        raise typer.Exit(1)
    typer.echo(f"{file}: nothing wrong.")


@call_app.command("publish")
def call_publish(
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


def _as_data(call: Call) -> dict[str, Any]:
    return {
        "code": call.code,
        "definition": call.definition_digest,
        "opens_at": times.iso(call.opens_at),
        "closes_at": times.iso(call.closes_at),
        "zone": call.zone,
        "synthetic": call.is_synthetic,
    }


@call_app.command("list")
def call_list(as_json: Json = False) -> None:
    """The published calls. Example: python -m app call list --json"""
    with opened() as db:
        now = calls.clock(db)
        found = calls.all_calls(db)
        lines = [
            f"{c.code:24} {calls.state(c, now):9} closes {times.brussels_and_utc(c.closes_at, 'en')}" for c in found
        ]
        say([_as_data(call) for call in found], as_json, "\n".join(lines) or "No call is published.")


@call_app.command("show")
def call_show(code: str, as_json: Json = False) -> None:
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


@staff_app.command("invite")
def staff_invite(email: str, role: Annotated[str, typer.Option(help="reviewer, coordinator or admin")]) -> None:
    """Give somebody a staff role. Example: python -m app staff invite jo@rvo.example --role reviewer"""
    if role not in ("reviewer", "coordinator", "admin"):
        refuse("A role is reviewer, coordinator or admin.", 2)
    if not accounts.is_email(email):
        refuse(f"'{email}' is no e-mail address that a link can be sent to.", 2)
    with opened() as db:
        accounts.invite_staff(db, email, role)
    typer.echo(f"{email} may sign in as {role}.")


@key_app.command("issue")
def key_issue(
    name: str,
    call: Annotated[list[str], typer.Option(help="A call the key may read; repeat for more.")],
    scope: Annotated[list[str] | None, typer.Option(help="Repeat for more; default: all that read.")] = None,
    by: Annotated[str | None, typer.Option(help="E-mail of the administrator who issues it.")] = None,
    as_json: Json = False,
) -> None:
    """Issue a key; its text is shown this once. Example: python -m app key issue EuroHPC --call aigf-eoi"""
    scopes = scope or ["submissions:read", "attachments:read"]
    if wrong := sorted(set(scopes) - set(keys.SCOPES)):
        refuse(f"There is no scope {', '.join(wrong)}; there are {', '.join(keys.SCOPES)}.", 2)
    with opened() as db:
        for code in call:
            calls.by_code(db, code)
        actor = SYSTEM
        if by:
            person = accounts.find_person(db, by)
            if person is None or person.staff_role != "admin":
                refuse(f"{by} is no administrator.")
            actor = accounts.actor_for(db, person)
        key, text = keys.issue(db, actor, name, call, scopes)
        say({"id": str(key.id), "key": text, "calls": call, "scopes": scopes}, as_json, text)


@key_app.command("list")
def key_list(as_json: Json = False) -> None:
    """The keys, without their secrets. Example: python -m app key list"""
    with opened() as db:
        found = keys.all_keys(db)
        data = [
            {
                "id": str(k.id),
                "name": k.name,
                "prefix": k.prefix,
                "calls": k.call_codes,
                "scopes": k.scopes,
                "expires_at": times.iso(k.expires_at),
                "revoked_at": times.iso(k.revoked_at) if k.revoked_at else None,
                "last_used_at": times.iso(k.last_used_at) if k.last_used_at else None,
            }
            for k in found
        ]
        say(data, as_json, "\n".join(f"{k['id']}  {k['prefix']}  {k['name']}" for k in data) or "There are no keys.")


@key_app.command("revoke")
def key_revoke(key_id: uuid.UUID) -> None:
    """Make a key useless from now on. Example: python -m app key revoke 5b1c…"""
    with opened() as db:
        keys.revoke(db, SYSTEM, key_id)
    typer.echo("Revoked.")


@app.command()
def export(
    code: str,
    out: Annotated[Path, typer.Option(help="The file to write.")],
    format: Annotated[str, typer.Option(help="json, ndjson, csv, xlsx or zip")] = "ndjson",
) -> None:
    """What EuroHPC gets, with its manifest. Example: python -m app export aigf-eoi --format zip --out eoi.zip"""
    if format not in exports.FORMATS:
        refuse(f"A format is one of {', '.join(exports.FORMATS)}.", 2)
    files = server.file_store(read_settings())
    with opened() as db:
        try:
            exports.write(db, files, calls.by_code(db, code), format, out)
        except OSError as failure:
            refuse(f"{out} cannot be written: {failure.strerror}.")
    typer.echo(f"Wrote {out}.")


@app.command()
def verify(
    files: list[Path],
    keys_file: Annotated[
        Path | None, typer.Option("--keys", help="The portal's jwks.json; default: this portal's own.")
    ] = None,
) -> None:
    """Check receipts offline. Exit 0 valid, 1 invalid, 2 cannot tell. Example: python -m app verify receipt.json"""
    try:
        jwks = json.loads(keys_file.read_text()) if keys_file else server.own_jwks(read_settings())
    except (OSError, ValueError) as failure:
        refuse(f"The keys cannot be read: {failure}", 2)
    if not isinstance(jwks, dict) or not isinstance(jwks.get("keys"), list):
        refuse("The keys cannot be read: this is no jwks.json of a portal.", 2)
    worst = 0
    for file in files:
        try:
            document = json.loads(file.read_bytes())
        except (OSError, ValueError) as failure:
            typer.echo(f"{file}: cannot be read: {failure}", err=True)
            worst = max(worst, 1)
            continue
        verdict = receipts.verify(document, jwks)
        typer.echo(f"{file}: {verdict.sentence.text('en')}", err=verdict.outcome != "valid")
        worst = max(worst, {"valid": 0, "unknown": 2, "invalid": 1}[verdict.outcome])
    raise typer.Exit(worst)


@app.command()
def invariants() -> None:
    """Check what must always be true of the data; one line per broken sentence. Example: python -m app invariants"""
    with opened() as db:
        broken = verification.run(db)
    for sentence in broken:
        typer.echo(sentence, err=True)
    if broken:
        raise typer.Exit(1)
    typer.echo("Every invariant holds.")


def main() -> None:
    """The installed command `eoi`."""
    app(prog_name="eoi")
