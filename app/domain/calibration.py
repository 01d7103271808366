"""Checks what a call file says about the review: names, evidence, expressions, weights that add up, words that promise nothing."""

import re
from collections import Counter
from decimal import Decimal
from typing import Any

from app.domain import grammar, kinds, yardsticks
from app.domain.grammar import Found, Marked
from app.domain.questionnaire import Question, Questionnaire

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
MOST_POINTS = 1000
# An expression of interest is not an application: nothing is granted or refused, so no word may say so.
DECIDES = re.compile(
    r"\b(approv|reject|grant|refus|goedgekeurd|afgekeurd|afgewezen|toegekend|geweigerd)", re.IGNORECASE
)


def problems(body: Marked, q: Questionnaire) -> Found:
    """What is wrong in the `review` of a call file: line and sentence each."""
    review = body.get("review", Marked())
    top = {question.name: question for step in q.steps for question in step.questions}
    respondents = set(body["respondents"])
    if "language" in review and review["language"] not in top:
        yield review.line, f"`review`: `language` names no question: '{review['language']}'."
    for what in ("checklist", "criteria"):
        yield from _names(review.get(what, []), "name", what, respondents)
    yield from _names(review.get("recommendations", []), "value", "recommendations", respondents)
    for line in review.get("checklist", []):
        yield from _line(line, top)
    for criterion in review.get("criteria", []):
        yield from _criterion(criterion, body)
    yield from _weights(review, q)
    for word in review.get("recommendations", []):
        if DECIDES.search(" ".join((word["value"].replace("_", " "), *word["label"].values()))):
            yield (
                word.line,
                f"Recommendation {word['value']}: an expression of interest is not decided on; choose words that grant and refuse nothing.",
            )


def _names(listed: list[Marked], key: str, what: str, respondents: set[str]) -> Found:
    for name, number in Counter(one[key] for one in listed).items():
        if number > 1 or not NAME.fullmatch(name):
            line = [one.line for one in listed if one[key] == name][-1]
            yield line, f"`{what}`: '{name}' is taken or not of the form a_b: choose another."
    for one in listed:
        if wrong := sorted(set(one.get("for", [])) - respondents):
            yield one.line, f"`{what}` {one[key]}: {', '.join(wrong)} is no kind of respondent."


def _line(line: Marked, top: dict[str, Question]) -> Found:
    what = f"Checklist line {line['name']}"
    if line["part"] not in yardsticks.PARTS:
        yield line.line, f"{what}: `part` is {' or '.join(yardsticks.PARTS)}."
    for need in line.get("needs", []):
        if need not in top:
            yield line.line, f"{what}: `needs` names no question: '{need}'."
    for path in line["evidence"]:
        if not _is_there(path.split("."), top):
            yield line.line, f"{what}: `evidence` names no question: '{path}'."
    yield from grammar.expression(line["check"], set(top) | {"kind", "limits"}, line.line, what)


def _is_there(path: list[str], among: dict[str, Question]) -> bool:
    found = among.get(path[0])
    if found is None or (len(path) > 1 and found.kind != kinds.LIST):
        return False
    return len(path) == 1 or _is_there(path[1:], {q.name: q for q in found.questions})


def _criterion(criterion: Marked, body: Marked) -> Found:
    what = f"Criterion {criterion['name']}"
    if criterion["heading"] not in body["headings"]:
        yield criterion.line, f"{what}: heading '{criterion['heading']}' is not among `headings`."
    rest = criterion["most"]
    while rest > 0 and (rest % 2 == 0 or rest % 5 == 0):
        rest //= 2 if rest % 2 == 0 else 5
    if rest != 1 or criterion["most"] > MOST_POINTS:
        yield criterion.line, f"{what}: `most` is 1, 2, 4, 5, 8, 10, 20, 100 or the like, so that totals are exact."


def _weights(review: Marked, q: Questionnaire) -> Found:
    criteria: list[Any] = review.get("criteria", [])
    for kind in q.respondents:
        asked = [c for c in criteria if kind in c.get("for", q.respondents)]
        total = sum((Decimal(c["weight"]) for c in asked), Decimal(0))
        if asked and total != 100:
            yield asked[0].line, f"`criteria`: the weights for {kind} add up to {total}, not to 100."
