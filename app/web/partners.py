"""/apply/{ref}/partner: the organisation that a partner fills in a submission of others, and the mandate it signs."""

import dataclasses
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import JSONResponse, Response

from app.deps import Db
from app.domain import calls, drafts, exemptions, findings, judgements, mandates, merging, participations, reading
from app.domain.admissions import PartChanged
from app.domain.drafts import Part
from app.domain.errors import Invalid, StaleStep
from app.domain.questionnaire import Step
from app.domain.reading import Reading
from app.infra import times
from app.infra.i18n import N_, Message, translate
from app.models import Participation
from app.web import pages, steps
from app.web.guards import Applicant

router = APIRouter(prefix="/apply/{ref}/partner")
UNKEPT = {"Cache-Control": "no-store"}
SAVED = N_("Saved %(time)s")
LABELS = {"signatory": N_("Your name"), "capacity": N_("Your function")}


@dataclasses.dataclass(frozen=True)
class Page:
    """A partner's page: its part, the step with nothing but the list on it, and what it says as a list of one."""

    participation: Participation
    part: Part
    step: Step
    saved: Reading

    @property
    def revision(self) -> str:
        """What a save from this page is held against: whether its own answers are still these."""
        return mandates.digest({"item": self.part.item, "unread": self.part.unread})


def _open(db: Db, actor: Applicant, ref: str) -> Page:
    participation = participations.load(db, actor, ref)
    case, part = participation.submission, drafts.part(db, participation)
    questions = calls.questions(case.call)
    step = dataclasses.replace(questions.step_of(part.listed), questions=(questions.question(part.listed),))
    return Page(participation, part, step, _alone(part, part.item, part.unread))


def _alone(part: Part, item: dict[str, Any], unread: dict[str, Any]) -> Reading:
    return Reading({part.listed: [item]}, {f"{part.listed}-0-{path}": entry for path, entry in unread.items()})


@router.get("")
def show(request: Request, ref: str, actor: Applicant, db: Db) -> Response:
    """The organisation's own page."""
    page = _open(db, actor, ref)
    return _show(request, db, page, page.saved)


def _show(
    request: Request,
    db: Db,
    page: Page,
    read: Reading,
    typed: dict[str, str] | None = None,
    problems: dict[str, str] | None = None,
    is_alarm: bool = False,
) -> Response:
    case, part = page.participation.submission, page.part
    questions, language = calls.questions(case.call), pages.language_of(request)
    found = _findings(db, page)
    mandate = mandates.last(db, page.participation)
    return pages.render(
        request,
        "apply/partner.html",
        422 if problems or is_alarm else 200,
        case=case,
        questions=questions,
        **exemptions.window(db, case)._asdict(),
        name=_name(page),
        question=questions.question(part.listed),
        fields=steps.Fields(questions, page.step, case.kind, language, read, {}, found),
        revision=page.revision,
        marks=merging.marks(page.step, case.kind, page.saved),
        saved=page.part.page,
        mandate=mandate,
        is_outdated=mandate is not None and mandate.answers_sha256 != mandates.digest(part.item),
        statement=mandates.statement(case, _name(page), language),
        digest=mandates.digest(part.item),
        open_ends=len([f for f in found if f.level == "error"]),
        typed=typed or {},
        problems=problems or {},
        is_alarm=is_alarm,
        length=mandates.NAME_LENGTH,
    )


def _name(page: Page) -> str:
    entities = calls.questions(page.participation.submission.call).parts.entities
    return str((page.part.item.get(entities.name) if entities else "") or page.participation.organisation)


def _findings(db: Db, page: Page) -> list[findings.Finding]:
    """What a check of the whole draft finds on this organisation, by the names that its fields have here."""
    case, start = page.participation.submission, f"{page.part.listed}-{page.part.place}-"
    draft = drafts.content(db, case)
    found = findings.check(calls.questions(case.call), case.kind, draft.answers, draft.unread, draft.files)
    here = f"{page.part.listed}-0-"
    return [dataclasses.replace(f, path=here + f.path.removeprefix(start)) for f in found if f.path.startswith(start)]


@router.get("/presence")
def look(ref: str, actor: Applicant, db: Db) -> Response:
    """What an open page asks each 15 seconds: is the call open, am I signed in."""
    page = _open(db, actor, ref)
    case = page.participation.submission
    window = exemptions.window(db, case)
    body = {
        "state": window.state,
        "closes_at": times.iso(window.exemption.until if window.exemption else case.call.closes_at),
        "revision": page.revision,
        "people": [],
        "person": str(actor.person_id),
        "csrf_token": actor.csrf_token,
    }
    return JSONResponse(body, headers=UNKEPT)


