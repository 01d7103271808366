"""The portal speaks as docs/words.md says: one word for one thing, none of the words it avoids, no key or placeholder shown."""

import html
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from babel.messages.pofile import read_po
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app import demo
from app.domain import calls, drafts, glossary, submissions, terms
from app.infra.i18n import LANGUAGES, translate
from app.infra.places import place
from app.models import Submission
from tests import make

SignIn = Callable[..., str]
ROOT = make.HERE.parent
PAGE = (ROOT / "docs" / "words.md").read_text(encoding="utf-8")
PLACES = re.compile(r"%\(\w+\)[sd]|%\{\w+\}|%%|https?://\S+|\S+@\S+|/[\w./{}-]+")


def tables() -> list[list[list[str]]]:
    """The tables of the page, without their heads."""
    found = re.findall(r"(?m)^\|---.*\n((?:\|.*\n?)+)", PAGE)
    return [[[cell.strip() for cell in row.strip("|").split("|")] for row in one.splitlines()] for one in found]


def texts(node: Any) -> Iterator[tuple[str, str]]:
    """Every text of a call file with its language."""
    if isinstance(node, dict):
        if set(node) == set(LANGUAGES) and all(isinstance(v, str) for v in node.values()):
            yield from node.items()
        else:
            for value in node.values():
                yield from texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from texts(value)


def sentences() -> Iterator[tuple[str, str]]:
    """Every sentence for people with its language: the catalogue, and the call files."""
    with (place("locales") / "nl" / "LC_MESSAGES" / "messages.po").open("rb") as file:
        catalogue = read_po(file)
    for message in catalogue:
        for language, said in (("en", message.id), ("nl", message.string)):
            for one in said if isinstance(said, list | tuple) else [said]:
                if message.id:
                    yield language, str(one)
    for path in sorted(place("calls").glob("*.yaml")):
        yield from texts(yaml.safe_load(path.read_text(encoding="utf-8")))


def test_the_page_has_the_terms_of_the_glossary() -> None:
    agreed = [[word, translate("nl", word), means] for word, means in terms.TERMS.values()]
    assert tables()[0] == agreed


def avoided() -> Iterator[tuple[str, str]]:
    for language, words, _ in tables()[1]:
        for word in words.split(","):
            yield language, word.strip()


@pytest.mark.parametrize("language, word", list(avoided()))
def test_no_sentence_has_a_word_that_the_page_avoids(language: str, word: str) -> None:
    ending = r"\w*" if word.endswith("*") else r"(?![\w-])"
    pattern = re.compile(r"(?<![\w-])" + re.escape(word.rstrip("*")) + ending, re.IGNORECASE)
    said = [text for spoken, text in sentences() if spoken == language and pattern.search(PLACES.sub(" ", text))]
    assert said == []


def shown(page: str) -> str:
    """What a person reads of a page: no tags, scripts, values that were typed, or hashes."""
    for pattern in (
        r"<(script|style)\b.*?</\1>",
        r"<textarea.*?</textarea>",
        r'<[^>]*class="[^"]*\b(typed|hash)\b[^>]*>[^<]*',
    ):
        page = re.sub(pattern, " ", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", " ", page))


RAW = re.compile(
    r"\b[a-z]+_[a-z_]+\b|%\(|%\{|\{\{|\}\}|\{%|\bUndefined\b|\bnull\b|<built-in|object at 0x|\bTODO\b|\bMessage\("
)
PUBLIC = (
    "/calls",
    "/verify",
    "/privacy",
    "/accessibility",
    "/help",
    "/glossary",
    "/status",
    "/problems",
)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_shows_a_key_a_code_or_a_placeholder(
    client: TestClient, db: Session, sign_in: SignIn, language: str
) -> None:
    case = _full(db)
    client.cookies.set("language", language)
    assert RAW.findall(shown(client.get("/account/sign-in").text)) == []
    sign_in(client)
    client.cookies.set("language", language)
    steps = [s.name for s in calls.questions(case.call).steps_for(case.kind)]
    here = f"/apply/{case.reference}"
    pages = [
        *PUBLIC, f"/calls/{case.call.code}", f"/calls/{case.call.code}/seal", f"/privacy?call={case.call.code}",
        "/account", "/apply", here, *(f"{here}/{step}" for step in steps), f"{here}/check", f"{here}/answers",
        f"{here}/earlier-answers", f"{here}/withdrawal", "/nothing-here",
    ]  # fmt: skip
    found = {}
    for page in pages:
        answer = client.get(page)
        assert answer.status_code in (200, 404), (page, answer.status_code)
        raw = RAW.findall(shown(answer.text))
        if language == "nl":  # where it is no word
            raw += re.findall(r"\bNone\b", shown(answer.text))
        if raw:
            found[page] = raw
    assert found == {}


def _full(db: Session) -> Submission:
    actor = make.person(db)
    body, actor = make.organisation(db, actor)
    case = submissions.start(db, actor, make.call(db, of=make.definition("aigf-eoi")), body.id, "FC")
    for step, answers in demo.samples()["FC"].items():
        drafts.save_step(db, actor, case, step, 0, answers, {})
    return case


def test_every_code_of_the_glossary_is_a_sentence_in_both_languages() -> None:
    """Words for a code are words: none is the code itself."""
    for sort, known in glossary.WORDS.items():
        for code, words in known.items():
            assert not re.fullmatch(r"[a-z]+_[a-z_]+", words), (sort, code)
