"""Requests under the open-government act: dossiers, proposals, the submitter's view, decisions by two people, what went out.

Who decides, that the submitter was heard first, and that nothing once said is changed: the database holds it.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLES = """
create table disclosure (
  id uuid not null default gen_random_uuid() constraint pk_disclosure primary key,
  number bigint not null generated always as identity constraint disclosure_number_is_unique unique,
  call_id uuid not null constraint fk_disclosure_call_id references call,
  title text not null constraint disclosure_has_a_title check (length(trim(title)) > 0),
  received_on date not null,
  due_on date not null,
  registered_by uuid not null constraint fk_disclosure_registered_by references person,
  registered_at timestamptz not null default clock_timestamp(),
  extended_to date,
  extension_reason text,
  extended_by uuid constraint fk_disclosure_extended_by references person,
  extended_at timestamptz,
  closed_by uuid constraint fk_disclosure_closed_by references person,
  closed_at timestamptz,
  closing_reason text,
  constraint disclosure_is_due_after_it_came check (due_on >= received_on),
  constraint extension_has_a_reason check (
    extended_to is null or (extended_to > due_on and length(trim(extension_reason)) > 0)),
  constraint closing_has_a_reason check (closed_by is null or length(trim(closing_reason)) > 0)
);
create index ix_disclosure_call_id on disclosure (call_id);
create table disclosure_item (
  id uuid not null default gen_random_uuid() constraint pk_disclosure_item primary key,
  disclosure_id uuid not null constraint fk_disclosure_item_disclosure_id references disclosure,
  submission_id uuid not null constraint fk_disclosure_item_submission_id references submission,
  version_id uuid not null constraint fk_disclosure_item_version_id references version,
  added_by uuid not null constraint fk_disclosure_item_added_by references person,
  added_at timestamptz not null default clock_timestamp(),
  left_out_by uuid constraint fk_disclosure_item_left_out_by references person,
  left_out_at timestamptz,
  left_out_reason text,
  constraint item_is_left_out_with_a_reason check (left_out_by is null or length(trim(left_out_reason)) > 0)
);
create unique index dossier_is_asked_for_once on disclosure_item (disclosure_id, submission_id) where left_out_at is null;
create index ix_disclosure_item_submission_id on disclosure_item (submission_id);
create table disclosure_proposal (
  id uuid not null default gen_random_uuid() constraint pk_disclosure_proposal primary key,
  item_id uuid not null constraint fk_disclosure_proposal_item_id references disclosure_item,
  sections jsonb not null,
  proposed_by uuid not null constraint fk_disclosure_proposal_proposed_by references person,
  proposed_at timestamptz not null default clock_timestamp()
);
create index ix_disclosure_proposal_item_id on disclosure_proposal (item_id);
create table hearing (
  id uuid not null default gen_random_uuid() constraint pk_hearing primary key,
  item_id uuid not null constraint fk_hearing_item_id references disclosure_item,
  proposal_id uuid not null constraint fk_hearing_proposal_id references disclosure_proposal,
  asked_by uuid not null constraint fk_hearing_asked_by references person,
  asked_at timestamptz not null default clock_timestamp(),
  until timestamptz not null,
  constraint hearing_gives_time check (until > asked_at)
);
create index ix_hearing_item_id on hearing (item_id);
create table hearing_answer (
  id uuid not null default gen_random_uuid() constraint pk_hearing_answer primary key,
  hearing_id uuid not null constraint fk_hearing_answer_hearing_id references hearing,
  section text not null,
  agrees boolean not null,
  reasons text not null,
  answered_by uuid not null constraint fk_hearing_answer_answered_by references person,
  answered_at timestamptz not null default clock_timestamp(),
  constraint objection_has_reasons check (agrees or length(trim(reasons)) > 0)
);
create index ix_hearing_answer_hearing_id on hearing_answer (hearing_id);
create table disclosure_decision (
  id uuid not null default gen_random_uuid() constraint pk_disclosure_decision primary key,
  item_id uuid not null constraint fk_disclosure_decision_item_id references disclosure_item,
  sections jsonb not null,
  reason text not null,
  view text not null constraint view_is_known check (view in ('agreed', 'objected', 'silent')),
  decided_by uuid not null constraint fk_disclosure_decision_decided_by references person,
  decided_at timestamptz not null default clock_timestamp(),
  confirmed_by uuid constraint fk_disclosure_decision_confirmed_by references person,
  confirmed_at timestamptz,
  dropped_by uuid constraint fk_disclosure_decision_dropped_by references person,
  dropped_at timestamptz,
  constraint disclosure_decision_needs_two_people check (confirmed_by <> decided_by),
  constraint disclosure_decision_has_a_reason check (length(trim(reason)) > 0)
);
create unique index dossier_is_decided_once on disclosure_decision (item_id) where dropped_at is null;
create table disclosure_set (
  id uuid not null default gen_random_uuid() constraint pk_disclosure_set primary key,
  disclosure_id uuid not null constraint fk_disclosure_set_disclosure_id references disclosure,
  sha256 text not null constraint set_sha256_is_hex check (sha256 ~ '^[0-9a-f]{64}$'),
  size bigint not null,
  body jsonb not null,
  jws text not null,
  made_by uuid not null constraint fk_disclosure_set_made_by references person,
  made_at timestamptz not null default clock_timestamp()
);
create index ix_disclosure_set_disclosure_id on disclosure_set (disclosure_id);
"""

RULES = """
create function require_coordinator(wanted uuid) returns void
  language plpgsql stable security definer set search_path = public, pg_temp as $$
