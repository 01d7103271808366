"""Tables: columns, named constraints, relationships. No behaviour."""

from app.models.accounts import ApiKey, Membership, Organisation, Person, SignIn, SignInLink
from app.models.base import Base
from app.models.calls import Call, Definition
from app.models.clarifications import Answer, Clarification, Extension
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
from app.models.disclosures import (
    Disclosure,
    DisclosureDecision,
    DisclosureItem,
    DisclosureProposal,
    DisclosureSet,
    Hearing,
    HearingAnswer,
)
from app.models.events import Attempt, Event, OutboxMessage, Throttle
from app.models.proof import DeadlineChange, Exemption, Head, Leaf, Readiness, Refusal, Seal, Ticket
from app.models.retention import Certificate, Destruction, Lookup
from app.models.reviews import Conclusion, Conflict, Release
from app.models.submissions import Attachment, Draft, Judgement, Receipt, Submission, Version, Withdrawal

__all__ = [
    "Answer",
    "ApiKey",
    "Assignment",
    "Attachment",
    "Attempt",
    "Base",
    "Call",
    "Certificate",
    "Clarification",
    "Conclusion",
    "Conflict",
    "DeadlineChange",
    "Definition",
    "Destruction",
    "Disclosure",
    "DisclosureDecision",
    "DisclosureItem",
    "DisclosureProposal",
    "DisclosureSet",
    "Draft",
    "Event",
    "Exemption",
    "Extension",
    "HandIn",
    "Head",
    "Hearing",
    "HearingAnswer",
    "Judgement",
    "Leaf",
    "Lookup",
    "Membership",
    "Mention",
    "Note",
    "Organisation",
    "OutboxMessage",
    "Person",
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
    "Verdict",
    "Version",
    "Withdrawal",
]
