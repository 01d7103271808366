"""`staff`, `person` and `key`: who of RVO may sign in, whom to erase, and which machines may call the API."""

import json
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from app.cli.terminal import Json, opened, read_settings, refuse, say
from app.domain import accounts, calls, erasure, factors, keys, personal
from app.domain.access import SYSTEM, Actor
from app.infra import times
from app.models import ApiKey

staff = typer.Typer(no_args_is_help=True, help="People of RVO.")
persons = typer.Typer(no_args_is_help=True, help="Anybody with an account.")
machines = typer.Typer(no_args_is_help=True, help="Keys of machines for the API.")


@staff.command("invite")
def staff_invite(email: str, role: Annotated[str, typer.Option(help="reviewer, coordinator or admin")]) -> None:
    """Give somebody a staff role. Example: python -m app staff invite jo@rvo.example --role reviewer"""
    if role not in ("reviewer", "coordinator", "admin"):
        refuse("A role is reviewer, coordinator or admin.", 2)
    if not accounts.is_email(email):
        refuse(f"'{email}' is no e-mail address that a link can be sent to.", 2)
    with opened() as db:
        accounts.invite_staff(db, email, role)
    typer.echo(f"{email} may sign in as {role}.")


@persons.command("erase")
def person_erase(
    email: str,
    reason: Annotated[str, typer.Option(help="Why; it is kept in the audit trail.")],
    by: Annotated[str, typer.Option(help="E-mail of the administrator who decides.")],
) -> None:
    """Erase a person for good. Example: python -m app person erase jo@firm.example --reason "asked to" --by a@rvo.example"""
    with opened() as db:
        person, admin = accounts.find_person(db, email), accounts.find_person(db, by)
        if person is None:
            refuse(f"Nobody has the address {email}.")
        if admin is None or admin.staff_role != "admin":
            refuse(f"{by} is no administrator.")
        lines = erasure.erase(db, accounts.actor_for(db, admin), person.id, reason)
    typer.echo(f"Erased; {lines} lines of the audit trail lost their content and kept their place.")


@persons.command("reset-factors")
def person_reset_factors(
    email: str,
    reason: Annotated[str, typer.Option(help="Why; it is kept in the audit trail.")],
    by: Annotated[str, typer.Option(help="E-mail of the administrator who decides.")],
    confirm: Annotated[str, typer.Option(help="E-mail of another coordinator or administrator who agrees.")],
) -> None:
    """End all second factors and sessions of somebody who lost them; at the next sign-in they take a new one into use.

    Example: python -m app person reset-factors jo@rvo.example --reason "lost phone" --by a@rvo.example --confirm b@rvo.example
    """
    with opened() as db:
        person = accounts.find_person(db, email)
        if person is None:
            refuse(f"Nobody has the address {email}.")
        first = _staff(db, by, ("admin",), "no administrator")
        second = _staff(db, confirm, ("admin", "coordinator"), "no administrator or coordinator")
        factors.reset(db, first, second, person, reason, read_settings().base_url)
    typer.echo(f"{email} signs in anew and takes a second factor into use.")


@persons.command("export")
def person_export(email: str, out: Annotated[Path, typer.Option(help="The file to write.")]) -> None:
    """All data on a person, as JSON. Example: python -m app person export jo@firm.example --out jo.json"""
    with opened() as db:
        person = accounts.find_person(db, email)
        if person is None:
            refuse(f"Nobody has the address {email}.")
        made = json.dumps(personal.export(db, SYSTEM, person.id), ensure_ascii=False, indent=1)
        try:
            out.touch(mode=0o600)
            out.write_text(made + "\n", encoding="utf-8")
        except OSError as failure:
            refuse(f"{out} cannot be written: {failure.strerror}.")
    typer.echo(f"Wrote {out}.")


@machines.command("issue")
def key_issue(
    name: str,
    call: Annotated[list[str], typer.Option(help="A call the key may read; repeat for more.")],
    scope: Annotated[list[str] | None, typer.Option(help="Repeat for more; default: all that read.")] = None,
    network: Annotated[list[str] | None, typer.Option(help="Where it may come from, as 192.0.2.0/24; repeat.")] = None,
    days: Annotated[int, typer.Option(help="Days until it expires.", min=1, max=730)] = 365,
    by: Annotated[str | None, typer.Option(help="E-mail of the administrator who proposes it.")] = None,
    confirm: Annotated[str | None, typer.Option(help="E-mail of the other person who agrees.")] = None,
    as_json: Json = False,
) -> None:
    """Issue a key; its text is shown this once.

    With --by and --confirm two people issue it; with --by alone it waits at /manage/keys. With neither you do it as the
    operator of this machine, who owns the database; the audit trail says so.

    Example: python -m app key issue EuroHPC --call aigf-eoi
    """
    scopes = scope or ["submissions:read", "attachments:read"]
    if wrong := sorted(set(scopes) - set(keys.SCOPES)):
        refuse(f"There is no scope {', '.join(wrong)}; there are {', '.join(keys.SCOPES)}.", 2)
    if confirm and not by:
        refuse("--confirm needs --by: say who proposes it.", 2)
    with opened(owner=by is None) as db:
        for code in call:
            calls.by_code(db, code)
        wish = keys.Wish(
            name, call, scopes, networks=keys.networks(" ".join(network or [])), lives=timedelta(days=days)
        )
        key, text = _issued(db, wish, by, confirm)
        told = {"id": str(key.id), "key": text, "calls": call, "scopes": scopes}
        say(told, as_json, text or f"{key.id} waits for a second person, at /manage/keys.")


def _issued(db: Session, wish: keys.Wish, by: str | None, confirm: str | None) -> tuple[ApiKey, str | None]:
    if by is None:
        more = {"networks": wish.networks}
        return keys.issue(db, SYSTEM, wish.name, wish.call_codes, wish.scopes, wish.lives, **more)
    first = _staff(db, by, ("admin",), "no administrator")
    second = _staff(db, confirm, ("admin", "coordinator"), "no administrator or coordinator") if confirm else None
    key = keys.propose(db, first, wish)
    if second is None:
        return key, None
    keys.approve(db, second, key.id)
    return keys.collect(db, first, key.id)


def _staff(db: Session, email: str, roles: tuple[str, ...], otherwise: str) -> Actor:
    person = accounts.find_person(db, email)
    if person is None or person.staff_role not in roles:
        refuse(f"{email} is {otherwise}.")
    return accounts.actor_for(db, person)


@machines.command("list")
def key_list(as_json: Json = False) -> None:
    """The keys, without their secrets. Example: python -m app key list"""
    with opened() as db:
        found, now = keys.all_keys(db), calls.clock(db)
        data = [
            {
                "id": str(k.id),
                "name": k.name,
                "prefix": k.prefix,
                "kind": k.kind,
                "state": keys.state(k, now),
                "calls": k.call_codes,
                "scopes": k.scopes,
                "networks": k.networks,
                "expires_at": times.iso(k.expires_at),
                "revoked_at": times.iso(k.revoked_at) if k.revoked_at else None,
                "last_used_at": times.iso(k.last_used_at) if k.last_used_at else None,
            }
            for k in found
        ]
        say(
            data,
            as_json,
            "\n".join(f"{k['id']}  {k['prefix']}  {k['state']}  {k['name']}" for k in data) or "There are no keys.",
        )


@machines.command("revoke")
def key_revoke(key_id: uuid.UUID) -> None:
    """Make a key useless from now on. Example: python -m app key revoke 5b1c…"""
    with opened() as db:
        keys.revoke(db, SYSTEM, key_id)
    typer.echo("Revoked.")
