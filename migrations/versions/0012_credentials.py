"""Credentials by two people, their use, access tokens, and webhooks with the notices that go to them.

As in 0002, the rule is the database's: the serving role can propose a credential or a webhook, and make it live only with
a second person. Whoever owns the tables works at the machine itself and may issue a key alone; that stands with the key.
"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLES = """
alter table api_key rename column created_by to proposed_by;
alter table api_key rename constraint fk_api_key_created_by to fk_api_key_proposed_by;
alter table api_key
  add column kind text not null default 'key',
  add column networks text[] not null default '{}',
  add column public_key jsonb,
  add column is_operators boolean not null default false,
  add column replaces uuid constraint fk_api_key_replaces references api_key,
  add column approved_by uuid constraint fk_api_key_approved_by references person,
  add column approved_at timestamptz,
  add column collected_at timestamptz,
  add column dropped_by uuid constraint fk_api_key_dropped_by references person,
  add column dropped_at timestamptz,
  add column last_network text,
  alter column secret_hash drop not null;
update api_key set is_operators = true;  -- issued before there was a rule of two
alter table api_key
  add constraint key_kind_is_known check (kind in ('key', 'client_secret', 'client_key')),
  add constraint key_needs_two_people check (approved_by <> proposed_by),
  add constraint key_is_proposed_by_somebody check (is_operators or proposed_by is not null),
  add constraint key_secret_needs_two_people check (secret_hash is null or is_operators or approved_at is not null),
  add constraint key_has_a_secret_or_a_public_key check (
    (kind = 'client_key') = (public_key is not null) and (kind <> 'client_key' or secret_hash is null));
create table key_use (
  api_key_id uuid not null constraint fk_key_use_api_key_id references api_key,
  day date not null,
  what text not null,
  count bigint not null,
  constraint pk_key_use primary key (api_key_id, day, what)
);
create table access_token (
  prefix text not null constraint pk_access_token primary key,
  secret_hash text not null,
  api_key_id uuid not null constraint fk_access_token_api_key_id references api_key,
  scopes text[] not null,
  issued_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null,
  constraint access_token_is_short_lived check (expires_at <= issued_at + interval '1 hour')
);
create index ix_access_token_expires_at on access_token (expires_at);
create table assertion (
  api_key_id uuid not null constraint fk_assertion_api_key_id references api_key,
  jti_hash text not null,
  expires_at timestamptz not null,
  constraint pk_assertion primary key (api_key_id, jti_hash)
);
create index ix_assertion_expires_at on assertion (expires_at);
create table webhook (
  id uuid not null default gen_random_uuid() constraint pk_webhook primary key,
  call_id uuid not null constraint fk_webhook_call_id references call,
  name text not null,
  url text not null,
  events text[] not null,
  proposed_by uuid not null constraint fk_webhook_proposed_by references person,
  created_at timestamptz not null default clock_timestamp(),
  approved_by uuid constraint fk_webhook_approved_by references person,
  approved_at timestamptz,
  dropped_by uuid constraint fk_webhook_dropped_by references person,
  dropped_at timestamptz,
  ended_by uuid constraint fk_webhook_ended_by references person,
  ended_at timestamptz,
  generation integer not null default 0,
  rotated_at timestamptz,
  paused_at timestamptz,
  failing_since timestamptz,
  last_sent_at timestamptz,
  constraint webhook_needs_two_people check (approved_by <> proposed_by),
  constraint webhook_events_are_known check (events <@ array['call.sealed', 'feed.advanced'] and cardinality(events) > 0)
);
create index ix_webhook_call_id on webhook (call_id);
create table notice (
  id uuid not null default gen_random_uuid() constraint pk_notice primary key,
  webhook_id uuid not null constraint fk_notice_webhook_id references webhook,
  event text not null,
  created_at timestamptz not null default clock_timestamp(),
  attempts integer not null default 0,
  next_attempt_at timestamptz not null default clock_timestamp(),
  sent_at timestamptz,
  failed_at timestamptz,
  last_status integer,
  last_error text
);
create index ix_notice_due on notice (next_attempt_at) where sent_at is null and failed_at is null;
create index ix_notice_created_at on notice (created_at, id);
create index ix_notice_webhook_id on notice (webhook_id);
"""

# Both guards run as whoever asks, so that they can tell the serving role from the owner of the tables.
GUARDS = """
create function is_admin(wanted uuid) returns boolean
  language sql stable security definer set search_path = public, pg_temp as
  $$ select exists (select from person where id = wanted and staff_role = 'admin') $$;

