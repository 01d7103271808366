"""Texts: how they are kept, and those of a known shape, such as e-mail addresses and telephone numbers."""

import re
import unicodedata
from typing import Any

from app.domain.answers import Asks, Unreadable
from app.infra.i18n import N_

EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?\.[A-Za-z]{2,63}"
)
PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
URL = re.compile(r"https?://[^\s/?#]+\.[^\s/?#]{2,}[^\s]*")


def clean(text: str) -> str:
    """Typed text as it is kept: NFC, line ends as LF, no spaces around."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def read_text(text: str, question: Asks, language: str) -> str:
    return _bounded(" ".join(text.split("\n")), question, lines=False)


def read_long_text(text: str, question: Asks, language: str) -> str:
    return _bounded(text, question, lines=True)


def _bounded(text: str, question: Asks, lines: bool) -> str:
    _refuse_controls(text, lines)
    if len(text) > question.max_length:
        raise Unreadable(
            N_("Shorten this to %(most)s characters; it has %(length)s."), most=question.max_length, length=len(text)
        )
    return text


def _refuse_controls(text: str, lines: bool) -> None:
    if any(unicodedata.category(c) in ("Cc", "Cs", "Co", "Cn") and not (lines and c in "\n\t") for c in text):
        raise Unreadable(N_("This has a character that cannot be shown or stored. Type it again without."))


def read_email(text: str, question: Asks, language: str) -> str:
    if not EMAIL.fullmatch(text) or ".." in text or len(text) > 254:
        raise Unreadable(N_("Give an e-mail address such as name@example.eu."))
    return text


def read_phone(text: str, question: Asks, language: str) -> str:
    number = re.sub(r"[ ()./-]", "", text)
    number = "+" + number[2:] if number.startswith("00") else number
    if not PHONE.fullmatch(number):
        raise Unreadable(N_("Give a telephone number with its country code, such as +31 70 123 45 67."))
    return number


def read_url(text: str, question: Asks, language: str) -> str:
    if not URL.fullmatch(text) or len(text) > 2000:
        raise Unreadable(N_("Give a web address that begins with https://."))
    return text


def text_schema(question: Asks) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": question.max_length}
