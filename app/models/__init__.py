"""Tables: columns, named constraints, relationships. No behaviour."""

from app.models.accounts import Membership, Organisation, Person, SignIn, SignInLink
from app.models.base import Base
from app.models.calls import Call, Definition
from app.models.credentials import AccessToken, ApiKey, Assertion, KeyUse, Notice, Webhook
from app.models.events import Attempt, Event, OutboxMessage, Throttle
from app.models.proof import DeadlineChange, Exemption, Head, Leaf, Readiness, Refusal, Seal, Ticket
from app.models.reviews import Conflict, Release
from app.models.submissions import Attachment, Draft, Receipt, Submission, Version, Withdrawal

__all__ = [
    "AccessToken",
    "ApiKey",
    "Assertion",
    "Attachment",
    "Attempt",
    "Base",
    "Call",
    "Conflict",
    "DeadlineChange",
    "Definition",
    "Draft",
    "Event",
    "Exemption",
    "Head",
    "KeyUse",
    "Leaf",
    "Membership",
    "Notice",
    "Organisation",
    "OutboxMessage",
    "Person",
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
    "Version",
    "Webhook",
    "Withdrawal",
]
