"""Other systems that do not answer hold few of a web process's threads, and people are told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask

from app import clock
from app.models import Connection
from app.permissions import ALL_PERMISSIONS, Actor
from app.schemas.people import TokenIn
from app.services import tokens
from app.services.transaction import transaction
from tests.support.connectors.servers import Peer, ScriptServer, answer
from tests.support.factories import make_application, make_connection
from tests.support.serving import running_web
from tests.support.workers.processes import until

pytestmark = pytest.mark.slow

AT_ONCE = 16  # as many as there are threads


class Silent:
    """A system that takes calls, and answers them once it is let go."""

    def __init__(self) -> None:
        self.server = ScriptServer(self._serve)
        self.go_on = threading.Event()

    def _serve(self, peer: Peer) -> None:
        while peer.read_request():
            self.go_on.wait(60)
            peer.send(answer())


@pytest.fixture
def silent() -> Iterator[Silent]:
    made = Silent()
    with made.server:
        yield made
        made.go_on.set()


def all_at_once(ask: Callable[[], tuple[int, bytes, dict[str, str]]], meanwhile: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        asked = [pool.submit(ask) for _ in range(AT_ONCE)]
        meanwhile()
        return [one.result(60) for one in asked]


def test_sixteen_tests_of_a_silent_system_stop_nobody(app: Flask, silent: Silent) -> None:
    with app.app_context(), transaction() as session:
        wanted = TokenIn(name="script", permissions=["workflow:read", "workflow:manage"])
        made = make_connection(session, make_application(session), config={"base_url": silent.server.url})
        _, token = tokens.create_token(
            session, Actor("user", "Root", ALL_PERMISSIONS, source="test"), wanted, now=clock.now()
        )
        session.flush()
        path = f"/api/v1/connections/{made.id}/test"
        assert isinstance(made, Connection)

    with running_web(app, EGRESS_ALLOW="127.0.0.1", WEB_CONCURRENCY="1") as web:

        def ask() -> tuple[int, bytes, dict[str, str]]:
            return web.send("POST", path, Authorization=f"Bearer {token}")

        def meanwhile() -> None:
            until(lambda: len(silent.server.requests) == 3, "three calls are out")
            assert web.is_well()
            silent.go_on.set()

        said = all_at_once(ask, meanwhile)
        refused = [(body, headers) for status, body, headers in said if status == 503]
        assert {status for status, _, _ in said} == {200, 503}
        assert len(silent.server.requests) == AT_ONCE - len(refused)
        for body, headers in refused:
            assert b'"code": "busy"' in body
            assert headers["Retry-After"] == "5"
            assert headers["Content-Type"] == "application/problem+json"
        assert ask()[0] == 200


def test_a_silent_provider_of_sign_ins_stops_nobody(only_sqlite: Flask, silent: Silent) -> None:
    environ = {"OIDC_ISSUER": silent.server.url, "OIDC_CLIENT_ID": "a", "OIDC_CLIENT_SECRET": "b"}
    with running_web(only_sqlite, **environ) as web:

        def ask() -> tuple[int, bytes, dict[str, str]]:
            return web.get("/sign-in/sso")

        def meanwhile() -> None:
            until(lambda: silent.server.requests, "the provider is asked")
            assert web.is_well()

        said = all_at_once(ask, meanwhile)
        assert len(silent.server.requests) == 1
        assert {status for status, _, _ in said} == {502, 503}
        for status, body, headers in said:
            if status == 503:
                assert b"Single sign-on is busy." in body
                assert headers["Retry-After"] == "5"
        # That it did not answer is remembered: whoever comes now does not wait for the same.
        assert ask()[0] == 502
        assert len(silent.server.requests) == 1
