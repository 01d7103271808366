"""ZIPs, streamed: a chunk at a time, with the same bytes for the same content, in the same memory however many files."""

import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from app.infra.files import CHUNK, FileStore

DAY = 1 << 5 | 1  # 1 January 1980, the earliest that a ZIP can hold: it must not differ from one to the next
ATTRIBUTES = 0o644 << 16
VERSION, UNIX = 45, 3  # sizes of 64 bits; attributes as Unix has them
STREAMED, UTF8 = 0x08, 0x800  # digest and sizes stand behind the content
BEHIND = 0xFFFFFFFF  # the figure stands in a field of 64 bits
MOST = 0xFFFF  # entries that the end tells of without such fields
PIECE = 256 * 1024  # bytes that are worth sending

HEAD = struct.Struct("<4s2B4HL2L2H2H2Q")
TAIL = struct.Struct("<4sL2Q")
LISTED = struct.Struct("<4s4B4HL2L5H2L")
END_64, LOCATOR, END = struct.Struct("<4sQ2H2L4Q"), struct.Struct("<4sLQL"), struct.Struct("<4s4H2LH")


def stream(entries: Iterable[tuple[str, Iterable[bytes]]]) -> Iterator[bytes]:
    """A ZIP of names, each with the parts of its content: as they are, none packed, so that the bytes depend on nothing else.

    Byte for byte what Python's `zipfile` writes, which keeps half a kilobyte a file until the end. Here the list waits on disk.
    """
    with tempfile.TemporaryFile() as index:
        held, sent, count = bytearray(), 0, 0
        for name, parts in entries:
            at, flags, stored = sent + len(held), *_named(name)
            held += _head(stored, flags)
            crc = size = 0
            for part in parts:
                crc, size = zlib.crc32(part, crc), size + len(part)
                if len(held) + len(part) >= PIECE:
                    yield bytes(held)
                    yield part
                    sent += len(held) + len(part)
                    held.clear()
                else:
                    held += part
            held += TAIL.pack(b"PK\7\10", crc, size, size)
            index.write(_listed(stored, flags, crc, size, at))
            count += 1
        yield bytes(held)
        yield from _end(index, sent + len(held), count)


def _named(name: str) -> tuple[int, bytes]:
    return (STREAMED, name.encode()) if name.isascii() else (STREAMED | UTF8, name.encode())


def _head(name: bytes, flags: int) -> bytes:
    said = HEAD.pack(b"PK\3\4", VERSION, 0, flags, 0, 0, DAY, 0, BEHIND, BEHIND, len(name), 20, 1, 16, 0, 0)
    return said[:30] + name + said[30:]


def _listed(name: bytes, flags: int, crc: int, size: int, at: int) -> bytes:
    wide = [size, size] if size > zipfile.ZIP64_LIMIT else []
    told = BEHIND if wide else size
    if at > zipfile.ZIP64_LIMIT:
        wide, at = [*wide, at], BEHIND
    more = struct.pack(f"<HH{len(wide)}Q", 1, 8 * len(wide), *wide) if wide else b""
    said = (VERSION, UNIX, VERSION, 0, flags, 0, 0, DAY, crc, told, told, len(name), len(more), 0, 0, 0, ATTRIBUTES, at)
    return LISTED.pack(b"PK\1\2", *said) + name + more


def _end(index: BinaryIO, at: int, count: int) -> Iterator[bytes]:
    size = index.tell()
    index.seek(0)
    while piece := index.read(PIECE):
        yield piece
    last = b""
    if count > MOST or max(at, size) > zipfile.ZIP64_LIMIT:
        last = END_64.pack(b"PK\6\6", 44, VERSION, VERSION, 0, 0, count, count, size, at)
        last += LOCATOR.pack(b"PK\6\7", 0, at + size, 1)
    told = min(count, MOST)
    yield last + END.pack(b"PK\5\6", 0, 0, told, told, min(size, BEHIND), min(at, BEHIND), 0)


def content(files: FileStore, sha256: str) -> Iterator[bytes]:
    """The bytes of a kept file, a chunk at a time."""
    with files.open(sha256) as source:
        while chunk := source.read(CHUNK):
            yield chunk
