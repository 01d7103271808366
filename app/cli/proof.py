"""`export`, `verify` and `invariants`: what leaves the portal, and what shows that all of it is right."""

import json
from pathlib import Path
from typing import Annotated

import typer

from app import server
from app.cli.terminal import Json, opened, read_settings, refuse, say
from app.domain import calls, exports, proofs, seals, verification
from app.domain.access import SYSTEM
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
    settings = read_settings()
    with opened() as db:
        call = calls.by_code(db, code)
        if format == "zip":
            exports.require_looked_at(db, SYSTEM, call, settings.clamd_url is not None)
        try:
            exports.write(db, server.file_store(settings), call, format, out)
        except OSError as failure:
            refuse(f"{out} cannot be written: {failure.strerror}.")
    typer.echo(f"Wrote {out}.")


def verify(
    files: list[Path],
    keys_file: Annotated[
        Path | None, typer.Option("--keys", help="The portal's jwks.json; default: this portal's own.")
    ] = None,
    seal_file: Annotated[
        Path | None, typer.Option("--seal", help="The published seal, to check a receipt's proof against.")
    ] = None,
) -> None:
    """Check receipts, seals, exports and the rest, offline. Exit 0 valid, 1 invalid, 2 cannot tell.

    Example: python -m app verify receipt.json --keys jwks.json --seal seal.json
    """
    given = {file: _content(file) for file in files}
    seal = _content(seal_file) if seal_file else None
    verdicts = {}
    keys: bytes | None = None
    for file, content in given.items():
        if proofs.is_export(content):
            verdicts[file] = proofs.verify_export(content)
            continue
        keys = keys or (_content(keys_file) if keys_file else _own_keys())
        verdicts[file] = proofs.judge(content, keys, seal)
    for file, verdict in verdicts.items():
        typer.echo(f"{file}: {verdict.sentence.text('en')}", err=verdict.outcome != "valid")
    outcomes = {verdict.outcome for verdict in verdicts.values()}
    raise typer.Exit(1 if "invalid" in outcomes else 2 if "unknown" in outcomes else 0)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as failure:
        refuse(f"{file} cannot be read: {failure.strerror}.", 2)


def _own_keys() -> bytes:
    """The public keys of the portal whose DATA this is."""
    settings = read_settings()
    if not any((settings.data / "keys").glob("*.pem")):
        refuse("There are no keys of a portal here. Give its jwks.json, from /.well-known/jwks.json, with --keys.", 2)
    return json.dumps(server.own_jwks(settings)).encode()


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
