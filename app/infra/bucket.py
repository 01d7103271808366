"""Attachments in a bucket of S3, or of what speaks like it: put there once under their SHA-256, never overwritten.

A file is taken in on this machine's own disk, in the spool, and is kept once the bucket has said that it has it whole.
What is read with ranges, or looked at by the scanner, is fetched into the spool first, and its digest checked.
"""

import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import parse_qs, unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from app.infra.files import CHUNK, FileStore, Infected, Staged
from app.settings import bucket_endpoint

AT_ONCE = 64 * 1024 * 1024  # bytes that are put by one request, create-only; larger ones go in parts
FETCHED = 60 * 60  # seconds that what was fetched stays in the spool


class Damaged(OSError):
    """What the bucket holds under a digest has another one; it is given to nobody."""


def store_of(url: str, spool: Path) -> FileStore:
    """The store at a folder, file:// or s3://bucket/prefix?encryption=…&key=…; what is under way to a bucket lies in `spool`."""
    parts = urlsplit(url)
    if parts.scheme == "s3":
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        bucket = S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            config=_encryption(query),
            client_options={
                "allow_http": bucket_endpoint(os.environ).startswith("http://")
            },  # refused by settings but in a demonstration
            retry_config={"max_retries": 4},
        )
        return Bucket(bucket, spool)
    return FileStore(Path(unquote(parts.path) if parts.scheme == "file" else url))


def _encryption(query: dict[str, str]) -> Any:
    """What the bucket is told at each put: to check the SHA-256, and to encrypt, by its own key or a named one of the KMS."""
    how, config = query.get("encryption", "AES256"), {"checksum_algorithm": "SHA256"}
    if how != "none":
        config["server_side_encryption"] = how
    if query.get("key"):
        config["sse_kms_key_id"] = query["key"]
    return config


class Bucket(FileStore):
    """The same promises as of a folder. Kept: `kept/<sha256>`; shut away: an empty `infected/<sha256>`."""

    def __init__(self, bucket: S3Store, spool: Path) -> None:
        super().__init__(spool)
        self.bucket = bucket
        (spool / "fetched").mkdir(mode=0o700, exist_ok=True)

    def keep(self, staged: Staged) -> None:
        """Put a staged file into the bucket. The same bytes put twice, or by two at once, are one file."""
        key = self._key(staged.sha256)
        try:
            if staged.size <= AT_ONCE:
                obstore.put(self.bucket, key, staged.path.read_bytes(), mode="create")
            else:  # parts cannot be create-only: the same name has the same bytes, so nothing is lost by a second one
                obstore.put(self.bucket, key, staged.path, chunk_size=AT_ONCE, max_concurrency=2)
        except AlreadyExistsError:
            return

    def remove(self, sha256: str) -> bool:
        """Delete a kept file for good; whether there was one."""
        self._fetched(sha256).unlink(missing_ok=True)
        try:
            obstore.head(self.bucket, self._key(sha256))
        except FileNotFoundError:
            return False
        obstore.delete(self.bucket, self._key(sha256))
        return True

    def open(self, sha256: str) -> AbstractContextManager[BinaryIO]:
        """The bytes of a kept file as they are read, by ranges; FileNotFoundError, Infected as of a folder."""
        if self.is_shut_away(sha256):
            raise Infected(sha256)
        return self.read(sha256)

    def read(self, sha256: str) -> AbstractContextManager[BinaryIO]:
        """The bytes of a kept file, shut away or not."""
        try:
            reader = obstore.open_reader(self.bucket, self._key(sha256), buffer_size=CHUNK)
        except FileNotFoundError as failure:
            raise FileNotFoundError(sha256) from failure
        return closing(cast(BinaryIO, reader))

    def evidence(self, sha256: str) -> Path:
        """A kept file, fetched whole into the spool; Damaged where its digest is another."""
        place, new = self._fetched(sha256), self.folder / "new" / secrets.token_hex(16)
        if place.exists():
            return place
        digest = hashlib.sha256()
        try:
            with self.read(sha256) as source, new.open("xb") as file:
                while chunk := source.read(CHUNK):
                    digest.update(chunk)
                    file.write(chunk)
            if digest.hexdigest() != sha256:
                raise Damaged(sha256)
            new.replace(place)
        finally:
            new.unlink(missing_ok=True)
        return place

    def shut_away(self, sha256: str) -> None:
        """From now on the file is given to nobody, by any replica."""
        obstore.put(self.bucket, self._key(sha256, "infected"), b"")
        self._fetched(sha256).unlink(missing_ok=True)

    def is_shut_away(self, sha256: str) -> bool:
        """Whether a virus was found in the file."""
        try:
            obstore.head(self.bucket, self._key(sha256, "infected"))
        except FileNotFoundError:
            return False
        return True

    def names(self) -> Iterator[str]:
        """The digests of all kept files."""
        return (Path(one["path"]).name for some in obstore.list(self.bucket, prefix="kept") for one in some)

    def digest(self, sha256: str) -> tuple[str, int] | None:
        """The digest and size of the bytes in the bucket, read anew; None when there are none."""
        found, size = hashlib.sha256(), 0
        try:
            with self.read(sha256) as source:
                while chunk := source.read(CHUNK):
                    found.update(chunk)
                    size += len(chunk)
        except FileNotFoundError:
            return None
        return found.hexdigest(), size

    def ready(self) -> bool:
        """Whether the spool and the bucket can be written to now."""
        try:
            obstore.put(self.bucket, "probe", b"ready")
        except BaseError:
            return False
        return super().ready()

    def tidy(self) -> None:
        """Forget what was fetched an hour ago, and parts that nobody went on with."""
        super().tidy()
        for place in (self.folder / "fetched").iterdir():
            try:
                if time.time() - place.stat().st_mtime > FETCHED:
                    place.unlink()
            except FileNotFoundError:
                continue  # another process was first

    def _key(self, sha256: str, folder: str = "kept") -> str:
        return f"{folder}/{self._place(sha256).name}"

    def _fetched(self, sha256: str) -> Path:
        return self.folder / "fetched" / self._place(sha256).name
