"""The work on dossiers: assignments, checklists, scores, sign-off, notes and tags, each held by the database.

Every change of that work locks its dossier first, so that what two people do at once happens one after the other: a score
cannot slip in behind a sign-off, nor an assignment behind a conflict. `progress` says for lists how far a dossier is.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0004"
branch_labels = None
depends_on = None

RULES = """
-- The seat of whoever works on a dossier, and what stands at their gate.
create function seat_of(dossier uuid, person uuid) returns text
  language sql stable security definer set search_path = public, pg_temp as
  $$ select a.seat from assignment a where a.submission_id = $1 and a.person_id = $2 and a.ended_at is null $$;

create function coordinates(person uuid) returns boolean
  language sql stable security definer set search_path = public, pg_temp as
  $$ select exists (select from person p where p.id = $1 and p.staff_role in ('coordinator', 'admin')) $$;

create function require_gate(dossier uuid, person uuid) returns void
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  stated text;
begin
  if not exists (select from person p where p.id = $2 and p.staff_role is not null) then
    raise exception 'reader_is_not_assigned' using errcode = 'P0C22';
  end if;
  select level into stated from conflict c where c.submission_id = $1 and c.person_id = $2 and c.replaced_at is null;
  if stated is null then
    raise exception 'conflict_is_not_stated' using errcode = 'P0C27';
  end if;
  if stated = 'conflict' then
    raise exception 'reader_has_a_conflict' using errcode = 'P0C21';
  end if;
end $$;

-- One change of the work on a dossier at a time: what the next one reads, it reads after this one.
create function require_sealed_dossier(dossier uuid) returns void
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform 1 from submission s where s.id = $1 for no key update;
  if not exists (select from submission s join call c on c.id = s.call_id
      where s.id = $1 and c.sealed_at is not null and exists (select from version v where v.submission_id = s.id)) then
    raise exception 'call_is_still_open' using errcode = 'P0C06';
  end if;
end $$;

create function require_unsigned_dossier(dossier uuid) returns void
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform require_sealed_dossier($1);
  if exists (select from sign_off s where s.submission_id = $1 and s.reopened_at is null) then
    raise exception 'dossier_is_signed_off' using errcode = 'P0C20';
  end if;
end $$;

-- The hand-in that counts of a seat; the reconciliation that counts: the last one, over the hand-ins that still count.
create function hand_in_of(dossier uuid, wanted text) returns uuid
  language sql stable security definer set search_path = public, pg_temp as
  $$ select h.id from hand_in h join assignment a on a.id = h.assignment_id
     where a.submission_id = $1 and a.seat = $2 and a.ended_at is null and h.returned_at is null $$;

create function reconciliation_of(dossier uuid) returns uuid
  language sql stable security definer set search_path = public, pg_temp as
  $$ select r.id from (select * from reconciliation r where r.submission_id = $1 order by r.written_at desc, r.id limit 1) r
     where r.agreed_at is not null and r.first_in = hand_in_of($1, 'first') and r.second_in = hand_in_of($1, 'second') $$;

create function has_scores(dossier uuid) returns boolean
  language sql stable security definer set search_path = public, pg_temp as
  $$ select exists (select from score s join assignment a on a.id = s.assignment_id
     where a.submission_id = $1 and a.ended_at is null) $$;

create function progress_of(dossier uuid) returns text
  language sql stable security definer set search_path = public, pg_temp as $$
  select case
    when exists (select from sign_off s where s.submission_id = $1 and s.reopened_at is null) then 'signed_off'
    when exists (select from sign_off s where s.submission_id = $1) then 'reopened'
    when (select count(*) from assignment a where a.submission_id = $1 and a.ended_at is null) < 2 then 'to_assign'
    when reconciliation_of($1) is not null then 'reconciled'
    when hand_in_of($1, 'first') is not null and hand_in_of($1, 'second') is not null then 'both_in'
    when has_scores($1) or hand_in_of($1, 'first') is not null or hand_in_of($1, 'second') is not null
      or exists (select from verdict v where v.submission_id = $1) then 'in_review'
    else 'assigned' end
