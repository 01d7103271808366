"""Mail leaves by SMTP as the address of the settings says, and a password never in the clear."""

import smtplib
import ssl
from email.message import EmailMessage
from pathlib import Path

import pytest

from app.infra.mailer import Mailer
from tests import sink


def letter() -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "noreply@eoi.example", "lead@firm.example", "Ontvangen: één"
    mail.set_content("Met dank,\n€ 1,50\n")
    return mail


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's TLS whose certificate this process trusts."""
    context, file = sink.certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    return context


def test_a_mail_arrives_with_its_words() -> None:
    with sink.listening() as got:
        Mailer.from_url(f"smtp://127.0.0.1:{got.port}").send(letter())
    (mail,) = got.mails
    assert (mail["To"], mail["Subject"]) == ("lead@firm.example", "Ontvangen: één")
    assert mail.get_content().splitlines() == ["Met dank,", "€ 1,50"]


def test_a_password_is_not_sent_to_a_server_without_tls() -> None:
    with sink.listening(auth_require_tls=False) as got:
        mailer = Mailer.from_url(f"smtp://us%40er:p%3Ass@127.0.0.1:{got.port}")
        with pytest.raises(OSError, match="offers no TLS"):
            mailer.send(letter())
    assert (got.logins, got.mails) == ([], [])


def test_a_password_goes_over_starttls(trusted: ssl.SSLContext) -> None:
    with sink.listening(tls_context=trusted) as got:
        Mailer.from_url(f"smtp://us%40er:p%3Ass@127.0.0.1:{got.port}").send(letter())
    assert got.logins == [(b"us@er", b"p:ss", True)]
    assert got.recipients == ["lead@firm.example"]


def test_tls_from_the_first_byte(trusted: ssl.SSLContext) -> None:
    with sink.listening(ssl_context=trusted) as got:
        Mailer.from_url(f"smtps://127.0.0.1:{got.port}").send(letter())
    assert got.recipients == ["lead@firm.example"]


def test_a_certificate_that_nobody_vouches_for_gets_neither_password_nor_mail(tmp_path: Path) -> None:
    context, _ = sink.certificate(tmp_path)
    with sink.listening(tls_context=context) as got, pytest.raises(ssl.SSLCertVerificationError):
        Mailer.from_url(f"smtp://user:secret@127.0.0.1:{got.port}").send(letter())
    assert (got.logins, got.mails) == ([], [])


def test_a_refusal_is_an_error_of_the_outside_world() -> None:
    with sink.listening("550 no such user") as got, pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        Mailer.from_url(f"smtp://127.0.0.1:{got.port}").send(letter())
    assert isinstance(refused.value, OSError)


@pytest.mark.parametrize("url", ["http://mail.example", "smtp://", "", "mail.example:25"])
def test_an_address_of_another_sort_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="smtp://host:port"):
        Mailer.from_url(url)


def test_ports_are_those_of_the_trade_where_none_is_named() -> None:
    assert (Mailer.from_url("smtp://a.example").port, Mailer.from_url("smtps://a.example").port) == (587, 465)


def test_a_folder_gets_whole_files_for_the_owner_alone(tmp_path: Path) -> None:
    mailer = Mailer.from_url(f"folder://{tmp_path}/a%20mail")
    mailer.send(letter())
    mailer.send(letter())
    kept = sorted((tmp_path / "a mail").iterdir())
    assert [path.suffix for path in kept] == [".eml", ".eml"]
    assert (tmp_path / "a mail").stat().st_mode & 0o777 == 0o700
