"""What a call asks before it takes a version, held by the database too: mandates of all that take part, the lead's word.

Both are read from the version itself: its content is put into canonical JSON here, as Python does, and its digest is
looked for among what was signed or confirmed. A definition says in two columns whether its call asks; where it asks
nothing, nothing more is done.
"""

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

ASKED = """
alter table definition
  add column asks_mandates boolean not null generated always as (coalesce(body ->> 'mandates' = 'required', false)) stored,
  add column asks_confirmation boolean not null generated always as (coalesce(body ->> 'confirmation' = 'lead', false)) stored;
"""

RULES = """
-- RFC 8785 of answers: names in ASCII, no numbers but whole ones. A test holds it against what Python gives.
create function canonical(document jsonb) returns text language sql immutable as $$
  select case jsonb_typeof(document)
    when 'object' then '{' || coalesce((
      select string_agg(to_json(key)::text || ':'
        || case when jsonb_typeof(value) in ('object', 'array') then canonical(value) else value::text end,
        ',' order by key collate "C")
      from jsonb_each(document)), '') || '}'
    when 'array' then '[' || coalesce((
      select string_agg(canonical(value), ',' order by place)
      from jsonb_array_elements(document) with ordinality as item (value, place)), '') || ']'
    else document::text end $$;

create function canonical_sha256(document jsonb) returns text
  language sql immutable as
  $$ select encode(sha256(convert_to(canonical(document), 'UTF8')), 'hex') $$;

-- Each organisation that stands in the answers has signed for exactly what they say of it; the lead itself need not.
create function require_mandates(v version) returns void
  language plpgsql stable security definer set search_path = public, pg_temp as $$
declare
  parts jsonb := (select body::jsonb #> '{parts,entities}' from definition where digest = v.definition_digest);
  items jsonb := v.answers -> (parts ->> 'list');
  leads integer;
begin
  if jsonb_typeof(items) is distinct from 'array' then
    return;
  end if;
  select coalesce(min(place), 1) into leads from jsonb_array_elements(items) with ordinality as of (item, place)
    where item ->> (parts ->> 'role') = parts ->> 'lead';
  perform from jsonb_array_elements(items) with ordinality as of (item, place)
    left join lateral (select p.id from participation p where p.submission_id = v.submission_id and p.role = 'partner'
      and p.ended_at is null and p.place = of.place - 1 order by p.invited_at desc, p.id desc limit 1) partner on true
    where (of.place <> leads or partner.id is not null)
      and (select m.answers_sha256 from mandate m where m.participation_id = partner.id order by m.signed_at desc limit 1)
        is distinct from canonical_sha256(item);
  if found then
    raise exception 'mandate_is_missing' using errcode = 'P0C96';
  end if;
end $$;

-- An owner of the lead submits, or confirmed exactly this content.
create function require_confirmation(v version) returns void
  language plpgsql stable security definer set search_path = public, pg_temp as $$
begin
  if leads_case(v.submitted_by, v.submission_id) then
    return;
  end if;
  perform from submission s join call c on c.id = s.call_id join confirmation f on f.submission_id = s.id
    where s.id = v.submission_id and f.content_sha256 = canonical_sha256(jsonb_build_object(
      'answers', v.answers, 'call', c.code, 'definition', v.definition_digest, 'files', v.files,
      'format', 'eoi-submission/1', 'kind', v.kind, 'reference', s.reference, 'warnings', v.findings));
  if not found then
    raise exception 'lead_has_not_confirmed' using errcode = 'P0C97';
  end if;
end $$;

create or replace function guard_version() returns trigger
  language plpgsql security definer set search_path = public, pg_temp as $$
declare
  asked record;
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
  select d.asks_mandates, d.asks_confirmation into asked
    from call c join definition d on d.digest = c.definition_digest where c.id = new.call_id;
  if asked.asks_mandates then
    perform require_mandates(new);
  end if;
  if asked.asks_confirmation then
    perform require_confirmation(new);
  end if;
  return new;
end $$;
"""

GRANTS = """
revoke all on function canonical(jsonb), canonical_sha256(jsonb), require_mandates(version), require_confirmation(version)
  from public;
"""


def upgrade() -> None:
    for part in (ASKED, RULES, GRANTS):
        op.execute(part)
