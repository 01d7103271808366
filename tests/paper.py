"""The words on a PDF of ours, read back from its pages by the fonts' own tables."""

import re
from io import BytesIO
from typing import Any

import pikepdf


def words(content: bytes) -> str:
    """The text of all pages in the order in which it is written, every run of spaces as one."""
    with pikepdf.open(BytesIO(content)) as pdf:
        return " ".join("".join(_page(page)) for page in pdf.pages).replace("\u00a0", " ")


def _page(page: pikepdf.Page) -> list[str]:
    tables = {name: _table(font) for name, font in page.resources.get("/Font", {}).items()}
    table: dict[int, str] = {}
    found = []
    for step in pikepdf.parse_content_stream(page):
        operands, operator = step.operands, str(step.operator)
        if operator == "Tf":
            table = tables[str(operands[0])]
        elif operator in ("Tj", "TJ"):
            held: Any = operands[0] if operator == "TJ" else operands
            found += [_decoded(bytes(part), table) for part in held if isinstance(part, pikepdf.String)]
        elif operator == "ET":
            found.append(" ")
    return found


def _decoded(codes: bytes, table: dict[int, str]) -> str:
    return "".join(table.get(int.from_bytes(codes[at : at + 2]), "") for at in range(0, len(codes), 2))


def _table(font: Any) -> dict[int, str]:
    """Which characters a font's codes stand for, from its ToUnicode table."""
    table = {}
    source = font.ToUnicode.read_bytes().decode("latin-1")
    for block in re.findall(r"beginbfchar(.*?)endbfchar", source, re.S):
        for code, text in re.findall(r"<([0-9a-fA-F]+)>\s*<([0-9a-fA-F]+)>", block):
            table[int(code, 16)] = bytes.fromhex(text).decode("utf-16-be")
    for block in re.findall(r"beginbfrange(.*?)endbfrange", source, re.S):
        for first, last, text in re.findall(r"<([0-9a-fA-F]+)>\s*<([0-9a-fA-F]+)>\s*<([0-9a-fA-F]+)>", block):
            start = int.from_bytes(bytes.fromhex(text))
            table |= {code: chr(start + code - int(first, 16)) for code in range(int(first, 16), int(last, 16) + 1)}
    return table
