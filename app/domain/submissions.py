"""The case: start it, save a step, check it, submit it, withdraw and restore it."""

import uuid
from dataclasses import dataclass

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from app.domain import (
    acceptances,
    access,
    accounts,
    attempts,
    audit,
    calls,
    confirmations,
    drafts,
    exemptions,
    judgements,
    mandates,
    references,
    withdrawals,
)
from app.domain.access import Actor
from app.domain.accounts import Known
from app.domain.barriers import LevelTooLow
from app.domain.errors import (
    ClassifiedInformation,
    Forbidden,
    Invalid,
    KindNotOpen,
    NotFound,
    NotReady,
)
from app.domain.judgements import Judged
from app.infra.signing import Signer
from app.models import Call, Submission, Version, Withdrawal

NOTHING_CLASSIFIED = "nothing_classified"  # the rule by which a call asks whether answers are classified


@dataclass(frozen=True)
class Standing:
    """Where a case stands: the version that counts, whether it is withdrawn, the last one that an exemption let in.

    `is_changed` tells whether the draft goes beyond the last of them.
    """

    version: Version | None
    withdrawal: Withdrawal | None
    is_changed: bool
    exceptional: Version | None = None

    @property
    def state(self) -> str:
        """`draft`, `submitted` or `withdrawn`: never a word about how it is judged."""
        if self.version is None:
            return "draft"
        return "withdrawn" if self.withdrawal else "submitted"

    @property
    def latest(self) -> Version | None:
        """What a submit would follow: the last version outside the sealed set, or else the one that counts."""
        return self.exceptional or self.version

    @property
    def repeated(self) -> Version | None:
        """The version that the draft as it is would only repeat."""
        if self.is_changed:
            return None
        return self.exceptional or (None if self.withdrawal else self.version)


def kinds_for(call: Call, belonging: access.Belonging) -> list[str]:
    """The kinds of respondent as which this organisation may answer the call."""
    wanted = belonging.state_code is not None
    return [name for name, r in calls.questions(call).respondents.items() if (r.open_to == "state") == wanted]


def start(db: Session, actor: Actor, call: Call, organisation_id: uuid.UUID, kind: str) -> Submission:
    """Begin a case on behalf of one of the actor's organisations. A member state has one case a call."""
    belonging = next((m for m in actor.memberships if m.organisation_id == organisation_id), None)
    if belonging is None:
        raise NotFound
    if belonging.role not in access.EDITORS:
        raise Forbidden
    if kind not in kinds_for(call, belonging):
        raise KindNotOpen
    submission = Submission(
        call_id=call.id,
        organisation_id=organisation_id,
        kind=kind,
        reference=references.new(calls.clock(db)),
        created_by=actor.person_id,
    )
    db.add(submission)
    db.flush()
    audit.record(db, actor, "submission.started", submission)
    return submission


def mine(db: Session, actor: Actor) -> list[Submission]:
    """The cases of the actor's organisations, and those that they were invited to, newest first."""
    newest_first = access.own_submissions().order_by(Submission.created_at.desc())
    return list(db.scalars(newest_first, access.own(actor)))


_OWN = access.own_submissions().where(Submission.reference == bindparam("reference"))


def load(db: Session, actor: Actor, reference: str) -> Submission:
    """One of the actor's own cases by its reference; NotFound for anybody else's."""
    wanted = references.normalised(reference)
    submission = db.scalar(_OWN, {"reference": wanted, **access.own(actor)}) if wanted else None
    if submission is None:
        raise NotFound
    return submission


