"""/apply/{ref}/{step}: the pages of the form. Saved by a button, or by themselves while somebody types; two texts are merged."""

from collections.abc import Iterable
from datetime import datetime

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import JSONResponse, Response

from app.deps import Db, PortalDep
from app.domain import (
    attachments,
    calls,
    drafts,
    exemptions,
    findings,
    judgements,
    merging,
    presence,
    reading,
    submissions,
)
from app.domain.access import Actor
from app.domain.errors import FileRefused, NotFound, StaleStep, TooLarge, TooManyFiles
from app.domain.questionnaire import Step
from app.domain.reading import Reading
from app.infra import times
from app.infra.i18n import N_, translate
from app.models import Draft, Submission
from app.web import pages, steps
from app.web.guards import Applicant

router = APIRouter(prefix="/apply/{ref}/{step}")

SAVED = N_("Saved %(time)s")
UNREAD = N_("Cannot be read yet, kept as you typed it: %(labels)s.")
HERE = N_("%(name)s is on this page now.")
ELSEWHERE = N_("%(name)s is on the page %(page)s now.")


@router.get("/presence")
def look(request: Request, ref: str, step: str, actor: Applicant, db: Db) -> Response:
    """What an open page asks each 15 seconds: is the call open, did somebody save, who else is here, am I signed in."""
    case = submissions.load(db, actor, ref)
    _step(case, step)
    presence.arrive(db, actor, case, step)
    window, saved = exemptions.window(db, case), drafts.saved(db, case).get(step)
    closes_at = window.exemption.until if window.exemption else case.call.closes_at
    body = {
        "state": window.state,
        "closes_at": times.iso(closes_at),
        "revision": saved.revision if saved else 0,
        "is_mine": saved is None or saved.saved_by == actor.person_id,
        "people": _people(case, step, actor, db, pages.language_of(request)),
        "person": str(actor.person_id),
        "csrf_token": actor.csrf_token,
    }
    return JSONResponse(body, headers={"Cache-Control": "no-store"})


def _people(case: Submission, step: str, actor: Actor, db: Db, language: str) -> list[str]:
    """Who else is on a page of this case, as sentences."""
    titles = {s.name: s.title.get(language) or s.title["en"] for s in calls.questions(case.call).steps_for(case.kind)}
    return [
        translate(language, HERE, name=one.name)
        if one.step == step
        else translate(language, ELSEWHERE, name=one.name, page=titles[one.step])
        for one in presence.others(db, actor, case)
        if one.step in titles
    ]


def _step(case: Submission, name: str) -> Step:
    found = calls.questions(case.call).step(name, case.kind)
    if found is None:
        raise NotFound
    return found


@router.get("")
def show(request: Request, ref: str, step: str, actor: Applicant, db: Db) -> Response:
    """One page of the form."""
    case = submissions.load(db, actor, ref)
    found = _step(case, step)
    presence.arrive(db, actor, case, step)
    draft = drafts.saved(db, case).get(step)
    read = _read(draft)
    if draft is None:
        for question in found.questions_for(case.kind):
            if least := question.min_items.get(case.kind, 0):
                read.answers[question.name] = [{} for _ in range(least)]
    return _page(request, case, found, actor, db, read, draft.revision if draft else 0, is_saved=draft is not None)


def _read(draft: Draft | None) -> Reading:
    return Reading(dict(draft.answers), dict(draft.unread)) if draft else Reading()


def _page(
    request: Request,
    case: Submission,
    step: Step,
    actor: Actor,
    db: Db,
    read: Reading,
    revision: int,
    status: int = 200,
    extra: Iterable[findings.Finding] = (),
    is_saved: bool = True,
) -> Response:
    questions = calls.questions(case.call)
    draft = drafts.content(db, case)
    answers, unread = draft.answers | read.answers, draft.unread | read.unread
    found = findings.check(questions, case.kind, answers, unread, draft.files) if is_saved else []
    shown = [*extra, *(f for f in found if f.step == step.name)]
    names = [s.name for s in questions.steps_for(case.kind)]
    place = names.index(step.name)
    language = pages.language_of(request)
    return pages.render(
        request,
        "apply/step.html",
        status,
        case=case,
        step=step,
        fields=steps.Fields(questions, step, case.kind, language, read, draft.files, shown),
        **exemptions.window(db, case)._asdict(),
        standing=submissions.standing(db, case, draft),
        revision=revision,
        marks=merging.marks(step, case.kind, read),
        saved=drafts.saved(db, case).get(step.name),
        people=_people(case, step.name, actor, db, language),
        place=(place + 1, len(names)),
        following=names[place + 1] if place + 1 < len(names) else None,
        may_edit=actor.may_edit(case),
        blocking=lambda: sum(f.level == "error" for f in drafts.check(db, case, draft)),
        is_alarm=status != 200,
    )


