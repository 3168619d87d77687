"""Every error of the API as RFC 9457 problem details, and nothing of our insides in any of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from http import HTTPStatus

import structlog
from flask import Response, request
from sqlalchemy.exc import IntegrityError
from werkzeug.exceptions import HTTPException

from app.database import database_is_away
from app.database_trouble import trouble
from app.errors import AppError, Busy, Conflict, FieldError, Invalid, NotAllowed, NotFound
from app.request_ids import go_by_callers, reference
from app.services.transaction import leaves_traces

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5

CODES = {
    400: "malformed",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    408: "timeout",
    409: "conflict",
    413: "too_large",
    414: "too_large",
    415: "unsupported_media_type",
    422: "invalid",
    429: "too_many_requests",
    431: "too_large",
    500: "internal_error",
    503: "unavailable",
}
_WORDS = {
    400: "The request could not be read.",
    404: "There is nothing at this address.",
    405: "This address does not answer this method.",
    413: "The body is too large: it can have 1 MiB.",
    415: "Send the body as application/json.",
    500: "Something broke on our side. Give the instance below to whoever runs this service.",
}

log = structlog.get_logger("api")


class Malformed(AppError):
    """The request cannot be read (400). `errors` names parameters where one is to blame."""

    def __init__(self, message: str, errors: Iterable[FieldError] = ()) -> None:
        super().__init__(message)
        self.errors = list(errors)


class Unauthenticated(AppError):
    """No token came (401), or with `bad_token` one that is unknown, expired or revoked."""

    def __init__(self, message: str, *, bad_token: bool = False) -> None:
        super().__init__(message)
        self.bad_token = bad_token


class WrongMediaType(AppError):
    """A body that is not JSON (415)."""


class KeyReused(AppError):
    """An `Idempotency-Key` that came before, with another request (422)."""


STATUS: dict[type[AppError], int] = {Malformed: 400, NotFound: 404, WrongMediaType: 415, Invalid: 422}


def problem(
    status: int,
    detail: str,
    *,
    code: str = "",
    errors: Iterable[FieldError] = (),
    more: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem document. `more` adds members; `instance` is the request's id, as in the logs."""
    go_by_callers()  # also where the request came to no route, and so to nothing that is done before one
    document = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code or CODES.get(status, "error"),
        "errors": [{"field": one.field, "message": one.message} for one in errors],
        "instance": reference(),
        **(more or {}),
    }
    return Response(json.dumps(document), status, headers=dict(headers or {}), content_type=MEDIA_TYPE)


def answer(error: Exception) -> Response:
    """The problem that `error` is. What is no error of the caller's is logged, and its text stays inside."""
    if isinstance(error, AppError):
        return _of_the_domain(error)
    if isinstance(error, HTTPException):
        return of_http(error)
    if database_is_away(error):
        log.error("api.database_away", error=type(error).__name__, cause=type(error.__cause__).__name__)
        return problem(503, _not_done(error), headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
    if isinstance(error, IntegrityError):
        # Two requests that collide in a way which no service foresaw: the database let one of them through.
        log.error("api.collision", exc_info=error)
        return problem(409, "Another request changed the same record first. Read it again, then decide.")
    log.error("api.failed", exc_info=error)
    return problem(500, _WORDS[500])


def _not_done(error: Exception) -> str:
    words = trouble(error)
    if request.method in ("GET", "HEAD"):
        return f"{words.why} Try again in a few seconds."
    if words.is_undone:
        return (
            f"{words.why} {'Not all of it was done' if leaves_traces() else 'Nothing was done'}. {words.todo}"
        )
    return (
        f"{words.why} It could not be confirmed whether this was done. "
        "Send it again with the same Idempotency-Key."
    )


def of_http(error: HTTPException) -> Response:
    """The problem for an error that the framework found: no such address, wrong method, too large."""
    status = error.code or 500
    if status < 400:
        return Response(status=status, headers=dict(error.get_headers()))
    headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Retry-After")}
    return problem(status, _WORDS.get(status) or HTTPStatus(status).phrase, headers=headers)


def _of_the_domain(error: AppError) -> Response:
    match error:
        case Unauthenticated():
            challenge = 'Bearer error="invalid_token"' if error.bad_token else "Bearer"
            return problem(401, error.message, headers={"WWW-Authenticate": challenge})
        case NotAllowed():
            named = {"permission": error.permission} if error.permission else {}
            return problem(403, error.message, more=named)
        case Conflict():
            return problem(409, error.message, more=_as_text(error.context))
        case Busy():
            return problem(503, error.message, code="busy", headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
        case KeyReused():
            return problem(422, error.message, code="idempotency_key_reused")
        case Malformed() | Invalid():
            return problem(STATUS[type(error)], error.message, errors=error.errors)
        case _:
            return problem(STATUS.get(type(error), 422), error.message)


def _as_text(context: Mapping[str, object]) -> dict[str, object]:
    """Ids are text outside; members of the document itself are never covered."""
    own = {"type", "title", "status", "detail", "code", "errors", "instance"}
    return {
        name: str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        for name, value in context.items()
        if name not in own
    }
