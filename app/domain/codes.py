"""Code lists: what stands in documents as a code, each with its words in both languages, its version and its source."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from babel.core import get_cldr_version

from app.domain import glossary, identifiers
from app.domain.questionnaire import Question, Questionnaire, Text
from app.infra.i18n import N_, translate

LANGUAGES = ("en", "nl")
OURS = "1"  # the version of the lists that are the portal's own: one more when a code is added
PORTAL = "This portal; see docs/api-changes.md."
RESPONDENTS = {
    "MS": N_("Member state"),
    "FC": N_("Firm or consortium"),
    "OO": N_("Other organisation"),
}
FEED = {
    "released": N_("You may read it."),
    "replaced": N_("It was released anew in place of what you have."),
    "withdrawn": N_("It was taken back: remove it."),
    "exceptional": N_("Released outside the sealed set; not in use."),
}
HEADINGS = {
    "envelope": N_("Respondent and declarations"),
    "technical": N_("Objectives and technical quality, Art. 12b(19)(a)"),
    "impact": N_("Impact, Art. 12b(19)(b)"),
    "financial": N_("Financial commitment and viability, Art. 12b(19)(c)"),
    "other": N_("Headings of the call's own"),
}
MARKS = {
    "true": N_("Confidential: marked by the submitter, or by default where they did not say."),
    "false": N_("Not marked confidential."),
}


@dataclass(frozen=True)
class CodeList:
    """A list of codes, each with its words by language. `source` says who keeps it."""

    name: str
    title: Text
    version: str
    source: str
    codes: dict[str, Text]

    def document(self) -> dict[str, Any]:
        """As machines get it."""
        entries = [
            {"code": code, "label": {lang: label[lang] for lang in LANGUAGES}} for code, label in self.codes.items()
        ]
        return {
            "list": self.name,
            "title": self.title,
            "version": self.version,
            "source": self.source,
            "codes": entries,
        }


def both(msgid: str, **params: Any) -> Text:
    """A sentence of ours in both languages."""
    return {language: translate(language, msgid, **params) for language in LANGUAGES}


def own(name: str, title: str, words: dict[str, str]) -> CodeList:
    """A list of the portal's own codes with their sentences."""
    return CodeList(name, both(title), OURS, PORTAL, {code: both(msgid) for code, msgid in words.items()})


def _countries(wanted: Callable[[str], bool]) -> dict[str, Text]:
    names = {language: identifiers.country_names(language) for language in LANGUAGES}
    return {
        code: {language: names[language][code] for language in LANGUAGES}
        for code in sorted(names["en"])
        if wanted(code)
    }


@cache
def general() -> tuple[CodeList, ...]:
    """The lists that hold for every call."""
    cldr = f"Unicode CLDR {get_cldr_version()}: names of ISO 3166-1 alpha-2 codes"
    states = identifiers.EU27
    names = _countries(lambda code: code in states)
    regions = {
        code: {lang: f"{code} ({names[identifiers.iso_of(code[:2])][lang]})" for lang in LANGUAGES}
        for code in sorted(identifiers.nuts3_codes())
    }
    tercet = (
        "Eurostat, TERCET tables; (c) European Union, CC BY 4.0. Greece is EL. Codes only, with their member state."
    )
    return (
        CodeList("countries", both(N_("Countries")), get_cldr_version(), cldr, _countries(lambda code: True)),
        CodeList("member_states", both(N_("Member states of the Union")), "2020-02-01", cldr, names),
        CodeList("nuts", both(N_("NUTS 3 regions")), "2024", tercet, regions),
        own("respondents", N_("Kinds of respondent"), RESPONDENTS),
        own("headings", N_("Headings of a document"), HEADINGS),
        own("confidentiality", N_("Marks of confidentiality, of each section and file"), MARKS),
        own("feed", N_("Kinds of entries of the feed"), FEED),
        own("states", N_("States of a call"), glossary.STATES),
        own("scopes", N_("What a key is good for"), glossary.SCOPES),
    )


def of_call(questions: Questionnaire) -> list[CodeList]:
    """What can be chosen in a call, by its definition: respondents, headings, sections, answers, warnings, letters."""
    pledges = questions.support
    found: list[tuple[str, Text, Iterable[tuple[str, Text]]]] = [
        ("respondents", both(N_("Kinds of respondent")), ((r.name, r.title) for r in questions.respondents.values())),
        ("headings", both(N_("Headings of the call")), questions.headings.items()),
        ("sections", both(N_("Sections")), ((step.name, step.title) for step in questions.steps)),
        ("warnings", both(N_("Warnings")), ((r.name, r.message) for r in questions.rules if r.level == "warning")),
        ("letters", both(N_("Letters of member states")), ((s.value, s.label) for s in pledges.letters)),
        ("phases", both(N_("Phases")), ((c.value, c.label) for c in pledges.phases)),
        ("sources", both(N_("Sources of money")), ((c.value, c.label) for c in pledges.sources)),
        ("statuses", both(N_("Statuses of money")), ((c.value, c.label) for c in pledges.statuses)),
    ]
    for step in questions.steps:
        for question in step.questions:
            found += _chosen(question, question.name)
    source = f"The definition of {questions.code}"
    made = (CodeList(name, title, questions.digest, source, dict(codes)) for name, title, codes in found)
    return [one for one in made if one.codes]


def _chosen(question: Question, path: str) -> list[tuple[str, Text, Iterable[tuple[str, Text]]]]:
    found: list[tuple[str, Text, Iterable[tuple[str, Text]]]] = []
    if question.options:
        found.append((f"answers.{path}", question.label, ((option.value, option.label) for option in question.options)))
    for inner in question.questions:
        found += _chosen(inner, f"{path}.{inner.name}")
    return found
