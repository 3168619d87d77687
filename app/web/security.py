"""The headers that every answer carries, and who may cache what.

`SECURITY_HEADERS` is the whole promise: the test kit compares every page with it, so a change here is a
decision. There is no nonce because no page has an inline script or style.
"""

from __future__ import annotations

from flask import Flask, Response, request

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

SECURITY_HEADERS: dict[str, str] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    # `no-referrer` would break every POST over HTTPS: the CSRF check asks for a same-origin Referer.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": (
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()"
    ),
}

# `no-cache` is not enough: after signing out, Back would show the last page again.
NO_STORE = "no-store"
IMMUTABLE = "public, max-age=31536000, immutable"


def init_app(app: Flask) -> None:
    """Put the headers on every answer of `app`."""
    app.after_request(secure)


def secure(response: Response) -> Response:
    """Add the security headers, the cache rule and `Vary` to `response`, and return it.

    A static file asked for by its content hash (`?v=`, see `app.web.page_context.asset`) may be kept for ever.
    Anything else that has not said otherwise is not stored: signed-in pages, fragments, JSON and redirects
    alike.
    """
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    if request.endpoint == "static":
        hashed = bool(request.args.get("v")) and response.status_code in (200, 206, 304)
        response.headers["Cache-Control"] = IMMUTABLE if hashed else "no-cache"
        return response
    response.headers.setdefault("Cache-Control", NO_STORE)
    response.vary.add("HX-Request")
    return response
