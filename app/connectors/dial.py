"""From a target to a connected socket: one lookup, every address checked, a connection to a checked one."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence

from app.connectors.dns import GetAddrInfo, LookupFailed, Resolver
from app.connectors.egress import EgressPolicy, Target
from app.connectors.sockets import DeadlineSocket
from app.net.target import Address


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
