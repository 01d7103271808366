"""A clamd of the test's own, with one signature: EICAR. Without Debian's package a server that speaks its protocol."""

import shutil
import socket
import socketserver
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from pathlib import Path

import pikepdf

from app.infra.scanner import Scanner, ScannerAway

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
CONFIG = """
LocalSocket {folder}/clamd.sock
DatabaseDirectory {folder}
Foreground yes
User root
TemporaryDirectory {folder}
StreamMaxLength 30M
"""


@cache
def infected() -> bytes:
    """A PDF as it may be uploaded, which holds EICAR as it stands."""
    return holding(EICAR)


def holding(content: bytes) -> bytes:
    """A PDF as it may be uploaded, which holds some bytes as they stand."""
    out = BytesIO()
    with pikepdf.new() as pdf:
        pdf.add_blank_page()
        pdf.Root["/Note"] = pdf.make_indirect(pikepdf.Stream(pdf, content))
        pdf.save(out, compress_streams=False)
    assert content in out.getvalue()
    return out.getvalue()


@contextmanager
def running(folder: Path) -> Iterator[tuple[Scanner, bool]]:
    """A scanner that answers, and whether it is the real one."""
    command = shutil.which("clamd") or ("/usr/sbin/clamd" if Path("/usr/sbin/clamd").exists() else None)
    if command is None:
        with spoken(folder) as scanner:
            yield scanner, False
        return
    (folder / "eicar.ndb").write_text(f"Eicar-Test:0:*:{EICAR.hex()}\n")
    (folder / "clamd.conf").write_text(CONFIG.format(folder=folder))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([command, "-c", str(folder / "clamd.conf")], stdout=log, stderr=log)
    scanner = Scanner(f"unix://{folder}/clamd.sock")
    (folder / "clean").write_bytes(b"clean")
    try:
        while not answers(scanner, folder / "clean"):
            assert process.poll() is None, (folder / "log").read_text()
        yield scanner, True
    finally:
        process.terminate()
        process.wait(timeout=20)


def answers(scanner: Scanner, clean: Path) -> bool:
    """Whether it is up."""
    try:
        return scanner.scan(clean) is None
    except ScannerAway:
        return False


@contextmanager
def spoken(folder: Path) -> Iterator[Scanner]:
    """The protocol over TCP, by the book: chunks with their length, an empty one, one answer."""

    class Speaks(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            assert self.rfile.read(10) == b"zINSTREAM\0"
            held = b""
            while length := struct.unpack(">I", self.rfile.read(4))[0]:
                held += self.rfile.read(length)
            self.wfile.write(b"stream: Eicar-Test FOUND\0" if EICAR in held else b"stream: OK\0")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Speaks) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Scanner(f"tcp://127.0.0.1:{server.server_address[1]}")
        server.shutdown()


def nobody() -> Scanner:
    """A scanner at an address where nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return Scanner(f"tcp://127.0.0.1:{free.getsockname()[1]}")
