"""What member states promise and others offer: letters with their versions, budgets, interest; all until the cutoff only.

As in 0002, the rule is the database's: it locks the call, reads its clock, refuses or stamps. Letters and budgets are
written by owners and editors of a member state alone, whoever asks. An offer of interest is kept whether or not its
reference names anything, so that nobody learns which references there are.
"""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

TABLES = """
create table budget (
  id uuid not null default gen_random_uuid() constraint pk_budget primary key,
  call_id uuid not null constraint fk_budget_call_id references call,
  organisation_id uuid not null constraint fk_budget_organisation_id references organisation,
  source text not null,
  number integer not null,
  amount numeric(17, 2) not null constraint budget_is_not_negative check (amount >= 0),
  status text not null,
  written_by uuid not null constraint fk_budget_written_by references person,
  written_at timestamptz not null default clock_timestamp(),
  constraint budget_is_written_once unique (call_id, organisation_id, source, number)
);
create table support_letter (
  id uuid not null default gen_random_uuid() constraint pk_support_letter primary key,
  call_id uuid not null constraint fk_support_letter_call_id references call,
  submission_id uuid not null constraint fk_support_letter_submission_id references submission,
  organisation_id uuid not null constraint fk_support_letter_organisation_id references organisation,
  number integer not null,
  key text not null,
  created_by uuid not null constraint fk_support_letter_created_by references person,
  created_at timestamptz not null default clock_timestamp(),
  withdrawn_by uuid constraint fk_support_letter_withdrawn_by references person,
  withdrawn_at timestamptz,
  withdrawn_because text,
  constraint letter_number_is_unique unique (call_id, organisation_id, number),
  constraint letter_is_begun_once unique (organisation_id, key),
  constraint letter_is_withdrawn_with_a_reason check (withdrawn_by is null or length(trim(withdrawn_because)) > 0)
);
create index ix_support_letter_submission_id on support_letter (submission_id);
create table letter_version (
  id uuid not null default gen_random_uuid() constraint pk_letter_version primary key,
  letter_id uuid not null constraint fk_letter_version_letter_id references support_letter,
  number integer not null,
  is_given boolean not null,
  sort text not null,
  amount numeric(17, 2) constraint letter_amount_is_not_negative check (amount >= 0),
  phase text,
  source text,
  status text,
  condition text not null,
  signatory text not null,
  signatory_role text not null,
  dated_on date,
  files jsonb not null,
  digest text not null constraint letter_digest_is_hex check (digest ~ '^[0-9a-f]{64}$'),
  written_by uuid not null constraint fk_letter_version_written_by references person,
  written_at timestamptz not null default clock_timestamp(),
  constraint letter_version_is_written_once unique (letter_id, number),
  constraint given_letter_is_signed_and_dated check (
    not is_given or (length(trim(signatory)) > 0 and length(trim(signatory_role)) > 0 and dated_on is not null))
);
create table interest_link (
  id uuid not null default gen_random_uuid() constraint pk_interest_link primary key,
  call_id uuid not null constraint fk_interest_link_call_id references call,
  organisation_id uuid not null constraint fk_interest_link_organisation_id references organisation,
  reference text not null,
  submission_id uuid constraint fk_interest_link_submission_id references submission,
  sort text not null,
  words text not null constraint interest_says_something check (length(trim(words)) > 0),
  offered_by uuid not null constraint fk_interest_link_offered_by references person,
  offered_at timestamptz not null default clock_timestamp(),
  is_accepted boolean,
  answered_by uuid constraint fk_interest_link_answered_by references person,
  answered_at timestamptz,
  withdrawn_by uuid constraint fk_interest_link_withdrawn_by references person,
  withdrawn_at timestamptz,
  withdrawn_because text,
  constraint interest_is_answered_by_somebody check ((is_accepted is null) = (answered_by is null)),
  constraint interest_is_withdrawn_with_a_reason check (withdrawn_by is null or length(trim(withdrawn_because)) > 0)
);
create unique index interest_is_offered_once on interest_link (organisation_id, call_id, reference, sort)
  where withdrawn_at is null;  -- a declined one counts, or a second offer would tell whether there is such a reference
create index ix_interest_link_submission_id on interest_link (submission_id);
"""

