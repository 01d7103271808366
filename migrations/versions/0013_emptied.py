"""Which versions were emptied by a destruction, found without reading all of them: every list of the desk asks for it."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("create index ix_version_emptied on version (id) where destruction_id is not null")


def downgrade() -> None:
    op.execute("drop index ix_version_emptied")
