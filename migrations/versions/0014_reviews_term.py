"""Retention of what readers wrote: a class of its own, destroyed like the others, on two coordinators' word.

A statement of conflict stays as long as the content of the dossier that it closes: without it the dossier would show itself.
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

SUBJECTS = """
alter table destruction drop constraint destruction_sort_is_known;
alter table destruction add constraint destruction_sort_is_known check (
  sort in ('drafts', 'submissions', 'reviews', 'withdrawn', 'attempts', 'mails', 'sign_ins'));

-- Whether anything of what was submitted is still there to be read.
create function has_content(dossier uuid) returns boolean
  language sql stable security definer set search_path = public, pg_temp as
  $$ select exists (select from version v where v.submission_id = $1 and v.destruction_id is null) $$;

-- What readers wrote about the dossiers of a call, each with the instant that its term counts from.
create function review_rows(wanted uuid) returns table (submission_id uuid, at timestamptz)
  language sql stable security definer set search_path = public, pg_temp as $$
  select r.submission_id, r.at from submission s join (
    select a.submission_id, coalesce(a.ended_at, a.assigned_at) as at from assignment a
    union all select v.submission_id, v.given_at from verdict v
    union all select p.submission_id, p.saved_at from score p
    union all select h.submission_id, coalesce(h.returned_at, h.handed_in_at) from hand_in h
    union all select r.submission_id, coalesce(r.agreed_at, r.written_at) from reconciliation r
    union all select r.submission_id, r.written_at from recommendation r
    union all select o.submission_id, coalesce(o.reopened_at, o.signed_at) from sign_off o
    union all select n.submission_id, n.written_at from note n
    union all select t.submission_id, coalesce(t.removed_at, t.added_at) from tag t
    union all select c.submission_id, c.stated_at from conflict c where not has_content(c.submission_id)
  ) r on r.submission_id = s.id where s.call_id = wanted $$;

alter function retention_subjects(uuid, text) rename to retention_subjects_beside_reviews;
create function retention_subjects(wanted uuid, wanted_sort text)
  returns table (id uuid, at timestamptz, months integer, kept text)
  language sql stable security definer set search_path = public, pg_temp as $$
  select r.id, r.at, r.months, r.kept from retention_subjects_beside_reviews(wanted, wanted_sort) r
    where wanted_sort <> 'reviews'
  union all
  select r.submission_id, max(r.at), retention_months(wanted, wanted_sort), keeps_dossier(r.submission_id)
    from review_rows(wanted) r where wanted_sort = 'reviews' group by r.submission_id $$;
"""

DESTRUCTION = """
-- What readers wrote about these dossiers goes; how many rows of each went is said per dossier, for the certificate.
create function destroy_reviews(due uuid[]) returns jsonb
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  of_name text;
  gone jsonb := '{}';
  counted jsonb;
begin
  delete from mention where note_id in (select id from note where submission_id = any (due));
  foreach of_name in array
      array['sign_off', 'recommendation', 'reconciliation', 'score', 'hand_in', 'verdict', 'note', 'tag', 'assignment', 'conflict'] loop
    execute format('with going as (delete from %I t where t.submission_id = any ($1) %s returning t.submission_id)
        select coalesce(jsonb_object_agg(submission_id, number), ''{}'') from (
          select submission_id, count(*) as number from going group by 1) c', of_name,
      case when of_name = 'conflict' then 'and not has_content(t.submission_id)' else '' end) into counted using due;
    gone := gone || jsonb_build_object(of_name, counted);
  end loop;
  delete from progress where submission_id = any (due);
  return (select jsonb_agg(jsonb_build_object('reference', s.reference, 'files', '[]'::jsonb, 'records', (
      select jsonb_object_agg(g.key, g.value -> s.id::text) from jsonb_each(gone) g where g.value ? s.id::text)) order by s.reference)
    from submission s where s.id = any (due));
end $$;

create or replace function destroy(wanted uuid, confirmer uuid) returns jsonb
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
  elsif found.sort = 'reviews' then
    said := said || jsonb_build_object('dossiers', destroy_reviews(due));
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

revoke all on function review_rows(uuid), has_content(uuid), destroy_reviews(uuid[]) from public;
"""


def upgrade() -> None:
    op.execute(SUBJECTS)
    op.execute(DESTRUCTION)
