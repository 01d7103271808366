"""What may be read of a dossier that is disclosed: which sections, and the document without anything that is withheld.

Personal data of contacts is in no such document. What is withheld is also searched for in the sections that are
disclosed: a firm that is not named is not named in a summary either.
"""

import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from app.domain import clauses, kinds, questionnaire, shapes
from app.domain.denials import GroundMissing, WithheldFound
from app.domain.questionnaire import Question, Questionnaire
from app.infra.i18n import N_, translate
from app.models import Submission, Version

FORMAT = "eoi-disclosed/1"
NAME = clauses.NAME
CONTACT = frozenset({"email", "phone"})  # never disclosed
IDENTIFYING = frozenset({"kvk", "vat", "lei", "euid", "pic", "url"})
WORDY = frozenset({"text", "long_text"})
SHORTEST, WHOLE = 3, 8  # characters of a text that is searched for as a word, and of one that is searched for anywhere
LONG = 12  # characters from which on a withheld text is searched for in the finished bytes too
MARK = N_("[redacted]")
NOTE_LENGTH = 2000
Sections = dict[str, dict[str, Any]]


def sections_of(questions: Questionnaire, version: Version) -> tuple[str, ...]:
    """What is decided on: the name, and each step of this kind of respondent that does not hold personal data."""
    steps = [s.name for s in questions.steps_for(version.kind) if s.name not in questions.disclosure.personal]
    return (NAME, *steps)


def suggested(questions: Questionnaire, version: Version) -> Sections:
    """What is proposed at first: marked sections are withheld; name and summary go by the submitter's own answer."""
    said, closed = _said(questions, version), marked(questions, version)
    opens = questions.disclosure.opens
    governed = {part for opened in opens.values() for part in opened} | {NAME}
    opened = set(opens.get(said, ()))
    first = questions.disclosure.grounds[0].value if questions.disclosure.grounds else ""
    found: Sections = {}
    for section in sections_of(questions, version):
        is_open = section in opened if section in governed else section not in closed
        found[section] = {
            "choice": "disclose" if is_open else "withhold",
            "ground": "" if is_open else first,
            "note": "",
        }
    return found


def _said(questions: Questionnaire, version: Version) -> str:
    name = questions.uses.get("disclosure")
    return str(version.answers.get(name, "")) if name else ""


def marked(questions: Questionnaire, version: Version) -> frozenset[str]:
    """The sections that the submitter marked as confidential."""
    return shapes.marked_steps(questions, version)


def checked(questions: Questionnaire, version: Version, given: Sections) -> Sections:
    """The choices as they are kept; GroundMissing unless each section has one, and each withheld one a known ground."""
    found: Sections = {}
    for section in sections_of(questions, version):
        one = given.get(section, {})
        choice, ground = one.get("choice"), one.get("ground") or ""
        note = str(one.get("note") or "").strip()[:NOTE_LENGTH]
        if choice not in ("disclose", "withhold"):
            raise GroundMissing
        if choice == "withhold" and questions.disclosure.ground(ground) is None:
            if questions.disclosure.grounds or not note:  # a call without a list of grounds has its ground in words
                raise GroundMissing
            ground = ""
        found[section] = {"choice": choice, "ground": ground if choice == "withhold" else "", "note": note}
    return found


def document(
    questions: Questionnaire, submission: Submission, version: Version, sections: Sections, language: str
) -> dict[str, Any]:
    """The redacted dossier. Holds nothing that `sections` withholds, no contact data, and no file: names of files alone."""
    hide = Pen(list(withheld_words(questions, version, sections)), language)
    said = version.receipt.body
    name = sections[NAME]["choice"] == "disclose"
    return {
        "format": FORMAT,
        "call": submission.call.code,
        "reference": submission.reference,
        "version": version.number,
        "kind": version.kind,
        "language": language,
        "title": hide(version.title) if name else None,
        "organisation": hide(said["organisation"]["name"]) if name else None,
        "name": _ground(questions, sections[NAME], language),
        "sections": [
            _section(questions, version, sections, step, hide, language) for step in _steps(questions, version)
        ],
    }


def _steps(questions: Questionnaire, version: Version) -> Iterator[str]:
    return (step.name for step in questions.steps_for(version.kind))


def _ground(questions: Questionnaire, one: dict[str, Any], language: str) -> dict[str, Any]:
    ground = questions.disclosure.ground(one["ground"])
    return {
        "is_disclosed": one["choice"] == "disclose",
        "ground": one["ground"] or None,
        "words": ground.label[language] if ground else None,
    }


