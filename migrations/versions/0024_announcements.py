"""Letters of a seal are written after it: how far they are, so that each is written once, whatever breaks off."""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

# Seals of before told everybody in their own transaction.
ANNOUNCEMENTS = """
create table announcement (
  call_id uuid not null constraint pk_announcement primary key constraint fk_announcement_call_id references call,
  upto text not null default '',
  done_at timestamptz
);
insert into announcement (call_id, done_at) select call_id, created_at from seal;
grant select, insert on announcement to eoi_app;
grant update (upto, done_at) on announcement to eoi_app;
"""


def upgrade() -> None:
    op.execute(ANNOUNCEMENTS)
