"""The command line: serve, migrate, calls, staff, keys, release, export, verify, invariants, drill; a room for each sort."""

import typer

from app.cli import calls, people, proof, rehearsing, releasing, retention, rotating, serving

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
app.command()(serving.serve)
app.command()(serving.migrate)
app.command()(serving.backup)
app.command()(serving.restore)
calls.app.command("seal")(proof.seal)
app.add_typer(calls.app, name="call")
app.add_typer(people.staff, name="staff")
app.add_typer(people.persons, name="person")
app.add_typer(people.machines, name="key")
app.add_typer(rotating.app, name="rotate")
app.command()(releasing.release)
app.command()(proof.export)
app.command()(proof.verify)
app.command()(proof.invariants)
app.command("retention")(retention.show)
app.command()(rehearsing.drill)
app.command()(rehearsing.sandbox)


def main() -> None:
    """The installed command `eoi`."""
    app(prog_name="eoi")
