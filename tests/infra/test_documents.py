"""What may be uploaded, by structure and not by name: each sort that is taken, and each way to smuggle that is not."""

import contextlib
import struct
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pikepdf
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st
from pikepdf import Array, Dictionary, Name, Pdf, String

from app.infra import documents
from app.infra.documents import Unacceptable
from tests import make

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ODS = "application/vnd.oasis.opendocument.spreadsheet"
OLE = bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 504


def pdf(change: Callable[[Pdf], None] = lambda made: None, pages: int = 1, **options: object) -> bytes:
    """A PDF with something changed in it; `options` are pikepdf's for saving."""
    out = BytesIO()
    with pikepdf.new() as made:
        for _ in range(pages):
            made.add_blank_page()
        change(made)
        made.save(out, **options)  # type: ignore[arg-type]
    return out.getvalue()


def script() -> Dictionary:
    return Dictionary(S=Name.JavaScript, JS=String("app.alert(1)"))


def catalog(**entries: object) -> Callable[[Pdf], None]:
    def change(made: Pdf) -> None:
        for name, value in entries.items():
            made.Root[f"/{name}"] = value

    return change


def page(**entries: object) -> Callable[[Pdf], None]:
    def change(made: Pdf) -> None:
        for name, value in entries.items():
            made.pages[0].obj[f"/{name}"] = value

    return change


def embed(made: Pdf) -> None:
    made.attachments["inside.exe"] = b"MZ"


