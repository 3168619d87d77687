"""Every failure becomes a page, a toast or a way to sign in: what went wrong, why, what to do, and the reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import quote

import structlog
from flask import Flask, Response, current_app, flash, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from app.database import database_is_away
from app.database_trouble import trouble
from app.errors import AppError, Busy, Conflict, Invalid, NotAllowed, NotFound
from app.extensions import db
from app.guard import BARE_PAGE, PUBLIC, declared
from app.request_ids import reference
from app.services.transaction import leaves_traces, once_more
from app.web.htmx import is_fragment, is_htmx
from app.web.login_session import SignedOut, forget, person
from app.web.page_context import URLS, here, is_api


@dataclass(frozen=True, slots=True)
class ErrorWords:
    """One error for a person. `title` is the heading, `todo` what to do, `href` and `link` a way on."""

    title: str
    what: str
    why: str
    todo: str
    href: str = "/"
    link: str = "Go to the home page"


_OURS = "The fault is on our side; nothing you typed caused it."

WORDS: dict[int, ErrorWords] = {
    400: ErrorWords(
        "This request could not be read",
        "The server did not accept the request.",
        "The page may be older than your sign-in, or the address was cut off.",
        "Go back, reload the page and try again. Copy what you typed first.",
    ),
    401: ErrorWords(
        "You have been signed out",
        "Nothing was changed.",
        "This needs somebody who is signed in.",
        "Sign in again, then send it once more.",
        "/sign-in",
        "Sign in again",
    ),
    403: ErrorWords(
        "You may not do this",
        "Nothing was changed.",
        "Your role does not have the permission that this needs.",
        "Ask an administrator for the permission, or for someone who has it to do this.",
    ),
    404: ErrorWords(
        "Nothing was found at this address",
        "The page or record does not exist, or you may not see it.",
        "It may have been deleted, or the address may be mistyped.",
        "Check the address, or look for it from a list.",
    ),
    405: ErrorWords(
        "This address does not do that",
        "The address exists, but not for this kind of request.",
        "A link or bookmark may point at an action instead of a page.",
        "Open the page from the navigation.",
    ),
    409: ErrorWords(
        "Something changed in the meantime",
        "Nothing was changed by your request.",
        "Someone else, or the system, acted first, so what you saw is out of date.",
        "Reload the page to see the current state, then decide again.",
    ),
    413: ErrorWords(
        "This is too large",
        "The request was refused because of its size.",
        "There is a limit so that one request cannot fill the server.",
        "Shorten the text and send it again.",
    ),
    422: ErrorWords(
        "This was not accepted",
        "Nothing was saved.",
        "A value does not fit what is asked for.",
        "Go back, correct the value and send it again.",
    ),
    429: ErrorWords(
        "Too many requests",
        "The server is not answering this browser for a moment.",
        "More requests came than one person normally makes.",
        "Wait a minute, then try again.",
    ),
    500: ErrorWords(
        "Something broke",
        "The request could not be completed.",
        _OURS,
        "Try again. If it happens again, give the reference below to whoever runs this service.",
    ),
    503: ErrorWords(
        "The service is not ready",
        "A part that this page needs did not answer.",
        _OURS + " Grants that were recorded are safe.",
        "Wait a minute and reload.",
    ),
}


def words_for(status: int) -> ErrorWords:
    """The words for `status`; a status without its own has those of 400 or 500."""
    return WORDS.get(status) or WORDS[500 if status >= 500 else 400]


def render_error(
    status: int,
    *,
    title: str = "",
    what: str = "",
    why: str = "",
    todo: str = "",
    reference: str = "",
    bare: bool = False,
) -> Response:
    """The error as a page, or as a toast for an htmx request.

    `title`, `what`, `why` and `todo` replace the general sentences where more is known. `reference` is the request's
    id, shown for copying. `bare` leaves out navigation and reader; 500 and 503 always do, since asking for
    them may be what failed.
    """
    words = words_for(status)
    more = {"title": title, "what": what, "why": why, "todo": todo}
    words = replace(words, **{name: text for name, text in more.items() if text})
    if bare or status >= 500:
        request.environ[BARE_PAGE] = True
    template = "errors/_toast.html" if is_fragment() else "errors/error.html"
    return make_response(render_template(template, status=status, error=words, reference=reference), status)


STATUS: dict[type[AppError], int] = {NotFound: 404, NotAllowed: 403, Conflict: 409, Invalid: 422}
# The API's own renderer, if it has put one here: a function from the exception to its answer.
API_ERRORS = "api_errors"

log = structlog.get_logger("web")


def init_app(app: Flask) -> None:
    """Answer each kind of exception of `app`."""
    app.register_error_handler(SignedOut, _signed_out)
    app.register_error_handler(AppError, _refused)
    app.register_error_handler(Busy, _busy)
    app.register_error_handler(CSRFError, _no_token)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(SQLAlchemyError, _database_away)
    app.register_error_handler(Exception, _broken)
    dispatch = app.dispatch_request
    app.dispatch_request = lambda *given: once_more(partial(_anew, dispatch, *given))  # type: ignore[method-assign]


def _anew(dispatch: Callable[..., ResponseReturnValue], *given: Any) -> ResponseReturnValue:
    """Dispatch the request, whose files may have been read before; all else of it is kept where it was read."""
    if request.mimetype == "multipart/form-data":
        for file in request.files.values():
            file.stream.seek(0)
    return dispatch(*given)


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


def _busy(error: Busy) -> ResponseReturnValue:
    if (answer := _for_api(error)) is not None:
        return answer
    response = render_error(
        503,
        title="This is busy at the moment",
        what="Nothing was done.",
        why=error.message,
        todo="Do it again in a few seconds; what you typed is still there.",
        reference=reference(),
    )
    response.headers["Retry-After"] = "5"
    return response


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


def _database_away(error: SQLAlchemyError) -> ResponseReturnValue:
    if not database_is_away(error):
        return _broken(error)
    log.warning("database.away", error=type(error).__name__, exc_info=error)
    _end_reading()
    return _for_api(error) or _not_ready(error)


def _not_ready(error: SQLAlchemyError) -> Response:
    words = trouble(error)
    if request.method in ("GET", "HEAD"):
        response = render_error(503, why=words.why, reference=reference())
    else:
        title, what = "", "It could not be confirmed whether this was saved."
        if words.is_undone:
            title = "This did not work"
            what = "Not all of it was saved." if leaves_traces() else "Nothing was saved."
        kept = "" if is_fragment() else " What you typed is still there when you go back in your browser."
        response = render_error(
            503, title=title, what=what, why=words.why, todo=words.todo + kept, reference=reference()
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
