"""The gate before a dossier, and what was released to EuroHPC: statements of conflict, releases, how a call releases."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

RULES = """
create function guard_conflict() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op = 'UPDATE' then  -- a statement gives way to a later one, once; what it said stays
    if old.replaced_at is not null then
      raise exception 'statement_is_kept' using errcode = 'P0C04';
    end if;
    new.replaced_at := clock_timestamp();
    return new;
  end if;
  if not exists (select from submission s join call c on c.id = s.call_id
      where s.id = new.submission_id and c.sealed_at is not null) then
    raise exception 'call_is_still_open' using errcode = 'P0C06';
  end if;
  new.stated_at := clock_timestamp();
  return new;
end $$;
create trigger guard_conflict before insert or update on conflict for each row execute function guard_conflict();

create function guard_release() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op = 'UPDATE' then
    if old.taken_back_at is not null then
      raise exception 'release_is_kept' using errcode = 'P0C04';
    end if;
    new.taken_back_at := clock_timestamp();
    return new;
  end if;
  if not exists (select from leaf l join version v on v.id = l.version_id
      where l.submission_id = new.submission_id and l.version_id = new.version_id and l.state = 'standing'
        and v.is_consented) then
    raise exception 'nothing_to_release' using errcode = 'P0C09';
  end if;
  new.released_at := clock_timestamp();
  return new;
end $$;
create trigger guard_release before insert or update on release for each row execute function guard_release();

create function release_at_seal() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into release (submission_id, version_id)
    select l.submission_id, l.version_id from sealed l join call c on c.id = l.call_id join version v on v.id = l.version_id
    where c.release = 'at_seal' and l.state = 'standing' and v.is_consented;
  return null;
end $$;
create trigger release_at_seal after insert on leaf referencing new table as sealed
  for each statement execute function release_at_seal();

grant select on conflict, release to eoi_app;
grant insert on conflict, release to eoi_app;
grant update (replaced_at) on conflict to eoi_app;
grant update (taken_back_at, taken_back_by, reason) on release to eoi_app;
revoke all on function guard_conflict(), guard_release(), release_at_seal() from public;
"""


def upgrade() -> None:
    op.add_column("call", sa.Column("release", sa.Text(), server_default="at_seal", nullable=False))
    op.create_check_constraint("call_release_is_known", "call", "release in ('at_seal', 'by_coordinator')")
    op.create_table(
        "conflict",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("submission_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("stated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("level in ('none', 'possible', 'conflict')", name=op.f("conflict_level_is_known")),
        sa.CheckConstraint("level = 'none' or length(trim(reason)) > 0", name=op.f("conflict_has_a_reason")),
        sa.ForeignKeyConstraint(["submission_id"], ["submission.id"], name=op.f("fk_conflict_submission_id")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_conflict_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conflict")),
    )
    op.create_index(
        "conflict_is_stated_once",
        "conflict",
        ["person_id", "submission_id"],
        unique=True,
        postgresql_where=sa.text("replaced_at is null"),
    )
    op.create_index(op.f("ix_conflict_submission_id"), "conflict", ["submission_id"])
    op.create_table(
        "release",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("submission_id", sa.Uuid(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column(
            "released_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("released_by", sa.Uuid(), nullable=True),
        sa.Column("taken_back_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("taken_back_by", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "taken_back_at is null or length(trim(reason)) > 0", name=op.f("release_is_taken_back_with_a_reason")
        ),
        sa.ForeignKeyConstraint(["submission_id"], ["submission.id"], name=op.f("fk_release_submission_id")),
        sa.ForeignKeyConstraint(["version_id"], ["version.id"], name=op.f("fk_release_version_id")),
        sa.ForeignKeyConstraint(["released_by"], ["person.id"], name=op.f("fk_release_released_by")),
        sa.ForeignKeyConstraint(["taken_back_by"], ["person.id"], name=op.f("fk_release_taken_back_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_release")),
    )
    op.create_index(
        "submission_is_released_once",
        "release",
        ["submission_id"],
        unique=True,
        postgresql_where=sa.text("taken_back_at is null"),
    )
    op.execute(RULES)


def downgrade() -> None:
    op.execute("drop trigger release_at_seal on leaf; drop function release_at_seal()")
    op.drop_table("release")
    op.drop_table("conflict")
    op.execute("drop function guard_conflict(); drop function guard_release()")
    op.drop_column("call", "release")
