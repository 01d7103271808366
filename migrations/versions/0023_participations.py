"""Who takes part in one submission: invited with a role, by a link; the mandates of partners; the lead's confirmation.

All of it is written inside the window only, as drafts are; a role is taken away at any time, and its row stays.
"""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

TABLES = """
create table participation (
  id uuid not null default gen_random_uuid() constraint pk_participation primary key,
  submission_id uuid not null constraint fk_participation_submission_id references submission,
  person_id uuid not null constraint fk_participation_person_id references person,
  role text not null constraint participation_role_is_known check (role in ('owner', 'editor', 'viewer', 'partner')),
  organisation text not null default '',
  mandate text not null default '',
  place integer,
  token_hash text not null constraint uq_participation_token_hash unique,
  invited_by uuid not null constraint fk_participation_invited_by references person,
  invited_at timestamptz not null default clock_timestamp(),
  accepted_at timestamptz,
  ended_by uuid constraint fk_participation_ended_by references person,
  ended_at timestamptz,
  constraint partner_has_an_organisation check (role <> 'partner' or organisation <> '')
);
create unique index one_participation_at_a_time on participation (submission_id, person_id) where ended_at is null;
create index ix_participation_person_id on participation (person_id);

create table mandate (
  id uuid not null default gen_random_uuid() constraint pk_mandate primary key,
  participation_id uuid not null constraint fk_mandate_participation_id references participation,
  submission_id uuid not null constraint fk_mandate_submission_id references submission,
  signed_by uuid not null constraint fk_mandate_signed_by references person,
  signed_at timestamptz not null default clock_timestamp(),
  signatory text not null,
  capacity text not null,
  organisation text not null,
  statement text not null,
  answers_sha256 text not null constraint mandate_sha256_is_hex check (answers_sha256 ~ '^[0-9a-f]{64}$')
);
create index ix_mandate_submission_id on mandate (submission_id);
create index ix_mandate_participation_id on mandate (participation_id);

create table confirmation (
  id uuid not null default gen_random_uuid() constraint pk_confirmation primary key,
  submission_id uuid not null constraint fk_confirmation_submission_id references submission,
  content_sha256 text not null constraint confirmation_sha256_is_hex check (content_sha256 ~ '^[0-9a-f]{64}$'),
  confirmed_by uuid not null constraint fk_confirmation_confirmed_by references person,
  confirmed_at timestamptz not null default clock_timestamp(),
  constraint content_is_confirmed_once unique (submission_id, content_sha256)
);
"""

RULES = """
-- An owner of the organisation that leads.
create function leads_case(person uuid, wanted uuid) returns boolean
  language sql stable security definer set search_path = public, pg_temp as $$
  select exists (select from membership m join submission s on s.organisation_id = m.organisation_id
    where s.id = wanted and m.person_id = person and m.role = 'owner' and m.ended_at is null) $$;

create function guard_participation() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op = 'DELETE' then
    if is_destroying() then
      return old;
    end if;
    raise exception 'participation_is_never_deleted' using errcode = 'P0C04';
  end if;
  if tg_op = 'INSERT' then
    new.invited_at := require_open_case(new.submission_id);
    new.accepted_at := null; new.ended_by := null; new.ended_at := null;
    if not leads_case(new.invited_by, new.submission_id) and not exists (
        select from participation p where p.submission_id = new.submission_id and p.person_id = new.invited_by
          and p.role = 'owner' and p.accepted_at is not null and p.ended_at is null) then
      raise exception 'owners_invite' using errcode = 'P0C86';
    end if;
    return new;
  end if;
  if old.ended_at is not null then
    raise exception 'participation_is_over' using errcode = 'P0C80';
  end if;
  if new.ended_at is not null then  -- at any time: whoever must not see it any more does not wait for a window
    old.ended_at := clock_timestamp();
    old.ended_by := new.ended_by;
    return old;
  end if;
  if new.accepted_at is not null and old.accepted_at is null then
    old.accepted_at := require_open_case(old.submission_id);
  elsif new.place is distinct from old.place then
    perform require_open_case(old.submission_id);
    old.place := new.place;
  else
    raise exception 'participation_is_over' using errcode = 'P0C80';  -- a link works once
  end if;
  return old;  -- the only things that may change
end $$;

create function guard_mandate() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op = 'DELETE' and is_destroying() then
    return old;
  end if;
  if tg_op = 'UPDATE' and new.signatory = '' and new.capacity = '' then  -- the signatory was erased
    old.signatory := ''; old.capacity := '';
    return old;
  end if;
  if tg_op <> 'INSERT' then
    raise exception 'mandate_is_immutable' using errcode = 'P0C04';
  end if;
  new.signed_at := require_open_case(new.submission_id);
  perform from participation p where p.id = new.participation_id and p.submission_id = new.submission_id
    and p.person_id = new.signed_by and p.role = 'partner' and p.accepted_at is not null and p.ended_at is null for share;
  if not found then
    raise exception 'partners_sign_their_own_mandate' using errcode = 'P0C80';
  end if;
  return new;
end $$;

create function guard_confirmation() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op = 'DELETE' and is_destroying() then
    return old;
  end if;
  if tg_op <> 'INSERT' then
    raise exception 'confirmation_is_immutable' using errcode = 'P0C04';
  end if;
  new.confirmed_at := require_open_case(new.submission_id);
  if not leads_case(new.confirmed_by, new.submission_id) then
    raise exception 'owners_of_the_lead_confirm' using errcode = 'P0C86';
  end if;
  return new;
end $$;

create function forget_participations() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if new.email = 'erased-' || new.id || '@erased.invalid' and old.email <> new.email then
    update participation set ended_at = clock_timestamp() where person_id = new.id and ended_at is null;
    update mandate set signatory = '', capacity = '' where signed_by = new.id;
  end if;
  return new;
end $$;
create trigger person_forgets_participations after update of email on person
  for each row execute function forget_participations();

-- Drafts are deleted when the term of their case has passed, and then alone: who took part goes with them.
create function destroy_participations() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  delete from confirmation where submission_id = old.submission_id;
  delete from mandate where submission_id = old.submission_id;
  delete from participation where submission_id = old.submission_id;
  return old;
end $$;
create trigger draft_takes_participations after delete on draft
  for each row execute function destroy_participations();
"""

GRANTS = """
grant select, insert on participation, mandate, confirmation to eoi_app;
grant update (accepted_at, ended_by, ended_at, place) on participation to eoi_app;
revoke all on function leads_case(uuid, uuid) from public;
"""


def upgrade() -> None:
    for part in (TABLES, RULES):
        op.execute(part)
    for table in ("participation", "mandate", "confirmation"):
        op.execute(
            f"create trigger {table}_guard before insert or update or delete on {table} "
            f"for each row execute function guard_{table}()"
        )
        op.execute(
            f"create trigger {table}_truncate before truncate on {table} "
            "for each statement execute function refuse_change()"
        )
    op.execute(GRANTS)
