"""What goes on paper: receipt, blank form and dossier as the data that the PDF templates show."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from app.domain import glossary, intermediaries, kinds, portrait, questionnaire
from app.domain.questionnaire import Question, Questionnaire
from app.domain.receipts import NON_BINDING
from app.infra import times
from app.infra.i18n import N_, translate
from app.models import Call, Clarification, Version

RECEIPT = N_("Receipt of an expression of interest")
INTRO = N_("This expression of interest was received and counts. The signed JSON receipt proves it without us.")
EXCEPTIONAL_INTRO = N_(
    "This expression of interest was received exceptionally. The signed JSON receipt proves it without us."
)
FORM_INTRO = N_("Closes %(closes)s. This is a reading copy: only what is submitted in the portal counts.")
DOSSIER = N_("Dossier %(reference)s, version %(version)s")


def text_of(texts: dict[str, str], language: str) -> str:
    """A text of a call file in a language."""
    return texts.get(language) or texts["en"]


def files(questions: Questionnaire, given: list[dict[str, Any]], language: str) -> list[list[str]]:
    """The files that a receipt names: question, name, bytes and digest."""
    return [
        [text_of(questions.question(f["question"]).label, language), f["name"], f"{f['size']} bytes", f["sha256"]]
        for f in given
    ]


def receipt(version: Version, questions: Questionnaire, language: str) -> dict[str, Any]:
    """The data of templates/pdf/receipt.typ."""
    said, t = version.receipt.body, partial(translate, language)
    rows = [
        [t(N_("Reference")), said["reference"]],
        [t(N_("Version")), str(said["version"])],
        [t(N_("Received")), times.brussels_and_utc(version.received_at, language, seconds=True)],
        *_exemption(said, language),
        [t(N_("Call")), text_of(said["call_title"], language)],
        [t(N_("Title")), said["title"]],
        [t(N_("Organisation")), f"{said['organisation']['name']} ({said['organisation']['country']})"],
        [t(N_("Submitted by")), " · ".join(filter(None, (said["submitter"]["name"], said["submitter"]["email"])))],
        *intermediaries.rows(said, language),
        [t(N_("Signed in by")), glossary.words("assurance", said["submitter"]["login_assurance"], language)],
        [t(N_("Definition")), said["definition"]],
    ]
    return {
        "title": t(RECEIPT),
        "intro": t(EXCEPTIONAL_INTRO if said.get("exemption") else INTRO),
        "footer": f"{said['reference']} · {said['issuer']}",
        "lang": language,
        "rows": rows,
        "digest_label": t(N_("SHA-256 of the content")),
        "digest": said["payload_sha256"],
        "files_title": t(N_("Files")),
        "files": files(questions, said["files"], language),
        "notes": [text_of(said["rule"], language), text_of(NON_BINDING, language), *_notice(questions, language)],
        "signature_label": t(N_("Signature (Ed25519), whole in the JSON receipt")),
        "signature": version.receipt.jws.rpartition(".")[2],
    }


def _notice(questions: Questionnaire, language: str) -> list[str]:
    return [text_of(questions.notice, language)] if questions.notice else []


def _exemption(said: dict[str, Any], language: str) -> list[list[str]]:
    """What a receipt says of the exemption that let its version in; nothing on an ordinary one."""
    if not said.get("exemption"):
        return []
    until = times.brussels_and_utc(datetime.fromisoformat(said["exempt_until"]), language)
    return [
        [translate(language, N_("Exceptional")), text_of(said["exemption_note"], language)],
        [translate(language, N_("Let in until")), until],
    ]


def blank_form(call: Call, questions: Questionnaire, kind: str, language: str) -> dict[str, Any]:
    """The data of templates/pdf/blank_form.typ: everything that is asked of one kind of respondent."""
    closes = times.brussels_and_utc(call.closes_at, language)
    respondent = questions.respondents[kind]
    steps = [
        {
            "title": text_of(step.title, language),
            "hint": text_of(step.hint, language) if step.hint else "",
            "questions": [row for q in step.questions_for(kind) for row in _asked(q, kind, language, 0)],
        }
        for step in questions.steps_for(kind)
    ]
    return {
        "title": f"{text_of(questions.title, language)} – {text_of(respondent.title, language)}",
        "intro": [
            translate(language, FORM_INTRO, closes=closes),
            text_of(NON_BINDING, language),
            *_notice(questions, language),
        ],
        "footer": call.code,
        "lang": language,
        "steps": steps,
    }


def _asked(question: Question, kind: str, language: str, depth: int) -> list[dict[str, Any]]:
    required = kind in question.required or question.min_items.get(kind, 0) > 0
    mark = translate(language, N_("required to submit") if required else N_("optional"))
    row = {
        "label": text_of(question.label, language)
        + (f" ({text_of(question.unit, language)})" if question.unit else ""),
        "hint": text_of(question.hint, language) if question.hint else "",
        "mark": mark,
        "kind": question.kind,
        "options": [text_of(o.label, language) for o in question.options],
        "depth": depth,
    }
    inner = [r for q in question.questions_for(kind) for r in _asked(q, kind, language, depth + 1)]
    return [row, *inner]


def answers(questions: Questionnaire, kind: str, given: dict[str, Any], language: str) -> dict[str, list[list[str]]]:
    """Label and shown answer of everything that was answered, by step; items of lists carry their number."""
    shown: dict[str, list[list[str]]] = {}
    for step, question, path, value in questionnaire.walk(questions, kind, given):
        if value in (None, "", []) or question.kind == kinds.LIST:
            continue
        numbers = [int(part) + 1 for part in path.split("-") if part.isdigit()]
        label = text_of(question.label, language)
        prefix = f"{'.'.join(map(str, numbers))} " if numbers else ""
        shown.setdefault(step.name, []).append([prefix + label, question.show(value, language)])
    return shown


def _bars(found: portrait.Portrait) -> list[dict[str, Any]]:
    """The sources beside each other, in percent of all of them, for the stripe above the table."""
    money = found.money
    if money is None or not money.sum:
        return []
    return [
        {"width": float(source.amount * 100 / money.sum), "is_public": source.is_public}
        for source in money.sources
        if source.amount
    ]


def dossier(
    version: Version, questions: Questionnaire, warnings: list[list[str]], marked: frozenset[str], language: str
) -> dict[str, Any]:
    """The data of templates/pdf/dossier.typ, grouped by the call's headings; `marked` steps are confidential."""
    said, by_step = version.receipt.body, answers(questions, version.kind, version.answers, language)
    mark = translate(language, N_("confidential"))
    sections = []
    for heading, title in questions.headings.items():
        steps = [
            {
                "title": text_of(step.title, language),
                "mark": mark if step.name in marked else "",
                "answers": by_step[step.name],
            }
            for step in questions.steps_for(version.kind)
            if step.heading == heading and step.name in by_step
        ]
        if steps:
            sections.append({"heading": text_of(title, language), "steps": steps})
    found = portrait.of(questions, version.answers)
    made = receipt(version, questions, language)
    return made | {
        "portrait_title": translate(language, N_("In pictures")),
        "portrait": [
            {
                "title": table.title,
                "notes": table.notes,
                "head": table.head,
                "rows": table.rows,
                "numbers": table.numbers,
                "bars": _bars(found) if table.name == "money" else [],
            }
            for table in portrait.tables(found, language)
        ],
        "title": translate(language, DOSSIER, reference=said["reference"], version=said["version"]),
        "subtitle": said["title"],
        "sections": sections,
        "warnings_title": translate(language, N_("Remarks and reasons")),
        "warnings": warnings,
    }


