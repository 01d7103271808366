"""Posts bytes to addresses of others: to public networks only, to the address that was judged, and never for long.

A name is resolved once and the connection goes to that very address, so that a name which points elsewhere a moment
later leads nowhere. Redirects are answers like any other, proxies of the environment are not asked, of the answer only the head is read.
"""

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

CONNECT = 5.0  # seconds
WHOLE = 15.0  # seconds for everything after the connection
NAT64 = ipaddress.ip_network("64:ff9b::/96")
NAT64_LOCAL = ipaddress.ip_network("64:ff9b:1::/48")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolves = Callable[[str, int], list[str]]


class PostRefused(Exception):
    """Not sent: the address is none that may be posted to. The text says why."""


class PostFailed(Exception):
    """Sent or not, there was no answer. The text says why."""


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host name, as the system knows them."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as failure:
        raise PostFailed(f"the name {host} is not known: {failure}") from failure
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True)
class Poster:
    """What may be posted to: public addresses and the networks named, by https unless plain http is allowed."""

    networks: tuple[str, ...] = ()
    may_be_plain: bool = False
    resolves: Resolves = resolve
    context: ssl.SSLContext | None = None
    whole: float = WHOLE

    def post(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        """The status of the answer. PostRefused before a byte is sent, PostFailed where no answer came in time."""
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        if parts.scheme not in (("https", "http") if self.may_be_plain else ("https",)):
            raise PostRefused(f"{parts.scheme} is not https")
        address = self._judged(host, port)
        context = (self.context or ssl.create_default_context()) if parts.scheme == "https" else None
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            return self._exchange(Pinned(host, port, address, context), path, body, headers)
        except ssl.SSLCertVerificationError as failure:
            raise PostFailed(f"the certificate does not hold: {failure.verify_message}") from failure
        except TimeoutError as failure:
            raise PostFailed("no answer in time") from failure
        except (OSError, http.client.HTTPException) as failure:
            raise PostFailed(f"{type(failure).__name__}: {failure}"[:300]) from failure

    def _exchange(self, connection: "Pinned", path: str, body: bytes, headers: dict[str, str]) -> int:
        """One request and its answer. A clock of its own cuts the line: an answer that drips would reset any other."""
        cut = threading.Event()

        def cut_off() -> None:
            cut.set()
            connection.cut()

        clock = threading.Timer(self.whole, cut_off)
        clock.daemon = True
        clock.start()
        try:
            connection.request("POST", path, body, headers)
            status = connection.getresponse().status  # of the rest of the answer nothing is read
            if cut.is_set():  # a head that was cut off reads like a short one
                raise TimeoutError
            return status
        except (OSError, http.client.HTTPException, ValueError, AttributeError) as failure:
            if cut.is_set():
                raise TimeoutError from failure
            raise
        finally:
            clock.cancel()
            connection.close()

    def _judged(self, host: str, port: int) -> str:
        """The address to connect to; refused where any of the addresses of the name is none that may be posted to."""
        found = self.resolves(host, port)
        if not found:
            raise PostFailed(f"the name {host} has no address")
        for address in found:
            if not self.may_reach(address):
                raise PostRefused(f"{host} leads to {address}, which is no public address")
        return found[0]

    def may_reach(self, address: str) -> bool:
        """Whether an address is public, or lies in a network that the settings name."""
        try:
            at = innermost(ipaddress.ip_address(address.partition("%")[0]))
        except ValueError:
            return False
        if any(at in ipaddress.ip_network(network, strict=False) for network in self.networks):
            return True
        is_site_local = isinstance(at, ipaddress.IPv6Address) and at.is_site_local
        return at.is_global and not (at.is_multicast or at.is_reserved or is_site_local or at in NAT64_LOCAL)


def innermost(address: Address) -> Address:
    """The address that a packet ends up at: IPv6 has several clothes for addresses of IPv4."""
    if not isinstance(address, ipaddress.IPv6Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo or address


class Pinned(http.client.HTTPConnection):
    """A connection to one address, under the name that was asked for: in the Host header and in TLS."""

    def __init__(self, host: str, port: int, address: str, context: ssl.SSLContext | None) -> None:
        super().__init__(host, port, timeout=CONNECT)
        self.default_port = 443 if context else 80
        self.address, self.context = address, context
        self.made: Any = None

    def connect(self) -> None:
        """Connect to the address that was judged, not to what the name means now."""
        self.made = self.sock = socket.create_connection((self.address, self.port), CONNECT)
        if self.context is not None:
            self.made = self.sock = self.context.wrap_socket(self.sock, server_hostname=self.host)

    def cut(self) -> None:
        """Cut the line, whoever waits on it."""
        if self.made is not None:
            with contextlib.suppress(OSError):
                self.made.shutdown(socket.SHUT_RDWR)
