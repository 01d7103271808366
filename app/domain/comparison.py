"""Two to four dossiers side by side: facts of the register and answers by section, rows that differ marked."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.domain import access, calls, columns, dossiers, kinds, questionnaire
from app.domain.access import Actor
from app.domain.objections import TooFewToCompare
from app.domain.questionnaire import Questionnaire
from app.models import Entry, Submission, Version

MOST = 4


@dataclass(frozen=True)
class Row:
    """One line: a label, and the value of each dossier as people read it, empty where there is none."""

    label: Any
    numbers: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether they are not all the same."""
        return len(set(self.values)) > 1


@dataclass(frozen=True)
class Section:
    """The lines of one section; of the register where there is no title."""

    title: dict[str, str] | None
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Compared:
    """The dossiers and all that is compared of them."""

    dossiers: tuple[tuple[Submission, Version], ...]
    sections: tuple[Section, ...]


def compare(db: Session, actor: Actor, references: list[str], language: str) -> Compared:
    """Two to four different dossiers; each passes its gate and is put on record as read.

    TooFewToCompare for other numbers, ConflictNotStated for the first whose gate was not passed.
    """
    wanted = list(dict.fromkeys(references))
    if not 2 <= len(wanted) <= MOST:
        raise TooFewToCompare
    loaded = [dossiers.load(db, actor, reference) for reference in wanted]
    held = tuple({submission.id: (submission, version) for submission, version in loaded}.values())
    if len(held) < 2:  # one dossier, written in two ways
        raise TooFewToCompare
    sections = [Section(None, tuple(_facts(db, actor, held, language))), *_answers(db, held, language)]
    return Compared(held, tuple(s for s in sections if s.rows))


def _facts(db: Session, actor: Actor, held: tuple[tuple[Submission, Version], ...], language: str) -> Iterator[Row]:
    """The register's columns; those of a call that not all are of are left empty for the others."""
    ids = [submission.id for submission, _ in held]
    shown = {s.call_id: columns.columns(calls.questions(s.call)) for s, _ in held}
    every = {column.name: column for found in shown.values() for column in found}
    rows: dict[Any, dict[str, str]] = {}
    for call_id, found in shown.items():
        listed = access.entries(actor).where(Entry.call_id == call_id, Entry.submission_id.in_(ids))
        values = (column.value.label(column.name) for column in found)
        questions = next(calls.questions(s.call) for s, _ in held if s.call_id == call_id)
        for row in db.execute(listed.with_only_columns(Entry.submission_id, *values)):
            rows[row.submission_id] = {
                c.name: columns.show(questions, c, row._mapping[c.name], language) for c in found
            }
    for name, column in every.items():
        if name != "reference":
            yield Row(column.label, "", tuple(rows.get(one, {}).get(name, "") for one in ids))


def _answers(db: Session, held: tuple[tuple[Submission, Version], ...], language: str) -> Iterator[Section]:
    """The answers by section, in the order of the forms; files by their names."""
    steps: dict[str, dict[str, str]] = {}
    rows: dict[str, dict[str, tuple[Any, dict[int, str]]]] = {}
    for place, (_, version) in enumerate(held):
        questions = calls.questions_of(db, version.definition_digest)
        for step, question, path, value in questionnaire.walk(questions, version.kind, given(version)):
            if question.kind != kinds.LIST and value not in (None, "", []):
                steps.setdefault(step.name, step.title)
                row = rows.setdefault(step.name, {}).setdefault(path, (question.label, {}))
                row[1][place] = question.show(value, language)
    order = _order(db, held)
    for name, title in steps.items():
        lines = sorted(rows[name].items(), key=lambda line: order(line[0]))
        yield Section(
            title,
            tuple(
                Row(label, _numbers(path), tuple(values.get(place, "") for place in range(len(held))))
                for path, (label, values) in lines
            ),
        )


def _order(db: Session, held: tuple[tuple[Submission, Version], ...]) -> Any:
    """Sorts paths as the form has its questions, items of a list by their numbers."""
    place: dict[str, int] = {}
    for _, version in held:
        for name in _names(calls.questions_of(db, version.definition_digest)):
            place.setdefault(name, len(place))

    def key(path: str) -> list[int]:
        return [int(part) if part.isdigit() else place.get(part, 0) for part in path.split("-")]

    return key


def _names(questions: Questionnaire) -> Iterator[str]:
    waiting = [q for step in questions.steps for q in step.questions]
    while waiting:
        question = waiting.pop(0)
        yield question.name
        waiting = [*question.questions, *waiting]


def _numbers(path: str) -> str:
    return ".".join(str(int(part) + 1) for part in path.split("-") if part.isdigit())


def given(version: Version) -> dict[str, Any]:
    """The answers of a version, its files among them by question."""
    found: dict[str, list[dict[str, Any]]] = {}
    for file in version.files:
        found.setdefault(file["question"], []).append(file)
    return version.answers | found
