"""Reminders of an unsubmitted change: for each case, deadline and lead time it is decided once whether one is due.

Mails of a reminder name it, so that they are looked at again when they leave: what is needed no longer is not sent.
"""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

REMINDERS = """
create table reminder (
  id uuid not null default gen_random_uuid() constraint pk_reminder primary key,
  submission_id uuid not null constraint fk_reminder_submission_id references submission,
  closes_at timestamptz not null,
  lead_minutes integer not null,
  is_needed boolean not null,
  decided_at timestamptz not null default clock_timestamp(),
  constraint reminder_is_decided_once unique (submission_id, closes_at, lead_minutes)
);
create trigger reminder_guard before update or delete on reminder for each row execute function refuse_change();
create trigger reminder_truncate before truncate on reminder for each statement execute function refuse_change();
alter table message add column reminder_id uuid constraint fk_message_reminder_id references reminder;
grant select, insert on reminder to eoi_app;
"""


def upgrade() -> None:
    op.execute(REMINDERS)
