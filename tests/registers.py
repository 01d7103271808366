"""A real HTTP server on this machine that answers as VIES and GLEIF do, also when they are away, slow or wrong."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar


class Desk(BaseHTTPRequestHandler):
    """Answers by `mood`, which tests set; `asked` holds what came in."""

    mood: ClassVar[str] = "valid"
    asked: ClassVar[list[tuple[str, Any]]] = []
    name: ClassVar[str] = "Delta B.V."
    country: ClassVar[str] = "NL"
    stopping: ClassVar[threading.Event] = threading.Event()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, body))
        self._answer(
            {
                "countryCode": body["countryCode"],
                "vatNumber": body["vatNumber"],
                "requestDate": "2026-01-05T10:00:00.000Z",
                "valid": self.mood == "valid",
                "requestIdentifier": "WAPIAAAAY1" if "requesterNumber" in body else "",
                "name": self.name,
                "address": "---",
            }
        )

    def do_GET(self) -> None:
        self.asked.append((self.path, None))
        lei = self.path.rsplit("/", 1)[1]
        if self.mood == "invalid":
            self._send(404, json.dumps({"errors": [{"status": "404", "title": "Not Found"}]}).encode())
            return
        address = {"addressLines": ["Kade 1"], "city": "Rotterdam", "country": self.country, "postalCode": "3011 AA"}
        entity = {"legalName": {"name": self.name}, "legalAddress": address, "headquartersAddress": address}
        attributes = {"lei": lei, "entity": entity, "registration": {"status": "LAPSED"}}
        self._answer({"data": {"type": "lei-records", "id": lei, "attributes": attributes}})

    def _answer(self, said: Any) -> None:
        moods = {
            "away": (
                200,
                json.dumps({"actionSucceed": False, "errorWrappers": [{"error": "MS_UNAVAILABLE"}]}).encode(),
            ),
            "broken": (500, b"<html>Internal Server Error</html>"),
            "garbage": (200, b"\x00\xff not json"),
            "deep": (200, b"[" * 100_000),
            "list": (200, b"[]"),
            "other": (200, b'{"valid": "yes", "data": {"id": 7, "attributes": []}}'),
            "huge": (200, b'{"valid": true, "name": "' + b"a" * 1_000_000 + b'"}'),
        }
        if self.mood == "redirect":
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.end_headers()
        elif self.mood == "slow":
            self.stopping.wait(30)
        elif self.mood == "drip":
            self._drip()
        else:
            self._send(*moods.get(self.mood, (200, json.dumps(said).encode())))

    def _drip(self) -> None:
        """A byte at a time, each in time for an impatient reader of single bytes."""
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        while not self.stopping.wait(0.05):
            try:
                self.wfile.write(b" ")
                self.wfile.flush()
            except OSError:
                return

    def _send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        try:
            self.wfile.write(content)
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *words: Any) -> None:
        pass


@contextmanager
def answering() -> Iterator[str]:
    """The server's address while it runs; its moods are reset at the end."""
    Desk.stopping.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Desk)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        Desk.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
        Desk.mood, Desk.name, Desk.country = "valid", "Delta B.V.", "NL"
        Desk.asked.clear()
