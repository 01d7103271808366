"""What the desk writes to respondents after the seal: questions, and what goes to EuroHPC; never a word of judgement."""

import uuid
from collections.abc import Iterable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import calls, outbox
from app.domain.accounts import known
from app.domain.outbox import Mail
from app.infra.i18n import N_, translate
from app.infra.times import brussels_and_utc, to_the_end
from app.models import Answer, Clarification, Membership, Person, Submission, Version

ASKED_SUBJECT = N_("A question about %(reference)s, to be answered by %(due)s")
ASKED_TEXT = N_(
    "RVO has a question about the expression of interest %(reference)s of %(organisation)s.\n\n"
    "Question %(number)s, about: %(topic)s\n\n%(question)s\n\n"
    "Answer it in the portal until %(due)s. Files can be added there:\n%(link)s\n\n"
    "It is about a fact only: what you submitted never changes, and your answer is kept apart from it.\n"
)
EXTENDED_SUBJECT = N_("More time to answer question %(number)s about %(reference)s")
EXTENDED_TEXT = N_(
    "RVO gives you more time for question %(number)s about %(reference)s (%(topic)s).\n\n"
    "Answer it in the portal until %(due)s:\n%(link)s\n"
)
TAKEN_SUBJECT = N_("No answer needed: question %(number)s about %(reference)s")
TAKEN_TEXT = N_(
    "RVO withdrew question %(number)s about %(reference)s (%(topic)s). No answer is needed.\n\n"
    "Reason: %(reason)s\n\n%(link)s\n"
)
ANSWERED_SUBJECT = N_("Answer received: question %(number)s about %(reference)s")
ANSWERED_TEXT = N_(
    "The answer to question %(number)s about %(reference)s (%(topic)s) was received at %(at)s, from %(who)s.\n\n"
    "SHA-256 of the answer: %(digest)s\nFiles: %(files)s\n\n"
    "It was given after closing and is kept apart from what you submitted, which never changes.\n\n%(link)s\n"
)
CAME_SUBJECT = N_("%(reference)s: question %(number)s is answered")
CAME_TEXT = N_("The answer to question %(number)s about %(reference)s has come in at %(at)s.\n\n%(link)s\n")

FORWARDED_SUBJECT = N_("Forwarded to EuroHPC: %(reference)s")
FORWARDED_TEXT = N_(
    "The expression of interest %(reference)s was forwarded to EuroHPC at %(at)s.\n\n"
    "This is no decision on it, and no rights follow from it.\n\n%(link)s\n"
)
BACK_SUBJECT = N_("Taken back from EuroHPC: %(reference)s")
BACK_TEXT = N_(
    "RVO took the expression of interest %(reference)s back from EuroHPC. EuroHPC can no longer read it in this portal.\n\n"
    "What you submitted stands as it was. This is no decision on it.\n\n%(link)s\n"
)

Pair = tuple[Submission, Version]


def concerned(db: Session, pairs: Iterable[Pair]) -> dict[uuid.UUID, dict[str, str]]:
    """Whom to write to about each case, with their language: the members of its organisation, and its contact."""
    cases = list(pairs)
    members = db.execute(
        select(Membership.organisation_id, Person.email, Person.language)
        .join(Person, Person.id == Membership.person_id)
        .where(Membership.ended_at.is_(None))
        .where(Membership.organisation_id.in_({case.organisation_id for case, _ in cases}))
        .order_by(Person.email)
    ).all()
    contacts = {case.id: contact for case, version in cases if (contact := _contact(case, version))}
    languages = known(db, *contacts.values())
    found: dict[uuid.UUID, dict[str, str]] = {}
    by_organisation: dict[uuid.UUID, dict[str, str]] = {}
    for organisation_id, email, language in members:
        by_organisation.setdefault(organisation_id, {})[email.lower()] = language
    for case, _ in cases:
        address = contacts.get(case.id, "")
        also = {address.lower(): languages[address].language} if address else {}
        found[case.id] = also | by_organisation.get(case.organisation_id, {})
    return found


def _contact(case: Submission, version: Version) -> str:
    name = calls.questions(case.call).uses.get("contact_email", "")
    return str(version.answers.get(name) or "")


