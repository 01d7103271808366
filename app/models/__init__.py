"""Tables: columns, named constraints, relationships. No behaviour."""

from app.models.accounts import ApiKey, Membership, Organisation, Person, SignIn, SignInLink
from app.models.base import Base
from app.models.calls import Call, Definition
from app.models.events import Attempt, Event, OutboxMessage, Throttle
from app.models.proof import DeadlineChange, Exemption, Head, Leaf, Readiness, Refusal, Seal, Ticket
from app.models.register import Entry, FacetValue, Listing, Place, Trait, View
from app.models.reviews import Conflict, Release
from app.models.submissions import Attachment, Draft, Judgement, Receipt, Submission, Version, Withdrawal

__all__ = [
    "ApiKey",
    "Attachment",
    "Attempt",
    "Base",
    "Call",
    "Conflict",
    "DeadlineChange",
    "Definition",
    "Draft",
    "Entry",
    "Event",
    "Exemption",
    "FacetValue",
    "Head",
    "Judgement",
    "Leaf",
    "Listing",
    "Membership",
    "Organisation",
    "OutboxMessage",
    "Person",
    "Place",
    "Readiness",
    "Receipt",
    "Refusal",
    "Release",
    "Seal",
    "SignIn",
    "SignInLink",
    "Submission",
    "Throttle",
    "Ticket",
    "Trait",
    "Version",
    "View",
    "Withdrawal",
]
