"""Every request gets an id: on each log line, in the answer's header, and where an error is told.

On error pages it is called the reference, in a problem document of the API the `instance`.
"""

from __future__ import annotations

import re
import secrets
import time

import structlog
from flask import Flask, Response, g, request
from structlog.contextvars import bind_contextvars, clear_contextvars

HEADER = "X-Request-Id"
_SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")

log = structlog.get_logger("web")


def init_app(app: Flask) -> None:
    """Give each request of `app` its id, and note what it came to."""

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()
        reference()

    @app.teardown_request
    def end(_error: BaseException | None) -> None:
        clear_contextvars()

    @app.after_request
    def finish(response: Response) -> Response:
        response.headers[HEADER] = reference()
        if _is_worth_a_line(response):
            # The rule, not the address, which may hold a one-time secret or what somebody typed.
            log.info(
                "request.done",
                method=request.method,
                route=request.url_rule.rule if request.url_rule else None,
                status=response.status_code,
                ms=round((time.perf_counter() - g.get("began", time.perf_counter())) * 1000),
            )
        return response


def reference() -> str:
    """The present request's id: 16 hexadecimal digits, unless it goes by its caller's."""
    if "reference" not in g:
        g.reference = secrets.token_hex(8)
        bind_contextvars(request_id=g.reference)
    return str(g.reference)


def go_by_callers() -> None:
    """Let the request go by the id that its caller sent, where it sent one that can stand in a log."""
    sent = request.headers.get(HEADER, "")
    if _SANE.fullmatch(sent):
        g.reference = sent
        bind_contextvars(request_id=sent)


def _is_worth_a_line(response: Response) -> bool:
    if response.status_code >= 400:
        return True
    # Pollers that hear nothing new, and files, would be most of the log.
    return request.endpoint != "static" and response.status_code != 204