$$;

create function keep_progress() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into progress (submission_id, state, first_id, second_id, due_on)
    select new.submission_id, progress_of(new.submission_id),
      max(person_id::text) filter (where seat = 'first')::uuid, max(person_id::text) filter (where seat = 'second')::uuid,
      min(due_on)
    from assignment where submission_id = new.submission_id and ended_at is null
  on conflict (submission_id) do update
    set (state, first_id, second_id, due_on) = (excluded.state, excluded.first_id, excluded.second_id, excluded.due_on);
  return null;
end $$;

create function guard_assignment() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  stated text;
begin
  perform require_sealed_dossier(new.submission_id);
  select level into stated from conflict c
    where c.submission_id = new.submission_id and c.person_id = new.person_id and c.replaced_at is null;
  if tg_op = 'UPDATE' then  -- another day, or the end; a signed dossier loses a reader to a conflict only
    if old.ended_at is not null then
      raise exception 'assignment_is_kept' using errcode = 'P0C04';
    end if;
    if stated is distinct from 'conflict' then
      perform require_unsigned_dossier(new.submission_id);
    end if;
    if new.ended_at is not null then
      new.ended_at := clock_timestamp();
    end if;
    return new;
  end if;
  perform require_unsigned_dossier(new.submission_id);
  if not coordinates(new.assigned_by) then
    raise exception 'coordinators_assign' using errcode = 'P0C26';
  end if;
  if not exists (select from person p where p.id = new.person_id and p.staff_role is not null) then
    raise exception 'reader_is_not_assigned' using errcode = 'P0C22';
  end if;
  if stated = 'conflict' then
    raise exception 'reader_has_a_conflict' using errcode = 'P0C21';
  end if;
  if stated = 'possible' and length(trim(new.reason)) = 0 then
    raise exception 'possible_conflict_needs_a_reason' using errcode = 'P0C25';
  end if;
  new.assigned_at := clock_timestamp();
  new.ended_at := null;
  return new;
end $$;

create function lock_dossier_of_conflict() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform 1 from submission s where s.id = new.submission_id for no key update;  -- after an assignment under way
  return new;
end $$;

create function end_assignment_of_conflict() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  update assignment set ended_at = clock_timestamp(), ended_by = new.person_id, end_reason = 'conflict'
    where submission_id = new.submission_id and person_id = new.person_id and ended_at is null;
  return null;
end $$;

create function guard_verdict() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform require_unsigned_dossier(new.submission_id);
  perform require_gate(new.submission_id, new.person_id);
  if seat_of(new.submission_id, new.person_id) is null and not coordinates(new.person_id) then
    raise exception 'reader_is_not_assigned' using errcode = 'P0C22';
  end if;
  new.given_at := clock_timestamp();
  return new;
end $$;

create function require_open_sheet(wanted uuid) returns uuid
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  a assignment;
begin
  select * into a from assignment where id = wanted;
  if a.id is null then
    raise exception 'reader_is_not_assigned' using errcode = 'P0C22';
  end if;
  perform require_unsigned_dossier(a.submission_id);
  select * into a from assignment where id = wanted;  -- once more, after the lock
  if a.ended_at is not null then
    raise exception 'reader_is_not_assigned' using errcode = 'P0C22';
  end if;
  perform require_gate(a.submission_id, a.person_id);
  if exists (select from hand_in h where h.assignment_id = wanted and h.returned_at is null) then
    raise exception 'scores_are_handed_in' using errcode = 'P0C23';
  end if;
  return a.submission_id;
end $$;

create function guard_score() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  new.submission_id := require_open_sheet(new.assignment_id);
  new.saved_at := clock_timestamp();
  return new;
end $$;

