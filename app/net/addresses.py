"""What an IP address is for: which networks are not the public internet, and which are never a target.

`ipaddress.is_private` and `is_global` are not enough: they call multicast, NAT64, 6to4 and site-local
addresses global, and the shared space 100.64.0.0/10 neither.  So the networks are listed, after the IANA
special-purpose registries (RFC 6890 and its successors).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from app.net.target import Address

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
V4 = ipaddress.IPv4Network
V6 = ipaddress.IPv6Network

LOOPBACK: tuple[Network, ...] = (V4("127.0.0.0/8"), V6("::1/128"))

# What a listed *name* may resolve to besides public addresses.
PRIVATE: tuple[Network, ...] = (
    V4("10.0.0.0/8"),
    V4("172.16.0.0/12"),
    V4("192.168.0.0/16"),
    V4("100.64.0.0/10"),  # shared by carriers and used by overlay networks, RFC 6598
    V6("fc00::/7"),  # unique local, RFC 4193
)

NOT_PUBLIC: tuple[Network, ...] = (
    *LOOPBACK,
    *PRIVATE,
    V4("0.0.0.0/8"),
    V4("169.254.0.0/16"),  # link-local
    V4("192.0.0.0/24"),  # protocol assignments, RFC 6890
    V4("192.0.2.0/24"),  # documentation
    V4("192.88.99.0/24"),  # 6to4 relays
    V4("198.18.0.0/15"),  # benchmarks
    V4("198.51.100.0/24"),  # documentation
    V4("203.0.113.0/24"),  # documentation
    V4("224.0.0.0/4"),  # multicast
    V4("240.0.0.0/4"),  # reserved, and broadcast
    V6("::/96"),  # unspecified, and the retired ::a.b.c.d form
    V6("::ffff:0:0/96"),  # IPv4-mapped
    V6("::ffff:0:0:0/96"),  # IPv4-translated, RFC 2765
    V6("64:ff9b::/96"),  # NAT64, RFC 6052
    V6("64:ff9b:1::/48"),  # local NAT64, RFC 8215
    V6("100::/64"),  # discard only
    V6("2001::/23"),  # Teredo, ORCHID, benchmarks and other protocol assignments
    V6("2001:db8::/32"),  # documentation
    V6("2002::/16"),  # 6to4
    V6("3fff::/20"),  # documentation, RFC 9637
    V6("5f00::/16"),  # segment routing, RFC 9602
    V6("fe80::/10"),  # link-local
    V6("fec0::/10"),  # site-local, retired
    V6("ff00::/8"),  # multicast
)

# Everything that IANA has given out for the public IPv6 internet lies in here; the rest fails closed.
_V6_GLOBAL = V6("2000::/3")

# Cloud metadata services and the unspecified addresses: no setting opens these.
NEVER: tuple[Network, ...] = (
    V4("0.0.0.0/8"),
    V4("169.254.169.254/32"),  # AWS, Azure, Google, Oracle, DigitalOcean and others
    V4("169.254.169.253/32"),
    V4("169.254.170.2/32"),  # AWS container credentials
    V4("169.254.170.23/32"),
    V4("169.254.0.23/32"),  # Tencent
    V4("169.254.42.42/32"),  # Scaleway
    V4("168.63.129.16/32"),  # Azure WireServer
    V4("100.100.100.200/32"),  # Alibaba
    V4("192.0.0.192/32"),  # Oracle
    V6("::/128"),
    V6("fd00:ec2::254/128"),  # AWS
    V6("fd00:ec2::253/128"),
    V6("fd00:ec2::23/128"),
    V6("fd20:ce::254/128"),  # Google
    V6("fd00:42::42/128"),  # Scaleway
)

METADATA_NAMES = frozenset(
    {
        "metadata",
        "metadata.google.internal",
        "metadata.goog",
        "metadata.azure.internal",
        "metadata.tencentyun.com",
        "metadata.packet.net",
        "metadata.platformequinix.com",
        "instance-data",
        "instance-data.ec2.internal",
    }
)


def within(address: Address, networks: Iterable[Network]) -> bool:
    """True when one of the networks holds the address; networks of the other IP version do not count."""
    return any(address in network for network in networks)


def is_public(address: Address) -> bool:
    """True for an ordinary address of the public internet."""
    if within(address, NOT_PUBLIC):
        return False
    return address.version == 4 or address in _V6_GLOBAL


def spellings(address: Address) -> Iterator[Address]:
    """The address itself, then every IPv4 address that a gateway might find inside it.

    IPv4-mapped, compatible, translated and NAT64 forms hold it in the last 32 bits; local NAT64 (RFC 6052
    §2.2, /48) around the bits 64 to 71; 6to4 after the first 16 bits; Teredo inverted at the end (RFC 4380).
    """
    yield address
    if isinstance(address, ipaddress.IPv4Address) or address.is_loopback or address.is_unspecified:
        return
    packed = address.packed
    if within(address, _LAST_32_BITS):
        yield ipaddress.IPv4Address(packed[12:])
    if address in _LOCAL_NAT64:
        yield ipaddress.IPv4Address(packed[6:8] + packed[9:11])
    if address in _SIX_TO_FOUR:
        yield ipaddress.IPv4Address(packed[2:6])
    if address in _TEREDO:
        yield ipaddress.IPv4Address(packed[4:8])
        yield ipaddress.IPv4Address(bytes(byte ^ 0xFF for byte in packed[12:]))


_LOCAL_NAT64 = V6("64:ff9b:1::/48")
_SIX_TO_FOUR = V6("2002::/16")
_TEREDO = V6("2001::/32")
_LAST_32_BITS = (V6("::/96"), V6("::ffff:0:0/96"), V6("::ffff:0:0:0/96"), V6("64:ff9b::/96"), _LOCAL_NAT64)


def is_never_a_target(address: Address) -> bool:
    """True for cloud metadata and unspecified addresses, however they are spelled."""
    return any(within(spelling, NEVER) for spelling in spellings(address))


def is_loopback(address: Address) -> bool:
    """True for this machine's loopback, however it is spelled."""
    return any(within(spelling, LOOPBACK) for spelling in spellings(address))