def _section(
    questions: Questionnaire, version: Version, sections: Sections, name: str, hide: "Pen", language: str
) -> dict[str, Any]:
    step = questions.step(name)
    personal = {"choice": "withhold", "ground": questions.disclosure.personal_ground or "", "note": ""}
    choice = sections.get(name, personal)
    is_open = choice["choice"] == "disclose"
    return {
        "name": name,
        "title": step.title[language] if step else name,
        "heading": step.heading if step else "",
        **_ground(questions, choice, language),
        "answers": list(_answers(questions, version, sections, name, hide, language)) if is_open else [],
        "files": [
            {"name": hide(f["name"]), "size": f["size"], "sha256": f["sha256"]}
            for f in version.files
            if is_open and questions.step_of(f["question"]).name == name and not _is_private(questions, f["question"])
        ],
    }


def _is_private(questions: Questionnaire, top: str) -> bool:
    return top in questions.disclosure.personal


def _answers(
    questions: Questionnaire, version: Version, sections: Sections, name: str, hide: "Pen", language: str
) -> Iterator[dict[str, Any]]:
    names = {questions.uses["title"], *questions.disclosure.names}
    for step, question, path, value in questionnaire.walk(questions, version.kind, version.answers):
        top = path.split("-", 1)[0]
        if step.name != name or question.kind in (kinds.LIST, "file", *CONTACT) or value in (None, "", []):
            continue
        if _is_private(questions, top) or (top in names and sections[NAME]["choice"] == "withhold"):
            continue
        numbers = ".".join(str(int(part) + 1) for part in path.split("-") if part.isdigit())
        label = question.label[language]
        yield {
            "path": path,
            "label": f"{numbers} {label}" if numbers else label,
            "value": hide(value),
            "shown": hide(question.show(value, language)),
        }


def withheld_words(questions: Questionnaire, version: Version, sections: Sections) -> Iterator[str]:
    """Every text that must occur nowhere in the redacted dossier."""
    said = version.receipt.body
    yield from (said["submitter"]["name"], said["submitter"]["email"])
    no_name = sections[NAME]["choice"] == "withhold"
    if no_name:
        yield from (version.title, said["organisation"]["name"], said["organisation"]["registration_no"] or "")
    shut = {name for name in _steps(questions, version) if sections.get(name, {}).get("choice") != "disclose"}
    for step, question, path, value in questionnaire.walk(questions, version.kind, version.answers):
        is_secret = isinstance(value, str) and _is_secret(questions, question, path, step.name in shut, no_name)
        if is_secret and (question.kind not in WORDY or len(value) >= WHOLE or _names(questions, question, path)):
            yield value
    for file in version.files:
        if questions.step_of(file["question"]).name in shut or _is_private(questions, file["question"]):
            yield file["name"]


def _is_secret(questions: Questionnaire, question: Question, path: str, is_shut: bool, no_name: bool) -> bool:
    if question.kind in CONTACT or _is_private(questions, path.split("-", 1)[0]):
        return True
    if no_name and (question.kind in IDENTIFYING or _names(questions, question, path)):
        return True
    return is_shut and question.kind in WORDY | IDENTIFYING


def _names(questions: Questionnaire, question: Question, path: str) -> bool:
    """Whether an answer names the submitter or one of those who take part, or a person among the contacts."""
    top, _, rest = path.partition("-")
    part = questions.parts.entities
    in_entity = part is not None and top == part.list and rest.count("-") == 1 and question.name == part.name
    named = {questions.uses["title"], *questions.disclosure.names, *questions.disclosure.personal}
    return in_entity or top in named or questions.step_of(top).name in questions.disclosure.personal


class Pen:
    """Strikes out every occurrence of some texts: short ones as whole words, longer ones wherever they stand."""

    def __init__(self, words: list[str], language: str) -> None:
        self.mark = translate(language, MARK)
        self.words = sorted({_normal(word) for word in words if len(word.strip()) >= SHORTEST}, key=len, reverse=True)
        parts = [re.escape(w) if len(w) >= WHOLE else rf"(?<!\w){re.escape(w)}(?!\w)" for w in self.words]
        self.pattern = re.compile("|".join(parts), re.IGNORECASE) if parts else None

    def __call__(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.pattern.sub(self.mark, _normal(value)) if self.pattern else value
        if isinstance(value, list):
            return [self(one) for one in value]
        return value

    def require_clean(self, content: bytes, own: str) -> None:
        """WithheldFound where a long text still stands in finished bytes; what the call's own words say is no leak."""
        told = _normal(content.decode()).casefold()
        for word in self.words:
            typed = json.dumps(word, ensure_ascii=False)[1:-1].casefold()
            if len(word) >= LONG and typed in told and typed not in own:
                raise WithheldFound


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()