RULES = """
create function may_write_for(wanted_organisation uuid, wanted_person uuid, as_state boolean) returns boolean
  language sql stable security definer set search_path = public, pg_temp as $$
  select exists (select from membership m join organisation o on o.id = m.organisation_id
    where m.organisation_id = wanted_organisation and m.person_id = wanted_person and m.ended_at is null
      and m.role in ('owner', 'editor') and (o.state_code is not null) = as_state) $$;

create function require_writer(wanted_organisation uuid, wanted_person uuid, as_state boolean) returns void
  language plpgsql stable security definer set search_path = public, pg_temp as $$
begin
  if not may_write_for(wanted_organisation, wanted_person, as_state) then
    raise exception 'needs_an_editor_of_the_organisation' using errcode = 'P0C60';
  end if;
end $$;

create function require_standing_case(wanted uuid) returns void
  language plpgsql stable security definer set search_path = public, pg_temp as $$
begin
  if exists (select from withdrawal where submission_id = wanted and restored_at is null) then
    raise exception 'case_is_withdrawn' using errcode = 'P0C61';
  end if;
end $$;

create function guard_budget() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op = 'DELETE' and is_destroying() then
    return old;
  elsif tg_op <> 'INSERT' then
    raise exception 'budget_is_immutable' using errcode = 'P0C04';
  end if;
  perform from organisation where id = new.organisation_id for no key update;  -- one line of a state at a time
  new.written_at := require_open_call(new.call_id);
  perform require_writer(new.organisation_id, new.written_by, true);
  new.number := 1 + coalesce((select max(number) from budget where call_id = new.call_id
    and organisation_id = new.organisation_id and source = new.source), 0);
  return new;
end $$;

create function guard_support_letter() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  now_at timestamptz;
begin
  if tg_op = 'DELETE' then
    if is_destroying() then
      return old;
    end if;
    raise exception 'letter_is_never_deleted' using errcode = 'P0C04';
  end if;
  if tg_op = 'UPDATE' then
    now_at := require_open_call(old.call_id);
    if old.withdrawn_at is not null then
      raise exception 'letter_is_withdrawn' using errcode = 'P0C62';
    end if;
    perform require_writer(old.organisation_id, new.withdrawn_by, true);
    old.withdrawn_at := now_at;  -- the only things that may change
    old.withdrawn_by := new.withdrawn_by;
    old.withdrawn_because := new.withdrawn_because;
    return old;
  end if;
  perform from organisation where id = new.organisation_id for no key update;  -- so that numbers have no gaps
  new.call_id := call_of(new.submission_id);
  new.created_at := require_open_call(new.call_id);
  perform require_writer(new.organisation_id, new.created_by, true);
  perform require_standing_case(new.submission_id);
  new.number := 1 + coalesce((select max(number) from support_letter
    where call_id = new.call_id and organisation_id = new.organisation_id), 0);
  new.withdrawn_by := null; new.withdrawn_at := null; new.withdrawn_because := null;
  return new;
end $$;

create function guard_letter_version() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  found support_letter;
begin
  if tg_op = 'DELETE' and is_destroying() then
    return old;
  elsif tg_op <> 'INSERT' then
    raise exception 'letter_version_is_immutable' using errcode = 'P0C04';
  end if;
  select * into found from support_letter where id = new.letter_id for no key update;  -- one version at a time
  if found.id is null then
    raise exception 'letter_is_unknown' using errcode = 'P0C03';
  end if;
  new.written_at := require_open_call(found.call_id);
  perform require_writer(found.organisation_id, new.written_by, true);
  if found.withdrawn_at is not null then
    raise exception 'letter_is_withdrawn' using errcode = 'P0C62';
  end if;
  perform require_standing_case(found.submission_id);
  if new.number <> 1 + coalesce((select max(number) from letter_version where letter_id = new.letter_id), 0) then
    raise exception 'letter_was_changed' using errcode = 'P0C63';
  end if;
  return new;
end $$;

create function guard_interest_link() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  now_at timestamptz;
begin
  if tg_op = 'DELETE' then
    if is_destroying() then
      return old;
    end if;
    raise exception 'interest_is_never_deleted' using errcode = 'P0C04';
  end if;
  if tg_op = 'INSERT' then
    new.offered_at := require_open_call(new.call_id);
    perform require_writer(new.organisation_id, new.offered_by, false);
    new.is_accepted := null; new.answered_by := null; new.answered_at := null;
    new.withdrawn_by := null; new.withdrawn_at := null; new.withdrawn_because := null;
    new.submission_id := (select id from submission where reference = new.reference and call_id = new.call_id
      and kind in (select json_array_elements_text(d.body -> 'support' -> 'for') from call c
        join definition d on d.digest = c.definition_digest where c.id = new.call_id));
    return new;
  end if;
  now_at := require_open_call(old.call_id);
  if old.withdrawn_at is not null then
    raise exception 'interest_is_answered_once' using errcode = 'P0C64';
  end if;
  if new.withdrawn_by is not null then
    perform require_writer(old.organisation_id, new.withdrawn_by, false);
    old.withdrawn_at := now_at;  -- the only things that may change
    old.withdrawn_by := new.withdrawn_by;
    old.withdrawn_because := new.withdrawn_because;
    return old;
  end if;
  if old.is_accepted is not null or new.is_accepted is null or old.submission_id is null then
    raise exception 'interest_is_answered_once' using errcode = 'P0C64';
  end if;
  if not exists (select from membership m join submission s on s.organisation_id = m.organisation_id
      where s.id = old.submission_id and m.person_id = new.answered_by and m.ended_at is null and m.role = 'owner') then
    raise exception 'needs_an_owner_of_the_consortium' using errcode = 'P0C60';
  end if;
  perform require_standing_case(old.submission_id);
  old.is_accepted := new.is_accepted;
  old.answered_by := new.answered_by;
  old.answered_at := now_at;
  return old;
end $$;
"""

