"""Invariants: what must always be true of the data, a sentence and a query each. None may find a row."""

from sqlalchemy import text
from sqlalchemy.orm import Session

INVARIANTS: dict[str, str] = {
    "Every version was received inside the window of its call.": """
        select v.id from version v join call c on c.id = v.call_id
        where v.received_at < c.opens_at or v.received_at >= c.closes_at""",
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
                and e.name = 'submission.submitted' and (e.detail ->> 'version')::int = v.number)""",
    "A member state has at most one submission in a call.": """
        select s.call_id from submission s join organisation o on o.id = s.organisation_id
        where s.kind = 'MS' group by s.call_id, o.state_code having count(*) > 1""",
    "Only organisations that speak for a member state respond as one.": """
        select s.id from submission s join organisation o on o.id = s.organisation_id
        where (s.kind = 'MS') <> (o.state_code is not null)""",
    "Drafts, attachments and withdrawals were written inside the window of their call.": """
        select s.id from submission s join call c on c.id = s.call_id
          left join draft d on d.submission_id = s.id
          left join attachment a on a.submission_id = s.id
          left join withdrawal w on w.submission_id = s.id
        where greatest(d.saved_at, a.attached_at, a.detached_at, w.withdrawn_at, w.restored_at) >= c.closes_at""",
    "Every organisation has an owner.": """
        select o.id from organisation o where not exists (
          select 1 from membership m where m.organisation_id = o.id and m.role = 'owner' and m.ended_at is null)""",
}


def run(db: Session) -> list[str]:
    """The sentences that do not hold, each with how many rows break it; empty when all is well."""
    broken = []
    for sentence, query in INVARIANTS.items():
        count = db.execute(text(f"select count(*) from ({query}) found")).scalar_one()
        if count:
            broken.append(f"{sentence} Broken by {count}.")
    return broken
