"""What a virus scanner said of each file that came in. Until it has, the file waits; what it found infected stays so."""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

# `digest` and not `sha256`: what stands here keeps no file from being destroyed.
SCANS = """
create table file_scan (
  digest text not null constraint pk_file_scan primary key,
  state text not null default 'pending' constraint file_scan_state_is_known check (state in ('pending', 'clean', 'infected')),
  finding text not null default '',
  arrived_at timestamptz not null default clock_timestamp(),
  tried_at timestamptz
);
create index ix_file_scan_waiting on file_scan (coalesce(tried_at, arrived_at)) where state = 'pending';
insert into file_scan (digest)
  select sha256 from attachment union select f ->> 'sha256' from letter_version, jsonb_array_elements(files) f
  union select f ->> 'sha256' from answer, jsonb_array_elements(files) f;

create function guard_file_scan() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  raise exception 'infected_stays_infected' using errcode = 'P0C78';
end $$;
create trigger file_scan_guard before update on file_scan for each row
  when (old.state = 'infected' and new.state <> 'infected') execute function guard_file_scan();

grant select, insert on file_scan to eoi_app;
grant update (state, finding, tried_at) on file_scan to eoi_app;
"""


def upgrade() -> None:
    op.execute(SCANS)
