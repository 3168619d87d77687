"""TLS: whom the client trusts, and that a checked address changes nothing about names."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from app.connectors.egress import EgressPolicy
from app.connectors.http import HttpClient
from app.connectors.messages import CallFailed, Reply, Request
from app.connectors.trust import ca_bundle_problem
from app.domain.states import FailureClass
from tests.support.connectors.certificates import authority
from tests.support.connectors.servers import Peer, ScriptServer, answer, going_on, keep_answering, once

SHORT = 0.3


@pytest.fixture
def client() -> Iterator[HttpClient]:
    def resolver(_host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        return [(2, 1, 6, "", ("127.0.0.1", port))]

    made = HttpClient(EgressPolicy("127.0.0.0/8"), resolver=resolver, clock=going_on())
    yield made
    made.close()


def call(client: HttpClient, url: str, bundle: str | None, seconds: float = 5.0) -> Reply:
    return client.send(Request("POST", url, {}, b"x", seconds, bundle))


def test_a_connection_s_own_bundle_is_trusted_and_the_name_reaches_the_server(client: HttpClient) -> None:
    seen: list[str | None] = []
    context = authority().server_context
    context.sni_callback = lambda _sock, name, _context: seen.append(name)
    with ScriptServer(keep_answering(), tls=context) as server:
        for _ in range(3):
            assert call(client, f"https://good.test:{server.port}/", authority().pem).status == 200
    context.sni_callback = None
    assert (seen, server.connections) == (["good.test"], 1)
    assert f"Host: good.test:{server.port}".encode() in server.requests[0]


def test_an_address_is_checked_against_the_certificate_too(client: HttpClient) -> None:
    with ScriptServer(once(answer()), tls=authority().server_context) as server:
        assert call(client, server.url, authority().pem).status == 200


def test_a_certificate_for_another_name_is_a_tls_failure(client: HttpClient) -> None:
    with (
        ScriptServer(once(answer()), tls=authority().server_context) as server,
        pytest.raises(CallFailed) as caught,
    ):
        call(client, f"https://bad.test:{server.port}/", authority().pem)
    assert (caught.value.kind, caught.value.lost) == (FailureClass.TLS, False)
    assert "certificate of bad.test" in caught.value.detail
    assert server.requests == []


def test_calls_with_and_without_a_bundle_share_no_connection(client: HttpClient) -> None:
    with ScriptServer(keep_answering(), tls=authority().server_context) as server:
        url = f"https://good.test:{server.port}/"
        assert call(client, url, authority().pem).status == 200
        with pytest.raises(CallFailed) as caught:
            call(client, url, None)
    assert caught.value.kind is FailureClass.TLS


@pytest.mark.parametrize("how", ["closes", "resets", "speaks plain HTTP", "speaks garbage"])
def test_a_handshake_broken_off_is_a_network_failure_that_sent_nothing(client: HttpClient, how: str) -> None:
    def script(peer: Peer) -> None:
        peer.sock.recv(1)
        if how == "resets":
            peer.reset()
        elif how == "speaks plain HTTP":
            peer.send(answer(400))
        elif how == "speaks garbage":
            peer.send(b"\x00" * 100)

    with ScriptServer(script) as server, pytest.raises(CallFailed) as caught:
        call(client, f"https://good.test:{server.port}/", authority().pem)
    assert (caught.value.kind, caught.value.lost) == (FailureClass.NETWORK, False)


@pytest.mark.parametrize("how", ["silent", "dripping"])
def test_a_handshake_that_does_not_end_is_a_timeout_that_sent_nothing(client: HttpClient, how: str) -> None:
    def script(peer: Peer) -> None:
        if how == "silent":
            peer.hang()
        # The start of a TLS record that announces far more than ever comes.
        peer.drip(b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xfb" + b"\x03" * 1000)

    with ScriptServer(script) as server, pytest.raises(CallFailed) as caught:
        call(client, f"https://good.test:{server.port}/", authority().pem, SHORT)
    assert (caught.value.kind, caught.value.lost) == (FailureClass.TIMEOUT, False)


def test_an_old_protocol_is_a_network_failure(client: HttpClient) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DHE-RSA-AES128-SHA")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with ScriptServer(once(answer()), tls=context) as server, pytest.raises(CallFailed) as caught:
        call(client, f"https://good.test:{server.port}/", authority().pem)
    assert (caught.value.kind, caught.value.lost) == (FailureClass.NETWORK, False)


def test_silence_over_tls_is_a_lost_timeout(client: HttpClient) -> None:
    with (
        ScriptServer(once(then="hang"), tls=authority().server_context) as server,
        pytest.raises(CallFailed) as caught,
    ):
        call(client, f"https://good.test:{server.port}/", authority().pem, SHORT)
    assert (caught.value.kind, caught.value.lost) == (FailureClass.TIMEOUT, True)


def test_a_dripping_answer_over_tls_is_an_answer_at_the_deadline(client: HttpClient) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        peer.drip(b"z" * 1000)

    with ScriptServer(script, tls=authority().server_context) as server:
        reply = call(client, f"https://good.test:{server.port}/", authority().pem, SHORT)
    assert (reply.status, reply.truncated) == (200, True)


@pytest.mark.parametrize("then", ["close", "reset"])
def test_a_kept_tls_connection_that_dies_on_the_next_request_loses_it(client: HttpClient, then: str) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(answer())
        peer.read_request()
        if then == "reset":
            peer.reset()

    with ScriptServer(script, tls=authority().server_context) as server:
        url = f"https://good.test:{server.port}/"
        call(client, url, authority().pem)
        with pytest.raises(CallFailed) as caught:
            call(client, url, authority().pem)
        # What may go twice goes out anew, on the next one.
        call(client, url, authority().pem)
        again = Request("PUT", url, {}, b"x", 5.0, authority().pem)
        assert client.send(again).status == 200
    assert (caught.value.kind, caught.value.lost) == (FailureClass.NETWORK, True)
    assert len(server.requests) == 5


def test_a_late_answer_over_tls_is_not_taken_for_the_next_one(client: HttpClient) -> None:
    smuggled = threading.Event()

    def script(peer: Peer) -> None:
        while peer.read_request():
            peer.send(answer(200, b"asked for"))
            peer.server.stopped.wait(0.02)
            peer.send(answer(200, b"EVIL"))
            smuggled.set()

    with ScriptServer(script, tls=authority().server_context) as server:
        url = f"https://good.test:{server.port}/"
        assert call(client, url, authority().pem).body == b"asked for"
        assert smuggled.wait(5)
        assert [call(client, url, authority().pem).body for _ in "ab"] == [b"asked for"] * 2
    assert server.connections == 3


@pytest.mark.parametrize(
    "bundle",
    [
        "not PEM at all",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "zertifikat ü",
        "\x00",
    ],
)
def test_a_bundle_that_cannot_be_read_is_named_on_save_and_on_use(client: HttpClient, bundle: str) -> None:
    assert ca_bundle_problem(bundle) == "The CA bundle cannot be read; it must be certificates in PEM form."
    with (
        ScriptServer(once(answer()), tls=authority().server_context) as server,
        pytest.raises(CallFailed) as caught,
    ):
        call(client, f"https://good.test:{server.port}/", bundle)
    assert (caught.value.kind, caught.value.lost) == (FailureClass.TLS, False)


def test_a_good_bundle_has_no_problem() -> None:
    assert ca_bundle_problem(authority().pem) is None