create function guard_hand_in() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op = 'UPDATE' then
    perform require_unsigned_dossier(old.submission_id);
    if old.returned_at is not null or new.returned_by is null then
      raise exception 'hand_in_is_kept' using errcode = 'P0C04';
    end if;
    if not coordinates(new.returned_by) then
      raise exception 'coordinators_return_scores' using errcode = 'P0C26';
    end if;
    perform require_gate(old.submission_id, new.returned_by);
    new.returned_at := clock_timestamp();
    return new;
  end if;
  new.submission_id := require_open_sheet(new.assignment_id);
  if exists (select from (select distinct on (criterion) * from score s where s.assignment_id = new.assignment_id
      order by criterion, saved_at desc, id) last where last.points is null or length(trim(last.argument)) = 0) then
    raise exception 'scores_are_not_complete' using errcode = 'P0C24';
  end if;
  new.handed_in_at := clock_timestamp();
  new.returned_at := null;
  return new;
end $$;

create function guard_reconciliation() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform require_unsigned_dossier(new.submission_id);
  if tg_op = 'UPDATE' then  -- the second person agrees, once, to the last one
    if old.agreed_at is not null or new.agreed_by is null
      or exists (select from reconciliation r where r.submission_id = old.submission_id and r.written_at > old.written_at) then
      raise exception 'reconciliation_is_kept' using errcode = 'P0C04';
    end if;
    perform require_gate(new.submission_id, new.agreed_by);
    if seat_of(new.submission_id, new.agreed_by) is null and not coordinates(new.agreed_by) then
      raise exception 'reader_is_not_assigned' using errcode = 'P0C22';
    end if;
    new.agreed_at := clock_timestamp();
    return new;
  end if;
  perform require_gate(new.submission_id, new.written_by);
  if seat_of(new.submission_id, new.written_by) is distinct from 'first' and not coordinates(new.written_by) then
    raise exception 'reader_is_not_assigned' using errcode = 'P0C22';
  end if;
  new.first_in := hand_in_of(new.submission_id, 'first');
  new.second_in := hand_in_of(new.submission_id, 'second');
  if new.first_in is null or new.second_in is null then
    raise exception 'both_are_not_in' using errcode = 'P0C24';
  end if;
  new.written_at := clock_timestamp();
  new.agreed_by := null;
  new.agreed_at := null;
  return new;
end $$;

create function guard_recommendation() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform require_unsigned_dossier(new.submission_id);
  perform require_gate(new.submission_id, new.written_by);
  if coalesce(seat_of(new.submission_id, new.written_by), '-') <> 'first'  -- the second reader signs, so does not write
    and (seat_of(new.submission_id, new.written_by) = 'second' or not coordinates(new.written_by)) then
    raise exception 'reader_is_not_assigned' using errcode = 'P0C22';
  end if;
  new.reconciliation_id := reconciliation_of(new.submission_id);
  if hand_in_of(new.submission_id, 'first') is null or hand_in_of(new.submission_id, 'second') is null
    or (has_scores(new.submission_id) and new.reconciliation_id is null) then
    raise exception 'scores_are_not_reconciled' using errcode = 'P0C24';
  end if;
  new.written_at := clock_timestamp();
  return new;
end $$;

create function guard_sign_off() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  r recommendation;
begin
  if tg_op = 'UPDATE' then
    perform require_sealed_dossier(old.submission_id);
    if old.reopened_at is not null or new.reopened_by is null then
      raise exception 'sign_off_is_kept' using errcode = 'P0C04';
    end if;
    if not coordinates(new.reopened_by) then
      raise exception 'coordinators_reopen' using errcode = 'P0C26';
    end if;
    perform require_gate(old.submission_id, new.reopened_by);
    new.reopened_at := clock_timestamp();
    return new;
  end if;
  perform require_unsigned_dossier(new.submission_id);
  perform require_gate(new.submission_id, new.signed_by);
  if seat_of(new.submission_id, new.signed_by) is distinct from 'second' then
    raise exception 'reader_is_not_assigned' using errcode = 'P0C22';
  end if;
  select * into r from recommendation where submission_id = new.submission_id order by written_at desc, id limit 1;
  if r.id is distinct from new.recommendation_id
    or hand_in_of(new.submission_id, 'first') is null or hand_in_of(new.submission_id, 'second') is null
    or r.reconciliation_id is distinct from reconciliation_of(new.submission_id)
    or (has_scores(new.submission_id) and r.reconciliation_id is null) then
    raise exception 'recommendation_is_not_ready' using errcode = 'P0C24';
  end if;
  if r.written_by = new.signed_by then
    raise exception 'sign_off_needs_two_people' using errcode = 'P0C28';
  end if;
  new.signed_at := clock_timestamp();
  new.reopened_at := null;
  return new;
