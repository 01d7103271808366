"""What a version holds as a reader sees it, drawn and written out once for each language: it never changes."""

import uuid
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from app.domain import geography, glossary, kinds, portrait, questionnaire, shapes
from app.domain.questionnaire import Questionnaire
from app.models import Clarification, Submission, SupportLetter, Version
from app.web import drawing, pages

KEPT = 1000  # versions that a process holds, of some ten kilobytes each


@dataclass(frozen=True)
class Content:
    """Parts of the page of a dossier: its pictures with their tables, and its answers by heading and section."""

    portrait: Markup
    answers: Markup


_kept: dict[tuple[uuid.UUID, uuid.UUID | None, str, str], tuple[bytes, bytes]] = {}


def of(
    questions: Questionnaire, submission: Submission, version: Version, language: str, held: Mapping[str, str]
) -> Content:
    """The content of a version that the reader was let into; whoever asks has loaded it, and put that on record.

    Files that are `held` back, by digest with why, are named and not opened.
    """
    own = {file["sha256"]: held[file["sha256"]] for file in version.files if file["sha256"] in held}
    key = (version.id, version.destruction_id, language, repr(sorted(own.items())))
    if (packed := _kept.get(key)) is not None:
        pictures, answers = (Markup(zlib.decompress(part).decode()) for part in packed)  # noqa: S704  (made below)
        return Content(pictures, answers)
    made = _made(questions, submission, version, language, own)
    if len(_kept) >= KEPT:
        _kept.clear()
    _kept[key] = (zlib.compress(made.portrait.encode(), 1), zlib.compress(made.answers.encode(), 1))
    return made


def _made(
    questions: Questionnaire, submission: Submission, version: Version, language: str, held: dict[str, str]
) -> Content:
    pictures = pages.fragment(
        language,
        "review/portrait.html",
        drawn=drawing.dossier(portrait.of(questions, version.answers), language),
        outlines=geography.members(),
        around=geography.around(),
    )
    answers = pages.fragment(
        language,
        "review/content.html",
        submission=submission,
        version=version,
        questions=questions,
        marked=shapes.marked_steps(questions, version),
        answered=_answered(questions, version, language),
        held=held,
    )
    return Content(pictures, answers)


def _answered(questions: Questionnaire, version: Version, language: str) -> dict[str, list[tuple[str, str, Any, str]]]:
    """By step the label with its numbers, the kind, and the answer both as it is and as a person reads it."""
    found: dict[str, list[tuple[str, str, Any, str]]] = {}
    for step, question, path, value in questionnaire.walk(questions, version.kind, version.answers | files(version)):
        if question.kind != kinds.LIST and value not in (None, "", []):
            numbers = ".".join([str(int(part) + 1) for part in path.split("-") if part.isdigit()])
            label = question.label.get(language) or question.label["en"]
            shown = "" if question.kind == "file" else question.show(value, language)
            line = (f"{numbers} {label}" if numbers else label, question.kind, value, shown)
            found.setdefault(step.name, []).append(line)
    return found


def files(version: Version) -> dict[str, Any]:
    """The files of a version by question."""
    found: dict[str, list[dict[str, Any]]] = {}
    for file in version.files:
        found.setdefault(file["question"], []).append(file)
    return found


def digests(
    version: Version | None, letters: Iterable[SupportLetter] = (), asked: Iterable[Clarification] = ()
) -> list[str]:
    """The digests of all files that a page names: of a version, of letters as they were given, of answers after closing."""
    answered = [one.answer.files for one in asked if one.answer]
    given = [letter.given.files for letter in letters if letter.given]
    return [file["sha256"] for some in (version.files if version else [], *given, *answered) for file in some]


def tell_held_back(lines: list[list[str]], held: Mapping[str, str], language: str) -> None:
    """Say on paper, behind the names of files that cannot be opened now, why not. The digest is last in each line."""
    for line in lines:
        if line[-1] in held:
            line[1] += f" ({glossary.words('scan', held[line[-1]], language)})"
