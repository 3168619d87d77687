"""The request's id, for the log and for a problem's `instance`: the caller's own where it sent one."""

from __future__ import annotations

import re
import secrets

from flask import g, has_request_context, request
from structlog.contextvars import bind_contextvars

HEADER = "X-Request-ID"
_SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")


def request_id() -> str:
    """The id, also on each log line of the request and in the answer's header; "" outside a request."""
    if not has_request_context():
        return ""
    if "api_request_id" not in g:
        sent = request.headers.get(HEADER, "")
        g.api_request_id = sent if _SANE.fullmatch(sent) else g.get("reference") or secrets.token_hex(8)
        # What the pages call it; the header of every answer is made from this.
        g.reference = g.api_request_id
        bind_contextvars(request_id=g.api_request_id)
    found: str = g.api_request_id
    return found


def bind_request_id() -> None:
    """Before anything else is done for a request."""
    request_id()
