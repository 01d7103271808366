"""Where attachments lie: by their SHA-256, whole or not at all, flushed to disk before anybody is told."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from app.infra.parts import Parts

CHUNK = 1024 * 1024


class FileTooLarge(Exception):
    """The stream went on beyond the limit; nothing of it was kept."""


class Infected(Exception):
    """A virus was found in the file: its bytes are kept as evidence, and given to nobody."""


@dataclass(frozen=True)
class Staged:
    """A file that has arrived whole but is not kept yet."""

    path: Path
    sha256: str
    size: int


class FileStore:
    """A folder of files named by their digest. Names never come from outside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.parts = Parts(folder / "parts")
        for name in ("new", "infected", "parts"):
            (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def staged(self, stream: BinaryIO, limit: int) -> Iterator[Staged]:
        """Take a stream in, at most `limit` bytes (FileTooLarge beyond). Gone at the end unless `keep` was called."""
        path = self.folder / "new" / secrets.token_hex(16)
        digest, size = hashlib.sha256(), 0
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                while chunk := stream.read(CHUNK):
                    size += len(chunk)
                    if size > limit:
                        raise FileTooLarge
                    digest.update(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            yield Staged(path, digest.hexdigest(), size)
        finally:
            path.unlink(missing_ok=True)

    def keep(self, staged: Staged) -> None:
        """Keep a staged file for good. The same bytes kept twice are one file."""
        place = self._place(staged.sha256)
        place.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            os.link(staged.path, place)
        except FileExistsError:
            return
        for folder in (place.parent, self.folder):
            handle = os.open(folder, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)

    def remove(self, sha256: str) -> bool:
        """Delete a kept file for good; whether there was one."""
        try:
            self._place(sha256).unlink()
        except FileNotFoundError:
            return False
        return True

    def open(self, sha256: str) -> AbstractContextManager[BinaryIO]:
        """The bytes of a kept file; FileNotFoundError when there is none, Infected when it was shut away."""
        return self.path(sha256).open("rb")

    def path(self, sha256: str) -> Path:
        """Where a kept file lies, for responses that stream it with ranges; Infected when it was shut away."""
        if self.is_shut_away(sha256):
            raise Infected(sha256)
        return self.evidence(sha256)

    def read(self, sha256: str) -> AbstractContextManager[BinaryIO]:
        """The bytes of a kept file, shut away or not: for backups, never for an answer."""
        return self._place(sha256).open("rb")

    def evidence(self, sha256: str) -> Path:
        """Where a kept file lies, shut away or not: for the scanner, never for an answer."""
        return self._place(sha256)

    def tidy(self) -> None:
        """Forget parts of files that nobody went on with for a day."""
        self.parts.sweep()

    def shut_away(self, sha256: str) -> None:
        """From now on the file is given to nobody. Its bytes stay, as evidence."""
        (self.folder / "infected" / self._place(sha256).name).touch(mode=0o600)

    def is_shut_away(self, sha256: str) -> bool:
        """Whether a virus was found in the file."""
        return (self.folder / "infected" / self._place(sha256).name).exists()

    def names(self) -> Iterator[str]:
        """The digests of all kept files."""
        return (path.name for path in self.folder.glob("??/*") if len(path.name) == 64)

    def digest(self, sha256: str) -> tuple[str, int] | None:
        """The digest and size of the bytes kept under a digest, read anew; None when there are none."""
        try:
            with self._place(sha256).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
        except FileNotFoundError:
            return None

    def ready(self) -> bool:
        """Whether a file can be written and flushed now."""
        probe = self.folder / "new" / f"probe-{secrets.token_hex(8)}"
        try:
            with probe.open("xb") as file:
                file.write(b"ready")
                file.flush()
                os.fsync(file.fileno())
            probe.unlink()
        except OSError:
            return False
        return True

    def _place(self, sha256: str) -> Path:
        if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
            raise FileNotFoundError(sha256)
        return self.folder / sha256[:2] / sha256
