"""The proof: the seal and its leaves, changes of a deadline by two people, exemptions after the seal, the chained audit
trail with its published heads, signed refusals, the history of readiness, and problem tickets.

As in 0002, what must survive a race or a mistaken portal is a function of eoi_owner: the serving role may ask for it and
cannot do it by itself.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = """
create table leaf (
  call_id uuid not null constraint fk_leaf_call_id references call,
  position integer not null,
  submission_id uuid not null constraint fk_leaf_submission_id references submission,
  version_id uuid not null constraint fk_leaf_version_id references version,
  state text not null constraint leaf_state_is_known check (state in ('standing', 'withdrawn')),
  salt text,
  hash text not null constraint leaf_hash_is_hex check (hash ~ '^[0-9a-f]{64}$'),
  constraint pk_leaf primary key (call_id, position),
  constraint submission_is_sealed_once unique (submission_id)
);
create table seal (
  call_id uuid not null constraint pk_seal primary key constraint fk_seal_call_id references call,
  body jsonb not null,
  jws text not null,
  created_at timestamptz not null default clock_timestamp()
);
create table deadline_change (
  id uuid not null default gen_random_uuid() constraint pk_deadline_change primary key,
  call_id uuid not null constraint fk_deadline_change_call_id references call,
  closes_from timestamptz not null,
  closes_to timestamptz not null,
  reason jsonb not null,
  proposed_by uuid not null constraint fk_deadline_change_proposed_by references person,
  proposed_at timestamptz not null default clock_timestamp(),
  confirmed_by uuid constraint fk_deadline_change_confirmed_by references person,
  confirmed_at timestamptz,
  dropped_by uuid constraint fk_deadline_change_dropped_by references person,
  dropped_at timestamptz,
  constraint deadline_change_needs_two_people check (confirmed_by <> proposed_by),
  constraint deadline_change_has_a_reason check (
    length(trim(reason ->> 'nl')) > 0 and length(trim(reason ->> 'en')) > 0)
);
create unique index one_deadline_change_at_a_time on deadline_change (call_id)
  where confirmed_at is null and dropped_at is null;
create table exemption (
  id uuid not null default gen_random_uuid() constraint pk_exemption primary key,
  submission_id uuid not null constraint fk_exemption_submission_id references submission,
  call_id uuid not null constraint fk_exemption_call_id references call,
  reason text not null constraint exemption_has_a_reason check (length(trim(reason)) > 0),
  until timestamptz not null,
  proposed_by uuid not null constraint fk_exemption_proposed_by references person,
  proposed_at timestamptz not null default clock_timestamp(),
  confirmed_by uuid constraint fk_exemption_confirmed_by references person,
  confirmed_at timestamptz,
  dropped_by uuid constraint fk_exemption_dropped_by references person,
  dropped_at timestamptz,
  constraint exemption_needs_two_people check (confirmed_by <> proposed_by)
);
create index ix_exemption_call_id on exemption (call_id);
create unique index one_exemption_at_a_time on exemption (submission_id)
  where confirmed_at is null and dropped_at is null;
create table refusal (
  attempt_id uuid not null constraint pk_refusal primary key constraint fk_refusal_attempt_id references attempt,
  body jsonb not null,
  jws text not null,
  created_at timestamptz not null default clock_timestamp()
);
create table ticket (
  id uuid not null default gen_random_uuid() constraint pk_ticket primary key,
  reference text not null constraint uq_ticket_reference unique,
  at timestamptz not null default clock_timestamp(),
  person_id uuid constraint fk_ticket_person_id references person,
  submission_id uuid constraint fk_ticket_submission_id references submission,
  page text not null,
  words text not null,
  body jsonb not null,
  jws text not null,
  closed_at timestamptz,
  closed_by uuid constraint fk_ticket_closed_by references person,
  answer text
);
create index ix_ticket_at on ticket (at, id);
create table readiness (
  replica text not null,
  minute timestamptz not null,
  is_ready boolean not null,
  failed text[] not null,
  noted_at timestamptz not null default clock_timestamp(),
  constraint pk_readiness primary key (minute, replica)
);
create table head (
  id bigint not null generated always as identity constraint pk_head primary key,
  at timestamptz not null default clock_timestamp(),
  count bigint not null,
  chain text not null,
  body jsonb not null,
  jws text not null
);
alter table message
  add column deadline_change_id uuid constraint fk_message_deadline_change_id references deadline_change;
