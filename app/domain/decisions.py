"""Decisions on what is disclosed, by two people after the submitter was heard; and the set that is produced of them."""

import hashlib
import io
import json
import uuid
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from app.domain import attachments, audit, calls, disclosures, prints, redaction, statements
from app.domain.access import Actor
from app.domain.denials import NotDecided, NotHeard
from app.domain.disclosures import Item
from app.domain.errors import Immutable, NotFound, ReasonMissing
from app.domain.redaction import Sections
from app.infra import times
from app.infra.files import FileStore
from app.infra.signing import Signer
from app.models import Disclosure, DisclosureDecision, DisclosureItem, DisclosureSet

BEGINNING = (1980, 1, 1, 0, 0, 0)  # of the time that a ZIP can tell: the same set has the same bytes
LARGEST = 1 << 32  # bytes of a set


def decide(db: Session, actor: Actor, found: Item, sections: Sections, reason: str) -> DisclosureDecision:
    """Decide by section; a second coordinator confirms. NotHeard until the submitter was heard or their time is over.

    What is disclosed against an objection needs a reason of its own, in the section's note.
    """
    if not (reason := reason.strip()[: disclosures.REASON_LENGTH]):
        raise ReasonMissing
    if found.state not in ("heard",):
        raise Immutable if found.decision else NotHeard
    version = found.item.version
    checked = redaction.checked(calls.questions_of(db, version.definition_digest), version, sections)
    objected = {section for section, said in found.answers.items() if not said.agrees}
    if any(checked[s]["choice"] == "disclose" and not checked[s]["note"] for s in objected & set(checked)):
        raise ReasonMissing
    made = DisclosureDecision(
        item_id=found.item.id, sections=checked, reason=reason, view="silent", decided_by=actor.person_id
    )
    db.add(made)
    db.flush()
    db.refresh(made)  # the database wrote down what the submitter's view came to
    number = found.item.disclosure.number
    audit.record(db, actor, "disclosure.decided", found.item.submission, disclosure=number, view=made.view)
    return made


def confirm(db: Session, actor: Actor, found: Item) -> None:
    """Confirm a decision for good: by another coordinator than the one who took it."""
    if found.decision is None:
        raise NotFound
    db.execute(select(func.confirm_disclosure(found.decision.id, actor.person_id)))
    db.refresh(found.decision)
    number, view = found.item.disclosure.number, found.decision.view
    audit.record(db, actor, "disclosure.confirmed", found.item.submission, disclosure=number, view=view)


def drop(db: Session, actor: Actor, found: Item) -> None:
    """Take back a decision that was not confirmed; it stays on record."""
    if found.decision is None:
        raise NotFound
    statement = update(DisclosureDecision).where(DisclosureDecision.id == found.decision.id)
    db.execute(statement.values(dropped_by=actor.person_id).execution_options(synchronize_session=False))
    db.refresh(found.decision)
    number = found.item.disclosure.number
    audit.record(db, actor, "disclosure.decision_dropped", found.item.submission, disclosure=number)


Draws = Callable[[dict[str, Any]], bytes]


def produce(
    db: Session,
    files: FileStore,
    actor: Actor,
    request: Disclosure,
    language: str,
    draw: Draws,
    signer: Signer,
    issuer: str,
) -> DisclosureSet:
    """Make the set: of each dossier a redacted PDF and JSON, and the list of what is withheld on which ground; signed.

    NotDecided until every dossier is decided by two people; Forbidden to who has not stated to be free of conflicts.
    """
    disclosures.require_free(db, actor, request)
    found = disclosures.items(db, actor, request)
    if not found or any(one.state != "confirmed" for one in found):
        raise NotDecided
    content = dict(sorted(_contents(db, found, request, language, draw)))
    listed = [{"name": n, "sha256": hashlib.sha256(c).hexdigest(), "size": len(c)} for n, c in content.items()]
    content["manifest.json"] = statements.canonical({"format": "eoi-disclosed-set/1", "files": listed})
    kept = _kept(db, files, _packed(content))
    body = {
        **_about(request, issuer),
        "at": times.iso(calls.clock(db)),
        **kept,
        "files": listed,
        "dossiers": [_listed(one) for one in found],
    }
    signed = {"body": body, "jws": statements.sign(signer, body)}
    made = DisclosureSet(disclosure_id=request.id, made_by=actor.person_id, **kept, **signed)
    db.add(made)
    sha256 = made.sha256
    audit.record_call(db, actor, "disclosure.produced", request.call_id, disclosure=request.number, sha256=sha256)
    return made


def _kept(db: Session, files: FileStore, packed: bytes) -> dict[str, Any]:
    """Keep a set in the file store; its digest and size."""
    with files.staged(io.BytesIO(packed), LARGEST) as staged:
        attachments.hold(db, staged.sha256)
        files.keep(staged)
    return {"sha256": staged.sha256, "size": staged.size}


def _about(request: Disclosure, issuer: str) -> dict[str, Any]:
    """What a set says of the request that it answers."""
    return {
        "format": statements.DISCLOSURE,
        "issuer": issuer,
        "call": request.call.code,
        "number": request.number,
        "title": request.title,
    }


def _contents(
    db: Session, found: list[Item], request: Disclosure, language: str, draw: Draws
) -> Iterator[tuple[str, bytes]]:
    for one in found:
        version = one.item.version
        questions = calls.questions_of(db, version.definition_digest)
        sections = _decision(one).sections
        document = redaction.document(questions, one.item.submission, version, sections, language)
        made = json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True).encode()
        own = json.dumps(questions.definition, ensure_ascii=False).casefold()
        redaction.Pen(list(redaction.withheld_words(questions, version, sections)), language).require_clean(made, own)
        yield f"{one.item.submission.reference}.json", made
        yield f"{one.item.submission.reference}.pdf", draw(prints.disclosed(document, questions, language))
    listed = {"number": request.number, "dossiers": [_listed(one) for one in found]}
    yield "list.json", json.dumps(listed, ensure_ascii=False, indent=1, sort_keys=True).encode()


def _decision(one: Item) -> DisclosureDecision:
    if one.decision is None:
        raise NotDecided
    return one.decision


def _listed(one: Item) -> dict[str, Any]:
    decision = _decision(one)
    return {
        "reference": one.item.submission.reference,
        "view": decision.view,
        "disclosed": sorted(s for s, c in decision.sections.items() if c["choice"] == "disclose"),
        "withheld": {s: c["ground"] for s, c in sorted(decision.sections.items()) if c["choice"] == "withhold"},
    }


def _packed(content: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as package:
        for name, part in sorted(content.items()):
            package.writestr(zipfile.ZipInfo(name, BEGINNING), part, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def set_of(db: Session, actor: Actor, request: Disclosure, set_id: uuid.UUID) -> DisclosureSet:
    """A produced set, to take away; put on record. Only for who stated to be free of conflicts in all of it."""
    disclosures.require_free(db, actor, request)
    found = db.get(DisclosureSet, set_id)
    if found is None or found.disclosure_id != request.id:
        raise NotFound
    audit.record_call(db, actor, "disclosure.set_read", request.call_id, disclosure=request.number, sha256=found.sha256)
    return found


def history(db: Session, item: DisclosureItem) -> list[DisclosureDecision]:
    """Every decision on a dossier of a request, dropped ones too, the newest first."""
    wanted = select(DisclosureDecision).where(DisclosureDecision.item_id == item.id)
    return list(db.scalars(wanted.order_by(DisclosureDecision.decided_at.desc())))
