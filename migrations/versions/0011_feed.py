"""The feed: what was released to EuroHPC and taken back, numbered by commit; its epoch; and EuroHPC's acknowledgements.

An entry gets its number from a counter row that is bumped as the last thing before the commit, so that numbers are in the
order of commits and without gaps: whoever has read up to a number has read all before it, for ever. A release writes down
that it waits for its turn; at the commit the first of the transaction's turns numbers them all in one statement a call.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

RULES = """
create function take_turns() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op = 'INSERT' then
    insert into turn (release_id, is_back)
      select r.id, false from made r join submission s on s.id = r.submission_id order by s.reference;
  else
    insert into turn (release_id, is_back)
      select r.id, true from made r join before b on b.id = r.id join submission s on s.id = r.submission_id
      where b.taken_back_at is null and r.taken_back_at is not null order by s.reference;
  end if;
  return null;
end $$;
create trigger release_takes_turns after insert on release referencing new table as made
  for each statement execute function take_turns();
create trigger take_back_takes_turns after update on release referencing old table as before new table as made
  for each statement execute function take_turns();

-- At the commit. Turns of other transactions are not to be seen: they are gone before these commit. The counters are
-- locked last and in the order of the calls, so that nobody waits for another in a circle, and held only while the
-- entries are written. A take-back that its own transaction follows with another release of the same submission makes
-- one entry with it: a replacement.
create function number_turns() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  ignored bigint;
begin
  if not exists (select from turn where id = new.id) then
    return null;  -- numbered with the first of its transaction
  end if;
  with told as (
    select t.id, t.is_back, r.id as release_id, r.submission_id, r.version_id, v.call_id, v.exemption_id,
      coalesce(bool_or(not t.is_back) over (partition by r.submission_id order by t.id
        rows between 1 following and unbounded following), false) as is_followed
    from turn t join release r on r.id = t.release_id join version v on v.id = r.version_id),
  kept as (
    select *, row_number() over (partition by call_id order by id) as place,
      lag(is_back) over (partition by submission_id order by id) as was_back
    from told where not (is_back and is_followed)),
  bumped as (
    insert into feed (call_id, last) select call_id, count(*) from kept group by call_id order by call_id
      on conflict (call_id) do update set last = feed.last + excluded.last
      returning call_id, last, clock_timestamp() as at),
  written as (
    insert into feed_entry (call_id, number, kind, submission_id, version_id, release_id, at)
      select k.call_id, b.last - count(*) over (partition by k.call_id) + k.place,
        case when k.is_back then 'withdrawn'
             when k.exemption_id is not null then 'exceptional'
             when coalesce(not k.was_back, (select e.kind <> 'withdrawn' from feed_entry e
               where e.submission_id = k.submission_id order by e.number desc limit 1), false) then 'replaced'
             else 'released' end,
        k.submission_id, k.version_id, k.release_id, b.at
      from kept k join bumped b on b.call_id = k.call_id)
  select count(pg_notify('feed', call_id::text)) from bumped into strict ignored;
  delete from turn;
  return null;
end $$;

create constraint trigger number_turns after insert on turn deferrable initially deferred
  for each row execute function number_turns();

-- What names this very history of the data: another after a restore, into whatever cluster or database, or by a
-- promotion of a standby or a point in time, which start a timeline of their own.
create function feed_epoch() returns text
  language sql stable security definer set search_path = public, pg_temp as $$
  select left(encode(sha256(convert_to(concat_ws(':',
    (select name from epoch order by number desc limit 1),
    (select system_identifier from pg_control_system()),
    case when pg_is_in_recovery() then '' else left(pg_walfile_name(pg_current_wal_lsn()), 8) end,
    (select oid from pg_database where datname = current_database())), 'UTF8')), 'hex'), 16) $$;

create function guard_delivery() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  select submission_id, version_id into new.submission_id, new.version_id from release where id = new.release_id;
  new.delivered_at := clock_timestamp();
  return new;
