"""What is destroyed does not live on in a register: its call's register is dropped with it, and prepared anew of what is left."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

FORGET = """
create function forget_register() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  calls uuid[];
begin
  select array_agg(distinct n.call_id) into calls
    from later n join earlier o on o.id = n.id where n.destruction_id is not null and o.destruction_id is null;
  delete from listing where call_id = any (calls);
  delete from facet_value where call_id = any (calls);
  delete from place where call_id = any (calls);
  delete from trait where call_id = any (calls);
  delete from entry where call_id = any (calls);
  return null;
end $$;
create trigger version_forgotten after update on version referencing old table as earlier new table as later
  for each statement execute function forget_register();
revoke all on function forget_register() from public;
"""


def upgrade() -> None:
    op.execute(FORGET)


def downgrade() -> None:
    op.execute("drop trigger version_forgotten on version; drop function forget_register()")
