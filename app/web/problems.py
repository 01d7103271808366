"""/problems: report a problem from any page, signed in or not, and keep the signed proof of it."""

import re
from datetime import timedelta

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.deps import Db, PortalDep
from app.domain import references, statements, throttle, tickets
from app.domain.errors import WordsMissing
from app.infra.i18n import N_, translate
from app.web import pages
from app.web.guards import Public

router = APIRouter(prefix="/problems")

HOUR = timedelta(hours=1)
REPORTS = 20  # an hour, of a person or, not signed in, of a network
CASE = re.compile(r"/apply/([^/?#]+)")
NO_REFERENCE = N_(
    "This is not the reference of a submission. It has 14 letters and digits, such as 0KQ3V-9XM2T-7RWC. "
    "Correct it, or leave it empty."
)


@router.get("")
def ask(request: Request, actor: Public, page: str = "") -> Response:
    """Ask what happened; the page it happened on, and the submission that it is of, are filled in."""
    page = page.replace("\x00", "")[: tickets.PAGE_LENGTH]
    case = CASE.match(page)
    return _form(request, page, (references.normalised(case[1]) or "") if case else "", "", {})


def _form(request: Request, page: str, submission: str, words: str, errors: dict[str, str]) -> Response:
    said = {name: translate(pages.language_of(request), msgid) for name, msgid in errors.items()}
    return pages.render(
        request,
        "problems/form.html",
        422 if errors else 200,
        page=page,
        submission=submission,
        words=words,
        errors=said,
        longest=tickets.WORDS_LENGTH,
    )


@router.post("")
def report(request: Request, form: pages.Form, actor: Public, db: Db, portal: PortalDep) -> Response:
    """Stamp and sign it, and lead to the proof."""
    words, page = pages.field(form, "words", tickets.WORDS_LENGTH), pages.field(form, "page", tickets.PAGE_LENGTH)
    given = pages.field(form, "submission", 40)
    submission = references.normalised(given)
    errors = {} if words else {"words": WordsMissing.msgid}
    if given and submission is None:
        errors["submission"] = NO_REFERENCE
    if errors:
        return _form(request, page, given, words, errors)
    who = actor.person_id or pages.network(request)
    throttle.hit(db, f"problem:{who}", REPORTS, HOUR)
    issuer = portal.settings.base_url
    ticket = tickets.report(db, actor, words, page, submission, portal.signer, issuer)
    return pages.redirect(f"/problems/{ticket.reference}")


@router.get("/{ticket}.json")
def as_json(ticket: str, actor: Public, db: Db) -> Response:
    """The signed proof, as `python -m app verify` checks it."""
    found = tickets.load(db, actor, ticket)
    made = statements.canonical(tickets.document(found))
    return pages.download(made, "application/json", f"problem-{found.reference}.json")


@router.get("/{ticket}")
def show(request: Request, ticket: str, actor: Public, db: Db) -> Response:
    """The proof as a page, and the answer once there is one."""
    return pages.render(request, "problems/ticket.html", ticket=tickets.load(db, actor, ticket))
