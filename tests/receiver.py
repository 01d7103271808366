"""A real HTTP server on this machine that plays the other side of a webhook, well or badly."""

import hashlib
import hmac
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """What came in, and how it answers: a status; `slow` drips its head, `huge` has no end, `silent` says nothing."""

    status: int = 204
    manner: str = ""
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?from=eoi"


@contextmanager
def receiving(**manners: Any) -> Iterator[Receiver]:
    """A receiver on a free port, until the end of the block."""
    receiver = Receiver(**manners)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            receiver.got.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            with suppress(OSError):
                self.answer()

        def answer(self) -> None:
            if receiver.manner == "silent":
                receiver.stopped.wait(30)
                return
            if receiver.manner == "slow":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                while not receiver.stopped.wait(0.05):
                    self.wfile.write(b".")
                    self.wfile.flush()
                return
            self.send_response(receiver.status)
            if 300 <= receiver.status < 400:
                self.send_header("Location", f"http://127.0.0.1:{receiver.port}/elsewhere")
            if receiver.manner == "huge":
                self.send_header("Content-Length", "1000000000")
            self.end_headers()
            while receiver.manner == "huge" and not receiver.stopped.is_set():
                self.wfile.write(b"." * 65536)

        def log_message(self, *_: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join(5)


def is_signed(headers: dict[str, str], body: bytes, secret: str, within: float = 300) -> bool:
    """Whether one of the signatures is that of the secret: written from the conventions, with nothing of the portal's."""
    key = b64decode(secret.removeprefix("whsec_"))
    said = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = "v1," + b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode()
    is_fresh = abs(time.time() - int(headers["webhook-timestamp"])) < within
    return is_fresh and any(hmac.compare_digest(wanted, one) for one in headers["webhook-signature"].split(" "))
