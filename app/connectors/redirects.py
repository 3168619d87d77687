"""Where an answer points that says “elsewhere”: no such answer is followed, so its address is put into words."""

from __future__ import annotations

from urllib.parse import SplitResult, urljoin, urlsplit

from app.connectors.messages import Reply

_MAX = 200
_USUAL = {"http": 80, "https": 443}


def where_to(url: str, reply: Reply) -> str:  # noqa: PLR0911  # one plain case a difference
    """A sentence that says what differs: scheme, host or only the path. Neither query nor fragment is repeated."""
    location = (reply.headers.get("Location") or "").strip()
    if not location:
        return "It does not say where to."
    try:
        here, there = urlsplit(url), urlsplit(urljoin(url, location))
        host, port, own = there.hostname, _port(there), _port(here)
    except ValueError:
        return "It points to something that is no address."
    if not host:
        return "It points to something that is no address."
    address = host if port == _USUAL.get(there.scheme) else f"{host}:{port}"
    if host != here.hostname:
        return f"It points to {address[:_MAX]}."
    if there.scheme != here.scheme:
        return f"It points to {there.scheme}://{address[:_MAX]}, which is the same host."
    if port != own:
        return f"It points to {address[:_MAX]}, another port of the same host."
    if there.path == here.path:
        return "It points to the same address."
    if there.path.rstrip("/") == here.path.rstrip("/"):
        ends = "with a / at its end" if there.path.endswith("/") else "without the / at its end"
        return f"It points to the same path {ends}."
    return "It points to another path on the same host."


def _port(url: SplitResult) -> int | None:
    """The port that is reached; raises ValueError for one that is none."""
    return url.port or _USUAL.get(url.scheme)
