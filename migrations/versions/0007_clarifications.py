"""Questions to respondents after the seal, and their answers beside the sealed version; who may release a dossier."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

RULES = """
create function guard_clarification() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op = 'INSERT' then
    perform 1 from submission where id = new.submission_id for no key update;  -- one number at a time
    if not exists (select from submission s join call c on c.id = s.call_id join version v on v.submission_id = s.id
        where s.id = new.submission_id and c.sealed_at is not null) then
      raise exception 'call_is_still_open' using errcode = 'P0C06';
    end if;
    new.number := 1 + coalesce((select max(number) from clarification where submission_id = new.submission_id), 0);
    new.asked_at := clock_timestamp();
    new.withdrawn_at := null;
    new.withdrawn_by := null;
    new.withdrawn_because := null;
    if new.due_at <= new.asked_at then
      raise exception 'due_date_has_passed' using errcode = 'P0C33';
    end if;
    return new;
  end if;
  if old.withdrawn_at is not null then
    raise exception 'clarification_is_withdrawn' using errcode = 'P0C31';
  end if;
  if exists (select from answer where clarification_id = old.id) then
    raise exception 'clarification_is_answered' using errcode = 'P0C32';
  end if;
  if new.due_at is distinct from old.due_at then  -- only guard_extension may: the serving role has no right to it
    old.due_at := new.due_at;
    return old;
  end if;
  old.withdrawn_at := clock_timestamp();
  old.withdrawn_by := new.withdrawn_by;
  old.withdrawn_because := new.withdrawn_because;
  return old;
end $$;
create trigger clarification_guard before insert or update on clarification
  for each row execute function guard_clarification();

create function guard_extension() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  found clarification;
begin
  select * into found from clarification where id = new.clarification_id for update;  -- waits for an answer under way
  new.extended_at := clock_timestamp();
  new.due_from := found.due_at;
  if new.due_to <= new.extended_at or new.due_to <= found.due_at then
    raise exception 'due_date_has_passed' using errcode = 'P0C33';
  end if;
  update clarification set due_at = new.due_to where id = found.id;
  return new;
end $$;
create trigger extension_stamp before insert on extension for each row execute function guard_extension();

create function guard_answer() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  found clarification;
begin
  select * into found from clarification where id = new.clarification_id for update;  -- waits for an extension under way
  new.answered_at := clock_timestamp();                                              -- after the lock, as at the cutoff
  if found.withdrawn_at is not null then
    raise exception 'clarification_is_withdrawn' using errcode = 'P0C31';
  end if;
  if exists (select from answer where clarification_id = found.id) then
    raise exception 'clarification_is_answered' using errcode = 'P0C32';
  end if;
  if new.answered_at >= found.due_at then
    raise exception 'clarification_is_overdue' using errcode = 'P0C30', detail = to_char_utc(new.answered_at);
  end if;
  return new;
end $$;
create trigger answer_stamp before insert on answer for each row execute function guard_answer();

-- With the rights of whoever inserts, so that it can tell the seal's own releases from those of the serving role.
create or replace function guard_release() returns trigger
  language plpgsql security invoker set search_path = public, pg_temp as $$
begin
  if tg_op = 'UPDATE' then
    if old.taken_back_at is not null then
      raise exception 'release_is_kept' using errcode = 'P0C04';
    end if;
    if new.taken_back_by is null or not is_coordinator(new.taken_back_by) then
      raise exception 'needs_a_coordinator' using errcode = 'P0C34';
    end if;
    new.taken_back_at := clock_timestamp();
    return new;
  end if;
  if current_user = 'eoi_app' and (new.released_by is null or not is_coordinator(new.released_by)) then
    raise exception 'needs_a_coordinator' using errcode = 'P0C34';
  end if;
  if not exists (select from leaf l join version v on v.id = l.version_id
      where l.submission_id = new.submission_id and l.version_id = new.version_id and l.state = 'standing'
        and v.is_consented) then
    raise exception 'nothing_to_release' using errcode = 'P0C09';
  end if;
  new.released_at := clock_timestamp();
  new.taken_back_at := null;
  new.taken_back_by := null;
  new.reason := null;
  return new;
