"""One strict reading of a URL: what it names is decided here once, and nothing is repaired."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

DEFAULT_PORTS = {"http": 80, "https": 443}

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?]*)(/[^?]*)?(?:\?(.*))?")
_NOT_VISIBLE_ASCII = re.compile(r"[^\x21-\x7e]")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_DOT_SEGMENT = re.compile(r"/(?:\.|%2[eE]){1,2}(?:/|$)")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]*")
_BRACKETED = re.compile(r"\[[0-9A-Fa-f:.]+\]")
_PORT = re.compile(r"[0-9]{1,5}")


class BadTarget(ValueError):
    """The text is not an address that the console will call; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Target:
    """An http or https address, taken apart.

    `host` is a lower-case name without a trailing dot, or an IP address in its shortest form without
    brackets; `address` is that IP address, or None for a name.  `path` begins with a slash and is sent as
    written; `query` is the text after the question mark, None when there is none.
    """

    scheme: str
    host: str
    port: int
    path: str = "/"
    query: str | None = None
    address: Address | None = None

    @property
    def request_target(self) -> str:
        """What stands in the request line (RFC 9112 §3.2.1, origin form)."""
        return self.path if self.query is None else f"{self.path}?{self.query}"

    @property
    def authority(self) -> str:
        """Host and port for a person to read; the scheme's own port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def parse_target(url: str) -> Target:
    """Read an absolute http or https URL.

    Raises BadTarget for anything but plain RFC 3986 in ASCII: backslashes, user names, fragments, control or
    non-ASCII characters, percent signs in the host, numbers posing as names, dot segments in the path.
    """
    if _NOT_VISIBLE_ASCII.search(url):
        raise BadTarget("The address may hold visible ASCII characters only.")
    if "\\" in url:
        raise BadTarget("The address may not hold a backslash.")
    if "#" in url:
        raise BadTarget("The address may not hold a fragment (#).")
    match = _URL.fullmatch(url)
    if match is None:
        raise BadTarget("The address must begin with https:// and name a host.")
    scheme, authority, path, query = match.groups()
    scheme, host, port, address = _origin(scheme, authority)
    if path is None:
        path = "/"
    if "%" in url and _BAD_ESCAPE.search(url):
        raise BadTarget("A percent sign in the address must be followed by two hexadecimal digits.")
    if ("/." in path or "/%2" in path) and _DOT_SEGMENT.search(path):
        raise BadTarget("The path may not hold the segments . and ..")
    return Target(scheme, host, port, path, query, address)


def checked_url(url: str) -> str:
    """The URL as it was given, once `parse_target` has read it; raises BadTarget."""
    parse_target(url)
    return url


@lru_cache(maxsize=1024)
def _origin(scheme: str, authority: str) -> tuple[str, str, int, Address | None]:
    scheme = scheme.lower()
    if scheme not in DEFAULT_PORTS:
        raise BadTarget("The address must begin with https:// or http://.")
    if "@" in authority:
        raise BadTarget("The address may not hold a user name or password.")
    host, port = split_host_port(authority)
    name, address = parse_host(host)
    return scheme, name, DEFAULT_PORTS[scheme] if port is None else port, address


def split_host_port(text: str) -> tuple[str, int | None]:
    """`host`, `host:port`, `[v6]` or `[v6]:port` -> host (brackets kept) and port; raises BadTarget."""
    if text.startswith("["):
        end = text.find("]") + 1
        host, rest = (text[:end], text[end:]) if end else (text, "")
        if rest and not rest.startswith(":"):
            raise BadTarget("There is something after the host that does not belong there.")
        port = rest[1:] if rest else None
    else:
        host, colon, after = text.partition(":")
        port = after if colon else None
    if port is None:
        return host, None
    if not _PORT.fullmatch(port) or not 1 <= int(port) <= 65535:
        raise BadTarget("The port must be a number from 1 to 65535.")
    return host, int(port)


def parse_host(host: str) -> tuple[str, Address | None]:
    """A host name or IP address (IPv6 in brackets) -> canonical text and address; raises BadTarget."""
    if host.startswith("["):
        try:
            # A zone such as %eth0 is no part of a URL that leaves this machine.
            address: Address = ipaddress.IPv6Address(host[1:-1] if _BRACKETED.fullmatch(host) else "")
        except ValueError:
            raise BadTarget("The host is not an IPv6 address.") from None
        return str(address), address
    name = host.lower().removesuffix(".")
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        # 127.1, 2130706433 and 0x7f.1 are read as addresses by some libraries and as names by others.
        try:
            address = ipaddress.IPv4Address(name)
        except ValueError:
            raise BadTarget("The host must be a name or an IPv4 address of four plain numbers.") from None
        return str(address), address
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise BadTarget("The host is not a valid name; write international names in their xn-- form.")
    return name, None
