"""Telling an HTML page from the answer of an API."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping

_TYPES = ("text/html", "application/xhtml+xml")
# Nothing that was passed over is looked at again, so that a page made of comments costs no time.
_PAGE = re.compile(
    rb"(?>\s|<!--.*?-->|<\?.*?\?>)*+<(?:!doctype\s+html|html|head|body)(?:[\s>/]|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_JSON_STARTS = (b"{", b"[")


def is_html(headers: Mapping[str, str], body: bytes) -> bool:
    """Whether an answer is an HTML page, as a sign-in page or a "not found" page of a web server is.

    What begins as JSON does is none, whatever it is called: some frameworks call all that they send HTML.  Nor is
    an answer without a body, whose type tells nothing.
    """
    text = _plain(body).lstrip()
    if not text or text.startswith(_JSON_STARTS):
        return False
    kind = (headers.get("Content-Type") or "").partition(";")[0].strip().lower()
    return kind in _TYPES or _PAGE.match(text) is not None


def _plain(body: bytes) -> bytes:
    """The body without its byte order mark, as UTF-8 where that says that it is UTF-16."""
    if body.startswith(codecs.BOM_UTF8):
        return body[len(codecs.BOM_UTF8) :]
    if body.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return body.decode("utf-16", "replace").encode("utf-8", "replace")
    return body