def package(*entries: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", method) as made:
        for name, content in entries:
            made.writestr(name, content)
    return out.getvalue()


def workbook() -> bytes:
    out = BytesIO()
    with xlsxwriter.Workbook(out) as book:
        book.add_worksheet().write_string(0, 0, "capex")
    return out.getvalue()


def repacked(content: bytes, *more: tuple[str, bytes], replace: tuple[bytes, bytes] = (b"", b"")) -> bytes:
    """The package with further entries, and with words of its content types replaced."""
    with zipfile.ZipFile(BytesIO(content)) as whole:
        entries = [
            (n, whole.read(n).replace(*replace) if n == "[Content_Types].xml" else whole.read(n))
            for n in whole.namelist()
        ]
    return package(*entries, *more)


def locked(content: bytes) -> bytes:
    """The package with the flag of a password on every entry."""
    made = bytearray(content)
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = made.find(mark)
        while at >= 0:
            made[at + place] |= 1
            at = made.find(mark, at + 4)
    return bytes(made)


MANIFEST = ("META-INF/manifest.xml", b"<manifest:manifest/>")


def ods(*more: tuple[str, bytes], manifest: tuple[str, bytes] = MANIFEST, sort: bytes = ODS.encode()) -> bytes:
    return package(("mimetype", sort), manifest, ("content.xml", b"<office/>"), *more)


def chunk(sort: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + sort + content + struct.pack(">I", zlib.crc32(sort + content))


def png(width: int = 1, height: int = 1, hidden: bytes = b"", pixels: bool = True) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(b"\0\0")) if pixels else b""
    return b"\x89PNG\r\n\x1a\n" + head + body + (chunk(b"tEXt", hidden) if hidden else b"") + chunk(b"IEND", b"")


def jpeg(width: int = 1, height: int = 1, behind: bytes = b"") -> bytes:
    frame = b"\xff\xc0\x00\x0b\x08" + struct.pack(">HH", height, width) + b"\x01\x01\x11\x00"
    return b"\xff\xd8" + frame + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" + b"\x00" + behind + b"\xff\xd9"


def commented(content: bytes) -> bytes:
    """A ZIP whose comment is the given bytes, so that it may stand in front of what ends another file."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("evil.js", b"alert(1)")
        made.comment = content
    return out.getvalue()


TAKEN: dict[str, tuple[str, bytes, str]] = {
    "pdf": ("a.pdf", make.document(), "application/pdf"),
    "pdf in capitals": ("A.PDF", make.document(), "application/pdf"),
    "pdf with line ends behind": ("a.pdf", make.document() + b"\r\n\0\n", "application/pdf"),
    "pdf with compressed objects": ("a.pdf", pdf(object_stream_mode=pikepdf.ObjectStreamMode.generate), "application/pdf"),
    "pdf with a link": ("a.pdf", pdf(page(A=Dictionary(S=Name.URI, URI=String("https://a.eu")))), "application/pdf"),
    "xlsx": ("a.xlsx", workbook(), XLSX),
    "ods": ("a.ods", ods(), ODS),
    "png": ("a.png", png(), "image/png"),
    "jpg": ("a.jpg", jpeg(), "image/jpeg"),
    "jpeg": ("a.jpeg", jpeg() + b"\0\0", "image/jpeg"),
    "a long name": ("é" * 5000 + ".pdf", make.document(), "application/pdf"),
}  # fmt: skip
MAIN, MACRO = b"spreadsheetml.sheet.main+xml", b"ms-excel.sheet.macroEnabled.main+xml"
REFUSED: dict[str, tuple[str, bytes, str]] = {
    "empty": ("a.pdf", b"", documents.EMPTY),
    "no extension": ("proposal", make.document(), documents.WRONG_SORT),
    "word": ("a.docx", package(("word/document.xml", b"")), documents.WRONG_SORT),
    "program named pdf": ("a.pdf", b"MZ" + b"\0" * 100, documents.NOT_AS_NAMED),
    "two extensions": ("a.pdf.exe", make.document(), documents.WRONG_SORT),
    "png named pdf": ("a.pdf", png(), documents.NOT_AS_NAMED),
    "pdf named png": ("a.png", make.document(), documents.NOT_AS_NAMED),
    "pdf named jpg": ("a.jpg", make.document(), documents.NOT_AS_NAMED),
    "pdf named xlsx": ("a.xlsx", make.document(), documents.NOT_AS_NAMED),
    "pdf named ods": ("a.ods", make.document(), documents.NOT_AS_NAMED),
    "xlsx named ods": ("a.ods", workbook(), documents.NOT_AS_NAMED),
    "ods named xlsx": ("a.xlsx", ods(), documents.NOT_AS_NAMED),
    "text document named ods": ("a.ods", ods(sort=b"application/vnd.oasis.opendocument.text"), documents.NOT_AS_NAMED),
    "pdf cut off": ("a.pdf", make.document()[:-30], documents.DAMAGED),
    "pdf that is only marks": ("a.pdf", b"%PDF-1.7\n%%EOF", documents.DAMAGED),
    "pdf without pages": ("a.pdf", pdf(pages=0), documents.DAMAGED),
    "pdf with password": ("a.pdf", pdf(encryption=pikepdf.Encryption(user="u", owner="o")), documents.ENCRYPTED),
    "pdf with owner password": ("a.pdf", pdf(encryption=pikepdf.Encryption(user="", owner="o")), documents.ENCRYPTED),
    "script in a direct dictionary": ("a.pdf", pdf(catalog(OpenAction=script())), documents.ACTIVE_PDF),
    "script in an object of its own": ("a.pdf", pdf(lambda p: catalog(OpenAction=p.make_indirect(script()))(p)), documents.ACTIVE_PDF),
    "script in arrays in arrays": ("a.pdf", pdf(catalog(X=Array([Array([Dictionary(Y=Array([script()]))])]))), documents.ACTIVE_PDF),
    "script behind a link": ("a.pdf", pdf(page(Annots=Array([Dictionary(A=script())]))), documents.ACTIVE_PDF),
    "script in compressed objects": (
        "a.pdf", pdf(catalog(OpenAction=script()), object_stream_mode=pikepdf.ObjectStreamMode.generate), documents.ACTIVE_PDF,
    ),
    "script by name": ("a.pdf", pdf(catalog(Names=Dictionary(JavaScript=Dictionary()))), documents.ACTIVE_PDF),
    "additional actions": ("a.pdf", pdf(page(AA=Dictionary(O=Dictionary(S=Name.Named)))), documents.ACTIVE_PDF),
    "launch": ("a.pdf", pdf(catalog(OpenAction=Dictionary(S=Name.Launch))), documents.ACTIVE_PDF),
    "submit form": ("a.pdf", pdf(catalog(OpenAction=Dictionary(S=Name.SubmitForm))), documents.ACTIVE_PDF),
    "xfa": ("a.pdf", pdf(catalog(AcroForm=Dictionary(XFA=String("x")))), documents.ACTIVE_PDF),
    "file inside": ("a.pdf", pdf(embed), documents.ACTIVE_PDF),
    "rich media": ("a.pdf", pdf(page(Annots=Array([Dictionary(Subtype=Name.RichMedia)]))), documents.ACTIVE_PDF),
    "zip behind a pdf": ("a.pdf", make.document() + package(("a", b"a")), documents.TRAILING),
    "zip in front of the end of a pdf": ("a.pdf", make.document() + commented(b"\n%%EOF\n"), documents.TRAILING),
    "zip before a pdf": ("a.pdf", package(("a", b"a")) + make.document(), documents.NOT_AS_NAMED),
    "xlsm by name": ("a.xlsm", workbook(), documents.MACROS),
    "xlsb by name": ("a.xlsb", workbook(), documents.MACROS),
    "xlsm renamed": ("a.xlsx", repacked(workbook(), replace=(MAIN, MACRO)), documents.MACROS),
    "macros in xlsx": ("a.xlsx", repacked(workbook(), ("xl/vbaProject.bin", b"x")), documents.MACROS),
    "macro sheets": ("a.xlsx", repacked(workbook(), ("xl/macrosheets/sheet1.xml", b"x")), documents.MACROS),
    "activex": ("a.xlsx", repacked(workbook(), ("xl/activeX/activeX1.bin", b"x")), documents.MACROS),
    "embedded in xlsx": ("a.xlsx", repacked(workbook(), ("xl/embeddings/a.bin", b"x")), documents.NOT_AS_NAMED),
    "xlsx with password": ("a.xlsx", OLE, documents.ENCRYPTED),
    "old xls": ("a.xls", OLE, documents.WRONG_SORT),
    "zip with password": ("a.xlsx", locked(workbook()), documents.ENCRYPTED),
    "any zip": ("a.xlsx", package(("a.txt", b"a")), documents.NOT_AS_NAMED),
    "xlsx cut off": ("a.xlsx", workbook()[:-40], documents.DAMAGED),
    "ods with macros": ("a.ods", ods(("Basic/script.xml", b"x")), documents.MACROS),
    "ods with scripts": ("a.ods", ods(("Scripts/a.py", b"x")), documents.MACROS),
    "ods with password": (
        "a.ods", ods(manifest=("META-INF/manifest.xml", b"<manifest:encryption-data/>")), documents.ENCRYPTED,
    ),
    "ods with an object": ("a.ods", ods(("Object 1.bin", b"x")), documents.NOT_AS_NAMED),
    "zip bomb": ("a.xlsx", repacked(workbook(), ("xl/media/a", b"\0" * 40_000_000)), documents.BOMB),
    "very many entries": ("a.ods", ods(*((f"{i}", b"") for i in range(documents.MAX_ENTRIES))), documents.BOMB),
    "png of many pixels": ("a.png", png(100_000, 100_000), documents.BOMB),
    "png of no pixels": ("a.png", png(0, 5), documents.BOMB),
    "png cut off": ("a.png", png()[:-4], documents.DAMAGED),
    "png with a flipped byte": ("a.png", png()[:20] + b"\x07" + png()[21:], documents.DAMAGED),
    "png without an image": ("a.png", png(pixels=False), documents.DAMAGED),
    "something behind a png": ("a.png", png() + b"<script>", documents.TRAILING),
    "zip inside a png": ("a.png", png(hidden=commented(b"\0\0\0\0" + chunk(b"IEND", b""))[: -16]), documents.TRAILING),
    "jpeg of many pixels": ("a.jpg", jpeg(65_000, 65_000), documents.BOMB),
    "jpeg cut off": ("a.jpg", jpeg()[:-2], documents.DAMAGED),
    "png that ends in its header": ("a.png", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", b""), documents.DAMAGED),
    "jpeg without an image": ("a.jpg", b"\xff\xd8\xff\xd9", documents.DAMAGED),
    "zip inside a jpeg": ("a.jpg", jpeg()[:-2] + commented(b"\xff\xd9"), documents.TRAILING),
}  # fmt: skip


@pytest.mark.parametrize("case", TAKEN)
def test_a_document_is_taken(case: str, tmp_path: Path) -> None:
    name, content, media_type = TAKEN[case]
    (tmp_path / "file").write_bytes(content)
    assert documents.inspect(tmp_path / "file", name) == media_type


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_none_is_refused_with_what_to_do(case: str, tmp_path: Path) -> None:
    name, content, problem = REFUSED[case]
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(Unacceptable) as refused:
        documents.inspect(tmp_path / "file", name)
    assert refused.value.message.msgid == problem
    assert name in refused.value.message.text("nl")


SAMPLES = {
    "a.pdf": pdf(catalog(Names=Dictionary(A=Array([Dictionary(B=1)])))), "a.xlsx": workbook(), "a.ods": ods(),
    "a.png": png(hidden=b"text"), "a.jpg": jpeg(),
}  # fmt: skip


@pytest.mark.parametrize("sort", SAMPLES)
def test_a_document_cut_off_anywhere_is_refused_and_never_a_fault(sort: str, tmp_path: Path) -> None:
    content = SAMPLES[sort]
    for length in range(0, len(content.rstrip(b"\n")) - 1, max(1, len(content) // 200)):
        (tmp_path / "file").write_bytes(content[:length])
        with pytest.raises(Unacceptable):
            documents.inspect(tmp_path / "file", sort)


@pytest.mark.parametrize("sort", SAMPLES)
def test_a_document_with_changed_bytes_is_taken_or_refused_and_never_a_fault(sort: str, tmp_path: Path) -> None:
    changes = st.lists(st.tuples(st.integers(0, len(SAMPLES[sort]) - 1), st.integers(0, 255)), min_size=1, max_size=6)

    @given(changes)
    @settings(max_examples=settings().max_examples * 4)
    def once(changed: list[tuple[int, int]]) -> None:
        content = bytearray(SAMPLES[sort])
        for place, byte in changed:
            content[place] = byte
        (tmp_path / "file").write_bytes(content)
        with contextlib.suppress(Unacceptable):
            documents.inspect(tmp_path / "file", sort)

    once()


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("../../etc/passwd.pdf", "passwd.pdf"), ("..\\..\\boot.pdf", "boot.pdf"), ("C:\\a\\b.pdf", "b.pdf"),
        ("/etc/a.pdf", "a.pdf"), ("..", "file"), ("", "file"), ("/", "file"), ("...", "file"), (" .pdf. ", "pdf"),
        ("a\x00b.pdf", "ab.pdf"), ("a\r\nb.pdf", "ab.pdf"), ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("e\u0301.pdf", "é.pdf"), ("Plan (v2) – één.pdf", "Plan (v2) – één.pdf"), ("\ud800.pdf", "pdf"),
    ],
)  # fmt: skip
def test_a_name_keeps_nothing_that_could_lead_elsewhere(name: str, kept: str) -> None:
    assert documents.clean_name(name) == kept
