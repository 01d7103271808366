"""What all pages share: rendering, reading a posted form, redirects, and the page of a refusal."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Annotated, Any
from urllib.parse import quote, urlencode, urlsplit

from babel.numbers import format_decimal, format_percent
from fastapi import Depends, Request
from jinja2 import (
    ChainableUndefined,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    PrefixLoader,
)
from markupsafe import Markup
from starlette.datastructures import FormData, UploadFile
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.deps import ActorDep, cookie_name
from app.domain import amounts, audit, calls, glossary
from app.domain.access import ANONYMOUS
from app.domain.errors import ConflictNotStated, CrossSite, Invalid, Refused
from app.infra import i18n, times
from app.infra.places import place

TEMPLATES = place("templates")
STATIC = place("static")
LANGUAGE = "language"  # the cookie of the language chosen
MACROS = {"govuk_frontend_jinja": PackageLoader("govuk_frontend_jinja")}
MAX_FIELDS = 20_000
MAX_FILES = 20
MAX_TEXT = 1024 * 1024
DAYS = i18n.N_("days")
MAX_VERSION = 100_000  # beyond what anybody submits, well within what the database counts with


@cache
def _environment(language: str) -> Environment:
    environment = Environment(
        loader=ChoiceLoader([FileSystemLoader(TEMPLATES), PrefixLoader(MACROS), PackageLoader("govuk_frontend_jinja")]),
        autoescape=True,
        undefined=ChainableUndefined,  # GOV.UK's macros read members that were not given
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_translations(i18n.catalogue(language), newstyle=True)  # type: ignore[attr-defined]
    environment.globals["_"] = i18n.speaker(language)
    environment.tests["match_digits"] = str.isdigit
    environment.globals |= {
        "language": language,
        "static": static,
        "text": lambda texts: texts.get(language) or texts["en"],
        "named": partial(glossary.words, language=language),
        "brussels": partial(times.brussels, language=language),
        "utc": partial(times.utc, language=language),
        "day": partial(times.day, language=language),
        "time_of_day": times.time_of_day,
        "calendar_day": partial(times.calendar_day, language=language),
        "to_the_end": partial(times.to_the_end, language=language),
        "both_zones": partial(times.brussels_and_utc, language=language),
        "iso": times.iso,
        "instant": datetime.fromisoformat,
        "size": partial(_size, language),
        "remaining": partial(_remaining, language),
        "integer": partial(format_decimal, locale=language),
        "euros": lambda amount: amounts.show_money(amount, None, language),
        "percent": partial(format_percent, format="#,##0.00 %", locale=language),
    }
    return environment


def _size(language: str, number: int) -> str:
    for unit, scale in (("MB", 1024 * 1024), ("kB", 1024)):
        if number >= scale:
            return f"{format_decimal(round(number / scale, 1), locale=language)} {unit}"
    return f"{number} bytes"


def _remaining(language: str, left: timedelta) -> str:
    """`12 days 03:04:05`, as the countdown writes it."""
    seconds = max(0, int(left.total_seconds()))
    days, rest = divmod(seconds, 86400)
    return f"{days} {i18n.translate(language, DAYS)} {rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"


@cache
def _manifest() -> dict[str, str]:
    path = STATIC / "manifest.json"
    found: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    return found


def static(path: str) -> str:
    """The address of a built asset, with its content hash so that browsers may keep it for ever."""
    return f"/static/{_manifest().get(path, path)}"


def language_of(request: Request) -> str:
    """The language chosen by the switch, else the person's, else the browser's, else English."""
    chosen = request.cookies.get(cookie_name(request.app.state.portal.settings, LANGUAGE))
    actor = getattr(request.state, "actor", ANONYMOUS)
    if chosen in i18n.LANGUAGES:
        return str(chosen)
    if actor.kind == "person":
        return str(actor.language)
    accepted = request.headers.get("accept-language", "")
    return next(
        (part.strip()[:2].lower() for part in accepted.split(",") if part.strip()[:2].lower() in i18n.LANGUAGES), "en"
    )


def render(request: Request, template: str, status: int = 200, **context: Any) -> HTMLResponse:
    """A page in the reader's language. Layout finds `actor`, `now`, `announced` and more beside `context`.

    Where a page is about a case, the questionnaire of its call is there too, whose notice stands on every such page.
    """
    language = language_of(request)
    if "case" in context and "questions" not in context:
        context["questions"] = calls.questions(context["case"].call)
    portal = request.app.state.portal
    actor = getattr(request.state, "actor", ANONYMOUS)
    page = (
        _environment(language)
        .get_template(template)
        .render(
            request=request,
            actor=actor,
            now=(now := portal.now()),
            announced=[one for one in portal.announced if one.is_told(now)],
            demo=portal.settings.demo,
            csrf_token=actor.csrf_token,
            path=request.url.path,
            **context,
        )
    )
    return HTMLResponse(page, status_code=status, headers={"Cache-Control": "no-store", "Content-Language": language})


def fragment(language: str, template: str, **context: Any) -> Markup:
    """A part of a page that is the same for every reader of a language."""
    return Markup(_environment(language).get_template(template).render(**context))  # noqa: S704  (it escapes)


def network(request: Request) -> str:
    """The caller's network address, as a keyed hash: enough to count by, useless to read."""
    host = request.client.host if request.client else "unknown"
    secret = request.app.state.portal.settings.secret_key
    return hmac.new(secret.encode(), host.encode(), hashlib.sha256).hexdigest()[:32]


def redirect(path: str) -> RedirectResponse:
    """See other: after a post, the browser gets `path`."""
    return RedirectResponse(path, status_code=303)


