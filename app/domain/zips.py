"""ZIPs, streamed: a chunk at a time, with the same bytes for the same content."""

import io
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any

from app.infra.files import CHUNK, FileStore

BEGINNING = (1980, 1, 1, 0, 0, 0)  # the earliest instant that a ZIP can hold: it must not differ from one to the next
PIECE = 256 * 1024  # bytes that are worth sending


class _Pipe(io.RawIOBase):
    """Where a ZIP is written to and read from in turn; it cannot go back."""

    def __init__(self) -> None:
        self.held: list[bytes] = []
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.held.append(bytes(data))
        self.size += len(data)
        return len(data)

    def drained(self) -> bytes:
        out = b"".join(self.held)
        self.held.clear()
        self.size = 0
        return out


def stream(entries: Iterable[tuple[str, Iterable[bytes]]]) -> Iterator[bytes]:
    """A ZIP of names, each with the parts of its content: as they are, none packed, so that the bytes depend on nothing else."""
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as package:
        for name, parts in entries:
            with package.open(_entry(name), "w", force_zip64=True) as target:
                for part in parts:
                    target.write(part)
                    if pipe.size >= PIECE:
                        yield pipe.drained()
    yield pipe.drained()


def content(files: FileStore, sha256: str) -> Iterator[bytes]:
    """The bytes of a kept file, a chunk at a time."""
    with files.open(sha256) as source:
        while chunk := source.read(CHUNK):
            yield chunk


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, BEGINNING)
    entry.external_attr = 0o644 << 16
    entry.create_system = 3
    return entry
