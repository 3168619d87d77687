"""Where an answer points that says “elsewhere”: no such answer is followed, so its address is put into words."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

from app.connectors.messages import Reply
from app.domain.runs.calls import storable

_MAX = 200


def where_to(url: str, reply: Reply) -> str:
    """A sentence that says what differs: scheme, host or only the path. Neither query nor fragment is repeated."""
    location = (reply.headers.get("Location") or "").strip()
    if not location:
        return "It does not say where to."
    try:
        here, there = urlsplit(url), urlsplit(urljoin(url, location))
        host, port, own = there.hostname, there.port, here.port
    except ValueError:
        return "It points to something that is no address."
    if not host:
        return "It points to something that is no address."
    address = f"{host}:{port}" if port else host
    if host != here.hostname:
        return f"It points to {storable(address)[:_MAX]}."
    if there.scheme != here.scheme:
        return f"It points to {there.scheme}:// on the same host{f', port {port}' if port and port != own else ''}."
    if port != own:
        return f"It points to {storable(address)[:_MAX]}, another port of the same host."
    if there.path.rstrip("/") == here.path.rstrip("/"):
        ends = "with a / at its end" if there.path.endswith("/") else "without the / at its end"
        return f"It points to the same path {ends}."
    return "It points to another path on the same host."
