"""Each setting: what is missing or weak stops the start with a sentence that names it; nothing weak passes in earnest."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from app.settings import Settings, SettingsRefused

REAL = {
    "BASE_URL": "https://eoi.rvo.example",
    "SECRET_KEY": "9f86d081884c7d659a2feaa0c55ad015",
    "MAIL_URL": "smtps://user:p%40ss@mail.rvo.example:465",
    "DATABASE_URL": "postgresql://eoi_app:x@db.rvo.example/eoi?sslmode=verify-full",
    "DATABASE_OWNER_URL": "postgresql://eoi_owner:y@db.rvo.example/eoi?sslmode=verify-full",
    "METRICS_TOKEN": "7d659a2feaa0c55ad015a3bf",
}


def settings(changes: Mapping[str, str | None] = MappingProxyType({}), demo: bool = False) -> Settings:
    environ = {name: value for name, value in {**REAL, **changes}.items() if value is not None}
    return Settings.from_env(environ, demo)


def test_real_settings_start_without_a_word() -> None:
    made = settings()
    assert made.warnings() == []
    assert (made.demo, made.base_url, made.workers, made.port) == (False, "https://eoi.rvo.example", 2, 8000)
    assert (made.log_format, settings(demo=True).log_format) == ("json", "text")
    assert (made.mail_sender, made.security_contact) == ("noreply@eoi.rvo.example", "security@eoi.rvo.example")
    assert (made.allowed_hosts, made.trusted_proxies) == (("eoi.rvo.example",), ("127.0.0.1",))


REQUIRED = ["BASE_URL", "SECRET_KEY", "MAIL_URL"]
WRONG: list[tuple[str, str]] = [
    ("BASE_URL", "http://eoi.rvo.example"), ("BASE_URL", "eoi.rvo.example"), ("BASE_URL", "https://"),
    ("BASE_URL", "https://eoi.rvo.example/portal"), ("BASE_URL", "https://eoi.rvo.example?a"), ("BASE_URL", "ftp://a.eu"),
    ("BASE_URL", "https://eoi.rvo.example#a"), ("BASE_URL", "https://u:p@eoi.rvo.example"),
    ("SECRET_KEY", "short"), ("SECRET_KEY", "9f86d081884c7d659a2feaa0c55ad01"), ("SECRET_KEY", "a" * 64),
    ("SECRET_KEY", "changeme" * 8),
    ("MAIL_URL", "folder:///tmp/mail"), ("MAIL_URL", "http://mail.rvo.example"), ("MAIL_URL", "smtp://"),
    ("MAIL_URL", "mail.rvo.example:25"),
    ("MAIL_SENDER", "RVO <noreply@rvo.example>"), ("MAIL_SENDER", "noreply"), ("MAIL_SENDER", "a@b.eu,c@d.eu"),
    ("SECURITY_CONTACT", "security@"), ("SECURITY_CONTACT", "@rvo.example"),
    ("DATABASE_URL", "mysql://a@b/c"), ("DATABASE_URL", "sqlite:///eoi.db"), ("DATABASE_URL", "db.rvo.example/eoi"),
    ("DATABASE_OWNER_URL", "mysql://a@b/c"), ("DATABASE_OWNER_URL", "postgresql://eoi_app:z@db.rvo.example/eoi"),
    ("DATABASE_OWNER_URL", "postgresql://db.rvo.example/eoi?user=eoi_app"),
    ("FILES_URL", "s3://key:secret@bucket/files"), ("FILES_URL", "s3://bucket/a?encryption=rot13"),
    ("FILES_URL", "s3://bucket/a?key=mine"), ("FILES_URL", "s3:///a"), ("FILES_URL", "file://host/files"), ("FILES_URL", "http://a.eu/files"),
    ("WORKERS", "0"), ("WORKERS", "65"), ("WORKERS", "two"), ("WORKERS", "-1"), ("WORKERS", "1.5"), ("WORKERS", "²"),
    ("PORT", "0"), ("PORT", "65536"), ("PORT", "http"),
    ("TRUSTED_PROXIES", "0.0.0.0/0"), ("TRUSTED_PROXIES", "127.0.0.1, ::/0"), ("TRUSTED_PROXIES", "*"),
    ("TRUSTED_PROXIES", "proxy.rvo.example"),
    ("METRICS_TOKEN", "short"), ("METRICS_TOKEN", "a" * 40), ("DEMO", "maybe"), ("LOG_FORMAT", "xml"),
]  # fmt: skip
# What the demonstration may do without: its mails stay on a page, its address on this machine.
LENIENT = {
    ("BASE_URL", "http://eoi.rvo.example"), ("MAIL_URL", "folder:///tmp/mail"), ("TRUSTED_PROXIES", "0.0.0.0/0"),
    ("TRUSTED_PROXIES", "127.0.0.1, ::/0"), ("DATABASE_OWNER_URL", "postgresql://eoi_app:z@db.rvo.example/eoi"),
    ("DATABASE_OWNER_URL", "postgresql://db.rvo.example/eoi?user=eoi_app"),
    ("DEMO", "maybe"),  # the command line has said so already
    *((name, value) for name, value in WRONG if name in ("SECRET_KEY", "METRICS_TOKEN")),
}  # fmt: skip


@pytest.mark.parametrize("name", REQUIRED)
@pytest.mark.parametrize("value", [None, "", "   "])
def test_what_is_missing_stops_the_start_and_is_named(name: str, value: str | None) -> None:
    with pytest.raises(SettingsRefused, match=f"^{name} is not set: .+\\.$"):
        settings({name: value})


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_what_is_weak_or_wrong_stops_the_start_and_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsRefused) as refused:
        settings({name: value})
    assert name in str(refused.value)
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_the_demonstration_is_lenient_where_that_is_its_purpose_and_nowhere_else(name: str, value: str) -> None:
    if (name, value) in LENIENT:
        assert settings({name: value}, demo=True).demo
    else:
        with pytest.raises(SettingsRefused, match=name):
            settings({name: value}, demo=True)


def test_the_owner_needs_the_serving_role_beside_it() -> None:
    with pytest.raises(SettingsRefused, match="DATABASE_OWNER_URL is set and DATABASE_URL is not"):
        settings({"DATABASE_URL": None})


def test_no_sentence_tells_a_secret() -> None:
    for changes in (
        {"MAIL_URL": "http://user:hunter2@mail"},
        {"SECRET_KEY": "hunter2"},
        {"METRICS_TOKEN": "hunter2"},
        {"DATABASE_URL": "mysql://u:hunter2@db/x"},
        {"DATABASE_OWNER_URL": "postgresql://eoi_app:hunter2@db/x"},
        {"BASE_URL": "http://u:hunter2@eoi.example"},
    ):
        with pytest.raises(SettingsRefused) as refused:
            settings(changes)
        assert "hunter2" not in str(refused.value)


def test_a_bare_demonstration_needs_nothing_and_agrees_with_itself(tmp_path: Path) -> None:
    environ = {"DATA": str(tmp_path / "a b"), "PORT": "9000"}
    made = Settings.from_env(environ, demo=True)
    assert made == Settings.from_env(environ | {"DEMO": "1"})
    assert made.base_url == "http://127.0.0.1:9000"
    assert made.mail_url == f"folder://{tmp_path}/a%20b/mail"
    assert made.files_url == f"file://{tmp_path}/a%20b/files"
    assert len(made.secret_key) == 64
    assert made.secret_key != Settings.from_env({"DATA": str(tmp_path / "other")}, demo=True).secret_key


@pytest.mark.parametrize("value", ["1", "true", "YES", "on", " 1 "])
def test_the_demonstration_is_switched_on_by_a_word(value: str) -> None:
    assert Settings.from_env({"DEMO": value}).demo


FAR = "postgresql://eoi_app@db.rvo.example/eoi"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"DATABASE_URL": None, "DATABASE_OWNER_URL": None}, "DATABASE_URL is not set"),
        ({"DATABASE_URL": FAR, "DATABASE_LINE_TRUSTED": "1"}, "sslmode=verify-full"),
        ({"MAIL_URL": "smtp://user:pass@mail.rvo.example"}, "MAIL_URL carries a password"),
    ],
)
def test_what_is_allowed_but_deserves_a_word_gets_one(changes: dict[str, Any], words: str) -> None:
    (warning,) = settings(changes).warnings()
    assert words in warning


@pytest.mark.parametrize("name", ["DATABASE_URL", "DATABASE_OWNER_URL"])
@pytest.mark.parametrize(
    "place",
    [
        "db.rvo.example/eoi", "db.rvo.example/eoi?sslmode=require", "10.0.0.5:5432/eoi?sslmode=verify-ca",
        "/eoi?host=db.rvo.example", "localhost/eoi?hostaddr=10.0.0.5", "localhost:5432,db.rvo.example:5432/eoi",
        "db.rvo.example/eoi?sslmode=verify-full&sslmode=disable",
    ],
)  # fmt: skip
def test_a_database_elsewhere_is_reached_by_verified_tls_or_over_a_line_that_is_said_to_be_trusted(
    name: str, place: str
) -> None:
    there = {name: f"postgresql://{'eoi_app' if name == 'DATABASE_URL' else 'eoi_owner'}:hunter2@{place}"}
    with pytest.raises(SettingsRefused, match=f"{name} .*sslmode=verify-full") as refused:
        settings(there)
    assert "hunter2" not in str(refused.value)
    assert getattr(settings(there | {"DATABASE_LINE_TRUSTED": "yes"}), name.lower()) == there[name]
    assert getattr(settings(there, demo=True), name.lower()) == there[name]


@pytest.mark.parametrize("place", ["127.0.0.1/eoi", "localhost/eoi", "[::1]/eoi", "/eoi?host=/run/postgresql"])
def test_a_database_on_this_machine_needs_no_tls(place: str) -> None:
    made = settings({"DATABASE_URL": f"postgresql://eoi_app@{place}", "DATABASE_OWNER_URL": None})
    assert made.warnings() == []


def test_a_bucket_is_reached_by_https_alone_outside_the_demonstration() -> None:
    there = {"FILES_URL": "s3://files/eoi?encryption=aws:kms&key=alias/eoi"}
    assert settings(there).files_url == there["FILES_URL"]
    for name in ("AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        settings({**there, name: "https://s3.example"})
        with pytest.raises(SettingsRefused, match="not https"):
            settings({**there, name: "http://s3.example"})
        settings({**there, name: "http://127.0.0.1:9"}, demo=True)
