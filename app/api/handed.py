"""The shapes of the handing over: feed, leaves, acknowledgements."""

from typing import Annotated, Literal

from pydantic import Field

from app.api.schemas import CallCode, Instant, Reference, Sha256, Strict
from app.api.sealed import LeafContent, SealDocument

CURSOR = r"^[0-9a-f]{16}-[0-9]{1,18}$"
MOST_FILES = 500

Cursor = Annotated[str, Field(pattern=CURSOR, examples=["3f9a1c2e5b7d8046-76"])]
Number = Annotated[int, Field(ge=1, le=100_000, examples=[2])]


class Entry(Strict):
    """One thing that happened to what you may read."""

    number: int = Field(ge=1, description="From 1, in the order of commits, without gaps.", examples=[76])
    kind: Literal["released", "replaced", "withdrawn", "exceptional"] = Field(
        description="`released`: you may read it. `replaced`: it was released anew in place of what you have. `withdrawn`: it "
        "was taken back, remove it. `exceptional`: released outside the sealed set; not in use."
    )
    reference: Reference
    version: Number
    payload_sha256: Sha256
    at: Instant
    url: str = Field(
        description="Where that version is; 404 once it is withdrawn.",
        examples=["/api/v1/submissions/0KQ3V-9XM2T-7RWC/versions/2"],
    )


class Feed(Strict):
    """Some entries in order. Keep `cursor` once you have done what they say, and go on from it."""

    items: list[Entry]
    cursor: Cursor = Field(description="Behind the last of these entries: the next `after`.")
    has_more: bool = Field(description="Whether there is more already.")
    next: str = Field(
        description="The address to go on from, also in the `Link` header; a feed has no end.",
        examples=["/api/v1/calls/aigf-eoi/feed?after=3f9a1c2e5b7d8046-76&limit=100&wait=30"],
    )


class ReleasedLeaf(Strict):
    """A leaf whose content you may know."""

    index: int = Field(ge=0, description="Its place among the leaves, from 0.", examples=[17])
    leaf: LeafContent


class Leaves(Strict):
    """What to hold your copy against: the seal with all its leaves, and the contents of those released to you."""

    format: Literal["eoi-leaves/1"]
    call: CallCode
    cursor: Cursor = Field(description="Up to where the feed went when this was made. Read the feed up to here first.")
    seal: SealDocument
    released: list[ReleasedLeaf]


class Arrived(Strict):
    """What you have. Both digests as you computed them, not as you were told."""

    version: Number
    payload_sha256: Sha256
    files: list[Sha256] = Field(max_length=MOST_FILES, description="SHA-256 of each file that you have of it.")


class Delivery(Strict):
    """Your acknowledgement, as it is kept."""

    reference: Reference
    version: Number
    payload_sha256: Sha256
    files: list[Sha256] = Field(description="In ascending order, each once.")
    delivered_at: Instant = Field(description="When it was first said, by the portal's database.")


class Deliveries(Strict):
    """Your acknowledgements of one submission, first to last."""

    items: list[Delivery]
