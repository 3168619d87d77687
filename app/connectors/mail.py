"""Mail for alerts: one message to one person over SMTP, all within one deadline.

The server is a start-up setting of whoever runs the console, as the database is. The rules of egress are about
targets that are typed into the console, so they do not stand in its way: most mail servers are internal ones.
"""

from __future__ import annotations

import contextlib
import re
import smtplib
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from urllib.parse import parse_qs, unquote, urlsplit

from app.connectors.sockets import DeadlineSocket, DeadlineTLSSocket
from app.connectors.trust import tls_context

SECONDS = 20.0
SENDER_NAME = "Access Automation"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PORTS = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed in. `starttls`: "demand", "offered" (used where the server offers it) or "off"."""

    host: str
    port: int
    sender: str
    is_tls: bool = False
    starttls: str = "offered"
    user: str = ""
    password: str = field(default="", repr=False)
    ca_bundle: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, url: str, *, sender_host: str, ca_bundle: str | None = None) -> MailServer:
        """The server that SMTP_URL names; `sender_host` completes the sender's address where the URL has none.

        Servers refuse a bare IP address there, so that counts as none, as "" does.

        `ca_bundle` is PEM text that replaces the system's trust.

        A password goes out over TLS only. A server on this host needs no TLS, since nothing leaves it.
        """
        parts = urlsplit(url)
        host = parts.hostname or ""
        options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        user = unquote(parts.username or "")
        domain = sender_host if re.search(r"(^|\.)[a-z][^.:]*$", sender_host) else "localhost"
        usual = "off" if host in _LOOPBACK else "demand" if user else "offered"
        return cls(
            host=host,
            port=parts.port or _PORTS[parts.scheme],
            sender=options.get("from") or (user if "@" in user else f"access-automation@{domain}"),
            is_tls=parts.scheme == "smtps",
            starttls=options.get("tls", usual),
            user=user,
            password=unquote(parts.password or ""),
            ca_bundle=ca_bundle,
        )


@dataclass(frozen=True, slots=True)
class Mail:
    """One message. `id` and `thread` are the stems of Message-ID and References: the same in every try."""

    to_name: str
    to_address: str
    subject: str
    text: str
    id: str
    thread: str = ""


class MailFailed(Exception):
    """It was not taken, or it is not known. `detail` is our own sentence and holds no address of a person.

    `lasting`: another try would be refused as well.  `down`: the server cannot be used, whatever the message.
    `lost`: it was handed over and no answer came, so it may arrive.
    """

    def __init__(self, detail: str, *, lasting: bool = False, down: bool = False, lost: bool = False) -> None:
        super().__init__(detail)
        self.detail = detail
        self.lasting = lasting
        self.down = down
        self.lost = lost


def send_mail(server: MailServer, mail: Mail, *, seconds: float = SECONDS) -> None:
    """Hand one message in; raises MailFailed."""
    try:
        Address(addr_spec=mail.to_address)
        text = _message(server, mail).as_bytes()
        recipient = mail.to_address.encode("ascii").decode("ascii")
    except (ValueError, LookupError, UnicodeError):
        raise MailFailed(
            "The address of this person is not one that mail can be sent to.", lasting=True
        ) from None
    with _session(server, time.monotonic() + seconds) as smtp:
        _hand_in(smtp, server, recipient, text)


def _hand_in(smtp: smtplib.SMTP, server: MailServer, recipient: str, text: bytes) -> None:
    code, _ = smtp.mail(server.sender)
    if code != 250:
        raise MailFailed(f"The mail server refused the sender {server.sender} ({code}).", down=True)
    code, _ = smtp.rcpt(recipient)
    if code not in (250, 251):
        raise MailFailed(f"The mail server refused the recipient ({code}).", lasting=code >= 500)
    try:
        code, _ = smtp.data(text)
    except smtplib.SMTPDataError as refused:
        code = refused.smtp_code
    except (OSError, smtplib.SMTPException):
        raise MailFailed(
            f"{server.host} did not say whether it took the message.", down=True, lost=True
        ) from None
    if code != 250:
        raise MailFailed(f"The mail server refused the message ({code}).", lasting=code >= 500)


class _Session(smtplib.SMTP):
    """smtplib's client on a socket that ends at one deadline, whatever the server drips."""

    def __init__(self, server: MailServer, deadline: float) -> None:
        self._server = server
        self._deadline = deadline
        super().__init__(timeout=SECONDS)
        self._host = server.host  # the name that its certificate must have

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        left = self._deadline - time.monotonic()
        plain = socket.create_connection((host, port), max(0.1, min(timeout, left)))
        sock = DeadlineSocket(fileno=plain.detach())
        sock.begin_call(self._deadline)
        sock.arm()
        if not self._server.is_tls:
            return sock
        return self.armed(tls_context(self._server.ca_bundle).wrap_socket(sock, server_hostname=host))

    def armed(self, sock: ssl.SSLSocket) -> ssl.SSLSocket:
        """The socket under the same deadline."""
        assert isinstance(sock, DeadlineTLSSocket)
        sock.begin_call(self._deadline)
        return sock


