"""The shapes of the proof: a call's signed seal, and the way from one submission to its root."""

from typing import Literal

from pydantic import Field

from app.api.schemas import CallCode, Instant, Reference, Sha256, Strict


class Clock(Strict):
    """What chrony on the portal's host said at the seal, as it said it."""

    source: Literal["chrony"]
    stratum: str
    system_offset_seconds: str = Field(description="Offset of the system clock, seconds.", examples=["0.000012345"])
    root_delay_seconds: str
    root_dispersion_seconds: str
    leap_status: str = Field(examples=["Normal"])


class AuditHead(Strict):
    """The audit trail's chain at the seal."""

    count: int = Field(description="Lines in the chain.")
    chain: Sha256 = Field(description="The digest of the last one.")


class Seal(Strict):
    """What a call held when it closed."""

    format: Literal["eoi-seal/1"]
    issuer: str = Field(description="The portal's public address.")
    call: CallCode
    definition: Sha256
    opens_at: Instant
    closes_at: Instant
    zone: str
    sealed_at: Instant
    size: int = Field(description="Leaves of the tree: submissions that count and withdrawn ones.")
    count: int = Field(description="Submissions that count.")
    withdrawn: int
    root: Sha256 = Field(description="Root of the Merkle tree (RFC 9162, SHA-256) over the leaves.")
    last_received_at: Instant | None
    late_attempts: int = Field(description="Attempts to submit that were refused as late, before the seal was made.")
    clock: Clock | None
    audit: AuditHead


class SealDocument(Strict):
    """The signed seal. `jws` signs `statement` in RFC 8785 canonical JSON; the leaves are bound by the root."""

    statement: Seal
    jws: str
    leaves: list[Sha256] = Field(description="In ascending order.")


class SignedSeal(Strict):
    """The seal that a proof leads to, without its leaves."""

    statement: Seal
    jws: str


class LeafContent(Strict):
    """The content of a leaf: its digest is SHA-256 over a zero byte and this in RFC 8785 canonical JSON."""

    format: Literal["eoi-leaf/1"]
    payload_sha256: Sha256
    reference: Reference
    salt: str | None = Field(description="Keeps the content from being guessed; null after erasure.")
    state: Literal["standing", "withdrawn"]
    version: int


class Proof(Strict):
    """The way from one submission to the root of its call's seal."""

    call: CallCode
    leaf: LeafContent
    index: int = Field(description="The leaf's place, from 0.")
    size: int
    path: list[Sha256] = Field(description="The neighbours on the way up, the lowest first.")
    root: Sha256
    seal: SignedSeal
