"""One page of the form, for any question: what its fields show, and what pressing its buttons does."""

import uuid
from collections import OrderedDict
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy.orm import Session
from starlette.datastructures import FormData

from app.domain import drafts, findings, identifiers, kinds, questionnaire, reading
from app.domain.questionnaire import Question, Questionnaire, Step
from app.domain.reading import Reading
from app.infra import documents
from app.infra.i18n import N_, Message, sort_key, translate
from app.models import Submission
from app.web import pages

LAST_DAY = timedelta(days=1)
SELECT_FROM = 7  # choices longer than this become a select
OWN_FIELDS = frozenset({"csrf_token", "revision", "marks", "action"})
PICK = "pick:"
ADDED = N_("Added. Fill it in and save.")


def pairs(form: FormData) -> list[tuple[str, str]]:
    """The text fields of a posted form, without ours."""
    given = [(n, v) for n, v in form.multi_items() if isinstance(v, str) and n not in OWN_FIELDS]
    return [(n, v) for n, v in given if not n.startswith(PICK)]


def picks(form: FormData) -> dict[str, str]:
    """Which of two texts was picked, by path: `mine` or `theirs`."""
    return {n.removeprefix(PICK): v for n, v in form.multi_items() if isinstance(v, str) and n.startswith(PICK)}


def revision(form: FormData) -> int:
    """The revision of the saved page that a posted form was made from; 0 when it was never saved."""
    given = pages.field(form, "revision", 9)
    return int(given) if given.isascii() and given.isdigit() else 0


def revisions(form: FormData) -> dict[str, int]:
    """The revision of each page of a draft that the reader saw, from fields called `revision-<page>`."""
    return {
        name.removeprefix("revision-"): int(value)
        for name, value in form.multi_items()
        if name.startswith("revision-") and isinstance(value, str) and value.isdecimal() and len(value) < 10
    }


def blocking(db: Session, case: Submission, now: datetime, language: str) -> dict[str, str]:
    """In the last day, and after it where somebody may still submit: what a page says of what blocks, after a save."""
    if case.call.closes_at - now > LAST_DAY:
        return {}
    blocks = sum(one.level == "error" for one in drafts.check(db, case, drafts.content(db, case)))
    said = pages.fragment(language, "apply/blocking.html", blocks=blocks, reference=case.reference)
    return {"blocking": str(said)}


def press(step: Step, kind: str, read: Reading, action: str) -> str | None:
    """Carry out `add:<path>` or `remove:<path>` on what was read; return the id to go to, None for other actions."""
    verb, _, path = action.partition(":")
    if verb not in ("add", "remove"):
        return None
    parts = path.split("-")
    holder: Any = read.answers
    place = parts if verb == "add" else parts[:-1]
    question: Question | None = None
    asked = step.questions_for(kind)
    for part in place:
        if part.isdecimal():
            if question is None or int(part) >= len(holder):
                return None
            holder, asked = holder[int(part)], question.questions_for(kind)
            continue
        question = next((q for q in asked if q.name == part and q.kind == kinds.LIST), None)
        if question is None:
            return None
        holder = holder.setdefault(part, [])
    if question is None or not isinstance(holder, list):
        return None
    if verb == "add":
        if len(holder) < question.max_items:
            holder.append({})
        return f"{path}-{len(holder) - 1}"
    number = parts[-1]
    if not number.isdecimal() or int(number) >= len(holder):
        return None
    del holder[int(number)]
    read.unread = _without("-".join(place), int(number), read.unread)
    return "-".join(place)


def _without(path: str, number: int, unread: dict[str, Any]) -> dict[str, Any]:
    """Unread texts after the item `number` of the list at `path` is gone: later items move up."""
    kept = {}
    for name, entry in unread.items():
        first, _, rest = name.removeprefix(f"{path}-").partition("-")
        if not name.startswith(f"{path}-") or not first.isdecimal():
            kept[name] = entry
        elif int(first) != number:
            kept[f"{path}-{int(first) - (int(first) > number)}-{rest}"] = entry
    return kept


