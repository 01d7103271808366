"""/review/{ref}: a dossier as page and PDF, and its files; every read is on record."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from app.deps import Db, PortalDep
from app.domain import (
    calls,
    changes,
    clarifications,
    confirmations,
    deliveries,
    dossiers,
    interests,
    lookups,
    mandates,
    participations,
    prints,
    releases,
    scans,
    seals,
    shapes,
    support,
    surroundings,
    traits,
    withdrawals,
)
from app.domain.questionnaire import Questionnaire
from app.infra import pdf
from app.models import Confirmation, Submission, Version
from app.web import contents, pages
from app.web.guards import Reviewer

router = APIRouter(prefix="/review")
Exactly = Annotated[int, Path(ge=1, le=pages.MAX_VERSION)]
Number = Annotated[int | None, Query(ge=1, le=pages.MAX_VERSION)]


@router.get("/{ref}")
def dossier(request: Request, ref: str, actor: Reviewer, db: Db, portal: PortalDep, version: Number = None) -> Response:
    """A dossier by the headings of Art. 12b(19), with warnings, files, versions and receipt."""
    submission, shown = dossiers.load(db, actor, ref, version)
    questions = calls.questions_of(db, shown.definition_digest)
    around = surroundings.of(db, submission)
    every = dossiers.all_versions(db, actor, submission) if around.versions > 1 else [shown]
    letters = support.to_consortium(db, submission) if around.letters else []
    asked = clarifications.with_states(db, submission) if around.clarifications else []
    held = scans.held_back(db, contents.digests(shown, letters, (c for c, _ in asked)), portal.scanner is not None)
    return pages.render(
        request,
        "review/dossier.html",
        submission=submission,
        version=shown,
        questions=questions,
        content=contents.of(questions, submission, shown, pages.language_of(request), held),
        held=held,
        warnings=shapes.warnings(questions, shown),
        versions=every,
        counts=next((v.number for v in every if v.exemption_id is None), 0),
        arrived=deliveries.of_submission(db, actor, submission) if around.deliveries else None,
        differing=_differing(questions, every, shown),
        withdrawal=withdrawals.live(db, submission) if around.withdrawals else None,
        said=shown.receipt.body,
        topics=calls.questions(submission.call),
        asked=asked,
        became=releases.fate(db, actor, submission),
        shared=traits.shared(db, actor, submission.id) if around.flags else [],
        entities=lookups.of_version(db, questions, shown),
        letters=letters,
        interests=interests.of_dossier(db, submission) if around.interests else [],
        acting=participations.acting(db, submission) if around.participations else [],
        mandates=mandates.of_version(db, submission, shown.answers) if around.participations else [],
        confirmation=_confirmation(db, submission, shown),
        asks=[register for register in lookups.SHOWN if portal.registers.asks(register)],
    )


def _confirmation(db: Db, submission: Submission, shown: Version) -> Confirmation | None:
    return confirmations.of_version(db, submission, shown) if confirmations.is_asked(db, submission) else None


def _differing(questions: Questionnaire, every: list[Version], shown: Version) -> list[changes.Change]:
    """What a version changed in the one before it; nothing where that answered another definition."""
    earlier = next((v for v in every if v.number == shown.number - 1), None)
    if earlier is None or earlier.definition_digest != shown.definition_digest:
        return []
    return changes.between(
        questions, shown.kind, earlier.answers | contents.files(earlier), shown.answers | contents.files(shown)
    )


@router.get("/{ref}/receipts/{number}.json")
def receipt(ref: str, number: Exactly, actor: Reviewer, db: Db) -> Response:
    """The signed receipt that the respondent has, with the proof that the version is in the sealed set."""
    submission, version = dossiers.load(db, actor, ref, number)
    made = seals.receipt(db, submission, version)
    return pages.download(made, "application/json", f"{submission.reference}-v{number}-receipt.json")


@router.get("/{ref}/receipts/{number}.pdf")
def receipt_as_pdf(request: Request, ref: str, number: Exactly, actor: Reviewer, db: Db) -> Response:
    """The same on paper, byte for byte that of the respondent in the same language."""
    submission, version = dossiers.load(db, actor, ref, number)
    questions = calls.questions_of(db, version.definition_digest)
    made = pdf.render("receipt", prints.receipt(version, questions, pages.language_of(request)), version.received_at)
    return pages.download(made, "application/pdf", f"{submission.reference}-v{number}-receipt.pdf")


@router.get("/{ref}/dossier.pdf")
def as_pdf(
    request: Request, ref: str, actor: Reviewer, db: Db, portal: PortalDep, version: int | None = None
) -> Response:
    """The whole dossier on paper."""
    submission, shown = dossiers.load(db, actor, ref, version)
    questions, language = calls.questions_of(db, shown.definition_digest), pages.language_of(request)
    warnings = [
        [(w["message"] or {}).get(language) or w["code"], w["reason"] or "–"] for w in shapes.warnings(questions, shown)
    ]
    data = prints.dossier(shown, questions, warnings, shapes.marked_steps(questions, shown), language)
    asked = clarifications.with_states(db, submission)
    held = scans.held_back(db, contents.digests(shown, asked=(c for c, _ in asked)), portal.scanner is not None)
    topics = calls.questions(submission.call)
    data["clarifications"] = [prints.clarification(one, topics, stands, held, language) for one, stands in asked]
    contents.tell_held_back(data["files"], held, language)
    made = pdf.render("dossier", data, shown.received_at)
    return pages.download(made, "application/pdf", f"{submission.reference}-v{shown.number}.pdf")
