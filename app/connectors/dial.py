"""From a target to a connected socket: one lookup, every address checked, a connection to a checked one.

The lookup ends at the deadline as all else does, although the system's resolver knows none.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from app.connectors.egress import EgressPolicy
from app.connectors.sockets import DeadlineSocket
from app.net.target import Address, Target

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


class Dialler:
    """Opens TCP connections that the egress policy allows."""

    def __init__(self, policy: EgressPolicy, getaddrinfo: GetAddrInfo) -> None:
        self._policy = policy
        self._resolver = Resolver(getaddrinfo)

    def connect(self, target: Target, deadline: float) -> DeadlineSocket:
        """A connected socket.

        Raises EgressBlocked before any packet goes to the target, LookupFailed, TimeoutError at `deadline`
        (time.monotonic()), or another OSError when no address takes the connection.
        """
        self._policy.check_target(target)
        addresses = [target.address] if target.address else self._lookup(target, deadline)
        own = [
            address
            for name in self._policy.own_names(target.port)
            for address in self._own(name, target, deadline)
        ]
        self._policy.check_addresses(target, addresses, own)
        return self._open(addresses, target.port, deadline)

    def _lookup(self, target: Target, deadline: float) -> list[Address]:
        return self._resolver.lookup(target.host, target.port, deadline)

    def _own(self, name: str, target: Target, deadline: float) -> list[Address]:
        try:
            return self._resolver.lookup(name, target.port, deadline)
        except LookupFailed:
            # A service of our own whose name leads nowhere cannot be reached by address either.
            return []

    def _open(self, addresses: Sequence[Address], port: int, deadline: float) -> DeadlineSocket:
        problem: OSError = OSError("no address")
        for position, address in enumerate(addresses):
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("deadline")
            sock: DeadlineSocket | None = None
            try:
                sock = DeadlineSocket(
                    socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM
                )
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                # One dead address must not use up the time of those after it.
                sock.settimeout(left / (len(addresses) - position))
                sock.connect((str(address), port))
                return sock
            except OSError as failed:
                problem = failed
                if sock is not None:
                    sock.close()
        raise problem
