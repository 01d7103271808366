"""How mail leaves: by SMTP, or into a folder in the demonstration mode."""

import os
import secrets
import smtplib
import ssl
import time
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from urllib.parse import unquote, urlsplit

TIMEOUT = 20  # seconds for a step of the SMTP conversation


@dataclass(frozen=True)
class Mailer:
    """Delivers one mail at a time; raises OSError (smtplib's exceptions are such) when it cannot."""

    host: str = ""
    port: int = 0
    user: str = ""
    password: str = ""
    tls: bool = False
    folder: Path | None = None

    @classmethod
    def from_url(cls, url: str) -> "Mailer":
        """From smtp://host:port, smtps://user:password@host:port or folder:///path."""
        parts = urlsplit(url)
        if parts.scheme == "folder":
            folder = Path(unquote(parts.path))
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return cls(folder=folder)
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise ValueError("A mail address is smtp://host:port, smtps://host:port or folder:///path.")
        tls = parts.scheme == "smtps"
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        return cls(parts.hostname, parts.port or (465 if tls else 587), user, password, tls)

    def send(self, message: EmailMessage) -> None:
        """Deliver the mail, over TLS whenever the server offers it; a password is never sent in the clear."""
        if self.folder is not None:
            self._write(message)
            return
        context = ssl.create_default_context()
        if self.tls:
            server: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=TIMEOUT, context=context)
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=TIMEOUT)
        with server:
            server.ehlo()
            if not self.tls and server.has_extn("starttls"):
                server.starttls(context=context)
                server.ehlo()
            elif not self.tls and self.user:
                raise OSError("the mail server offers no TLS, so the password is not sent")
            if self.user:
                server.login(self.user, self.password)
            server.send_message(message)

    def _write(self, message: EmailMessage) -> None:
        folder = self.folder or Path()
        name = f"{time.time_ns():020d}-{secrets.token_hex(4)}"
        draft = folder / f".{name}"
        draft.write_bytes(message.as_bytes(policy=SMTP))
        os.replace(draft, folder / f"{name}.eml")