create index ix_message_deadline_change_id on message (deadline_change_id) where deadline_change_id is not null;
alter table version add column exemption_id uuid constraint fk_version_exemption_id references exemption;
alter table attempt
  add column reference text constraint uq_attempt_reference unique,
  add column tried text,
  add column pressed_at timestamptz,
  alter column submission_id drop not null,
  alter column person_id drop not null;
alter table event
  add column salt text,
  add column commitment text,
  add column position bigint constraint event_position_is_unique unique,
  add column chain text;
create index ix_event_unlinked on event (id) where position is null;
"""

SEAL = """
create function guard_call() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op = 'DELETE' or (new.id, new.code, new.definition_digest, new.zone, new.is_synthetic, new.published_at)
      is distinct from (old.id, old.code, old.definition_digest, old.zone, old.is_synthetic, old.published_at) then
    raise exception 'call_is_immutable' using errcode = 'P0C04';
  end if;
  if old.sealed_at is not null then
    raise exception 'call_is_sealed' using errcode = 'P0C05';
  end if;
  return new;
end $$;

create function seal_call(wanted uuid) returns timestamptz
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  c call;
  now_at timestamptz;
begin
  select * into c from call where id = wanted for update;  -- waits for every submit and extension under way
  now_at := clock_timestamp();
  if c.id is null then
    raise exception 'call_is_unknown' using errcode = 'P0C03';
  end if;
  if c.sealed_at is not null then
    raise exception 'call_is_sealed' using errcode = 'P0C05';
  end if;
  if now_at < c.closes_at then
    raise exception 'call_is_still_open' using errcode = 'P0C06';
  end if;
  update call set sealed_at = now_at where id = wanted;
  insert into leaf (call_id, position, submission_id, version_id, state, salt, hash)
    select wanted, row_number() over (order by made.hash) - 1, made.submission_id, made.version_id, made.state,
           made.salt, made.hash
    from (select salted.*, leaf_hash(salted.reference, salted.number, salted.payload_sha256, salted.state, salted.salt)
            as hash
          from (select s.id as submission_id, s.reference, v.id as version_id, v.number, v.payload_sha256,
                  case when exists (select from withdrawal w where w.submission_id = s.id and w.restored_at is null)
                    then 'withdrawn' else 'standing' end as state,
                  replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '') as salt
                from submission s join version v on v.submission_id = s.id
                where s.call_id = wanted
                  and v.number = (select max(number) from version last where last.submission_id = s.id)
                offset 0) salted) made;  -- offset 0: each salt is drawn once
  return now_at;
end $$;

create function leaf_hash(reference text, version integer, payload_sha256 text, state text, salt text) returns text
  language sql immutable set search_path = pg_catalog, pg_temp as $$
  select encode(sha256('\\x00'::bytea || convert_to(format(
    '{"format":"eoi-leaf/1","payload_sha256":"%s","reference":"%s","salt":"%s","state":"%s","version":%s}',
    payload_sha256, reference, salt, state, version), 'UTF8')), 'hex') $$;

create function guard_seal() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if not exists (select from call where id = new.call_id and sealed_at is not null)
      or (new.body ->> 'size')::integer <> (select count(*) from leaf where call_id = new.call_id) then
    raise exception 'call_is_still_open' using errcode = 'P0C06';
  end if;
  new.created_at := clock_timestamp();
  return new;
