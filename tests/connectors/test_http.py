"""The HTTP client against real servers on loopback."""

from __future__ import annotations

import contextlib
import gzip
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from app.connectors.egress import EgressPolicy
from app.connectors.http import MAX_BODY, YOUNG_SECONDS, HttpClient
from app.connectors.messages import CallFailed, Reply, Request
from app.connectors.pool import IDLE_SECONDS
from app.domain.states import FailureClass
from tests.support.connectors.certificates import authority
from tests.support.connectors.servers import (
    Peer,
    ScriptServer,
    answer,
    closed_port,
    dies_on_its_second,
    full_port,
    going_on,
    keep_answering,
    once,
)

SHORT = 0.3


@pytest.fixture
def client() -> Iterator[HttpClient]:
    policy = EgressPolicy("127.0.0.0/8, [::1], good.test, bad.test")
    made = HttpClient(policy, resolver=all_on_loopback, clock=going_on())
    yield made
    made.close()


@contextlib.contextmanager
def client_by(clock: Callable[[], float]) -> Iterator[HttpClient]:
    made = HttpClient(EgressPolicy("127.0.0.1"), clock=clock)
    yield made
    made.close()


def all_on_loopback(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
    return [(2, 1, 6, "", ("127.0.0.1", port))]


def get(client: HttpClient, url: str, seconds: float = 5.0, **more: Any) -> Reply:
    return client.send(Request("GET", url, timeout_seconds=seconds, **more))


def failure_of(client: HttpClient, url: str, seconds: float = 5.0, **more: Any) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        get(client, url, seconds, **more)
    return caught.value


def test_a_request_goes_out_as_given_and_its_answer_comes_back(client: HttpClient) -> None:
    with ScriptServer(once(answer(201, b'{"id": 7}', ("X-Kind: plain",)))) as server:
        reply = client.send(
            Request("POST", f"{server.url}/Users?a=%20b", {"X-Name": "Zoë Łuk"}, b'{"n": 1}', 5.0)
        )
    assert (reply.status, reply.body, reply.truncated) == (201, b'{"id": 7}', False)
    assert reply.headers["x-kind"] == reply.headers["X-KIND"] == "plain"
    assert reply.duration_ms >= 0
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /Users?a=%20b HTTP/1.1"
    assert f"Host: 127.0.0.1:{server.port}".encode() in lines
    assert b"Content-Length: 8" in lines
    assert "X-Name: Zoë Łuk".encode() in lines
    assert b"User-Agent: AccessAutomation/1" in lines
    assert body == b'{"n": 1}'


def test_a_post_without_a_body_says_that_it_is_empty(client: HttpClient) -> None:
    with ScriptServer(once(answer(204, b""))) as server:
        assert client.send(Request("POST", server.url)).status == 204
    assert b"Content-Length: 0" in server.requests[0]


@pytest.mark.parametrize("status", [200, 204, 301, 304, 307, 404, 409, 429, 500, 503, 599, 999])
def test_every_status_is_an_answer_and_none_is_acted_upon(client: HttpClient, status: int) -> None:
    whole = answer(status, b"", ("Location: http://127.0.0.1:1/elsewhere", "Set-Cookie: a=b"))
    with ScriptServer(keep_answering(whole)) as server:
        assert get(client, server.url).status == status
        assert get(client, server.url).status == status
    assert len(server.requests) == 2
    assert b"Cookie" not in server.requests[1]


def test_proxies_and_netrc_of_the_environment_are_ignored(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login eve password evil\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with ScriptServer(once(answer())) as server:
        assert get(client, server.url).status == 200
    assert b"Authorization" not in server.requests[0]


def test_calls_one_after_another_share_a_connection(client: HttpClient) -> None:
    with ScriptServer(keep_answering()) as server:
        for _ in range(5):
            assert get(client, server.url).body == b"{}"
    assert server.connections == 1


def test_many_threads_share_one_client(client: HttpClient) -> None:
    wrong: list[object] = []

    def script(peer: Peer) -> None:
        while request := peer.read_request():
            peer.send(answer(200, request.split(b" ")[1]))

    def work(number: int, url: str) -> None:
        for turn in range(5):
            try:
                reply = get(client, f"{url}/{number}/{turn}", seconds=20)
                if reply.body != f"/{number}/{turn}".encode():
                    wrong.append(reply.body)
            except Exception as problem:
                wrong.append(problem)

    with ScriptServer(script) as server:
        threads = [threading.Thread(target=work, args=(n, server.url)) for n in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []


def test_no_more_idle_connections_are_kept_than_the_limit() -> None:
    policy = EgressPolicy("127.0.0.0/8")
    client = HttpClient(policy, max_connections=1, clock=going_on())
    with ScriptServer(keep_answering()) as first, ScriptServer(keep_answering()) as second:
        for server in (first, second, first):
            get(client, server.url)
        client.close()
    assert (first.connections, second.connections) == (2, 1)


def test_a_kept_connection_that_the_server_closed_is_replaced_before_use(client: HttpClient) -> None:
    gone = threading.Event()

    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(answer())
        peer.sock.close()
        gone.set()

    with ScriptServer(script) as server:
        assert get(client, server.url).status == 200
        gone.wait(5)
        assert client.send(Request("POST", server.url, body=b"x")).status == 200
    assert len(server.requests) == 2


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize(
    ("method", "marked", "repeated"),
    [
        ("GET", None, True),
        ("PUT", None, True),
        ("DELETE", None, True),
        ("POST", True, True),
        ("GET", False, False),
        ("POST", None, False),
        ("PATCH", None, False),
    ],
)
def test_what_may_go_twice_goes_out_anew_when_a_kept_connection_was_closed(
    client: HttpClient, how: str, method: str, marked: bool | None, repeated: bool
) -> None:
    asked: list[int] = []

    def may_go() -> bool:
        asked.append(1)
        return True

    request = Request(method, "", body=b"x", may_go=may_go, repeatable=marked)
    with ScriptServer(dies_on_its_second(how)) as server:
        get(client, server.url)
        request = replace(request, url=server.url)
        if repeated:
            assert client.send(request).body == b"{}"
        else:
            with pytest.raises(CallFailed) as caught:
                client.send(request)
            assert (caught.value.kind, caught.value.lost) == (FailureClass.NETWORK, True)
    sent = [one.split(b" ")[0].decode() for one in server.requests]
    assert sent == ["GET", method, method] if repeated else ["GET", method]
    assert (len(asked), server.connections) == ((2, 2) if repeated else (1, 1))


def test_it_goes_out_anew_once_and_no_more(client: HttpClient) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        if peer.number == 1:
            peer.send(answer())
            peer.read_request()

    with ScriptServer(script) as server:
        get(client, server.url)
        assert failure_of(client, server.url).lost
    assert (len(server.requests), server.connections) == (3, 2)


@pytest.mark.parametrize("then", ["refused", "not ours"])
def test_what_may_have_arrived_stays_lost_when_the_second_time_sends_nothing(
    client: HttpClient, then: str
) -> None:
    server = ScriptServer(dies_on_its_second("close"))
    looks: list[int] = []

    def may_go() -> bool:
        looks.append(1)
        if then == "refused" and len(looks) == 1:
            server.stop_listening()
        return then == "refused" or len(looks) == 1

    with server:
        get(client, server.url)
        failure = failure_of(client, server.url, may_go=may_go)
    assert (failure.kind, failure.lost, failure.ours) == (FailureClass.NETWORK, True, False)
    assert len(server.requests) == 2


def test_a_request_that_must_not_go_twice_has_a_connection_that_was_used_just_now_or_a_new_one() -> None:
    now = 100.0
    with client_by(lambda: now) as client, ScriptServer(keep_answering()) as server:
        for method, idle, connections in [
            ("POST", 0.0, 1),
            ("POST", YOUNG_SECONDS - 0.1, 1),
            ("POST", YOUNG_SECONDS, 2),
            ("GET", IDLE_SECONDS - 0.1, 2),
            ("GET", IDLE_SECONDS, 3),
        ]:
            now += idle
            assert client.send(Request(method, server.url, timeout_seconds=5)).status == 200
            assert server.connections == connections


@pytest.mark.parametrize("beyond", [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL", b"H", b"\r\n"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_target_that_says_more_than_it_was_asked_gets_a_new_connection_each_time(
    client: HttpClient, beyond: bytes, method: str
) -> None:
    def script(peer: Peer) -> None:
        while request := peer.read_request():
            peer.send(answer(200, request.split(b" ")[1]) + beyond)

    with ScriptServer(script) as server:
        for path in ("/one", "/two", "/three"):
            assert client.send(Request(method, server.url + path)).body == path.encode()
    assert server.connections == 3


def test_a_late_answer_nobody_asked_for_is_not_taken_for_the_next_one(client: HttpClient) -> None:
    smuggled = threading.Event()

    def script(peer: Peer) -> None:
        while request := peer.read_request():
            peer.send(answer(200, request.split(b" ")[1]))
            peer.server.stopped.wait(0.03)
            peer.send(answer(200, b"EVIL"))
            smuggled.set()

    with ScriptServer(script) as server:
        assert get(client, f"{server.url}/one").body == b"/one"
        assert smuggled.wait(5)
        assert [get(client, f"{server.url}/{turn}").body for turn in "ab"] == [b"/a", b"/b"]
        assert server.connections == 3


def test_requests_at_once_after_each_other_take_no_late_answer() -> None:
    def script(peer: Peer) -> None:
        while request := peer.read_request():
            peer.send(answer(200, request.split(b" ")[1]))
            peer.server.stopped.wait(0.03)
            peer.send(answer(200, b"EVIL"))

    with client_by(time.monotonic) as client, ScriptServer(script) as server:
        bodies = [client.send(Request("GET", f"{server.url}/{turn}")).body for turn in range(5)]
    assert bodies == [f"/{turn}".encode() for turn in range(5)]


def test_an_answer_that_comes_before_the_request_leaves_is_not_its_own(client: HttpClient) -> None:
    go, gone = threading.Event(), threading.Event()

    def script(peer: Peer) -> None:
        while request := peer.read_request():
            peer.send(answer(200, request.split(b" ")[1]))
            if go.wait(5):
                peer.send(answer(200, b"EVIL"))
                gone.set()

    def may_go() -> bool:
        go.set()
        return gone.wait(5)

    with ScriptServer(script) as server:
        get(client, f"{server.url}/one")
        assert get(client, f"{server.url}/two", may_go=may_go).body == b"/two"


def test_requests_of_different_owners_share_no_connection(client: HttpClient) -> None:
    with ScriptServer(keep_answering()) as server:
        for owner in (1, 2, None, 1, 2, None):
            get(client, server.url, owner=owner)
    assert server.connections == 3


# What comes before the status line, and is therefore no answer.


@pytest.mark.parametrize("then", ["close", "reset"])
def test_closing_after_reading_the_request_loses_it(client: HttpClient, then: str) -> None:
    with ScriptServer(once(then=then)) as server:
        failure = failure_of(client, server.url)
    assert (failure.kind, failure.lost) == (FailureClass.NETWORK, True)


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 20",
        b"HTTP/1.1 200",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 099 Odd\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"\r\n\r\n\r\n",
        b"\x00" * 200_000,
        b"H" * 200_000,
        b"HTTP/1.1 103 Early\r\n\r\n" * 50,
        b"HTTP/1.1 103 Early\r\nLink: a\r\n",
        b"HTTP/1.1 100 Continue\r\nA: " + b"b" * 100_000,
    ],
    ids=lambda data: repr(data[:24]),
)
def test_what_is_not_a_status_line_is_a_lost_network_failure(client: HttpClient, garbage: bytes) -> None:
    with ScriptServer(once(garbage)) as server:
        failure = failure_of(client, server.url)
    assert (failure.kind, failure.lost) == (FailureClass.NETWORK, True)


def test_silence_until_the_deadline_is_a_lost_timeout(client: HttpClient) -> None:
    with ScriptServer(once(then="hang")) as server:
        failure = failure_of(client, server.url, SHORT)
    assert (failure.kind, failure.lost) == (FailureClass.TIMEOUT, True)
    assert "within 0.3 s" in failure.detail


def test_a_dripping_status_line_ends_as_a_lost_timeout(client: HttpClient) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.drip(b"HTTP/1.1 200 " + b"O" * 1000)

    with ScriptServer(script) as server:
        failure = failure_of(client, server.url, SHORT)
    assert (failure.kind, failure.lost) == (FailureClass.TIMEOUT, True)


def test_endless_interim_answers_end_as_a_lost_timeout(client: HttpClient) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        while not peer.server.stopped.wait(0.05):
            peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    with ScriptServer(script) as server:
        failure = failure_of(client, server.url, SHORT)
    assert (failure.kind, failure.lost) == (FailureClass.TIMEOUT, True)


def test_a_server_that_does_not_read_a_large_body_is_a_lost_timeout(client: HttpClient) -> None:
    with ScriptServer(lambda peer: peer.hang()) as server, pytest.raises(CallFailed) as caught:
        client.send(Request("POST", server.url, body=b"x" * 20_000_000, timeout_seconds=SHORT))
    assert (caught.value.kind, caught.value.lost) == (FailureClass.TIMEOUT, True)


def test_a_reset_in_the_middle_of_a_body_loses_the_request_and_sends_it_once(client: HttpClient) -> None:
    def script(peer: Peer) -> None:
        peer.sock.recv(1000)
        peer.reset()

    with ScriptServer(script) as server, pytest.raises(CallFailed) as caught:
        client.send(Request("POST", server.url, body=b"x" * 20_000_000))
    assert (caught.value.kind, caught.value.lost) == (FailureClass.NETWORK, True)
    assert server.connections == 1


def test_interim_answers_are_passed_over(client: HttpClient) -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    with ScriptServer(keep_answering(early + answer(201, b"real"))) as server:
        assert [get(client, server.url).body for _ in range(2)] == [b"real", b"real"]
    assert server.connections == 1


def test_an_early_answer_to_a_body_that_was_not_read_is_still_an_answer(client: HttpClient) -> None:
    def script(peer: Peer) -> None:
        peer.sock.recv(1000)
        peer.send(answer(413, b"too large"))
        while peer.sock.recv(1_000_000):
            pass

    with ScriptServer(script) as server:
        assert client.send(Request("POST", server.url, body=b"x" * 3_000_000)).status == 413


# What comes after the status line, and is therefore an answer.


BROKEN_HEADS = {
    "too many headers": b"HTTP/1.1 201 Created\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(500)),
    "one endless header": b"HTTP/1.1 201 Created\r\nX: " + b"y" * 300_000,
    "a long head": b"HTTP/1.1 201 Created\r\n"
    + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 9000) for n in range(40)),
    "a header cut off": b"HTTP/1.1 201 Created\r\nLocation: /users/12",
    "no end of the head": b"HTTP/1.1 201 Created\r\nX: y\r\n",
    "two lengths": b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
    "a length that is no number": b"HTTP/1.1 201 Created\r\nContent-Length: two\r\n\r\nab",
    "a length without end": b"HTTP/1.1 201 Created\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nab",
    "a line that is no header": b"HTTP/1.1 201 Created\r\ngarbage\r\nContent-Length: 2\r\n\r\nab",
    "a continuation of nothing": b"HTTP/1.1 201 Created\r\n folded\r\nContent-Length: 2\r\n\r\nab",
    "a negative length": b"HTTP/1.1 201 Created\r\nContent-Length: -2\r\n\r\nab",
}


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize("head", BROKEN_HEADS.values(), ids=BROKEN_HEADS)
def test_after_the_status_line_a_broken_head_is_an_answer_without_headers(
    client: HttpClient, head: bytes, then: str
) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(head)
        # A reset throws away what was not read yet, so the client is given time to read the status line.
        peer.server.stopped.wait(0.05)
        if then == "reset":
            peer.reset()

    with ScriptServer(script) as server:
        reply = get(client, server.url)
    assert (reply.status, dict(reply.headers), reply.body, reply.truncated) == (201, {}, b"", True)


