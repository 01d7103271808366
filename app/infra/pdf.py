"""PDF by typst: tagged, archivable, the same bytes for the same data. Values come in as JSON and are only ever shown."""

import json
from datetime import datetime
from functools import cache
from threading import Lock
from typing import Any, Literal

import typst

from app.infra.places import place

TEMPLATES = place("templates") / "pdf"
FONTS = place("static") / "pdf-fonts"
Template = Literal["receipt", "blank_form", "dossier", "listing", "disclosed", "certificate"]

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
    with _lock:
        compiler = _compiler(template)
        made = compiler.compile(
            format="pdf",
            sys_inputs={"data": json.dumps(data, ensure_ascii=False, sort_keys=True)},
            pdf_standards=["ua-1", "a-3a"],
            timestamp=int(at.timestamp()),
        )
    if not isinstance(made, bytes):
        raise TypeError("typst gave no PDF")
    return made