end $$;
create trigger delivery_stamp before insert on delivery for each row execute function guard_delivery();

insert into epoch default values;

-- What was released before there was a feed, in the order in which it happened.
insert into feed_entry (call_id, number, kind, submission_id, version_id, release_id, at)
  select v.call_id, row_number() over (partition by v.call_id order by done.at, s.reference), done.kind, r.submission_id,
         r.version_id, r.id, done.at
  from release r join submission s on s.id = r.submission_id join version v on v.id = r.version_id
    join lateral (select 'released' as kind, r.released_at as at
      union all select 'withdrawn', r.taken_back_at where r.taken_back_at is not null) done on true;
insert into feed (call_id, last) select call_id, max(number) from feed_entry group by call_id;

grant select on feed, feed_entry, epoch, turn, delivery to eoi_app;
grant insert on delivery to eoi_app;
revoke all on function take_turns(), number_turns(), guard_delivery() from public;
"""

INSERT_ONLY = ("feed_entry", "epoch", "delivery")


def upgrade() -> None:
    op.create_table(
        "feed",
        sa.Column("call_id", sa.Uuid(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["call_id"], ["call.id"], name=op.f("fk_feed_call_id")),
        sa.PrimaryKeyConstraint("call_id", name=op.f("pk_feed")),
    )
    op.create_table(
        "feed_entry",
        sa.Column("call_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("submission_id", sa.Uuid(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("release_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind in ('released', 'replaced', 'withdrawn', 'exceptional')", name=op.f("entry_kind_is_known")
        ),
        sa.ForeignKeyConstraint(["call_id"], ["call.id"], name=op.f("fk_feed_entry_call_id")),
        sa.ForeignKeyConstraint(["submission_id"], ["submission.id"], name=op.f("fk_feed_entry_submission_id")),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name=op.f("fk_feed_entry_version_id")),
        sa.ForeignKeyConstraint(["release_id"], ["release.id"], name=op.f("fk_feed_entry_release_id")),
        sa.PrimaryKeyConstraint("call_id", "number", name=op.f("pk_feed_entry")),
    )
    op.create_index("ix_feed_entry_submission_id", "feed_entry", ["submission_id", "number"])
    op.create_table(
        "turn",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("release_id", sa.Uuid(), nullable=False),
        sa.Column("is_back", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_turn")),
    )
    op.create_table(
        "epoch",
        sa.Column("number", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_epoch")),
    )
    op.create_table(
        "delivery",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("submission_id", sa.Uuid(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("release_id", sa.Uuid(), nullable=False),
        sa.Column("api_key_id", sa.Uuid(), nullable=False),
        sa.Column("files", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column(
            "delivered_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["submission_id"], ["submission.id"], name=op.f("fk_delivery_submission_id")),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name=op.f("fk_delivery_version_id")),
        sa.ForeignKeyConstraint(["release_id"], ["release.id"], name=op.f("fk_delivery_release_id")),
        sa.ForeignKeyConstraint(["api_key_id"], ["api_key.id"], name=op.f("fk_delivery_api_key_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
        sa.UniqueConstraint("release_id", "api_key_id", "files", name=op.f("delivery_is_acknowledged_once")),
    )
    op.create_index("ix_delivery_submission_id", "delivery", ["submission_id", "delivered_at"])
    op.execute(RULES)
    for table in INSERT_ONLY:
        op.execute(
            f"create trigger {table}_guard before update or delete on {table} "
            "for each row execute function refuse_change()"
        )
        op.execute(
            f"create trigger {table}_truncate before truncate on {table} "
            "for each statement execute function refuse_change()"
        )


def downgrade() -> None:
    op.execute(
        "drop trigger release_takes_turns on release; drop trigger take_back_takes_turns on release;"
        "drop table delivery; drop table turn cascade; drop table feed_entry; drop table feed; drop table epoch;"
        "drop function take_turns(), number_turns(), feed_epoch(), guard_delivery()"
    )