create function guard_api_key() returns trigger
  language plpgsql set search_path = public, pg_temp as $$
declare
  now_at timestamptz := clock_timestamp();
begin
  if pg_has_role(current_user, (select relowner from pg_class where oid = tg_relid), 'usage') then
    if tg_op = 'INSERT' then
      new.is_operators := new.approved_by is null;
    end if;
    return coalesce(new, old);
  end if;
  if tg_op = 'DELETE' then
    raise exception 'key_is_never_deleted' using errcode = 'P0C04';
  end if;
  if tg_op = 'INSERT' then
    if not is_admin(new.proposed_by) then
      raise exception 'key_needs_an_administrator' using errcode = 'P0C07';
    end if;
    new.created_at := now_at;
    new.is_operators := false;
    new.secret_hash := null;
    new.approved_by := null;
    new.approved_at := null;
    new.collected_at := null;
    new.dropped_by := null;
    new.dropped_at := null;
    new.revoked_at := null;
    new.last_used_at := null;
    new.last_network := null;
    return new;
  end if;
  if (old.dropped_at is not null or old.revoked_at is not null)
      and (new.approved_by, new.dropped_by, new.secret_hash, new.revoked_at, new.expires_at) is distinct from
          (old.approved_by, old.dropped_by, old.secret_hash, old.revoked_at, old.expires_at)
      or new.expires_at > old.expires_at then
    raise exception 'key_is_over' using errcode = 'P0C04';
  end if;
  if new.approved_by is distinct from old.approved_by then
    if old.approved_at is not null or old.is_operators then
      raise exception 'key_is_decided_once' using errcode = 'P0C04';
    end if;
    if new.approved_by is null or new.approved_by = old.proposed_by or not is_coordinator(new.approved_by)
        or not is_admin(old.proposed_by) then
      raise exception 'key_needs_a_second_person' using errcode = 'P0C07';
    end if;
    new.approved_at := now_at;
  end if;
  if new.dropped_by is distinct from old.dropped_by then
    if old.approved_at is not null or new.approved_at is not null then
      raise exception 'key_is_decided_once' using errcode = 'P0C04';
    end if;
    new.dropped_at := now_at;
  end if;
  if new.secret_hash is distinct from old.secret_hash then
    if old.secret_hash is not null then
      raise exception 'key_is_collected_once' using errcode = 'P0C04';
    end if;
    if old.approved_at is null then
      raise exception 'key_needs_a_second_person' using errcode = 'P0C07';
    end if;
    new.collected_at := now_at;
  end if;
  if new.revoked_at is distinct from old.revoked_at then
    new.revoked_at := now_at;
  end if;
  return new;
end $$;
create trigger guard_api_key before insert or update or delete on api_key for each row execute function guard_api_key();

create function guard_webhook() returns trigger
  language plpgsql set search_path = public, pg_temp as $$
declare
  now_at timestamptz := clock_timestamp();
begin
  if pg_has_role(current_user, (select relowner from pg_class where oid = tg_relid), 'usage') then
    return coalesce(new, old);
  end if;
  if tg_op = 'DELETE' then
    raise exception 'webhook_is_never_deleted' using errcode = 'P0C04';
  end if;
  if tg_op = 'INSERT' then
    if not is_admin(new.proposed_by) then
      raise exception 'webhook_needs_an_administrator' using errcode = 'P0C07';
    end if;
    new.created_at := now_at;
    new.approved_by := null;
    new.approved_at := null;
    new.dropped_by := null;
    new.dropped_at := null;
    new.ended_by := null;
    new.ended_at := null;
    new.generation := 0;
    new.rotated_at := null;
    return new;
  end if;
  if (old.dropped_at is not null or old.ended_at is not null)
      and (new.approved_by, new.dropped_by, new.ended_by, new.generation) is distinct from
          (old.approved_by, old.dropped_by, old.ended_by, old.generation) then
    raise exception 'webhook_is_over' using errcode = 'P0C04';
  end if;
  if new.approved_by is distinct from old.approved_by then
    if old.approved_at is not null then
      raise exception 'webhook_is_decided_once' using errcode = 'P0C04';
    end if;
    if new.approved_by is null or new.approved_by = old.proposed_by or not is_coordinator(new.approved_by)
        or not is_admin(old.proposed_by) then
      raise exception 'webhook_needs_a_second_person' using errcode = 'P0C07';
    end if;
    new.approved_at := now_at;
  end if;
  if new.dropped_by is distinct from old.dropped_by then
    if old.approved_at is not null or new.approved_at is not null then
      raise exception 'webhook_is_decided_once' using errcode = 'P0C04';
    end if;
    new.dropped_at := now_at;
  end if;
  if new.ended_by is distinct from old.ended_by then
    new.ended_at := now_at;
  end if;
  if new.generation <> old.generation then
    if old.approved_at is null or new.generation <> old.generation + 1 then
      raise exception 'webhook_needs_a_second_person' using errcode = 'P0C07';
    end if;
    new.rotated_at := now_at;
  end if;
  return new;
