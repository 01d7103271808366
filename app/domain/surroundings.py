"""What there is around a dossier, asked at once: its page asks on only for what is there."""

from typing import NamedTuple

from sqlalchemy.orm import Session

from app.models import Submission


class Surroundings(NamedTuple):
    """Whether there is any of it, in whatever state; and how many versions."""

    versions: int
    withdrawals: bool
    clarifications: bool
    deliveries: bool
    letters: bool
    interests: bool
    participations: bool
    flags: bool


# At each opening of a dossier, so as SQL. Rules of what of it counts stand where it is read.
_AROUND = """
select (select count(*) from version where submission_id = %(case)s) as versions,
  exists (select from withdrawal where submission_id = %(case)s and restored_at is null) as withdrawals,
  exists (select from clarification where submission_id = %(case)s) as clarifications,
  exists (select from delivery where submission_id = %(case)s) as deliveries,
  exists (select from support_letter where submission_id = %(case)s) as letters,
  exists (select from interest_link where submission_id = %(case)s) or exists (
    select from interest_link where organisation_id = %(organisation)s and call_id = %(call)s) as interests,
  exists (select from participation where submission_id = %(case)s) as participations,
  exists (select from entry where submission_id = %(case)s and flags <> '{}') as flags"""


def of(db: Session, submission: Submission) -> Surroundings:
    """What surrounds a dossier that the reader was let into."""
    given = {"case": submission.id, "organisation": submission.organisation_id, "call": submission.call_id}
    return Surroundings(*db.connection().exec_driver_sql(_AROUND, given).one())
