"""OpenID Connect: the providers of a file, where they are found, and what their signed answers say.

Code flow with PKCE, state and nonce. Nothing is taken from an answer before its signature, issuer, audience, nonce and
time hold.
"""

import hmac
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import OAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from app.settings import SettingsRefused

ALGORITHMS = ("RS256", "PS256", "ES256")
FRESH = 3600.0  # seconds that a provider's description and keys are kept
PATIENCE = 8.0
LEEWAY = 30
KEYS = {"name", "title", "issuer", "client_id", "client_secret", "for"}
MORE = {"scope", "claims", "levels", "roles", "second_factor", "trusts_email"}
CLAIMS = {"email": "email", "name": "name", "registration_no": "kvk", "organisation": "organisation", "level": "acr"}


class ProviderFailed(Exception):
    """The provider did not answer, or its answer does not hold; the text says why, for the log."""


@dataclass(frozen=True)
class Provider:
    """Somebody who says who people are. `claims` names its claims, `levels` and `roles` translate its values to ours."""

    name: str
    title: Mapping[str, str]
    issuer: str
    client_id: str
    client_secret: str
    is_for_staff: bool
    scope: str = "openid profile email"
    claims: Mapping[str, str] = field(default_factory=lambda: CLAIMS)
    levels: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    second_factor: tuple[str, ...] = ()
    trusts_email: bool = False
    _kept: dict[str, tuple[float, Any]] = field(default_factory=dict, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, compare=False)

    def address(self, redirect_uri: str, state: str, nonce: str, verifier: str, anew: bool) -> str:
        """Where the browser goes to sign in there."""
        more = {"prompt": "login"} if anew else {}
        with self._client(redirect_uri) as client:
            place = self._described()["authorization_endpoint"]
            url, _ = client.create_authorization_url(place, state=state, code_verifier=verifier, nonce=nonce, **more)
        return str(url)

    def claims_of(self, redirect_uri: str, code: str, nonce: str, verifier: str) -> dict[str, Any]:
        """What the provider says of whoever came back with `code`; ProviderFailed where anything does not hold."""
        try:
            with self._client(redirect_uri) as client:
                got = client.fetch_token(self._described()["token_endpoint"], code=code, code_verifier=verifier)
            return self._checked(str(got["id_token"]), nonce)
        except (httpx.HTTPError, AuthlibBaseError, JoseError, KeyError, ValueError) as failure:
            raise ProviderFailed(f"{type(failure).__name__}: {failure}") from failure

    def _checked(self, token: str, nonce: str) -> dict[str, Any]:
        """The claims of an ID token; its key is looked for anew once, as providers change theirs."""
        try:
            found = jwt.decode(token, self._keys(), list(ALGORITHMS))
        except (JoseError, ValueError):
            self._kept.pop("jwks", None)
            found = jwt.decode(token, self._keys(), list(ALGORITHMS))
        wanted = {"iss": self.issuer, "aud": self.client_id, "nonce": nonce}
        checks: dict[str, Any] = {name: {"essential": True, "value": value} for name, value in wanted.items()}
        jwt.JWTClaimsRegistry(leeway=LEEWAY, sub={"essential": True}, exp={"essential": True}, **checks).validate(
            found.claims
        )
        if not hmac.compare_digest(str(found.claims.get("azp", self.client_id)), self.client_id):
            raise ValueError("azp names another client")
        return dict(found.claims)

    def _client(self, redirect_uri: str) -> OAuth2Client:
        return OAuth2Client(
            self.client_id,
            self.client_secret,
            scope=self.scope,
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            timeout=PATIENCE,
            trust_env=False,
        )

    def _described(self) -> dict[str, Any]:
        found: dict[str, Any] = self._fetched("about", f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self.issuer:
            raise ProviderFailed(f"its description names another issuer: {found.get('issuer')}")
        return found

    def _keys(self) -> KeySet:
        return KeySet.import_key_set(self._fetched("jwks", self._described()["jwks_uri"]))

    def _fetched(self, name: str, url: str) -> Any:
        """A document of the provider, kept for an hour; no redirect is followed, no proxy of the environment asked."""
        with self._lock:
            at, found = self._kept.get(name, (0.0, None))
            if found is None or time.monotonic() - at > FRESH:
                try:
                    answer = httpx.get(url, timeout=PATIENCE, trust_env=False)
                    answer.raise_for_status()
                    found = answer.json()
                except (httpx.HTTPError, ValueError) as failure:
                    raise ProviderFailed(f"{url}: {type(failure).__name__}: {failure}") from failure
                self._kept[name] = (time.monotonic(), found)
            return found


def from_file(path: Path | None, may_be_plain: bool) -> dict[str, Provider]:
    """The providers of a YAML file, by name; none without one. SettingsRefused says which entry will not do."""
    if path is None:
        return {}
    try:
        listed = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as failure:
        raise SettingsRefused(f"PROVIDERS names {path}, which cannot be read: {failure}") from failure
    if not isinstance(listed, list):
        raise SettingsRefused(f"PROVIDERS: {path} is no list of providers.")
    return {provider.name: provider for provider in (_provider(entry, may_be_plain) for entry in listed)}


def _provider(entry: Any, may_be_plain: bool) -> Provider:
    if not isinstance(entry, dict) or not set(entry) >= KEYS or set(entry) - KEYS - MORE:
        raise SettingsRefused(f"PROVIDERS: each entry has {', '.join(sorted(KEYS))}, and may have {', '.join(MORE)}.")
    name, issuer = str(entry["name"]), str(entry["issuer"])
    if not name.isascii() or not name.replace("-", "").isalnum() or entry["for"] not in ("companies", "staff"):
        raise SettingsRefused(f"PROVIDERS: '{name}' is no short name, or `for` is neither companies nor staff.")
    if not issuer.startswith("https://") and not may_be_plain:
        raise SettingsRefused(f"PROVIDERS: the issuer of '{name}' is not https.")
    if set(entry.get("levels", {}).values()) - {"low", "substantial", "high"}:
        raise SettingsRefused(f"PROVIDERS: a level of '{name}' is none of low, substantial and high.")
    if set(entry.get("roles", {}).values()) - {"reviewer", "coordinator", "admin"}:
        raise SettingsRefused(f"PROVIDERS: a role of '{name}' is none of reviewer, coordinator and admin.")
    more = {key: entry[key] for key in MORE & set(entry) - {"claims", "second_factor"}}
    return Provider(
        name=name,
        title=entry["title"],
        issuer=issuer,
        client_id=str(entry["client_id"]),
        client_secret=str(entry["client_secret"]),
        is_for_staff=entry["for"] == "staff",
        claims=CLAIMS | entry.get("claims", {}),
        second_factor=tuple(entry.get("second_factor", ())),
        **more,
    )
