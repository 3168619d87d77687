"""Clients that send half, nothing, or read nothing hold no thread: the console goes on answering."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests.support.connectors.certificates import authority
from tests.support.serving import PATIENCE, Web, everything, running_web
from tests.support.workers.processes import until

pytestmark = pytest.mark.slow

THREADS = 16
HALF_A_HEAD = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: b"
_FORM = b"POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
HALF_A_BODY = _FORM + b"Content-Length: 5000\r\n\r\na=b"
HALF_A_CHUNK = _FORM + b"Transfer-Encoding: chunked\r\n\r\n10\r\na=b"
WHOLE = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
NEVER_CLOSED = b"GET /healthz HTTP/1.0\r\n\r\n"
# In all more than what the system keeps for a client that does not read.
LONG_ANSWERS = b"GET /static/vendor/htmx-2.0.11.min.js HTTP/1.1\r\nHost: x\r\n\r\n" * 150


@pytest.fixture
def web(app: Flask) -> Iterator[Web]:
    """The console: one process on SQLite, two on PostgreSQL."""
    with running_web(app) as running:
        yield running


def test_sixteen_half_requests_and_two_hundred_idle_connections_stop_nobody(web: Web) -> None:
    threads = THREADS * 2  # as many as two processes have
    for number, sent in (
        (threads, HALF_A_HEAD),
        (threads, HALF_A_BODY),
        (threads, HALF_A_CHUNK),
        (200, b""),
        (200, WHOLE),
        (threads, NEVER_CLOSED),
    ):
        with web.holding(number, sent):
            assert web.is_well(), sent


def test_clients_that_read_nothing_of_long_answers_stop_nobody(web: Web) -> None:
    with web.holding(THREADS * 2, LONG_ANSWERS, receives=2048):
        unsent: list[int] = []

        def is_full() -> bool:
            unsent.append(sum(waiting for _, waiting in _peers(web)))
            return unsent[-1] > 0 and len(unsent) > 20 and len(set(unsent[-20:])) == 1

        until(is_full, "the system takes no more for these clients")
        assert web.is_well()


def test_bodies_that_drip_stop_nobody_and_end(only_sqlite: Flask) -> None:
    with (
        running_web(only_sqlite, hurried=True) as web,
        web.holding(THREADS, HALF_A_BODY) as held,
    ):
        ended: set[socket.socket] = set()

        def all_ended() -> bool:
            assert web.is_well()
            for one in set(held) - ended:
                try:
                    one.sendall(b"c")
                except ConnectionError:
                    ended.add(one)
            return len(ended) == len(held)

        until(all_ended, "every dripping body is given up")


def test_whoever_sends_too_slowly_is_told(only_sqlite: Flask) -> None:
    with running_web(only_sqlite, hurried=True) as web:
        assert web.said(HALF_A_HEAD).startswith(b"HTTP/1.1 408 ")
        assert web.said(HALF_A_BODY).startswith(b"HTTP/1.1 408 ")
        assert web.said(b"") == b""


def test_a_reader_of_nothing_is_given_up(only_sqlite: Flask) -> None:
    with running_web(only_sqlite, "tests.support.echo_app:app", hurried=True) as web:
        whole = web.said(b"GET /big HTTP/1.0\r\n\r\n")
        with web.connect(b"GET /big HTTP/1.0\r\n\r\n", receives=2048) as one:
            until(lambda: not _peers(web), "the connection is closed by the server")
            assert len(everything(one)) < len(whole)
    assert len(whole) > 64 * 1024 * 1024


def test_above_its_bound_the_longest_waiting_connection_makes_room(only_sqlite: Flask) -> None:
    options = ("--worker-connections", "30", "wsgi:app")
    with running_web(only_sqlite, *options) as web, web.holding(60) as held:
        assert web.is_well()
        assert everything(held[0]) == b""


def test_memory_for_bodies_has_a_bound(only_sqlite: Flask) -> None:
    nearly = b"x" * (4 * 1024 * 1024)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 12000000\r\n\r\n"
    with running_web(only_sqlite, "tests.support.echo_app:app") as web:
        held = []
        for _ in range(24):
            one = web.connect(head)
            held.append(one)
            try:
                one.sendall(nearly)
            except OSError:
                continue
        ended = [one for one in held if _has_ended(one)]
        assert ended
        assert web.get("/")[0] == 200
        for one in held:
            one.close()


def test_half_a_tls_handshake_stops_nobody(only_sqlite: Flask, tmp_path: Path) -> None:
    pem = tmp_path / "server.pem"
    pem.write_bytes(authority().server_pem)
    options = ("--certfile", str(pem), "--keyfile", str(pem), "wsgi:app")
    trusting = ssl.create_default_context(cadata=authority().pem)
    with (
        running_web(only_sqlite, *options) as web,
        web.holding(THREADS, b"\x16\x03\x01\x02\x00\x01"),
        socket.create_connection(("127.0.0.1", web.port), timeout=PATIENCE) as raw,
        trusting.wrap_socket(raw, server_hostname="good.test") as one,
    ):
        one.sendall(b"GET /static/vendor/htmx-2.0.11.min.js HTTP/1.0\r\n\r\n")
        said = everything(one)
    assert said.startswith(b"HTTP/1.0 200 ")
    assert len(said) > 50_000


def test_a_stop_waits_for_what_is_under_way_and_not_for_idle_clients(only_sqlite: Flask) -> None:
    with (
        running_web(only_sqlite, "tests.support.echo_app:app") as web,
        web.holding(20, WHOLE) as idle,
        web.holding(20, b""),
        web.connect(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n") as under_way,
    ):
        assert all(one.recv(65536) for one in idle)
        with web.connect(WHOLE) as later:
            assert later.recv(65536), "connections are taken in order: the one before has been"
        web.process.terminate()
        idle[0].sendall(b"GET /go HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"/wait" in everything(under_way)
        assert web.process.wait(PATIENCE) == 0


def _has_ended(connection: socket.socket) -> bool:
    connection.settimeout(0.1)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def _peers(web: Web) -> list[tuple[str, int]]:
    """The server's established connections as the system lists them: the client, and the bytes it has not taken."""
    fields = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    port = f":{web.port:04X}"
    return [
        (one[2], int(one[4].partition(":")[0], 16))
        for one in fields
        if one[1].endswith(port) and one[3] == "01"
    ]
