"""What a request may look like, and what a malformed one is told: as gunicorn's own workers have it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.support.serving import Web, everything, running_web

pytestmark = pytest.mark.slow

HEAD = b"POST /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def echo(sqlite_app: tuple[Flask, object]) -> Iterator[Web]:
    """A server whose application says what it was asked."""
    with running_web(sqlite_app[0], "tests.support.echo_app:app") as running:
        yield running


@pytest.fixture(scope="module")
def console(sqlite_app: tuple[Flask, object]) -> Iterator[Web]:
    with running_web(sqlite_app[0]) as running:
        yield running


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (HEAD + b"Content-Length: 5\r\n\r\nhello", b"hello"),
        (HEAD + b"Content-Length: 0\r\n\r\n", b""),
        (HEAD + b"\r\n", b""),
        (b"\r\n" + HEAD + b"\r\n", b""),
        (CHUNKED + b"5\r\nhello\r\n6 ;a=b\r\n world\r\n0\r\n\r\n", b"hello world"),
        (CHUNKED + b"5\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\n", b"hello"),
        (CHUNKED + b"4\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n"),
    ],
)
def test_a_request_is_read_whole_however_it_is_cut(echo: Web, sent: bytes, body: bytes) -> None:
    expected = b"/a 127.0.0.1 [" + body + b"]"
    assert expected in echo.said(sent)
    with echo.connect() as connection:
        for byte in sent:
            connection.sendall(bytes([byte]))
        assert expected in everything(connection)


def test_requests_that_come_together_are_answered_in_turn(echo: Web) -> None:
    first = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n1"
    unread = b"POST /unread HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n2\r\n0\r\n\r\n"
    said = echo.said(first + unread + first + HEAD + b"Content-Length: 1\r\n\r\n3")
    places = [said.index(one) for one in (b"[1]", b"/unread", b"[3]")]
    assert places == sorted(places)
    assert said.count(b"[1]") == 2


def test_a_body_that_waits_to_be_asked_for_is_asked_for(echo: Web) -> None:
    with echo.connect(HEAD + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n") as connection:
        assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"hello")
        assert b"[hello]" in everything(connection)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /a HTTP/1.1\nHost: x\n\n", 400),
        (b"GET /a\r\n\r\n", 400),
        (b"GET /a HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n", 400),
        (b"GET /a HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n1", 400),
        (HEAD + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Content-Length: -1\r\n\r\n", 400),
        (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 20_000, 431),
    ],
)
def test_what_is_malformed_is_refused_and_ends_the_connection(echo: Web, sent: bytes, status: int) -> None:
    assert echo.said(sent).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize("wrong", [b"-1\r\n", b"+5\r\nhello\r\n", b"5\r\nhelloX", b"zz\r\n", b"1" * 70_000])
def test_after_a_malformed_chunk_nothing_more_is_read(echo: Web, wrong: bytes) -> None:
    sent = b"POST /unread HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + wrong
    said = echo.said(sent + b"\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert said.count(b"HTTP/1.1 ") <= 1
    assert b"smuggled" not in said


@pytest.mark.parametrize(
    "announced", [b"Content-Length: 50000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n"]
)
def test_a_body_above_every_limit_is_refused_unread(console: Web, announced: bytes) -> None:
    assert console.said(b"POST /sign-in HTTP/1.1\r\nHost: x\r\n" + announced).startswith(b"HTTP/1.1 413 ")


def test_a_body_above_the_pages_limit_is_refused_and_its_sender_reads_so(console: Web) -> None:
    head = b"POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    sent = head + b"Content-Length: 3000000\r\nConnection: close\r\n\r\n" + b"a=" + b"b" * 2_999_998
    assert console.said(sent).startswith(b"HTTP/1.1 413 ")
