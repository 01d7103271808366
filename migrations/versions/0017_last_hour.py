"""The applicant's last hour: which page a session is on, and reminders of an unsubmitted change, each at most once.

A session remembers the last page of a case that it was on, so that colleagues see one another; it goes with the session.
"""

from alembic import op

revision = "0017"
down_revision = "0014"
branch_labels = None
depends_on = None

PRESENCE = """
alter table sign_in
  add column submission_id uuid constraint fk_sign_in_submission_id references submission,
  add column step text,
  add column stepped_at timestamptz;
create index ix_sign_in_submission_id on sign_in (submission_id) where submission_id is not null;
grant update (submission_id, step, stepped_at) on sign_in to eoi_app;
"""


def upgrade() -> None:
    op.execute(PRESENCE)
