"""PDF by typst: tagged, archivable, the same bytes for the same data. Values come in as JSON and are only ever shown."""

import json
import re
from datetime import datetime
from functools import cache
from threading import Lock
from typing import Any, Literal

import typst

from app.infra.places import place

TEMPLATES = place("templates") / "pdf"
FONTS = place("static") / "pdf-fonts"
Template = Literal["answers", "receipt", "blank_form", "dossier", "listing", "disclosed", "certificate"]

KNOWN = 0x250  # the first character beyond those of Latin letters, which all fonts have
CONTROL = re.compile(r"(?<!\\)((?:\\\\)*)\\(?:u00[01][0-9a-f]|[bf])")  # as JSON writes them; line ends and tabs stay
_lock = Lock()  # a compiler is used by one thread at a time


@cache
def _compiler(template: str) -> typst.Compiler:
    return typst.Compiler(
        TEMPLATES / f"{template}.typ",
        root=TEMPLATES,
        font_paths=[FONTS] if FONTS.exists() else [],
        ignore_system_fonts=True,
    )


def render(template: Template, data: dict[str, Any], at: datetime) -> bytes:
    """The PDF of a template in templates/pdf with `data` (its shape stands at the top of the template).

    `at` is written into the document as its time, so that the same data give the same bytes (PDF/UA-1 and PDF/A-3a).
    """
    written = json.dumps(data, ensure_ascii=False, sort_keys=True)
    with _lock:
        try:
            made = _compiled(template, written, at)
        except typst.TypstError:  # a character that no font of ours has: no reason to give no paper at all
            plain = "".join(c if ord(c) < KNOWN and not 0x7F <= ord(c) < 0xA0 else "?" for c in written)
            made = _compiled(template, CONTROL.sub(r"\1?", plain), at)
    if not isinstance(made, bytes):
        raise TypeError("typst gave no PDF")
    return made


def _compiled(template: str, data: str, at: datetime) -> Any:
    standards: Any = ["ua-1", "a-3a"]
    inputs = {"data": data}
    return _compiler(template).compile(
        format="pdf", sys_inputs=inputs, pdf_standards=standards, timestamp=int(at.timestamp())
    )
