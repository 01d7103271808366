"""Languages: gettext catalogues whose message ids are the English sentences, and messages that are put into words later."""

import gettext
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from markupsafe import Markup

from app.infra.places import place

LANGUAGES = ("nl", "en")
LOCALES = place("locales")


def N_(msgid: str) -> str:  # noqa: N802  (the name by which translators' tools know it)
    """Mark a sentence for the catalogues; it is translated where it is shown."""
    return msgid


@cache
def catalogue(language: str) -> gettext.NullTranslations:
    """The compiled catalogue of a language; English needs none."""
    return gettext.translation("messages", LOCALES, [language], fallback=True)


def translate(language: str, msgid: str, **params: Any) -> str:
    """`msgid` in a language, with its `%(name)s` places filled in; messages among `params` are translated too."""
    words = catalogue(language).gettext(msgid)
    if not params:
        return words
    return words % {name: p.text(language) if isinstance(p, Message) else p for name, p in params.items()}


def speaker(language: str) -> Callable[..., Markup]:
    """What says a sentence in a template, as Jinja's own does; what was said before is not put together again."""
    gettext = catalogue(language).gettext
    said = cache(lambda sentence: Markup(gettext(sentence)) % {})  # noqa: S704  (the sentences are ours)

    def say(sentence: str, /, **params: Any) -> Markup:
        return Markup(gettext(sentence)) % params if params else said(sentence)  # noqa: S704  (params are escaped)

    return say


@dataclass(frozen=True)
class Message:
    """A sentence to be said in the reader's language."""

    msgid: str
    params: dict[str, Any] = field(default_factory=dict)

    def text(self, language: str) -> str:
        """The sentence in that language."""
        return translate(language, self.msgid, **self.params)


def sort_key(text: str) -> str:
    """A key that sorts names as people do, accents aside."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
