"""Retention: what may go when its term has passed, destroyed by the database on two coordinators' word; and look-ups.

The terms stand in the call's own definition, in months after its deadline; the database reads them there and counts them
by its own clock. What goes is content: reference, digests, receipts and leaves stay, so that seals and heads verify.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TABLES = """
create table destruction (
  id uuid not null default gen_random_uuid() constraint pk_destruction primary key,
  call_id uuid not null constraint fk_destruction_call_id references call,
  sort text not null constraint destruction_sort_is_known check (
    sort in ('drafts', 'submissions', 'withdrawn', 'attempts', 'mails', 'sign_ins')),
  subjects jsonb not null,
  proposed_by uuid not null constraint fk_destruction_proposed_by references person,
  proposed_at timestamptz not null default clock_timestamp(),
  confirmed_by uuid constraint fk_destruction_confirmed_by references person,
  confirmed_at timestamptz,
  dropped_by uuid constraint fk_destruction_dropped_by references person,
  dropped_at timestamptz,
  destroyed jsonb,
  swept_at timestamptz,
  constraint destruction_needs_two_people check (confirmed_by <> proposed_by)
);
create unique index one_destruction_at_a_time on destruction (call_id, sort)
  where confirmed_at is null and dropped_at is null;
create table certificate (
  destruction_id uuid not null constraint pk_certificate primary key
    constraint fk_certificate_destruction_id references destruction,
  body jsonb not null,
  jws text not null,
  created_at timestamptz not null default clock_timestamp()
);
alter table version add column destruction_id uuid constraint fk_version_destruction_id references destruction;
create index ix_version_destruction_id on version (destruction_id) where destruction_id is not null;
create table lookup (
  id uuid not null default gen_random_uuid() constraint pk_lookup primary key,
  register text not null constraint lookup_register_is_known check (register in ('vies', 'gleif')),
  number text not null,
  outcome text not null constraint lookup_outcome_is_known check (outcome in ('valid', 'invalid', 'unknown')),
  evidence jsonb not null,
  looked_up_at timestamptz not null default clock_timestamp(),
  asked_by uuid constraint fk_lookup_asked_by references person
);
create index ix_lookup_number on lookup (register, number, looked_up_at);
"""

TERMS = """
create function retention_months(wanted uuid, wanted_sort text) returns integer
  language sql stable security definer set search_path = public, pg_temp as $$
  select (d.body -> 'retention' ->> wanted_sort)::integer
  from call c join definition d on d.digest = c.definition_digest where c.id = wanted $$;

-- Sign-ins belong to no call: they are kept as long as the longest term that any call asks for them.
create function sign_in_months() returns integer
  language sql stable security definer set search_path = public, pg_temp as
  $$ select max(retention_months(id, 'sign_ins')) from call $$;

-- From when on a class of a call's data may go; null while the call is not sealed, or where its file names no term.
create function retention_from(wanted uuid, wanted_sort text) returns timestamptz
  language sql stable security definer set search_path = public, pg_temp as $$
  select case when c.sealed_at is not null then c.closes_at + make_interval(months => retention_months(c.id, wanted_sort)) end
  from call c where c.id = wanted $$;

-- Why a dossier stays beyond its term: a request to disclose it is pending, or its submitter may still submit.
create function keeps_dossier(wanted uuid) returns text
  language sql stable security definer set search_path = public, pg_temp as $$
  select case
    when exists (select from disclosure_item i join disclosure d on d.id = i.disclosure_id
      where i.submission_id = wanted and i.left_out_at is null and d.closed_at is null) then 'disclosure'
    when exists (select from exemption e where e.submission_id = wanted and e.dropped_at is null
      and e.until > clock_timestamp()) then 'exemption' end $$;