end $$;
"""

WINDOW = """
create function to_char_utc(at timestamptz) returns text
  language sql immutable set search_path = pg_catalog, pg_temp as
  $$ select to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;

create function exemption_of(wanted uuid, at timestamptz) returns uuid
  language sql stable security definer set search_path = public, pg_temp as $$
  select e.id from exemption e join call c on c.id = e.call_id
  where e.submission_id = wanted and e.confirmed_at is not null and at < e.until and c.sealed_at is not null
  order by e.confirmed_at desc limit 1 $$;

create function require_open(wanted uuid, case_id uuid) returns timestamptz
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  c call;
  now_at timestamptz;
begin
  select * into c from call where id = wanted for share;  -- waits for a seal or a change of the deadline under way
  now_at := clock_timestamp();                             -- after the lock: waiting does not turn back the clock
  if c.id is null then
    raise exception 'call_is_unknown' using errcode = 'P0C03';
  end if;
  if now_at < c.opens_at then
    raise exception 'call_is_not_open' using errcode = 'P0C02', detail = to_char_utc(now_at);
  end if;
  if (c.sealed_at is not null or now_at >= c.closes_at) and exemption_of(case_id, now_at) is null then
    raise exception 'call_is_closed' using errcode = 'P0C01', detail = to_char_utc(now_at);
  end if;
  return now_at;
end $$;

create or replace function require_open_call(wanted uuid) returns timestamptz
  language sql security definer set search_path = public, pg_temp as
  $$ select require_open(wanted, null) $$;

create function require_open_case(wanted uuid) returns timestamptz
  language sql security definer set search_path = public, pg_temp as
  $$ select require_open(call_of(wanted), wanted) $$;

create or replace function guard_draft() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op = 'DELETE' then
    raise exception 'draft_is_never_deleted' using errcode = 'P0C04';
  end if;
  if tg_op = 'UPDATE' and (new.submission_id, new.step) is distinct from (old.submission_id, old.step) then
    raise exception 'draft_stays_with_its_submission' using errcode = 'P0C04';
  end if;
  new.saved_at := require_open_case(new.submission_id);
  return new;
end $$;

create or replace function guard_attachment() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  now_at timestamptz;
begin
  if tg_op = 'DELETE' then
    raise exception 'attachment_is_never_deleted' using errcode = 'P0C04';
  end if;
  perform 1 from submission where id = new.submission_id for no key update;  -- so that the limits can be counted after it
  now_at := require_open_case(new.submission_id);
  if tg_op = 'INSERT' then
    new.attached_at := now_at;
    new.detached_at := null;
    return new;
  end if;
  if old.detached_at is not null then
    raise exception 'attachment_is_detached_once' using errcode = 'P0C04';
  end if;
  old.detached_at := now_at;  -- the only thing that may change
  return old;
end $$;

create or replace function guard_version() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op <> 'INSERT' then
    raise exception 'version_is_immutable' using errcode = 'P0C04';
  end if;
  perform 1 from submission where id = new.submission_id for no key update;  -- one version of a submission at a time
  new.call_id := call_of(new.submission_id);
  new.number := 1 + coalesce((select max(number) from version where submission_id = new.submission_id), 0);
  new.received_at := require_open_case(new.submission_id);
  new.exemption_id := exemption_of(new.submission_id, new.received_at);  -- null before the seal
  return new;
end $$;
"""

DEADLINES = """
create function is_coordinator(wanted uuid) returns boolean
  language sql stable security definer set search_path = public, pg_temp as
  $$ select exists (select from person where id = wanted and staff_role in ('coordinator', 'admin')) $$;

