"""/verify: check a receipt, or ask whether a reference with a digest was accepted; no login, and nothing learnt by guessing."""

from datetime import timedelta

from fastapi import APIRouter, Request
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from app.deps import Db, PortalDep
from app.domain import heads, proofs, statements, throttle, versions
from app.infra import times
from app.infra.i18n import N_, Message
from app.web import pages
from app.web.guards import Public

router = APIRouter(prefix="/verify")

LIMIT = 1024 * 1024
CHECKS = 60  # a quarter of an hour, from one network address
NOT_JSON = N_(
    "This is not a JSON receipt. Choose the file that you downloaded from the receipt page, or paste its text."
)
NO_MATCH = N_("No accepted version has this reference and this SHA-256.")
MATCH = N_("Accepted: version %(number)s, received %(at)s.")
EXCEPTIONAL = N_("Accepted exceptionally, outside the sealed set: version %(number)s, received %(at)s.")


@router.get("")
def ask(request: Request, actor: Public) -> Response:
    """Two forms: a receipt, or a reference and a digest."""
    return _page(request)


def _page(request: Request, verdict: str = "", outcome: str = "", **values: str) -> Response:
    return pages.render(
        request,
        "verify/index.html",
        200,
        verdict=verdict,
        outcome=outcome,
        reference=values.get("reference", ""),
        digest=values.get("digest", ""),
    )


@router.get("/heads")
def heads_page(request: Request, actor: Public, db: Db) -> Response:
    """The published heads of the audit trail, newest first: whoever keeps one sees later whether the trail was cut."""
    return pages.render(request, "verify/heads.html", heads=heads.published(db))


@router.get("/heads.json")
def heads_document(actor: Public, db: Db) -> Response:
    """The same, as signed documents."""
    return Response(statements.canonical({"heads": heads.published(db)}), media_type="application/json")


@router.post("")
def check(request: Request, form: pages.Form, actor: Public, db: Db, portal: PortalDep) -> Response:
    """Say whether the receipt is valid, or the pair known."""
    throttle.hit(db, f"verify:{pages.network(request)}", CHECKS, timedelta(minutes=15))
    language = pages.language_of(request)
    if reference := pages.field(form, "reference", 40):
        digest = pages.field(form, "digest", 100).lower()
        found = versions.accepted(db, reference, digest)
        message = Message(NO_MATCH)
        if found:
            at = times.brussels_and_utc(found.received_at, language, seconds=True)
            message = Message(EXCEPTIONAL if found.exemption_id else MATCH, {"number": found.number, "at": at})
        return _page(
            request, message.text(language), "valid" if found else "unknown", reference=reference, digest=digest
        )
    try:
        document = proofs.parse(_given(form))
    except ValueError:
        return _page(request, Message(NOT_JSON).text(language), "invalid")
    verdict = proofs.verify(document, portal.signer.jwks())
    return _page(request, verdict.sentence.text(language), verdict.outcome)


def _given(form: FormData) -> bytes:
    upload = form.get("file")
    if isinstance(upload, UploadFile) and upload.filename:
        return upload.file.read(LIMIT)
    return pages.field(form, "receipt", LIMIT).encode()
