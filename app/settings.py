"""Every knob of the portal, read once from the environment; a missing or weak one stops the start with a sentence."""

import hashlib
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from app import knobs
from app.knobs import SettingsRefused as SettingsRefused
from app.knobs import knob

ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")  # the first that is set counts
ENCRYPTIONS = ("AES256", "aws:kms", "none")
SECRET_LENGTH = 32  # characters; `openssl rand -hex 32` gives 64
TOKEN_LENGTH = 16
VARIETY = 8  # different characters in a secret: "changemechangeme…" has fewer
MAX_WORKERS = 64
MAX_REQUESTS = 1_000_000  # a minute


@dataclass(frozen=True)
class Settings:
    """All settings of one process. Made by `from_env`; nothing else reads the environment."""

    demo: bool = knob("DEMO", "off", "Demonstration mode: mails are shown on a page, weak settings are allowed.")
    base_url: str = knob(
        "BASE_URL", "required; demonstration: http://127.0.0.1:$PORT", "Public address, https, without path."
    )
    secret_key: str = knob(
        "SECRET_KEY",
        "required",
        f"At least {SECRET_LENGTH} characters; wraps the root key, keys hashes. `rotate secret-key` moves to another.",
    )
    mail_url: str = knob(
        "MAIL_URL",
        "required; demonstration: DATA/mail",
        "smtp://host:587, smtps://user:password@host:465, folder:///path.",
    )
    mail_sender: str = knob("MAIL_SENDER", "noreply@ the host of BASE_URL", "From address of all mails.")
    security_contact: str = knob(
        "SECURITY_CONTACT", "security@ the host of BASE_URL", "Address in /.well-known/security.txt."
    )
    eurohpc_contact: str | None = knob(
        "EUROHPC_CONTACT", "none", "Address at EuroHPC that is told of each seal, beside RVO's coordinators."
    )
    database_url: str | None = knob(
        "DATABASE_URL", "embedded database in DATA/postgres", "PostgreSQL 15 or later, as the serving role eoi_app."
    )
    database_owner_url: str | None = knob(
        "DATABASE_OWNER_URL", "none", "The same database as eoi_owner; only `migrate`, `call` and `key issue` use it."
    )
    trusts_database_line: bool = knob(
        "DATABASE_LINE_TRUSTED", "off", "The way to a database elsewhere is safe without `sslmode=verify-full`."
    )
    data: Path = knob("DATA", "./data", "Folder of keys, files and the embedded database; on a disk that is backed up.")
    files_url: str = knob(
        "FILES_URL", "DATA/files", "Attachments: a folder all replicas share (path, file://), or s3://bucket/prefix."
    )
    workers: int = knob("WORKERS", "2", "Server processes (1 to 64); about one a core.")
    port: int = knob("PORT", "8000", "Port to serve on, where the command line names none.")
    allowed_hosts: tuple[str, ...] = knob(
        "ALLOWED_HOSTS", "the host of BASE_URL", "Further host names to answer to, separated by commas."
    )
    trusted_proxies: tuple[str, ...] = knob(
        "TRUSTED_PROXIES", "127.0.0.1", "Addresses or networks whose X-Forwarded-For is believed, separated by commas."
    )
    api_requests: int = knob("API_REQUESTS", "600", "Requests a minute that one key to the API is good for.")
    webhook_networks: tuple[str, ...] = knob(
        "WEBHOOK_NETWORKS", "none: public addresses only", "Private networks that webhooks may reach, split by commas."
    )
    metrics_token: str | None = knob(
        "METRICS_TOKEN", "none: /metrics answers to this machine only", f"Bearer token, at least {TOKEN_LENGTH} signs."
    )

    log_format: str = knob(
        "LOG_FORMAT", "json; demonstration: text", "Each line of the log as a JSON object, or as text."
    )

    vies_url: str | None = knob(
        "VIES_URL", "none: VAT numbers are not looked up", "Address of the VIES REST API, as https://host/rest-api."
    )
    vies_requester: str | None = knob(
        "VIES_REQUESTER", "none", "VAT number in whose name VIES is asked; it then gives a consultation number."
    )
    gleif_url: str | None = knob(
        "GLEIF_URL", "none: LEIs are not looked up", "Address of the GLEIF API, as https://host/api/v1."
    )
    providers: Path | None = knob(
        "PROVIDERS", "none: e-mail links only", "YAML file of OpenID Connect providers, see `docs/sign-in.md`."
    )
    clamd_url: str | None = knob(
        "CLAMD_URL", "none: files are not scanned", "Virus scanner clamd: tcp://host:3310 or unix:///path."
    )
    lookups: bool = knob("LOOKUPS", "off", "Also look up, unasked and slowly, the identifiers of sealed calls.")

    @classmethod
    def from_env(cls, environ: Mapping[str, str], demo: bool = False) -> "Settings":
        """Read and judge all settings; `demo` is as good as DEMO. SettingsRefused names the first that will not do."""
        env = {name: value.strip() for name, value in environ.items()}
        is_demo = demo or knobs.switch(env, "DEMO")
        port = knobs.number(env, "PORT", 8000, 65535)
        data = Path(env.get("DATA") or "data").expanduser().absolute()
        base_url = _base_url(env, is_demo, port)
        host = urlsplit(base_url).hostname or ""
        office = "eoi.example" if is_demo else host
        database_url, owner_url = _databases(env, is_demo)
        local = ("127.0.0.1", "localhost", "[::1]") if is_demo else ()
        return cls(
            demo=is_demo,
            base_url=base_url,
            secret_key=_secret(env, is_demo, data),
            mail_url=_mail_url(env, is_demo, data),
            mail_sender=knobs.address(env, "MAIL_SENDER", f"noreply@{office}"),
            security_contact=knobs.address(env, "SECURITY_CONTACT", f"security@{office}"),
            eurohpc_contact=knobs.address(env, "EUROHPC_CONTACT", "") if env.get("EUROHPC_CONTACT") else None,
            database_url=database_url,
            database_owner_url=owner_url,
            trusts_database_line=knobs.switch(env, "DATABASE_LINE_TRUSTED"),
            data=data,
            files_url=_files_url(env, is_demo, data),
            workers=knobs.number(env, "WORKERS", 2, MAX_WORKERS),
            port=port,
            allowed_hosts=tuple(dict.fromkeys((host, *local, *knobs.listed(env, "ALLOWED_HOSTS", "")))),
            trusted_proxies=_proxies(env, is_demo),
            api_requests=knobs.number(env, "API_REQUESTS", 600, MAX_REQUESTS),
            webhook_networks=knobs.networks(env, "WEBHOOK_NETWORKS", ""),
            metrics_token=_token(env, is_demo),
            log_format=knobs.choice(env, "LOG_FORMAT", ("text", "json") if is_demo else ("json", "text")),
            vies_url=knobs.service(env, "VIES_URL", is_demo),
            vies_requester=env.get("VIES_REQUESTER") or None,
            gleif_url=knobs.service(env, "GLEIF_URL", is_demo),
            providers=Path(env["PROVIDERS"]) if env.get("PROVIDERS") else None,
            clamd_url=_clamd_url(env),
            lookups=knobs.switch(env, "LOOKUPS"),
        )

    def warnings(self) -> list[str]:
        """What is allowed but deserves a word in the log at the start."""
        found = []
        if not self.demo and self.database_url is None:
            found.append(
                "DATABASE_URL is not set: the embedded database in DATA/postgres serves. It lives and dies with this "
                "one machine; a PostgreSQL of your own, with a standby and backups, is the better place."
            )
        if self.database_url and knobs.travels_in_clear(self.database_url):
            found.append(
                "DATABASE_URL names another host without sslmode=verify-full, over a line that is said to be trusted."
            )
        if self.mail_url.startswith("smtp://") and urlsplit(self.mail_url).password:
            found.append("MAIL_URL carries a password over smtp://: it is safe only if the server offers STARTTLS.")
        return found