create function retention_subjects(wanted uuid, wanted_sort text)
  returns table (id uuid, at timestamptz, months integer, kept text)
  language sql stable security definer set search_path = public, pg_temp as $$
  select s.id, coalesce((select max(saved_at) from draft where submission_id = s.id), s.created_at),
         retention_months(wanted, wanted_sort), keeps_dossier(s.id)
    from submission s
    where wanted_sort = 'drafts' and s.call_id = wanted
      and not exists (select from version where submission_id = s.id)
      and (exists (select from draft where submission_id = s.id) or exists (select from attachment where submission_id = s.id))
  union all
  select s.id, max(v.received_at), retention_months(wanted, wanted_sort), keeps_dossier(s.id)
    from submission s join version v on v.submission_id = s.id
    where wanted_sort in ('submissions', 'withdrawn') and s.call_id = wanted and v.destruction_id is null
      and (wanted_sort = 'withdrawn') = exists (
        select from withdrawal w where w.submission_id = s.id and w.restored_at is null)
    group by s.id
  union all
  select a.id, a.at, retention_months(wanted, wanted_sort), case when a.outcome = 'accepted' then 'evidence' end
    from attempt a join submission s on s.id = a.submission_id where wanted_sort = 'attempts' and s.call_id = wanted
  union all
  select m.id, m.created_at, retention_months(wanted, wanted_sort),
         case when m.sent_at is null and m.failed_at is null then 'waiting' end
    from message m left join submission s on s.id = m.submission_id
      left join deadline_change d on d.id = m.deadline_change_id
    where wanted_sort = 'mails' and coalesce(s.call_id, d.call_id) = wanted
  union all
  select i.id, least(i.ended_at, i.expires_at), sign_in_months(), null from sign_in i where wanted_sort = 'sign_ins'
    and i.expires_at < clock_timestamp() $$;

create function retention_due(wanted uuid, wanted_sort text) returns table (id uuid, at timestamptz)
  language sql stable security definer set search_path = public, pg_temp as $$
  select r.id, r.at from retention_subjects(wanted, wanted_sort) r
  where r.kept is null and retention_from(wanted, wanted_sort) <= clock_timestamp()
    and r.at + make_interval(months => r.months) <= clock_timestamp() $$;
"""

DESTRUCTION = """
create function guard_destruction() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op = 'INSERT' then
    perform require_coordinator(new.proposed_by);
    select coalesce(jsonb_agg(r.id order by r.id), '[]') into new.subjects from retention_due(new.call_id, new.sort) r;
    if new.subjects = '[]' then
      raise exception 'nothing_is_due' using errcode = 'P0C81';
    end if;
    new.proposed_at := clock_timestamp();
    new.confirmed_by := null; new.confirmed_at := null; new.dropped_by := null; new.dropped_at := null;
    new.destroyed := null; new.swept_at := null;
    return new;
  end if;
  if old.dropped_at is not null or old.swept_at is not null
      or (old.confirmed_at is not null and new.dropped_by is not null)
      or (new.swept_at is not null and old.confirmed_at is null) then
    raise exception 'destruction_is_decided_once' using errcode = 'P0C04';
  end if;
  if new.dropped_by is not null then
    perform require_coordinator(new.dropped_by);
    new.dropped_at := clock_timestamp();
  end if;
  if new.swept_at is not null then
    new.swept_at := clock_timestamp();
  end if;
  return new;
end $$;

-- What these guards let through beside what they let through before: the destruction below. The serving role may set
-- the word too, and gains nothing: it has no right to delete these rows nor to change what is emptied in them.
create function is_destroying() returns boolean
  language sql stable set search_path = pg_catalog, pg_temp as
  $$ select coalesce(current_setting('eoi.destroying', true) = 'yes', false) $$;

create or replace function guard_draft() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op = 'DELETE' then
    if is_destroying() then
      return old;
    end if;
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
    if is_destroying() then
      return old;
    end if;
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
  if tg_op = 'UPDATE' and is_destroying() and old.destruction_id is null and new.destruction_id is not null then
    old.answers := '{}';  -- the only things that may change
    old.files := '[]';
    old.findings := '[]';
    old.facts := '{}';
    old.title := '';
    old.destruction_id := new.destruction_id;
    return old;
  end if;
  if tg_op <> 'INSERT' then
    raise exception 'version_is_immutable' using errcode = 'P0C04';
  end if;
  perform 1 from submission where id = new.submission_id for no key update;  -- one version of a submission at a time
  new.call_id := call_of(new.submission_id);
  new.number := 1 + coalesce((select max(number) from version where submission_id = new.submission_id), 0);
  new.received_at := require_open_case(new.submission_id);
  new.exemption_id := exemption_of(new.submission_id, new.received_at);  -- null before the seal
  new.destruction_id := null;
  return new;
