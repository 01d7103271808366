"""Completeness: what lets a reader show, offline, that it holds all that was released, each as it was sealed.

The leaves of the seal are all there in order, salted digests that tell nothing; the content of a leaf only where it was
released. So one can count, compute the root, and find whatever is missing, changed or too much. docs/formats.md tells it.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from app.domain import feed, merkle, seals, statements
from app.models import Call, FeedEntry, Leaf, Submission, Version

FORMAT = "eoi-leaves/1"
MEMBERS = {"format", "call", "cursor", "seal", "released"}


def document(db: Session, call: Call) -> dict[str, Any]:
    """The seal with all leaves, and the contents of those that stood released at `cursor`. CallNotClosed before the seal."""
    sealed = seals.document(db, call)
    at = feed.position(db, call)
    last = (
        select(FeedEntry.submission_id, FeedEntry.version_id, FeedEntry.kind)
        .where(FeedEntry.call_id == call.id, FeedEntry.number <= at.number)
        .order_by(FeedEntry.submission_id, FeedEntry.number.desc())
        .ext(distinct_on(FeedEntry.submission_id))
        .subquery()
    )
    found = db.execute(
        select(Leaf.position, Leaf.salt, Leaf.state, Submission.reference, Version.number, Version.payload_sha256)
        .join(last, (last.c.submission_id == Leaf.submission_id) & (last.c.version_id == Leaf.version_id))
        .join(Submission, Submission.id == Leaf.submission_id)
        .join(Version, Version.id == Leaf.version_id)
        .where(Leaf.call_id == call.id, last.c.kind != feed.WITHDRAWN)
        .order_by(Leaf.position)
    )
    return {
        "format": FORMAT,
        "call": call.code,
        "cursor": str(at),
        "seal": sealed,
        "released": [
            {
                "index": place,
                "leaf": {
                    "format": seals.LEAF,
                    "payload_sha256": digest,
                    "reference": reference,
                    "salt": salt,
                    "state": state,
                    "version": number,
                },
            }
            for place, salt, state, reference, number, digest in found
        ],
    }


def faults(document: Any, held: Mapping[str, tuple[int, str]], jwks: Any) -> list[str]:
    """What is wrong with what somebody holds, `{reference: (version, payload digest)}`: a line each, none when complete.

    The digests must have been computed over what is held, not read from it.
    """
    if not isinstance(document, dict) or set(document) != MEMBERS or document["format"] != FORMAT:
        return ["This is not a list of leaves."]
    seal = document["seal"]
    if (problem := statements.check(seal, jwks)) is not None:
        return [problem.sentence.text("en")]
    said, leaves = seal["statement"], seal["leaves"]
    if said["call"] != document["call"]:
        return ["The seal is of another call."]
    if leaves != sorted(leaves) or len(leaves) != said["size"] or merkle.root(leaves) != said["root"]:
        return ["The leaves do not lead to the root of the seal."]
    found, released = [], {}
    for one in document["released"]:
        leaf = one["leaf"]
        released[leaf["reference"]] = (leaf["version"], leaf["payload_sha256"])
        if leaves[one["index"]] != merkle.leaf(statements.canonical(leaf)):
            found.append(f"{leaf['reference']} is not in the sealed set as it was released.")
    found += [f"{reference} is missing." for reference in sorted(released.keys() - held.keys())]
    found += [f"{reference} is not released." for reference in sorted(held.keys() - released.keys())]
    found += [f"{r} is not what was sealed." for r in sorted(released.keys() & held.keys()) if released[r] != held[r]]
    return found