def table() -> list[tuple[str, str, str]]:
    """Variable, default and meaning of every setting, as the README shows them."""
    return [(f.metadata["env"], f.metadata["default"], f.metadata["meaning"]) for f in fields(Settings)]


def _base_url(env: Mapping[str, str], demo: bool, port: int) -> str:
    value = env.get("BASE_URL", "").rstrip("/")
    if not value and demo:
        return f"http://127.0.0.1:{port}"
    if not value:
        raise SettingsRefused("BASE_URL is not set: links in mails and receipts need the public address, https://….")
    parts = urlsplit(value)
    if "@" in value:
        raise SettingsRefused("BASE_URL holds a name or password: write https:// and a host, without either.")
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.path or parts.query or parts.fragment:
        raise SettingsRefused(f"BASE_URL is '{value}': write https:// and a host, without a path.")
    if parts.scheme == "http" and not demo:
        raise SettingsRefused(
            f"BASE_URL is '{value}': without https everybody on the way could read and sign in as others."
        )
    return value


def _secret(env: Mapping[str, str], demo: bool, data: Path) -> str:
    value = env.get("SECRET_KEY", "")
    if not value and demo:
        return hashlib.sha256(f"demonstration {data}".encode()).hexdigest()  # all processes agree, nothing is written
    if not value:
        raise SettingsRefused("SECRET_KEY is not set: make one with `openssl rand -hex 32` and keep it secret.")
    if not demo and (len(value) < SECRET_LENGTH or len(set(value)) < VARIETY):
        raise SettingsRefused(
            f"SECRET_KEY is too weak: it needs {SECRET_LENGTH} random characters; `openssl rand -hex 32` makes one."
        )
    return value


