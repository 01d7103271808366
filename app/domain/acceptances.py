"""Acceptances: the three statements of a submit, written out as SQL since each costs every press of the last minute.

One tells what there is; one inserts the version, which the database numbers and stamps; and once the receipt over that
is signed, one writes it with the attempt, the audit line and the mails.
"""

from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy.orm import Session

from app.domain import access, attempts, audit, calls, drafts, intermediaries, mails, receipts, references, statements
from app.domain.access import Actor
from app.domain.accounts import Known
from app.domain.errors import NotFound
from app.domain.judgements import Fresh, Judged
from app.infra.signing import Signer
from app.models import Call, Exemption, Organisation, Submission, Version

_BEFORE = f"""
select {drafts.STATE.format(code="%(code)s::text", case="s.id")} as now, j.state, j.errors, j.contact, j.title,
  j.files, j.opening, j.ending,
  s.id as case_id, s.call_id, s.organisation_id, s.kind, s.reference, c.code, c.definition_digest, c.opens_at,
  c.closes_at, c.sealed_at, c.zone, o.name, o.country, o.registration_no, o.state_code,
  (select jsonb_agg(jsonb_build_array(v.number, v.payload_sha256, v.exemption_id is not null, v.idempotency_key = %(key)s)
      order by v.number)
    from version v where v.submission_id = s.id
      and (v.idempotency_key = %(key)s or v.number in (
        select max(number) from version where submission_id = s.id group by exemption_id is not null))) as versions,
  exists (select from withdrawal w where w.submission_id = s.id and w.restored_at is null) as is_withdrawn,
  (select count(*) from attempt a where a.submission_id = s.id and a.person_id = %(person)s
    and a.at > clock_timestamp() - interval '1 minute') as pressed,
  (select jsonb_object_agg(lower(p.email), jsonb_build_array(p.language, p.email_verified_at is not null))
    from person p where lower(p.email) in (lower(%(email)s), lower(j.contact))) as people
from submission s join call c on c.id = s.call_id join organisation o on o.id = s.organisation_id
left join judgement j on j.submission_id = s.id
where s.reference = %(reference)s and (s.organisation_id = any(%(own)s) or s.id = any(%(seats)s))"""

_KEPT = "(select * from judgement where submission_id = %(case)s and state = %(state)s)"
_FRESH = """(select %(title)s::text as title, %(is_consented)s::boolean as is_consented, %(answers)s::jsonb as answers,
  %(files)s::jsonb as files, %(warnings)s::jsonb as warnings, %(facts)s::jsonb as facts)"""
_ACCEPT = """
insert into version (submission_id, call_id, definition_digest, kind, language, title, is_consented, answers, files,
  findings, facts, payload_sha256, idempotency_key, submitted_by)
select %(case)s, %(call)s, %(definition)s, %(kind)s, %(language)s, j.title, j.is_consented, j.answers, j.files,
  j.warnings, j.facts, %(sha256)s, %(key)s, %(person)s
from {} j
on conflict on constraint version_is_accepted_once do nothing
returning id, number, received_at, exemption_id"""

HAND_OUT = """
with receipt as (insert into receipt (version_id, body, jws) values (%(version)s, %(body)s::jsonb, %(jws)s)),
attempt as (insert into attempt (submission_id, person_id, outcome, code, idempotency_key, reference)
  values (%(case)s, %(person)s, 'accepted', %(code)s, %(key)s, %(attempt)s)),
event as (insert into event (name, person_id, organisation_id, submission_id, call_id, detail, request_id)
  values ('submission.submitted', %(person)s, %(organisation)s, %(case)s, %(call)s, %(detail)s, %(request)s))
insert into message (purpose, recipient, subject, text, submission_id)
select 'receipt', mail.*, %(case)s from unnest(%(recipients)s::text[], %(subjects)s::text[], %(texts)s::text[]) mail"""


@dataclass(frozen=True)
class Earlier:
    """A version that was accepted before."""

    number: int
    sha256: str


@dataclass(frozen=True)
class Before:
    """What there is when submit is pressed.

    The case, as a copy outside the session; the version of this very key, the one that counts, the one that an exemption let in last; whether the case is
    withdrawn; how often this person pressed in the last minute (presses of others must never hold anybody back); the
    judgement of the draft as it stands now, if one was kept; and what is known of its recipients.
    """

    case: Submission
    by_key: Earlier | None
    last: Earlier | None
    exceptional: Earlier | None
    is_withdrawn: bool
    pressed: int
    kept: Judged | None
    known: dict[str, Known]


