"""The container files fit the house: no engine is at hand where the tests run, so they are read and held to it."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from app import doorman
from app import settings as settings_room
from app.cli import app as command_line
from app.infra import roles
from app.settings import Settings

ROOT = Path(__file__).parent.parent
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
PORTALS = ("portal-1", "portal-2", "migrate")
PLACE = re.compile(r"\$\{([A-Z_]+)(:-|:\?)?([^}]*)\}")


def test_there_are_two_portals_a_database_a_mail_catcher_and_a_proxy() -> None:
    assert set(SERVICES) == {"portal-1", "portal-2", "migrate", "database", "mail", "proxy"}
    assert SERVICES["portal-1"] == SERVICES["portal-2"]
    named = {v.partition(":")[0] for s in SERVICES.values() for v in s.get("volumes", []) if v[0] not in "./"}
    assert named == set(COMPOSE["volumes"])
    assert {n for s in SERVICES.values() for n in s["networks"]} == set(COMPOSE["networks"])


def test_services_wait_for_services_that_exist() -> None:
    assert {n for s in SERVICES.values() for n in s.get("depends_on", [])} <= set(SERVICES)
    assert SERVICES["portal-1"]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    assert SERVICES["migrate"]["depends_on"] == {"database": {"condition": "service_healthy"}}


def test_files_that_are_mounted_exist() -> None:
    mounted = [v.split(":")[0] for s in SERVICES.values() for v in s.get("volumes", []) if v.startswith("./")]
    assert sorted(mounted) == ["./deploy/Caddyfile", "./deploy/roles.sh"]
    assert [path for path in mounted if not (ROOT / path).is_file()] == []
    # one that is not executable would be sourced, and its `set -u` would outlive it
    assert (ROOT / "deploy" / "roles.sh").stat().st_mode & 0o111


def test_only_the_proxy_answers_the_world() -> None:
    published = {name: s["ports"] for name, s in SERVICES.items() if "ports" in s}
    assert published == {"proxy": ["80:80", "443:443"], "mail": ["127.0.0.1:8025:8025"]}


def test_no_secret_stands_in_the_files() -> None:
    asked = r"\$\{[A-Z_]+:\?[^}]+\}"
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN", name):
                assert re.fullmatch(asked, value), name
            elif "@" in value:
                assert re.fullmatch(rf"[a-z]+://[a-z_]+:{asked}@[a-z/]+", value), name


def filled(service: str) -> dict[str, str]:
    """The environment of a service as an .env file with good secrets makes it."""

    def fill(match: re.Match[str]) -> str:
        name, how, rest = match.groups()
        return rest if how == ":-" else f"{name.lower()}0123456789abcdefghijklm"[:40].replace("_", "")

    return {name: PLACE.sub(fill, value) for name, value in SERVICES[service]["environment"].items()}


@pytest.mark.parametrize("service", PORTALS)
def test_the_settings_of_the_portals_are_settings_and_are_accepted(service: str) -> None:
    known = {name for name, _, _ in settings_room.table()}
    assert set(SERVICES[service]["environment"]) - known == set()
    settings = Settings.from_env(filled(service))
    assert not settings.demo
    assert settings.base_url == "https://localhost"
    assert settings.trusted_proxies == (COMPOSE["networks"]["inside"]["ipam"]["config"][0]["subnet"],)
    assert (settings.database_owner_url is not None) == (service == "migrate")


def test_the_images_only_environment_is_settings_and_pythons_own() -> None:
    given = {word.split("=")[0] for line in re.findall(r"^ENV (.+)$", final(), re.M) for word in shlex.split(line)}
    known = {name for name, _, _ in settings_room.table()}
    assert given - known == {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}


def final() -> str:
    """The stage of the Dockerfile that becomes the image."""
    return DOCKERFILE.rpartition("\nFROM ")[2]


def test_the_portals_run_as_a_user_without_rights() -> None:
    users = re.findall(r"^USER (.+)$", final(), re.M)
    assert users == ["10001:10001"]
    assert final().index("USER ") < final().index("ENTRYPOINT ")
    for name in PORTALS:
        assert SERVICES[name]["read_only"]
        assert SERVICES[name]["cap_drop"] == ["ALL"]
        assert SERVICES[name]["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("words", [["serve", "--host", "0.0.0.0", "--port", "8000"], ["migrate"]])
def test_the_commands_exist(words: list[str]) -> None:
    commands = get_command(command_line).commands  # type: ignore[attr-defined]
    assert words[0] in commands
    offered = {option for parameter in commands[words[0]].params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= offered
    said = [yaml.safe_load(line) for line in re.findall(r"^CMD (.+)$", final(), re.M)]
    assert [*said, SERVICES["migrate"]["command"]] == [["serve", "--host", "0.0.0.0", "--port", "8000"], ["migrate"]]
    assert 'ENTRYPOINT ["python", "-m", "app"]' in final()


def test_what_is_copied_exists_and_is_not_left_out() -> None:
    ignored = {
        line.rstrip("/") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] not in ("#", "")
    }
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.M):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert source not in ignored
    copied = {word for line in re.findall(r"^COPY (.+)$", final(), re.M) for word in line.split()[-1:]}
    assert {".venv", "app", "locales", "migrations", "templates", "calls"} <= copied
    assert {".git", ".env", "data"} <= ignored


def test_the_proxy_knows_both_portals_and_lets_in_what_they_take() -> None:
    proxy = (ROOT / "deploy" / "Caddyfile").read_text()
    assert "reverse_proxy portal-1:8000 portal-2:8000" in proxy
    assert f"max_size {doorman.MAX_BODY // 1024**2}MiB" in proxy
    assert set(re.findall(r"\{\$([A-Z_]+)\}", proxy)) == set(SERVICES["proxy"]["environment"])


def test_the_roles_are_those_of_the_embedded_database() -> None:
    script = (ROOT / "deploy" / "roles.sh").read_text()
    for role in (roles.OWNER, roles.APP):
        assert f"create role {role} {roles.POWERS} password" in script
    limits = dict(re.findall(rf"alter role {roles.APP} set (\w+) = '(\w+)'", script))
    assert limits == roles.LIMITS
    assert set(re.findall(r"\$([A-Z]+_PASSWORD)", script)) <= set(SERVICES["database"]["environment"])


def test_the_wheel_holds_the_whole_house() -> None:
    packaging = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    beside = packaging["package-dir"]
    rooms = {"app"} | {
        ".".join(path.relative_to(ROOT).parts) for path in (ROOT / "app").iterdir() if list(path.glob("*.py"))
    }
    assert set(packaging["packages"]) == rooms | set(beside) | {"app.migrations.versions"}
    assert beside == {f"app.{name}": name for name in ("calls", "locales", "migrations", "templates")}
    for package, patterns in packaging["package-data"].items():
        folder = ROOT / beside.get(package, "app")
        taken = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
        wanted = {"app.locales": "*.mo", "app.calls": "*.yaml", "app.templates": "*.*", "app": "nuts3.txt"}[package]
        assert set(folder.rglob(wanted)) <= taken, package
