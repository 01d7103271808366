"""What the API sends, described for its readers. Times are RFC 3339 in UTC, money is EUR as text with two decimals."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

REFERENCE = r"^[0-9A-Z]{5}-[0-9A-Z]{5}-[0-9A-Z]{4}$"
SHA256 = r"^[0-9a-f]{64}$"

Reference = Annotated[str, Field(pattern=REFERENCE, examples=["0KQ3V-9XM2T-7RWC"])]
Sha256 = Annotated[
    str, Field(pattern=SHA256, examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"])
]
Instant = Annotated[datetime, Field(examples=["2027-06-20T14:58:03.214159Z"])]
CallCode = Annotated[str, Field(examples=["aigf-eoi"])]
Kind = Annotated[
    Literal["MS", "FC", "OO"],
    Field(description="MS a member state, FC a firm headquartered in the EU, OO another organisation."),
]


class Strict(BaseModel):
    """What is sent holds what is described here and nothing else."""

    model_config = ConfigDict(extra="forbid")


class Text(Strict):
    """One text in the two languages of the portal."""

    en: str
    nl: str


class Counts(Strict):
    """How much there is, never what: the counts are known before the cutoff too."""

    submitted: dict[str, int] = Field(
        description="Submitted and not withdrawn, by kind of respondent.", examples=[{"FC": 61, "MS": 4, "OO": 11}]
    )
    withdrawn: int = Field(description="Submitted and withdrawn.", examples=[2])
    released: int | None = Field(
        description="How many submissions this key can read: submitted, consented to, not withdrawn. Null before the cutoff.",
        examples=[74],
    )


class Call(Strict):
    """One round, with its window. A submit is accepted from `opens_at` up to and not including `closes_at`."""

    code: CallCode
    title: Text
    state: Literal["upcoming", "open", "closed"]
    opens_at: Instant
    closes_at: Instant = Field(
        description="The cutoff, by the clock of the portal's database. Content is released from here on."
    )
    zone: str = Field(description="The zone in which the call names its cutoff.", examples=["Europe/Brussels"])
    is_synthetic: bool = Field(description="A rehearsal with made-up submissions.")
    definition: Sha256 = Field(description="SHA-256 of the published questionnaire (RFC 8785 canonical JSON).")
    counts: Counts
    last_received_at: Instant | None = Field(description="When the last version came in; null while there is none.")
    now: Instant = Field(description="The portal's clock when this was made.")
    links: dict[str, str] = Field(
        description="Where to go on: `schema`, `submissions`, `export`, `feed`, `codes`.",
        examples=[{"submissions": "/api/v1/calls/aigf-eoi/submissions"}],
    )


class Calls(Strict):
    """The calls that the key is for."""

    items: list[Call]


class Organisation(Strict):
    """On whose behalf was submitted, as it was described when the version was accepted."""

    name: str = Field(examples=["Maasvlakte Compute B.V."])
    country: str = Field(description="ISO 3166-1 alpha-2, so GR for Greece.", examples=["NL"])
    registration_no: str | None = Field(description="Number in the national register.", examples=["12345678"])
    state_code: str | None = Field(
        description="The member state for which it speaks; null for others.", examples=[None]
    )


class Document(Strict):
    """The file in which a mandate stands: one of the `files` of the version."""

    name: str = Field(examples=["mandate.pdf"])
    sha256: Sha256


class Intermediary(Strict):
    """Whoever submitted a version for another organisation, as the receipt states it."""

    organisation: str = Field(description="Their own one; empty where they did not say.", examples=["Adviser B.V."])
    acts_for: str = Field(description="For whom they act.", examples=["Maasvlakte Compute B.V."])
    mandate: str = Field(description="What was agreed, in their words.", examples=["By letter of 1 May 2027."])
    document: Document | None = Field(description="Null where none was named, or it is not among the files.")


class Item(Strict):
    """One submission in a list: enough to decide whether to fetch it."""

    reference: Reference
    version: int = Field(
        ge=1, description="The number of the version that counts, the last one accepted.", examples=[2]
    )
    kind: Kind
    title: str
    organisation: str
    received_at: Instant = Field(description="When that version was accepted, by the portal's database.")
    payload_sha256: Sha256 = Field(
        description="The digest on its receipt. It changes when, and only when, the content does."
    )
    url: str = Field(description="Where the whole submission is.", examples=["/api/v1/submissions/0KQ3V-9XM2T-7RWC"])


class Items(Strict):
    """One page of submissions in order of reference, which never changes."""

    items: list[Item]
    next: str | None = Field(
        description="The address of the next page, also in the `Link` header; null on the last.",
        examples=["/api/v1/calls/aigf-eoi/submissions?cursor=0KQ3V-9XM2T-7RWC&limit=100"],
    )


class Section(Strict):
    """The answers of one step of the questionnaire."""

    title: Text
    confidential: bool = Field(
        description="Marked confidential by the submitter, or by default where they did not say."
    )
    answers: dict[str, Any] = Field(
        description="By name of question; unanswered ones are absent. `schema.json` of the call describes each.",
        examples=[{"capex_total": "3200000000.00"}],
    )


Sections = dict[str, Section]


class File(Strict):
    """A file given as an answer."""

    id: str = Field(
        description="The portal's own name for it, part of what `payload_sha256` is taken over.",
        examples=["05b305dd-646b-4257-bdb8-b6d7d2629298"],
    )
    question: str = Field(description="The question that it answers.", examples=["proposal"])
    section: str = Field(examples=["attachments"])
    confidential: bool = Field(description="The mark of its section.")
    name: str = Field(description="As the submitter named it, cleaned of what a file system could trip over.")
    media_type: str = Field(examples=["application/pdf"])
    size: int = Field(ge=0, description="Bytes.")
    sha256: Sha256
    url: str = Field(
        description="Where its bytes are; needs the scope `attachments:read`.",
        examples=[
            "/api/v1/submissions/0KQ3V-9XM2T-7RWC/attachments/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
        ],
    )


class Warning(Strict):
    """A soft limit that the answers cross, with the submitter's reason. A warning never blocks a submit."""

    code: str = Field(description="The name of the rule in the call.", examples=["capex_is_usual"])
    path: str = Field(description="The answer it points at.", examples=["capex_total"])
    section: str | None = Field(description="The section of that answer.", examples=["finance"])
    message: Text | None = Field(description="What the rule says.")
    reason: str = Field(description="What the submitter says to it.")