begin
  if not is_coordinator(wanted) then
    raise exception 'needs_a_coordinator' using errcode = 'P0C07';
  end if;
end $$;

-- The request that an item belongs to, locked: who adds, decides or produces waits for who closes.
create function require_open_disclosure(wanted uuid) returns void
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  found disclosure;
begin
  select * into found from disclosure where id = wanted for share;
  if found.id is null or found.closed_at is not null then
    raise exception 'disclosure_is_closed' using errcode = 'P0C04';
  end if;
end $$;

create function require_live_item(wanted uuid) returns void
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  found disclosure_item;
begin
  select * into found from disclosure_item where id = wanted for no key update;  -- one step of an item at a time
  if found.id is null or found.left_out_at is not null then
    raise exception 'dossier_was_left_out' using errcode = 'P0C04';
  end if;
  perform require_open_disclosure(found.disclosure_id);
  if exists (select from disclosure_decision where item_id = wanted and confirmed_at is not null) then
    raise exception 'dossier_was_decided' using errcode = 'P0C04';
  end if;
end $$;

create function guard_disclosure() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op = 'INSERT' then
    perform require_coordinator(new.registered_by);
    new.registered_at := clock_timestamp();
    new.extended_to := null; new.extension_reason := null; new.extended_by := null; new.extended_at := null;
    new.closed_by := null; new.closed_at := null; new.closing_reason := null;
    return new;
  end if;
  if old.closed_at is not null then
    raise exception 'disclosure_is_closed' using errcode = 'P0C04';
  end if;
  if new.extended_to is distinct from old.extended_to then
    if old.extended_to is not null then
      raise exception 'disclosure_is_extended_once' using errcode = 'P0C04';
    end if;
    perform require_coordinator(new.extended_by);
    new.extended_at := clock_timestamp();
  elsif (new.extension_reason, new.extended_by) is distinct from (old.extension_reason, old.extended_by) then
    raise exception 'disclosure_is_extended_once' using errcode = 'P0C04';
  end if;
  if new.closed_by is not null then
    perform require_coordinator(new.closed_by);
    new.closed_at := clock_timestamp();
  end if;
  return new;
end $$;

create function guard_disclosure_item() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform require_open_disclosure(new.disclosure_id);
  if tg_op = 'UPDATE' then
    if old.left_out_at is not null then
      raise exception 'dossier_was_left_out' using errcode = 'P0C04';
    end if;
    perform require_coordinator(new.left_out_by);
    new.left_out_at := clock_timestamp();
    return new;
  end if;
  perform require_coordinator(new.added_by);
  perform from submission where id = new.submission_id for share;  -- waits for a destruction under way
  if not exists (select from disclosure d join submission s on s.call_id = d.call_id join call c on c.id = d.call_id
      join version v on v.submission_id = s.id
      where d.id = new.disclosure_id and s.id = new.submission_id and v.id = new.version_id and c.sealed_at is not null
        and v.exemption_id is null) then
    raise exception 'call_is_still_open' using errcode = 'P0C06';
  end if;
  new.added_at := clock_timestamp();
  new.left_out_by := null; new.left_out_at := null; new.left_out_reason := null;
  return new;
end $$;

create function guard_disclosure_proposal() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform require_live_item(new.item_id);
  perform require_coordinator(new.proposed_by);
  new.proposed_at := clock_timestamp();
  return new;
end $$;

create function guard_hearing() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform require_live_item(new.item_id);
  perform require_coordinator(new.asked_by);
  if not exists (select from disclosure_proposal where id = new.proposal_id and item_id = new.item_id) then
    raise exception 'nothing_was_proposed' using errcode = 'P0C83';
  end if;
  new.asked_at := clock_timestamp();
  return new;
end $$;

create function last_hearing(wanted uuid) returns hearing
  language sql stable security definer set search_path = public, pg_temp as
  $$ select * from hearing where item_id = wanted order by asked_at desc limit 1 $$;

create function guard_hearing_answer() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  asked hearing;
begin
  select * into asked from hearing where id = new.hearing_id;
  perform require_live_item(asked.item_id);
  new.answered_at := clock_timestamp();
  if asked.id <> (last_hearing(asked.item_id)).id or new.answered_at >= asked.until then
    raise exception 'hearing_is_over' using errcode = 'P0C82';
  end if;
  if not exists (select from disclosure_item i join submission s on s.id = i.submission_id
      join membership m on m.organisation_id = s.organisation_id
      where i.id = asked.item_id and m.person_id = new.answered_by and m.ended_at is null
        and m.role in ('owner', 'editor')) then
    raise exception 'not_theirs_to_answer' using errcode = 'P0C03';
  end if;
  if not exists (select from disclosure_proposal p where p.id = asked.proposal_id and p.sections ? new.section) then
    raise exception 'section_was_not_proposed' using errcode = 'P0C03';
  end if;
  return new;