@router.post("/revisions")
def save_meanwhile(
    request: Request, ref: str, step: str, form: pages.Form, actor: Applicant, db: Db, portal: PortalDep
) -> Response:
    """Save what is being typed, without its files. The same page sent again, as after a lost answer, is saved once."""
    case = submissions.load(db, actor, ref)
    found = _step(case, step)
    language = pages.language_of(request)
    read = reading.read(found, case.kind, steps.pairs(form), language)
    try:
        revision = drafts.save_step(db, actor, case, step, steps.revision(form), read.answers, read.unread)
        judgements.keep(db, case)
    except StaleStep:
        last = drafts.saved(db, case)[step]
        if last.saved_by != actor.person_id or _read(last) != read:
            raise
        revision = last.revision
    saved_at = drafts.saved(db, case)[step].saved_at
    labels = steps.labels(calls.questions(case.call), case.kind, read.answers, language)
    body = {
        "revision": revision,
        "marks": merging.marks(found, case.kind, read),
        "words": _saved(language, saved_at, [labels.get(path, path) for path in read.unread]),
    }
    return JSONResponse(body | steps.blocking(db, case, portal.now(), language), headers={"Cache-Control": "no-store"})


def _saved(language: str, at: datetime, unread: list[str]) -> str:
    words = translate(language, SAVED, time=times.time_of_day(at))
    return f"{words}. {translate(language, UNREAD, labels=', '.join(unread))}" if unread else words


@router.post("")
def save(
    request: Request, ref: str, step: str, form: pages.Form, actor: Applicant, db: Db, portal: PortalDep
) -> Response:
    """Save one page: answers first, then files; nothing typed is lost whatever becomes of it."""
    case = submissions.load(db, actor, ref)
    found = _step(case, step)
    language, action = pages.language_of(request), pages.field(form, "action", 300)
    read = reading.read(found, case.kind, steps.pairs(form), language)
    request.state.labels = steps.labels(calls.questions(case.call), case.kind, read.answers, language)
    if action == "merge":
        return _merge(request, form, case, found, actor, db, read)
    target = steps.press(found, case.kind, read, action)
    try:
        revision = drafts.save_step(db, actor, case, step, steps.revision(form), read.answers, read.unread)
    except StaleStep:
        return _both(request, form, case, found, db, read)
    refusals = _files(form, found, case, actor, db, portal)
    if (gone := steps.attachment_id(action)) is not None:
        attachments.detach(db, actor, case, gone)
    judgements.keep(db, case)
    if refusals or (read.unread and target is None and action in ("", "save", "continue")):
        return _page(request, case, found, actor, db, read, revision, 422, extra=refusals)
    return pages.redirect(_next(case, found, action, target))


def _both(
    request: Request,
    form: FormData,
    case: Submission,
    step: Step,
    db: Db,
    mine: Reading,
    picks: dict[str, str] | None = None,
) -> Response:
    """Both texts of a page side by side, with all that was typed in it; nothing was saved."""
    theirs = drafts.saved(db, case)[step.name]
    began = pages.field(form, "marks", pages.MAX_TEXT)
    return pages.render(
        request,
        "apply/merge.html",
        409,
        case=case,
        step=step,
        **exemptions.window(db, case)._asdict(),
        theirs=theirs,
        found=merging.differences(step, case.kind, began, mine, _read(theirs)),
        lines=merging.lines,
        picks=picks,
        pairs=steps.pairs(form),
        marks=began,
    )


def _merge(
    request: Request, form: FormData, case: Submission, step: Step, actor: Actor, db: Db, mine: Reading
) -> Response:
    """Save one page made of both. Where somebody saved again meanwhile, or a pick is missing, both are shown again."""
    picks = steps.picks(form)
    theirs = drafts.saved(db, case).get(step.name)
    revision = steps.revision(form)
    if theirs is None or theirs.revision != revision:
        return _both(request, form, case, step, db, mine)
    other = _read(theirs)
    found = merging.differences(step, case.kind, pages.field(form, "marks", pages.MAX_TEXT), mine, other)
    made = merging.merge(found, mine, other, picks)
    if made is None:
        return _both(request, form, case, step, db, mine, picks)
    drafts.save_step(db, actor, case, step.name, revision, made.answers, made.unread)
    judgements.keep(db, case)
    return pages.redirect(f"/apply/{case.reference}/{step.name}?saved=1")


def _files(
    form: FormData, step: Step, case: Submission, actor: Actor, db: Db, portal: PortalDep
) -> list[findings.Finding]:
    """Take the posted files in, each by itself: one that is refused stops neither the others nor the answers."""
    refusals = []
    for question in step.questions_for(case.kind):
        if question.kind != "file":
            continue
        for upload in pages.files_named(form, question.name):
            try:
                with db.begin_nested():
                    attachments.attach(db, portal.files, actor, case, question.name, upload.filename or "", upload.file)
            except (FileRefused, TooLarge, TooManyFiles) as refusal:
                refusals.append(steps.refused_file(refusal.message, question.name, step.name))
    return refusals


def _next(case: Submission, step: Step, action: str, target: str | None) -> str:
    here = f"/apply/{case.reference}/{step.name}"
    if target is not None:
        return f"{here}#{target}"
    if action.startswith("detach:"):
        return here
    if action == "continue":
        names = [s.name for s in calls.questions(case.call).steps_for(case.kind)]
        place = names.index(step.name) + 1
        return f"/apply/{case.reference}/{names[place]}" if place < len(names) else f"/apply/{case.reference}/check"
    return f"{here}?saved=1"