create function guard_deadline_change() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  c call;
begin
  if tg_op = 'DELETE' then
    raise exception 'deadline_change_is_never_deleted' using errcode = 'P0C04';
  end if;
  select * into c from call where id = new.call_id for share;
  if tg_op = 'INSERT' then
    if c.sealed_at is not null then
      raise exception 'call_is_sealed' using errcode = 'P0C05';
    end if;
    if not is_coordinator(new.proposed_by) then
      raise exception 'needs_a_coordinator' using errcode = 'P0C07';
    end if;
    new.closes_from := c.closes_at;
    new.proposed_at := clock_timestamp();
    new.confirmed_by := null;
    new.confirmed_at := null;
    new.dropped_by := null;
    new.dropped_at := null;
    return new;
  end if;
  if old.confirmed_at is not null or old.dropped_at is not null then
    raise exception 'deadline_change_is_decided_once' using errcode = 'P0C04';
  end if;
  old.confirmed_by := new.confirmed_by;
  old.confirmed_at := new.confirmed_at;
  old.dropped_by := new.dropped_by;
  old.dropped_at := case when new.dropped_by is not null then clock_timestamp() end;
  return old;
end $$;

create function confirm_deadline(wanted uuid, confirmer uuid) returns timestamptz
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  change deadline_change;
  c call;
  now_at timestamptz;
begin
  select call_id into change.call_id from deadline_change where id = wanted;
  select * into c from call where id = change.call_id for update;  -- first the call, as everybody does; waits for submits
  select * into change from deadline_change where id = wanted for update;
  now_at := clock_timestamp();
  if change.id is null then
    raise exception 'call_is_unknown' using errcode = 'P0C03';
  end if;
  if change.confirmed_at is not null or change.dropped_at is not null then
    raise exception 'deadline_change_is_decided_once' using errcode = 'P0C04';
  end if;
  if c.sealed_at is not null then
    raise exception 'call_is_sealed' using errcode = 'P0C05';
  end if;
  if confirmer = change.proposed_by or not is_coordinator(confirmer) or not is_coordinator(change.proposed_by) then
    raise exception 'needs_a_second_coordinator' using errcode = 'P0C07';
  end if;
  if change.closes_to <= now_at or change.closes_from <> c.closes_at
      or change.closes_to <= coalesce((select max(received_at) from version where call_id = c.id), '-infinity') then
    raise exception 'deadline_cannot_move_there' using errcode = 'P0C08';
  end if;
  update deadline_change set confirmed_by = confirmer, confirmed_at = now_at where id = wanted;
  update call set closes_at = change.closes_to where id = c.id;
  return now_at;
end $$;

create function guard_exemption() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op = 'DELETE' then
    raise exception 'exemption_is_never_deleted' using errcode = 'P0C04';
  end if;
  if tg_op = 'INSERT' then
    new.call_id := call_of(new.submission_id);
    if not exists (select from call where id = new.call_id and sealed_at is not null) then
      raise exception 'call_is_still_open' using errcode = 'P0C06';
    end if;
    if not is_coordinator(new.proposed_by) then
      raise exception 'needs_a_coordinator' using errcode = 'P0C07';
    end if;
    new.proposed_at := clock_timestamp();
    new.confirmed_by := null;
    new.confirmed_at := null;
    new.dropped_by := null;
    new.dropped_at := null;
    return new;
  end if;
  if old.confirmed_at is not null or old.dropped_at is not null then
    raise exception 'exemption_is_decided_once' using errcode = 'P0C04';
  end if;
  old.confirmed_by := new.confirmed_by;
  old.confirmed_at := new.confirmed_at;
  old.dropped_by := new.dropped_by;
  old.dropped_at := case when new.dropped_by is not null then clock_timestamp() end;
  return old;
end $$;

create function confirm_exemption(wanted uuid, confirmer uuid) returns timestamptz
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  found exemption;
  now_at timestamptz := clock_timestamp();
