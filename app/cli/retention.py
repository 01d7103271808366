"""`retention`: what of a call is beyond its term; on the word of two coordinators it is destroyed, with a certificate."""

from typing import Annotated, Any

import typer
from sqlalchemy.orm import Session

from app import server
from app.cli.terminal import Json, opened, read_settings, refuse, say
from app.domain import accounts, calls, glossary, retention, statements, sweeping
from app.domain.access import Actor
from app.infra import database, times
from app.infra.signing import Signer
from app.models import Call
from app.settings import Settings


def show(
    code: str,
    destroy: Annotated[
        bool, typer.Option("--destroy/--dry-run", help="Destroy what is due; a dry run, the default, changes nothing.")
    ] = False,
    by: Annotated[str, typer.Option(help="E-mail of the coordinator who proposes it.")] = "",
    confirm: Annotated[str, typer.Option(help="E-mail of another coordinator, who confirms it.")] = "",
    sort: Annotated[list[str] | None, typer.Option(help="A class; repeat for more; default: all that are due.")] = None,
    as_json: Json = False,
) -> None:
    """Say what would go and what stays and why; destroys only on request. Example: python -m app retention aigf-eoi"""
    if destroy and not (by and confirm):
        refuse("Two people destroy: name them with --by and --confirm.", 2)
    settings = read_settings()
    with opened() as db:
        call = calls.by_code(db, code)
        found = [one for one in retention.report(db, call) if not sort or one.sort in sort]
        if not destroy:
            say([_as_data(one) for one in found], as_json, "\n".join(line for one in found for line in _lines(one)))
            return
        made = list(_destroyed(db, settings, call, found, by, confirm))
        lines = [f"{d['statement']['sort']}: destroyed {d['statement']['destroyed']['count']}." for d in made]
        say(made, as_json, "\n".join(lines) or "Nothing is due.")
    with server.databases(settings) as urls:  # what was destroyed is committed: now the bytes of its files
        engine = database.engine(urls.app)
        sweeping.sweep(database.sessions(engine), server.file_store(settings))
        engine.dispose()


def _destroyed(db: Session, settings: Settings, call: Call, found: list[retention.Class], by: str, confirm: str) -> Any:
    first, second = _coordinator(db, by), _coordinator(db, confirm)
    signer = Signer.load_or_create(settings.data / "keys")
    for one in found:
        if one.goes:
            proposed = one.pending or retention.propose(db, first, call, one.sort)
            made = retention.confirm(db, second, call, proposed.id, signer, settings.base_url)
            yield statements.document(made.body, made.jws)


def _coordinator(db: Session, email: str) -> Actor:
    person = accounts.find_person(db, email)
    actor = accounts.actor_for(db, person) if person else None
    if actor is None or not actor.is_staff("coordinator"):
        refuse(f"{email} is no coordinator.")
    return actor


def _lines(one: retention.Class) -> list[str]:
    words = glossary.words("class", one.sort, "en")
    if one.months is None:
        return [f"{one.sort}: no term in the call file, so nothing goes."]
    due = times.brussels_and_utc(one.due_from, "en") if one.due_from else "the call is not sealed yet"
    head = f"{one.sort} ({words}): {one.months} months after the deadline, from {due}"
    goes = f"  would go: {one.goes.count}, oldest {times.iso(one.goes.oldest)}" if one.goes else "  would go: 0"
    named = [f"    {reference}" for reference in one.goes.references] if one.goes else []
    stays = [f"  stays: {p.count}, {glossary.words('kept', p.why or '', 'en')}" for p in one.stays]
    return [head, goes, *named, *stays]


def _as_data(one: retention.Class) -> dict[str, Any]:
    def part(p: retention.Part) -> dict[str, Any]:
        return {"count": p.count, "oldest": times.iso(p.oldest), "why": p.why, "references": p.references}

    return {
        "sort": one.sort,
        "months": one.months,
        "due_from": times.iso(one.due_from) if one.due_from else None,
        "goes": part(one.goes) if one.goes else None,
        "stays": [part(p) for p in one.stays],
    }
