"""Files on their way in, a part at a time: what has arrived of one lies here until it is whole, and a day at most."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

CHUNK = 1024 * 1024
KEPT = 24 * 60 * 60  # seconds after the last part


class TooLong(Exception):
    """More came than was announced; what had arrived before is as it was."""


class TooMany(Exception):
    """The owner has as many files under way as one may have."""


class Parts:
    """A folder an owner, a file an upload. Names are digits and letters from inside, never a path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def held(self, owner: str, name: str) -> int:
        """How many bytes have arrived; 0 of what is not known."""
        try:
            return (self.folder / owner / name).stat().st_size
        except FileNotFoundError:
            return 0

    def append(self, owner: str, name: str, start: int, stream: BinaryIO, whole: int, most: int) -> int:
        """Add the part that begins at byte `start` to a file of `whole` bytes; how many are held then, on disk.

        Nothing is added where another byte is due: what is held tells from where to go on. TooLong beyond `whole`,
        TooMany where the owner has `most` others under way.
        """
        place = self.folder / owner / name
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not place.exists() and len(list(place.parent.iterdir())) >= most:
            raise TooMany
        with os.fdopen(os.open(place, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            held = os.fstat(file.fileno()).st_size
            if held != start:
                return held
            while chunk := stream.read(CHUNK):
                if held + len(chunk) > whole:
                    file.truncate(start)
                    raise TooLong
                held += file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        return held

    @contextmanager
    def taken(self, owner: str, name: str) -> Iterator[BinaryIO]:
        """What has arrived, to be read once: however that ends, it is not under way any more."""
        place = self.folder / owner / name
        with place.open("rb") as file:
            place.unlink(missing_ok=True)
            yield file

    def sweep(self) -> int:
        """Forget what nobody went on with for a day; how many that were."""
        gone = 0
        for place in self.folder.glob("*/*"):
            try:
                if time.time() - place.stat().st_mtime > KEPT:
                    place.unlink()
                    gone += 1
            except FileNotFoundError:
                continue  # it became whole meanwhile
        return gone