def _mail_url(env: Mapping[str, str], demo: bool, data: Path) -> str:
    value = env.get("MAIL_URL", "")
    if not value and demo:
        return (data / "mail").as_uri().replace("file://", "folder://", 1)
    if not value:
        raise SettingsRefused("MAIL_URL is not set: nobody could sign in or get a receipt; write smtp://host:port.")
    parts = urlsplit(value)
    if parts.scheme not in ("smtp", "smtps", "folder") or not (parts.hostname or parts.scheme == "folder"):
        shown = f"{parts.scheme}://…" if parts.password else value
        raise SettingsRefused(f"MAIL_URL is '{shown}': write smtp://host:port or smtps://user:password@host:port.")
    if parts.scheme == "folder" and not demo:
        raise SettingsRefused(
            "MAIL_URL names a folder: outside the demonstration mode mails must reach people by SMTP."
        )
    return value


def _databases(env: Mapping[str, str], demo: bool) -> tuple[str | None, str | None]:
    app, owner = env.get("DATABASE_URL") or None, env.get("DATABASE_OWNER_URL") or None
    for name, value in (("DATABASE_URL", app), ("DATABASE_OWNER_URL", owner)):
        if value and urlsplit(value).scheme not in ("postgresql", "postgres", "postgresql+psycopg"):
            raise SettingsRefused(f"{name} is not an address of PostgreSQL: write postgresql://user@host/database.")
        if value and not demo and not knobs.switch(env, "DATABASE_LINE_TRUSTED") and knobs.travels_in_clear(value):
            raise SettingsRefused(
                f"{name} names another host without sslmode=verify-full, so that what is sent may be read or changed: add "
                "it to the address, or set DATABASE_LINE_TRUSTED=1 where the line is safe by other means."
            )
    if owner and not app:
        raise SettingsRefused("DATABASE_OWNER_URL is set and DATABASE_URL is not: both must name the same database.")
    if app and owner and not demo and _user(app) == _user(owner):
        raise SettingsRefused(
            f"DATABASE_URL and DATABASE_OWNER_URL both connect as '{_user(app)}': whoever serves must not own the "
            "tables, or the cutoff could be moved; use eoi_app and eoi_owner."
        )
    return app, owner


def _user(address: str) -> str:
    parts = urlsplit(address)
    return unquote(parts.username or "") or parse_qs(parts.query).get("user", [""])[0]


def bucket_endpoint(env: Mapping[str, str]) -> str:
    """Where the bucket of FILES_URL is; empty: at Amazon."""
    return next((env[name] for name in ENDPOINTS if env.get(name)), "")


def _bucket_url(env: Mapping[str, str], demo: bool, value: str) -> str:
    parts = urlsplit(value)
    query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    how, key = query.get("encryption", "AES256"), query.get("key")
    if not parts.hostname or parts.username or parts.port or parts.fragment or set(query) - {"encryption", "key"}:
        raise SettingsRefused(
            "FILES_URL is not s3://bucket/prefix, with ?encryption= and &key= at most: keys to the bucket go in "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, its address in AWS_ENDPOINT_URL."
        )
    if how not in ENCRYPTIONS or (key is not None and not (key and how.startswith("aws:kms"))):
        raise SettingsRefused(
            f"FILES_URL asks for encryption '{how}': write AES256, aws:kms with &key=ID, or none where the bucket is "
            "encrypted by other means."
        )
    if not demo and not (bucket_endpoint(env) or "https://").startswith("https://"):
        raise SettingsRefused("AWS_ENDPOINT_URL is not https: everybody on the way could read and change the files.")
    return value


def _files_url(env: Mapping[str, str], demo: bool, data: Path) -> str:
    value = env.get("FILES_URL") or str(data / "files")
    parts = urlsplit(value)
    if parts.scheme == "s3":
        return _bucket_url(env, demo, value)
    if parts.scheme not in ("", "file") or parts.netloc:
        raise SettingsRefused(
            f"FILES_URL is '{value}': write a folder, as file:///srv/eoi/files, or s3://bucket/prefix."
        )
    return value if parts.scheme else Path(value).expanduser().absolute().as_uri()


def _proxies(env: Mapping[str, str], demo: bool) -> tuple[str, ...]:
    listed = knobs.networks(env, "TRUSTED_PROXIES", "127.0.0.1")
    if not demo and any(ipaddress.ip_network(value, strict=False).prefixlen == 0 for value in listed):
        raise SettingsRefused("TRUSTED_PROXIES believes everybody: name the addresses of your own proxies.")
    return listed


def _clamd_url(env: Mapping[str, str]) -> str | None:
    value = env.get("CLAMD_URL") or None
    parts = urlsplit(value or "")
    if value and not ((parts.scheme == "tcp" and parts.hostname) or (parts.scheme == "unix" and parts.path)):
        raise SettingsRefused(f"CLAMD_URL is '{value}': write tcp://host:3310 or unix:///run/clamav/clamd.ctl.")
    return value


def _token(env: Mapping[str, str], demo: bool) -> str | None:
    value = env.get("METRICS_TOKEN") or None
    if value and not demo and (len(value) < TOKEN_LENGTH or len(set(value)) < VARIETY):
        raise SettingsRefused(f"METRICS_TOKEN is too weak: it needs {TOKEN_LENGTH} random characters.")
    return value
