"""`export`, `verify` and `invariants`: what leaves the portal, and what shows that all of it is right."""

import json
from pathlib import Path
from typing import Annotated

import typer

from app import server
from app.cli.terminal import Json, opened, read_settings, refuse, say
from app.domain import calls, exports, proofs, seals, verification
from app.infra import clock
from app.infra.signing import Signer


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
        verdict = proofs.verify(document, jwks)
        typer.echo(f"{file}: {verdict.sentence.text('en')}", err=verdict.outcome != "valid")
        worst = max(worst, {"valid": 0, "unknown": 2, "invalid": 1}[verdict.outcome])
    raise typer.Exit(worst)


def seal(code: str, as_json: Json = False) -> None:
    """Seal a call that has closed, as the portal does by itself. Example: python -m app call seal aigf-eoi"""
    settings = read_settings()
    signer = Signer.load_or_create(settings.data / "keys")
    with opened() as db:
        call = calls.by_code(db, code)
        made = seals.seal(db, call, signer, seals.Setting(settings.base_url, clock.chrony(), settings.eurohpc_contact))
        line = f"{code}: sealed at {made.body['sealed_at']}, {made.body['count']} submissions, root {made.body['root']}"
        say(seals.document(db, call), as_json, line)


def invariants() -> None:
    """Check what must always be true of the data; one line per broken sentence. Example: python -m app invariants"""
    settings = read_settings()
    evidence = verification.Evidence(server.file_store(settings), server.own_jwks(settings))
    with opened() as db:
        broken = verification.run(db, evidence)
    for sentence in broken:
        typer.echo(sentence, err=True)
    if broken:
        raise typer.Exit(1)
    typer.echo("Every invariant holds.")
