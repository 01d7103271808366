"""The judgement: what a check found on a draft and what a submit of it would hold, kept with the state that was judged.

It counts for nothing by itself: a submit takes it only where its `state` is the draft's as it stands. Like all that an
applicant writes, it is written inside the window only.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

JUDGEMENT = """
create table judgement (
  submission_id uuid not null constraint pk_judgement primary key
    constraint fk_judgement_submission_id references submission,
  state text not null,
  judged_at timestamptz not null default clock_timestamp(),
  found jsonb not null,
  errors text[] not null,
  contact text not null,
  title text not null,
  is_consented boolean not null,
  answers jsonb not null,
  files jsonb not null,
  warnings jsonb not null,
  facts jsonb not null,
  opening text not null,
  ending text not null
);

create function guard_judgement() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  new.judged_at := require_open_case(new.submission_id);
  return new;
end $$;

create trigger judgement_guard before insert or update on judgement
  for each row execute function guard_judgement();

grant select, insert, update (state, judged_at, found, errors, contact, title, is_consented, answers, files, warnings,
  facts, opening, ending) on judgement to eoi_app;
"""


def upgrade() -> None:
    op.execute(JUDGEMENT)
