"""Signing in by OpenID Connect: what was asked of a provider, whom it knows, and what a session and an organisation have shown."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

TABLES = """
create table sign_in_request (
  id uuid not null default gen_random_uuid() constraint pk_sign_in_request primary key,
  provider text not null,
  state_hash text not null constraint uq_sign_in_request_state_hash unique,
  browser_hash text not null,
  next_path text not null,
  person_id uuid constraint fk_sign_in_request_person_id references person,
  created_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  used_at timestamptz
);
create index ix_sign_in_request_person_id on sign_in_request (person_id);
create table identity (
  id uuid not null default gen_random_uuid() constraint pk_identity primary key,
  provider text not null,
  subject text not null,
  person_id uuid not null constraint fk_identity_person_id references person,
  created_at timestamptz not null default clock_timestamp(),
  last_used_at timestamptz not null,
  constraint identity_is_of_one_person unique (provider, subject)
);
create index ix_identity_person_id on identity (person_id);
alter table sign_in add column provider text;
alter table sign_in add column assurance text not null default 'e-mail link';
alter table sign_in add column level text constraint sign_in_level_is_known check (level in ('low', 'substantial', 'high'));
alter table sign_in add column represents uuid constraint fk_sign_in_represents references organisation;
alter table organisation add column verified_by text;
alter table organisation add column verified_level text;
alter table organisation add column verified_at timestamptz;
create unique index one_verified_organisation_per_number on organisation (country, registration_no)
  where verified_at is not null;
"""

# A number that a provider vouched for stays: nobody types another one over it.
RULES = """
create function guard_verified_organisation() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  raise exception 'verified_number_stays' using errcode = 'P0C77';
end $$;
create trigger organisation_verified before update on organisation for each row
  when (old.verified_at is not null and (new.registration_no is distinct from old.registration_no
    or new.country <> old.country or new.verified_at is null))
  execute function guard_verified_organisation();

create function forget_identities() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if new.email = 'erased-' || new.id || '@erased.invalid' and old.email <> new.email then
    delete from identity where person_id = new.id;
    delete from sign_in_request where person_id = new.id;
  end if;
  return new;
end $$;
create trigger person_forgets_identities after update of email on person
  for each row execute function forget_identities();
"""

GRANTS = """
grant select, insert on sign_in_request, identity to eoi_app;
grant update (used_at) on sign_in_request to eoi_app;
grant update (last_used_at) on identity to eoi_app;
grant update (verified_by, verified_level, verified_at) on organisation to eoi_app;
"""


def upgrade() -> None:
    for part in (TABLES, RULES, GRANTS):
        op.execute(part)
