"""The cases of a call in order of reference by one index, which also finds those of a call."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The longer index takes the place of the shorter one."""
    op.execute("create index ix_submission_call_id_reference on submission (call_id, reference)")
    op.execute("drop index ix_submission_call_id")


def downgrade() -> None:
    """The index as it was."""
    op.execute("create index ix_submission_call_id on submission (call_id)")
    op.execute("drop index ix_submission_call_id_reference")