class LetterFile(Strict):
    """A document of a letter."""

    name: str
    media_type: str = Field(examples=["application/pdf"])
    size: int = Field(ge=0, description="Bytes.")
    sha256: Sha256
    url: str = Field(description="Where its bytes are; needs the scope `attachments:read`.")


class SupportLetter(Strict):
    """A letter that a member state gave to the consortium before the cutoff and did not withdraw."""

    state: str = Field(description="The member state.", examples=["NL"])
    authority: str
    number: int = Field(ge=1, description="Its number among the letters of the state in the call.")
    version: int = Field(ge=1, description="The version that was given last.")
    sort: str = Field(examples=["commitment"])
    is_commitment: bool = Field(description="Whether it commits the state; any other letter promises nothing in law.")
    amount: str | None = Field(description="EUR, two decimals.", examples=["60000000.00"])
    phase: str | None
    source: str | None = Field(examples=["national"])
    status: str | None = Field(description="Of the source.", examples=["reserved"])
    condition: str
    signatory: str
    signatory_role: str
    dated_on: str | None = Field(examples=["2027-05-02"])
    given_at: Instant
    sha256: Sha256 = Field(description="The digest of what it says, as the state and the consortium see it.")
    files: list[LetterFile]


class Signed(Strict):
    """The receipt handed out when the version was accepted."""

    jws: str = Field(
        description="Compact JWS (EdDSA, Ed25519) over the canonical receipt; keys at /.well-known/jwks.json."
    )


class Submission(Strict):
    """One version of a submission: the envelope, then the answers by the three headings of Regulation (EU) 2026/150, Art. 12b(19)."""

    format: Literal["eoi-export/1"]
    call: CallCode
    definition: Sha256 = Field(description="The questionnaire that it answered.")
    reference: Reference
    version: int = Field(ge=1)
    is_standing: bool = Field(description="Whether this version counts: the last one accepted before the cutoff.")
    is_synthetic: bool = Field(description="Made up, in a rehearsal.")
    kind: Kind
    language: Literal["nl", "en"] = Field(description="The language in which it was submitted.")
    title: str
    organisation: Organisation
    intermediary: Intermediary | None = Field(
        description="Who submitted it, where they act for another organisation; null on all others."
    )
    received_at: Instant
    payload_sha256: Sha256 = Field(description="The digest on its receipt.")
    envelope: Sections = Field(description="Who responds, contacts, declarations.")
    technical: Sections = Field(
        description="Heading (a): infrastructure, work plan, services, sustainability, experience."
    )
    impact: Sections = Field(description="Heading (b): ecosystem, talent, Union added value.")
    financial: Sections = Field(description="Heading (c): investment commitment and business model.")
    other: Sections = Field(
        description="Sections under headings of the call's own; none in a call with those of the Regulation.",
        examples=[{}],
    )
    files: list[File]
    warnings: list[Warning]
    facts: dict[str, Any] = Field(description="What the call computes from the answers, such as totals.")
    support_letters: list[SupportLetter] = Field(description="In order of arrival.")
    receipt: Signed


class Time(Strict):
    """The portal's clock, which decides on the cutoff."""

    now: Instant
    unix_ms: int = Field(
        description="The same instant in milliseconds since 1970, for countdowns.", examples=[1813503483214]
    )
    zone: str = Field(description="The zone in which the portal shows times.", examples=["Europe/Brussels"])
    local: str = Field(
        description="The same instant there, with its offset.", examples=["2027-06-20T16:58:03.214+02:00"]
    )


class Verdict(Strict):
    """What became of checking a receipt."""

    outcome: Literal["valid", "invalid", "unknown"] = Field(
        description="`unknown` when it is signed with a key that this portal does not have."
    )
    sentence: Text = Field(description="The outcome for people.")


class Problem(BaseModel):
    """RFC 9457. Members beside these depend on the code: `releases_at`, `retry_after`, `scope`, `wrong`, `errors`, `size`."""

    type: str = Field(description="A page about this kind of problem.", examples=["/api/v1/problems/call_not_closed"])
    title: str
    status: int = Field(examples=[403])
    code: str = Field(description="Never changes; write programs against this.", examples=["call_not_closed"])
    detail: str = Field(description="What happened and what to do, in English.")
    request_id: str | None = Field(default=None, description="Quote this when you ask RVO for help.")
    releases_at: datetime | None = Field(default=None, description="With `call_not_closed`: when content is released.")
    retry_after: int | None = Field(default=None, description="Seconds to wait.")
    scope: str | None = Field(default=None, description="With `insufficient_scope`: the scope that is missing.")
    wrong: list[str] | None = Field(default=None, description="With `digest_mismatch`: the digests that do not fit.")
    errors: list[dict[str, str]] | None = Field(
        default=None, description="With `invalid`: what is wrong, each with its place."
    )