def before(db: Session, actor: Actor, reference: str, key: str) -> Before:
    """What there is before a press with this key; NotFound where it is no case of the actor's."""
    asked = {
        "reference": references.normalised(reference), **access.own(actor), "key": key, "code": drafts.CODE,
        "person": actor.person_id, "email": actor.email,
    }  # fmt: skip
    row = db.connection().exec_driver_sql(_BEFORE, asked).one_or_none()
    if row is None:
        raise NotFound
    by_key, last = None, {}
    for number, sha256, is_exceptional, is_same in row.versions or []:
        last[is_exceptional] = Earlier(number, sha256)
        by_key = last[is_exceptional] if is_same else by_key
    kept, known = None, {}
    if row.state == row.now:
        kept = Judged(row.state, row.errors, row.contact, row.title, row.files, row.opening, row.ending)
        people = {address: Known(*of) for address, of in (row.people or {}).items()}
        known = {address: people.get(address.lower(), Known()) for address in {actor.email, row.contact} - {""}}
    return Before(_case(row), by_key, last.get(False), last.get(True), row.is_withdrawn, row.pressed, kept, known)


def _case(row: Any) -> Submission:
    return Submission(
        id=row.case_id, call_id=row.call_id, organisation_id=row.organisation_id, kind=row.kind, reference=row.reference,
        call=Call(
            code=row.code, definition_digest=row.definition_digest, opens_at=row.opens_at, closes_at=row.closes_at,
            sealed_at=row.sealed_at, zone=row.zone,
        ),
        organisation=Organisation(
            name=row.name, country=row.country, registration_no=row.registration_no, state_code=row.state_code
        ),
    )  # fmt: skip


def accept(
    db: Session, actor: Actor, submission: Submission, judged: Judged, sha256: str, key: str, language: str
) -> Version | None:
    """Insert the version; the database numbers and stamps it. What comes back is a copy outside the session.

    None when the same key was accepted, or another judgement was kept, meanwhile.
    """
    known = {
        "definition_digest": submission.call.definition_digest,
        "kind": submission.kind,
        "title": judged.title,
        "files": judged.files,
        "payload_sha256": sha256,
        "idempotency_key": key,
    }
    values: dict[str, Any] = {
        "case": submission.id,
        "call": submission.call_id,
        "definition": submission.call.definition_digest,
        "kind": submission.kind,
        "language": language,
        "sha256": sha256,
        "key": key,
        "person": actor.person_id,
        "state": judged.state,
    }
    source = _KEPT
    if isinstance(judged, Fresh):
        source = _FRESH
        values |= {"title": judged.title, "is_consented": judged.is_consented}
        values |= {name: Jsonb(getattr(judged, name)) for name in ("answers", "files", "warnings", "facts")}
    stamped = db.connection().exec_driver_sql(_ACCEPT.format(source), values).one_or_none()
    return None if stamped is None else Version(**known, **stamped._mapping)


def hand_out(
    db: Session,
    actor: Actor,
    submission: Submission,
    recipients: dict[str, str],
    version: Version,
    signer: Signer,
    issuer: str,
) -> None:
    """Sign the receipt, tell the audit and queue the mails, all in the transaction that accepted the version."""
    title = calls.questions_of(db, version.definition_digest).title
    exemption = db.get(Exemption, version.exemption_id) if version.exemption_id else None
    by = actor.login_assurance(submission)
    acting = intermediaries.of_submitter(db, actor, submission, version.files)
    said = receipts.body(submission, version, actor.name, actor.email, title, issuer, exemption, by, acting)
    body = statements.canonical(said)
    told = list(mails.receipt(recipients, submission, version, issuer, exemption))
    values = {
        "version": version.id,
        "body": body.decode(),
        "jws": signer.sign(body),
        "case": submission.id,
        "call": submission.call_id,
        "organisation": submission.organisation_id,
        "person": actor.person_id,
        "code": attempts.ACCEPTED,
        "key": version.idempotency_key,
        "attempt": references.new(version.received_at),
        "detail": Jsonb({"version": version.number, "sha256": version.payload_sha256}),
        "request": audit.request_id.get(),
        "recipients": [mail.recipient for mail in told],
        "subjects": [mail.subject for mail in told],
        "texts": [mail.text for mail in told],
    }
    db.connection().exec_driver_sql(HAND_OUT, values)