end $$;
create trigger guard_webhook before insert or update or delete on webhook for each row execute function guard_webhook();
"""

# A notice is written by what it tells of, in the same transaction, and by nothing else: it is a row, sent later.
NOTICES = """
create function notify_webhooks(calls uuid[], told text) returns void
  language sql security definer set search_path = public, pg_temp as $$
  insert into notice (webhook_id, event)
    select w.id, told from webhook w
    where w.call_id = any(calls) and told = any(w.events) and w.approved_at is not null and w.ended_at is null $$;

create function guard_notice() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if old.sent_at is null or old.sent_at > clock_timestamp() - interval '399 days' then
    raise exception 'notice_is_kept' using errcode = 'P0C04';
  end if;
  return old;
end $$;
create trigger guard_notice before delete on notice for each row execute function guard_notice();

create function notify_of_seal() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform notify_webhooks(array[new.call_id], 'call.sealed');
  return null;
end $$;
create trigger notify_of_seal after insert on seal for each row execute function notify_of_seal();

create function notify_of_release() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform notify_webhooks(array(select distinct s.call_id from changed r join submission s on s.id = r.submission_id),
    'feed.advanced');
  return null;
end $$;
create trigger notify_of_release after insert on release referencing new table as changed
  for each statement execute function notify_of_release();
create trigger notify_of_taking_back after update on release referencing new table as changed
  for each statement execute function notify_of_release();
"""

GRANTS = """
grant select on key_use, access_token, assertion, webhook, notice to eoi_app;
grant insert on key_use, access_token, assertion, webhook to eoi_app;
grant update (approved_by, dropped_by, secret_hash, expires_at, last_network) on api_key to eoi_app;
grant update (count), delete on key_use to eoi_app;
grant delete on access_token, assertion, notice to eoi_app;
grant update (approved_by, dropped_by, ended_by, generation, paused_at, failing_since, last_sent_at) on webhook to eoi_app;
grant update (attempts, next_attempt_at, sent_at, failed_at, last_status, last_error) on notice to eoi_app;
revoke all on function notify_webhooks(uuid[], text), notify_of_seal(), notify_of_release(),
  guard_notice() from public;
"""


def upgrade() -> None:
    for part in (TABLES, GUARDS, NOTICES, GRANTS):
        op.execute(part)


def downgrade() -> None:
    op.execute(
        "drop trigger notify_of_seal on seal; drop trigger notify_of_release on release;"
        " drop trigger notify_of_taking_back on release; drop trigger guard_api_key on api_key"
    )
    op.execute("drop function notify_of_seal(), notify_of_release(), notify_webhooks(uuid[], text)")
    op.execute("drop table notice, webhook, assertion, access_token, key_use")
    op.execute("drop function guard_api_key(), guard_webhook(), guard_notice(), is_admin(uuid)")
    op.execute("delete from api_key where secret_hash is null")
    op.execute(
        "alter table api_key drop column kind, drop column networks, drop column public_key, drop column is_operators,"
        " drop column replaces, drop column approved_by, drop column approved_at, drop column collected_at,"
        " drop column dropped_by, drop column dropped_at, drop column last_network, alter column secret_hash set not null"
    )
    op.execute("alter table api_key rename constraint fk_api_key_proposed_by to fk_api_key_created_by")
    op.execute("alter table api_key rename column proposed_by to created_by")
