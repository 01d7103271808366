"""ZIPs: byte for byte what Python's own library writes to a pipe, in memory that does not grow with the number of files."""

import io
import tracemalloc
import zipfile
from typing import Any

import pytest

from app.domain import zips

BEGINNING = (1980, 1, 1, 0, 0, 0)
Entries = list[tuple[str, list[bytes]]]


class Pipe(io.RawIOBase):
    """Where a ZIP is written that cannot go back."""

    def __init__(self) -> None:
        self.held = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.held += data
        return len(data)


def by_the_library(entries: Entries) -> bytes:
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as package:
        for name, parts in entries:
            entry = zipfile.ZipInfo(name, BEGINNING)
            entry.external_attr, entry.create_system = 0o644 << 16, 3
            with package.open(entry, "w", force_zip64=True) as target:
                for part in parts:
                    target.write(part)
    return bytes(pipe.held)


@pytest.mark.parametrize(
    ("limit", "entries"),
    [
        (None, []),
        (None, [("submissions.ndjson", [b"a" * 300_000, b"", b"b" * 300_000]), ("REF/v1/proposal__é ü.pdf", [b"x"])]),
        (None, [("empty", []), ("r/v1/a__b.txt", [b"once"] * 3)]),
        (100, [("small", [b"x"]), ("large", [b"y" * 101]), ("behind", [b"z"]), ("both", [b"y" * 102])]),
        (None, [(f"{n}", [b"%d" % n]) for n in range(65_537)]),
    ],
    ids=["nothing", "names", "empty", "beyond-32-bits", "beyond-16-bits"],
)
def test_the_bytes_are_those_of_the_library(
    monkeypatch: pytest.MonkeyPatch, limit: int | None, entries: Entries
) -> None:
    if limit:
        monkeypatch.setattr(zipfile, "ZIP64_LIMIT", limit)
    made = b"".join(zips.stream(entries))
    assert made == by_the_library(entries)
    with zipfile.ZipFile(io.BytesIO(made)) as package:
        assert package.testzip() is None
        assert [(name, package.read(name)) for name in package.namelist()[:9]] == [
            (name, b"".join(parts)) for name, parts in entries[:9]
        ]


def test_many_files_take_no_more_memory_than_few() -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        size = sum(map(len, zips.stream((f"REF/v1/proposal__{n}.pdf", (b"small",)) for n in range(count))))
        assert size > count * 100
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(20_000) - peak(10) < 1_500_000
