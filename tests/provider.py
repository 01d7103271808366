"""A real OpenID provider in a process of its own, which says of people what a broker of eHerkenning says."""

import os
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import yaml

from app.infra import oidc
from app.infra.oidc import Provider

LOA3 = "urn:etoegang:core:assurance-class:loa3"
FILE = """
- name: eherkenning
  title: {{en: eHerkenning, nl: eHerkenning}}
  for: companies
  issuer: {issuer}
  client_id: eoi
  client_secret: not-secret
  claims: {{registration_no: "urn:etoegang:1.9:EntityConcernedID:KvKnr", organisation: "urn:etoegang:1.11:Organisation", level: acr}}
  levels: {{"urn:etoegang:core:assurance-class:loa2": low, "{loa3}": substantial, "urn:etoegang:core:assurance-class:loa4": high}}
- name: rvo
  title: {{en: RVO single sign-on, nl: RVO eenmalig inloggen}}
  for: staff
  issuer: {issuer}
  client_id: eoi-staff
  client_secret: not-secret
  trusts_email: true
  roles: {{eoi-readers: reviewer, eoi-leads: coordinator}}
  second_factor: [mfa]
"""


@contextmanager
def running(folder: Path) -> Iterator[tuple[str, dict[str, Provider]]]:
    """The process, its address, and the providers of a file as the portal reads it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce", "true"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ})
    issuer = f"http://127.0.0.1:{port}"
    try:
        while not answers(issuer):
            assert process.poll() is None
        path = folder / "providers.yaml"
        path.write_text(FILE.format(issuer=issuer, loa3=LOA3))
        yield issuer, oidc.from_file(path, may_be_plain=True)
    finally:
        process.terminate()
        process.wait(timeout=10)


def answers(issuer: str) -> bool:
    """Whether it is up."""
    try:
        with urllib.request.urlopen(f"{issuer}/.well-known/openid-configuration", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def knows(issuer: str, subject: str, **claims: Any) -> None:
    """From now on it says this of a subject."""
    httpx.put(f"{issuer}/users/{subject}", json=claims, trust_env=False).raise_for_status()


def approve(place: str, subject: str) -> str:
    """Sign in there, as a person does; where it sends the browser back to, as a path of the portal."""
    answer = httpx.post(place, data={"sub": subject}, trust_env=False)
    assert answer.status_code == 302, answer.text
    return re.sub(r"^https?://[^/]+", "", answer.headers["location"])


def company(**changes: Any) -> dict[str, Any]:
    """What a broker says of somebody who acts for a company."""
    said = {
        "urn:etoegang:1.9:EntityConcernedID:KvKnr": "69599084",
        "urn:etoegang:1.11:Organisation": "Delta Compute BV",
        "acr": LOA3,
    }
    return said | changes


def changed(provider: Provider, **more: Any) -> Provider:
    """The same, but for what is named."""
    return replace(provider, **more, _kept={})


def listed() -> list[Any]:
    """The entries of the file, for tests of what it refuses."""
    found: list[Any] = yaml.safe_load(FILE.format(issuer="https://broker.example", loa3=LOA3))
    return found
