"""Mail over a real server: taken, refused, demanded TLS, lost answers, drips."""

from __future__ import annotations

import socket
import threading

import pytest

from app.connectors.mail import Mail, MailFailed, MailServer, send_mail
from tests.support.connectors.certificates import authority
from tests.support.mailbox import free_port, running_mailbox

MAIL = Mail("Ada Lovelace", "ada@example.org", "Jira: fails", "3 runs failed.\n", "alert.1", "alerts.7")


def server(port: int, url: str = "smtp://127.0.0.1:{}", **changes: object) -> MailServer:
    made = MailServer.of(url.format(port), sender_host="console.example")
    values = {name: getattr(made, name) for name in MailServer.__dataclass_fields__}
    return MailServer(**values | changes)


def refused(made: MailServer, mail: Mail = MAIL, seconds: float = 5) -> MailFailed:
    with pytest.raises(MailFailed) as failure:
        send_mail(made, mail, seconds=seconds)
    assert "@example.org" not in str(failure.value)
    return failure.value


def test_a_message_arrives_with_the_same_id_in_every_try() -> None:
    with running_mailbox() as box:
        for _ in range(2):
            send_mail(server(box.port), MAIL)
    first, second = box.messages
    assert first["To"] == "Ada Lovelace <ada@example.org>"
    assert first["From"] == "Access Automation <access-automation@console.example>"
    assert first["Subject"] == "Jira: fails"
    assert first["Auto-Submitted"] == "auto-generated"
    assert first["Message-ID"] == second["Message-ID"] == "<alert.1@console.example>"
    assert first["References"] == "<alerts.7@console.example>"
    assert first.get_content().strip() == "3 runs failed."
    assert box.was_tls == [False, False]


def test_a_name_cannot_add_a_header_or_a_recipient() -> None:
    odd = Mail("Ada\r\nBcc: eve@example.org", "ada@example.org", "A\r\nBcc: eve@example.org", "x", "alert.1")
    with running_mailbox() as box:
        send_mail(server(box.port), odd)
    assert box.recipients == ["ada@example.org"]
    assert box.messages[0]["Bcc"] is None


def test_a_password_goes_out_after_starttls() -> None:
    with running_mailbox(starttls=authority().server_context, login=True) as box:
        made = server(
            box.port, "smtp://alerts%40example.org:right@127.0.0.1:{}?tls=demand", ca_bundle=authority().pem
        )
        send_mail(made, MAIL)
    assert box.logins == [("alerts@example.org", "right")]
    assert box.was_tls == [True]
    assert box.messages[0]["From"] == "Access Automation <alerts@example.org>"


def test_smtps_is_tls_from_the_first_byte() -> None:
    with running_mailbox(tls=authority().server_context) as box:
        send_mail(server(box.port, "smtps://127.0.0.1:{}", ca_bundle=authority().pem), MAIL)
    assert box.recipients == ["ada@example.org"]


def test_without_tls_no_password_is_sent() -> None:
    with running_mailbox(login=False) as box:
        failed = refused(server(box.port, "smtp://ada:right@127.0.0.1:{}?tls=demand"))
    assert "a password goes out over TLS only" in failed.detail
    assert failed.down
    assert box.logins == []


def test_a_server_elsewhere_with_a_password_must_speak_tls() -> None:
    made = MailServer.of("smtp://ada:pw@mail.example", sender_host="x")
    assert (made.port, made.starttls) == (587, "demand")
    assert MailServer.of("smtp://mail.example:25", sender_host="x").starttls == "offered"
    assert MailServer.of("smtps://mail.example", sender_host="x").port == 465
    assert (
        MailServer.of("smtp://mail.example?from=ops@example.org", sender_host="x").sender == "ops@example.org"
    )
    assert "pw" not in repr(made)
    for host in ("", "10.0.0.7", "::1"):
        assert MailServer.of("smtp://mail.example", sender_host=host).sender == "access-automation@localhost"


def test_a_certificate_that_is_not_trusted_is_told_as_that() -> None:
    with running_mailbox(tls=authority().server_context) as box:
        failed = refused(server(box.port, "smtps://127.0.0.1:{}"))
    assert failed.detail == "The certificate of 127.0.0.1 is not trusted."
    assert (failed.down, failed.lost, failed.lasting) == (True, False, False)


def test_a_wrong_password_is_the_servers_matter_and_not_the_messages() -> None:
    with running_mailbox(starttls=authority().server_context, login=True) as box:
        made = server(box.port, "smtp://ada:wrong@127.0.0.1:{}?tls=demand", ca_bundle=authority().pem)
        failed = refused(made)
    assert "refused the user name or password" in failed.detail
    assert "wrong" not in failed.detail
    assert failed.down


@pytest.mark.parametrize(("reply", "lasting"), [("550 no such user", True), ("451 later", False)])
def test_a_refused_recipient_concerns_that_message_only(reply: str, lasting: bool) -> None:
    with running_mailbox() as box:
        box.answer = lambda _address: reply
        failed = refused(server(box.port))
    assert failed.detail == f"The mail server refused the recipient ({reply[:3]})."
    assert (failed.down, failed.lasting) == (False, lasting)


def test_an_address_that_is_none_is_not_tried() -> None:
    odd = Mail("Ada", "not an address", "x", "x", "alert.1")
    assert refused(server(1), odd).lasting


def test_nobody_there_is_down_and_not_lost() -> None:
    failed = refused(server(free_port()))
    assert (failed.down, failed.lost) == (True, False)


def test_a_server_that_takes_the_message_and_says_nothing_leaves_it_open() -> None:
    failed = refused(server(_scripted(b"250 fine\r\n", cut=b"\r\n.\r\n")))
    assert failed.lost
    assert failed.down


def test_a_server_that_drips_ends_at_the_deadline() -> None:
    failed = refused(server(_scripted(b"2")), seconds=0.5)
    assert failed.down
    assert not failed.lost


def _scripted(reply: bytes, cut: bytes = b"") -> int:
    """A server that answers `reply` to every line, and closes at once when it has read `cut`."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, listener:
            connection.sendall(b"220 there\r\n")
            read = b""
            while part := connection.recv(4096):
                read += part
                if cut and read.endswith(cut):
                    return
                connection.sendall(b"354 go on\r\n" if part.lower().startswith(b"data") else reply)

    threading.Thread(target=serve, daemon=True).start()
    return int(listener.getsockname()[1])
