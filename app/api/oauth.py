"""POST /oauth/token: an access token for a client that proves who it is (RFC 6749 4.4, RFC 7523), by Authlib's server."""

import uuid
from base64 import b64decode
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import parse_qsl

from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, InvalidClientError, OAuth2Request
from authlib.oauth2.rfc6749.errors import InvalidRequestError, OAuth2Error, UnauthorizedClientError
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from fastapi import APIRouter, Depends, Request
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import import_key
from sqlalchemy import text as sql
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse, Response

from app.api import problems, schemas
from app.api.credentials import Counted, network
from app.api.tokens import AccessToken, TokenRefused
from app.deps import PortalDep
from app.domain import bearers, calls, grants, keys, throttle, tokens
from app.models import ApiKey

router = APIRouter()

BODY = 16_384  # bytes
FAILURES = 30  # from one network address, each quarter of an hour
TOKENS = 60  # a client, each minute
GRANT = "client_credentials"
NOT_PROVEN = "The client did not prove who it is."
FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {
                "schema": {
                    "type": "object",
                    "required": ["grant_type"],
                    "properties": {
                        "grant_type": {"type": "string", "enum": [GRANT]},
                        "scope": {"type": "string", "description": "Separated by spaces; left out: all of the client."},
                        "client_assertion_type": {"type": "string"},
                        "client_assertion": {"type": "string", "description": "A JWT, for `private_key_jwt`."},
                    },
                },
                "example": {"grant_type": GRANT, "scope": "submissions:read"},
            }
        },
    },
    "security": [{"client": []}, {}],
}
TOKEN = {
    "access_token": "eoi_at_5f2c9a01b7de_" + "0" * 48 + "_24bd2afd",
    "token_type": "Bearer",
    "expires_in": int(grants.LIVES.total_seconds()),
    "scope": "submissions:read",
}
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"example": TOKEN}}},
    400: {
        "model": TokenRefused,
        "content": {"application/json": {"example": {"error": "unsupported_grant_type"}}},
        "description": "The request is refused; `error` says why (RFC 6749, section 5.2).",
    },
    401: {
        "model": TokenRefused,
        "content": {"application/json": {"example": {"error": "invalid_client", "error_description": NOT_PROVEN}}},
        "description": "The client did not prove who it is.",
    },
    429: {
        "model": schemas.Problem,
        "content": {problems.MEDIA_TYPE: {}},
        "description": "Wait `Retry-After` seconds.",
    },
}


async def read_form(request: Request) -> dict[str, str] | None:
    """The parameters of the body; None where it is none, is too large, or names one twice."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        return None
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BODY:
            return None
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        return None
    given = dict(pairs)
    return given if len(given) == len(pairs) and "\x00" not in "".join(given.values()) else None


Given = Annotated[dict[str, str] | None, Depends(read_form)]


@dataclass(frozen=True)
class Client(ClientMixin):
    """A credential as Authlib asks about it."""

    key: ApiKey

    def get_allowed_scope(self, scope: str | None) -> str | None:
        scopes = grants.allowed(self.key, scope)
        return None if scopes is None else " ".join(scopes)

    def check_client_secret(self, client_secret: str) -> bool:
        return grants.has_secret(self.key, client_secret)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:  # noqa: ARG002  (Authlib's signature)
        return grants.METHODS[self.key.kind] == method

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == GRANT


class Grant(ClientCredentialsGrant):
    """The one grant there is."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("client_secret_basic", "private_key_jwt")


class SignedAssertion(JWTBearerClientAssertion):
    """A client that signs with its own key: only by the algorithms named, for this server, not for long, and once."""

    CLIENT_AUTH_METHOD = "private_key_jwt"

    def __init__(self, db: Session, base_url: str, now: datetime) -> None:
        super().__init__(leeway=int(grants.SKEW.total_seconds()))
        self.db, self.base_url, self.now = db, base_url, now

    def __call__(self, query_client: Any, request: Any) -> Any:
        try:
            return super().__call__(query_client, request)
        except (ValueError, TypeError, RecursionError) as failure:  # of what was sent: no token, or claims of no sort
            raise InvalidClientError(status_code=401, description=NOT_PROVEN) from failure

    def get_audiences(self) -> list[str]:
        return [self.base_url, self.base_url + grants.PATH]

    def resolve_client_public_key(self, client: Client) -> Any:
        if client.key.public_key is None:
            raise InvalidClientError(status_code=401, description=NOT_PROVEN)
        return import_key(client.key.public_key)

    def process_assertion_claims(self, assertion: str, resolve_key: Any) -> Any:
        try:
            claims = jwt.decode(assertion, resolve_key, algorithms=list(grants.ALGORITHMS)).claims
        except (JoseError, ValueError) as failure:
            raise InvalidClientError(status_code=401, description=NOT_PROVEN) from failure
        self.verify_claims(claims)
        return claims

    def validate_jti(self, claims: dict[str, Any], jti: Any) -> bool:
        key = grants.client(self.db, claims["sub"])
        return key is not None and grants.is_first(self.db, key, jti, claims["exp"], self.now)