end $$;

create function guard_conclusion() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if not exists (select from call where id = new.call_id and sealed_at is not null) then
    raise exception 'call_is_still_open' using errcode = 'P0C06';
  end if;
  if not is_coordinator(new.concluded_by) then
    raise exception 'needs_a_coordinator' using errcode = 'P0C34';
  end if;
  new.concluded_at := clock_timestamp();
  return new;
end $$;
create trigger conclusion_stamp before insert on conclusion for each row execute function guard_conclusion();

grant select, insert on clarification, extension, answer, conclusion to eoi_app;
grant update (withdrawn_at, withdrawn_by, withdrawn_because) on clarification to eoi_app;
revoke all on function guard_clarification(), guard_extension(), guard_answer(), guard_conclusion() from public;
"""


def upgrade() -> None:
    op.create_table(
        "clarification",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("submission_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("asked_by", sa.Uuid(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_by", sa.Uuid(), nullable=True),
        sa.Column("withdrawn_because", sa.Text(), nullable=True),
        sa.CheckConstraint("length(trim(words)) > 0", name=op.f("clarification_says_something")),
        sa.CheckConstraint(
            "withdrawn_at is null or length(trim(withdrawn_because)) > 0",
            name=op.f("clarification_is_withdrawn_with_a_reason"),
        ),
        sa.ForeignKeyConstraint(["submission_id"], ["submission.id"], name=op.f("fk_clarification_submission_id")),
        sa.ForeignKeyConstraint(["asked_by"], ["person.id"], name=op.f("fk_clarification_asked_by")),
        sa.ForeignKeyConstraint(["withdrawn_by"], ["person.id"], name=op.f("fk_clarification_withdrawn_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clarification")),
        sa.UniqueConstraint("submission_id", "number", name="clarification_number_is_unique"),
    )
    op.create_table(
        "extension",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("clarification_id", sa.Uuid(), nullable=False),
        sa.Column("due_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_to", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "extended_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("extended_by", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["clarification_id"], ["clarification.id"], name=op.f("fk_extension_clarification_id")),
        sa.ForeignKeyConstraint(["extended_by"], ["person.id"], name=op.f("fk_extension_extended_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_extension")),
    )
    op.create_index(op.f("ix_extension_clarification_id"), "extension", ["clarification_id"])
    op.create_table(
        "answer",
        sa.Column("clarification_id", sa.Uuid(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("files", postgresql.JSONB(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column(
            "answered_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("answered_by", sa.Uuid(), nullable=False),
        sa.CheckConstraint("length(trim(words)) > 0", name=op.f("answer_says_something")),
        sa.ForeignKeyConstraint(["clarification_id"], ["clarification.id"], name=op.f("fk_answer_clarification_id")),
        sa.ForeignKeyConstraint(["answered_by"], ["person.id"], name=op.f("fk_answer_answered_by")),
        sa.PrimaryKeyConstraint("clarification_id", name=op.f("pk_answer")),
    )
    op.create_table(
        "conclusion",
        sa.Column("call_id", sa.Uuid(), nullable=False),
        sa.Column(
            "concluded_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("concluded_by", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["call_id"], ["call.id"], name=op.f("fk_conclusion_call_id")),
        sa.ForeignKeyConstraint(["concluded_by"], ["person.id"], name=op.f("fk_conclusion_concluded_by")),
        sa.PrimaryKeyConstraint("call_id", name=op.f("pk_conclusion")),
    )
    op.create_index(op.f("ix_release_submission_id"), "release", ["submission_id"])
    op.execute(RULES)
    for table in ("extension", "answer", "conclusion"):
        op.execute(
            f"create trigger {table}_guard before update or delete on {table} "
            "for each row execute function refuse_change()"
        )
    op.execute(
        "create trigger clarification_keep before delete on clarification for each row execute function refuse_change()"
    )
    for table in ("clarification", "extension", "answer", "conclusion"):
        op.execute(
            f"create trigger {table}_truncate before truncate on {table} "
            "for each statement execute function refuse_change()"
        )