def sandbox(name: str, inline: bool = False) -> dict[str, str]:
    """Headers of a file that is kept or viewed, never run as a page of this site."""
    ascii_name = "".join(c if c.isascii() and (c.isalnum() or c in "._- ") else "_" for c in name)
    kind = "inline" if inline else "attachment"
    return {
        "Content-Disposition": f"{kind}; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(name)}",
        "Cache-Control": "private, no-store",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }


# A page that shows a file of ours in a frame, and the file in it: no other site may frame either.
FRAMING = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; frame-src 'self'"
FRAMED = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox",
    "X-Frame-Options": "SAMEORIGIN",
}


def digest(sha256: str) -> dict[str, str]:
    """The header that names the bytes of a file (RFC 9530)."""
    return {"Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"}


def download(content: bytes, media_type: str, name: str, inline: bool = False) -> Response:
    """Bytes to keep or view, in a sandbox."""
    return Response(content, media_type=media_type, headers=sandbox(name, inline))


def own_path(path: str) -> str:
    """`path` if it is one of this site, else the front door: a form never sends anybody elsewhere."""
    parts = urlsplit(path)
    safe = path.startswith("/") and not path.startswith("//") and "\\" not in path and not parts.netloc
    return path if safe and all(c.isprintable() for c in path) else "/"


async def read_form(request: Request, actor: ActorDep) -> AsyncIterator[FormData]:
    """The posted form; the token of the session must be in it when somebody is signed in. Its files are closed at the end."""
    form = await request.form(max_files=MAX_FILES, max_fields=MAX_FIELDS, max_part_size=MAX_TEXT)
    request.state.form = form
    given = form.get("csrf_token")
    try:
        if actor.csrf_token and not (isinstance(given, str) and _same(given, actor.csrf_token)):
            raise CrossSite
        yield form
    finally:
        await form.close()


def _same(given: str, token: str) -> bool:
    """Compared as bytes: `compare_digest` takes no text beyond ASCII, and anything may be typed into a form."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), token.encode())


Form = Annotated[FormData, Depends(read_form, scope="function")]


def field(form: FormData, name: str, limit: int = 10_000) -> str:
    """One text field, trimmed and cut at `limit` characters; empty when absent or a file."""
    value = form.get(name)
    return value.strip().replace("\x00", "")[:limit] if isinstance(value, str) else ""


def fields(form: FormData, name: str) -> list[str]:
    """Every text posted under a name that may be repeated."""
    return [value for value in form.getlist(name) if isinstance(value, str)]


def named(given: list[str] | None, most: int) -> list[str]:
    """References as they were given, each once, empty ones left out. Invalid beyond `most` of them."""
    kept = list(dict.fromkeys(one.replace("\x00", "").strip()[:40] for one in given or ()))
    if len(kept) > most:
        raise Invalid
    return [one for one in kept if one]


def query(**values: str | list[str]) -> str:
    """What stands behind the question mark."""
    return urlencode({name: value for name, value in values.items() if value}, doseq=True)


def typed(form: FormData) -> list[tuple[str, str]]:
    """What a person typed into a form, by field name, without tokens and files."""
    hidden = {"csrf_token", "action", "revision", "marks", "key", "seen", "digest"}
    return [
        (name, value)
        for name, value in form.multi_items()
        if isinstance(value, str) and value.strip() and name not in hidden
    ]


def files_named(form: FormData, name: str) -> list[UploadFile]:
    """The non-empty files posted under `name`."""
    return [f for f in form.getlist(name) if isinstance(f, UploadFile) and f.filename]


def refused(request: Request, refusal: Refused, entries: list[tuple[str, str]] | None = None, **shown: Any) -> Response:
    """The page of a refusal: what happened, what was kept, what to do next, and everything that was typed.

    `entries` stands for what was typed where that is not in the form itself, as with a submit.
    """
    if refusal.status == 401 and request.method in ("GET", "HEAD"):
        return redirect(refusal.extra.get("sign_in", "/account/sign-in"))
    if refusal.code == ConflictNotStated.code and request.method in ("GET", "HEAD"):
        onward = quote(request.url.path + (f"?{request.url.query}" if request.url.query else ""))
        return redirect(f"/review/{quote(refusal.extra['reference'])}/conflict?next={onward}")
    form: FormData = getattr(request.state, "form", FormData())
    labels: dict[str, str] = getattr(request.state, "labels", {})
    entries = entries or [(labels.get(name, name), value) for name, value in typed(form)]
    response = render(
        request,
        "refused.html",
        status=refusal.status,
        message=refusal.message.text(language_of(request)),
        code=refusal.code,
        entries=entries,
        again=_again(request, form, refusal),
        copy="\r\n\r\n".join(f"{label}\r\n{value}" for label, value in entries),
        releases_at=refusal.extra.get("releases_at"),
        sign_in=refusal.extra.get("sign_in"),
        reference=request.path_params.get("ref"),
        number=audit.request_id.get() if refusal.status >= 500 else None,
        **shown,
    )
    if "retry_after" in refusal.extra:
        response.headers["Retry-After"] = str(refusal.extra["retry_after"])
    return response


def _again(request: Request, form: FormData, refusal: Refused) -> list[tuple[str, str]]:
    """What is sent again, once its sender is signed in: a page of answers whose session ended. Its files are not."""
    if refusal.code not in ("unauthenticated", "cross_site") or not request.url.path.startswith("/apply/"):
        return []
    return [(name, value) for name, value in form.multi_items() if isinstance(value, str) and name != "csrf_token"]