def asked(db: Session, clarification: Clarification, version: Version, base_url: str) -> None:
    """Send a question."""
    _tell(db, "question", clarification, version, base_url, (ASKED_SUBJECT, ASKED_TEXT), question=clarification.words)


def extended(db: Session, clarification: Clarification, version: Version, base_url: str) -> None:
    """Tell that there is more time."""
    _tell(db, "question_changed", clarification, version, base_url, (EXTENDED_SUBJECT, EXTENDED_TEXT))


def withdrawn(db: Session, clarification: Clarification, version: Version, base_url: str) -> None:
    """Tell that no answer is needed any more, and why."""
    reason = clarification.withdrawn_because
    _tell(db, "question_changed", clarification, version, base_url, (TAKEN_SUBJECT, TAKEN_TEXT), reason=reason)


def answered(db: Session, clarification: Clarification, answer: Answer, version: Version, base_url: str) -> None:
    """Confirm an answer to the respondent."""
    said = {
        "digest": answer.digest,
        "files": ", ".join(f"{file['name']} (SHA-256 {file['sha256']})" for file in answer.files) or "–",
        "who": answer.answerer.name or answer.answerer.email,
        "answered_at": answer.answered_at,
    }
    _tell(db, "answer_confirmed", clarification, version, base_url, (ANSWERED_SUBJECT, ANSWERED_TEXT), **said)


def came_in(db: Session, clarification: Clarification, answer: Answer, asker: Person, base_url: str) -> None:
    """Tell the one who asked that there is an answer; not what it says."""
    case, language = clarification.submission, asker.language
    values = {
        "reference": case.reference,
        "number": clarification.number,
        "at": brussels_and_utc(answer.answered_at, language, seconds=True),
        "link": f"{base_url}/review/{case.reference}/clarifications",
    }
    subject, body = (translate(language, words, **values) for words in (CAME_SUBJECT, CAME_TEXT))
    outbox.enqueue(db, "answer_received", asker.email, subject, body, case.id)


def _tell(
    db: Session,
    purpose: str,
    clarification: Clarification,
    version: Version,
    base_url: str,
    words: tuple[str, str],
    **said: Any,
) -> None:
    case = clarification.submission
    topics = calls.questions(case.call)
    mails = []
    for email, language in concerned(db, [(case, version)])[case.id].items():
        at = said.get("answered_at")
        values = said | {
            "reference": case.reference,
            "organisation": case.organisation.name,
            "number": clarification.number,
            "topic": topics.topic(clarification.topic, language),
            "due": to_the_end(clarification.due_at, language),
            "at": brussels_and_utc(at, language, seconds=True) if at else "",
            "link": f"{base_url}/apply/{case.reference}/clarifications/{clarification.number}",
        }
        subject, body = (translate(language, text, **values) for text in words)
        mails.append((case.id, Mail(email, subject, body)))
    outbox.enqueue_each(db, purpose, mails)


def forwarded(db: Session, pairs: list[Pair], at: Any, base_url: str) -> None:
    """Tell respondents that their dossier went to EuroHPC."""
    _tell_each(db, "release", pairs, base_url, (FORWARDED_SUBJECT, FORWARDED_TEXT), at)


def taken_back(db: Session, pairs: list[Pair], at: Any, base_url: str) -> None:
    """Tell respondents that their dossier was taken back; why is between RVO and EuroHPC."""
    _tell_each(db, "release_ended", pairs, base_url, (BACK_SUBJECT, BACK_TEXT), at)


def _tell_each(db: Session, purpose: str, pairs: list[Pair], base_url: str, words: tuple[str, str], at: Any) -> None:
    to = concerned(db, pairs)
    mails = []
    for case, _ in pairs:
        for email, language in to[case.id].items():
            values = {
                "reference": case.reference,
                "at": brussels_and_utc(at, language, seconds=True),
                "link": f"{base_url}/apply/{case.reference}",
            }
            subject, body = (translate(language, text, **values) for text in words)
            mails.append((case.id, Mail(email, subject, body)))
    outbox.enqueue_each(db, purpose, mails)
