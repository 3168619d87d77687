"""What an item of EGRESS_ALLOW means: read once, for the check at the start and for every call."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from app.net.addresses import LOOPBACK, METADATA_NAMES, NEVER, Network, is_loopback
from app.net.target import parse_host, split_host_port


@dataclass(frozen=True, slots=True)
class Entry:
    """One item of EGRESS_ALLOW: a name or a network (an address is a network of one), perhaps with a port."""

    name: str | None
    network: Network | None
    port: int | None

    def opens_port(self, port: int) -> bool:
        """True when the entry is for this port, or for every one."""
        return self.port is None or self.port == port


def read_entry(text: str, *, production: bool) -> Entry:
    """One item of EGRESS_ALLOW; raises ValueError, with one line for the operator, for one that cannot be used.

    In production an entry for this machine itself must name a port.
    """
    try:
        entry = _parts(text)
    except ValueError as problem:
        raise ValueError(f"{text!r} is not a host, host:port or network: {problem}") from None
    if entry.name in METADATA_NAMES:
        raise ValueError(f"{text!r} is a cloud metadata service, which is never allowed")
    if entry.network is not None and any(_lies_in(entry.network, network) for network in NEVER):
        raise ValueError(f"{text!r} is a cloud metadata or unspecified address, which is never allowed")
    if production and entry.port is None and _may_open_loopback(entry):
        raise ValueError(f"{text!r} opens loopback, and in production such an entry must name a port")
    return entry


def _parts(text: str) -> Entry:
    if "://" in text:
        raise ValueError("leave out the scheme")
    if "/" in text:
        return Entry(None, ipaddress.ip_network(text), None)
    if text.count(":") > 1 and not text.startswith("["):
        return Entry(None, ipaddress.ip_network(ipaddress.IPv6Address(text)), None)
    host, port = split_host_port(text)
    name, address = parse_host(host)
    if address is not None:
        return Entry(None, ipaddress.ip_network(address), port)
    return Entry(name, None, port)


def _lies_in(inner: Network, outer: Network) -> bool:
    if isinstance(inner, ipaddress.IPv4Network):
        return isinstance(outer, ipaddress.IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, ipaddress.IPv6Network) and inner.subnet_of(outer)


def _may_open_loopback(entry: Entry) -> bool:
    if entry.name is not None:
        return is_localhost(entry.name)
    if entry.network is None:
        return False
    if isinstance(entry.network, ipaddress.IPv6Network) and entry.network.num_addresses == 1:
        return is_loopback(entry.network.network_address)
    # Tunnelled spellings of loopback are listed only by those who mean them; ::/96 holds ::1 itself.
    return any(entry.network.overlaps(network) for network in LOOPBACK)


def is_localhost(name: str) -> bool:
    """True for the names that mean this machine (RFC 6761 §6.3)."""
    return name == "localhost" or name.endswith(".localhost")
