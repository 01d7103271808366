"""The register of a sealed call, prepared once after the seal: entries, places, facets, what is shared; and saved views."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = """
create table entry (
  call_id uuid not null,
  position integer not null,
  submission_id uuid not null constraint fk_entry_submission_id references submission,
  version_id uuid not null constraint fk_entry_version_id references version,
  reference text not null,
  title text not null,
  organisation text not null,
  kind text not null,
  country text not null,
  received_at timestamptz not null,
  number integer not null,
  is_consented boolean not null,
  is_withdrawn boolean not null,
  facts jsonb not null,
  warnings text[] not null,
  flags text[] not null,
  labels text[] not null,
  words tsvector not null,
  constraint pk_entry primary key (call_id, position),
  constraint submission_is_entered_once unique (submission_id),
  constraint fk_entry_leaf foreign key (call_id, position) references leaf (call_id, position)
);
create index ix_entry_words on entry using gin (words);
create table place (
  call_id uuid not null,
  name text not null,
  position integer not null,
  up integer not null,
  down integer not null,
  constraint pk_place primary key (call_id, name, position),
  constraint fk_place_entry foreign key (call_id, position) references entry (call_id, position)
);
create unique index ix_place_up on place (call_id, name, up) include (position);
create unique index ix_place_down on place (call_id, name, down) include (position);
create table facet_value (
  call_id uuid not null constraint fk_facet_value_call_id references call,
  name text not null,
  value text not null,
  bits bytea not null,
  constraint pk_facet_value primary key (call_id, name, value)
);
create table trait (
  call_id uuid not null,
  position integer not null,
  number integer not null,
  sort text not null,
  key text not null,
  name text not null,
  latitude double precision,
  longitude double precision,
  constraint pk_trait primary key (call_id, position, number),
  constraint fk_trait_entry foreign key (call_id, position) references entry (call_id, position)
);
create index ix_trait_key on trait (call_id, sort, key);
create table listing (
  call_id uuid not null constraint pk_listing primary key constraint fk_listing_call_id references call,
  size integer not null,
  least jsonb not null,
  prepared_at timestamptz not null default clock_timestamp()
);
create table view (
  id uuid not null default gen_random_uuid() constraint pk_view primary key,
  call_id uuid not null constraint fk_view_call_id references call,
  person_id uuid not null constraint fk_view_person_id references person,
  name text not null constraint view_has_a_name check (length(trim(name)) > 0),
  query text not null,
  is_shared boolean not null,
  created_at timestamptz not null default clock_timestamp(),
  constraint view_name_is_unique unique (call_id, person_id, name)
);
"""

# What is prepared of sealed content is written once; a flag is added to an entry when what others share with it is known.
GRANTS = """
grant select, insert on entry, place, facet_value, trait, listing, view to eoi_app;
grant update (flags, labels) on entry to eoi_app;
grant update (name, is_shared), delete on view to eoi_app;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(GRANTS)


def downgrade() -> None:
    op.execute("drop table view, listing, trait, facet_value, place, entry")
