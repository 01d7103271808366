"""The shape in which machines get a submission: by the headings of Art. 12b(19), with marks, digests, letters and receipt."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from app.domain.questionnaire import Questionnaire, Step
from app.infra import times

FORMAT = "eoi-export/1"
HEADINGS = ("envelope", "technical", "impact", "financial")
OTHER = "other"  # where sections stand whose heading is a call's own


class Answered(Protocol):
    """What was answered in a version, however it was read."""

    @property
    def answers(self) -> dict[str, Any]: ...


class Warned(Protocol):
    """What a version was accepted with, however it was read."""

    @property
    def findings(self) -> list[Any]: ...


class Content(NamedTuple):
    """All that a document says of one version, as it was read from the database; `facts`, `organisation` and `intermediary` may be raw."""

    reference: str
    number: int
    definition_digest: str
    kind: str
    language: str
    title: str
    organisation: Any
    intermediary: Any
    received_at: Any
    payload_sha256: str
    answers: dict[str, Any]
    files: list[Any]
    findings: list[Any]
    facts: Any
    jws: str


class Part(NamedTuple):
    """One step of a questionnaire as a section: its heading and title, the names of the questions that a kind is asked."""

    heading: str
    name: str
    title: dict[str, str]
    questions: tuple[str, ...]


_parts: dict[tuple[str, str], tuple[Part, ...]] = {}


def parts(questions: Questionnaire, kind: str) -> tuple[Part, ...]:
    """The sections that a kind of respondent may have; made once, as a definition never changes."""
    key = questions.digest, kind
    if key not in _parts:
        _parts[key] = tuple(
            Part(heading_of(step), step.name, step.title, tuple(q.name for q in step.questions_for(kind)))
            for step in questions.steps_for(kind)
        )
    return _parts[key]


def heading_of(step: Step) -> str:
    """The heading under which the sections of a page stand in a document."""
    return step.heading if step.heading in HEADINGS else OTHER


def marked_steps(questions: Questionnaire, version: Answered) -> frozenset[str]:
    """The steps that count as confidential: the submitter's own marks, or the call's defaults where none were given."""
    name = questions.uses.get("confidentiality")
    if name and name in version.answers:
        return frozenset(version.answers[name])
    return frozenset(step.name for step in questions.steps if step.confidential)


def warnings(questions: Questionnaire, version: Warned) -> list[dict[str, Any]]:
    """The warnings that the version was accepted with, their text from the call, their reasons from the submitter."""
    rules = {rule.name: rule for rule in questions.rules}
    found = []
    for given in version.findings:
        rule = rules.get(given["code"])
        question = given["path"].split("-", 1)[0]
        section = next((s.name for s in questions.steps for q in s.questions if q.name == question), None)
        found.append({**given, "section": section, "message": rule.message if rule else None})
    return found


def document(
    questions: Questionnaire,
    content: Content,
    last: int,
    letters: Sequence[dict[str, Any]],
    call: str,
    is_synthetic: bool,
) -> dict[str, Any]:
    """The document of a version. `last` is the number of the one that counts, `call` the code of its call."""
    marked = marked_steps(questions, content)
    answers = content.answers
    sections: dict[str, dict[str, Any]] = {heading: {} for heading in (*HEADINGS, OTHER)}
    for heading, step, title, names in parts(questions, content.kind):
        given = {name: answers[name] for name in names if name in answers}
        if given:
            sections[heading][step] = {"title": title, "confidential": step in marked, "answers": given}
    return {
        "format": FORMAT,
        "call": call,
        "definition": content.definition_digest,
        "reference": content.reference,
        "version": content.number,
        "is_standing": content.number == last,
        "is_synthetic": is_synthetic,
        "kind": content.kind,
        "language": content.language,
        "title": content.title,
        "organisation": content.organisation,
        "intermediary": content.intermediary,
        "received_at": times.iso(content.received_at),
        "payload_sha256": content.payload_sha256,
        **sections,
        "files": [_file(questions, content.reference, file, marked) for file in content.files],
        "warnings": warnings(questions, content) if content.findings else [],
        "facts": content.facts,
        "support_letters": letters,
        "receipt": {"jws": content.jws},
    }


def _file(questions: Questionnaire, reference: str, file: dict[str, Any], marked: frozenset[str]) -> dict[str, Any]:
    step = questions.step_of(file["question"])
    return {
        "id": file["id"],  # with it a reader can compute the digest on the receipt anew
        "question": file["question"],
        "section": step.name,
        "confidential": step.name in marked,
        "name": file["name"],
        "media_type": file["media_type"],
        "size": file["size"],
        "sha256": file["sha256"],
        "url": f"/api/v1/submissions/{reference}/attachments/{file['sha256']}",
    }