class Server(AuthorizationServer):
    """Authlib's server over one request and its transaction. It keeps the tokens; who may have them is the domain's."""

    def __init__(self, db: Session, base_url: str, address: str | None) -> None:
        super().__init__(scopes_supported=list(keys.SCOPES))
        self.db, self.address = db, address
        self.client_id: uuid.UUID | None = None
        self.made: dict[str, str] = {}
        self.register_grant(Grant)
        assertion = SignedAssertion(db, base_url, calls.clock(db))
        self.register_client_auth_method(assertion.CLIENT_AUTH_METHOD, assertion)
        bearer = BearerTokenGenerator(self._text, expires_generator=int(grants.LIVES.total_seconds()))
        self.register_token_generator("default", bearer)

    def query_client(self, client_id: str) -> Client:
        """The client of that id; whether there is one is not told apart from a wrong proof."""
        key = grants.client(self.db, client_id)
        if key is None:
            raise InvalidClientError(status_code=401, description=NOT_PROVEN)
        self.client_id = key.id  # outlives the transaction, where the request is refused
        return Client(key)

    def _text(self, **_asked: Any) -> str:
        text, self.made["hash"] = tokens.new_text(tokens.new_name(tokens.ACCESS_TOKEN))
        return text

    def save_token(self, token: dict[str, Any], request: OAuth2Request) -> None:
        key = request.client.key
        grants.issue(
            self.db, key, token["access_token"], self.made["hash"], token.get("scope", "").split(), self.address
        )

    def send_signal(self, _name: str, *_: Any, **given: Any) -> None:
        """Before anything is made: the client may come from here, and has not asked too often."""
        key = given["client"].key
        try:
            bearers.require_network(key, self.address)
        except bearers.NetworkNotAllowed as failure:
            raise UnauthorizedClientError("The client may not be used from this network.") from failure
        throttle.hit(self.db, f"api:token:{key.id}", TOKENS, timedelta(minutes=1))

    def create_oauth2_request(self, request: OAuth2Request) -> OAuth2Request:
        return request

    def handle_response(self, status: int, body: dict[str, Any], headers: list[tuple[str, str]]) -> Response:
        return JSONResponse(body, status, dict(headers))

    def answer(self, request: Request, form: dict[str, str] | None) -> Response:
        """The token, or what RFC 6749 section 5.2 says of the request; OAuth2Error so that the transaction is undone."""
        if form is None:
            raise InvalidRequestError("Send a form of at most 16 kilobytes, each parameter once.")
        _require_readable(request.headers.get("authorization"))
        asked = Asked(request, form)
        grant = self.get_token_grant(asked)
        grant.validate_token_request()
        return self.handle_response(*grant.create_token_response())


def _require_readable(header: str | None) -> None:
    """That an `Authorization` header is one of Basic, and text: Authlib takes it apart without asking."""
    if header is None:
        return
    word, _, given = header.partition(" ")
    try:
        told = b64decode(given, validate=True).decode("utf-8")
    except ValueError:
        told = ""
    if word.lower() != "basic" or ":" not in told or not told.isprintable():
        raise InvalidClientError(status_code=401, description=NOT_PROVEN)


class Asked(OAuth2Request):
    """The request as Authlib reads it. Its address is only looked at for TLS, which the settings see to."""

    def __init__(self, request: Request, form: dict[str, str]) -> None:
        super().__init__("POST", "https://" + request.url.netloc, headers=_headers(request))
        self.payload = BasicOAuth2Payload(form)

    @property
    def form(self) -> dict[str, str]:
        return dict(self.payload.data)


def _headers(request: Request) -> dict[str, str]:
    return {"Authorization": request.headers["authorization"]} if "authorization" in request.headers else {}


@router.post(
    "/oauth/token",
    response_model=AccessToken,
    tags=["credentials"],
    responses=ANSWERS,
    openapi_extra=FORM,
)
def token(request: Request, actor: Counted, portal: PortalDep, form: Given) -> Response:
    """An access token for ten minutes, to be sent as `Authorization: Bearer`; it has the calls and networks of its client.

    The client proves who it is by `client_secret_basic`, or by `private_key_jwt` with a key that RVO registered.
    """
    address = request.client.host if request.client else None
    server: Server | None = None
    try:
        with portal.sessions.begin() as db:
            server = Server(db, portal.settings.base_url, address)
            return server.answer(request, form)
    except OAuth2Error as failure:
        with portal.sessions.begin() as db:
            db.execute(sql("set local synchronous_commit = off"))
            throttle.hit(db, f"api:token-failed:{network(request)}", FAILURES, timedelta(minutes=15))
        if server is not None and server.client_id is not None:
            portal.meter.count(server.client_id, portal.now(), f"refused:{failure.error}")
        return _refused(failure)


def describe(described: dict[str, Any]) -> None:
    """Add to the description how a client proves who it is, which is no guard of ours but Authlib's."""
    words = "An OAuth client that RVO registered: its id and secret, at `/oauth/token` alone."
    schemes = described["components"]["securitySchemes"]
    schemes["client"] = {"type": "http", "scheme": "basic", "description": words}


def _refused(failure: OAuth2Error) -> Response:
    status, body, headers = failure()
    given: dict[str, str] = dict(headers)
    if failure.error == "invalid_client":
        status, given["WWW-Authenticate"] = 401, 'Basic realm="eoi"'
    return JSONResponse(dict(body), status, given)
