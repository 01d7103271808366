"""The root key, wrapped under SECRET_KEY: a new SECRET_KEY wraps it anew, and what is derived from it stays."""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

# Only the owner wraps it anew or replaces it. It is made when it is first asked for: no migration knows SECRET_KEY.
ROOT_KEY = """
create table root_key (
  id smallint not null default 1 constraint pk_root_key primary key constraint root_key_is_one check (id = 1),
  wrapped bytea not null,
  wrapped_at timestamptz not null default clock_timestamp()
);
grant select, insert on root_key to eoi_app;
"""


def upgrade() -> None:
    op.execute(ROOT_KEY)
