"""The theme and the keyboard shortcuts: two cookies, set by plain POST buttons in the user menu."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, current_app, make_response, redirect, request
from werkzeug.wrappers import Response

from app.guard import public
from app.web.page_context import KEYS_COOKIE, THEME_COOKIE, THEMES

bp = Blueprint("preferences", __name__)

_YEAR = 365 * 24 * 3600


@bp.post("/preferences")
@public
def update() -> Response:
    """Keep `theme` or `keys` in a cookie and go back to `next`. Unknown values change nothing."""
    response = make_response(redirect(local_path(request.form.get("next", "")), code=303))
    for cookie, choices in ((THEME_COOKIE, THEMES), (KEYS_COOKIE, ("on", "off"))):
        value = request.form.get(cookie, "")
        if value in choices:
            response.set_cookie(
                cookie,
                value,
                max_age=_YEAR,
                httponly=True,
                samesite="Lax",
                secure=bool(current_app.config.get("SESSION_COOKIE_SECURE", False)),
            )
    return response


def local_path(target: str) -> str:
    """`target` when it is a path on this host, "/" for anything else.

    A backslash counts as a slash in browsers, and control characters are dropped by them, so neither may
    pass.
    """
    parts = urlsplit(target)
    clean = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if clean and "\\" not in target and not parts.scheme and not parts.netloc else "/"
