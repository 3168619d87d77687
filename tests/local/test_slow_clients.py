"""`make run` is served as production is: whoever sends half a request stops nobody."""

from __future__ import annotations

import socket
from contextlib import ExitStack

import pytest

from app.local.supervisor.stack import Stack
from tests.support.workers.processes import until

pytestmark = pytest.mark.slow


def test_sixteen_half_requests_do_not_stop_it() -> None:
    with Stack.temporary() as stack, ExitStack() as held:
        for _ in range(16):
            one = held.enter_context(socket.create_connection(("127.0.0.1", stack.settings.port)))
            one.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: b")
        until(stack.is_ready, "the console answers", seconds=20)
