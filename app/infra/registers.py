"""Asking other registers about an identifier: VIES (VAT) and GLEIF (LEI). Whatever goes wrong, the answer is `unknown`.

No redirect is followed, nothing beyond a size is read, and the whole exchange is ended after a number of seconds.
"""

import http.client
import json
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

PATIENCE = 8.0  # seconds for the whole exchange
LARGEST = 256 * 1024  # bytes of an answer; either register needs a few kB
TEXT = 500  # characters kept of a name or address

Outcome = Literal["valid", "invalid", "unknown"]


@dataclass(frozen=True)
class Answer:
    """What a register said. `evidence` holds name, address, country and what identifies the consultation, or why not."""

    outcome: Outcome
    evidence: dict[str, Any]


class Silent(Exception):
    """There was no answer that can be used; the text is a short code of why."""


@dataclass(frozen=True)
class Registers:
    """Where to ask; None where a register is not to be asked. `requester` is the VAT number of whoever asks."""

    vies: str | None = None
    gleif: str | None = None
    requester: str | None = None
    patience: float = PATIENCE

    def asks(self, register: str) -> bool:
        """Whether a register is switched on."""
        return (self.vies if register == "vies" else self.gleif) is not None

    def ask(self, register: str, number: str) -> Answer:
        """Ask a register that is switched on. Never raises for what the other side does."""
        verb: Callable[[str], Answer] = self._vies if register == "vies" else self._gleif
        try:
            return verb(number)
        except Silent as reason:
            return Answer("unknown", {"problem": str(reason)})

    def _vies(self, number: str) -> Answer:
        asked = {"countryCode": number[:2], "vatNumber": number[2:]}
        if self.requester:
            asked |= {"requesterMemberStateCode": self.requester[:2], "requesterNumber": self.requester[2:]}
        status, said = self._exchange(f"{self.vies}/check-vat-number", asked)
        if status != 200 or not isinstance(said.get("valid"), bool):
            raise Silent(_problem(said) or f"status_{status}")
        evidence = {
            "consultation": _text(said.get("requestIdentifier")),
            "at": _text(said.get("requestDate")),
            "name": _text(said.get("name")),
            "address": _text(said.get("address")),
        }
        return Answer("valid" if said["valid"] else "invalid", {k: v for k, v in evidence.items() if v})

    def _gleif(self, number: str) -> Answer:
        status, said = self._exchange(f"{self.gleif}/lei-records/{number}", None)
        if status == 404 and isinstance(said.get("errors"), list):
            return Answer("invalid", {})
        found = _inside(said, "data", "attributes")
        if status != 200 or _inside(said, "data").get("id") != number or not found:
            raise Silent(f"status_{status}" if status != 200 else "not_an_answer")
        entity, registration = _inside(found, "entity"), _inside(found, "registration")
        evidence = {
            "name": _text(_inside(entity, "legalName").get("name")),
            "address": _address(_inside(entity, "headquartersAddress")),
            "country": _text(_inside(entity, "headquartersAddress").get("country"))[:2],
            "incorporated": _text(_inside(entity, "legalAddress").get("country"))[:2],
            "entity_status": _text(entity.get("status")),
            "status": _text(registration.get("status")),
            "renewal": _text(registration.get("nextRenewalDate")),
        }
        return Answer("valid", {k: v for k, v in evidence.items() if v})

    def _exchange(self, url: str, body: Any) -> tuple[int, dict[str, Any]]:
        parts, late = urlsplit(url), threading.Event()
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=self.patience)
        watch: threading.Timer | None = None
        try:
            connection.connect()
            watch = threading.Timer(self.patience, _hang_up, [connection.sock, late])
            watch.daemon = True
            watch.start()  # a server that drips is not waited for
            answer, content = _sent(connection, parts.path, body)
        except (OSError, http.client.HTTPException, ValueError) as failure:
            raise Silent("slow" if late.is_set() or isinstance(failure, TimeoutError) else "down") from failure
        finally:
            if watch is not None:
                watch.cancel()
            connection.close()
        if late.is_set():
            raise Silent("slow")
        if len(content) > LARGEST:
            raise Silent("too_large")
        try:
            said = json.loads(content)
        except (ValueError, RecursionError) as failure:
            raise Silent(f"status_{answer.status}" if answer.status != 200 else "not_an_answer") from failure
        if not isinstance(said, dict):
            raise Silent("not_an_answer")
        return answer.status, said


def _sent(connection: http.client.HTTPConnection, path: str, body: Any) -> tuple[http.client.HTTPResponse, bytes]:
    headers = {"Accept": "application/json", "User-Agent": "eoi-portal"}
    if body is None:
        connection.request("GET", path, headers=headers)
    else:
        connection.request("POST", path, json.dumps(body), headers | {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer, answer.read(LARGEST + 1)


def _hang_up(held: socket.socket, late: threading.Event) -> None:
    """End an exchange that takes too long; the one who reads finds a broken connection."""
    late.set()
    with suppress(OSError):
        held.shutdown(socket.SHUT_RDWR)


def _problem(said: dict[str, Any]) -> str:
    """The code by which VIES says that it cannot tell, such as MS_UNAVAILABLE."""
    wrapped = said.get("errorWrappers")
    first = wrapped[0] if isinstance(wrapped, list) and wrapped else {}
    code = first.get("error") if isinstance(first, dict) else None
    return code[:60] if isinstance(code, str) and code.isascii() and code.replace("_", "").isalnum() else ""


def _inside(said: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        inner = said.get(name)
        said = inner if isinstance(inner, dict) else {}
    return said


def _text(value: Any) -> str:
    """A text as it may be kept and shown; VIES writes --- for what it does not tell."""
    kept = "".join(c for c in value if c.isprintable() or c == "\n")[:TEXT].strip() if isinstance(value, str) else ""
    return "" if kept.strip("-") == "" else kept


def _address(given: dict[str, Any]) -> str:
    lines = given.get("addressLines")
    listed = [
        *(lines if isinstance(lines, list) else []),
        given.get("postalCode"),
        given.get("city"),
        given.get("country"),
    ]
    return _text(", ".join(filter(None, map(_text, listed))))
