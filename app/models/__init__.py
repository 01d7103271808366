"""Tables: columns, named constraints, relationships. No behaviour."""

from app.models.accounts import ApiKey, Membership, Organisation, Person, SignIn, SignInLink
from app.models.base import Base
from app.models.calls import Call, Definition
from app.models.events import Attempt, Event, OutboxMessage, Throttle
from app.models.submissions import Attachment, Draft, Receipt, Submission, Version, Withdrawal

__all__ = [
    "ApiKey",
    "Attachment",
    "Attempt",
    "Base",
    "Call",
    "Definition",
    "Draft",
    "Event",
    "Membership",
    "Organisation",
    "OutboxMessage",
    "Person",
    "Receipt",
    "SignIn",
    "SignInLink",
    "Submission",
    "Throttle",
    "Version",
    "Withdrawal",
]
