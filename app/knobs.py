"""Single knobs: how a switch, a number, an address or a list is read from the environment, or refused with a sentence."""

import ipaddress
from collections.abc import Mapping
from dataclasses import field
from typing import Any
from urllib.parse import parse_qs, urlsplit

HERE = ("localhost", "127.0.0.1", "::1")
YES, NO = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


class SettingsRefused(Exception):
    """A setting is missing or too weak to start with; one sentence says which and why."""


def knob(env: str, default: str, meaning: str) -> Any:
    """A field read from the variable `env`; the words are the README's table."""
    return field(metadata={"env": env, "default": default, "meaning": meaning})


def switch(env: Mapping[str, str], name: str) -> bool:
    """On or off."""
    value = env.get(name, "").lower()
    if value not in YES + NO:
        raise SettingsRefused(f"{name} is '{value}': write 1 or 0.")
    return value in YES


def choice(env: Mapping[str, str], name: str, offered: tuple[str, ...]) -> str:
    """One of the words offered; the first of them where nothing is said."""
    value = env.get(name) or offered[0]
    if value not in offered:
        raise SettingsRefused(f"{name} is '{value}': write {' or '.join(offered)}.")
    return value


def number(env: Mapping[str, str], name: str, default: int, most: int) -> int:
    """A whole number from 1 to `most`."""
    value = env.get(name) or str(default)
    if not (value.isascii() and value.isdigit() and 1 <= int(value) <= most):
        raise SettingsRefused(f"{name} is '{value}': write a whole number from 1 to {most}.")
    return int(value)


def listed(env: Mapping[str, str], name: str, default: str) -> tuple[str, ...]:
    """What is separated by commas."""
    return tuple(part.strip() for part in (env.get(name) or default).split(",") if part.strip())


def service(env: Mapping[str, str], name: str, demo: bool) -> str | None:
    """The address of a service of somebody else's; https unless it is tried out."""
    value = env.get(name, "").rstrip("/")
    parts = urlsplit(value)
    if value and (
        parts.scheme not in ("https", "http" if demo else "https")
        or not parts.hostname
        or parts.query
        or parts.fragment
        or "@" in value
    ):
        raise SettingsRefused(f"{name} is not an address: write https:// and a host, without name or password.")
    return value or None


def address(env: Mapping[str, str], name: str, default: str) -> str:
    """One e-mail address."""
    value = env.get(name) or default
    local, at, host = value.rpartition("@")
    if not (local and at and host) or any(c.isspace() or c in "<>," for c in value):
        raise SettingsRefused(f"{name} is '{value}': write one e-mail address, without a name.")
    return value


def networks(env: Mapping[str, str], name: str, default: str) -> tuple[str, ...]:
    """Addresses or networks."""
    found = listed(env, name, default)
    for value in found:
        try:
            ipaddress.ip_network(value, strict=False)
        except ValueError:
            raise SettingsRefused(f"{name} has '{value}': write addresses or networks, as 10.0.0.0/8.") from None
    return found


def travels_in_clear(address: str) -> bool:
    """Whether a database is elsewhere, on one host at least, and its address asks for less than verified TLS."""
    parts = urlsplit(address)
    query = parse_qs(parts.query)
    hosts = [urlsplit(f"//{one}").hostname or "" for one in parts.netloc.rpartition("@")[2].split(",")]
    hosts += [one for name in ("host", "hostaddr") for some in query.get(name, []) for one in some.split(",")]
    is_elsewhere = any(host and not host.startswith("/") and host not in HERE for host in hosts)
    return is_elsewhere and query.get("sslmode") != ["verify-full"]
