"""Invariants: what must always be true of the data, a sentence and a query each. None may find a row.

What a query cannot tell, the digest of a file, a signature, the root of a tree, is a function with its sentence below.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.domain import merkle, statements
from app.infra.files import FileStore
from app.models import Certificate, DisclosureSet, Head, Leaf, Receipt, Refusal, Seal, Ticket

INVARIANTS: dict[str, str] = {
    "Every version was received inside the window of its call.": """
        select v.id from version v join call c on c.id = v.call_id
        where v.exemption_id is null and (v.received_at < c.opens_at or v.received_at >= c.closes_at)""",
    "Every exceptional version was received after the seal and before its exemption ended.": """
        select v.id from version v join exemption e on e.id = v.exemption_id join call c on c.id = v.call_id
        where v.received_at >= e.until or v.received_at < e.confirmed_at or c.sealed_at is null
           or v.received_at < c.sealed_at or e.submission_id <> v.submission_id""",
    "A receipt says that its version is exceptional when, and only when, an exemption let it in.": """
        select r.version_id from receipt r join version v on v.id = r.version_id
        where (v.exemption_id is not null) <> coalesce((r.body ->> 'exemption')::boolean, false)""",
    "The sealed set holds no version that an exemption let in.": """
        select l.version_id from leaf l join version v on v.id = l.version_id where v.exemption_id is not null""",
    "Each change of a deadline starts where the one before ended.": """
        select id from (
          select id, closes_from, lag(closes_to) over (partition by call_id order by confirmed_at) as before
          from deadline_change where confirmed_at is not null) moved where closes_from <> before""",
    "Every version has exactly one receipt.": """
        select v.id from version v left join receipt r on r.version_id = v.id where r.version_id is null""",
    "Every receipt states the reference, number, instant and digest of its version.": """
        select r.version_id from receipt r join version v on v.id = r.version_id
          join submission s on s.id = v.submission_id
        where r.body ->> 'reference' is distinct from s.reference
           or (r.body ->> 'version')::int is distinct from v.number
           or (r.body ->> 'received_at')::timestamptz is distinct from v.received_at
           or r.body ->> 'payload_sha256' is distinct from v.payload_sha256""",
    "The versions of a submission are numbered from 1 without gaps, in order of receipt.": """
        select submission_id from (
          select submission_id, number, row_number() over (partition by submission_id order by received_at, number) as due
          from version) numbered where number <> due""",
    "A version belongs to the call and kind of its submission.": """
        select v.id from version v join submission s on s.id = v.submission_id
        where v.call_id <> s.call_id or v.kind <> s.kind""",
    "Every accepted version has an accepted attempt and an audit line.": """
        select v.id from version v
        where not exists (select 1 from attempt a where a.submission_id = v.submission_id
                and a.outcome = 'accepted' and a.idempotency_key = v.idempotency_key)
           or not exists (select 1 from event e where e.submission_id = v.submission_id
                and e.name = 'submission.submitted' and (e.salt is null or (e.detail ->> 'version')::int = v.number))""",
    "Every letter, budget and offer of interest was written inside the window of its call.": """
        select w.id from (
          select v.id, l.call_id, v.written_at as at from letter_version v join support_letter l on l.id = v.letter_id
          union all select id, call_id, coalesce(withdrawn_at, created_at) from support_letter
          union all select id, call_id, written_at from budget
          union all select id, call_id, greatest(offered_at, answered_at, withdrawn_at) from interest_link) w
        join call c on c.id = w.call_id where w.at < c.opens_at or w.at >= c.closes_at""",
    "The versions of a letter are numbered from 1 without gaps.": """
        select letter_id from letter_version group by letter_id having max(number) <> count(*)""",
    "A member state has at most one submission in a call.": """
        select s.call_id from submission s join organisation o on o.id = s.organisation_id
        where s.kind = 'MS' group by s.call_id, o.state_code having count(*) > 1""",
    "Only organisations that speak for a member state respond as one.": """
        select s.id from submission s join organisation o on o.id = s.organisation_id
        where (s.kind = 'MS') <> (o.state_code is not null)""",
    "Withdrawals were made and undone inside the window of their call.": """
        select w.id from withdrawal w join submission s on s.id = w.submission_id join call c on c.id = s.call_id
        where greatest(w.withdrawn_at, w.restored_at) >= c.closes_at""",
    "Drafts and attachments were written inside the window of their call, or of an exemption.": """
        select s.id from submission s join call c on c.id = s.call_id
          join lateral (select saved_at as at from draft where submission_id = s.id
            union all select unnest(array[attached_at, detached_at]) from attachment where submission_id = s.id) w on true
        where w.at >= c.closes_at and not exists (select from exemption e
          where e.submission_id = s.id and w.at >= e.confirmed_at and w.at < e.until)""",
    "What lists say of the work on a dossier is what its rows say.": """
        select p.submission_id from progress p where p.state <> progress_of(p.submission_id)
        union select a.submission_id from assignment a
        where not exists (select from progress p where p.submission_id = a.submission_id)""",
    "Nobody has a seat at a dossier about which they state a conflict.": """
        select a.id from assignment a join conflict c on c.submission_id = a.submission_id and c.person_id = a.person_id
        where a.ended_at is null and c.replaced_at is null and c.level = 'conflict'""",
    "A sign-off stands under a recommendation that somebody else wrote.": """
        select s.id from sign_off s join recommendation r on r.id = s.recommendation_id
        where r.written_by = s.signed_by or r.submission_id <> s.submission_id or r.written_at > s.signed_at""",
    "Nothing was written about a dossier while it was signed off.": """
        select w.id from sign_off s join (
          select id, submission_id, saved_at as at from score
          union all select id, submission_id, given_at from verdict
          union all select id, submission_id, written_at from reconciliation
          union all select id, submission_id, written_at from recommendation) w on w.submission_id = s.submission_id
        where w.at > s.signed_at and (s.reopened_at is null or w.at < s.reopened_at)""",
    "Every organisation has an owner.": """
        select o.id from organisation o where not exists (
          select 1 from membership m where m.organisation_id = o.id and m.role = 'owner' and m.ended_at is null)""",
    "A sealed call has exactly one seal, and it states the call's own window and instant.": """
        select c.id from call c left join seal s on s.call_id = c.id
        where c.sealed_at is not null and (s.call_id is null
              or (s.body ->> 'closes_at')::timestamptz is distinct from c.closes_at
              or (s.body ->> 'sealed_at')::timestamptz is distinct from c.sealed_at
              or (s.body ->> 'call') is distinct from c.code)
           or c.sealed_at is null and s.call_id is not null""",
    "A sealed call was sealed at or after its closing instant.": """
        select id from call where sealed_at < closes_at""",
    "The sealed set holds every submission with a version in time, once, with its last one.": """
        select s.id from submission s join call c on c.id = s.call_id and c.sealed_at is not null
          left join leaf l on l.submission_id = s.id
        where l.version_id is distinct from (select v.id from version v where v.submission_id = s.id
            and v.exemption_id is null order by v.number desc limit 1)""",
    "Every leaf has the digest of its version, state and salt.": """
        select l.submission_id from leaf l join version v on v.id = l.version_id
          join submission s on s.id = l.submission_id
        where l.salt is not null and l.hash <> leaf_hash(s.reference, v.number, v.payload_sha256, l.state, l.salt)""",
    "A submission is sealed as withdrawn exactly when it was withdrawn at the seal.": """
        select l.submission_id from leaf l where (l.state = 'withdrawn') <> exists (select from withdrawal w
          where w.submission_id = l.submission_id and w.restored_at is null)""",
    "A deadline stands where it was published, or where the last confirmed change of it put it.": """
        select c.id from call c
        where not c.is_synthetic and c.closes_at is distinct from coalesce(
          (select d.closes_to from deadline_change d where d.call_id = c.id and d.confirmed_at is not null
           order by d.confirmed_at desc limit 1),
          (select (e.detail ->> 'closes_at')::timestamptz from event e
           where e.name = 'call.published' and e.detail ->> 'code' = c.code order by e.id limit 1), c.closes_at)""",
    "The entries of a feed are numbered from 1 without gaps, in the order of their instants.": """
        select call_id, number from (
          select e.call_id, e.number, e.at, row_number() over w as due, lag(e.at) over w as before,
            count(*) over (partition by e.call_id) as entries, f.last
          from feed_entry e left join feed f on f.call_id = e.call_id window w as (partition by e.call_id order by e.number)) n
        where number <> due or at < before or last is distinct from entries""",
    "The last entry of a submission tells whether it is released, and which release that is.": """
        select s.submission_id from (select distinct submission_id from release) s
          left join release r on r.submission_id = s.submission_id and r.taken_back_at is null
          left join lateral (select kind, release_id from feed_entry e where e.submission_id = s.submission_id
            order by e.number desc limit 1) e on true
        where (e.kind is null or (e.kind = 'withdrawn') <> (r.id is null) or r.id is not null and e.release_id <> r.id)
          and not exists (select from turn)  -- this very transaction's, until it commits""",
    "The audit trail is one chain without a gap (position).": """
        select position from (
          select position, chain, commitment, lag(position, 1, 0::bigint) over (order by position) as before,
            lag(chain, 1, repeat('0', 64)) over (order by position) as previous
          from event where position is not null) walked
        where position <> before + 1 or chain <> chained(position, previous, commitment) order by position""",
    "Every line of the audit trail has the content that it was committed with, or was erased on record (position).": """
        select coalesce(e.position, e.id) from event e
        where e.salt is not null and e.commitment <> event_commitment(e)
           or e.salt is null and not exists (select from event x where x.name = 'person.erased'
                and x.detail -> 'events' @> to_jsonb(e.position)) order by 1""",
    "Every line of the audit trail takes its place in the chain within a minute.": """
        select id from event where position is null and at < clock_timestamp() - interval '1 minute'""",
    "The chain leads to every head that was published (count).": """
        select h.count from head h left join event e on e.position = h.count
        where h.count > 0 and e.chain is distinct from h.chain order by h.count""",
    "Every answer to a question was received after it was asked and before it was due, and has an audit line.": """
        select a.clarification_id from answer a join clarification q on q.id = a.clarification_id
        where a.answered_at < q.asked_at or a.answered_at >= q.due_at or q.withdrawn_at is not null
           or not exists (select 1 from event e where e.submission_id = q.submission_id
                and e.name = 'clarification.answered' and (e.salt is null or e.detail ->> 'sha256' = a.digest))""",
    "Questions were asked of sealed calls only, numbered from 1 without gaps.": """
        select q.id from (select *, row_number() over (partition by submission_id order by asked_at, number) as due
            from clarification) q join submission s on s.id = q.submission_id join call c on c.id = s.call_id
        where q.number <> q.due or c.sealed_at is null or q.asked_at < c.sealed_at""",
    "EuroHPC was given only what was sealed as standing, with consent.": """
        select r.id from release r join version v on v.id = r.version_id
          left join leaf l on l.submission_id = r.submission_id and l.version_id = r.version_id and l.state = 'standing'
        where l.version_id is null or not v.is_consented or v.submission_id <> r.submission_id""",
    "What was destroyed has its certificate, with what the database destroyed, by two people and after its term.": """
        select d.id from destruction d left join certificate c on c.destruction_id = d.id
        where d.confirmed_at is not null and (c.body is null or c.body -> 'destroyed' <> d.destroyed
          or d.confirmed_by = d.proposed_by or d.confirmed_at < retention_from(d.call_id, d.sort))""",
    "A destroyed version holds no content, and its certificate names its digest.": """
        select v.id from version v join submission s on s.id = v.submission_id
          left join certificate c on c.destruction_id = v.destruction_id
        where v.destruction_id is not null and (v.answers <> '{}' or v.files <> '[]' or v.findings <> '[]'
          or v.facts <> '{}' or v.title <> ''
          or not exists (select from jsonb_array_elements(c.body -> 'destroyed' -> 'dossiers') d,
              jsonb_array_elements(d -> 'versions') said
            where d ->> 'reference' = s.reference and (said ->> 'version')::int = v.number
              and said ->> 'payload_sha256' = v.payload_sha256))""",
    "No version is without content but by a destruction.": """
        select id from version where destruction_id is null and answers = '{}' and title = ''""",
    "What is disclosed was decided by two people after the submitter was asked.": """
        select d.id from disclosure_decision d where d.confirmed_at is not null and (d.confirmed_by = d.decided_by
          or not exists (select from hearing h where h.item_id = d.item_id and h.asked_at < d.decided_at))""",
    "A late attempt has its signed refusal.": """
        select a.id from attempt a left join refusal r on r.attempt_id = a.id
        where a.code = 'call_closed' and r.attempt_id is null""",
}


