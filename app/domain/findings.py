"""What stands in the way of a submit (errors) and what asks for a reason (warnings), in order of the form."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeGuard

from app.domain import kinds, questionnaire
from app.domain.questionnaire import Question, Questionnaire, Rule, Step, Text
from app.domain.rules import Scope
from app.infra.i18n import N_, Message

REQUIRED = N_("Answer this question.")
CHOOSE = N_("Choose an answer.")
ATTACH = N_("Add a file.")
TOO_FEW = N_("Add at least %(least)s.")
TOO_MANY = N_("Give at most %(most)s.")


@dataclass(frozen=True)
class Finding:
    """One thing to put right or to explain; `path` is the id of the field to go to."""

    level: str
    code: str
    path: str
    step: str
    message: Text | Message

    @property
    def key(self) -> str:
        """What a reason is kept under."""
        return f"{self.code}@{self.path}"

    def text(self, language: str) -> str:
        """The message in a language."""
        if isinstance(self.message, Message):
            return self.message.text(language)
        return self.message.get(language) or self.message["en"]

    def kept(self) -> dict[str, Any]:
        """As JSON, to be kept beside the draft."""
        said = {"msgid": self.message.msgid, "params": self.message.params} if is_ours(self.message) else self.message
        return {"level": self.level, "code": self.code, "path": self.path, "step": self.step, "message": said}


def is_ours(message: Text | Message) -> TypeGuard[Message]:
    """Whether a message is a sentence of the portal; else it is the call's own text."""
    return isinstance(message, Message)


def remembered(kept: list[dict[str, Any]]) -> list[Finding]:
    """Findings that were kept."""
    return [
        Finding(**one | {"message": Message(**said) if "msgid" in (said := one["message"]) else said}) for one in kept
    ]


def check(
    q: Questionnaire, kind: str, answers: dict[str, Any], unread: dict[str, Any], files: dict[str, list[dict[str, Any]]]
) -> list[Finding]:
    """All findings on a draft: what cannot be read, what is missing, then the call's rules."""
    scope, values = questionnaire.scope(q, kind, answers, files)
    found: list[Finding] = []
    order: dict[str, int] = {}
    for step in q.steps_for(kind):
        for question in step.questions_for(kind):
            given = (answers | files).get(question.name)
            for path, finding in _missing(question, question.name, kind, given, values, scope, step, unread):
                order.setdefault(path, len(order))
                if finding:
                    found.append(finding)
    found += _unread(q, kind, unread)
    found += _judged(q, kind, values, scope)
    return sorted(found, key=lambda f: (order.get(f.path, len(order)), f.level, f.code))


def _missing(
    question: Question,
    path: str,
    kind: str,
    value: Any,
    item: dict[str, Any],
    scope: Scope,
    step: Step,
    unread: dict[str, Any],
) -> Iterator[tuple[str, Finding | None]]:
    """Walk the form; yield each path with its finding, if any."""
    empty = value is None or value == [] or value == ""
    wanted = kind in question.required
    if empty and not wanted and question.required_when:
        if "-" in path:
            scope.bind(item=item)
        wanted = scope.holds(question.required_when)
    if question.kind == kinds.LIST:
        yield path, _counted(question, path, kind, len(value or []), wanted, step)
        for index, inner in enumerate(value or []):
            seen = item[question.name][index]
            for q in question.questions_for(kind):
                below = f"{path}-{index}-{q.name}"
                yield from _missing(q, below, kind, inner.get(q.name), seen, scope, step, unread)
    elif empty and wanted and path not in unread:
        msgid = {"file": ATTACH, "choice": CHOOSE, "choices": CHOOSE, "yes_no": CHOOSE, "country": CHOOSE}
        message = Message(msgid.get(question.kind, REQUIRED), {})
        yield path, Finding("error", "required", path, step.name, message)
    elif question.kind == "file" and len(value or []) > question.max_items:
        yield path, Finding("error", "too_many", path, step.name, Message(TOO_MANY, {"most": question.max_items}))
    else:
        yield path, None


def _counted(question: Question, path: str, kind: str, count: int, wanted: bool, step: Step) -> Finding | None:
    least = max(question.min_items.get(kind, 0), int(wanted))
    if count < least:
        return Finding("error", "too_few", path, step.name, Message(TOO_FEW, {"least": least}))
    if count > question.max_items:
        return Finding("error", "too_many", path, step.name, Message(TOO_MANY, {"most": question.max_items}))
    return None


def _unread(q: Questionnaire, kind: str, unread: dict[str, Any]) -> Iterator[Finding]:
    for path, entry in unread.items():
        name = path.split("-", 1)[0]
        if q.asks(kind, name):
            message = Message(entry["problem"], entry["params"])
            yield Finding("error", "unreadable", path, q.step_of(name).name, message)


def _judged(q: Questionnaire, kind: str, values: dict[str, Any], scope: Scope) -> Iterator[Finding]:
    """Judge the rules; those of one list together, as handing an item to CEL costs more than judging it."""
    by_list: dict[tuple[str, ...], list[Rule]] = {}
    for rule in q.rules:
        if kind in rule.for_ and q.asks(kind, rule.each[0] if rule.each else rule.at):
            by_list.setdefault(rule.each, []).append(rule)
    for rule in by_list.pop((), []):
        if all(_is_answered(values.get(name)) for name in rule.needs) and not scope.holds(rule.check):
            yield Finding(rule.level, rule.name, rule.at, q.step_of(rule.at).name, rule.message)
    for each, rules in by_list.items():
        step = q.step_of(each[0])
        for path, item, parent, index in _items(each, values):
            scope.bind(item=item, parent=parent, index=index)
            known = {"item": item, "parent": parent}
            for rule in rules:
                needed = (_reach(name, values, known) for name in rule.needs)
                if all(map(_is_answered, needed)) and not scope.holds(rule.check):
                    yield Finding(rule.level, rule.name, f"{path}-{rule.at}", step.name, rule.message)


def _items(each: tuple[str, ...], values: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], Any, int]]:
    for index, item in enumerate(values[each[0]]):
        path = f"{each[0]}-{index}"
        if len(each) == 1:
            yield path, item, None, index
        else:
            for inner, below in enumerate(item[each[1]]):
                yield f"{path}-{each[1]}-{inner}", below, item, inner


def _reach(name: str, values: dict[str, Any], known: dict[str, Any]) -> Any:
    whole, _, part = name.partition(".")
    return (known[whole] or {}).get(part) if whole in known else values.get(name)


def _is_answered(value: Any) -> bool:
    return value is not None and value != "" and value != []
