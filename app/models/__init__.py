"""Tables: columns, named constraints, relationships. No behaviour."""

from app.models.accounts import Membership, Organisation, Person, SignIn, SignInLink
from app.models.base import Base
from app.models.calls import Call, Definition
from app.models.clarifications import Answer, Clarification, Extension
from app.models.credentials import AccessToken, ApiKey, Assertion, KeyUse, Notice, Webhook
from app.models.desk import (
    Assignment,
    HandIn,
    Mention,
    Note,
    Progress,
    Recommendation,
    Reconciliation,
    Score,
    SignOff,
    Tag,
    Verdict,
)
from app.models.events import Attempt, Event, OutboxMessage, Throttle
from app.models.feed import Delivery, Epoch, Feed, FeedEntry, Turn
from app.models.proof import DeadlineChange, Exemption, Head, Leaf, Readiness, Refusal, Seal, Ticket
from app.models.register import Entry, FacetValue, Listing, Place, Trait, View
from app.models.reviews import Conclusion, Conflict, Release
from app.models.submissions import Attachment, Draft, Judgement, Receipt, Submission, Version, Withdrawal

__all__ = [
    "AccessToken",
    "Answer",
    "ApiKey",
    "Assertion",
    "Assignment",
    "Attachment",
    "Attempt",
    "Base",
    "Call",
    "Clarification",
    "Conclusion",
    "Conflict",
    "DeadlineChange",
    "Definition",
    "Delivery",
    "Draft",
    "Entry",
    "Epoch",
    "Event",
    "Exemption",
    "Extension",
    "FacetValue",
    "Feed",
    "FeedEntry",
    "HandIn",
    "Head",
    "Judgement",
    "KeyUse",
    "Leaf",
    "Listing",
    "Membership",
    "Mention",
    "Note",
    "Notice",
    "Organisation",
    "OutboxMessage",
    "Person",
    "Place",
    "Progress",
    "Readiness",
    "Receipt",
    "Recommendation",
    "Reconciliation",
    "Refusal",
    "Release",
    "Score",
    "Seal",
    "SignIn",
    "SignInLink",
    "SignOff",
    "Submission",
    "Tag",
    "Throttle",
    "Ticket",
    "Trait",
    "Turn",
    "Verdict",
    "Version",
    "View",
    "Webhook",
    "Withdrawal",
]