@dataclass(frozen=True)
class Evidence:
    """What lies outside the database: the files, and the public keys that signatures are checked with."""

    files: FileStore
    jwks: dict[str, Any]


def _roots(db: Session, evidence: Evidence | None) -> Iterator[object]:
    for seal in db.scalars(select(Seal)):
        leaves = list(db.scalars(select(Leaf.hash).where(Leaf.call_id == seal.call_id).order_by(Leaf.position)))
        counted = [
            db.scalars(select(Leaf.state).where(Leaf.call_id == seal.call_id)).all().count(state)
            for state in ("standing", "withdrawn")
        ]
        said = [seal.body.get(name) for name in ("root", "size", "count", "withdrawn")]
        if said != [merkle.root(leaves), len(leaves), *counted] or leaves != sorted(leaves):
            yield seal.call_id


def _signatures(db: Session, evidence: Evidence | None) -> Iterator[object]:
    if evidence is None:
        return
    for table in (Receipt, Refusal, Seal, Head, Ticket, Certificate, DisclosureSet):
        for body, jws in db.execute(select(table.body, table.jws)).yield_per(500):
            if (wrong := statements.check(statements.document(body, jws), evidence.jwks)) is not None:
                yield f"{table.__tablename__} {body.get('reference') or body.get('call') or body.get('at')}: {wrong.outcome}"