end $$;

create function guard_note() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform require_sealed_dossier(new.submission_id);
  perform require_gate(new.submission_id, new.person_id);
  new.written_at := clock_timestamp();
  return new;
end $$;

create function guard_mention() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op = 'UPDATE' then
    new.seen_at := coalesce(old.seen_at, clock_timestamp());
    return new;
  end if;
  if exists (select from note n join conflict c on c.submission_id = n.submission_id and c.person_id = new.person_id
      where n.id = new.note_id and c.replaced_at is null and c.level = 'conflict') then
    raise exception 'reader_has_a_conflict' using errcode = 'P0C21';
  end if;
  if not exists (select from person p where p.id = new.person_id and p.staff_role is not null) then
    raise exception 'reader_is_not_assigned' using errcode = 'P0C22';
  end if;
  return new;
end $$;

create function guard_tag() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  perform require_sealed_dossier(new.submission_id);
  if tg_op = 'UPDATE' then
    if old.removed_at is not null or new.removed_by is null then
      raise exception 'tag_is_kept' using errcode = 'P0C04';
    end if;
    perform require_gate(new.submission_id, new.removed_by);
    new.removed_at := clock_timestamp();
    return new;
  end if;
  perform require_gate(new.submission_id, new.added_by);
  new.added_at := clock_timestamp();
  new.removed_at := null;
  return new;
end $$;

create trigger conflict_lock before insert on conflict for each row execute function lock_dossier_of_conflict();
create trigger conflict_ends_assignment after insert on conflict for each row when (new.level = 'conflict')
  execute function end_assignment_of_conflict();
"""

GRANTS = """
grant select on assignment, verdict, score, hand_in, reconciliation, recommendation, sign_off, progress, note, mention, tag
  to eoi_app;