def clarification(
    asked: Clarification, questions: Questionnaire, state: str, held: Mapping[str, str], language: str
) -> dict[str, Any]:
    """A question asked after closing, and its answer, for templates/pdf/dossier.typ; with why a file is `held` back."""
    t, answer = partial(translate, language), asked.answer
    rows = [
        [t(N_("About")), questions.topic(asked.topic, language)],
        [t(N_("Question")), asked.words],
        [t(N_("Asked")), times.brussels_and_utc(asked.asked_at, language, seconds=True)],
        [t(N_("To be answered by")), times.to_the_end(asked.due_at, language)],
    ]
    if asked.withdrawn_at:
        at = times.brussels_and_utc(asked.withdrawn_at, language, seconds=True)
        rows.append([t(N_("Withdrawn")), f"{at}. {asked.withdrawn_because}"])
    if answer:
        rows.append([t(N_("Given after closing")), times.brussels_and_utc(answer.answered_at, language, seconds=True)])
        rows.append([t(N_("Answer")), answer.words])
        for file in answer.files:
            why = f" ({glossary.words('scan', held[file['sha256']], language)})" if file["sha256"] in held else ""
            rows.append([t(N_("File, given after closing")), f"{file['name']}{why} · SHA-256 {file['sha256']}"])
    return {
        "heading": t(N_("Questions to the respondent, after closing")),
        "title": translate(language, N_("Question %(number)s"), number=asked.number),
        "mark": glossary.words("clarification", state, language),
        "rows": rows,
    }


