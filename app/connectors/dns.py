"""Name lookups that end at a deadline, although the system's resolver knows none."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from app.net.target import Address

# The shape of socket.getaddrinfo, called with host, port and type.
GetAddrInfo = Callable[..., Sequence[tuple[Any, ...]]]


class LookupFailed(Exception):
    """The name has no address, or the resolver did not answer properly."""


class Resolver:
    """Addresses of names.  Lookups of one name that run at the same moment share one answer.

    The lookup runs in a thread of its own, because nothing can interrupt it; sharing keeps a dead resolver
    from piling up threads, one for each waiting call.
    """

    def __init__(self, getaddrinfo: GetAddrInfo = socket.getaddrinfo) -> None:
        self._getaddrinfo = getaddrinfo
        self._lock = threading.Lock()
        self._running: dict[tuple[str, int], Future[list[Address]]] = {}

    def lookup(self, host: str, port: int, deadline: float) -> list[Address]:
        """Every address of `host`, in the resolver's order and without repeats.

        Raises LookupFailed, or TimeoutError when there is no answer by `deadline` (time.monotonic()).
        """
        key = (host, port)
        with self._lock:
            answer = self._running.get(key)
            if answer is None:
                answer = self._running[key] = Future()
                threading.Thread(target=self._run, args=(key, answer), name="lookup", daemon=True).start()
        return answer.result(timeout=max(0.0, deadline - time.monotonic()))

    def _run(self, key: tuple[str, int], answer: Future[list[Address]]) -> None:
        found: list[Address] = []
        try:
            found = self._ask(*key)
        except (OSError, ValueError):
            # No such name, no resolver, or an answer with a zone: in each case there is nothing to call.
            pass
        finally:
            with self._lock:
                del self._running[key]
            if found:
                answer.set_result(found)
            else:
                answer.set_exception(LookupFailed(key[0]))

    def _ask(self, host: str, port: int) -> list[Address]:
        answers = self._getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(ipaddress.ip_address(item[4][0]) for item in answers))
