"""Who acts for another organisation in a submission says so: for whom, on which ground, and in which file that stands."""

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

COLUMNS = """
alter table participation
  add column acts_for text not null default '',
  add column document_sha256 text constraint participation_document_is_hex check (document_sha256 ~ '^[0-9a-f]{64}$');
grant update (organisation, mandate, acts_for, document_sha256) on participation to eoi_app;
"""

RULES = """
create or replace function guard_participation() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if tg_op = 'DELETE' then
    if is_destroying() then
      return old;
    end if;
    raise exception 'participation_is_never_deleted' using errcode = 'P0C04';
  end if;
  if tg_op = 'INSERT' then
    new.invited_at := require_open_case(new.submission_id);
    new.accepted_at := null; new.ended_by := null; new.ended_at := null;
    new.acts_for := ''; new.document_sha256 := null;  -- theirs to say
    if not leads_case(new.invited_by, new.submission_id) and not exists (
        select from participation p where p.submission_id = new.submission_id and p.person_id = new.invited_by
          and p.role = 'owner' and p.accepted_at is not null and p.ended_at is null) then
      raise exception 'owners_invite' using errcode = 'P0C86';
    end if;
    return new;
  end if;
  if old.ended_at is not null then
    raise exception 'participation_is_over' using errcode = 'P0C80';
  end if;
  if new.ended_at is not null then  -- at any time: whoever must not see it any more does not wait for a window
    old.ended_at := clock_timestamp();
    old.ended_by := new.ended_by;
    return old;
  end if;
  if new.accepted_at is not null and old.accepted_at is null then
    old.accepted_at := require_open_case(old.submission_id);
  elsif new.place is distinct from old.place then
    perform require_open_case(old.submission_id);
    old.place := new.place;
  elsif old.accepted_at is not null and old.role in ('owner', 'editor')
      and (new.organisation, new.mandate, new.acts_for, new.document_sha256)
        is distinct from (old.organisation, old.mandate, old.acts_for, old.document_sha256) then
    perform require_open_case(old.submission_id);
    old.organisation := new.organisation; old.mandate := new.mandate;
    old.acts_for := new.acts_for; old.document_sha256 := new.document_sha256;
  else
    raise exception 'participation_is_over' using errcode = 'P0C80';  -- a link works once
  end if;
  return old;  -- the only things that may change
end $$;
"""


def upgrade() -> None:
    for part in (COLUMNS, RULES):
        op.execute(part)