class Fields:
    """What the templates ask of one page: values as typed, errors beside fields, options, items."""

    def __init__(
        self,
        questions: Questionnaire,
        step: Step,
        kind: str,
        language: str,
        read: Reading,
        files: dict[str, list[dict[str, Any]]],
        shown: list[findings.Finding],
    ) -> None:
        self.questions, self.step, self.kind, self.language = questions, step, kind, language
        self.read, self.files = read, files
        self.errors: dict[str, str] = OrderedDict()
        self.warnings: dict[str, str] = OrderedDict()
        for finding in shown:
            bucket = self.errors if finding.level == "error" else self.warnings
            bucket.setdefault(finding.path, finding.text(language))

    def asked(self, question: Question | None = None) -> tuple[Question, ...]:
        """The questions of the page, or of an item of a list question."""
        return question.questions_for(self.kind) if question else self.step.questions_for(self.kind)

    def is_required(self, question: Question) -> bool:
        """Whether it must be answered to submit, whatever else is answered."""
        return self.kind in question.required or question.min_items.get(self.kind, 0) > 0

    def value(self, path: str) -> Any:
        """The canonical answer at a path, or None."""
        found: Any = self.read.answers
        for part in path.split("-"):
            if isinstance(found, list):
                found = found[int(part)] if part.isdecimal() and int(part) < len(found) else None
            else:
                found = found.get(part) if found else None
        return found

    def text(self, question: Question, path: str) -> str:
        """What stands in the field: as typed when it could not be read, else as the language writes it."""
        if path in self.read.unread:
            return str(self.read.unread[path]["text"])
        value = self.value(path)
        if value is None:
            return str(question.default) if isinstance(question.default, str) else ""
        if question.kind in ("integer", "decimal", "percent"):
            return kinds.KINDS["decimal"].show(value, question, self.language)
        if question.kind == "money":
            return kinds.KINDS["money"].show(value, question, self.language).removeprefix("€\u00a0")
        if question.kind == "yes_no":
            return "yes" if value else "no"
        return kinds.KINDS["country"].show(value, question, self.language) if question.kind == "country" else str(value)

    def date_parts(self, path: str) -> list[str]:
        """Day, month and year as typed or kept."""
        if path in self.read.unread:
            return list(self.read.unread[path].get("parts", [self.read.unread[path]["text"], "", ""]))
        value = self.value(path)
        return [str(int(value[8:10])), str(int(value[5:7])), value[:4]] if value else ["", "", ""]

    def chosen(self, question: Question, path: str) -> list[str]:
        """The ticked values of a choices question; its default while it was never answered."""
        value = self.value(path)
        return list(value if value is not None else question.default or [])

    @property
    def countries(self) -> list[str]:
        """The names that the country fields of the page offer, once for all of them; none where there is no such field."""
        asked = [
            q
            for outer in self.asked()
            for q in (outer, *outer.questions, *(i for o in outer.questions for i in o.questions))
        ]
        if not any(question.kind == "country" for question in asked):
            return []
        return sorted(identifiers.country_names(self.language).values(), key=sort_key)

    def options(self, question: Question) -> list[tuple[str, str]]:
        """Values and labels to choose from."""
        if question.kind == "yes_no":
            return [("yes", translate(self.language, N_("Yes"))), ("no", translate(self.language, N_("No")))]
        return [(o.value, o.label.get(self.language) or o.label["en"]) for o in question.options]

    def widget(self, question: Question, path: str) -> str:
        """Which sort of field a question gets; in an item of a list, of which there may be many, a small one."""
        if question.kind == "choice" and (len(question.options) > SELECT_FROM or "-" in path):
            return "select"
        return {"choice": "radios", "yes_no": "radios", "choices": "checkboxes"}.get(question.kind, question.kind)

    def title_of_item(self, question: Question, path: str, number: int) -> str:
        """`Member 2: Delta BV`: the first text or choice answered names the item."""
        item = self.value(f"{path}-{number}") or {}
        naming = (q for q in self.asked(question) if q.kind in ("text", "choice") and item.get(q.name))
        name = next((q.show(item[q.name], self.language) for q in naming), "")
        word = question.item.get(self.language) or question.item["en"]
        return f"{word[:1].upper()}{word[1:]} {number + 1}" + (f": {name}" if name else "")

    @cached_property
    def _labels(self) -> dict[str, str]:
        return labels(self.questions, self.kind, self.read.answers, self.language)

    def label(self, path: str) -> str:
        """What the field at a path is called."""
        return self._labels.get(path, path)

    @property
    def accept(self) -> str:
        """Endings that a file field offers."""
        return documents.ACCEPT


def labels(questions: Questionnaire, kind: str, answers: dict[str, Any], language: str) -> dict[str, str]:
    """Readable names for field names, for pages that show what was typed."""
    found = {}
    for _, question, path, _ in questionnaire.walk(questions, kind, answers):
        label = question.label.get(language) or question.label["en"]
        numbers = [str(int(p) + 1) for p in path.split("-") if p.isdecimal()]
        found[path] = f"{label} ({'.'.join(numbers)})" if numbers else label
        if question.kind == "date":
            found |= {f"{path}-{part}": found[path] for part in reading.DATE_PARTS}
    return found


def refused_file(message: Message, path: str, step: str) -> findings.Finding:
    """A file that was not taken, as a finding on its field."""
    return findings.Finding("error", "file_refused", path, step, message)


def attachment_id(action: str) -> uuid.UUID | None:
    """The attachment that `detach:<id>` names."""
    verb, _, given = action.partition(":")
    if verb != "detach":
        return None
    try:
        return uuid.UUID(given)
    except ValueError:
        return None