DISCLOSED = N_("Dossier %(reference)s as disclosed")
WITHHELD = N_("Withheld: %(ground)s")
DISCLOSED_NOTE = N_(
    "Sections that are withheld are shown as withheld, with the ground. Contact data of persons are left out of every "
    "section. Files are named and not contained."
)


def disclosed(document: dict[str, Any], questions: Questionnaire, language: str) -> dict[str, Any]:
    """The data of templates/pdf/disclosed.typ, of a redacted document."""
    t = partial(translate, language)
    name = document["name"]

    def withheld(one: dict[str, Any]) -> str:
        return "" if one["is_disclosed"] else t(WITHHELD, ground=one["words"] or t(N_("see the decision")))

    rows = [
        [t(N_("Reference")), document["reference"]],
        [t(N_("Version")), str(document["version"])],
        [t(N_("Call")), text_of(questions.title, language)],
        [t(N_("Kind")), text_of(questions.respondents[document["kind"]].title, language)],
        [t(N_("Title")), document["title"] or withheld(name)],
        [t(N_("Organisation")), document["organisation"] or withheld(name)],
    ]
    return {
        "title": t(DISCLOSED, reference=document["reference"]),
        "subtitle": "",
        "footer": document["reference"],
        "lang": language,
        "rows": rows,
        "note": t(DISCLOSED_NOTE),
        "files_title": t(N_("Files")),
        "sections": [
            {
                "title": one["title"],
                "withheld": withheld(one),
                "answers": [[a["label"], a["shown"]] for a in one["answers"]],
                "files": [[f["name"], f["sha256"]] for f in one["files"]],
            }
            for one in document["sections"]
        ],
    }


CERTIFICATE = N_("Certificate of destruction")


def certificate(said: dict[str, Any], jws: str, language: str) -> dict[str, Any]:
    """The data of templates/pdf/certificate.typ, of a signed certificate."""
    t = partial(translate, language)
    gone = said["destroyed"]

    def at(text: str) -> str:
        return times.brussels_and_utc(datetime.fromisoformat(text), language, seconds=True)

    rows = [
        [t(N_("Call")), said["call"]],
        [t(N_("Class")), glossary.words("class", said["sort"], language)],
        [t(N_("Term in months after the deadline")), str(said["months"])],
        [t(N_("Destroyed")), str(gone["count"])],
        [t(N_("Oldest")), at(gone["oldest"])],
        [t(N_("Newest")), at(gone["newest"])],
        [t(N_("Proposed by")), f"{said['proposed_by']}, {at(said['proposed_at'])}"],
        [t(N_("Confirmed by, and destroyed at")), f"{said['confirmed_by']}, {at(said['confirmed_at'])}"],
    ]
    return {
        "title": t(CERTIFICATE),
        "footer": f"{said['call']} · {said['issuer']}",
        "lang": language,
        "rows": rows,
        "digest_label": t(N_("SHA-256 of the content")),
        "dossiers": [
            [
                d["reference"],
                [[f"{t(N_('Version'))} {v['version']}", v["payload_sha256"]] for v in d.get("versions", [])],
            ]
            for d in gone.get("dossiers", [])
        ],
        "signature_label": t(N_("Signature (Ed25519), whole in the signed JSON")),
        "signature": jws.rpartition(".")[2],
    }
