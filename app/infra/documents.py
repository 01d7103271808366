"""What may be uploaded: PDF, XLSX, ODS, PNG and JPEG, told by structure and not by name; anything active is refused."""

import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pikepdf

from app.infra.i18n import N_, Message

MAX_UNPACKED = 500 * 1024 * 1024
MAX_ENTRIES = 5_000
MAX_RATIO = 200
MAX_PIXELS = 200_000_000
MAX_OBJECTS = 200_000
TAIL = 2048
ACTIVE = frozenset({"/JavaScript", "/JS", "/Launch", "/EmbeddedFiles", "/EmbeddedFile", "/XFA", "/RichMedia", "/AA"})
ACTIONS = frozenset({"/JavaScript", "/Launch", "/ImportData", "/SubmitForm", "/RichMediaExecute"})
UNZIPPABLE = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError)  # NotImplementedError is one
OLE = bytes.fromhex("d0cf11e0a1b11ae1")

EMPTY = N_("%(name)s was not added: it is empty. Save it again and add it.")
WRONG_SORT = N_(
    "%(name)s was not added: only PDF, XLSX, ODS, PNG and JPEG can be read here. Save it as PDF and add that."
)
NOT_AS_NAMED = N_("%(name)s was not added: its content is not what its name says. Open it, save it anew, and add that.")
DAMAGED = N_("%(name)s was not added: it is damaged or cut off. Open it, save it anew, and add that.")
ENCRYPTED = N_("%(name)s was not added: it is protected by a password. Save it without one and add that.")
MACROS = N_("%(name)s was not added: it holds macros. Save it without macros (as .xlsx or .ods) and add that.")
ACTIVE_PDF = N_(
    "%(name)s was not added: the PDF holds scripts, forms that run, or files inside (%(part)s). Print it to a new PDF and add that."
)
BOMB = N_("%(name)s was not added: it unpacks to far more than it seems. Save it anew without large empty parts.")
TRAILING = N_("%(name)s was not added: there is other data behind the end of the document. Save it anew and add that.")


class Unacceptable(Exception):
    """The file is not taken; the message says why and what to do."""

    def __init__(self, msgid: str, name: str, **params: Any) -> None:
        self.message = Message(msgid, {"name": name, **params})
        super().__init__(msgid)


def clean_name(name: str) -> str:
    """A file name without folders, control characters or direction marks; `file` when nothing is left."""
    base = PurePosixPath(name.replace("\\", "/")).name
    kept = "".join(c for c in unicodedata.normalize("NFC", base) if unicodedata.category(c)[0] != "C").strip(" .")
    return kept or "file"


def inspect(path: Path, name: str) -> str:
    """The media type of an acceptable document; Unacceptable otherwise. Bounded in time and memory."""
    if path.stat().st_size == 0:
        raise Unacceptable(EMPTY, name)
    extension = PurePosixPath(name).suffix.lower()
    if extension not in SORTS:
        raise Unacceptable(MACROS if extension in (".xlsm", ".xltm", ".xlsb") else WRONG_SORT, name)
    media_type, check = SORTS[extension]
    try:
        check(path, name)
    except struct.error as failure:  # a picture that ends within its own header
        raise Unacceptable(DAMAGED, name) from failure
    if check not in (_xlsx, _ods) and _is_package_too(path):
        raise Unacceptable(TRAILING, name)
    return media_type


def _is_package_too(path: Path) -> bool:
    """Whether an unpacker finds files in it: a ZIP may hide in front of what ends a picture or a PDF."""
    try:
        with zipfile.ZipFile(path) as package:
            return bool(package.infolist())
    except UNZIPPABLE:
        return False


def _head(path: Path, length: int = 16) -> bytes:
    with path.open("rb") as file:
        return file.read(length)


def _pdf(path: Path, name: str) -> None:
    if not _head(path).startswith(b"%PDF-"):
        raise Unacceptable(NOT_AS_NAMED, name)
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL))
        _, mark, behind = file.read().rpartition(b"%%EOF")
    if not mark:
        raise Unacceptable(DAMAGED, name)
    if behind.strip(b"\x00\t\n\x0c\r "):
        raise Unacceptable(TRAILING, name)
    try:
        with pikepdf.open(path) as pdf:
            if pdf.is_encrypted:
                raise Unacceptable(ENCRYPTED, name)
            if len(pdf.pages) == 0:
                raise Unacceptable(DAMAGED, name)
            _refuse_active(pdf, name)
    except pikepdf.PasswordError as failure:
        raise Unacceptable(ENCRYPTED, name) from failure
    except (pikepdf.PdfError, RecursionError, ValueError) as failure:
        raise Unacceptable(DAMAGED, name) from failure


def _refuse_active(pdf: pikepdf.Pdf, name: str) -> None:
    """Look at every object, and at every dictionary written directly inside another."""
    waiting: list[Any] = list(pdf.objects) + [pdf.trailer]
    seen = 0
    while waiting:
        seen += 1
        if seen > MAX_OBJECTS:
            raise Unacceptable(BOMB, name)
        found = waiting.pop()
        if isinstance(found, pikepdf.Array):
            waiting += [one for one in found if _is_direct(one)]
        elif isinstance(found, pikepdf.Dictionary | pikepdf.Stream):
            held = found.stream_dict if isinstance(found, pikepdf.Stream) else found
            for key, value in held.items():
                if key in ACTIVE or (key in ("/S", "/Type", "/Subtype") and str(value) in ACTIVE | ACTIONS):
                    raise Unacceptable(ACTIVE_PDF, name, part=(key if key in ACTIVE else str(value)).lstrip("/"))
                if _is_direct(value):
                    waiting.append(value)


