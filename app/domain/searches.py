"""Words looked for in a register: in answers by the stems of both languages, elsewhere as they are written."""

import re
from typing import Any

from sqlalchemy import ColumnElement, cast, func, literal, literal_column, select, text, type_coerce
from sqlalchemy.dialects.postgresql import TSQUERY

from app.domain import entries, references
from app.domain.columns import Column
from app.models import Call, Entry

LENGTH = 200
EXCERPT = "excerpt"
HIT, PAST = "\x02", "\x03"  # around what was found, in an excerpt
NOTHING = cast(literal(""), TSQUERY)
SAID: ColumnElement[str] = literal_column(
    "(select string_agg(words.one #>> '{}', ' ')"
    """ from jsonb_path_query(version.answers, 'strict $.** ? (@.type() == "string")') as words (one))"""
)


def found_by(call: Call, search: str) -> ColumnElement[bool]:
    """Whether an entry holds the words: in either language, as they are written, by their beginnings, or its reference."""
    words = search.replace("\x00", "")[:LENGTH]
    if reference := references.normalised(words):
        return Entry.reference == reference
    query = tsquery(words)
    whole = query.op("&&")(cast(literal(f"'{entries.word_of(call.id)}'"), TSQUERY))
    return Entry.words.op("@@")(select(whole).scalar_subquery())  # unseen, the index is always the way to find it


def tsquery(words: str) -> ColumnElement[Any]:
    """Words as written and by their beginnings, or by their stems. None twice: each costs as much as there are entries."""
    written, dutch, english = (
        func.websearch_to_tsquery(text(language), words) for language in ("'simple'", "'dutch'", "'english'")
    )
    query: Any = written
    plain = re.findall(r"\w+", words.lower())
    if plain and not re.search(r'["-]|\bor\b', words.lower()):
        beginnings = " & ".join(f"'{word}':*" if len(word) > 2 else f"'{word}'" for word in plain)
        begun = func.to_tsquery(text("'simple'"), beginnings)
        query = begun if plain == words.lower().split() else begun.op("||")(written)  # a word begins with itself
    for stems in (func.nullif(dutch, written), func.nullif(func.nullif(english, written), dutch)):
        query = query.op("||")(func.coalesce(stems, NOTHING))
    return type_coerce(query, TSQUERY).self_group()


def excerpt_column(search: str) -> Column:
    """Where in the answers the words stand, for those dossiers that the reader may open."""
    options = f"MaxFragments=1, MaxWords=20, MinWords=8, StartSel={HIT}, StopSel={PAST}"
    config = text("case when version.language = 'nl' then 'dutch'::regconfig else 'english'::regconfig end")
    value = func.ts_headline(config, SAID, tsquery(search.replace("\x00", "")[:LENGTH]), options)
    return Column(EXCERPT, "text", {}, value, is_sorted=False)
