"""Planned maintenance, announced beforehand: a window may become shorter or be called off, never longer, and nothing is erased.

No window touches the first hour of a call or its last 24: `calls_touched` is that rule, for whoever asks and for the guard.
"""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

MAINTENANCE = """
create table maintenance (
  id uuid not null default gen_random_uuid() constraint pk_maintenance primary key,
  starts_at timestamptz not null,
  ends_at timestamptz not null,
  words jsonb not null,
  announced_by uuid not null constraint fk_maintenance_announced_by references person,
  announced_at timestamptz not null default clock_timestamp(),
  called_off_by uuid constraint fk_maintenance_called_off_by references person,
  called_off_at timestamptz,
  constraint maintenance_says_something check (
    words ?& array['nl', 'en']
    and length(trim(words ->> 'nl')) between 1 and 500 and length(trim(words ->> 'en')) between 1 and 500),
  constraint maintenance_ends_within_a_week check (ends_at > starts_at and ends_at <= starts_at + interval '7 days')
);
create index ix_maintenance_ends_at on maintenance (ends_at);
create unique index maintenance_is_announced_once on maintenance (starts_at, ends_at) where called_off_at is null;

create function calls_touched(starts timestamptz, ends timestamptz) returns setof uuid
  language sql stable security definer set search_path = public, pg_temp as $$
  select id from call where not is_synthetic and sealed_at is null
    and ((starts < opens_at + interval '1 hour' and ends > opens_at)
      or (starts < closes_at and ends > closes_at - interval '24 hours')) $$;

create function guard_maintenance() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  now_at timestamptz := clock_timestamp();
begin
  if tg_op = 'DELETE' then
    raise exception 'maintenance_is_never_deleted' using errcode = 'P0C04';
  elsif tg_op = 'INSERT' then
    if not is_coordinator(new.announced_by) then
      raise exception 'maintenance_needs_a_coordinator' using errcode = 'P0C26';
    elsif new.starts_at <= now_at then
      raise exception 'maintenance_is_announced_beforehand' using errcode = 'P0C93';
    elsif exists (select from calls_touched(new.starts_at, new.ends_at)) then
      raise exception 'maintenance_touches_a_call' using errcode = 'P0C94';
    end if;
    new.announced_at := now_at;
    new.called_off_by := null;
    new.called_off_at := null;
    return new;
  elsif old.called_off_at is not null or old.ends_at <= now_at then
    raise exception 'maintenance_is_over' using errcode = 'P0C95';
  elsif new.called_off_by is not null and not is_coordinator(new.called_off_by) then
    raise exception 'maintenance_needs_a_coordinator' using errcode = 'P0C26';
  elsif new.starts_at < old.starts_at or new.ends_at > old.ends_at
      or (new.starts_at <> old.starts_at and least(new.starts_at, old.starts_at) <= now_at)
      or (new.ends_at <> old.ends_at and new.ends_at <= now_at) then
    raise exception 'maintenance_only_becomes_shorter' using errcode = 'P0C93';
  end if;
  old.starts_at := new.starts_at;
  old.ends_at := new.ends_at;
  old.called_off_by := new.called_off_by;
  old.called_off_at := case when new.called_off_by is not null then now_at end;
  return old;
end $$;
create trigger maintenance_guard before insert or update or delete on maintenance
  for each row execute function guard_maintenance();
create trigger maintenance_truncate before truncate on maintenance for each statement execute function refuse_change();

grant execute on function calls_touched to eoi_app;
grant select, insert on maintenance to eoi_app;
grant update (starts_at, ends_at, called_off_by) on maintenance to eoi_app;
"""


def upgrade() -> None:
    op.execute(MAINTENANCE)