BROKEN_BODIES = {
    "shorter than announced": (b"Content-Length: 10\r\n\r\nabc", b"abc"),
    "a chunk cut off": (b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5\r\nde", b"abcde"),
    "no last chunk": (b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", b"abc"),
    "a chunk size that is none": (b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n", b"abc"),
    "gzip that is not": (b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", b""),
    "too many codings": (
        b"Content-Encoding: " + b"gzip," * 50 + b"gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"",
    ),
}


@pytest.mark.parametrize(("rest", "body"), BROKEN_BODIES.values(), ids=BROKEN_BODIES)
def test_a_body_that_breaks_is_an_answer_as_far_as_it_came(
    client: HttpClient, rest: bytes, body: bytes
) -> None:
    with ScriptServer(once(b"HTTP/1.1 200 OK\r\n" + rest)) as server:
        reply = get(client, server.url)
    assert (reply.status, reply.body, reply.truncated) == (200, body, True)


def test_a_dripping_head_is_an_answer_at_the_deadline(client: HttpClient) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\n")
        peer.drip(b"X-Slow: " + b"y" * 1000)

    with ScriptServer(script) as server:
        reply = get(client, server.url, SHORT)
    assert (reply.status, reply.truncated) == (200, True)


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 1000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n", b"\r\n"]
)
def test_a_dripping_body_is_an_answer_at_the_deadline(client: HttpClient, framing: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 202 Accepted\r\n" + framing)
        peer.drip(b"z" * 1000)

    with ScriptServer(script) as server:
        reply = get(client, server.url, SHORT)
    assert (reply.status, reply.truncated) == (202, True)
    assert reply.body == b"z" * len(reply.body) != b""


def test_a_body_without_a_length_ends_with_the_connection(client: HttpClient) -> None:
    with ScriptServer(once(b"HTTP/1.0 200 OK\r\n\r\nall of it")) as server:
        reply = get(client, server.url)
    assert (reply.body, reply.truncated) == (b"all of it", False)


@pytest.mark.parametrize(("size", "cut"), [(MAX_BODY - 1, False), (MAX_BODY, False), (MAX_BODY + 1, True)])
def test_no_more_than_64_kib_of_a_body_is_kept(client: HttpClient, size: int, cut: bool) -> None:
    with ScriptServer(once(answer(200, b"q" * size))) as server:
        reply = get(client, server.url)
    assert (len(reply.body), reply.truncated) == (min(size, MAX_BODY), cut)


def test_an_endless_body_is_left_after_64_kib(client: HttpClient) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            peer.send(b"q" * 65536)

    with ScriptServer(script) as server:
        reply = get(client, server.url)
    assert (len(reply.body), reply.truncated) == (MAX_BODY, True)


@pytest.mark.parametrize("layers", [1, 2])
def test_a_gzip_bomb_is_unpacked_to_64_kib_only(client: HttpClient, layers: int) -> None:
    body = b"\x00" * 30_000_000
    for _ in range(layers):
        body = gzip.compress(body)
    coding = ", ".join(["gzip"] * layers)
    with ScriptServer(once(answer(200, body, (f"Content-Encoding: {coding}",)))) as server:
        reply = get(client, server.url)
    assert (reply.body, reply.truncated) == (b"\x00" * MAX_BODY, True)


ENDLESS = {
    "trailers": (b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n", b"X: y\r\n", b"ok"),
    "empty gzip members": (b"Content-Encoding: gzip\r\n\r\n", gzip.compress(b""), b""),
}


@pytest.mark.parametrize(("start", "filler", "body"), ENDLESS.values(), ids=ENDLESS)
def test_an_answer_of_nothing_without_end_is_left_early(
    client: HttpClient, start: bytes, filler: bytes, body: bytes
) -> None:
    left = threading.Event()
    sent = 0

    def script(peer: Peer) -> None:
        nonlocal sent
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\n" + start)
        try:
            while True:
                peer.send(filler * 1000)
                sent += len(filler) * 1000
        except OSError:
            left.set()

    with ScriptServer(script) as server:
        reply = get(client, server.url, seconds=20)
        assert left.wait(5)
    # One MiB was read; the rest lay in the buffers of both systems.
    assert sent < 20_000_000
    assert (reply.status, reply.body, reply.truncated) == (200, body, True)


def test_gzip_is_unpacked_and_the_connection_kept(client: HttpClient) -> None:
    whole = answer(200, gzip.compress(b'{"id": 1}'), ("Content-Encoding: gzip",))
    with ScriptServer(keep_answering(whole)) as server:
        assert [get(client, server.url).body for _ in range(2)] == [b'{"id": 1}'] * 2
    assert server.connections == 1


@pytest.mark.parametrize(
    "framing",
    [
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\nok",
        b"Content-Length: 2\r\nConnection: close\r\n\r\nok",
    ],
)
def test_a_connection_whose_answer_ends_in_doubt_is_not_used_again(
    client: HttpClient, framing: bytes
) -> None:
    with ScriptServer(keep_answering(b"HTTP/1.1 200 OK\r\n" + framing)) as server:
        assert [get(client, server.url).body for _ in range(2)] == [b"ok", b"ok"]
    assert server.connections == 2


def test_the_same_length_given_twice_is_no_contradiction(client: HttpClient) -> None:
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok"
    with ScriptServer(once(whole)) as server:
        reply = get(client, server.url)
    assert (reply.status, reply.body) == (200, b"ok")


# Before anything is sent.


def test_a_refused_connection_is_a_network_failure_that_sent_nothing(client: HttpClient) -> None:
    with closed_port() as port:
        failure = failure_of(client, f"http://127.0.0.1:{port}")
    assert (failure.kind, failure.lost) == (FailureClass.NETWORK, False)
    assert failure.detail == f"127.0.0.1:{port} refused the connection."


def test_a_connection_that_is_not_taken_is_a_timeout_that_sent_nothing(client: HttpClient) -> None:
    with full_port() as port:
        failure = failure_of(client, f"http://127.0.0.1:{port}", SHORT)
    assert (failure.kind, failure.lost) == (FailureClass.TIMEOUT, False)


def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    def resolver(_host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        return [(2, 1, 6, "", ("127.0.0.2", port)), (2, 1, 6, "", ("127.0.0.1", port))]

    client = HttpClient(EgressPolicy("127.0.0.0/8"), resolver=resolver)
    with ScriptServer(once(answer())) as server:
        assert get(client, f"http://many.test:{server.port}").status == 200
    client.close()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "a\r\nX-B: c"),
        ("X-A", "a\nb"),
        ("X-A", "a\rb"),
        ("X-A", "a\x00b"),
        ("X-A", "a\x7fb"),
        ("X-A", "\ud800"),
        ("X\x00A", "b"),
        ("X A", "b"),
        ("X:A", "b"),
        ("X\r\nB", "b"),
        ("", "b"),
        ("Host", "elsewhere.test"),
        ("host", "elsewhere.test"),
        ("Content-Length", "5"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
    ],
)
def test_a_header_that_may_not_be_sent_stops_the_call(client: HttpClient, name: str, value: str) -> None:
    with ScriptServer(keep_answering()) as server:
        failure = failure_of(client, server.url, headers={name: value})
    assert (failure.kind, failure.lost, server.connections) == (FailureClass.MAPPING, False, 0)


def test_a_header_value_that_means_something_to_the_library_goes_out_as_it_is(client: HttpClient) -> None:
    with ScriptServer(once(answer())) as server:
        get(client, server.url, headers={"X-Odd": "@@@SKIP_HEADER@@@", "User-Agent": "@@@SKIP_HEADER@@@"})
    assert server.requests[0].count(b"@@@SKIP_HEADER@@@") == 2


def test_a_method_that_is_none_is_refused(client: HttpClient) -> None:
    with ScriptServer(keep_answering()) as server, pytest.raises(CallFailed) as caught:
        client.send(Request("GET / HTTP/1.1\r\nX: ", server.url))
    assert caught.value.kind is FailureClass.MAPPING
    assert server.requests == []


def test_nothing_of_a_request_shows_in_its_repr() -> None:
    request = Request("GET", "https://a.test/secret", {"Authorization": "Bearer secret"}, b"secret")
    assert "secret" not in repr(request)


def test_calls_to_ipv6_loopback_work_where_the_machine_has_it(client: HttpClient) -> None:
    try:
        with ScriptServer(once(answer()), host="::1") as server:
            assert get(client, server.url).status == 200
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    assert f"Host: [::1]:{server.port}".encode() in server.requests[0]


def test_an_untrusted_certificate_is_a_tls_failure(client: HttpClient) -> None:
    with ScriptServer(once(answer()), tls=authority().server_context) as server:
        failure = failure_of(client, server.url)
    assert (failure.kind, failure.lost) == (FailureClass.TLS, False)
    assert server.requests == []
