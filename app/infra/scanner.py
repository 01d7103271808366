"""The virus scanner: clamd, asked by its INSTREAM command over TCP or a socket file."""

import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

CHUNK = 256 * 1024
PATIENCE = 60.0  # seconds for each step
LONGEST = 1000  # characters of an answer


class ScannerAway(Exception):
    """There was no answer that says anything of the file; the text says why."""


@dataclass(frozen=True)
class Scanner:
    """A clamd at tcp://host:port or unix:///path."""

    url: str

    def scan(self, path: Path) -> str | None:
        """What the scanner found in a file, by its name for it; None when it found nothing."""
        try:
            with self._line() as line, path.open("rb") as file:
                line.sendall(b"zINSTREAM\0")
                while chunk := file.read(CHUNK):
                    line.sendall(struct.pack(">I", len(chunk)) + chunk)
                line.sendall(struct.pack(">I", 0))
                said = self._answer(line)
        except FileNotFoundError:
            raise
        except (OSError, UnicodeDecodeError) as failure:
            raise ScannerAway(f"{type(failure).__name__}: {failure}") from failure
        if said == "stream: OK":
            return None
        if said.startswith("stream: ") and said.endswith(" FOUND"):
            return said.removeprefix("stream: ").removesuffix(" FOUND")
        raise ScannerAway(said or "no answer")

    def _line(self) -> socket.socket:
        parts = urlsplit(self.url)
        if parts.scheme == "tcp":
            return socket.create_connection((parts.hostname or "", parts.port or 3310), timeout=PATIENCE)
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(PATIENCE)
        try:
            line.connect(unquote(parts.path))
        except OSError as failure:
            line.close()
            raise ConnectionError(str(failure)) from failure
        return line

    def _answer(self, line: socket.socket) -> str:
        said = b""
        while not said.endswith(b"\0") and len(said) < LONGEST and (more := line.recv(LONGEST)):
            said += more
        return said.rstrip(b"\0\n").decode()
