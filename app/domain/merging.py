"""Two people wrote on one page: what each of them changed since the page both began with, and one page of what is picked."""

import base64
import copy
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from app.domain import kinds
from app.domain.questionnaire import Question, Step
from app.domain.reading import Reading

MARK = 6  # bytes of a digest: two texts of one question that share them are not to be expected
MARK_LENGTH = 8  # characters that these take

By = Literal["me", "them", "both"]


@dataclass(frozen=True)
class Difference:
    """A question that stands differently in two texts of one page; `by` tells who changed it since both began.

    Where one of the two has more items in a list than the other, the whole list is one difference.
    """

    question: Question
    path: str
    mine: Any
    theirs: Any
    by: By

    @property
    def numbers(self) -> str:
        """The numbers of the list items it stands in, such as `2.1`; empty at the top."""
        return ".".join(str(int(part) + 1) for part in self.path.split("-") if part.isdigit())


@dataclass(frozen=True)
class _Typed:
    """A text that could not be read, in place of an answer."""

    text: str


def marks(step: Step, kind: str, page: Reading) -> str:
    """A short digest of each answer of a page, also of the missing ones: by them a later save tells what it changed."""
    return "".join(_mark(path, value) for path, value in _every(step.questions_for(kind), kind, "", page, page.answers))


def _every(
    questions: tuple[Question, ...], kind: str, prefix: str, page: Reading, answers: dict[str, Any]
) -> Iterator[tuple[str, Any]]:
    for question in questions:
        path = prefix + question.name
        if question.kind != "file":
            yield path, _value(page, path, answers.get(question.name))
        if question.kind == kinds.LIST:
            for number, item in enumerate(answers.get(question.name) or []):
                yield from _every(question.questions_for(kind), kind, f"{path}-{number}-", page, item)


def _value(page: Reading, path: str, answer: Any) -> Any:
    """What stands at a path: the answer, the text that could not be read, or of a list its items with such texts."""
    if path in page.unread:
        return _Typed(str(page.unread[path]["text"]))
    if isinstance(answer, list) and answer and isinstance(answer[0], dict):
        unread = {p: entry["text"] for p, entry in page.unread.items() if p.startswith(f"{path}-")}
        return [answer, unread] if unread else answer
    return None if answer in ("", []) else answer


def _mark(path: str, value: Any) -> str:
    said = ["typed", value.text] if isinstance(value, _Typed) else value
    made = hashlib.sha256(json.dumps([path, said], sort_keys=True, ensure_ascii=False).encode("utf-8", "replace"))
    return base64.urlsafe_b64encode(made.digest()[:MARK]).decode()


def differences(step: Step, kind: str, began: str, mine: Reading, theirs: Reading) -> list[Difference]:
    """What stands differently in two texts of a page, in order of the form; `began` holds the marks of the page of before."""
    known = {began[at : at + MARK_LENGTH] for at in range(0, len(began), MARK_LENGTH)}
    found = []
    for question, path, own, other in _pairs(step.questions_for(kind), kind, "", mine.answers, theirs.answers):
        values = _value(mine, path, own), _value(theirs, path, other)
        if values[0] == values[1]:
            continue
        by_me, by_them = (_mark(path, value) not in known for value in values)
        by: By = "me" if by_me and not by_them else "them" if by_them and not by_me else "both"
        found.append(Difference(question, path, *values, by))
    return found


def _pairs(
    questions: tuple[Question, ...], kind: str, prefix: str, mine: dict[str, Any], theirs: dict[str, Any]
) -> Iterator[tuple[Question, str, Any, Any]]:
    for question in questions:
        path, own, other = prefix + question.name, mine.get(question.name), theirs.get(question.name)
        if question.kind == "file":
            continue
        if question.kind == kinds.LIST and len(own or []) == len(other or []):
            for number, (one, two) in enumerate(zip(own or [], other or [], strict=True)):
                yield from _pairs(question.questions_for(kind), kind, f"{path}-{number}-", one, two)
        else:
            yield question, path, own, other


def merge(found: list[Difference], mine: Reading, theirs: Reading, picks: dict[str, str]) -> Reading | None:
    """One page: theirs, and mine wherever that is picked or only I changed it. None while a pick between two is missing."""
    made = Reading(copy.deepcopy(theirs.answers), dict(theirs.unread))
    for one in found:
        pick = picks.get(one.path) or {"me": "mine", "them": "theirs"}.get(one.by)
        if pick not in ("mine", "theirs"):
            return None
        if pick == "mine":
            _put(made, one.path, mine)
    return made


def _put(made: Reading, path: str, mine: Reading) -> None:
    """What stands in mine at a path, with the texts that could not be read at it and below."""
    *way, name = path.split("-")
    target, source = made.answers, mine.answers
    for part in way:
        target, source = (side[int(part)] if isinstance(side, list) else side[part] for side in (target, source))
    if name in source:
        target[name] = copy.deepcopy(source[name])
    else:
        target.pop(name, None)
    for unread in [p for p in made.unread if p == path or p.startswith(f"{path}-")]:
        del made.unread[unread]
    made.unread |= {p: entry for p, entry in mine.unread.items() if p == path or p.startswith(f"{path}-")}


def lines(question: Question, kind: str, value: Any, language: str) -> list[str]:
    """A side of a difference as lines to read: one, or of a list one for each answer of each item."""
    if isinstance(value, _Typed):
        return [value.text]
    if question.kind != kinds.LIST:
        return [] if value is None else [question.show(value, language)]
    items, unread = (value[0], value[1]) if value and isinstance(value[0], list) else (value or [], {})
    shown = [
        line for number, item in enumerate(items) for line in _item(question, kind, item, f"{number + 1}", language)
    ]
    return [*shown, *unread.values()]


def _item(question: Question, kind: str, item: dict[str, Any], number: str, language: str) -> Iterator[str]:
    for inner in question.questions_for(kind):
        value = item.get(inner.name)
        if inner.kind == kinds.LIST:
            for place, part in enumerate(value or []):
                yield from _item(inner, kind, part, f"{number}.{place + 1}", language)
        elif value not in (None, "", []):
            label = inner.label.get(language) or inner.label["en"]
            yield f"{number} · {label}: {inner.show(value, language)}"