@contextlib.contextmanager
def _session(server: MailServer, deadline: float) -> Iterator[smtplib.SMTP]:
    """A session that is ready for mail; every way in which that fails is the server's, not the message's."""
    smtp = _Session(server, deadline)
    try:
        try:
            smtp.connect(server.host, server.port)
            smtp.ehlo_or_helo_if_needed()
            _begin_tls(smtp, server)
            if server.user:
                smtp.login(server.user, server.password)
        except MailFailed:
            raise
        except smtplib.SMTPAuthenticationError as refused:
            raise MailFailed(
                f"{server.host} refused the user name or password of SMTP_URL ({refused.smtp_code}).",
                down=True,
            ) from None
        except ssl.SSLCertVerificationError:
            raise MailFailed(f"The certificate of {server.host} is not trusted.", down=True) from None
        except ssl.SSLError:
            raise MailFailed(f"The TLS handshake with {server.host} broke off.", down=True) from None
        except TimeoutError:
            raise MailFailed(f"{server.host} did not answer in time.", down=True) from None
        except smtplib.SMTPServerDisconnected:
            raise MailFailed(f"{server.host} did not answer in time, or broke off.", down=True) from None
        except (OSError, smtplib.SMTPException):
            raise MailFailed(
                f"{server.host}:{server.port} could not be reached, or is no mail server.", down=True
            ) from None
        try:
            yield smtp
        except (OSError, smtplib.SMTPException):
            raise MailFailed(f"{server.host} broke the connection off.", down=True) from None
    finally:
        with contextlib.suppress(OSError, smtplib.SMTPException):
            smtp.quit()
        smtp.close()


def _begin_tls(smtp: _Session, server: MailServer) -> None:
    if server.is_tls or server.starttls == "off":
        return
    if not smtp.has_extn("starttls"):
        if server.starttls == "demand":
            raise MailFailed(
                f"{server.host} offers no TLS, and a password goes out over TLS only.", down=True
            )
        return
    smtp.starttls(context=tls_context(server.ca_bundle))
    assert isinstance(smtp.sock, ssl.SSLSocket)
    smtp.armed(smtp.sock)
    smtp.ehlo()


def _message(server: MailServer, mail: Mail) -> EmailMessage:
    domain = server.sender.rpartition("@")[2]
    message = EmailMessage(policy=policy.SMTP)
    message["Subject"] = " ".join(mail.subject.split())
    message["From"] = Address(SENDER_NAME, addr_spec=server.sender)
    message["To"] = Address(" ".join(mail.to_name.split()), addr_spec=mail.to_address)
    message["Message-ID"] = f"<{mail.id}@{domain}>"
    if mail.thread:
        message["References"] = f"<{mail.thread}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    return message
