"""From a posted form to answers: unflatten `members-0-owners-1-share`, read each value, keep what cannot be read."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from app.domain import kinds, texts
from app.domain.answers import Unreadable
from app.domain.questionnaire import Question, Step

MAX_UNREAD = 20_000  # characters kept of a text that could not be read
DATE_PARTS = ("day", "month", "year")


@dataclass
class Reading:
    """What a form came to: canonical answers, and by path the text that could not be read with its problem."""

    answers: dict[str, Any] = field(default_factory=dict)
    unread: dict[str, dict[str, Any]] = field(default_factory=dict)


def read(step: Step, kind: str, form: Iterable[tuple[str, str]], language: str) -> Reading:
    """Read one step's form in the person's language. Unknown names are ignored; nothing that is typed is lost."""
    posted: dict[str, list[str]] = {}
    for name, text in form:
        posted.setdefault(name, []).append(text)
    reading = Reading()
    reading.answers = _read_all(step.questions_for(kind), "", kind, posted, language, reading.unread)
    return reading


def _read_all(
    questions: tuple[Question, ...],
    prefix: str,
    kind: str,
    posted: dict[str, list[str]],
    language: str,
    unread: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for question in questions:
        path = prefix + question.name
        if question.kind == "file":
            continue
        if question.kind == kinds.LIST:
            value: Any = _read_items(question, path, kind, posted, language, unread)
        else:
            value = _read_one(question, path, posted, language, unread)
        if (value is not None and value != []) or question.kind == kinds.LIST:
            answers[question.name] = value
    return answers


def _read_items(
    question: Question,
    path: str,
    kind: str,
    posted: dict[str, list[str]],
    language: str,
    unread: dict[str, dict[str, Any]],
) -> list[dict[str, Any]]:
    """The items in order of their numbers, closed up; an item without any text stays, as somebody just added it."""
    start = f"{path}-"
    numbers = set()
    for name in posted:
        part = name.removeprefix(start).split("-", 1)[0] if name.startswith(start) else ""
        if part.isascii() and part.isdigit() and len(part) <= 4:
            numbers.add(int(part))
    items = []
    for place, number in enumerate(sorted(numbers)[: question.max_items]):
        inner: dict[str, dict[str, Any]] = {}
        given = f"{path}-{number}-"
        items.append(_read_all(question.questions_for(kind), given, kind, posted, language, inner))
        unread.update({f"{path}-{place}-{p.removeprefix(given)}": entry for p, entry in inner.items()})
    return items


def _read_one(
    question: Question, path: str, posted: dict[str, list[str]], language: str, unread: dict[str, dict[str, Any]]
) -> Any:
    if question.kind == "choices":
        allowed = [option.value for option in question.options]
        return [value for value in allowed if value in posted.get(path, [])]
    if question.kind == "date" and any(f"{path}-{part}" in posted for part in DATE_PARTS):
        return _read_date(question, path, posted, language, unread)
    text = texts.clean(posted.get(path, [""])[-1])
    if not text:
        return None
    try:
        return kinds.KINDS[question.kind].read(text, question, language)
    except Unreadable as problem:
        unread[path] = _kept(text, language, problem)
        return None


def _read_date(
    question: Question, path: str, posted: dict[str, list[str]], language: str, unread: dict[str, dict[str, Any]]
) -> str | None:
    day, month, year = (texts.clean(posted.get(f"{path}-{part}", [""])[-1]) for part in DATE_PARTS)
    if not (day or month or year):
        return None
    try:
        return kinds.read_date(day, month, year, question)
    except Unreadable as problem:
        unread[path] = _kept(f"{day}-{month}-{year}", language, problem) | {
            "parts": [_shown(part)[:20] for part in (day, month, year)]
        }
        return None


def _kept(text: str, language: str, problem: Unreadable) -> dict[str, Any]:
    return {
        "text": _shown(text)[:MAX_UNREAD],
        "language": language,
        "problem": problem.message.msgid,
        "params": {name: str(value) for name, value in problem.message.params.items()},
    }


def _shown(text: str) -> str:
    """What of a typed text can be stored and shown: control characters cannot."""
    return "".join(c for c in text if c in "\n\t" or c.isprintable())