# Retention has a class of its own for all of this. What the classes before it held is asked under another name.
RETENTION = """
alter table destruction drop constraint destruction_sort_is_known;
alter table destruction add constraint destruction_sort_is_known check (
  sort in ('drafts', 'submissions', 'reviews', 'withdrawn', 'attempts', 'mails', 'sign_ins', 'support'));
alter function retention_subjects(uuid, text) rename to retention_subjects_of_cases;
create function retention_subjects(wanted uuid, wanted_sort text)
  returns table (id uuid, at timestamptz, months integer, kept text)
  language sql stable security definer set search_path = public, pg_temp as $$
  select * from retention_subjects_of_cases(wanted, wanted_sort)
  union all
  select l.id, greatest(l.created_at, l.withdrawn_at, (select max(written_at) from letter_version where letter_id = l.id)),
         retention_months(wanted, wanted_sort), keeps_dossier(l.submission_id)
    from support_letter l where wanted_sort = 'support' and l.call_id = wanted
  union all
  select b.id, b.written_at, retention_months(wanted, wanted_sort), null
    from budget b where wanted_sort = 'support' and b.call_id = wanted
  union all
  select i.id, greatest(i.offered_at, i.answered_at, i.withdrawn_at), retention_months(wanted, wanted_sort),
         keeps_dossier(i.submission_id)
    from interest_link i where wanted_sort = 'support' and i.call_id = wanted $$;

-- Comes in when `destroy` writes down who confirmed: the rows go, and the files of the letters stand with what went.
create function destroy_support() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  due uuid[];
begin
  if new.sort <> 'support' or old.confirmed_at is not null or new.confirmed_at is null then
    return new;
  end if;
  select array_agg(r.id) into due from retention_due(new.call_id, 'support') r where old.subjects ? r.id::text;
  new.destroyed := new.destroyed || jsonb_build_object('dossiers', (
    select coalesce(jsonb_agg(jsonb_build_object('reference', s.reference, 'files', (
        select coalesce(jsonb_agg(distinct f ->> 'sha256'), '[]') from letter_version v, jsonb_array_elements(v.files) f
        where v.letter_id = l.id)) order by s.reference, l.number), '[]')
    from support_letter l join submission s on s.id = l.submission_id where l.id = any (due)));
  perform set_config('eoi.destroying', 'yes', true);
  delete from letter_version where letter_id = any (due);
  delete from support_letter where id = any (due);
  delete from budget where id = any (due);
  delete from interest_link where id = any (due);
  perform set_config('eoi.destroying', '', true);
  return new;
end $$;
create trigger destruction_of_support before update on destruction for each row execute function destroy_support();
"""

GRANTS = """
grant select, insert on budget, support_letter, letter_version, interest_link to eoi_app;
grant update (withdrawn_by, withdrawn_because) on support_letter to eoi_app;
grant update (is_accepted, answered_by, withdrawn_by, withdrawn_because) on interest_link to eoi_app;
revoke all on function require_writer(uuid, uuid, boolean), require_standing_case(uuid),
  retention_subjects_of_cases(uuid, text) from public;
"""


def upgrade() -> None:
    for part in (TABLES, RULES):
        op.execute(part)
    for table in ("budget", "support_letter", "letter_version", "interest_link"):
        op.execute(
            f"create trigger {table}_guard before insert or update or delete on {table} "
            f"for each row execute function guard_{table}()"
        )
        op.execute(
            f"create trigger {table}_truncate before truncate on {table} "
            "for each statement execute function refuse_change()"
        )
    for part in (RETENTION, GRANTS):
        op.execute(part)
