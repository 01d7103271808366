"""Second factors of staff with their recovery codes, what a session has proven, and staff roles given by two people.

The database holds no secret of an authenticator app: it is derived from the portal's own and the factor's id. A step
of such an app is taken once: `last_step` only grows.
"""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

TABLES = """
create table factor (
  id uuid not null default gen_random_uuid() constraint pk_factor primary key,
  person_id uuid not null constraint fk_factor_person_id references person,
  sort text not null constraint factor_sort_is_known check (sort in ('app', 'passkey')),
  name text not null,
  last_step bigint,
  credential_id text constraint uq_factor_credential_id unique,
  public_key text,
  sign_count bigint,
  created_at timestamptz not null default clock_timestamp(),
  confirmed_at timestamptz,
  last_used_at timestamptz,
  ended_at timestamptz,
  constraint passkey_is_whole check (
    sort = 'app' or (credential_id is not null and public_key is not null and sign_count is not null))
);
create index ix_factor_person_id on factor (person_id);
create table recovery_code (
  id uuid not null default gen_random_uuid() constraint pk_recovery_code primary key,
  person_id uuid not null constraint fk_recovery_code_person_id references person,
  code_hash text not null constraint uq_recovery_code_code_hash unique,
  created_at timestamptz not null default clock_timestamp(),
  used_at timestamptz,
  ended_at timestamptz
);
create index ix_recovery_code_person_id on recovery_code (person_id);
create table appointment (
  id uuid not null default gen_random_uuid() constraint pk_appointment primary key,
  email text not null,
  name text not null,
  role text not null constraint appointment_role_is_known check (role in ('reviewer', 'coordinator', 'admin')),
  proposed_by uuid not null constraint fk_appointment_proposed_by references person,
  proposed_at timestamptz not null default clock_timestamp(),
  confirmed_by uuid constraint fk_appointment_confirmed_by references person,
  confirmed_at timestamptz,
  dropped_by uuid constraint fk_appointment_dropped_by references person,
  dropped_at timestamptz,
  constraint appointment_needs_two_people check (confirmed_by <> proposed_by),
  constraint appointment_is_settled_once check (confirmed_at is null or dropped_at is null)
);
create unique index one_appointment_at_a_time on appointment (lower(email))
  where confirmed_at is null and dropped_at is null;
alter table sign_in add column factor_at timestamptz;
alter table sign_in add column challenge text;
alter table sign_in add column browser_hash text not null default '';
"""

# What was taken stays taken: a factor is not brought back, a code not used twice, a step not taken again.
RULES = """
create function guard_factor() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  raise exception 'factor_is_spent' using errcode = 'P0C75';
end $$;
create trigger factor_guard before update on factor for each row when (old.ended_at is not null)
  execute function guard_factor();
create trigger factor_step before update of last_step on factor for each row when (new.last_step <= old.last_step)
  execute function guard_factor();

create function guard_recovery_code() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if old.used_at is not null or old.ended_at is not null then
    raise exception 'recovery_code_is_spent' using errcode = 'P0C75';
  end if;
  return new;
end $$;
create trigger recovery_code_guard before update on recovery_code for each row execute function guard_recovery_code();

create function guard_appointment() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if old.confirmed_at is not null or old.dropped_at is not null then
    raise exception 'appointment_is_settled' using errcode = 'P0C76';
  end if;
  return new;
end $$;
create trigger appointment_guard before update on appointment for each row execute function guard_appointment();

-- Whoever is erased loses their factors too. Their other data go by erase_person, which clears the address.
create function forget_factors() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if new.email = 'erased-' || new.id || '@erased.invalid' and old.email <> new.email then
    delete from factor where person_id = new.id;
    delete from recovery_code where person_id = new.id;
    delete from appointment where lower(email) = lower(old.email);
  end if;
  return new;
end $$;
create trigger person_forgets_factors after update of email on person
  for each row execute function forget_factors();
"""

GRANTS = """
grant select, insert on factor, recovery_code, appointment to eoi_app;
grant update (name, last_step, sign_count, confirmed_at, last_used_at, ended_at) on factor to eoi_app;
grant update (used_at, ended_at) on recovery_code to eoi_app;
grant update (confirmed_by, confirmed_at, dropped_by, dropped_at) on appointment to eoi_app;
grant update (token_hash, factor_at, challenge) on sign_in to eoi_app;
"""


def upgrade() -> None:
    for part in (TABLES, RULES, GRANTS):
        op.execute(part)
