"""The house rules that a machine can check."""

import ast
import hashlib
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Message
from babel.messages.pofile import read_po
from fastapi.routing import APIRoute, iter_route_contexts
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlalchemy import create_engine, inspect, text
from typer.main import get_command

from app import settings as settings_room
from app.api import credentials, versioned
from app.cli import app as command_line
from app.deps import Portal
from app.domain import errors
from app.infra import database
from app.infra.postgres import Cluster
from app.main import create_app
from app.models import Base
from app.web import guards, pages

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "app").rglob("*.py"))
GUARDS = {*guards.GUARDS, *credentials.GUARDS}


def test_imports_go_down() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_rooms_and_functions_stay_small(path: Path) -> None:
    source = path.read_text()
    assert source.count("\n") <= 300
    long = {f.name: (f.end_lineno or 0) - f.lineno + 1 for f in functions(ast.parse(source))}
    assert {name: length for name, length in long.items() if length > 40} == {}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_room_says_what_it_is_for(path: Path) -> None:
    tree = ast.parse(path.read_text())
    assert not tree.body or ast.get_docstring(tree)


def test_nobody_commits_but_the_one_dependency_the_command_line_and_the_background() -> None:
    users = {str(p.relative_to(ROOT)) for p in SOURCES if ".commit(" in p.read_text()}
    assert users == set()


@dataclass(frozen=True)
class Way:
    """One route as it is served: its address, methods and what it depends on."""

    path: str
    methods: set[str]
    dependant: Any


def routes(portal: Portal) -> list[Way]:
    app = create_app(portal)
    listed = [("", context) for context in iter_route_contexts(app.routes)]
    listed += [("/api/v1", context) for context in iter_route_contexts(app.state.api.routes)]
    return [
        Way(prefix + (c.path or ""), set(c.methods or ()), c.original_route.dependant)
        for prefix, c in listed
        if isinstance(c.original_route, APIRoute)
    ]


def guards_of(dependant: Any) -> list[str]:
    """The guards among a route's dependencies, at any depth; a guard's own dependencies do not count again."""
    found: list[str] = []
    for dependency in dependant.dependencies:
        if dependency.call in GUARDS:
            found.append(dependency.call.__name__)
        else:
            found += guards_of(dependency)
    return found


def test_every_route_has_exactly_one_guard_and_the_table_is_as_agreed(portal: Portal) -> None:
    table = {
        f"{method} {way.path}": sorted(set(guards_of(way.dependant)))
        for way in routes(portal)
        for method in sorted(way.methods)
    }
    assert len(table) > 60
    assert {line: held for line, held in table.items() if len(held) != 1} == {}
    agreed = json.loads((ROOT / "tests" / "routes.json").read_text())
    assert {line: held[0] for line, held in table.items()} == agreed


def test_every_form_of_a_person_is_read_through_the_csrf_check(portal: Portal) -> None:
    def reads(dependant: Any) -> bool:
        return any(d.call is pages.read_form or reads(d) for d in dependant.dependencies)

    posts = [way for way in routes(portal) if way.methods - {"GET", "HEAD"} and not way.path.startswith("/api/")]
    assert len(posts) > 15
    assert [way.path for way in posts if not reads(way.dependant)] == []


def test_every_setting_and_command_stands_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    for name, default, _ in settings_room.table():
        assert f"`{name}`" in readme, name
        assert default.replace("|", "\\|") in readme, (name, default)

    def walk(command: Any, words: list[str]) -> list[str]:
        inner = getattr(command, "commands", None)
        return [" ".join(words)] if inner is None else [w for n, c in inner.items() for w in walk(c, [*words, n])]

    for line in walk(get_command(command_line), []):
        assert f"`{line}" in readme, line


def test_every_command_has_an_example() -> None:
    def walk(command: Any) -> list[Any]:
        inner = getattr(command, "commands", None)
        return [command] if inner is None else [c for n in inner.values() for c in walk(n)]

    assert [c.name for c in walk(get_command(command_line)) if "Example:" not in (c.help or "")] == []


def test_templates_compile_with_strict_undefined() -> None:
    environment = Environment(
        loader=FileSystemLoader(pages.TEMPLATES),
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        autoescape=True,
    )
    names = environment.list_templates(extensions=["html"])
    assert names
    for name in names:
        environment.get_template(name)


def test_no_template_holds_inline_script_or_style() -> None:
    inline = re.compile(
        r"<script(?![^>]*\bsrc=)(?![^>]*type=\"application/json\")|<style|\sstyle=\"|\son[a-z]+=\"", re.IGNORECASE
    )
    assert [str(p) for p in pages.TEMPLATES.rglob("*.html") if inline.search(p.read_text())] == []


def test_every_refusal_of_the_database_is_translated() -> None:
    written = set()
    for path in (ROOT / "migrations" / "versions").glob("*.py"):
        written |= set(re.findall(r"errcode = '(P0C\d\d)'", path.read_text()))
    assert written == set(errors.SQLSTATES)


def test_the_models_are_what_the_migrations_make(cluster: Cluster, shared_database: str) -> None:
    engine = create_engine(database.sqlalchemy_url(cluster.owner_url(shared_database)))
    found = inspect(engine)
    made = {t: {c["name"] for c in found.get_columns(t)} for t in found.get_table_names() if t != "alembic_version"}
    assert made == {t.name: {c.name for c in t.columns} for t in Base.metadata.sorted_tables}
    with engine.connect() as connection:
        constraints = set(
            connection.execute(text("select conname from pg_constraint where contype in ('c', 'u')")).scalars()
        )
        indexes = set(
            connection.execute(text("select indexname from pg_indexes where schemaname = 'public'")).scalars()
        )
    declared = {
        str(c.name)
        for t in Base.metadata.sorted_tables
        for c in t.constraints
        if c.name and str(c.name)[:3] not in ("pk_", "fk_")
    }
    assert declared <= constraints | indexes
    assert {str(i.name) for t in Base.metadata.sorted_tables for i in t.indexes} <= indexes
    assert set(errors.CONSTRAINTS) <= constraints | indexes
    engine.dispose()


def singular(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


@pytest.mark.parametrize("language", ["nl"])
def test_every_sentence_stands_in_both_languages(language: str, tmp_path: Path) -> None:
    with (ROOT / "locales" / language / "LC_MESSAGES" / "messages.po").open("rb") as file:
        catalogue = read_po(file)
    missing = [
        m.id for m in catalogue if m.id and (not (all(m.string or ()) if m.pluralizable else m.string) or m.fuzzy)
    ]
    assert missing == []
    fresh = tmp_path / "fresh.pot"
    words = ["-q", "extract", "-F", "babel.cfg", "-k", "N_", "-o", str(fresh), "."]
    subprocess.run([Path(sys.executable).with_name("pybabel"), *words], cwd=ROOT, check=True)
    with fresh.open("rb") as file:
        wanted = {singular(m) for m in read_po(file) if m.id}
    known = {singular(m) for m in catalogue}
    assert len(wanted) > 400
    assert sorted(w for w in wanted if w not in known) == []


def test_a_changed_description_of_the_api_has_a_line_among_the_changes() -> None:
    digest = hashlib.sha256((ROOT / "tests" / "openapi.json").read_bytes()).hexdigest()[:12]
    lines = re.findall(
        r"^\| ([0-9.]+) \|.*\| `([0-9a-f]{12})` \|", (ROOT / "docs" / "api-changes.md").read_text(), re.M
    )
    assert (versioned.VERSION, digest) == lines[0], "add a line to docs/api-changes.md, with the digest on the left"