def submit(db: Session, actor: Actor, reference: str, key: str, language: str, signer: Signer, issuer: str) -> int:
    """Submit the draft as a new version, hand out its receipt, and tell the number of the version.

    The same `key`, or the same content while it stands, gives the version that was accepted before: a double click
    or a retry never makes a second. NotReady when there are errors; the database refuses outside the window.
    """
    before = acceptances.before(db, actor, reference, key)
    case = before.case
    if not actor.may_submit(case):
        raise Forbidden
    if not 1 <= len(key) <= attempts.KEY_LENGTH:
        raise Invalid
    if before.by_key:
        return _again(db, actor, case, before.by_key, key)
    attempts.hold_back(before.pressed)
    judged, known = before.kept, before.known
    if judged is None:
        submission = load(db, actor, reference)
        judged = judgements.judge(submission, drafts.content(db, submission))
        known = accounts.known(db, *{actor.email, judged.contact} - {""})
    _require_ready(db, case, judged, known)
    _require_level(db, actor, case)
    _require_mandates(db, actor, case)
    confirmations.require(db, actor, case, judged)
    digest = judged.digest(language, case.organisation)
    withdrawal = withdrawals.live(db, case) if before.is_withdrawn else None
    same = before.exceptional or (None if withdrawal else before.last)
    if same and same.sha256 == digest:
        return _again(db, actor, case, same, key)
    if withdrawal and not exemptions.live(db, case):
        withdrawals.undo(db, actor, case, withdrawal)
    version = acceptances.accept(db, actor, case, judged, digest, key, language)
    if version is None:  # pressed twice at once, or the draft was changed and judged again meanwhile
        return submit(db, actor, reference, key, language, signer, issuer)
    recipients = {address: of.language for address, of in known.items()}
    acceptances.hand_out(db, actor, case, recipients, version, signer, issuer)
    return version.number


def _require_ready(db: Session, case: Submission, judged: Judged, known: dict[str, Known]) -> None:
    """NotReady when there are errors; where the window is shut, that is said first, as the database would."""
    is_heard = not judged.contact or known[judged.contact].is_verified
    if not judged.errors and is_heard:
        return
    exemptions.foretell(db, case)
    raise ClassifiedInformation if NOTHING_CLASSIFIED in judged.errors else NotReady


def _require_level(db: Session, actor: Actor, case: Submission) -> None:
    """LevelTooLow where the call asks for a sign-in that the actor has not shown; member states are invited instead."""
    level = calls.questions_of(db, case.call.definition_digest).assurance
    if level and case.kind != "MS" and not actor.reaches(level, case):
        exemptions.foretell(db, case)
        raise LevelTooLow


def _require_mandates(db: Session, actor: Actor, case: Submission) -> None:
    """NotReady where the call asks for the mandates of all organisations taking part, and one is missing."""
    if calls.questions_of(db, case.call.definition_digest).mandates is None:
        return
    submission = load(db, actor, case.reference)
    if mandates.missing(db, submission, drafts.content(db, submission).answers):
        exemptions.foretell(db, case)
        raise NotReady


def _again(db: Session, actor: Actor, case: Submission, version: acceptances.Earlier, key: str) -> int:
    """The version that was accepted before; this press is on record all the same."""
    attempts.record(db, case, actor.person_id, attempts.AGAIN, key)
    return version.number


def standing(db: Session, submission: Submission, draft: drafts.Content | None = None) -> Standing:
    """Where the case stands; `is_changed` compares the draft with the version that a submit would follow."""
    in_lane = Version.exemption_id.is_not(None)
    lasts = db.scalars(
        select(Version)
        .ext(distinct_on(in_lane))
        .where(Version.submission_id == submission.id)
        .order_by(in_lane, Version.number.desc())
    )
    found = {version.exemption_id is not None: version for version in lasts}
    latest = found.get(True) or found.get(False)
    if latest is None:
        return Standing(None, None, is_changed=False)
    now = draft or drafts.content(db, submission)
    files = [{"question": question, **file} for question in sorted(now.files) for file in now.files[question]]
    changed = now.answers != latest.answers or files != latest.files or bool(now.unread)
    return Standing(found.get(False), withdrawals.live(db, submission), changed, found.get(True))
