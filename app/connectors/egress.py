"""Which targets the console may call: a start-up list, and a floor under it."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Collection, Iterable, Sequence

from app.net.addresses import (
    LOOPBACK,
    METADATA_NAMES,
    PRIVATE,
    is_loopback,
    is_never_a_target,
    is_public,
    spellings,
    within,
)
from app.net.allowed import is_localhost, read_entry
from app.net.target import DEFAULT_PORTS, Address, Target


class EgressBlocked(Exception):
    """The target is not allowed.

    Not an OSError, so that no library takes it for a network failure.  The message is the same whatever the
    reason and whatever listens there, so that a workflow cannot be used to look around the network.
    """

    def __init__(self, target: Target) -> None:
        super().__init__(f"{target.authority} is not an allowed target.")


def is_address_of_this_machine(address: Address) -> bool:
    """True when a network interface of this machine has the address, found by binding a socket to it."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


class EgressPolicy:
    """The rules that every outgoing connection is held against.

    `allow` is the text of EGRESS_ALLOW or its items: `host`, `host:port` or network, comma separated; IPv6
    addresses with a port stand in brackets.  `forbidden` are the console's own endpoints, as host and port,
    which stay closed whatever the list says.  With `production` an entry for loopback must name a port.

    Raises ValueError, with one line for the operator, when `allow` cannot be used.
    """

    def __init__(
        self,
        allow: str | Iterable[str] = "",
        *,
        forbidden: Iterable[tuple[str, int]] = (),
        production: bool = False,
        is_own_address: Callable[[Address], bool] = is_address_of_this_machine,
    ) -> None:
        self._production = production
        self._is_own_address = is_own_address
        items = allow.split(",") if isinstance(allow, str) else allow
        entries = [read_entry(item.strip(), production=production) for item in items if item.strip()]
        self._names = {(entry.name, entry.port) for entry in entries if entry.name is not None}
        self._networks = [entry for entry in entries if entry.network is not None]
        self._own: dict[int, set[str]] = {}
        for host, port in forbidden:
            self._own.setdefault(port, set()).add(_own_host(host))

    def own_names(self, port: int) -> list[str]:
        """Names of own endpoints on this port: their addresses have to be known before a target is judged.

        None on ports 80 and 443: many applications share an address there, and only the name tells which is
        meant.
        """
        if port in DEFAULT_PORTS.values():
            return []
        return sorted(host for host in self._own.get(port, ()) if _as_address(host) is None)

    def check_target(self, target: Target) -> None:
        """Refuse what can be refused by name, before any lookup; raises EgressBlocked."""
        if target.host in METADATA_NAMES or target.host in self._own.get(target.port, ()):
            raise EgressBlocked(target)
        if target.address is not None:
            self.check_addresses(target, [target.address])
        elif target.scheme == "http" and not self._may_list(target):
            raise EgressBlocked(target)

    def check_addresses(
        self, target: Target, addresses: Sequence[Address], own: Collection[Address] = ()
    ) -> None:
        """Judge every address that the target's name stands for; raises EgressBlocked if one is not allowed.

        `own` are the addresses of `own_names(target.port)`.  An answer without addresses is refused.
        """
        if not addresses or not all(self._allows(target, address, own) for address in addresses):
            raise EgressBlocked(target)

    def _allows(self, target: Target, address: Address, own: Collection[Address]) -> bool:
        if is_never_a_target(address) or self._is_own_endpoint(target.port, address, own):
            return False
        for entry in self._networks:
            if entry.network is not None and address in entry.network and entry.opens_port(target.port):
                return True
        if self._lists_name(target) and self._name_may_mean(target, address):
            return True
        return target.scheme == "https" and is_public(address)

    def _may_list(self, target: Target) -> bool:
        """False when no entry can open the target, whatever its addresses turn out to be."""
        return self._lists_name(target) or any(entry.opens_port(target.port) for entry in self._networks)

    def _lists_name(self, target: Target) -> bool:
        return (target.host, None) in self._names or (target.host, target.port) in self._names

    def _name_may_mean(self, target: Target, address: Address) -> bool:
        """What a listed name may resolve to; link-local and tunnels need an entry of their own."""
        if within(address, LOOPBACK):
            with_port = (target.host, target.port) in self._names
            return not self._production or (with_port and is_localhost(target.host))
        return is_public(address) or within(address, PRIVATE)

    def _is_own_endpoint(self, port: int, address: Address, own: Collection[Address]) -> bool:
        hosts = self._own.get(port)
        if not hosts:
            return False
        literals = [known for host in hosts if (known := _as_address(host)) is not None]
        endpoints = {spelling for known in (*literals, *own) for spelling in spellings(known)}
        meant = set(spellings(address))
        if meant & endpoints:
            return True
        # A service on this machine answers on all of its addresses, or may.
        return any(map(self._is_here, meant)) and any(map(self._is_here, endpoints))

    def _is_here(self, address: Address) -> bool:
        return is_loopback(address) or address.is_unspecified or self._is_own_address(address)


def _as_address(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _own_host(host: str) -> str:
    """An own endpoint's host as the policy compares it; every name for "here" becomes a loopback address."""
    name = host.strip().strip("[]").lower().removesuffix(".")
    if name in ("", "*") or is_localhost(name):
        return "127.0.0.1"
    address = _as_address(name)
    return name if address is None else str(address)
