"""JSON Schema of what an export of a call holds: a submission of each kind of respondent, and the manifest at its end."""

from typing import Any, Literal

from pydantic import Field, TypeAdapter

from app.api.handed import Cursor
from app.api.schemas import REFERENCE, CallCode, Instant, Sha256, Strict, Submission
from app.domain import schema
from app.domain.questionnaire import Questionnaire


class Whole(Strict):
    """All that there was to read at that instant."""

    count: int = Field(ge=0)
    root: Sha256 = Field(description="Of the tree over reference, version and digest of each: docs/formats.md.")


class Manifest(Strict):
    """The last line of an export."""

    format: Literal["eoi-manifest/1"]
    call: CallCode
    definition: Sha256
    after: str | None = Field(pattern=REFERENCE, description="Behind which submission it began; null from the first.")
    count: int = Field(ge=0, description="Submissions in it.")
    sha256: Sha256 = Field(description="Over the lines of NDJSON, line breaks included.")
    whole: Whole
    cursor: Cursor = Field(description="Where the feed stood at that instant.")
    generated_at: Instant


def line_schema(questions: Questionnaire, code: str) -> dict[str, Any]:
    """What each line of `export.ndjson` is, and each document of a submission: all of it named, nothing beside it."""
    made: dict[str, Any] = TypeAdapter(Submission | Manifest).json_schema(ref_template="#/$defs/{model}")
    parts = made["$defs"]
    general = parts.pop("Submission")
    parts.pop("Section")
    for kind in questions.respondents:
        parts[kind] = _of_kind(general, parts, questions, kind, code)
    parts["Manifest"]["properties"] |= {"call": {"const": code}, "definition": {"const": questions.digest}}
    return {
        "$schema": schema.DIALECT,
        "$id": f"urn:eoi:{questions.digest}:export:{code}",
        "title": f"{questions.title['en']}: a line of the export",
        "oneOf": [*({"$ref": f"#/$defs/{kind}"} for kind in questions.respondents), {"$ref": "#/$defs/Manifest"}],
        "$defs": parts,
    }


def _of_kind(
    general: dict[str, Any], parts: dict[str, Any], questions: Questionnaire, kind: str, code: str
) -> dict[str, Any]:
    named = schema.names(questions, kind)
    file, warning = parts["File"], parts["Warning"]
    own = {
        "call": {"const": code},
        "definition": {"const": questions.digest},
        "kind": {"const": kind},
        "facts": schema.facts(questions),
        "files": {"type": "array", "items": _narrowed(file, question=named["files"], section=named["sections"])},
        "warnings": {"type": "array", "items": _narrowed(warning, code=named["warnings"])},
        **schema.sections(questions, kind),
    }
    return general | {"title": questions.respondents[kind].title["en"], "properties": general["properties"] | own}


def _narrowed(model: dict[str, Any], **named: list[str]) -> dict[str, Any]:
    """A shape, some of whose members are one of the names that the call has for them."""
    given = {name: model["properties"][name] | {"enum": values} for name, values in named.items()}
    return model | {"properties": model["properties"] | given}
