"""What pages say to htmx, in typed helpers over htmx-flask 0.1.0.

Every route works as plain HTML first; these helpers only decide between a page and its fragment, and add what
a fragment's answer may carry besides its markup. htmx-flask's own `make_response` refuses `morph:` swaps and
two of the standard ones, so the response headers are set here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urldefrag, urlsplit

from flask import Flask, Response, make_response, redirect, render_template
from htmx_flask import Htmx, request

# The first matching entry wins. 422 is a form with its errors and belongs where the form was; every other
# error is a toast, so that the page under it stays as it is.
HTMX_CONFIG: dict[str, Any] = {
    "allowEval": False,
    "allowScriptTags": False,
    "includeIndicatorStyles": False,
    "selfRequestsOnly": True,
    "historyCacheSize": 0,
    "historyRestoreAsHxRequest": False,
    "timeout": 15000,
    "responseHandling": [
        {"code": "204", "swap": False},
        {"code": "304", "swap": False},
        {"code": "[23]..", "swap": True},
        {"code": "422", "swap": True},
        {
            "code": "[45]..",
            "swap": True,
            "error": True,
            "target": "#toasts",
            "swapOverride": "beforeend",
            "ignoreTitle": True,
        },
    ],
}


def init_app(app: Flask) -> None:
    """Teach `app`'s requests to answer `request.htmx`."""
    Htmx().init_app(app)


def is_htmx() -> bool:
    """True when htmx sent this request, whatever it will do with the answer."""
    return bool(request.htmx)


def is_fragment() -> bool:
    """True when only the piece of the page is wanted.

    Restoring history asks for the whole page although htmx sends it: a fragment there would replace the page.
    """
    return bool(request.htmx) and not request.htmx.history_restore_request and not request.htmx.boosted


def no_change() -> Response:
    """204: the poller's version is still current. The page keeps its elements and its timer."""
    return Response(status=204)


def see_other(url: str) -> Response:
    """Go to `url` after a POST: 303, or for an htmx request a real navigation (`HX-Redirect`).

    A real navigation, not `HX-Location`: that one fetches with the htmx headers, so a route that serves
    fragments would put a fragment in place of the page. A browser that is already on the page ignores an
    address that differs in its `#part` only, so that part is then left out and the page loads again.
    """
    if not is_htmx():
        return _plain(redirect(url, code=303))
    page, part = urldefrag(url)
    shown = urlsplit(request.htmx.current_url or "")
    if part and page == shown.path + (f"?{shown.query}" if shown.query else ""):
        url = page
    return Response(status=204, headers={"HX-Redirect": url})


def retarget(response: Response, target: str, swap: str = "morph:outerHTML") -> Response:
    """Swap this answer into `target` (a CSS selector) by `swap`, whatever the requesting element said."""
    response.headers["HX-Retarget"] = target
    response.headers["HX-Reswap"] = swap
    return response


def replace_url(response: Response, url: str) -> Response:
    """Show `url` in the address bar without a new history entry: for filters that follow typing."""
    response.headers["HX-Replace-Url"] = url
    return response


def trigger(response: Response, event: str, detail: Mapping[str, object] | None = None) -> Response:
    """Raise `event` in the page when the answer arrives. Events add up; the header stays ASCII."""
    events = json.loads(response.headers.get("HX-Trigger", "{}"))
    events[event] = dict(detail or {})
    response.headers["HX-Trigger"] = json.dumps(events)
    return response


def close_dialog(response: Response, target: str = "dialog[open]") -> Response:
    """Close the dialog `target` (a CSS selector) when the answer arrives, if it is open.

    Not under htmx's own name `target`: it drops the whole answer when that finds nothing.
    """
    return trigger(response, "dialog:close", {"dialog": target})


def toast(response: Response, text: str, *, tone: str = "ok", href: str = "", link: str = "") -> Response:
    """Add a toast to a fragment's answer. `tone`: ok, info, wait or bad; a bad one stays until dismissed.

    `href` and `link` add one link after the text. A toast never holds the only copy of what it says.
    """
    return _append(response, render_template("_toast_oob.html", text=text, tone=tone, href=href, link=link))


def announce(response: Response, text: str) -> Response:
    """Let screen readers say `text` once, through the page's live region."""
    return _append(response, render_template("_announce_oob.html", text=text))


def _append(response: Response, html: str) -> Response:
    if response.status_code == 204:
        # 204 has no body and is not swapped: send only the out-of-band part instead.
        response.status_code = 200
        response.mimetype = "text/html"
        response.headers["HX-Reswap"] = "none"
    response.set_data(response.get_data(as_text=True) + html)
    return response


def _plain(response: object) -> Response:
    # Werkzeug's `redirect` is typed as its own base response; Flask makes it the app's.
    return make_response(response)
