"""Mails about letters of member states and interest of others: what came, what changed, what was taken back."""

import uuid

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.domain import outbox
from app.domain.outbox import Mail
from app.infra.i18n import N_, translate
from app.models import InterestLink, Membership, Person, Submission, SupportLetter

GIVEN_SUBJECT = N_("A letter of %(state)s: %(reference)s")
GIVEN_TEXT = N_(
    "%(state)s gave or changed a letter for %(reference)s. You read it, with its documents, here:\n%(link)s\n"
)
TAKEN_BACK_SUBJECT = N_("A letter of %(state)s was withdrawn: %(reference)s")
TAKEN_BACK_TEXT = N_("%(state)s withdrew a letter for %(reference)s.\n\nReason: %(reason)s\n\n%(link)s\n")
OFFERED_SUBJECT = N_("%(organisation)s offers its interest: %(reference)s")
OFFERED_TEXT = N_(
    "%(organisation)s says that it is interested in %(reference)s. It shows in no dossier unless an owner of your "
    "organisation accepts it:\n%(link)s\n"
)
ACCEPTED_SUBJECT = N_("Your interest was accepted: %(reference)s")
ACCEPTED_TEXT = N_(
    "The consortium of %(reference)s accepted your interest. It shows in both dossiers from now on.\n\n%(link)s\n"
)


def _tell(
    db: Session,
    purpose: str,
    organisation_id: uuid.UUID,
    submission_id: uuid.UUID,
    words: tuple[str, str],
    **values: str,
) -> None:
    """One mail to each member of an organisation, in their language."""
    members = select(Membership.person_id).where(
        Membership.organisation_id == organisation_id, Membership.ended_at.is_(None)
    )
    people = db.scalars(select(Person).where(Person.id.in_(members)).order_by(Person.email))
    mails = [(submission_id, Mail(p.email, *(translate(p.language, text, **values) for text in words))) for p in people]
    outbox.enqueue_each(db, purpose, mails)


def given(db: Session, letter: SupportLetter, case: Submission, base_url: str) -> None:
    """Tell the consortium that a letter was given to it, or changed."""
    _tell(
        db, "letter", case.organisation_id, case.id, (GIVEN_SUBJECT, GIVEN_TEXT),
        state=letter.organisation.name, reference=case.reference, link=f"{base_url}/apply/{case.reference}/letters",
    )  # fmt: skip


def taken_back(db: Session, letter: SupportLetter, reason: str, base_url: str) -> None:
    """Tell the consortium that a letter was withdrawn, and why."""
    case = letter.submission
    _tell(
        db, "letter", case.organisation_id, case.id, (TAKEN_BACK_SUBJECT, TAKEN_BACK_TEXT), reason=reason,
        state=letter.organisation.name, reference=case.reference, link=f"{base_url}/apply/{case.reference}/letters",
    )  # fmt: skip


def offered(db: Session, interest: InterestLink, case: Submission, base_url: str) -> None:
    """Tell the consortium that somebody offers interest."""
    _tell(
        db, "interest", case.organisation_id, case.id, (OFFERED_SUBJECT, OFFERED_TEXT),
        organisation=interest.organisation.name, reference=case.reference,
        link=f"{base_url}/apply/{case.reference}/interests",
    )  # fmt: skip


def accepted(db: Session, interest: InterestLink, case: Submission, base_url: str) -> None:
    """Tell who offered that the consortium accepted. Nobody is told of anything else."""
    _tell(
        db, "interest", interest.organisation_id, case.id, (ACCEPTED_SUBJECT, ACCEPTED_TEXT),
        reference=case.reference, link=f"{base_url}/interests",
    )  # fmt: skip
