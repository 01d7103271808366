"""A mandate says in which language its statement was signed; empty where that was not kept yet."""

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "alter table mandate add column language text not null default ''"
        " constraint mandate_language_is_known check (language in ('', 'en', 'nl'))"
    )
