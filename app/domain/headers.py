"""Which headers may be sent: one rule for saving a connection or step and for sending a request."""

from __future__ import annotations

import re

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")
# Line breaks, NUL and other controls, and what cannot be encoded; a tab is allowed by RFC 9110 §5.5.
_BAD_VALUE = re.compile("[\x00-\x08\x0a-\x1f\x7f\x80-\x9f\ud800-\udfff\u2028\u2029]")

# Only the client sets these: they decide where a message goes and where it ends.
FRAMING_HEADERS = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_OUR_OWN = frozenset({"authorization", "cookie", "cookie2", "idempotency-key"})
_OUR_OWN_PREFIXES = ("webhook-", "sec-", "proxy-")


def header_problem(name: str, value: str) -> str | None:
    """What is wrong with a header as text, as a sentence without the value; None when fine."""
    if not _NAME.fullmatch(name):
        return "A header's name may hold letters, digits and hyphens only."
    if _BAD_VALUE.search(value):
        return f"The value of header {name} may not hold line breaks or other control characters."
    return None


def reserved_header(name: str) -> bool:
    """True for a header that the console sets itself, which no author may set."""
    lower = name.strip().lower()
    return lower in FRAMING_HEADERS or lower in _OUR_OWN or lower.startswith(_OUR_OWN_PREFIXES)


def author_header_problem(name: str, value: str) -> str | None:
    """What forbids an author's own header, as a sentence; None when it may be saved and sent."""
    if reserved_header(name):
        return f"The header {name.strip()} is set by Access Automation and cannot be set here."
    return header_problem(name, value)