def _files(db: Session, evidence: Evidence | None) -> Iterator[object]:
    if evidence is None:
        return
    held = """select f ->> 'sha256' as d, (f ->> 'size')::bigint as s from version, jsonb_array_elements(files) f
        union select f ->> 'sha256', (f ->> 'size')::bigint from answer, jsonb_array_elements(files) f
        union select f ->> 'sha256', (f ->> 'size')::bigint from letter_version, jsonb_array_elements(files) f
        union select sha256, size from disclosure_set"""
    for sha256, size in db.execute(text(f"{held} order by 1")):
        if evidence.files.digest(sha256) != (sha256, size):
            yield sha256


CHECKS: dict[str, Callable[[Session, Evidence | None], Iterator[object]]] = {
    "Every seal has the root and the counts of its leaves.": _roots,
    "Every signed statement in the database is as it was signed.": _signatures,
    "Every file of a version, of an answer, of a letter or produced is kept, with its digest.": _files,
}


def run(db: Session, evidence: Evidence | None = None) -> list[str]:
    """The sentences that do not hold, each with how many break it and the first that does; empty when all is well.

    Without `evidence` files and signatures are left out.
    """
    broken = []
    for sentence, query in INVARIANTS.items():
        found = db.execute(text(query)).scalars().all()
        if found:
            broken.append(f"{sentence} Broken by {len(found)}, first {found[0]}.")
    for sentence, check in CHECKS.items():
        wrong = list(check(db, evidence))
        if wrong:
            broken.append(f"{sentence} Broken by {len(wrong)}, first {wrong[0]}.")
    return broken
