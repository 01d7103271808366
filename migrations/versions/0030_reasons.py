"""A reason for another deadline stands in both languages: one that was missing altogether had passed for one that was given."""

from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "alter table deadline_change drop constraint deadline_change_has_a_reason,"
        " add constraint deadline_change_has_a_reason check ("
        "coalesce(length(trim(reason ->> 'nl')) > 0 and length(trim(reason ->> 'en')) > 0, false))"
    )
