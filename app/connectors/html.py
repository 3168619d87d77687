"""Telling a web page from an answer that a program can read."""

from __future__ import annotations

import re
from collections.abc import Mapping

_TYPES = ("text/html", "application/xhtml+xml")
# After a byte order mark, white space, comments and an XML declaration: what every browser takes for a page.
_BEGINS = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:\s|<!--.{0,2000}?-->|<\?xml[^>]{0,200}\?>){0,20}<(?:!doctype\s+html|html|head|body)[\s>/]",
    re.IGNORECASE | re.DOTALL,
)
_LOOKED_AT = 8_192


def is_html(headers: Mapping[str, str], body: bytes) -> bool:
    """True for an answer that says it is a web page, or begins as one."""
    kind = (headers.get("Content-Type") or "").partition(";")[0].strip().lower()
    return kind in _TYPES or _BEGINS.match(body[:_LOOKED_AT]) is not None