def _is_direct(value: Any) -> bool:
    return isinstance(value, pikepdf.Array | pikepdf.Dictionary) and not value.is_indirect


def _package(path: Path, name: str) -> zipfile.ZipFile:
    if _head(path).startswith(OLE):
        raise Unacceptable(ENCRYPTED, name)
    if not _head(path).startswith(b"PK\x03\x04"):
        raise Unacceptable(NOT_AS_NAMED, name)
    try:
        package = zipfile.ZipFile(path)
    except UNZIPPABLE as failure:
        raise Unacceptable(DAMAGED, name) from failure
    entries = package.infolist()
    total = sum(e.file_size for e in entries)
    if len(entries) > MAX_ENTRIES or total > MAX_UNPACKED or total > MAX_RATIO * max(path.stat().st_size, 100_000):
        raise Unacceptable(BOMB, name)
    if any(e.flag_bits & 1 for e in entries):
        raise Unacceptable(ENCRYPTED, name)
    return package


def _member(package: zipfile.ZipFile, member: str, name: str, limit: int = 5_000_000) -> bytes:
    try:
        with package.open(member) as file:
            return file.read(limit)
    except KeyError as failure:
        raise Unacceptable(NOT_AS_NAMED, name) from failure
    except UNZIPPABLE as failure:
        raise Unacceptable(DAMAGED, name) from failure


def _whole(package: zipfile.ZipFile, name: str) -> None:
    try:
        if package.testzip() is not None:
            raise Unacceptable(DAMAGED, name)
    except UNZIPPABLE as failure:
        raise Unacceptable(DAMAGED, name) from failure


def _xlsx(path: Path, name: str) -> None:
    with _package(path, name) as package:
        types = _member(package, "[Content_Types].xml", name)
        names = [n.lower() for n in package.namelist()]
        if b"macroEnabled" in types or any(
            "vbaproject" in n or "/activex/" in n or "/macrosheets/" in n for n in names
        ):
            raise Unacceptable(MACROS, name)
        if b"spreadsheetml.sheet.main+xml" not in types:
            raise Unacceptable(NOT_AS_NAMED, name)
        if any("/embeddings/" in n for n in names):
            raise Unacceptable(NOT_AS_NAMED, name)
        _whole(package, name)


def _ods(path: Path, name: str) -> None:
    with _package(path, name) as package:
        if _member(package, "mimetype", name) != b"application/vnd.oasis.opendocument.spreadsheet":
            raise Unacceptable(NOT_AS_NAMED, name)
        if b"manifest:encryption-data" in _member(package, "META-INF/manifest.xml", name):
            raise Unacceptable(ENCRYPTED, name)
        names = package.namelist()
        if any(n.startswith(("Basic/", "Scripts/")) for n in names):
            raise Unacceptable(MACROS, name)
        if any(n.startswith("Object ") and n.endswith(".bin") for n in names):
            raise Unacceptable(NOT_AS_NAMED, name)
        _whole(package, name)


def _png(path: Path, name: str) -> None:
    data = path.read_bytes()
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        raise Unacceptable(NOT_AS_NAMED, name)
    place, seen_image = 8, False
    while place + 12 <= len(data):
        (length,), sort = struct.unpack(">I", data[place : place + 4]), data[place + 4 : place + 8]
        end = place + 12 + length
        if end > len(data) or zlib.crc32(data[place + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
            raise Unacceptable(DAMAGED, name)
        if sort == b"IHDR":
            width, height = struct.unpack(">II", data[place + 8 : place + 16])
            if not 0 < width * height <= MAX_PIXELS:
                raise Unacceptable(BOMB, name)
        seen_image = seen_image or sort == b"IDAT"
        if sort == b"IEND":
            if end != len(data):
                raise Unacceptable(TRAILING, name)
            if not seen_image:
                raise Unacceptable(DAMAGED, name)
            return
        place = end
    raise Unacceptable(DAMAGED, name)


def _jpeg(path: Path, name: str) -> None:
    data = path.read_bytes()
    if not data.startswith(b"\xff\xd8\xff"):
        raise Unacceptable(NOT_AS_NAMED, name)
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        mark, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4])
        if mark in (0xC0, 0xC1, 0xC2):
            height, width = struct.unpack(">HH", data[place + 5 : place + 9])
            if not 0 < width * height <= MAX_PIXELS:
                raise Unacceptable(BOMB, name)
        if mark == 0xDA:
            if not data.rstrip(b"\x00").endswith(b"\xff\xd9"):
                raise Unacceptable(DAMAGED, name)
            return
        place += 2 + length
    raise Unacceptable(DAMAGED, name)


SORTS: dict[str, tuple[str, Callable[[Path, str], None]]] = {
    ".pdf": ("application/pdf", _pdf),
    ".xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", _xlsx),
    ".ods": ("application/vnd.oasis.opendocument.spreadsheet", _ods),
    ".png": ("image/png", _png),
    ".jpg": ("image/jpeg", _jpeg),
    ".jpeg": ("image/jpeg", _jpeg),
}
ACCEPT = ",".join(SORTS)
