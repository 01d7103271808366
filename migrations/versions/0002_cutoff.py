"""The cutoff, held by the database: locks the call, reads the clock, refuses or stamps. And what the serving role may do.

The rule, once: a write is accepted from `opens_at` up to and not including `closes_at`, by the database's clock,
read after the call's row is locked. The functions belong to eoi_owner and run with its rights, so that eoi_app needs
no right on `call` but SELECT, and cannot replace, disable or go around them.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WINDOW = """
create function require_open_call(wanted uuid) returns timestamptz
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
    raise exception 'call_is_not_open' using errcode = 'P0C02';
  end if;
  if c.sealed_at is not null or now_at >= c.closes_at then
    raise exception 'call_is_closed' using errcode = 'P0C01';
  end if;
  return now_at;
end $$;

create function call_of(submission_id uuid) returns uuid
  language sql stable security definer set search_path = public, pg_temp as
  $$ select s.call_id from submission s where s.id = $1 $$;
"""

STAMPS = """
create function guard_submission() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op <> 'INSERT' then
    raise exception 'submission_is_immutable' using errcode = 'P0C04';
  end if;
  new.created_at := require_open_call(new.call_id);
  return new;
end $$;

create function guard_draft() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op = 'DELETE' then
    raise exception 'draft_is_never_deleted' using errcode = 'P0C04';
  end if;
  if tg_op = 'UPDATE' and (new.submission_id, new.step) is distinct from (old.submission_id, old.step) then
    raise exception 'draft_stays_with_its_submission' using errcode = 'P0C04';
  end if;
  new.saved_at := require_open_call(call_of(new.submission_id));
  return new;
end $$;

create function guard_attachment() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  now_at timestamptz;
begin
  if tg_op = 'DELETE' then
    raise exception 'attachment_is_never_deleted' using errcode = 'P0C04';
  end if;
  perform 1 from submission where id = new.submission_id for update;  -- so that the limits can be counted after it
  now_at := require_open_call(call_of(new.submission_id));
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

create function guard_version() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op <> 'INSERT' then
    raise exception 'version_is_immutable' using errcode = 'P0C04';
  end if;
  perform 1 from submission where id = new.submission_id for update;  -- one version of a submission at a time
  new.call_id := call_of(new.submission_id);
  new.number := 1 + coalesce((select max(number) from version where submission_id = new.submission_id), 0);
  new.received_at := require_open_call(new.call_id);
  return new;
end $$;

create function guard_withdrawal() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  now_at timestamptz;
begin
  if tg_op = 'DELETE' then
    raise exception 'withdrawal_is_never_deleted' using errcode = 'P0C04';
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

create function refuse_change() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  raise exception '%', tg_table_name || '_is_immutable' using errcode = 'P0C04';
end $$;
"""

GUARDED = ("submission", "draft", "attachment", "version", "withdrawal")
INSERT_ONLY = ("receipt", "attempt", "event", "definition")

# What the serving role may do beside SELECT. Columns in brackets: UPDATE is granted on these alone.
GRANTS = """
grant select on all tables in schema public to eoi_app;
grant insert on organisation, person, membership, sign_in_link, sign_in, api_key, throttle, submission, draft,
  attachment, version, receipt, withdrawal, attempt, event, message to eoi_app;
grant update (name, country, registration_no) on organisation to eoi_app;
grant update (name, language, staff_role, email_verified_at) on person to eoi_app;
grant update (role, ended_at) on membership to eoi_app;
grant update (used_at) on sign_in_link to eoi_app;
grant update (last_seen_at, ended_at) on sign_in to eoi_app;
grant update (revoked_at, last_used_at) on api_key to eoi_app;
grant update (answers, unread, revision, saved_at, saved_by) on draft to eoi_app;
grant update (detached_at) on attachment to eoi_app;
grant update (restored_at, restored_by) on withdrawal to eoi_app;
grant update (attempts, next_attempt_at, sent_at, failed_at, last_error, text) on message to eoi_app;
grant update (count), delete on throttle to eoi_app;
grant usage on all sequences in schema public to eoi_app;
revoke all on function require_open_call(uuid), call_of(uuid) from public;
"""


def upgrade() -> None:
    op.execute(WINDOW)
    op.execute(STAMPS)
    for table in GUARDED:
        op.execute(
            f"create trigger {table}_guard before insert or update or delete on {table} "
            f"for each row execute function guard_{table}()"
        )
    for table in INSERT_ONLY:
        op.execute(
            f"create trigger {table}_guard before update or delete on {table} "
            "for each row execute function refuse_change()"
        )
    for table in (*GUARDED, *INSERT_ONLY, "call"):
        op.execute(
            f"create trigger {table}_truncate before truncate on {table} "
            "for each statement execute function refuse_change()"
        )
    op.execute("revoke create on schema public from public")
    op.execute(GRANTS)