grant insert on assignment, verdict, score, hand_in, reconciliation, recommendation, sign_off, note, mention, tag to eoi_app;
grant update (due_on, ended_at, ended_by, end_reason) on assignment to eoi_app;
grant update (returned_at, returned_by, reason) on hand_in to eoi_app;
grant update (agreed_at, agreed_by) on reconciliation to eoi_app;
grant update (reopened_at, reopened_by, reason) on sign_off to eoi_app;
grant update (seen_at) on mention to eoi_app;
grant update (removed_at, removed_by) on tag to eoi_app;
grant update (reads) on person to eoi_app;
grant execute on function progress_of(uuid) to eoi_app;
"""

GUARDED = {  # what each guard stands before
    "assignment": "insert or update",
    "verdict": "insert",
    "score": "insert",
    "hand_in": "insert or update",
    "reconciliation": "insert or update",
    "recommendation": "insert",
    "sign_off": "insert or update",
    "note": "insert",
    "mention": "insert or update",
    "tag": "insert or update",
}
MOVES = ("assignment", "verdict", "score", "hand_in", "reconciliation", "sign_off")
FUNCTIONS = (
    "seat_of(uuid, uuid)",
    "coordinates(uuid)",
    "require_gate(uuid, uuid)",
    "require_sealed_dossier(uuid)",
    "require_unsigned_dossier(uuid)",
    "hand_in_of(uuid, text)",
    "reconciliation_of(uuid)",
    "has_scores(uuid)",
    "progress_of(uuid)",
    "keep_progress()",
    "guard_assignment()",
    "lock_dossier_of_conflict()",
    "end_assignment_of_conflict()",
    "guard_verdict()",
    "require_open_sheet(uuid)",
    "guard_score()",
    "guard_hand_in()",
    "guard_reconciliation()",
    "guard_recommendation()",
    "guard_sign_off()",
    "guard_note()",
    "guard_mention()",
    "guard_tag()",
)


def upgrade() -> None:
    op.create_table(
        "assignment",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("submission_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("seat", sa.Text(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("batch", sa.Uuid(), nullable=True),
        sa.Column(
            "assigned_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("assigned_by", sa.Uuid(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", sa.Uuid(), nullable=True),
        sa.Column("end_reason", sa.Text(), nullable=True),
        sa.CheckConstraint("seat in ('first', 'second')", name=op.f("seat_is_known")),
        sa.CheckConstraint(
            "ended_at is null or length(trim(end_reason)) > 0", name=op.f("assignment_ends_with_a_reason")
        ),
        sa.ForeignKeyConstraint(["assigned_by"], ["person.id"], name=op.f("fk_assignment_assigned_by")),
        sa.ForeignKeyConstraint(["ended_by"], ["person.id"], name=op.f("fk_assignment_ended_by")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_assignment_person_id")),
        sa.ForeignKeyConstraint(["submission_id"], ["submission.id"], name=op.f("fk_assignment_submission_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignment")),
    )
    op.create_index("ix_assignment_batch", "assignment", ["batch"], postgresql_where=sa.text("batch is not null"))
    op.create_index(
        "ix_assignment_person_id", "assignment", ["person_id"], postgresql_where=sa.text("ended_at is null")
    )
    op.create_index(op.f("ix_assignment_submission_id"), "assignment", ["submission_id"])
    op.create_index(
        "one_reader_a_seat",
        "assignment",
        ["submission_id", "seat"],
        unique=True,
        postgresql_where=sa.text("ended_at is null"),
    )
    op.create_index(
        "one_seat_a_reader",
        "assignment",
        ["submission_id", "person_id"],
        unique=True,
        postgresql_where=sa.text("ended_at is null"),
    )
    op.create_table(
        "note",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("submission_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column(
            "written_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint("length(trim(text)) > 0", name=op.f("note_is_not_empty")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_note_person_id")),
        sa.ForeignKeyConstraint(["submission_id"], ["submission.id"], name=op.f("fk_note_submission_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_note")),
    )
    op.create_index("ix_note_submission_id", "note", ["submission_id", "written_at"])
    op.create_table(
        "progress",
        sa.Column("submission_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("first_id", sa.Uuid(), nullable=True),
        sa.Column("second_id", sa.Uuid(), nullable=True),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.CheckConstraint(
            "state in ('to_assign', 'assigned', 'in_review', 'both_in', 'reconciled', 'signed_off', 'reopened')",
            name=op.f("progress_is_known"),
        ),
        sa.ForeignKeyConstraint(["first_id"], ["person.id"], name=op.f("fk_progress_first_id")),
        sa.ForeignKeyConstraint(["second_id"], ["person.id"], name=op.f("fk_progress_second_id")),
        sa.ForeignKeyConstraint(["submission_id"], ["submission.id"], name=op.f("fk_progress_submission_id")),
        sa.PrimaryKeyConstraint("submission_id", name=op.f("pk_progress")),
    )
    op.create_index(op.f("ix_progress_first_id"), "progress", ["first_id"])
    op.create_index(op.f("ix_progress_second_id"), "progress", ["second_id"])
    op.create_table(
        "tag",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("submission_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("added_by", sa.Uuid(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("removed_by", sa.Uuid(), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("name = trim(name) and length(name) between 1 and 40", name=op.f("tag_is_a_short_word")),
        sa.ForeignKeyConstraint(["added_by"], ["person.id"], name=op.f("fk_tag_added_by")),
        sa.ForeignKeyConstraint(["removed_by"], ["person.id"], name=op.f("fk_tag_removed_by")),
        sa.ForeignKeyConstraint(["submission_id"], ["submission.id"], name=op.f("fk_tag_submission_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tag")),
    )
    op.create_index(
        "tag_hangs_once",
        "tag",
        ["submission_id", sa.literal_column("lower(name)")],
        unique=True,
        postgresql_where=sa.text("removed_at is null"),
    )
    op.create_table(
        "verdict",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("submission_id", sa.Uuid(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("verdict in ('yes', 'no', 'unclear')", name=op.f("verdict_is_known")),
        sa.CheckConstraint("length(trim(reason)) > 0", name=op.f("verdict_has_a_reason")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_verdict_person_id")),
        sa.ForeignKeyConstraint(["submission_id"], ["submission.id"], name=op.f("fk_verdict_submission_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verdict")),
    )
    op.create_index("ix_verdict_submission_id", "verdict", ["submission_id", "given_at"])
    op.create_table(
        "hand_in",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("assignment_id", sa.Uuid(), nullable=False),
        sa.Column("submission_id", sa.Uuid(), nullable=False),
        sa.Column(
            "handed_in_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("returned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("returned_by", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "returned_at is null or length(trim(reason)) > 0", name=op.f("scores_are_returned_with_a_reason")
        ),
        sa.ForeignKeyConstraint(["assignment_id"], ["assignment.id"], name=op.f("fk_hand_in_assignment_id")),
        sa.ForeignKeyConstraint(["returned_by"], ["person.id"], name=op.f("fk_hand_in_returned_by")),
        sa.ForeignKeyConstraint(["submission_id"], ["submission.id"], name=op.f("fk_hand_in_submission_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hand_in")),
    )
    op.create_index(op.f("ix_hand_in_submission_id"), "hand_in", ["submission_id"])
    op.create_index(
        "scores_are_handed_in_once",
        "hand_in",
        ["assignment_id"],
        unique=True,
        postgresql_where=sa.text("returned_at is null"),
    )
    op.create_table(
        "mention",
        sa.Column("note_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["note_id"], ["note.id"], name=op.f("fk_mention_note_id")),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_mention_person_id")),
        sa.PrimaryKeyConstraint("note_id", "person_id", name=op.f("pk_mention")),
    )
    op.create_index(op.f("ix_mention_person_id"), "mention", ["person_id"])
    op.create_table(
        "score",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("assignment_id", sa.Uuid(), nullable=False),
        sa.Column("submission_id", sa.Uuid(), nullable=False),
        sa.Column("criterion", sa.Text(), nullable=False),
        sa.Column("points", sa.Numeric(precision=6, scale=2), nullable=True),
        sa.Column("argument", sa.Text(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.CheckConstraint("points between 0 and 1000", name=op.f("points_are_in_range")),
        sa.ForeignKeyConstraint(["assignment_id"], ["assignment.id"], name=op.f("fk_score_assignment_id")),
        sa.ForeignKeyConstraint(["submission_id"], ["submission.id"], name=op.f("fk_score_submission_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_score")),
    )
    op.create_index("ix_score_assignment_id", "score", ["assignment_id", "saved_at"])
    op.create_table(
        "reconciliation",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("submission_id", sa.Uuid(), nullable=False),
        sa.Column("lines", postgresql.JSONB(), nullable=False),
        sa.Column("total", sa.Numeric(precision=7, scale=4), nullable=False),
        sa.Column("first_in", sa.Uuid(), nullable=False),
        sa.Column("second_in", sa.Uuid(), nullable=False),
        sa.Column("written_by", sa.Uuid(), nullable=False),
        sa.Column(
            "written_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("agreed_by", sa.Uuid(), nullable=True),
        sa.Column("agreed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("agreed_by <> written_by", name=op.f("reconciliation_needs_two_people")),
        sa.ForeignKeyConstraint(["agreed_by"], ["person.id"], name=op.f("fk_reconciliation_agreed_by")),
        sa.ForeignKeyConstraint(["first_in"], ["hand_in.id"], name=op.f("fk_reconciliation_first_in")),
        sa.ForeignKeyConstraint(["second_in"], ["hand_in.id"], name=op.f("fk_reconciliation_second_in")),
        sa.ForeignKeyConstraint(["submission_id"], ["submission.id"], name=op.f("fk_reconciliation_submission_id")),
        sa.ForeignKeyConstraint(["written_by"], ["person.id"], name=op.f("fk_reconciliation_written_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliation")),
    )
    op.create_index("ix_reconciliation_submission_id", "reconciliation", ["submission_id", "written_at"])
    op.create_table(
        "recommendation",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("submission_id", sa.Uuid(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("reconciliation_id", sa.Uuid(), nullable=True),
        sa.Column("written_by", sa.Uuid(), nullable=False),
        sa.Column(
            "written_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint("length(trim(text)) > 0", name=op.f("recommendation_has_a_text")),
        sa.ForeignKeyConstraint(
            ["reconciliation_id"], ["reconciliation.id"], name=op.f("fk_recommendation_reconciliation_id")
        ),
        sa.ForeignKeyConstraint(["submission_id"], ["submission.id"], name=op.f("fk_recommendation_submission_id")),
        sa.ForeignKeyConstraint(["written_by"], ["person.id"], name=op.f("fk_recommendation_written_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recommendation")),
    )
    op.create_index("ix_recommendation_submission_id", "recommendation", ["submission_id", "written_at"])
    op.create_table(
        "sign_off",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("submission_id", sa.Uuid(), nullable=False),
        sa.Column("recommendation_id", sa.Uuid(), nullable=False),
        sa.Column("signed_by", sa.Uuid(), nullable=False),
        sa.Column("signed_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("reopened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reopened_by", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.CheckConstraint("reopened_at is null or length(trim(reason)) > 0", name=op.f("reopening_has_a_reason")),
        sa.ForeignKeyConstraint(
            ["recommendation_id"], ["recommendation.id"], name=op.f("fk_sign_off_recommendation_id")
        ),
        sa.ForeignKeyConstraint(["reopened_by"], ["person.id"], name=op.f("fk_sign_off_reopened_by")),
        sa.ForeignKeyConstraint(["signed_by"], ["person.id"], name=op.f("fk_sign_off_signed_by")),
        sa.ForeignKeyConstraint(["submission_id"], ["submission.id"], name=op.f("fk_sign_off_submission_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_off")),
    )
    op.create_index(
        "dossier_is_signed_off_once",
        "sign_off",
        ["submission_id"],
        unique=True,
        postgresql_where=sa.text("reopened_at is null"),
    )
    op.create_index(op.f("ix_sign_off_submission_id"), "sign_off", ["submission_id"])
    op.create_index("ix_event_person_id", "event", ["person_id", "id"])
    op.add_column("person", sa.Column("reads", postgresql.ARRAY(sa.Text()), nullable=True))
    op.execute(RULES)
    for table, verbs in GUARDED.items():
        op.execute(
            f"create trigger {table}_guard before {verbs} on {table} for each row execute function guard_{table}()"
        )
    for table in MOVES:
        op.execute(
            f"create trigger {table}_moves after insert or update on {table} for each row execute function keep_progress()"
        )
    op.execute(f"revoke all on function {', '.join(FUNCTIONS)} from public")
    op.execute(GRANTS)


def downgrade() -> None:
    op.execute("drop trigger conflict_lock on conflict; drop trigger conflict_ends_assignment on conflict")
    for table in ("progress", "sign_off", "recommendation", "reconciliation", "hand_in", "score", "verdict"):
        op.drop_table(table)
    for table in ("mention", "note", "tag", "assignment"):
        op.drop_table(table)
    op.drop_index("ix_event_person_id", "event")
    op.drop_column("person", "reads")
    op.execute(f"drop function {', '.join(FUNCTIONS)} cascade")
