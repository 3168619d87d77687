"""A token endpoint and an API on loopback, as OAuth 2.0 knows them: one gives out tokens, the other wants one."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from tests.support.connectors.servers import Peer, ScriptServer, answer

CLIENT_ID = "console"
CLIENT_SECRET = "cl13nt-s3cret:/+ and more"


@dataclass
class Identity:
    """What was asked and given. `give` makes the token endpoint's answer; `says` are its further
    headers; `takes` decides over a token."""

    forms: list[dict[str, str]] = field(default_factory=list)
    asked_by: list[tuple[str, str] | None] = field(default_factory=list)
    calls: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)
    life: object = 3600
    give: Callable[[Identity], tuple[int, Any]] | None = None
    says: tuple[str, ...] = ()
    takes: Callable[[str], bool] = lambda token: token.startswith("token-")
    status: int = 200
    # Held back until this is set, where a test wants several callers at once.
    gate: threading.Event | None = None
    token_url: str = ""
    base_url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def config(self, **more: Any) -> dict[str, Any]:
        """The configuration of a connection to this API."""
        return {
            "base_url": self.base_url,
            "auth": "oauth2_client_credentials",
            "token_url": self.token_url,
            "client_id": CLIENT_ID,
            "client_auth": "basic",
            "timeout_seconds": 5,
        } | more

    def _grant(self) -> tuple[int, Any]:
        if self.give is not None:
            return self.give(self)
        self.given.append(f"token-{len(self.given) + 1}")
        said = {} if self.life is None else {"expires_in": self.life}
        return 200, {"access_token": self.given[-1], "token_type": "Bearer", **said}

    def _serve_token(self, peer: Peer) -> None:
        while raw := peer.read_request():
            head, body = _split(raw)
            with self.lock:
                self.forms.append({name: values[0] for name, values in parse_qs(body).items()})
                self.asked_by.append(_basic(head.get("authorization", "")))
                self.agents.append(head["user-agent"])
            if self.gate is not None:
                self.gate.wait(10)
            with self.lock:
                status, given = self._grant()
            sent = given if isinstance(given, bytes) else json.dumps(given).encode()
            heads = ("Content-Type: application/json", "Cache-Control: no-store", *self.says)
            peer.send(answer(status, sent, heads))

    def _serve_api(self, peer: Peer) -> None:
        while raw := peer.read_request():
            head, _body = _split(raw)
            token = head.get("authorization", "").removeprefix("Bearer ")
            with self.lock:
                self.calls.append((raw.decode().partition("\r\n")[0], head))
                self.agents.append(head["user-agent"])
            peer.send(answer(self.status if self.takes(token) else 401, b'{"id": "u-1"}'))


@contextmanager
def identity() -> Iterator[Identity]:
    """Both servers until the block ends."""
    found = Identity()
    with ScriptServer(found._serve_token) as tokens, ScriptServer(found._serve_api) as api:
        found.token_url, found.base_url = f"{tokens.url}/oauth/token", f"{api.url}/v1"
        yield found


def _split(raw: bytes) -> tuple[dict[str, str], str]:
    head, _, body = raw.decode().partition("\r\n\r\n")
    lines = (line.partition(": ") for line in head.split("\r\n")[1:])
    return {name.lower(): value for name, _, value in lines}, body


def _basic(header: str) -> tuple[str, str] | None:
    if not header.startswith("Basic "):
        return None
    name, _, secret = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
    return unquote_plus(name), unquote_plus(secret)