end $$;

-- What the submitter's view came to: nothing is decided before they answered on every section, or their time is over.
create function view_of(wanted uuid, at timestamptz) returns text
  language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  asked hearing := last_hearing(wanted);
  said boolean[];
begin
  if asked.id is null then
    return null;
  end if;
  select array_agg(last.agrees) into said from (
    select distinct on (section) agrees from hearing_answer where hearing_id = asked.id
    order by section, answered_at desc) last;
  if at < asked.until and coalesce(cardinality(said), 0) <
      (select count(*) from disclosure_proposal p, jsonb_object_keys(p.sections) where p.id = asked.proposal_id) then
    return null;
  end if;
  return case when said is null then 'silent' when false = any (said) then 'objected' else 'agreed' end;
end $$;

create function guard_disclosure_decision() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op = 'UPDATE' then  -- by the serving role: a decision that was not confirmed is dropped
    if old.confirmed_at is not null or old.dropped_at is not null then
      raise exception 'decision_is_taken_once' using errcode = 'P0C04';
    end if;
    if new.confirmed_at is null then
      perform require_coordinator(new.dropped_by);
      new.dropped_at := clock_timestamp();
    end if;
    return new;
  end if;
  perform require_live_item(new.item_id);
  perform require_coordinator(new.decided_by);
  new.decided_at := clock_timestamp();
  new.view := view_of(new.item_id, new.decided_at);
  if new.view is null then
    raise exception 'submitter_was_not_heard' using errcode = 'P0C83';
  end if;
  new.confirmed_by := null; new.confirmed_at := null; new.dropped_by := null; new.dropped_at := null;
  return new;
end $$;

create function confirm_disclosure(wanted uuid, confirmer uuid) returns timestamptz
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  found disclosure_decision;
  now_at timestamptz;
begin
  perform require_live_item((select item_id from disclosure_decision where id = wanted));
  select * into found from disclosure_decision where id = wanted for update;
  if found.confirmed_at is not null or found.dropped_at is not null then
    raise exception 'decision_is_taken_once' using errcode = 'P0C04';
  end if;
  if confirmer = found.decided_by or not is_coordinator(confirmer) or not is_coordinator(found.decided_by) then
    raise exception 'needs_a_second_coordinator' using errcode = 'P0C07';
  end if;
  now_at := clock_timestamp();
  update disclosure_decision set confirmed_by = confirmer, confirmed_at = now_at where id = wanted;
  return now_at;
end $$;

create function guard_disclosure_set() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform require_open_disclosure(new.disclosure_id);
  perform require_coordinator(new.made_by);
  if not exists (select from disclosure_item where disclosure_id = new.disclosure_id and left_out_at is null)
      or exists (select from disclosure_item i where i.disclosure_id = new.disclosure_id and i.left_out_at is null
        and not exists (select from disclosure_decision d where d.item_id = i.id and d.confirmed_at is not null)) then
    raise exception 'not_every_dossier_is_decided' using errcode = 'P0C84';
  end if;
  new.made_at := clock_timestamp();
  return new;
end $$;
"""

INSERT_ONLY = ("disclosure_proposal", "hearing", "hearing_answer", "disclosure_set")
CHANGING = ("disclosure", "disclosure_item", "disclosure_decision")

GRANTS = """
grant select, insert on disclosure, disclosure_item, disclosure_proposal, hearing, hearing_answer, disclosure_decision,
  disclosure_set to eoi_app;
grant update (extended_to, extension_reason, extended_by, closed_by, closing_reason) on disclosure to eoi_app;
grant update (left_out_by, left_out_reason) on disclosure_item to eoi_app;
grant update (dropped_by) on disclosure_decision to eoi_app;
grant usage on all sequences in schema public to eoi_app;
revoke all on function require_coordinator(uuid), require_open_disclosure(uuid), require_live_item(uuid),
  last_hearing(uuid), confirm_disclosure(uuid, uuid) from public;
grant execute on function confirm_disclosure(uuid, uuid) to eoi_app;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(RULES)
    for table in CHANGING:
        op.execute(
            f"create trigger {table}_guard before insert or update on {table} "
            f"for each row execute function guard_{table}()"
        )
    for table in INSERT_ONLY:
        op.execute(
            f"create trigger {table}_stamp before insert on {table} for each row execute function guard_{table}()"
        )
        op.execute(
            f"create trigger {table}_guard before update or delete on {table} "
            "for each row execute function refuse_change()"
        )
    for table in (*INSERT_ONLY, *CHANGING):
        op.execute(
            f"create trigger {table}_truncate before truncate on {table} "
            "for each statement execute function refuse_change()"
        )
    op.execute(GRANTS)