begin
  select * into found from exemption where id = wanted for update;
  if found.id is null then
    raise exception 'exemption_is_unknown' using errcode = 'P0C03';
  end if;
  if found.confirmed_at is not null or found.dropped_at is not null then
    raise exception 'exemption_is_decided_once' using errcode = 'P0C04';
  end if;
  if confirmer = found.proposed_by or not is_coordinator(confirmer) or not is_coordinator(found.proposed_by) then
    raise exception 'needs_a_second_coordinator' using errcode = 'P0C07';
  end if;
  if found.until <= now_at then
    raise exception 'deadline_cannot_move_there' using errcode = 'P0C08';
  end if;
  update exemption set confirmed_by = confirmer, confirmed_at = now_at where id = wanted;
  return now_at;
end $$;
"""

CHAIN = """
create function event_content(e event) returns text
  language sql stable set search_path = public, pg_temp as $$
  select jsonb_build_object('at', to_char_utc(e.at), 'name', e.name, 'person', e.person_id, 'api_key', e.api_key_id,
    'organisation', e.organisation_id, 'submission', e.submission_id, 'call', e.call_id, 'detail', e.detail,
    'request_id', e.request_id)::text $$;

create function event_commitment(e event) returns text
  language sql stable set search_path = public, pg_temp as
  $$ select encode(sha256(convert_to(e.salt || event_content(e), 'UTF8')), 'hex') $$;

create function chained(place bigint, previous text, commitment text) returns text
  language sql immutable set search_path = pg_catalog, pg_temp as
  $$ select encode(sha256(convert_to(place || ':' || previous || ':' || commitment, 'UTF8')), 'hex') $$;

create function guard_event() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  new.at := clock_timestamp();
  new.salt := replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
  new.commitment := event_commitment(new);
  new.position := null;
  new.chain := null;
  return new;
end $$;

create function guard_event_change() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op = 'DELETE' or (new.id, new.at, new.name, new.commitment) is distinct from
      (old.id, old.at, old.name, old.commitment)
      or old.position is not null and (new.position, new.chain) is distinct from (old.position, old.chain) then
    raise exception 'event_is_immutable' using errcode = 'P0C04';
  end if;
  if current_setting('eoi.erasing', true) is distinct from 'yes'
      and (new.salt, new.detail, new.person_id, new.api_key_id, new.organisation_id, new.submission_id, new.call_id,
           new.request_id) is distinct from
          (old.salt, old.detail, old.person_id, old.api_key_id, old.organisation_id, old.submission_id, old.call_id,
           old.request_id) then
    raise exception 'event_is_immutable' using errcode = 'P0C04';
  end if;
  return new;
end $$;

create function link_events() returns bigint
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  place bigint;
  last text;
  one record;
begin
  perform pg_advisory_xact_lock(x'656f6b'::int);  -- one at a time, so that each follows the one before
  select e.position, e.chain into place, last from event e where e.position is not null order by e.position desc limit 1;
  place := coalesce(place, 0);
  last := coalesce(last, repeat('0', 64));
  for one in select id, commitment from event where position is null order by id loop
    place := place + 1;
    last := chained(place, last, one.commitment);
    update event set position = place, chain = last where id = one.id;
  end loop;
  return place;
end $$;

create function erase_person(wanted uuid) returns bigint[]
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  known text;
  erased bigint[];
begin
  select lower(email) into known from person where id = wanted for update;
  perform link_events();  -- what is erased has its place in the chain already
  perform set_config('eoi.erasing', 'yes', true);
  with gone as (
    update event set salt = null, person_id = null, detail = '{}', request_id = null
    where person_id = wanted returning position)
  select array_agg(position order by position) into erased from gone;
  perform set_config('eoi.erasing', '', true);
  update person set email = 'erased-' || id || '@erased.invalid', name = '', staff_role = null, email_verified_at = null
    where id = wanted;
  update membership set ended_at = clock_timestamp() where person_id = wanted and ended_at is null;
  update sign_in set ended_at = coalesce(ended_at, clock_timestamp()), user_agent = '' where person_id = wanted;
  delete from sign_in_link where lower(email) = known;
  update message set recipient = 'erased', subject = '', text = '', failed_at = coalesce(failed_at, clock_timestamp())
    where lower(recipient) = known and sent_at is null;
  update message set recipient = 'erased', subject = '', text = '' where lower(recipient) = known;
  return coalesce(erased, '{}');
