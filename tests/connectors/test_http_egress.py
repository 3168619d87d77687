"""The client and the egress rules together: what is looked up, checked and connected to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from app.connectors.egress import EgressPolicy
from app.connectors.http import HttpClient
from app.connectors.messages import CallFailed, Request
from app.domain.states import FailureClass
from tests.support.connectors.servers import (
    ScriptServer,
    answer,
    closed_port,
    full_port,
    going_on,
    keep_answering,
    once,
)

SHORT = 0.3


class Names:
    """A resolver that gives its answers one after another, the last one for ever, and notes the questions."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(socket.AF_UNSPEC, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]


@pytest.fixture
def server() -> Iterator[ScriptServer]:
    with ScriptServer(keep_answering()) as running:
        yield running


def blocked(client: HttpClient, url: str) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        client.send(Request("GET", url, timeout_seconds=5))
    assert (caught.value.kind, caught.value.lost) == (FailureClass.EGRESS_BLOCKED, False)
    return caught.value


def test_a_name_is_resolved_once_for_each_connection(server: ScriptServer) -> None:
    names = Names(["127.0.0.1"])
    client = HttpClient(EgressPolicy(f"127.0.0.1:{server.port}"), resolver=names, clock=going_on())
    for _ in range(5):
        client.send(Request("GET", f"http://app.corp:{server.port}/"))
    client.close()
    assert names.asked == ["app.corp"]
    assert server.connections == 1


def test_a_name_that_moves_to_a_denied_address_is_refused_on_the_next_connection() -> None:
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    with ScriptServer(once(answer(200, b"", ("Connection: close",)))) as server:
        client = HttpClient(EgressPolicy("127.0.0.1"), resolver=names)
        url = f"http://app.corp:{server.port}/"
        assert client.send(Request("GET", url)).status == 200
        blocked(client, url)
    assert (names.asked, server.connections) == (["app.corp", "app.corp"], 1)


@pytest.mark.parametrize(
    "answers", [["127.0.0.1", "10.0.0.1"], ["10.0.0.1", "127.0.0.1"], ["127.0.0.1", "::1"]]
)
def test_one_denied_address_among_the_answers_refuses_the_name(
    server: ScriptServer, answers: list[str]
) -> None:
    client = HttpClient(EgressPolicy("127.0.0.1"), resolver=Names(answers))
    blocked(client, f"http://app.corp:{server.port}/")
    assert server.connections == 0


def test_a_redirect_is_handed_back_and_its_target_never_called(server: ScriptServer) -> None:
    with ScriptServer(once(answer(302, b"", (f"Location: {server.url}/x",)))) as first:
        client = HttpClient(EgressPolicy(f"127.0.0.1:{first.port}"))
        reply = client.send(Request("GET", first.url))
        client.close()
    assert (reply.status, reply.headers["location"]) == (302, f"{server.url}/x")
    assert server.connections == 0


def test_open_closed_and_black_holed_denied_targets_cannot_be_told_apart(server: ScriptServer) -> None:
    client = HttpClient(EgressPolicy("10.0.0.0/8"))
    with closed_port() as closed, full_port() as full:
        messages = {
            blocked(client, f"http://127.0.0.1:{port}/").detail.replace(str(port), "PORT")
            for port in (server.port, closed, full)
        }
    assert messages == {"127.0.0.1:PORT is not an allowed target."}
    assert server.connections == 0


def test_http_to_a_name_that_is_not_listed_is_refused_without_a_lookup() -> None:
    names = Names(["8.8.8.8"])
    blocked(HttpClient(EgressPolicy(), resolver=names), "http://public.test/")
    assert names.asked == []


def test_an_address_is_never_looked_up() -> None:
    names = Names(["127.0.0.1"])
    blocked(HttpClient(EgressPolicy(), resolver=names), "https://10.0.0.1/")
    assert names.asked == []


def test_an_own_service_known_by_name_is_refused_by_address_too(server: ScriptServer) -> None:
    names = Names(["127.0.0.1"])
    policy = EgressPolicy("127.0.0.0/8", forbidden=[("db", server.port)])
    client = HttpClient(policy, resolver=names)
    blocked(client, f"http://127.0.0.1:{server.port}/")
    blocked(client, f"http://alias.corp:{server.port}/")
    assert server.connections == 0


def test_an_own_service_whose_name_leads_nowhere_stops_no_other_call(server: ScriptServer) -> None:
    def resolver(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        if host == "db":
            raise socket.gaierror(-2, "unknown")
        return [(2, 1, 6, "", ("127.0.0.1", port))]

    policy = EgressPolicy("127.0.0.0/8", forbidden=[("db", server.port)])
    client = HttpClient(policy, resolver=resolver)
    assert client.send(Request("GET", f"http://app.corp:{server.port}/")).status == 200
    client.close()


@pytest.mark.parametrize(
    "url", ["", "ftp://a.test", "https://a.test\\@b.test", "https://u:p@a.test", "http://2130706433/"]
)
def test_an_address_that_cannot_be_read_strictly_is_refused(url: str) -> None:
    blocked(HttpClient(EgressPolicy("0.0.0.0/0")), url)


@pytest.mark.parametrize(
    "problem", [socket.gaierror(-2, "unknown"), UnicodeError("label too long"), OSError("down")]
)
def test_a_name_that_cannot_be_resolved_is_a_network_failure_that_sent_nothing(problem: Exception) -> None:
    def resolver(*_: Any, **__: Any) -> list[tuple[Any, ...]]:
        raise problem

    with pytest.raises(CallFailed) as caught:
        HttpClient(EgressPolicy(), resolver=resolver).send(Request("GET", "https://gone.test/"))
    assert (caught.value.kind, caught.value.lost) == (FailureClass.NETWORK, False)
    assert caught.value.detail == "The name gone.test could not be resolved."


def test_a_lookup_that_hangs_is_a_timeout_and_shared_by_all_who_wait_for_it() -> None:
    release = threading.Event()
    asked: list[str] = []

    def resolver(host: str, *_: Any, **__: Any) -> list[tuple[Any, ...]]:
        asked.append(host)
        release.wait(10)
        raise OSError

    client = HttpClient(EgressPolicy(), resolver=resolver)
    failures: list[CallFailed] = []

    def work() -> None:
        try:
            client.send(Request("GET", "https://slow.test/", timeout_seconds=SHORT))
        except CallFailed as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    release.set()
    assert [(failure.kind, failure.lost) for failure in failures] == [(FailureClass.TIMEOUT, False)] * 8
    assert asked == ["slow.test"]
