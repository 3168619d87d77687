"""Every failure becomes a page, a toast or a way to sign in, with the request's reference."""

from __future__ import annotations

from urllib.parse import quote

import structlog
from flask import Flask, Response, current_app, flash, make_response, redirect, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from app.errors import AppError, Conflict, Invalid, NotAllowed, NotFound
from app.extensions import db
from app.guard import PUBLIC, declared
from app.web.errorpages import render_error
from app.web.htmx import is_htmx
from app.web.login_session import SignedOut, forget, person
from app.web.page_context import URLS, here, is_api
from app.web.request_ids import reference

STATUS: dict[type[AppError], int] = {NotFound: 404, NotAllowed: 403, Conflict: 409, Invalid: 422}
# The API's own renderer, if it has put one here: a function from the exception to its answer.
API_ERRORS = "api_errors"

log = structlog.get_logger("web")


def init_app(app: Flask) -> None:
    """Answer each kind of exception of `app`."""
    app.register_error_handler(SignedOut, _signed_out)
    app.register_error_handler(AppError, _refused)
    app.register_error_handler(CSRFError, _no_token)
    app.register_error_handler(HTTPException, _http)
    for away in (OperationalError, InterfaceError, PoolTimeout):
        app.register_error_handler(away, _database_away)
    app.register_error_handler(Exception, _broken)


def _for_api(error: Exception) -> ResponseReturnValue | None:
    render = current_app.extensions.get(API_ERRORS)
    if render is None or not is_api():
        return None
    answer: ResponseReturnValue = render(error)
    return answer


def _signed_out(error: SignedOut) -> ResponseReturnValue:
    """A page leads to the sign-in and back; a piece of a page, or a form, stays where it is."""
    if request.method == "GET" and not is_htmx():
        page = here()
        if error.message:
            forget()
            back = " Sign in to return to the page that you asked for." if page != "/" else ""
            flash(error.message + back, "info")
        return redirect(URLS["sign_in"] + (f"?next={quote(page, safe='/')}" if page != "/" else ""), code=303)
    return _sign_in_first(error.message)


def _sign_in_first(why: str) -> Response:
    if is_htmx():
        return render_error(401, why=why, todo="This page stays as it is, with what you typed.")
    return render_error(
        401,
        why=why,
        todo="Sign in again in another tab, then go back to the form: what you typed is still in it.",
        reference=reference(),
    )


def _refused(error: AppError) -> ResponseReturnValue:
    if (answer := _for_api(error)) is not None:
        return answer
    _end_reading()
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
    return render_error(status, why=error.message, reference=reference())


def _no_token(error: CSRFError) -> ResponseReturnValue:
    if (answer := _for_api(error)) is not None:
        return answer
    if person() is None and declared(request.endpoint or "") != PUBLIC:
        # The session took its token along when it ended.
        return _sign_in_first("")
    return render_error(
        400,
        what="Your sign-in changed since this page was opened, perhaps in another tab.",
        why="Nothing was changed.",
        todo="Copy what you typed, then reload the page and send it again.",
        reference=reference(),
    )


def _http(error: HTTPException) -> ResponseReturnValue:
    if (answer := _for_api(error)) is not None:
        return answer
    if error.response is not None or (error.code or 500) < 400:
        return make_response(error.get_response())
    response = render_error(error.code or 500, reference=reference())
    for name, value in error.get_headers():
        if name == "Allow":
            response.headers[name] = value
    return response


def _database_away(error: Exception) -> ResponseReturnValue:
    log.warning("database.away", error=type(error).__name__, exc_info=error)
    _end_reading()
    return _for_api(error) or _not_ready()


def _not_ready() -> Response:
    if request.method in ("GET", "HEAD"):
        response = render_error(503, reference=reference())
    else:
        # A commit whose reply got lost may have been done: nothing may be said of it either way.
        response = render_error(
            503,
            what="It could not be confirmed whether this was saved.",
            todo="Wait a minute, go back and reload to see whether it was saved; if it was not, send it again.",
            reference=reference(),
        )
    response.headers["Retry-After"] = "10"
    return response


def _broken(error: Exception) -> ResponseReturnValue:
    log.error("request.broken", exc_info=error)
    _end_reading()
    return _for_api(error) or render_error(500, reference=reference())


def _end_reading() -> None:
    """Leave a transaction that failed: what the error page reads must not stumble over it."""
    try:
        db.session.rollback()
    except Exception:  # noqa: BLE001  the database may be what is gone; the page is shown all the same
        db.session.remove()