end $$;
"""

# What was written before there was a chain gets its salts and commitments now.
EARLIER = """
drop trigger event_guard on event;
drop trigger attempt_guard on attempt;
update attempt set reference = id::text;
update event set salt = replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', '');
update event e set commitment = event_commitment(e);
alter table attempt alter column reference set not null;
alter table event alter column commitment set not null;
create trigger attempt_guard before update or delete on attempt for each row execute function refuse_change();
create trigger event_guard before update or delete on event for each row execute function guard_event_change();
create trigger event_stamp before insert on event for each row execute function guard_event();
"""

STAMPED = """
create function stamp_attempt() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  new.at := clock_timestamp();
  return new;
end $$;

create function guard_ticket() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op = 'DELETE' or old.closed_at is not null then
    raise exception 'ticket_is_closed_once' using errcode = 'P0C04';
  end if;
  old.closed_at := clock_timestamp();
  old.closed_by := new.closed_by;
  old.answer := new.answer;
  return old;
end $$;

-- An hour that passed 30 days ago, with somebody ready in each of its minutes, becomes one row of replica '*'. Hours with
-- a failure or a silence in them keep every row: they are the evidence.
create function thin_readiness() returns bigint
  language sql security definer set search_path = public, pg_temp as $$
  with whole as (
    select date_trunc('hour', minute, 'UTC') as hour from readiness
    where is_ready and replica <> '*' and minute < date_trunc('hour', clock_timestamp(), 'UTC') - interval '30 days'
    group by 1 having count(distinct minute) = 60),
  kept as (
    insert into readiness (replica, minute, is_ready, failed) select '*', hour, true, '{}' from whole),
  gone as (
    delete from readiness r using whole
    where date_trunc('hour', r.minute, 'UTC') = whole.hour and r.is_ready and r.replica <> '*' returning 1)
  select count(*) from gone $$;
"""

INSERT_ONLY = ("leaf", "seal", "refusal", "head")

GRANTS = """
grant select on leaf, seal, deadline_change, exemption, refusal, ticket, readiness, head to eoi_app;
grant insert on seal, deadline_change, exemption, refusal, ticket, readiness, head to eoi_app;
grant update (dropped_by, dropped_at) on deadline_change to eoi_app;
grant update (dropped_by, dropped_at) on exemption to eoi_app;
grant update (closed_at, closed_by, answer) on ticket to eoi_app;
grant usage on all sequences in schema public to eoi_app;
revoke all on function require_open_case(uuid), exemption_of(uuid, timestamptz), erase_person(uuid) from public;
grant execute on function erase_person(uuid) to eoi_app;
"""


def upgrade() -> None:
    for part in (TABLES, WINDOW, SEAL, DEADLINES, CHAIN, EARLIER, STAMPED):
        op.execute(part)
    op.execute("create trigger attempt_stamp before insert on attempt for each row execute function stamp_attempt()")
    op.execute("create trigger call_guard before update or delete on call for each row execute function guard_call()")
    op.execute("create trigger seal_stamp before insert on seal for each row execute function guard_seal()")
    op.execute(
        "create trigger ticket_guard before update or delete on ticket for each row execute function guard_ticket()"
    )
    for table in ("deadline_change", "exemption"):
        op.execute(
            f"create trigger {table}_guard before insert or update or delete on {table} "
            f"for each row execute function guard_{table}()"
        )
    for table in INSERT_ONLY:
        op.execute(
            f"create trigger {table}_guard before update or delete on {table} "
            "for each row execute function refuse_change()"
        )
    for table in (*INSERT_ONLY, "deadline_change", "exemption", "ticket", "readiness"):
        op.execute(
            f"create trigger {table}_truncate before truncate on {table} "
            "for each statement execute function refuse_change()"
        )
    op.execute(GRANTS)
