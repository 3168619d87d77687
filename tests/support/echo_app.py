"""A WSGI application that says what it was asked: for what the server does before and after the application."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

BIG = b"x" * 65536
_let_go = threading.Event()


def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """`/big` is 64 MiB of answer; `/wait` answers once `/go` was asked for; all else says what its body was."""
    path = environ["PATH_INFO"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/big":
        return (BIG for _ in range(1024))
    if path == "/wait":
        _let_go.wait(60)
    if path == "/go":
        _let_go.set()
    body = b"" if path == "/unread" else environ["wsgi.input"].read()
    return [f"{path} {environ['REMOTE_ADDR']} [{body.decode()}]".encode()]