@router.post("/revisions")
def save_meanwhile(request: Request, ref: str, form: pages.Form, actor: Applicant, db: Db) -> Response:
    """Save what is being typed. The same page sent again, as after a lost answer, is saved once."""
    page, language = _open(db, actor, ref), pages.language_of(request)
    read = reading.read(page.step, page.participation.submission.kind, steps.pairs(form), language)
    if read != page.saved:
        _save(db, actor, page, pages.field(form, "revision", 64), read)
    page = _open(db, actor, ref)
    words = translate(language, SAVED, time=times.time_of_day(page.part.page.saved_at))
    marks = merging.marks(page.step, page.participation.submission.kind, page.saved)
    return JSONResponse({"revision": page.revision, "marks": marks, "words": words}, headers=UNKEPT)


def _save(db: Db, actor: Applicant, page: Page, revision: str, read: Reading) -> None:
    items = read.answers.get(page.part.listed) or []
    if len(items) != 1:  # one organisation, this one
        raise Invalid
    start = f"{page.part.listed}-0-"
    unread = {path.removeprefix(start): entry for path, entry in read.unread.items()}
    drafts.save_part(db, actor, page.participation, revision, items[0], unread)
    judgements.keep(db, page.participation.submission)


@router.post("")
def save(request: Request, ref: str, form: pages.Form, actor: Applicant, db: Db) -> Response:
    """Save what the partner says of its organisation, and nothing else."""
    page = _open(db, actor, ref)
    case, language, action = page.participation.submission, pages.language_of(request), pages.field(form, "action", 300)
    read = reading.read(page.step, case.kind, steps.pairs(form), language)
    request.state.labels = steps.labels(calls.questions(case.call), case.kind, read.answers, language)
    revision = pages.field(form, "revision", 64)
    if action == "merge":
        picked = _merged(form, page, read, revision)
        if picked is None:
            return _both(request, form, db, page, read, steps.picks(form) if revision == page.revision else None)
        read = picked
    target = steps.press(page.step, case.kind, read, action)
    try:
        _save(db, actor, page, revision, read)
    except StaleStep:
        return _both(request, form, db, page, read)
    if read.unread and target is None:
        return _show(request, db, _open(db, actor, ref), read, is_alarm=True)
    return pages.redirect(f"/apply/{case.reference}/partner" + (f"#{target}" if target else "?saved=1"))


def _merged(form: FormData, page: Page, mine: Reading, revision: str) -> Reading | None:
    """One text of both, as picked; None where a pick is missing or somebody saved again."""
    if revision != page.revision:
        return None
    kind = page.participation.submission.kind
    found = merging.differences(page.step, kind, pages.field(form, "marks", pages.MAX_TEXT), mine, page.saved)
    return merging.merge(found, mine, page.saved, steps.picks(form))


def _both(
    request: Request, form: FormData, db: Db, page: Page, mine: Reading, picks: dict[str, str] | None = None
) -> Response:
    """Both texts side by side, with all that was typed; nothing was saved."""
    case = page.participation.submission
    began = pages.field(form, "marks", pages.MAX_TEXT)
    return pages.render(
        request,
        "apply/merge.html",
        409,
        case=case,
        step=page.step,
        here=f"/apply/{case.reference}/partner",
        revision=page.revision,
        **exemptions.window(db, case)._asdict(),
        theirs=page.part.page,
        found=merging.differences(page.step, case.kind, began, mine, page.saved),
        lines=merging.lines,
        picks=picks,
        pairs=steps.pairs(form),
        marks=began,
    )


@router.post("/mandates")
def sign(request: Request, ref: str, form: pages.Form, actor: Applicant, db: Db) -> Response:
    """Sign the mandate over the answers that were on the page."""
    page, language = _open(db, actor, ref), pages.language_of(request)
    request.state.labels = {name: Message(words).text(language) for name, words in LABELS.items()}
    typed = {name: pages.field(form, name, mandates.NAME_LENGTH) for name in ("signatory", "capacity", "agreed")}
    lacks = mandates.lacks(typed["signatory"], typed["capacity"], bool(typed["agreed"]))
    if lacks:
        return _show(request, db, page, page.saved, typed, {name: said.text(language) for name, said in lacks.items()})
    seen, part = pages.field(form, "seen", 64), page.participation
    try:
        mandates.sign(db, actor, part, page.part.item, seen, typed["signatory"], typed["capacity"], language)
    except PartChanged as refusal:  # saved since the page was opened: it is shown as it is now, with what was typed
        return _show(request, db, page, page.saved, typed, {"agreed": refusal.message.text(language)})
    return pages.redirect(f"/apply/{ref}/partner?signed=1#mandate")