end $$;

create or replace function guard_withdrawal() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  now_at timestamptz;
begin
  if tg_op = 'DELETE' then
    raise exception 'withdrawal_is_never_deleted' using errcode = 'P0C04';
  end if;
  if tg_op = 'UPDATE' and is_destroying() and new.reason = ''
      and (new.restored_at, new.restored_by) is not distinct from (old.restored_at, old.restored_by)
      and new.reason is distinct from old.reason then
    old.reason := '';
    return old;
  end if;
  now_at := require_open_call(call_of(new.submission_id));
  if tg_op = 'INSERT' then
    new.withdrawn_at := now_at;
    new.restored_at := null;
    new.restored_by := null;
    return new;
  end if;
  if old.restored_at is not null or new.restored_by is null then
    raise exception 'withdrawal_is_restored_once' using errcode = 'P0C04';
  end if;
  old.restored_at := now_at;  -- the only things that may change
  old.restored_by := new.restored_by;
  return old;
end $$;

create function refuse_change_but_destruction() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op = 'DELETE' and is_destroying() then
    return old;
  end if;
  raise exception '%', tg_table_name || '_is_immutable' using errcode = 'P0C04';
end $$;

create function guard_answer_change() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op = 'UPDATE' and is_destroying() then
    old.words := '–';  -- the only things that may change
    old.files := '[]';
    return old;
  end if;
  raise exception 'answer_is_immutable' using errcode = 'P0C04';
end $$;

-- What a certificate says of dossiers: their digests, and how much went.
create function described(wanted uuid[]) returns jsonb
  language sql stable security definer set search_path = public, pg_temp as $$
  select coalesce(jsonb_agg(jsonb_build_object('reference', s.reference,
      'leaf', (select l.hash from leaf l where l.submission_id = s.id),
      'versions', (select coalesce(jsonb_agg(jsonb_build_object('version', v.number, 'payload_sha256', v.payload_sha256,
          'received_at', to_char_utc(v.received_at)) order by v.number), '[]') from version v where v.submission_id = s.id),
      'drafts', (select count(*) from draft where submission_id = s.id),
      'files', (select coalesce(jsonb_agg(distinct held.sha256 order by held.sha256), '[]') from (
          select a.sha256 from attachment a where a.submission_id = s.id
          union select f ->> 'sha256' from clarification q join answer a on a.clarification_id = q.id,
            jsonb_array_elements(a.files) f where q.submission_id = s.id) held)) order by s.reference), '[]')
  from submission s where s.id = any (wanted) $$;

create function destroy(wanted uuid, confirmer uuid) returns jsonb
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  found destruction;
  due uuid[];
  said jsonb;
