"""The words of every error page and toast, and how they are rendered. What went wrong, why, what to do."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flask import Response, make_response, render_template, request

from app.guard import BARE_PAGE
from app.web.htmx import is_fragment


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
    status: int, *, what: str = "", why: str = "", todo: str = "", reference: str = "", bare: bool = False
) -> Response:
    """The error as a page, or as a toast for an htmx request.

    `what`, `why` and `todo` replace the general sentences where more is known. `reference` is the request's
    id, shown for copying. `bare` leaves out navigation and reader; 500 and 503 always do, since asking for
    them may be what failed.
    """
    words = words_for(status)
    words = replace(words, what=what or words.what, why=why or words.why, todo=todo or words.todo)
    if bare or status >= 500:
        request.environ[BARE_PAGE] = True
    template = "errors/_toast.html" if is_fragment() else "errors/error.html"
    return make_response(render_template(template, status=status, error=words, reference=reference), status)