begin
  perform pg_advisory_xact_lock(hashtextextended('listing ' || call_id, 0)) from destruction where id = wanted;
  select * into found from destruction where id = wanted for update;
  if found.id is null then
    raise exception 'destruction_is_unknown' using errcode = 'P0C03';
  end if;
  if found.confirmed_at is not null or found.dropped_at is not null then
    raise exception 'destruction_is_decided_once' using errcode = 'P0C04';
  end if;
  if confirmer = found.proposed_by or not is_coordinator(confirmer) or not is_coordinator(found.proposed_by) then
    raise exception 'needs_a_second_coordinator' using errcode = 'P0C07';
  end if;
  perform from submission s where s.call_id = found.call_id  -- waits for whoever asks to disclose or to let somebody in
    and found.subjects ? s.id::text order by s.id for update;
  select array_agg(r.id), jsonb_build_object('count', count(*), 'oldest', to_char_utc(min(r.at)), 'newest', to_char_utc(max(r.at)))
    into due, said from retention_due(found.call_id, found.sort) r where found.subjects ? r.id::text;
  if due is null then
    raise exception 'nothing_is_due' using errcode = 'P0C81';
  end if;
  perform set_config('eoi.destroying', 'yes', true);
  if found.sort in ('drafts', 'submissions', 'withdrawn') then
    said := said || jsonb_build_object('dossiers', described(due));
    update release set taken_back_by = confirmer, reason = 'retention'  -- EuroHPC is told by its feed
      where submission_id = any (due) and taken_back_at is null;
    delete from place where call_id = found.call_id;  -- the register is prepared anew, of what is left
    delete from trait where call_id = found.call_id;
    delete from facet_value where call_id = found.call_id;
    delete from listing where call_id = found.call_id;
    delete from entry where call_id = found.call_id;
    delete from judgement where submission_id = any (due);
    delete from draft where submission_id = any (due);
    delete from attachment where submission_id = any (due);
    update version set destruction_id = wanted where submission_id = any (due) and destruction_id is null;
    update answer set words = '–', files = '[]' where clarification_id in (
      select q.id from clarification q where q.submission_id = any (due));
    update withdrawal set reason = '' where submission_id = any (due) and reason <> '';
  elsif found.sort = 'attempts' then
    delete from refusal where attempt_id = any (due);
    delete from attempt where id = any (due);
  elsif found.sort = 'mails' then
    delete from message where id = any (due);
  else
    delete from sign_in where id = any (due);
  end if;
  perform set_config('eoi.destroying', '', true);
  update destruction set confirmed_by = confirmer, confirmed_at = clock_timestamp(), destroyed = said where id = wanted;
  return said;
end $$;

create function guard_content() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if exists (select from version where id = new.version_id and destruction_id is not null) then
    raise exception 'content_was_destroyed' using errcode = 'P0C85';
  end if;
  return new;
end $$;

create function guard_certificate() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if not exists (select from destruction where id = new.destruction_id and destroyed = new.body -> 'destroyed') then
    raise exception 'nothing_was_destroyed' using errcode = 'P0C04';
  end if;
  new.created_at := clock_timestamp();
  return new;
end $$;

create function guard_lookup() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  new.looked_up_at := clock_timestamp();
  return new;
end $$;
"""

TRIGGERS = """
drop trigger attempt_guard on attempt;
create trigger attempt_guard before update or delete on attempt for each row execute function refuse_change_but_destruction();
drop trigger refusal_guard on refusal;
create trigger refusal_guard before update or delete on refusal for each row execute function refuse_change_but_destruction();
drop trigger answer_guard on answer;
create trigger answer_guard before update or delete on answer for each row execute function guard_answer_change();
create trigger destruction_guard before insert or update on destruction for each row execute function guard_destruction();
create trigger destruction_truncate before truncate on destruction for each statement execute function refuse_change();
create trigger certificate_stamp before insert on certificate for each row execute function guard_certificate();
create trigger certificate_guard before update or delete on certificate for each row execute function refuse_change();
create trigger certificate_truncate before truncate on certificate for each statement execute function refuse_change();
create trigger disclosure_item_later before insert on disclosure_item
  for each row execute function guard_content();  -- after its guard, which waits for a destruction
create trigger release_later before insert on release
  for each row execute function guard_content();  -- what was destroyed is given to nobody
create trigger lookup_stamp before insert on lookup for each row execute function guard_lookup();
create trigger lookup_guard before update or delete on lookup for each row execute function refuse_change();
create trigger lookup_truncate before truncate on lookup for each statement execute function refuse_change();
grant select, insert on destruction, certificate, lookup to eoi_app;
grant update (dropped_by, swept_at) on destruction to eoi_app;
revoke all on function described(uuid[]), destroy(uuid, uuid) from public;
grant execute on function destroy(uuid, uuid) to eoi_app;
"""


def upgrade() -> None:
    for part in (TABLES, TERMS, DESTRUCTION, TRIGGERS):
        op.execute(part)
